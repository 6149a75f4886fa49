// One of three processes is killed: how long it takes until its runs go on elsewhere.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { engine, fresh, member, until } from "./fleet.ts"
import { watched } from "./job.ts"

interface Slow {
  readonly run: string
  readonly runner: string
}

describe("one of three processes on PostgreSQL that is killed", () => {
  it.live(
    "is missed at once, not when its last heartbeat is too old: its runs go on elsewhere before that, and only its (D1)",
    () =>
      Effect.gen(function* () {
        const { sql, url } = yield* fresh
        const client = yield* engine(url, { runs: false })
        const names = ["a", "b", "c"] as const
        const members = yield* Effect.forEach(names, (name) => member(url, name))
        yield* until<{ n: number }>(
          sql,
          `SELECT COUNT(DISTINCT pid)::int AS n FROM pg_locks JOIN pg_database d ON d.oid = database
           WHERE locktype = 'advisory' AND classid <> ${0x4241544e} AND datname = current_database()`,
          ([{ n }]) => n === names.length
        )
        const total = 24
        for (let i = 0; i < total; i++) {
          const run = yield* watched.run({ slowMillis: 60_000, asks: false }, { id: `run-${i}` })
          yield* Effect.provide(run.submit, client)
        }
        const slow = `SELECT run, runner FROM ledger WHERE step = 'slow'`
        yield* until<Slow>(sql, slow, (rows) => new Set(rows.map(({ run }) => run)).size === total)
        // Runs that moved when the last process joined have begun twice: who has them now began last.
        const begun = yield* sql.unsafe<Slow>(slow)
        const owners = new Map(begun.map(({ run, runner }) => [run, runner]))
        const victim = names.findIndex((name) => [...owners.values()].includes(name))
        const orphans = [...owners].flatMap(([run, runner]) => (runner === names[victim] ? [run] : []))
        assert.isAtLeast(orphans.length, 1)
        const killedAt = yield* Clock.currentTimeMillis
        yield* members[victim].kill("SIGKILL")
        const taken = (rows: ReadonlyArray<Slow>) =>
          new Set(rows.slice(begun.length).flatMap(({ run }) => (orphans.includes(run) ? [run] : [])))
        yield* until<Slow>(sql, slow, (rows) => taken(rows).size >= 1)
        const firstAt = yield* Clock.currentTimeMillis
        yield* until<Slow>(sql, slow, (rows) => taken(rows).size === orphans.length)
        const allAt = yield* Clock.currentTimeMillis
        yield* Effect.logInfo(
          `the first of ${orphans.length} runs went on ${firstAt - killedAt} ms after the kill, the last ${allAt - killedAt}`
        )
        // By heartbeats it would take 15 seconds.
        assert.isBelow(allAt - killedAt, 10_000)
        const again = yield* sql.unsafe<Slow>(
          `SELECT run, runner FROM ledger WHERE step = 'first' AND run IN (${orphans.map((run) => `'${run}'`).join(", ")})`
        )
        assert.strictEqual(again.length, orphans.length)
      }).pipe(Effect.scoped),
    60_000
  )
})
