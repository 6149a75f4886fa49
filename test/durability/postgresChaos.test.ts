// Runs that wait for people and for time while their processes are killed at random. `BATON_RUNS` and `BATON_SEED` ask
// for more runs and other moments.
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Layer, Random } from "effect"
import { Engine } from "effect-baton"
import { fresh, launched, temporaryFolder, until } from "./fleet.ts"
import { notes } from "./journey.ts"
import { freePort } from "./postgres.ts"
import { depart, people, plans, stalled, verify } from "./travel.ts"

const count = Number(process.env.BATON_RUNS ?? 40)
const seed = process.env.BATON_SEED ?? "1"

describe("three processes on PostgreSQL that are killed at random and replaced", () => {
  it.live(
    `end all of ${count} runs with four waits each: none stalls, no recorded step runs again, every answer counts (D1, D6, D7, D8)`,
    () =>
      Effect.gen(function* () {
        const { sql, url } = yield* fresh
        const file = join(yield* temporaryFolder, "notes")
        const client = Context.pick(Engine.Engine)(
          yield* Layer.build(Layer.fresh(Engine.layerClusterClient({ url, maxConnections: 5 })))
        )
        let names = 0
        const member = (port: number) =>
          Effect.map(launched("journeyMember.ts", url, `p${++names}`, String(port), file), (process) => ({
            ...process,
            port
          }))
        const members = yield* Effect.forEach([1, 2, 3], () => Effect.flatMap(freePort, member))
        yield* until<{ n: number }>(sql, `SELECT COUNT(*)::int AS n FROM baton_cluster_runners`, ([{ n }]) => n === 3)
        const all = yield* plans(count)
        let kills = 0
        const killing = Effect.gen(function* () {
          yield* Effect.sleep(yield* Random.nextIntBetween(300, 2000))
          const i = yield* Random.nextIntBetween(0, members.length - 1)
          yield* members[i].kill("SIGKILL")
          kills++
          yield* Effect.sleep(yield* Random.nextIntBetween(0, 1000))
          // The next one has the address of the last, or another.
          const port = (yield* Random.nextBoolean) ? members[i].port : yield* freePort
          members[i] = yield* member(port)
          // Most of the time it gets to do something before the next one goes.
          if ((yield* Random.nextIntBetween(1, 4)) === 1) return
          yield* until<object>(
            sql,
            `SELECT 1 FROM baton_cluster_runners WHERE address LIKE '%:${port}'`,
            (rows) => rows.length > 0
          ).pipe(Effect.ignoreCause)
        })
        const over = new Map<string, number>()
        const began = yield* Clock.currentTimeMillis
        const travelling = Effect.all([depart(all), people(all, over)], { concurrency: 2 })
        yield* Effect.raceAllFirst([
          Effect.forever(killing),
          stalled(sql, "20 seconds"),
          Effect.provide(travelling, client)
        ])
        const took = (yield* Clock.currentTimeMillis) - began
        const { overlap, stall, twice } = yield* Effect.provide(verify(sql, all, notes(file), over), client)
        yield* Effect.logInfo(
          `${count} runs in ${took} ms with ${kills} kills (seed ${seed}): ${twice} steps that were cut off ran again, one began ${overlap} ms after its end was recorded; ` +
            `the longest stall was ${stall.millis} ms (${stall.where})`
        )
        assert.isAtLeast(kills, 2)
        // Hundreds of runs at once wait for the processor too.
        assert.isBelow(stall.millis, count > 100 ? 30_000 : 15_000)
      }).pipe(Effect.scoped, Random.withSeed(seed)),
    120_000 + count * 1000
  )
})
