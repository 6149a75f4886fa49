import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, References, Schema } from "effect"
import { ClusterWorkflowEngine, RunnerAddress, SingleRunner } from "effect/cluster"
import { Digest } from "effect/crypto"
import { SqlClient } from "effect/sql"
import { Activity, Workflow } from "effect/workflow"
import * as NodeSqlite from "../../src/stores/NodeSqlite.ts"

const file = Effect.acquireRelease(
  Effect.sync(() => join(mkdtempSync(join(tmpdir(), "baton-sqlite-")), "test.db")),
  (path) => Effect.sync(() => rmSync(join(path, ".."), { recursive: true, force: true }))
)

const Greet = Workflow.make("Greet", {
  payload: { name: Schema.String },
  success: Schema.String,
  idempotencyKey: ({ name }) => name
})

describe("NodeSqlite under effect/cluster", () => {
  for (const runnerStorage of ["sql", "memory"] as const) {
    it.live(
      `a workflow with an activity runs once and is remembered by the next engine, runners in ${runnerStorage}`,
      () =>
        Effect.gen(function* () {
          const filename = yield* file
          const ran: Array<string> = []
          const workflow = Greet.toLayer(({ name }) =>
            Activity.make({
              name: "greet",
              success: Schema.String,
              execute: Effect.sync(() => {
                ran.push(name)
                return `hello ${name}`
              })
            })
          )
          const engine = workflow.pipe(
            Layer.provideMerge(ClusterWorkflowEngine.layer),
            Layer.provide(
              SingleRunner.layer({
                runnerStorage,
                shardingConfig: { runnerAddress: Option.some(RunnerAddress.make("localhost", 34_567)) }
              })
            ),
            Layer.provide(Digest.layerWebCrypto),
            Layer.provideMerge(NodeSqlite.layer({ filename }))
          )
          const names = Array.from({ length: 20 }, (_, index) => `run ${index}`)
          const runAll = Effect.forEach(names, (name) => Greet.execute({ name }), { concurrency: "unbounded" })
          const greetings = names.map((name) => `hello ${name}`)

          const ids = yield* Effect.gen(function* () {
            assert.deepStrictEqual(yield* runAll, greetings)
            const sql = yield* SqlClient.SqlClient
            // Snowflakes in a primary key, and a boolean that SQLite keeps as an integer.
            return yield* sql<{
              id: unknown
              processed: unknown
            }>`SELECT id, processed FROM cluster_messages ORDER BY id`
          }).pipe(Effect.provide(engine))
          assert.strictEqual(new Set(ids.map((row) => row.id)).size, 2 * names.length)
          for (const { id, processed } of ids) {
            assert.isTrue(typeof id === "bigint" && id > 2n ** 53n)
            assert.strictEqual(processed, 1)
          }

          assert.deepStrictEqual(yield* Effect.provide(runAll, engine), greetings)
          assert.deepStrictEqual(ran.toSorted(), names.toSorted())
        }).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
    )
  }
})
