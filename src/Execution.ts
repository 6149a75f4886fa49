/**
 * The live handle of a started run, and the operations a body performs on its own execution.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Approval, ApprovalOptions } from "./Approval.ts"
import type { Usage } from "./Budget.ts"
import type { CancelResult } from "./Cancel.ts"
import type { Event, Of } from "./Event.ts"
import type { AnswerError, HumanRequest, InputTimedOut } from "./HumanRequest.ts"
import * as cancelling from "./internal/cancelling.ts"
import { Current } from "./internal/frame.ts"
import * as people from "./internal/people.ts"
import type { RunImpl } from "./internal/run.ts"
import { show } from "./internal/schema.ts"
import type { RunOptions, RunStatus } from "./Run.ts"
import { type InvalidOptions, type RunError, RunSettled } from "./RunError.ts"
import type { AnswerOptions } from "./services/HumanChannel.ts"
import type { Workflow } from "./Workflow.ts"

export type {
  /**
   * Stands for the execution that a body runs in. `Workflow.make` takes it out of a body's requirements.
   *
   * **Example** (Running a body's helper outside of a workflow is a type error)
   *
   * ```ts
   * import { Effect } from "effect"
   * import { Engine, Execution, Workflow } from "effect-baton"
   *
   * const helper: Effect.Effect<string, never, Execution.Current> = Effect.map(Execution.id, (id) => id.slice(0, 4))
   *
   * const workflow = Workflow.make("helped", { run: () => helper })
   *
   * await Effect.runPromise(workflow.execute("go").pipe(Effect.provide(Engine.layerMemory))) // => "run_"
   * ```
   */
  Current
}
export { RunSettled }

/** How far an execution is. */
export interface Progress {
  readonly current: number
  /** 0 when it is not known. */
  readonly total: number
  readonly message?: string | undefined
}

/** Something that was logged inside an execution. */
export type LogEntry = Of<"Logged">

/** The live handle of a started run. */
export interface Execution<out Output, out Error = never> {
  readonly id: string
  /** Name of the workflow. */
  readonly workflow: string
  readonly status: Effect.Effect<RunStatus>
  /** The statuses from `"in-progress"` on: those so far, then each change; ends when the execution settles. */
  readonly statusChanges: Stream.Stream<RunStatus>
  /** The newest progress that the body or its outermost pattern reported. */
  readonly progress: Effect.Effect<Progress>
  /** What was logged inside the execution; as far as its events are kept, oldest first. */
  readonly logs: Effect.Effect<ReadonlyArray<LogEntry>>
  /** Everything that happened, then everything that happens; ends with the terminal event. */
  readonly events: Stream.Stream<Event>
  /** The same from sequence number `n` on. */
  readonly eventsFrom: (n: number) => Stream.Stream<Event>
  /** The open human requests, oldest first. */
  readonly requests: Effect.Effect<ReadonlyArray<HumanRequest>>
  /** What the execution and everything nested in it has used. */
  readonly usage: Effect.Effect<Usage>
  /** Lets running steps finish and holds the body at its next step, human request or retry. Idempotent. */
  readonly pause: Effect.Effect<void, RunSettled>
  /** Undoes a pause. Idempotent. */
  readonly resume: Effect.Effect<void, RunSettled>
  /** Cancels; concurrent calls agree on the answer. */
  readonly cancel: (reason?: string) => Effect.Effect<CancelResult>
  /** Asks for an approval from outside, and holds the body at its next step until the answer. */
  readonly waitForApproval: (
    message?: string,
    options?: ApprovalOptions
  ) => Effect.Effect<Approval, InvalidOptions | RunSettled>
  /** Asks for an input from outside, and holds the body at its next step until the answer. */
  readonly waitForInput: <A>(
    prompt: string,
    schema: Schema.Codec<A, any>,
    options?: { readonly timeout?: Duration.Input | undefined }
  ) => Effect.Effect<A, InvalidOptions | InputTimedOut | RunSettled>
  readonly approve: (requestId: string, options?: AnswerOptions) => Effect.Effect<void, AnswerError>
  readonly reject: (requestId: string, options?: AnswerOptions) => Effect.Effect<void, AnswerError>
  /** Answers an input request with a value in its JSON form, as its `jsonSchema` describes it. */
  readonly answer: (
    requestId: string,
    value: unknown,
    options?: { readonly by?: string | undefined }
  ) => Effect.Effect<void, AnswerError>
  /**
   * The output; fails with the workflow's own error or a `RunError`. Interrupting the wait changes nothing. A durable run
   * goes on where its workflow is registered, and is waited for until it is: see `Workflow.toLayer`.
   */
  readonly result: Effect.Effect<Output, Error | RunError>
  /** How it ended, defects included. */
  readonly exit: Effect.Effect<Exit.Exit<Output, Error | RunError>>
}

/**
 * Waits until an execution asks a person, and gives the oldest open request.
 *
 * **Details**
 *
 * Fails with `RunSettled` when the execution settles without asking. `execution.requests` lists what is open right now,
 * which just after `start` may be nothing yet.
 *
 * **Example** (Answering what comes)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 *
 * const deploy = Workflow.make("deploy", {
 *   run: (version) =>
 *     Effect.sleep("10 millis").pipe(
 *       Effect.andThen(Execution.waitForApproval(`Deploy ${version}?`)),
 *       Effect.map((approval) => (approval.approved ? "deployed" : "declined"))
 *     )
 * })
 *
 * const program = Effect.gen(function*() {
 *   const execution = yield* (yield* deploy.run("1.2.0")).start
 *   const request = yield* Execution.nextRequest(execution)
 *   yield* execution.approve(request.id)
 *   return [request.message, yield* execution.result]
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => ["Deploy 1.2.0?", "deployed"]
 * ```
 */
export const nextRequest = (execution: Execution<unknown, unknown>): Effect.Effect<HumanRequest, RunSettled> =>
  execution.events.pipe(
    Stream.filter((event) => event._tag === "RequestOpened"),
    Stream.mapEffect(() => execution.requests),
    Stream.filter((requests) => requests.length > 0),
    Stream.runHead,
    Effect.flatMap((requests) =>
      Option.isSome(requests)
        ? Effect.succeed(requests.value[0])
        : Effect.flatMap(execution.status, (status) =>
            Effect.fail(
              new RunSettled({ executionId: execution.id, status: status as "completed" | "failed" | "cancelled" })
            )
          )
    )
  )

/** Where a request stands among others of its kind. */
export interface KeyOptions {
  /** Tells requests apart that are open at the same time in one place. Default: none. */
  readonly key?: string | undefined
}

/**
 * The id of the execution that a body runs in.
 *
 * **Example** (A body that knows its id)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 *
 * const whoami = Workflow.make("whoami", { run: () => Execution.id })
 *
 * await Effect.runPromise(whoami.execute("", { id: "run-7" }).pipe(Effect.provide(Engine.layerMemory))) // => "run-7"
 * ```
 */
export const id: Effect.Effect<string, never, Current> = Effect.map(Current, (frame) => frame.execution.id)

/**
 * Asks a person for a yes or a no, and waits.
 *
 * **Details**
 *
 * The rules are the run's `approval` option, overridden by `options`. A no is an answer, not an error: see
 * `requireApproval`. Works anywhere: in steps, loops and parallel branches; give requests that are open at the same
 * time in one place a `key` each.
 *
 * **Example** (A declined deployment)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 *
 * const deploy = Workflow.make("deploy", {
 *   run: (version) =>
 *     Effect.map(Execution.waitForApproval(`Deploy ${version}?`), (approval) =>
 *       approval.approved ? "deployed" : `declined by ${approval.approvedBy}`)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const execution = yield* (yield* deploy.run("1.2.0")).start
 *   const [request] = yield* execution.requests
 *   yield* execution.reject(request.id, { by: "ada" })
 *   return yield* execution.result
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => "declined by ada"
 * ```
 */
export const waitForApproval = (
  message?: string,
  options?: ApprovalOptions & KeyOptions
): Effect.Effect<Approval, InvalidOptions, Current> =>
  Effect.flatMap(Current, (frame) => {
    if (options === undefined) {
      return people.ask(frame, "approval", undefined, people.makeApproval(frame.execution, message, undefined))
    }
    const { key, ...rules } = options
    return people.ask(frame, "approval", key, people.makeApproval(frame.execution, message, rules))
  })

/**
 * Asks a person for a yes; a no cancels the run.
 *
 * **Example** (Nothing after a no)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 *
 * const deploy = Workflow.make("deploy", {
 *   run: (version) => Effect.as(Execution.requireApproval(`Deploy ${version}?`), "deployed")
 * })
 *
 * const program = Effect.gen(function*() {
 *   const execution = yield* (yield* deploy.run("1.2.0")).start
 *   const [request] = yield* execution.requests
 *   yield* execution.reject(request.id, { by: "ada", reason: "too late" })
 *   return yield* Effect.flip(execution.result)
 * })
 *
 * const error = await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory)))
 * error._tag // => "RunCancelled"
 * ```
 */
export const requireApproval = (
  message?: string,
  options?: ApprovalOptions & KeyOptions
): Effect.Effect<Approval, InvalidOptions, Current> =>
  Effect.flatMap(Current, (frame) =>
    Effect.flatMap(waitForApproval(message, options), (approval) => {
      if (approval.approved) return Effect.succeed(approval)
      const why = `rejected${approval.approvedBy === undefined ? "" : ` by ${approval.approvedBy}`}`
      const reason = approval.reason === undefined ? why : `${why}: ${approval.reason}`
      // Nobody is asked whether the cancel may be carried out: the person has said so.
      cancelling.accept(frame.execution, reason)
      return Effect.interrupt
    })
  )

/**
 * Asks a person for a value, and waits.
 *
 * **Details**
 *
 * An answer that does not decode is `InvalidAnswer` to the one who answers; the request stays open. With a `timeout`,
 * it fails with `InputTimedOut` when nobody answers in time.
 *
 * **Example** (A typed answer)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 *
 * const scale = Workflow.make("scale", {
 *   output: Schema.Number,
 *   run: () => Execution.waitForInput("How many machines?", Schema.Int)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const execution = yield* (yield* scale.run("")).start
 *   const [request] = yield* execution.requests
 *   const refused = yield* Effect.flip(execution.answer(request.id, "many"))
 *   yield* execution.answer(request.id, 3)
 *   return [refused._tag, yield* execution.result]
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => ["InvalidAnswer", 3]
 * ```
 */
export const waitForInput: {
  <A, I>(
    prompt: string,
    schema: Schema.Codec<A, I>,
    options?: KeyOptions & { readonly timeout?: undefined }
  ): Effect.Effect<A, InvalidOptions, Current>
  <A, I>(
    prompt: string,
    schema: Schema.Codec<A, I>,
    options: KeyOptions & { readonly timeout?: Duration.Input | undefined }
  ): Effect.Effect<A, InvalidOptions | InputTimedOut, Current>
} = <A>(
  prompt: string,
  schema: Schema.Codec<A, any>,
  options?: KeyOptions & { readonly timeout?: Duration.Input | undefined }
): Effect.Effect<A, any, Current> =>
  Effect.flatMap(Current, (frame) =>
    people.ask(frame, "input", options?.key, people.makeInput(frame.execution, prompt, schema, options?.timeout))
  )

/**
 * Reports how far the body is.
 *
 * **Details**
 *
 * The newest progress of an execution is what its body or its outermost pattern reported; what is nested deeper only
 * shows as an event. `current` and `total` are numbers from 0 up; other ones are not reported, which is logged: nobody's
 * work ends for them.
 *
 * **Example** (Half way)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 *
 * const copy = Workflow.make("copy", {
 *   run: () => Effect.as(Execution.progress({ current: 1, total: 2, message: "copying" }), "done")
 * })
 *
 * const program = Effect.gen(function*() {
 *   const execution = yield* (yield* copy.run("")).start
 *   yield* execution.result
 *   return yield* execution.progress
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => { current: 1, total: 2, message: "copying" }
 * ```
 */
export const progress = ({ current, message, total }: Progress): Effect.Effect<void, never, Current> =>
  Effect.flatMap(Current, (frame) => {
    if (!isAmount(current) || !isAmount(total)) {
      return Effect.logWarning(
        `Progress of ${show({ current, total })} is not reported: current and total are numbers from 0 up, a total of 0 is unknown`
      )
    }
    frame.execution.report(frame, message === undefined ? { current, total } : { current, total, message })
    return Effect.void
  })

const isAmount = (n: number): boolean => Number.isFinite(n) && n >= 0

/**
 * Starts another workflow as an execution of its own, cancelled when the one that started it settles in any way.
 *
 * **Details**
 *
 * The child's `defaults` apply; it shares the budget of its parent. To run a workflow inside of the same execution, use
 * `workflow.call`. Children that live at the same time in one place need a `key` each.
 *
 * **Example** (Two executions)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 *
 * const child = Workflow.make("child", { run: (name) => Effect.succeed(`hello ${name}`) })
 * const parent = Workflow.make("parent", {
 *   run: (name) => Effect.flatMap(Execution.startChild(child, name), (execution) => execution.result)
 * })
 *
 * await Effect.runPromise(parent.execute("ada").pipe(Effect.provide(Engine.layerMemory))) // => "hello ada"
 * ```
 */
export const startChild = <Input, Output, Error, R>(
  workflow: Workflow<Input, Output, Error, R>,
  input: NoInfer<Input>,
  options?: RunOptions<Output, Error> & KeyOptions
): Effect.Effect<Execution<Output, Error>, never, R | Current> =>
  Effect.flatMap(Current, (frame) => {
    const { key, ...given } = options ?? {}
    return Effect.flatMap(workflow.run(input, options === undefined ? undefined : given), (run) =>
      frame.execution.startChild(frame, run as unknown as RunImpl, key)
    )
  })
