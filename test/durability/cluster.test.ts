// Three processes share the runs of one PostgreSQL; one of them is killed in the middle.
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { Engine } from "effect-baton"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { ledger } from "./ledger.ts"
import { database, server } from "./postgres.ts"

const runner = (url: string, name: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, ["--conditions=baton-source", join(import.meta.dirname, "runner.ts"), url, name], {
        stdio: ["ignore", "ignore", "inherit"]
      })
    ),
    (child) => end(child, "SIGKILL")
  )

const end = (child: ChildProcess, signal: "SIGKILL" | "SIGTERM") =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.on("exit", () => resume(Effect.void))
    child.kill(signal)
  })

describe("three runner processes on one PostgreSQL", () => {
  it.live(
    "the runs of one that is killed go on elsewhere, no recorded step runs again, and of two answers one wins (D1, D4, D8)",
    () =>
      Effect.gen(function* () {
        const url = yield* Effect.flatMap(server, database)
        const sql = yield* Effect.map(
          Layer.build(PgClient.layer({ url: Redacted.make(url), maxConnections: 2 })),
          (context) => SqlClient.SqlClient.pipe(Effect.provide(context))
        )
        yield* Effect.flatMap(sql, (sql) =>
          sql.unsafe(`CREATE TABLE ledger (run TEXT NOT NULL, step TEXT NOT NULL, runner TEXT NOT NULL)`)
        )
        const client = Layer.build(layerPostgres({ url, runs: false, pollInterval: "50 millis" }))
        const [one, two] = [
          yield* client,
          yield* Layer.build(layerPostgres({ url, runs: false, pollInterval: "50 millis" }))
        ]
        const runners = yield* Effect.forEach(["a", "b", "c"], (name) => runner(url, name))
        // Each has its locks before anything is killed.
        yield* Effect.flatMap(sql, (sql) =>
          sql.unsafe<{ n: number }>(
            `SELECT COUNT(DISTINCT pid)::int AS n FROM pg_locks JOIN pg_database d ON d.oid = database
             WHERE locktype = 'advisory' AND classid <> ${0x4241544e} AND datname = current_database()`
          )
        ).pipe(Effect.delay("50 millis"), Effect.repeat({ until: ([{ n }]) => n === runners.length }))
        const program = ledger(() => Effect.void)
        const total = 30
        const executions = yield* Effect.forEach(
          Array.from({ length: total }, (_, i) => `run-${i}`),
          (id) => Effect.flatMap(program.run(id, { id }), (run) => run.submit)
        ).pipe(Effect.provide(one))
        const reached = (tag: string) =>
          Effect.forEach(
            executions,
            (execution) =>
              execution.events.pipe(
                Stream.takeUntil((event) => event._tag === tag),
                Stream.runDrain
              ),
            { concurrency: "unbounded", discard: true }
          )
        yield* reached("StepCompleted")
        const killedAt = yield* Clock.currentTimeMillis
        yield* end(runners[0], "SIGKILL")
        yield* reached("RequestOpened")
        const takeover = (yield* Clock.currentTimeMillis) - killedAt
        // Two processes answer the same request at the same moment.
        yield* Effect.forEach(
          executions,
          (execution) =>
            Effect.gen(function* () {
              const [request] = yield* execution.requests
              const there = yield* Effect.provide(Engine.get(execution.id), two)
              const answers = yield* Effect.all(
                [
                  Effect.result(execution.approve(request.id, { by: "ada" })),
                  Effect.result(there.approve(request.id, { by: "bob" }))
                ],
                { concurrency: 2 }
              )
              assert.strictEqual(answers.filter((answer) => answer._tag === "Success").length, 1)
              const winner = answers[0]._tag === "Success" ? "ada" : "bob"
              assert.strictEqual(yield* execution.result, `${execution.id} ${winner}`)
            }),
          { concurrency: 10, discard: true }
        )
        const rows = yield* Effect.flatMap(sql, (sql) =>
          sql.unsafe<{ run: string; step: string; n: number }>(
            `SELECT run, step, COUNT(*)::int AS n FROM ledger GROUP BY run, step`
          )
        )
        assert.strictEqual(rows.length, total * 4)
        // What was cut off, by the kill or by runs that moved when a process joined, may have run again; not what ended.
        const twice = rows.filter((row) => row.n > 1)
        assert.isAtMost(twice.length, total)
        for (const execution of executions) {
          const events = yield* Stream.runCollect(execution.events)
          assert.deepStrictEqual(
            events.filter((event) => event._tag === "StepCompleted").map((event) => event.path),
            ["one", "two", "three", "four"]
          )
          assert.deepStrictEqual(
            events.map((event) => event.sequence),
            events.map((_, i) => i + 1)
          )
        }
        const ran = yield* Effect.flatMap(sql, (sql) =>
          sql.unsafe<{ runner: string }>(`SELECT DISTINCT runner FROM ledger ORDER BY runner`)
        )
        assert.deepStrictEqual(
          ran.map((row) => row.runner),
          ["a", "b", "c"]
        )
        assert.isBelow(takeover, 20_000)
        yield* Effect.logInfo(`all runs went on ${takeover} ms after the kill; ${twice.length} steps ran twice`)
      }).pipe(Effect.scoped),
    90_000
  )
})
