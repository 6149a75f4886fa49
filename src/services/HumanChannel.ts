/**
 * How a person is reached when an execution asks for an approval or an input.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AnswerError, HumanRequest } from "../HumanRequest.ts"

/** How a channel passes on what a person said. */
export interface Answers {
  readonly approve: (options?: AnswerOptions) => Effect.Effect<void, AnswerError>
  readonly reject: (options?: AnswerOptions) => Effect.Effect<void, AnswerError>
  /** The value is as a person or a program wrote it: it is decoded by the request's schema. */
  readonly answer: (value: unknown, options?: { readonly by?: string | undefined }) => Effect.Effect<void, AnswerError>
}

/** Who answers, and why. */
export interface AnswerOptions {
  readonly by?: string | undefined
  readonly reason?: string | undefined
}

/** A way to a person. */
export interface HumanChannel {
  /**
   * Shows a request to a person and passes on the answer. It runs while the request is open and is interrupted when the
   * request settles, by whichever channel: by its own answer too, so that what has to follow that goes with it into
   * `Effect.uninterruptible`. Ending early or failing (which is logged) leaves the request open.
   */
  readonly deliver: (request: HumanRequest, answers: Answers) => Effect.Effect<void, unknown>
}

/**
 * The channel that executions use; the inbox unless another one is provided.
 *
 * **Example** (A channel that says yes to everything)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, HumanChannel, Workflow } from "effect-baton"
 *
 * const ask = Workflow.make("ask", {
 *   run: (question) => Effect.map(Execution.waitForApproval(question), (approval) => approval.approvedBy ?? "nobody")
 * })
 * const yes: HumanChannel.HumanChannel = {
 *   deliver: (_request, answers) => answers.approve({ by: "ada" })
 * }
 *
 * await Effect.runPromise(ask.execute("Sure?").pipe(
 *   Effect.provideService(HumanChannel.HumanChannel, yes),
 *   Effect.provide(Engine.layerMemory)
 * )) // => "ada"
 * ```
 */
export const HumanChannel = Context.Reference<HumanChannel>("effect-baton/services/HumanChannel", {
  defaultValue: () => inbox
})

/**
 * Leaves every request where it is, to be answered with `execution.approve`, `reject` and `answer`.
 *
 * **Example** (Answering from code)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 *
 * const ask = Workflow.make("ask", {
 *   run: (question) => Effect.map(Execution.waitForApproval(question), (approval) => String(approval.approved))
 * })
 *
 * const program = Effect.gen(function*() {
 *   const execution = yield* (yield* ask.run("Sure?")).start
 *   const [request] = yield* execution.requests
 *   yield* execution.approve(request.id, { by: "ada" })
 *   return yield* execution.result
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => "true"
 * ```
 */
export const inbox: HumanChannel = { deliver: () => Effect.void }

/**
 * A channel that delivers over several: the first valid answer wins, the others are withdrawn.
 *
 * **Example** (Two ways to reach a person)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HumanChannel } from "effect-baton"
 *
 * const seen: Array<string> = []
 * const channel = (name: string): HumanChannel.HumanChannel => ({
 *   deliver: (request) => Effect.sync(() => { seen.push(`${name}: ${request.message}`) })
 * })
 * const both = HumanChannel.all([channel("chat"), channel("mail")])
 *
 * await Effect.runPromise(both.deliver(
 *   { _tag: "Approval", id: "r", executionId: "e", workflow: "w", path: "approval", message: "Sure?", createdAt: new Date(0), requiredApprovals: 1, responses: [] },
 *   { approve: () => Effect.void, reject: () => Effect.void, answer: () => Effect.void }
 * ))
 * seen // => ["chat: Sure?", "mail: Sure?"]
 * ```
 */
export const all = (channels: ReadonlyArray<HumanChannel>): HumanChannel => ({
  deliver: (request, answers) =>
    Effect.forEach(
      channels,
      (channel) =>
        Effect.catchCause(channel.deliver(request, answers), (cause) =>
          Effect.logWarning(`A human channel failed to deliver "${request.id}"`, cause)
        ),
      { concurrency: "unbounded", discard: true }
    )
})

/**
 * Uses this channel.
 *
 * **Example** (Providing a channel)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HumanChannel } from "effect-baton"
 *
 * const channel = await Effect.runPromise(
 *   Effect.provide(HumanChannel.HumanChannel, HumanChannel.layer(HumanChannel.inbox))
 * )
 *
 * channel === HumanChannel.inbox // => true
 * ```
 */
export const layer = (channel: HumanChannel): Layer.Layer<never> => Layer.succeed(HumanChannel, channel)

/**
 * Uses the inbox: requests wait for `execution.approve | reject | answer`. This is the default.
 *
 * **Example** (Back to the inbox)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HumanChannel } from "effect-baton"
 *
 * const channel = await Effect.runPromise(Effect.provide(HumanChannel.HumanChannel, HumanChannel.layerInbox))
 *
 * channel === HumanChannel.inbox // => true
 * ```
 */
export const layerInbox: Layer.Layer<never> = layer(inbox)
