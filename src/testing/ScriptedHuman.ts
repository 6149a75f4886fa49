/**
 * People for tests, who answer what a script tells them to and remember what they were asked.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type { AnswerError, HumanRequest } from "../HumanRequest.ts"
import { show } from "../internal/schema.ts"
import * as HumanChannel from "../services/HumanChannel.ts"
import {
  type Entry,
  entries,
  left,
  matchesText,
  ScriptNotFollowed,
  shorten,
  type TextMatcher,
  take,
  unused
} from "./script.ts"

export { ScriptNotFollowed }

/** Which requests a line is for: text in the message, several conditions that must all hold, or a function. */
export type Matcher =
  | TextMatcher
  | {
      readonly message?: TextMatcher | undefined
      readonly kind?: HumanRequest["_tag"] | undefined
      readonly path?: TextMatcher | undefined
      readonly workflow?: string | undefined
    }
  | ((request: HumanRequest) => boolean)

/** What can be set for every line. */
export interface LineOptions {
  /** Which requests it is for. Default: approvals for `approve` and `reject`, inputs for `answer`, all for `silence`. */
  readonly when?: Matcher | undefined
  /** How long the person takes. Default: no time. */
  readonly after?: Duration.Input | undefined
  /** How often it is used; `Infinity` for any number of times, but once. Default: 1. */
  readonly times?: number | undefined
}

type Said =
  | { readonly _tag: "approve" | "reject"; readonly reason: string | undefined }
  | { readonly _tag: "answer"; readonly value: unknown }
  | { readonly _tag: "silence" }

/** A line of a script: what to answer, and to what. */
export interface Line {
  readonly title: string
  readonly when: Matcher | undefined
  readonly after: Duration.Input | undefined
  readonly times: number
  readonly said: Said
}

/** What one person does. */
export type Script = ReadonlyArray<Line>

/** One request as one person saw it. */
export interface Asked {
  readonly request: HumanRequest
  /** Who was asked; `undefined` for the person without a name. */
  readonly person: string | undefined
  /** What came of it; `"pending"` until the person has answered, `"withdrawn"` when somebody else was faster. */
  readonly outcome: "pending" | "approved" | "rejected" | "answered" | "withdrawn" | "not-scripted"
  /** The answers that were refused. */
  readonly refusals: ReadonlyArray<AnswerError>
}

/** People who follow a script. */
export interface ScriptedHuman {
  readonly channel: HumanChannel.HumanChannel
  /** Provides the channel. */
  readonly layer: Layer.Layer<never>
  /** What the people were asked, oldest first; a request that several people saw is there for each of them. */
  readonly asked: Effect.Effect<ReadonlyArray<Asked>>
  /** Fails unless every line was used, and every request found one with somebody. */
  readonly assertComplete: Effect.Effect<void, ScriptNotFollowed>
}

const line = (title: string, said: Said, options: LineOptions | undefined): Line => ({
  title: shorten(title),
  when: options?.when,
  after: options?.after,
  times: options?.times ?? 1,
  said
})

/**
 * A line that says yes.
 *
 * **Example** (Yes, after five minutes)
 *
 * ```ts
 * import { ScriptedHuman } from "effect-baton/testing"
 *
 * ScriptedHuman.approve({ when: "Deploy", after: "5 minutes" }).title // => "yes"
 * ```
 */
export const approve = (options?: LineOptions & { readonly reason?: string | undefined }): Line =>
  line("yes", { _tag: "approve", reason: options?.reason }, options)

/**
 * A line that says no.
 *
 * **Example** (No, and why)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 * import { ScriptedHuman } from "effect-baton/testing"
 *
 * const ask = Workflow.make("ask", {
 *   run: (question) => Effect.map(Execution.waitForApproval(question), (approval) => approval.reason ?? "")
 * })
 * const program = Effect.gen(function*() {
 *   const human = yield* ScriptedHuman.make([ScriptedHuman.reject({ reason: "too late" })])
 *   return yield* ask.execute("Sure?").pipe(Effect.provide([Engine.layerMemory, human.layer]))
 * })
 *
 * await Effect.runPromise(program) // => "too late"
 * ```
 */
export const reject = (options?: LineOptions & { readonly reason?: string | undefined }): Line =>
  line("no", { _tag: "reject", reason: options?.reason }, options)

/**
 * A line that gives a value, in its encoded form.
 *
 * **Example** (A correction)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 * import { ScriptedHuman } from "effect-baton/testing"
 *
 * const scale = Workflow.make("scale", { output: Schema.Int, run: () => Execution.waitForInput("How many?", Schema.Int) })
 * const program = Effect.gen(function*() {
 *   const human = yield* ScriptedHuman.make([ScriptedHuman.answer("many"), ScriptedHuman.answer(3)])
 *   const answer = yield* scale.execute("").pipe(Effect.provide([Engine.layerMemory, human.layer]))
 *   const [asked] = yield* human.asked
 *   return [answer, asked.refusals.map((error) => error._tag)]
 * })
 *
 * await Effect.runPromise(program) // => [3, ["InvalidAnswer"]]
 * ```
 */
export const answer = (value: unknown, options?: LineOptions): Line =>
  line(`answer ${show(value)}`, { _tag: "answer", value }, options)

/**
 * A line that never answers: the request is left to others, or to its timeout.
 *
 * **Example** (Nobody there)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 * import { ScriptedHuman } from "effect-baton/testing"
 *
 * const ask = Workflow.make("ask", {
 *   run: (question) => Effect.map(
 *     Execution.waitForApproval(question, { timeout: "10 millis" }),
 *     (approval) => `${approval.approved}: ${approval.reason}`
 *   )
 * })
 * const program = Effect.gen(function*() {
 *   const human = yield* ScriptedHuman.make([ScriptedHuman.silence()])
 *   return yield* ask.execute("Sure?").pipe(Effect.provide([Engine.layerMemory, human.layer]))
 * })
 *
 * await Effect.runPromise(program) // => "false: timeout"
 * ```
 */
export const silence = (options?: Omit<LineOptions, "after">): Line => line("silence", { _tag: "silence" }, options)

const fits =
  (request: HumanRequest) =>
  ({ said, when }: Line): boolean => {
    const kind = said._tag === "answer" ? "Input" : said._tag === "silence" ? undefined : "Approval"
    if (when === undefined) return kind === undefined || kind === request._tag
    if (Predicate.isFunction(when)) return when(request)
    if (Predicate.isString(when) || when instanceof RegExp) return matchesText(when, request.message)
    return (
      (when.message === undefined || matchesText(when.message, request.message)) &&
      (when.kind === undefined || when.kind === request._tag) &&
      (when.path === undefined || matchesText(when.path, request.path)) &&
      (when.workflow === undefined || when.workflow === request.workflow)
    )
  }

const describeRequest = (request: HumanRequest): string =>
  `${request._tag === "Approval" ? "approval" : "input"} ${JSON.stringify(shorten(request.message))} at "${request.path}" of ${request.workflow}`

interface Person {
  readonly name: string | undefined
  readonly script: ReadonlyArray<Entry<Line>>
}

const titles = ({ name, script }: Person, some: (script: Person["script"]) => Person["script"]) =>
  some(script).map((entry) => `${name === undefined ? "" : `${name}, `}${entry.position}: ${entry.line.title}`)

const outcomes = { approve: "approved", reject: "rejected", answer: "answered" } as const

/**
 * Makes people who follow a script: one without a name, or several by name.
 *
 * **Details**
 *
 * Every person sees every request, and takes the first line that is left and fits it; who has none keeps silent. An
 * answer that is refused, such as one that does not decode, is followed by the person's next line that fits. A request
 * that nobody has a line for is logged, stays open, and fails `assertComplete`; `silence` says that this is as it
 * should be. Time passes on the `Clock`. The state is this effect's: make new people for each test.
 *
 * **Example** (Two of three, answering out of order)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 * import { ScriptedHuman } from "effect-baton/testing"
 *
 * const release = Workflow.make("release", {
 *   run: (version) => Effect.map(
 *     Execution.waitForApproval(`Release ${version}?`, { approvers: ["ada", "alan", "grace"], requiredApprovals: 2 }),
 *     (approval) => `${approval.approved} by ${approval.approvedBy}`
 *   )
 * })
 * const program = Effect.gen(function*() {
 *   const humans = yield* ScriptedHuman.make({
 *     ada: [ScriptedHuman.approve({ when: "Release", after: "20 millis" })],
 *     alan: [ScriptedHuman.silence()],
 *     grace: [ScriptedHuman.approve()]
 *   })
 *   const result = yield* release.execute("1.0").pipe(Effect.provide([Engine.layerMemory, humans.layer]))
 *   yield* humans.assertComplete
 *   return result
 * })
 *
 * await Effect.runPromise(program) // => "true by ada"
 * ```
 */
export const make = (script: Script | { readonly [person: string]: Script }): Effect.Effect<ScriptedHuman> =>
  Effect.sync(() => {
    const people: ReadonlyArray<Person> = Array.isArray(script)
      ? [{ name: undefined, script: entries(script as Script) }]
      : Object.entries(script).map(([name, lines]) => ({ name, script: entries(lines) }))
    const asked: Array<{ -readonly [K in keyof Asked]: Asked[K] }> = []
    const unexpected: Array<string> = []

    /** What one person does about a request, from one line on. */
    const act = (
      seen: (typeof asked)[number],
      person: Person,
      line: Line,
      answers: HumanChannel.Answers
    ): Effect.Effect<void> => {
      const { said } = line
      if (said._tag === "silence") return Effect.never
      const by = person.name === undefined ? {} : { by: person.name }
      const give =
        said._tag === "answer"
          ? answers.answer(said.value, by)
          : answers[said._tag]({ ...by, ...(said.reason === undefined ? {} : { reason: said.reason }) })
      // The answer that settles a request interrupts its delivery, this one included.
      const answer = Effect.uninterruptible(
        Effect.match(give, {
          onSuccess: () => void (seen.outcome = outcomes[said._tag]),
          onFailure: (error) => {
            seen.refusals = [...seen.refusals, error]
            return error._tag === "RequestSettled" ? undefined : take(person.script, fits(seen.request))
          }
        })
      )
      return Effect.flatMap(
        line.after === undefined ? answer : Effect.andThen(Effect.sleep(line.after), answer),
        (next) => (next === undefined ? Effect.void : act(seen, person, next.line, answers))
      )
    }

    const show = (person: Person, request: HumanRequest, answers: HumanChannel.Answers): Effect.Effect<boolean> =>
      Effect.suspend(() => {
        const seen: (typeof asked)[number] = { request, person: person.name, outcome: "pending", refusals: [] }
        asked.push(seen)
        const entry = take(person.script, fits(request))
        if (entry === undefined) {
          seen.outcome = "not-scripted"
          return Effect.succeed(false)
        }
        return Effect.as(
          Effect.onInterrupt(act(seen, person, entry.line, answers), () =>
            Effect.sync(() => {
              if (seen.outcome === "pending") seen.outcome = "withdrawn"
            })
          ),
          true
        )
      })

    const channel: HumanChannel.HumanChannel = {
      deliver: (request, answers) =>
        Effect.flatMap(
          Effect.forEach(people, (person) => show(person, request, answers), { concurrency: "unbounded" }),
          (answered) => {
            if (answered.includes(true)) return Effect.void
            unexpected.push(describeRequest(request))
            const rest = people.flatMap((person) => titles(person, left))
            return Effect.die(
              new Error(
                [
                  `Nobody's script has an answer to ${describeRequest(request)}`,
                  ...(rest.length === 0 ? ["nothing: every line is used"] : rest).map((l) => `  still scripted: ${l}`)
                ].join("\n")
              )
            )
          }
        )
    }

    return {
      channel,
      layer: HumanChannel.layer(channel),
      asked: Effect.sync(() => asked.map((seen) => ({ ...seen }))),
      assertComplete: Effect.suspend(() => {
        const missing = people.flatMap((person) => titles(person, unused))
        return missing.length === 0 && unexpected.length === 0
          ? Effect.void
          : Effect.fail(
              new ScriptNotFollowed({
                of: people.length === 1 && people[0]!.name === undefined ? "human" : "humans",
                unused: missing,
                unexpected: [...unexpected]
              })
            )
      })
    }
  })

/**
 * People that follow a script, where nobody looks at what they were asked: see `make`.
 *
 * **Example** (Somebody who says yes)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 * import { ScriptedHuman } from "effect-baton/testing"
 *
 * const asks = Workflow.make("asks", {
 *   run: (question) => Effect.map(Execution.waitForApproval(question), ({ approved }) => String(approved))
 * })
 *
 * await Effect.runPromise(asks.execute("Sure?").pipe(
 *   Effect.provide([Engine.layerMemory, ScriptedHuman.layer([ScriptedHuman.approve()])])
 * )) // => "true"
 * ```
 */
export const layer = (script: Script | { readonly [person: string]: Script }): Layer.Layer<never> =>
  Layer.unwrap(Effect.map(make(script), (humans) => humans.layer))
