// The only process of a PostgreSQL is killed; one that is started after it goes on, without waiting for the dead one.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { engine, fresh, member, ran, reached, until } from "./fleet.ts"
import { submitter } from "./job.ts"

describe("a process on PostgreSQL that is killed and started again", () => {
  it.live(
    "goes on at once where it was, also under another address, and no recorded step runs again (D1)",
    () =>
      Effect.gen(function* () {
        const { sql, url } = yield* fresh
        const client = yield* engine(url, { runs: false })
        const submit = submitter(client)
        const first = yield* member(url, "first")
        // Runs of all shards: some in a step, some waiting for a person.
        const working = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, i) => `working-${i}`),
          (id) => submit(id, 3000, false)
        )
        const waiting = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, i) => `waiting-${i}`),
          (id) => submit(id, 0, true)
        )
        yield* Effect.forEach(working, (run) => reached(run, "StepStarted", "slow"), { concurrency: "unbounded" })
        yield* Effect.forEach(waiting, (run) => reached(run, "RequestOpened"), { concurrency: "unbounded" })
        yield* first.kill("SIGKILL")
        // Answers that nobody is there to take.
        yield* Effect.forEach(waiting, (run) =>
          Effect.flatMap(run.requests, ([request]) => run.approve(request.id, { by: "ada" }))
        )

        const startedAt = yield* Clock.currentTimeMillis
        yield* member(url, "second")
        yield* until<{ n: number }>(sql, `SELECT COUNT(*)::int AS n FROM baton_cluster_runners`, ([{ n }]) => n >= 1)
        yield* until<{ n: number }>(
          sql,
          `SELECT COUNT(*)::int AS n FROM ledger WHERE runner = 'second'`,
          ([{ n }]) => n >= 1
        )
        const firstAt = yield* Clock.currentTimeMillis
        yield* until<{ n: number }>(
          sql,
          `SELECT COUNT(DISTINCT run)::int AS n FROM ledger WHERE runner = 'second'`,
          ([{ n }]) => n === 16
        )
        const allAt = yield* Clock.currentTimeMillis
        for (const run of waiting) assert.strictEqual(yield* run.result, "shipped by ada")
        for (const run of working) assert.strictEqual(yield* run.result, "done")
        const counts = yield* ran(sql)
        for (const { id } of working) {
          assert.deepStrictEqual([counts[`${id} first`], counts[`${id} slow`], counts[`${id} after`]], [1, 2, 1])
        }
        for (const { id } of waiting) {
          assert.deepStrictEqual(
            ["first", "slow", "after", "last"].map((step) => counts[`${id} ${step}`]),
            [1, 1, 1, 1]
          )
        }
        yield* Effect.logInfo(`${firstAt - startedAt} ms from the spawn to the first step, ${allAt - startedAt} to all`)
        // The dead process would keep its shards for 15 seconds by its heartbeats.
        assert.isBelow(allAt - firstAt, 8000)
      }).pipe(Effect.scoped),
    60_000
  )
})
