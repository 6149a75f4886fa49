// A process loses a run without noticing, right before a write of its own: another has taken it up by then.

import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Redacted } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import type { DurableEngine, Settings } from "../../src/engines/durable/engine.ts"
import type { DurableJournal } from "../../src/engines/durable/journal.ts"
import { Durable, layer, layerSqlite } from "../../src/engines/durable/layer.ts"
import { realSleep } from "../../src/engines/durable/writer.ts"
import { fresh, until } from "./fleet.ts"

const step = (name: string) => Step.make(name, { run: Effect.as(realSleep(1), name) })

const leg = Workflow.make("leg", { run: (name) => Effect.andThen(step("drive"), step(name)) })

/** Of everything that an owner writes there is some. */
const tour = Workflow.make("tour", {
  run: Effect.fnUntraced(function* () {
    const first = yield* step("first")
    yield* Effect.sleep("2 millis")
    const both = yield* Effect.all([step("left"), step("right")], { concurrency: 2 })
    const child = yield* Execution.startChild(leg, "there")
    const named = yield* Execution.startChild(leg, "back", { id: "named", key: "b" })
    const ends = yield* Effect.all([child.result, named.result], { concurrency: 2 })
    const { approved } = yield* Execution.waitForApproval("Home?")
    yield* Effect.sleep("2 millis")
    return [first, ...both, ...ends, approved, yield* step("last")].join(" ")
  })
})

const onPostgres = (url: string, settings: Settings) =>
  Layer.provide(
    layer({ pollInterval: "10 millis", grace: 0, ...settings }),
    Layer.orDie(PgClient.layer({ url: Redacted.make(url), maxConnections: 3 }))
  )

type Layered = Layer.Layer<Engine.Engine | Durable>

/** An engine that has what `owns` says, and knows the workflows. */
const life = Effect.fnUntraced(function* (layer: Layered, owns: () => boolean) {
  const context = yield* Layer.build(Layer.fresh(layer))
  const engine = Context.get(context, Durable)
  Object.assign(engine, { placement: { isShared: true, owns, version: () => "" } })
  const { register } = Context.get(context, Engine.Engine)
  // Children are known before their parents, who take them up.
  for (const workflow of [leg, tour]) yield* register(workflow)
  return { context, engine }
})

interface Row {
  readonly execution_id: string
  readonly sequence: number
  readonly tag: string
  readonly path: string
  readonly epoch: string
  readonly fields: string
}

const rowsOf = (engine: DurableEngine) =>
  engine.query<Row>(`SELECT * FROM baton_events ORDER BY execution_id, sequence`)

const placesOf = (rows: ReadonlyArray<Row>) => rows.map((row) => `${row.execution_id} ${row.sequence} ${row.epoch}`)

/** One tour that is taken away before the k-th write of its first owner; whether there was such a write. */
const takenAt = Effect.fnUntraced(function* (k: number, layer: (settings: Settings) => Layered) {
  let isLost = false
  let isNoticed = false
  // It finds out by what it writes, and by nothing else.
  const old = yield* life(layer({}), () => !isNoticed)
  const lost = old.engine.lost.bind(old.engine)
  old.engine.lost = (journal) => {
    isNoticed = isLost
    lost(journal)
  }
  const young = yield* life(layer({}), () => isLost)
  const client = yield* Layer.build(Layer.fresh(layer({ runs: false })))
  let before: ReadonlyArray<string> | undefined
  const takeOver = Effect.gen(function* () {
    isLost = true
    if ((yield* young.engine.recovery.activate("r1")) === undefined) return
    const rows = yield* rowsOf(young.engine)
    const [{ epoch }] = yield* young.engine.query<{ epoch: string }>(`SELECT epoch FROM baton_runs WHERE id = 'r1'`)
    const isOld = (row: Row) => !row.epoch.startsWith(epoch.slice(0, epoch.lastIndexOf("-") + 1))
    before = placesOf(rows.filter(isOld))
  })
  let writes = 0
  const { writer } = old.engine
  const exposed = writer.exposed.bind(writer)
  writer.exposed = (write) =>
    Effect.suspend(() => (++writes === k ? Effect.andThen(takeOver, exposed(write)) : exposed(write)))
  const start = Effect.flatMap(tour.run("", { id: "r1" }), (run) => run.start)
  yield* Effect.provide(start, old.context)
  const there = yield* Effect.provide(Engine.get("r1"), client)
  const answering: Effect.Effect<never> = Effect.gen(function* () {
    for (const { id } of yield* there.requests) yield* Effect.ignore(there.approve(id))
    yield* realSleep(5)
    return yield* answering
  })
  const output = yield* Effect.raceFirst(there.result, answering)
  assert.strictEqual(output, "first left right there back true last")
  for (const execution of before === undefined ? [] : [...old.engine.residents.values()]) {
    yield* Effect.ignore(execution.pause)
    yield* (execution.journal as DurableJournal).flush
  }
  // What has ended leaves the memory a moment after its row says so.
  for (let n = 0; n < 400 && old.engine.residents.size > 0; n++) yield* realSleep(5)
  assert.strictEqual(old.engine.residents.size, 0)
  const rows = yield* rowsOf(young.engine)
  if (before !== undefined) {
    const places = placesOf(rows)
    const since = places.filter((place) => !before!.includes(place))
    const owners = new Set(since.map((place) => place.slice(place.lastIndexOf(" ") + 1, place.lastIndexOf("-"))))
    assert.isAtMost(owners.size, 1, `before write ${k}: ${since.join(", ")}`)
    assert.deepStrictEqual(
      before.filter((place) => !places.includes(place)),
      []
    )
  }
  for (const events of Map.groupBy(rows, (row) => row.execution_id).values()) {
    assert.deepStrictEqual(
      events.map((event) => Number(event.sequence)),
      events.map((_, i) => i + 1)
    )
    const ends = events.filter((event) => event.tag === "StepCompleted").map((event) => event.path)
    assert.deepStrictEqual(ends, [...new Set(ends)])
  }
  const runs = yield* young.engine.query<{ id: string; parent_id: string | null; settled_at: number | null }>(
    `SELECT id, parent_id, settled_at FROM baton_runs`
  )
  const started = rows.flatMap(({ fields, tag }) => (tag === "ChildStarted" ? [JSON.parse(fields).childId] : []))
  assert.sameMembers(
    runs.flatMap(({ id, parent_id }) => (parent_id === null ? [] : [id])),
    started
  )
  assert.isTrue(runs.every(({ settled_at }) => settled_at !== null))
  return writes >= k
})

describe("a process that loses a run right before one of its writes", () => {
  for (const database of ["SQLite", "PostgreSQL"]) {
    it.live(
      `adds nothing to it any more, whichever write it is, and who has it misses nothing, on ${database} (D1, D4)`,
      () =>
        Effect.gen(function* () {
          let k = 0
          const once = Effect.gen(function* () {
            if (database === "SQLite") {
              const filename = yield* temporaryFile
              return yield* takenAt(++k, (more) =>
                layerSqlite({ filename, pollInterval: "10 millis", grace: 0, ...more })
              )
            }
            const { url } = yield* fresh
            return yield* takenAt(++k, (more) => onPostgres(url, more))
          })
          while (k < 100 && (yield* Effect.timeout(Effect.scoped(once), "20 seconds")));
          assert.isAtLeast(k, 15)
        }),
      120_000
    )
  }
})

describe("a run on PostgreSQL that is taken over while its owner writes", () => {
  const asks = Workflow.make("asks", {
    run: Effect.fnUntraced(function* () {
      yield* step("first")
      return `${(yield* Execution.waitForApproval("ok?")).approved}`
    })
  })
  const start = Effect.flatMap(asks.run("", { id: "r1" }), (run) => run.start)
  const waits = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`

  it.live("has in the log of who takes it over what its owner was about to commit (D4)", () =>
    Effect.gen(function* () {
      const { sql, url } = yield* fresh
      const old = yield* Layer.build(Layer.fresh(onPostgres(url, { pollInterval: "1 hour" })))
      const owner = Context.get(old, Durable)
      const [written, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const { withTransaction } = owner.sql
      // Two rows of a request are the first that need a transaction after the start.
      Object.assign(owner.sql, {
        withTransaction: <A, E, R>(work: Effect.Effect<A, E, R>) =>
          withTransaction(
            Effect.tap(work, () =>
              [...owner.residents.values()].some(({ people }) => people !== undefined)
                ? Effect.andThen(Deferred.succeed(written, undefined), Deferred.await(commit))
                : Effect.void
            )
          )
      })
      yield* Effect.provide(start, old)
      yield* Deferred.await(written)
      const young = yield* Layer.build(Layer.fresh(onPostgres(url, {})))
      yield* Context.get(young, Engine.Engine).register(asks).pipe(Effect.forkScoped)
      const taking = yield* Effect.forkScoped(Context.get(young, Durable).recovery.activate("r1"))
      yield* until(sql, waits, (rows) => rows.length > 0)
      yield* Deferred.succeed(commit, undefined)
      const execution = yield* Fiber.join(taking)
      assert.strictEqual((yield* execution!.requests).length, 1)
      const journal = owner.residents.get("r1")!.journal as DurableJournal
      yield* owner.residents.get("r1")!.pause
      yield* journal.flush
      assert.isTrue(journal.isClosed)
    }).pipe(Effect.scoped)
  )

  it.live("gets nothing of its owner that waited for whoever took it over (D4)", () =>
    Effect.gen(function* () {
      const { sql, url } = yield* fresh
      const context = yield* Layer.build(Layer.fresh(onPostgres(url, { pollInterval: "1 hour" })))
      const engine = Context.get(context, Durable)
      yield* Effect.provide(start, context)
      const execution = engine.residents.get("r1")!
      while ((yield* execution.requests).length === 0) yield* realSleep(5)
      const journal = execution.journal as DurableJournal
      yield* journal.flush
      const count = `SELECT COUNT(*)::int AS n FROM baton_events`
      const before = yield* sql.unsafe(count)
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql.unsafe(`UPDATE baton_runs SET epoch = 'other' WHERE id = 'r1'`)
          yield* execution.pause
          yield* until(sql, waits, (rows) => rows.length > 0)
        })
      )
      yield* journal.flush
      assert.isTrue(journal.isClosed)
      assert.deepStrictEqual(yield* sql.unsafe(count), before)
    }).pipe(Effect.scoped)
  )

  it.live("leaves to who has it what people say to it, and the signals that are for it (D4, D6)", () =>
    Effect.gen(function* () {
      const { sql, url } = yield* fresh
      const old = yield* Layer.build(Layer.fresh(onPostgres(url, { pollInterval: "1 hour" })))
      const owner = Context.get(old, Durable)
      yield* Effect.provide(start, old)
      while (!owner.residents.has("r1")) yield* realSleep(5)
      const execution = owner.residents.get("r1")!
      while ((yield* execution.requests).length === 0) yield* realSleep(5)
      yield* (execution.journal as DurableJournal).flush
      yield* sql.unsafe(`UPDATE baton_runs SET epoch = 'other' WHERE id = 'r1'`)
      yield* sql.unsafe(`INSERT INTO baton_signals (execution_id, kind) VALUES ('r1', 'look')`)
      yield* owner.signals.handleSignals
      assert.strictEqual((yield* sql.unsafe(`SELECT 1 FROM baton_signals`)).length, 1)
      assert.isFalse(owner.residents.has("r1"))
    }).pipe(Effect.scoped)
  )
})
