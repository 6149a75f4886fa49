/**
 * What every `RunStore` promises, as checks that any implementation can run.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Event } from "../Event.ts"
import { ReplayMismatch } from "../services/Engine.ts"
import * as RunStore from "../services/RunStore.ts"
import type { Check } from "./Check.ts"
import { equal, failsWith, holds } from "./expect.ts"
import { everyEvent } from "./samples.ts"

type Store = (typeof RunStore.RunStore)["Service"]

const record = (
  id: string,
  startedMillis: number,
  more?: Partial<Omit<RunStore.RunRecord, "id" | "startedAt">>
): RunStore.RunRecord => ({
  id,
  workflow: "deploy",
  status: "in-progress",
  tags: [],
  startedAt: new Date(startedMillis),
  ...more
})

const paused = (sequence: number, path = ""): Event => ({ _tag: "Paused", sequence, time: new Date(sequence), path })

const range = (n: number, from = 1) => Array.from({ length: n }, (_, i) => i + from)

const ids = (page: RunStore.Page): ReadonlyArray<string> => page.runs.map((run) => run.id)

/** All pages of a query, each as its ids. */
const turn = (store: Store, query: RunStore.Query, between: Effect.Effect<unknown, unknown> = Effect.void) =>
  Effect.gen(function* () {
    const pages: Array<ReadonlyArray<string>> = []
    let cursor: string | undefined
    do {
      const page: RunStore.Page = yield* store.find({ ...query, cursor })
      pages.push(ids(page))
      cursor = page.cursor
      if (cursor !== undefined) yield* between
    } while (cursor !== undefined && pages.length < 1000)
    return pages
  })

const checks: Record<string, (store: Store) => Effect.Effect<void, unknown>> = {
  "a record comes back as it was put": (store) =>
    Effect.gen(function* () {
      const bare = record("bare", 0)
      const full = record("full", 1, {
        status: "failed",
        tags: ["a", "b"],
        parentId: "bare",
        settledAt: new Date("2024-02-29T12:34:56.789Z"),
        held: new ReplayMismatch({ path: "plan", expected: "a number", found: '"two"' })
      })
      yield* store.put(bare)
      yield* store.put(full)
      yield* equal("the bare record", yield* store.get("bare"), bare)
      yield* equal("the full record", yield* store.get("full"), full)
      yield* equal("both", (yield* store.find()).runs, [full, bare])
    }),

  "ids, names, tags and texts may hold any characters": (store) =>
    Effect.gen(function* () {
      const odd = [`it's`, `"quoted"`, "100%", "a_b", "a\\b", "line\nbreak", "𝄞 ünï", "a.b", "a b", "null", "1", ""]
      for (const [i, text] of odd.entries()) {
        yield* store.put(record(`id ${text}`, i, { workflow: text, tags: [text], parentId: text }))
        yield* store.append(`id ${text}`, [paused(1, text)])
      }
      for (const text of odd) {
        yield* equal(`the run of workflow ${text}`, ids(yield* store.find({ workflow: text })), [`id ${text}`])
        yield* equal(`the run with tag ${text}`, ids(yield* store.find({ tag: text })), [`id ${text}`])
        yield* equal(`the run with parent ${text}`, ids(yield* store.find({ parentId: text })), [`id ${text}`])
        yield* equal(`the events of ${text}`, yield* store.events(`id ${text}`), [paused(1, text)])
      }
      const pages = yield* turn(store, { limit: 1 })
      yield* equal("all of them, page by page", pages.flat(), odd.map((text) => `id ${text}`).reverse())
    }),

  "a record is written over the one with its id, and its events stay": (store) =>
    Effect.gen(function* () {
      yield* store.put(record("a", 0, { tags: ["old"] }))
      yield* store.append("a", [paused(1)])
      const done = record("a", 0, { status: "completed", tags: ["new"], settledAt: new Date(5) })
      yield* store.put(done)
      yield* equal("the record", yield* store.get("a"), done)
      yield* equal("the runs", ids(yield* store.find()), ["a"])
      yield* equal("the runs with the old tag", ids(yield* store.find({ tag: "old" })), [])
      yield* equal("the events", yield* store.events("a"), [paused(1)])
      // A run that is retried lives again.
      yield* store.put(record("a", 0))
      yield* equal("the record", yield* store.get("a"), record("a", 0))
    }),

  "an unknown run is RunNotFound": (store) =>
    Effect.gen(function* () {
      const got = yield* failsWith("get", "RunNotFound", store.get("nope"))
      yield* equal("the id", got.id, "nope")
      yield* failsWith("events", "RunNotFound", store.events("nope"))
    }),

  "runs are found latest start first, and those that started together by id": (store) =>
    Effect.gen(function* () {
      for (const [id, millis] of [
        ["b", 10],
        ["a", 10],
        ["late", 20],
        ["c", 10],
        ["early", 0]
      ] as const)
        yield* store.put(record(id, millis))
      yield* equal("the order", ids(yield* store.find()), ["late", "c", "b", "a", "early"])
      // An update does not move a run.
      yield* store.put(record("early", 0, { status: "completed", settledAt: new Date(100) }))
      yield* equal("the order after an update", ids(yield* store.find()), ["late", "c", "b", "a", "early"])
    }),

  "every condition of a query must hold": (store) =>
    Effect.gen(function* () {
      yield* store.put(record("1", 1, { workflow: "ship", status: "completed", tags: ["x"] }))
      yield* store.put(record("2", 2, { status: "failed", tags: ["x", "y"], parentId: "1" }))
      yield* store.put(record("3", 3, { status: "cancelled", tags: ["xy"], parentId: "1" }))
      yield* store.put(record("4", 4, { status: "awaiting", tags: ["y"] }))
      const found = (query: RunStore.Query, expected: ReadonlyArray<string>) =>
        Effect.flatMap(store.find(query), (page) =>
          equal(`runs that fit ${JSON.stringify(query)}`, ids(page), expected)
        )
      yield* found({}, ["4", "3", "2", "1"])
      yield* found({ workflow: "deploy" }, ["4", "3", "2"])
      yield* found({ workflow: "dep" }, [])
      yield* found({ status: "failed" }, ["2"])
      yield* found({ status: ["failed", "completed"] }, ["2", "1"])
      yield* found({ status: [] }, [])
      yield* found({ tag: "x" }, ["2", "1"])
      yield* found({ tag: "y" }, ["4", "2"])
      yield* found({ parentId: "1" }, ["3", "2"])
      yield* found({ startedFrom: new Date(2) }, ["4", "3", "2"])
      yield* found({ startedBefore: new Date(3) }, ["2", "1"])
      yield* found({ startedFrom: new Date(2), startedBefore: new Date(4) }, ["3", "2"])
      yield* found({ tag: "x", parentId: "1", status: ["failed", "cancelled"], workflow: "deploy" }, ["2"])
      yield* found({ tag: "x", status: "awaiting" }, [])
      const none = yield* store.find({ workflow: "none" })
      yield* holds("an empty page has no cursor", none.cursor === undefined, none)
    }),

  "pages hold what was asked for, each run once, and the last one has no cursor": (store) =>
    Effect.gen(function* () {
      for (const n of range(7))
        yield* store.put(record(`run ${n}`, Math.floor(n / 3), { tags: [n % 2 ? "odd" : "even"] }))
      const all = ids(yield* store.find())
      for (const limit of [1, 2, 3, 7, 8]) {
        const pages = yield* turn(store, { limit })
        yield* equal(`all pages of ${limit}`, pages.flat(), all)
        yield* equal(`how many pages of ${limit}`, pages.length, Math.ceil(7 / limit))
      }
      yield* equal("pages of a query", yield* turn(store, { tag: "odd", limit: 2 }), [
        ["run 7", "run 5"],
        ["run 3", "run 1"]
      ])
    }),

  "a page has at most 50 runs unless the query says otherwise": (store) =>
    Effect.gen(function* () {
      for (const n of range(51)) yield* store.put(record(`run ${n}`, n))
      const page = yield* store.find()
      yield* equal("the runs of a page", page.runs.length, 50)
      yield* equal("what is left", ids(yield* store.find({ cursor: page.cursor })), ["run 1"])
    }),

  "pages stay what they are while runs come, change and go": (store) =>
    Effect.gen(function* () {
      for (const n of range(6)) yield* store.put(record(`run ${n}`, 10))
      let turns = 0
      const between = Effect.gen(function* () {
        turns++
        yield* store.put(record(`new ${turns}`, 20 + turns))
        yield* store.put(record("run 1", 10, { status: "completed", settledAt: new Date(30) }))
        // The run that the cursor stands on goes too.
        yield* store.remove(turns === 1 ? "run 5" : "run 3")
      })
      yield* equal("the pages", yield* turn(store, { limit: 2 }, between), [
        ["run 6", "run 5"],
        ["run 4", "run 3"],
        ["run 2", "run 1"]
      ])
    }),

  "a cursor or a limit that makes no sense is a RunStoreError, which is not retryable": (store) =>
    Effect.gen(function* () {
      yield* store.put(record("a", 0))
      for (const query of [{ cursor: "nonsense" }, { cursor: "" }, { limit: 0 }, { limit: -1 }, { limit: 1.5 }]) {
        const error = yield* failsWith(JSON.stringify(query), "RunStoreError", store.find(query))
        yield* equal("operation and retry", [error.operation, error.isRetryable], ["find", false])
      }
      for (const limit of [0, -1, Number.NaN])
        yield* failsWith(`limit ${limit}`, "RunStoreError", store.events("a", { limit }))
    }),

  "events of every kind come back as they were appended": (store) =>
    Effect.gen(function* () {
      yield* store.put(record("a", 0))
      yield* store.put(record("b", 0))
      yield* store.append("a", everyEvent.slice(0, 5))
      yield* store.append("b", [paused(1)])
      yield* store.append("a", [])
      yield* store.append("a", everyEvent.slice(5))
      yield* equal("the events of a", yield* store.events("a"), everyEvent)
      yield* equal("the events of b", yield* store.events("b"), [paused(1)])
    }),

  "events are read from a number on, as many as asked for, at most 1000 by default": (store) =>
    Effect.gen(function* () {
      yield* store.put(record("a", 0))
      yield* equal("no events", yield* store.events("a"), [])
      yield* store.append(
        "a",
        range(1001).map((n) => paused(n))
      )
      const numbers = (options?: RunStore.EventsOptions) =>
        Effect.map(store.events("a", options), (events) => events.map((event) => event.sequence))
      yield* equal("all", yield* numbers(), range(1000))
      yield* equal("the rest", yield* numbers({ from: 1001 }), [1001])
      yield* equal("some", yield* numbers({ from: 3, limit: 2 }), [3, 4])
      yield* equal("from before the first", yield* numbers({ from: -5, limit: 2 }), [1, 2])
      yield* equal("from after the last", yield* numbers({ from: 2000 }), [])
      yield* equal("more than 1000", (yield* numbers({ limit: 5000 })).length, 1001)
    }),

  "an event that is there already is left as it is, and late ones find their place": (store) =>
    Effect.gen(function* () {
      yield* store.put(record("a", 0))
      yield* store.append("a", [paused(1, "first"), paused(4)])
      yield* store.append("a", [paused(1, "second"), paused(2), paused(4, "again"), paused(5)])
      yield* store.append("a", [paused(3)])
      yield* equal("the events", yield* store.events("a"), [
        paused(1, "first"),
        paused(2),
        paused(3),
        paused(4),
        paused(5)
      ])
    }),

  "events of a run that was never put are a RunStoreError": (store) =>
    Effect.gen(function* () {
      const error = yield* failsWith("append", "RunStoreError", store.append("nope", [paused(1)]))
      yield* equal("operation and retry", [error.operation, error.isRetryable], ["append", false])
      yield* failsWith("the events", "RunNotFound", store.events("nope"))
    }),

  "a removed run is gone with its events": (store) =>
    Effect.gen(function* () {
      yield* store.put(record("a", 0))
      yield* store.put(record("b", 1))
      yield* store.append("a", [paused(1)])
      yield* store.remove("a")
      yield* store.remove("a")
      yield* store.remove("never there")
      yield* failsWith("get", "RunNotFound", store.get("a"))
      yield* equal("the runs", ids(yield* store.find()), ["b"])
      yield* store.put(record("a", 2))
      yield* equal("the events of its successor", yield* store.events("a"), [])
    }),

  "writes at the same time leave one of each": (store) =>
    Effect.gen(function* () {
      yield* store.put(record("a", 0))
      yield* Effect.forEach(
        range(20),
        (n) =>
          Effect.andThen(
            store.put(record(`run ${n % 5}`, n % 5)),
            store.append(
              "a",
              range(10, n).map((k) => paused(k))
            )
          ),
        { concurrency: "unbounded", discard: true }
      )
      const events = yield* store.events("a")
      yield* equal(
        "the numbers of the events",
        events.map((event) => event.sequence),
        range(29)
      )
      yield* equal("the runs", ids(yield* store.find()), ["run 4", "run 3", "run 2", "run 1", "run 0", "a"])
    })
}

/**
 * The checks of a store. The layer is built for each of them, and must give an empty store every time.
 *
 * **Example** (In a test file)
 *
 * ```ts no-run
 * import { RunStore } from "effect-baton"
 * import { RunStoreContract } from "effect-baton/testing"
 * import { describe, it } from "@effect/vitest"
 *
 * describe("my run store", () => {
 *   for (const check of RunStoreContract.make(RunStore.layerMemory)) it.effect(check.name, () => check.effect)
 * })
 * ```
 */
export const make = <E>(layer: Layer.Layer<RunStore.RunStore, E>): ReadonlyArray<Check> =>
  Object.entries(checks).map(([name, check]) => ({
    name,
    effect: Effect.provide(Effect.flatMap(RunStore.RunStore, check), Layer.fresh(layer))
  }))
