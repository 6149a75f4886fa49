// The database goes away under load and comes back; nobody restarts the processes. `BATON_RUNS` and `BATON_SEED` ask for
// more runs and other moments.
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Context, Effect, Fiber, Layer, Random } from "effect"
import { Engine } from "effect-baton"
import { freshOn, launched, temporaryFolder, until } from "./fleet.ts"
import { notes, watched } from "./journey.ts"
import { freePort, mortal } from "./postgres.ts"
import { depart, people, plans, stalled, verify } from "./travel.ts"

const count = Number(process.env.BATON_RUNS ?? 20)
const seed = process.env.BATON_SEED ?? "1"

describe("a PostgreSQL that goes away under load and comes back", () => {
  it.live(
    "loses nothing and does nothing twice, the runs go on by themselves, and who asks meanwhile is told why (D1, D2)",
    () =>
      Effect.gen(function* () {
        const server = yield* mortal
        const { sql, url } = yield* freshOn(server.url)
        const file = join(yield* temporaryFolder, "notes")
        const client = Context.pick(Engine.Engine)(
          yield* Layer.build(Layer.fresh(Engine.layerClusterClient({ url, maxConnections: 5 })))
        )
        for (const name of ["one", "two"]) {
          yield* launched("journeyMember.ts", url, name, String(yield* freePort), file)
        }
        yield* until<{ n: number }>(sql, `SELECT COUNT(*)::int AS n FROM baton_cluster_runners`, ([{ n }]) => n === 2)
        const all = yield* plans(count)
        const over = new Map<string, number>()
        let back = 0
        const away = Effect.gen(function* () {
          for (const signal of ["SIGQUIT", "SIGKILL"] as const) {
            yield* Effect.sleep(yield* Random.nextIntBetween(1000, 2000))
            const execution = yield* Engine.get("run-0")
            yield* server.end(signal)
            for (const question of [
              Engine.list(),
              Engine.get("run-0"),
              execution.status,
              execution.pause,
              execution.approve("run-0:approval"),
              execution.cancel(),
              Effect.flatMap(watched.run([], { id: "unborn" }), (run) => run.submit)
            ] as ReadonlyArray<Effect.Effect<unknown, unknown, Engine.Engine>>) {
              const exit = yield* Effect.exit(Effect.timeout(question, "5 seconds"))
              const error = exit._tag === "Failure" ? Cause.squash(exit.cause) : exit
              assert.instanceOf(error, Engine.EngineUnavailable)
            }
            yield* Effect.sleep(yield* Random.nextIntBetween(200, 1500))
            yield* server.again
            back = yield* Clock.currentTimeMillis
          }
        })
        const began = yield* Clock.currentTimeMillis
        // Who waits for a result waits on.
        const waiting = yield* Effect.forkScoped(
          Effect.flatMap(Effect.eventually(Engine.get("run-0")), (execution) => execution.result).pipe(
            Effect.provide(client)
          )
        )
        const travelling = Effect.all([away, depart(all), people(all, over)], { concurrency: 3 })
        yield* Effect.raceFirst(stalled(sql, "20 seconds"), Effect.provide(travelling, client))
        const took = (yield* Clock.currentTimeMillis) - began
        yield* Fiber.join(waiting)
        const { overlap, stall, twice } = yield* Effect.provide(verify(sql, all, notes(file), over), client)
        yield* Effect.logInfo(
          `${count} runs in ${took} ms, ${took - (back - began)} ms of it after the database was back for the second time: ` +
            `${twice} steps that were cut off ran again, one began ${overlap} ms after its end was recorded; ` +
            `the longest stall was ${stall.millis} ms (${stall.where})`
        )
      }).pipe(Effect.scoped, Random.withSeed(seed)),
    120_000 + count * 1000
  )
})
