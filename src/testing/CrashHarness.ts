/**
 * Crashes a run at every write it makes, lets it go on, and compares what comes of it with a run that nobody disturbed.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Event } from "../Event.ts"
import type { Execution } from "../Execution.ts"
import type { Frame } from "../internal/frame.ts"
import { type Interceptor as Intercept, Interceptor } from "../internal/intercept.ts"
import { show } from "../internal/schema.ts"
import type { RunOptions } from "../Run.ts"
import type { Engine } from "../services/Engine.ts"
import type { Workflow } from "../Workflow.ts"

/**
 * A run that crashed did not come to what one came to that nobody disturbed.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { CrashHarness } from "effect-baton/testing"
 *
 * new CrashHarness.CrashMismatch({ at: "before write 3", what: "the output", expected: '"done"', actual: '"twice"' }).message // => 'After a crash before write 3, the output: expected "done", found "twice"'
 * ```
 */
export class CrashMismatch extends Schema.TaggedError<CrashMismatch>("effect-baton/testing/CrashMismatch")(
  "CrashMismatch",
  { at: Schema.String, what: Schema.String, expected: Schema.String, actual: Schema.String }
) {
  override get message(): string {
    return `After a crash ${this.at}, ${this.what}: expected ${this.expected}, found ${this.actual}`
  }
}

/** Settings of a check. */
export interface Options<Output, Error, R> {
  /** Options of the runs. Default: none. */
  readonly options?: Omit<RunOptions<Output, Error>, "id"> | undefined
  /**
   * What people and programs do to the run from outside, such as answering its requests. Begun again after each crash,
   * interrupted when the run settles; it should do what is still to be done. That there is nothing left to do (the run or
   * the request has settled, the person has answered) ends it; any other failure is a defect. Default: nothing.
   */
  readonly during?: ((execution: Execution<Output, Error>) => Effect.Effect<unknown, unknown, R>) | undefined
  /** Which writes to crash at. Default: all. */
  readonly at?: ((write: number) => boolean) | undefined
  /** How many more times to crash right after the restart, at its first writes. Default: 0. */
  readonly again?: number | undefined
  /** Whether events must come in the same order; else the same events in each place. Default: `true`. */
  readonly ordered?: boolean | undefined
  /** The URL of a PostgreSQL database to run on; what it did stays there. Default: a SQLite file of its own for each run. */
  readonly url?: string | undefined
}

/** What was found. */
export interface Report {
  /** How many crashes there were. */
  readonly crashes: number
  /** How many writes a run makes that nobody disturbs. */
  readonly writes: number
  /** The events of the run that nobody disturbed. */
  readonly events: ReadonlyArray<Event>
}

/** What one run came to, over all its lives. */
interface Outcome {
  readonly exit: Exit.Exit<unknown, unknown>
  readonly events: ReadonlyArray<Event>
  /** Steps that ran again although their end was recorded. */
  readonly repeated: ReadonlyArray<string>
  readonly writes: number
  readonly crashes: number
}

/** An event without what differs from run to run. */
const normal = (event: Event): string => {
  const { sequence: _sequence, time: _time, ...rest } = event
  return JSON.stringify(rest, (key, value) =>
    key === "durationMillis" || key === "afterMillis" ? undefined : typeof value === "string" ? anonymous(value) : value
  )
}

/** Ids of children are made up. */
const anonymous = (text: string): string => text.replace(/run_[0-9a-z]{20,}/g, "run_")

const inOrder = (events: ReadonlyArray<Event>): string => events.map(normal).join("\n")

const byPlace = (events: ReadonlyArray<Event>): string =>
  Object.entries(Object.groupBy(events, (event) => event.path))
    .map(([path, events]) => `${path}: ${events!.map(normal).join(" ")}`)
    .sort()
    .join("\n")

/** The first line that differs. */
const difference = (expected: string, actual: string): readonly [expected: string, actual: string] => {
  const a = expected.split("\n")
  const b = actual.split("\n")
  const i = a.findIndex((line, i) => line !== b[i])
  return i < 0 ? ["nothing more", b[a.length] ?? ""] : [a[i], b[i] ?? "nothing"]
}

/**
 * Runs a workflow on SQLite or PostgreSQL, crashes it before and after every write, lets a new engine go on, and compares outcome,
 * events and steps with a run that nobody disturbed.
 *
 * **Details**
 *
 * The crash is as a process dies: nothing more is written, nobody is told anything, and another engine opens the same
 * database. A step whose end is recorded must not run again; events must come in the same order, without a gap. Fails with
 * `CrashMismatch` that says where the crash was, what was expected and what was found.
 *
 * **Gotchas**
 *
 * It takes as many runs as two times the writes of one. Time is the clock's: use short
 * delays and a live clock. Bodies have to be deterministic between their steps, as everywhere where runs are durable.
 *
 * **Example** (A workflow that survives every crash)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Step, Workflow } from "effect-baton"
 * import { CrashHarness } from "effect-baton/testing"
 *
 * const order = Workflow.make("order", {
 *   run: Effect.fnUntraced(function*(item) {
 *     const paid = yield* Step.make("pay", { run: Effect.succeed(`paid ${item}`) })
 *     return yield* Step.make("ship", { run: Effect.succeed(`${paid}, shipped`) })
 *   })
 * })
 *
 * const report = await Effect.runPromise(CrashHarness.check(order, "tea"))
 * report.crashes === 2 * report.writes // => true
 * ```
 *
 * **Example** (With a person in it)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Execution, Step, Workflow } from "effect-baton"
 * import { CrashHarness } from "effect-baton/testing"
 *
 * const publish = Workflow.make("publish", {
 *   run: Effect.fnUntraced(function*(title) {
 *     const draft = yield* Step.make("write", { run: Effect.succeed(`${title}, 2000 words`) })
 *     const approval = yield* Execution.waitForApproval(`Publish ${draft}?`)
 *     return approval.approved ? "out" : "thrown away"
 *   })
 * })
 *
 * const report = await Effect.runPromise(CrashHarness.check(publish, "On teapots", {
 *   during: (execution) =>
 *     Effect.flatMap(Execution.nextRequest(execution), (request) => execution.approve(request.id, { by: "ada" })),
 *   at: (write) => write <= 4
 * }))
 *
 * report.crashes // => 8
 * ```
 */
export const check = <Input, Output, Error, R, R2 = never>(
  workflow: Workflow<Input, Output, Error, R>,
  input: Input,
  options: Options<Output, Error, R2> = {}
): Effect.Effect<Report, CrashMismatch, Exclude<R | R2, Engine>> =>
  Effect.gen(function* () {
    const undisturbed = yield* life(workflow, input, options, [])
    const shape = options.ordered === false ? byPlace : inOrder
    const expected = shape(undisturbed.events)
    let crashes = 0
    for (let write = 1; write <= undisturbed.writes; write++) {
      if (options.at?.(write) === false) continue
      for (const where of ["before", "after"] as const) {
        const at = `${where} write ${write}`
        const again = Array.from({ length: options.again ?? 0 }, (_, i) => ({ write: i + 1, where }))
        const outcome = yield* life(workflow, input, options, [{ write, where }, ...again])
        crashes += outcome.crashes
        const fail = (what: string, [expected, actual]: readonly [expected: string, actual: string]) =>
          new CrashMismatch({ at, what, expected, actual })
        if (outcome.repeated.length > 0) {
          return yield* fail("recorded steps that ran again", ["none", outcome.repeated.join(", ")])
        }
        const [a, b] = [undisturbed.exit, outcome.exit].map((exit) => anonymous(show(toShown(exit), 10_000)))
        if (a !== b) return yield* fail("the outcome", [a, b])
        const numbers = outcome.events.findIndex((event, i) => event.sequence !== i + 1)
        if (numbers >= 0) {
          return yield* fail("the numbers of the events", [`${numbers + 1}`, `${outcome.events[numbers].sequence}`])
        }
        const actual = shape(outcome.events)
        if (actual !== expected) return yield* fail("the events", difference(expected, actual))
      }
    }
    return { crashes, writes: undisturbed.writes, events: undisturbed.events }
  })

const toShown = (exit: Exit.Exit<unknown, unknown>): unknown =>
  exit._tag === "Success"
    ? { success: exit.value }
    : { failure: exit.cause.reasons.map((reason) => ("error" in reason ? reason.error : String(reason))) }

const makeLayer = (url: string | undefined, filename: string) =>
  Effect.promise(async () => {
    if (url === undefined)
      return (await import("../engines/durable/layer.ts")).layerSqlite({ filename, idle: "1 hour" })
    const { layerPostgres } = await import("../engines/durable/postgres.ts")
    return layerPostgres({ url, idle: "1 hour", pollInterval: "20 millis", maxConnections: 5 })
  })

/** Begun again after a crash, it may come to what it did before. */
const asFarAsNeeded = <R>(during: Effect.Effect<unknown, unknown, R>): Effect.Effect<unknown, never, R> =>
  Effect.catch(during, (error) =>
    Predicate.hasProperty(error, "_tag") && done.has(error._tag) ? Effect.void : Effect.die(error)
  )

const done = new Set<unknown>(["RunSettled", "RequestSettled", "AlreadyAnswered"])

/** One run from its start to its end, over as many engines as there are crashes. */
const life = <Input, Output, Error, R, R2>(
  workflow: Workflow<Input, Output, Error, R>,
  input: Input,
  options: Options<Output, Error, R2>,
  strikes: ReadonlyArray<{ readonly write: number; readonly where: "before" | "after" }>
): Effect.Effect<Outcome, never, Exclude<R | R2, Engine>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { liveOn, temporaryFile } = yield* Effect.promise(() => import("../engines/durable/crash.ts"))
      const layer = yield* makeLayer(options.url, yield* temporaryFile)
      // It reads like one that was made up, and those are not compared.
      const id = `run_crash${(yield* Effect.replicateEffect(Random.nextIntBetween(0, 9), 20)).join("")}`
      const recorded = new Set<string>()
      const repeated: Array<string> = []
      let crashes = 0
      const watching: Intercept = (run, frame: Frame) =>
        Effect.suspend(() => {
          const { attempt, id, workflow } = frame.execution
          const place = `${workflow}:${frame.path}@${attempt} of ${id}`
          if (recorded.has(place)) repeated.push(place)
          return run
        })
      const once = Effect.gen(function* () {
        const run = yield* workflow.run(input, { ...options.options, id } as RunOptions<Output, Error>)
        const execution = yield* run.start
        const during = options.during
        if (during === undefined) yield* execution.exit
        else yield* Effect.raceFirst(execution.exit, Effect.andThen(asFarAsNeeded(during(execution)), Effect.never))
        const events = yield* Stream.runCollect(execution.events)
        return { exit: yield* execution.exit, events }
      }).pipe(Effect.provideService(Interceptor, watching))
      for (let n = 0; ; n++) {
        const strike = strikes[n]
        const fault =
          strike === undefined ? undefined : (write: number) => (write === strike.write ? strike.where : undefined)
        const { crashed, completed, result, writes } = yield* liveOn(layer, fault, once, id)
        if (result !== undefined && !crashed) return { ...result, repeated, writes, crashes }
        if (crashed) crashes++
        for (const place of completed) recorded.add(place)
      }
    })
    // What a body fails with has been looked at; anything else is a defect of the test.
  ) as unknown as Effect.Effect<Outcome, never, Exclude<R | R2, Engine>>
