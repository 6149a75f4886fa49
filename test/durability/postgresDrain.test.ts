// SIGTERM: what runs gets its time, what waits is let go, the process ends, and another goes on.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { engine, fresh, member, ran, reached } from "./fleet.ts"
import { job, submitter } from "./job.ts"
import { noted } from "./ledger.ts"

describe("a process on PostgreSQL that is asked to end", () => {
  it.live(
    "ends its steps and begins none, and another goes on without doing any again (D1)",
    () =>
      Effect.gen(function* () {
        const { sql, url } = yield* fresh
        const client = yield* engine(url, { runs: false })
        const submit = submitter(client)
        const ending = yield* member(url, "ending")
        const working = yield* submit("working", 2000, false)
        const waiting = yield* submit("waiting", 0, true)
        yield* reached(working, "StepStarted", "slow")
        yield* reached(waiting, "RequestOpened")
        const asked = yield* Clock.currentTimeMillis
        assert.strictEqual(yield* ending.kill("SIGTERM"), 0)
        const took = (yield* Clock.currentTimeMillis) - asked
        assert.deepStrictEqual(yield* ran(sql), {
          "waiting after": 1,
          "waiting first": 1,
          "waiting slow": 1,
          "working first": 1,
          "working slow": 1
        })
        // No heartbeat is left to wait for.
        assert.deepStrictEqual(yield* sql.unsafe(`SELECT address FROM baton_cluster_runners`), [])

        const other = yield* engine(url)
        const execution = yield* Effect.provide(
          Effect.flatMap(
            job(noted(url, "other")).run({ slowMillis: 2000, asks: false }, { id: "working" }),
            (run) => run.start
          ),
          other
        )
        assert.strictEqual(yield* execution.result, "done")
        const [request] = yield* waiting.requests
        yield* waiting.approve(request.id, { by: "ada" })
        assert.strictEqual(yield* waiting.result, "shipped by ada")
        const counts = Object.values(yield* ran(sql))
        assert.deepStrictEqual(
          counts,
          counts.map(() => 1)
        )
        yield* Effect.logInfo(`the process ended ${took} ms after SIGTERM, with 2 s of a step to go`)
        assert.isBelow(took, 8000)
      }).pipe(Effect.scoped),
    60_000
  )
})
