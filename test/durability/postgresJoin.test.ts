// A process joins: runs move to it from processes that live, and take their time.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { Engine } from "effect-baton"
import { engine, fresh, member, ran, until } from "./fleet.ts"
import { job, submitter } from "./job.ts"
import { noted } from "./ledger.ts"

const holders = (n: number) =>
  [
    `SELECT COUNT(DISTINCT pid)::int AS n FROM pg_locks JOIN pg_database d ON d.oid = database
     WHERE locktype = 'advisory' AND classid <> ${0x4241544e} AND datname = current_database()`,
    ([row]: ReadonlyArray<{ n: number }>) => row.n === n
  ] as const

describe("a third process on PostgreSQL that joins two", () => {
  it.live(
    "takes runs over when their steps have ended: none of a hundred that were in flight runs twice (D1, D13)",
    () =>
      Effect.gen(function* () {
        const { sql, url } = yield* fresh
        const submit = submitter(yield* engine(url, { runs: false }))
        for (const name of ["a", "b"]) yield* member(url, name)
        yield* until(sql, ...holders(2))
        const ids = Array.from({ length: 100 }, (_, i) => `run-${i}`)
        const runs = yield* Effect.forEach(ids, (id) => submit(id, 10_000, false), { concurrency: 10 })
        yield* until<{ n: number }>(
          sql,
          `SELECT COUNT(DISTINCT run)::int AS n FROM ledger WHERE step = 'slow'`,
          ([{ n }]) => n === ids.length
        )
        const began = yield* Clock.currentTimeMillis
        yield* member(url, "c")
        yield* until(sql, ...holders(3))
        const took = (yield* Clock.currentTimeMillis) - began
        for (const run of runs) assert.strictEqual(yield* run.result, "done")
        const twice = Object.entries(yield* ran(sql)).filter(([, n]) => n !== 1)
        assert.deepStrictEqual(twice, [])
        const [{ moved }] = yield* sql.unsafe<{ moved: number }>(
          `SELECT COUNT(*)::int AS moved FROM ledger WHERE step = 'after' AND runner = 'c'`
        )
        assert.isAtLeast(moved, 1)
        yield* Effect.logInfo(`${moved} of ${ids.length} runs moved; the third process had a part after ${took} ms`)
      }).pipe(Effect.scoped),
    90_000
  )
})

describe("a step on PostgreSQL that takes longer than the grace", () => {
  it.live(
    "does not keep its run from a process that joins (D13)",
    () =>
      Effect.gen(function* () {
        const { sql, url } = yield* fresh
        const submit = submitter(yield* engine(url, { runs: false }))
        const settings = { grace: "300 millis", expiration: "3 seconds" } as const
        const register = (name: string) => Effect.flatMap(Engine.Engine, (one) => one.register(job(noted(url, name))))
        yield* Effect.provide(register("old"), yield* engine(url, settings))
        const ids = Array.from({ length: 16 }, (_, i) => `run-${i}`)
        for (const id of ids) yield* submit(id, 600_000, false)
        yield* until<{ n: number }>(
          sql,
          `SELECT COUNT(DISTINCT run)::int AS n FROM ledger WHERE step = 'slow'`,
          ([{ n }]) => n === ids.length
        )
        yield* Effect.provide(register("new"), yield* engine(url, settings))
        yield* until<object>(
          sql,
          `SELECT 1 FROM ledger WHERE step = 'slow' AND runner = 'new'`,
          (rows) => rows.length > 0
        )
        // What it had done before is not done again.
        assert.deepStrictEqual(
          yield* sql.unsafe(`SELECT run FROM ledger WHERE step = 'first' GROUP BY run HAVING COUNT(*) > 1`),
          []
        )
      }).pipe(Effect.scoped),
    60_000
  )
})
