/**
 * Asks people in the terminal.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import * as Terminal from "effect/Terminal"
import type { AnswerError, ApprovalRequest, HumanRequest } from "../HumanRequest.ts"
import { StaysOpen } from "../internal/delivery.ts"
import * as HumanChannel from "../services/HumanChannel.ts"
import { shapeOf, takesText, toValue } from "./shape.ts"

/** Settings of the console. */
export interface ConsoleOptions {
  /** Who sits at the terminal. Default: nobody in particular; where a request needs a name, the console asks for it. */
  readonly by?: string | undefined
}

/** Text from models and programs, without what would steer the terminal. */
const clean = (text: string): string => text.replaceAll(/\p{Cc}/gu, (c) => (c === "\n" || c === "\t" ? c : ""))

/** Whether a name has to go with an answer. */
const needsName = (request: HumanRequest): request is ApprovalRequest =>
  request._tag === "Approval" && (request.approvers !== undefined || request.requiredApprovals > 1)

const title = (request: HumanRequest): string => clean(request.message).split("\n").join("\n  ")

const header = (request: HumanRequest, nowMillis: number): string => {
  const about = [`${request.workflow} (${request.executionId}) asks at ${request.path}`]
  if (request._tag === "Approval") {
    if (request.approvers !== undefined) about.push(`may answer: ${request.approvers.join(", ")}`)
    if (request.requiredApprovals > 1) about.push(`${request.requiredApprovals} must say yes`)
    for (const [reason, does] of Object.entries(request.reasons ?? {})) about.push(`"y ${reason}" to ${does}`)
  } else {
    about.push(`expects ${shapeOf(request.jsonSchema)}`)
  }
  if (request.expiresAt !== undefined) {
    about.push(
      `expires in ${Duration.format(Duration.seconds(Math.ceil(Math.max(0, request.expiresAt.getTime() - nowMillis) / 1000)))}`
    )
  }
  return `\n? ${title(request)}\n${about.map((line) => `  ${clean(line)}\n`).join("")}`
}

const prompt = (request: HumanRequest): string =>
  request._tag === "Approval"
    ? "  y or n, then a reason if you like > "
    : takesText(request.jsonSchema)
      ? "  answer > "
      : "  answer as JSON > "

/** A yes or a no at the start of a line, and what follows as its reason. */
const verdict = (line: string): { readonly approved: boolean; readonly reason?: string } | undefined => {
  const match = /^\s*(yes|y|no|n)(?:[\s,.:;-]+(.*))?$/i.exec(line)
  if (match === null) return undefined
  const reason = match[2]?.trim() ?? ""
  return { approved: match[1]!.toLowerCase().startsWith("y"), ...(reason === "" ? {} : { reason }) }
}

const explain = (error: AnswerError): string =>
  error._tag === "InvalidAnswer"
    ? `Not accepted${error.field === "" ? "" : ` at "${error.field}"`}: ${error.problem}, found ${error.value}`
    : error.message

/** What comes after an answer: the end, another try, or the next person's turn. */
type Next = "done" | "again" | "next-person"

/**
 * Makes the channel that asks in the terminal; with `HumanChannel.all` it can be one of several.
 *
 * **Example** (The terminal beside another channel)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as Channel from "effect-baton/HumanChannel"
 *
 * const both = Effect.map(Channel.makeConsole({ by: "ada" }), (terminal) => Channel.all([terminal, Channel.inbox]))
 *
 * Effect.isEffect(both) // => true
 * ```
 */
export const makeConsole = (
  options: ConsoleOptions = {}
): Effect.Effect<HumanChannel.HumanChannel, never, Terminal.Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    const turn = yield* Semaphore.make(1)

    const askName = (request: HumanRequest): Effect.Effect<string | undefined, unknown> => {
      if (options.by !== undefined || !needsName(request)) return Effect.succeed(options.by)
      const ask = Effect.andThen(terminal.display("  who answers > "), terminal.readLine)
      return Effect.flatMap(ask, (line) => (line.trim() === "" ? askName(request) : Effect.succeed(line.trim())))
    }

    /** The line as an answer that can be given; `undefined` if it is none. */
    const toAnswer = (
      request: HumanRequest,
      answers: HumanChannel.Answers,
      line: string,
      by: string | undefined
    ): Effect.Effect<void, AnswerError> | undefined => {
      const who = by === undefined ? {} : { by }
      if (request._tag === "Input") return answers.answer(toValue(request.jsonSchema, line), who)
      const said = verdict(line)
      if (said === undefined) return undefined
      const { approved, ...why } = said
      return approved ? answers.approve({ ...who, ...why }) : answers.reject({ ...who, ...why })
    }

    const after = (request: HumanRequest, result: Result.Result<void, AnswerError>): Effect.Effect<Next, unknown> => {
      if (Result.isSuccess(result)) {
        // With a quorum it may be open still, but others wait for the terminal too.
        return Effect.succeed(needsName(request) && options.by === undefined ? "next-person" : "done")
      }
      const error = result.failure
      const isFinal = error._tag === "RequestSettled" || error._tag === "RequestNotFound"
      const isSamePerson = error._tag !== "InvalidAnswer" && options.by !== undefined
      return Effect.as(terminal.display(`  ${clean(explain(error))}\n`), isFinal || isSamePerson ? "done" : "again")
    }

    const ask = (request: HumanRequest, answers: HumanChannel.Answers): Effect.Effect<Next, unknown> =>
      Effect.suspend(() => {
        let isAnswered = false
        const tryOnce: Effect.Effect<Next, unknown> = Effect.gen(function* () {
          const by = yield* askName(request)
          yield* terminal.display(prompt(request))
          const line = yield* terminal.readLine
          const answer = toAnswer(request, answers, line, by)
          if (answer === undefined) {
            yield* terminal.display(`  Please begin with y or n.\n`)
            return "again"
          }
          // The answer that settles a request interrupts its delivery, this one included.
          const result = yield* Effect.uninterruptible(
            Effect.tap(Effect.result(answer), (result) =>
              Effect.sync(() => {
                isAnswered = Result.isSuccess(result)
              })
            )
          )
          return yield* after(request, result)
        })
        const untilAnswered: Effect.Effect<Next, unknown> = Effect.flatMap(tryOnce, (next) =>
          next === "again" ? untilAnswered : Effect.succeed(next)
        )
        const withdrawn = Effect.flatMap(StaysOpen, (staysOpen) =>
          isAnswered
            ? Effect.void
            : terminal.display(`\n  ${staysOpen() ? "This stays open" : "No longer open"}: ${title(request)}\n`)
        )
        return Effect.flatMap(Clock.currentTimeMillis, (now) => terminal.display(header(request, now))).pipe(
          Effect.andThen(untilAnswered),
          Effect.onInterrupt(() => Effect.ignore(withdrawn))
        )
      })

    const closed = (request: HumanRequest) =>
      Effect.as(terminal.display(`\n  The terminal is closed; this stays open: ${title(request)}\n`), "done" as const)

    const deliver = (request: HumanRequest, answers: HumanChannel.Answers): Effect.Effect<void, unknown> =>
      Effect.flatMap(
        turn.withPermit(Effect.catchIf(ask(request, answers), Terminal.isQuitError, () => closed(request))),
        (next) => (next === "next-person" ? deliver(request, answers) : Effect.void)
      )

    return { deliver }
  })

/**
 * Asks in the terminal, as this person.
 *
 * **Example** (Always the same person)
 *
 * ```ts
 * import { Layer } from "effect"
 * import * as Channel from "effect-baton/HumanChannel"
 *
 * Layer.isLayer(Channel.layerConsoleWith({ by: "ada" })) // => true
 * ```
 */
export const layerConsoleWith = (options: ConsoleOptions): Layer.Layer<never, never, Terminal.Terminal> =>
  Layer.effect(HumanChannel.HumanChannel, makeConsole(options))

/**
 * Asks in the terminal.
 *
 * **Details**
 *
 * It shows the message, who may answer, how many must, and when the request expires; for an input the shape of what is
 * expected. Requests take their turn one after the other. An answer that is not accepted is asked for again, with what
 * is wrong about it; a request that is settled elsewhere is withdrawn. Where an approval needs names, it asks for one,
 * and after an answer for the next person's. When the terminal is closed (Ctrl-D), requests stay open for other ways.
 *
 * **Gotchas**
 *
 * It needs Effect's `Terminal`: provide `NodeServices.layer` of `@effect/platform-node`, or another platform's. Text of
 * a message that would steer the terminal is taken out.
 *
 * **Example** (A person at a terminal that is made up)
 *
 * ```ts
 * import { Effect, Layer, Queue, Terminal } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 * import * as Channel from "effect-baton/HumanChannel"
 *
 * const ask = Workflow.make("ask", {
 *   run: (question) => Effect.map(Execution.waitForApproval(question), (answer) => `${answer.approved}: ${answer.reason}`)
 * })
 * const terminal = Terminal.make({
 *   columns: Effect.succeed(80),
 *   rows: Effect.succeed(24),
 *   size: Queue.unbounded(),
 *   readInput: Queue.unbounded(),
 *   readLine: Effect.succeed("n, it is Friday"),
 *   display: () => Effect.void
 * })
 *
 * await Effect.runPromise(ask.execute("Deploy?").pipe(
 *   Effect.provide(Channel.layerConsole),
 *   Effect.provideService(Terminal.Terminal, terminal),
 *   Effect.provide(Engine.layerMemory)
 * )) // => "false: it is Friday"
 * ```
 */
export const layerConsole: Layer.Layer<never, never, Terminal.Terminal> = layerConsoleWith({})
