// How PostgreSQL does what the engine asks for, as long as it knows nothing of the tables.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Execution, Workflow } from "effect-baton"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { fresh, reached } from "./fleet.ts"
import { parked, parks } from "./parks.ts"

const asks = Workflow.make("asks", {
  output: Schema.Int,
  run: () => Execution.waitForInput("How many?", Schema.Int)
})

/** So many runs at once that start, leave the memory, are answered and end. */
const lives = Effect.forEach(
  Array.from({ length: 40 }, (_, i) => i),
  (i) =>
    Effect.gen(function* () {
      const execution = yield* Effect.flatMap(asks.run(""), (run) => run.start)
      yield* reached(execution, "RequestOpened")
      yield* parked
      const [request] = yield* execution.requests
      yield* execution.answer(request.id, i)
      assert.strictEqual(yield* execution.result, i)
    }),
  { concurrency: "unbounded", discard: true }
)

describe("plans on PostgreSQL", () => {
  it.live("nothing reads a whole table of runs, events or requests, though nobody has analyzed them", () =>
    Effect.gen(function* () {
      const { sql, url } = yield* fresh
      const unknown = Effect.forEach(["baton_runs", "baton_events", "baton_requests"], (table) =>
        sql.unsafe(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`)
      )
      yield* Effect.provide(Effect.andThen(unknown, lives), Layer.fresh(layerPostgres({ url, ...parks })))
      // Connections that end have told what they did.
      const read = yield* sql.unsafe(
        `SELECT relname AS table, seq_tup_read::text AS rows FROM pg_stat_user_tables
         WHERE relname IN ('baton_runs', 'baton_events', 'baton_requests') ORDER BY relname`
      )
      assert.deepStrictEqual(read, [
        { table: "baton_events", rows: "0" },
        { table: "baton_requests", rows: "0" },
        { table: "baton_runs", rows: "0" }
      ])
    })
  )
})
