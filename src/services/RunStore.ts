/**
 * Records and events of runs, to be listed, found and paged after the fact.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { Event } from "../Event.ts"
import { MemoryStore } from "../internal/memoryStore.ts"
import { RunStatus } from "../Run.ts"
import { ReplayMismatch } from "./Engine.ts"

/**
 * What is kept of a run, and what an engine says of an execution in a list.
 *
 * **Example** (Checking a record)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { RunStore } from "effect-baton"
 *
 * Schema.is(RunStore.RunRecord)({ id: "run_1", workflow: "deploy", status: "failed", tags: [], startedAt: new Date(0) }) // => true
 * ```
 */
export const RunRecord = Schema.Struct({
  id: Schema.String,
  workflow: Schema.String,
  status: RunStatus,
  tags: Schema.Array(Schema.String),
  parentId: Schema.optionalKey(Schema.String),
  startedAt: Schema.Date,
  settledAt: Schema.optionalKey(Schema.Date),
  /** Why a durable run can not go on with the code that is registered. */
  held: Schema.optionalKey(ReplayMismatch)
})

/** What is kept of a run, and what an engine says of an execution in a list. */
export interface RunRecord extends Schema.Schema.Type<typeof RunRecord> {}

/** Which runs are meant; every condition must hold. */
export interface Filter {
  readonly workflow?: string | undefined
  readonly status?: RunStatus | ReadonlyArray<RunStatus> | undefined
  readonly tag?: string | undefined
  readonly parentId?: string | undefined
  /** Started at this time or later. */
  readonly startedFrom?: Date | undefined
  /** Started before this time. */
  readonly startedBefore?: Date | undefined
}

/** Which runs to find, and how many of them. */
export interface Query extends Filter {
  /** How many runs make a page, a whole number from 1 up. Default: 50. */
  readonly limit?: number | undefined
  /** Where the page before ended. Default: the first page. */
  readonly cursor?: string | undefined
}

/** One page of runs, the latest start first; of those that started together the greatest id first. */
export interface Page {
  readonly runs: ReadonlyArray<RunRecord>
  /** Where the next page begins; absent on the last one. */
  readonly cursor?: string
}

/** Which events of a run to read. */
export interface EventsOptions {
  /** The first sequence number. Default: 1. */
  readonly from?: number | undefined
  /** How many at most, a whole number from 1 up. Default: 1000. */
  readonly limit?: number | undefined
}

/**
 * Records and events of runs.
 *
 * **Details**
 *
 * Where one is provided to an engine, the engine writes there what changes. What a store promises is in
 * `RunStoreContract` of `effect-baton/testing`.
 *
 * **Example** (Finding runs after the fact)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Engine, RunStore, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * const program = Effect.gen(function*() {
 *   yield* echo.execute("hi", { tags: ["demo"] })
 *   const engine = yield* Engine.Engine
 *   yield* engine.shutdown
 *   const { runs } = yield* RunStore.find({ tag: "demo" })
 *   return runs.map((run) => `${run.workflow} ${run.status}`)
 * })
 *
 * await Effect.runPromise(program.pipe(
 *   Effect.provide(Layer.provideMerge(Engine.layerMemory, RunStore.layerMemory))
 * )) // => ["echo completed"]
 * ```
 */
export class RunStore extends Context.Service<
  RunStore,
  {
    /** Writes a record, over the one with the same id. */
    readonly put: (record: RunRecord) => Effect.Effect<void, RunStoreError>
    /** Appends events to a run that was put; those whose sequence number is there already are left as they are. */
    readonly append: (id: string, events: ReadonlyArray<Event>) => Effect.Effect<void, RunStoreError>
    readonly get: (id: string) => Effect.Effect<RunRecord, RunNotFound | RunStoreError>
    /** A page of runs. A cursor that is none and a limit below 1 are a `RunStoreError`. */
    readonly find: (query?: Query) => Effect.Effect<Page, RunStoreError>
    /** The events of a run, by sequence number. */
    readonly events: (
      id: string,
      options?: EventsOptions
    ) => Effect.Effect<ReadonlyArray<Event>, RunNotFound | RunStoreError>
    /** Forgets a run and its events; one that is not there is no error. */
    readonly remove: (id: string) => Effect.Effect<void, RunStoreError>
  }
>()("effect-baton/services/RunStore") {}

/**
 * No run with this id is in the store.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { RunStore } from "effect-baton"
 *
 * new RunStore.RunNotFound({ id: "run_1" }).message // => 'No run "run_1" is in the store: check the id, or look for it with RunStore.find'
 * ```
 */
export class RunNotFound extends Schema.TaggedError<RunNotFound>("effect-baton/RunStore/RunNotFound")("RunNotFound", {
  id: Schema.String
}) {
  override get message(): string {
    return `No run "${this.id}" is in the store: check the id, or look for it with RunStore.find`
  }
}

/**
 * The store could not do its work.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { RunStore } from "effect-baton"
 *
 * new RunStore.RunStoreError({ operation: "find", reason: "the database is locked", isRetryable: true }).message // => "The run store failed to find: the database is locked; try again"
 * ```
 */
export class RunStoreError extends Schema.TaggedError<RunStoreError>("effect-baton/RunStore/RunStoreError")(
  "RunStoreError",
  {
    operation: Schema.Literals(["put", "append", "get", "find", "events", "remove"]),
    reason: Schema.String,
    isRetryable: Schema.Boolean
  }
) {
  override get message(): string {
    return `The run store failed to ${this.operation}: ${this.reason}; ${this.isRetryable ? "try again" : "trying again will not help"}`
  }
}

// -- access -------------------------------------------------------------------

/**
 * Writes a record, over the one with the same id.
 *
 * **Example** (A record by hand)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RunStore } from "effect-baton"
 *
 * const program = Effect.gen(function*() {
 *   yield* RunStore.put({ id: "run_1", workflow: "deploy", status: "completed", tags: [], startedAt: new Date(0) })
 *   return (yield* RunStore.get("run_1")).status
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(RunStore.layerMemory))) // => "completed"
 * ```
 */
export const put = (record: RunRecord): Effect.Effect<void, RunStoreError, RunStore> =>
  Effect.flatMap(RunStore, (store) => store.put(record))

/**
 * Appends events to a run that was put; those whose sequence number is there already are left as they are.
 *
 * **Example** (Twice is once)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { type Event, RunStore } from "effect-baton"
 *
 * const event: Event.Event = { _tag: "RunCompleted", sequence: 1, time: new Date(0), path: "" }
 * const program = Effect.gen(function*() {
 *   yield* RunStore.put({ id: "run_1", workflow: "deploy", status: "completed", tags: [], startedAt: new Date(0) })
 *   yield* RunStore.append("run_1", [event])
 *   yield* RunStore.append("run_1", [event])
 *   return (yield* RunStore.events("run_1")).length
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(RunStore.layerMemory))) // => 1
 * ```
 */
export const append = (id: string, events: ReadonlyArray<Event>): Effect.Effect<void, RunStoreError, RunStore> =>
  Effect.flatMap(RunStore, (store) => store.append(id, events))

/**
 * The record of a run.
 *
 * **Example** (An unknown id)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RunStore } from "effect-baton"
 *
 * const program = Effect.flip(RunStore.get("run_nope"))
 *
 * const error = await Effect.runPromise(program.pipe(Effect.provide(RunStore.layerMemory)))
 * error._tag // => "RunNotFound"
 * ```
 */
export const get = (id: string): Effect.Effect<RunRecord, RunNotFound | RunStoreError, RunStore> =>
  Effect.flatMap(RunStore, (store) => store.get(id))

/**
 * One page of the runs that fit a query, the latest start first.
 *
 * **Details**
 *
 * Pages are stable: runs that start or go while somebody turns the pages neither repeat nor hide another one.
 *
 * **Example** (Turning the page)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RunStore } from "effect-baton"
 *
 * const program = Effect.gen(function*() {
 *   for (const n of [1, 2, 3]) {
 *     yield* RunStore.put({ id: `run_${n}`, workflow: "deploy", status: "failed", tags: [], startedAt: new Date(n) })
 *   }
 *   const first = yield* RunStore.find({ status: ["failed", "cancelled"], limit: 2 })
 *   const second = yield* RunStore.find({ status: ["failed", "cancelled"], limit: 2, cursor: first.cursor })
 *   return [first, second].map((page) => page.runs.map((run) => run.id))
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(RunStore.layerMemory))) // => [["run_3", "run_2"], ["run_1"]]
 * ```
 */
export const find = (query?: Query): Effect.Effect<Page, RunStoreError, RunStore> =>
  Effect.flatMap(RunStore, (store) => store.find(query))

/**
 * The events of a run, by sequence number.
 *
 * **Example** (From the third on)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { type Event, RunStore } from "effect-baton"
 *
 * const event = (sequence: number): Event.Event => ({ _tag: "Paused", sequence, time: new Date(0), path: "" })
 * const program = Effect.gen(function*() {
 *   yield* RunStore.put({ id: "run_1", workflow: "deploy", status: "awaiting", tags: [], startedAt: new Date(0) })
 *   yield* RunStore.append("run_1", [1, 2, 3, 4].map(event))
 *   return (yield* RunStore.events("run_1", { from: 3 })).map((event) => event.sequence)
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(RunStore.layerMemory))) // => [3, 4]
 * ```
 */
export const events = (
  id: string,
  options?: EventsOptions
): Effect.Effect<ReadonlyArray<Event>, RunNotFound | RunStoreError, RunStore> =>
  Effect.flatMap(RunStore, (store) => store.events(id, options))

/**
 * Forgets a run and its events.
 *
 * **Example** (Gone)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RunStore } from "effect-baton"
 *
 * const program = Effect.gen(function*() {
 *   yield* RunStore.put({ id: "run_1", workflow: "deploy", status: "completed", tags: [], startedAt: new Date(0) })
 *   yield* RunStore.remove("run_1")
 *   return (yield* RunStore.find()).runs
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(RunStore.layerMemory))) // => []
 * ```
 */
export const remove = (id: string): Effect.Effect<void, RunStoreError, RunStore> =>
  Effect.flatMap(RunStore, (store) => store.remove(id))

// -- memory -------------------------------------------------------------------

/** Settings of the memory store. */
export interface MemoryOptions {
  /** How many settled runs are kept; those that settled first go first. Default: 1000. */
  readonly keepSettled?: number | undefined
  /** How many events are kept of a run, the newest. Default: 10000. */
  readonly keepEvents?: number | undefined
}

/**
 * A store in memory, with settings.
 *
 * **Example** (A short memory)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RunStore } from "effect-baton"
 *
 * const program = Effect.gen(function*() {
 *   for (const id of ["run_1", "run_2"]) {
 *     yield* RunStore.put({ id, workflow: "deploy", status: "completed", tags: [], startedAt: new Date(0), settledAt: new Date(1) })
 *   }
 *   return (yield* RunStore.find()).runs.map((run) => run.id)
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(RunStore.layerMemoryWith({ keepSettled: 1 })))) // => ["run_2"]
 * ```
 */
export const layerMemoryWith = (options: MemoryOptions): Layer.Layer<RunStore> =>
  Layer.sync(RunStore, () => {
    const store = new MemoryStore(options.keepSettled ?? 1000, options.keepEvents ?? 10_000)
    const failed = (operation: RunStoreError["operation"], reason: string) =>
      Effect.fail(new RunStoreError({ operation, reason, isRetryable: false }))
    const invalidLimit = (limit: number | undefined) =>
      limit === undefined || (Number.isInteger(limit) && limit >= 1)
        ? undefined
        : `the limit ${limit} is not a whole number from 1 up`
    return RunStore.of({
      put: (record) => Effect.sync(() => store.put(record)),
      append: (id, events) =>
        Effect.suspend(() =>
          store.append(id, events) ? Effect.void : failed("append", `no run "${id}" was put before its events`)
        ),
      get: (id) =>
        Effect.suspend(() => {
          const record = store.get(id)
          return record === undefined ? Effect.fail(new RunNotFound({ id })) : Effect.succeed(record)
        }),
      find: (query = {}) =>
        Effect.suspend(() => {
          const invalid = invalidLimit(query.limit)
          if (invalid !== undefined) return failed("find", invalid)
          const page = store.find(query, query.limit ?? 50)
          return page === undefined ? failed("find", `"${query.cursor}" is not a cursor`) : Effect.succeed(page)
        }),
      events: (id, options = {}) =>
        Effect.suspend((): Effect.Effect<ReadonlyArray<Event>, RunNotFound | RunStoreError> => {
          const invalid = invalidLimit(options.limit)
          if (invalid !== undefined) return failed("events", invalid)
          const events = store.events(id, options.from ?? 1, options.limit ?? 1000)
          return events === undefined ? Effect.fail(new RunNotFound({ id })) : Effect.succeed(events)
        }),
      remove: (id) => Effect.sync(() => store.remove(id))
    })
  })

/**
 * A store in memory: all live runs, the last 1000 that settled, and the newest 10000 events of each.
 *
 * **Details**
 *
 * Where events were dropped, one `EventsDropped` stands for them under the number of the last.
 *
 * **Example** (An empty store)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RunStore } from "effect-baton"
 *
 * await Effect.runPromise(RunStore.find().pipe(Effect.provide(RunStore.layerMemory))) // => { runs: [] }
 * ```
 */
export const layerMemory: Layer.Layer<RunStore> = layerMemoryWith({})
