import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { EngineContract } from "effect-baton/testing"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { database, server } from "../durability/postgres.ts"

const scope = Scope.makeUnsafe()
let url = ""

beforeAll(async () => {
  url = await Effect.runPromise(Scope.provide(server, scope))
}, 60_000)

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)), 60_000)

const inRealTime = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

const layer = Layer.unwrap(
  inRealTime(
    Effect.suspend(() =>
      Effect.map(database(url), (url) =>
        layerPostgres({ url, idle: "1 hour", grace: "50 millis", pollInterval: "20 millis" })
      )
    )
  )
)

/** A database takes its time, which is none of the executions': they wait for both, in turns, and a little longer. */
const pass = (duration: Duration.Input) => {
  const millis = Math.max(1, Math.round(Duration.toMillis(duration))) + 20
  const steps = Math.min(millis, 40)
  return Effect.forEach(
    Array.from({ length: steps }),
    () => Effect.andThen(breathe, Effect.andThen(TestClock.adjust(millis / steps), breathe)),
    { discard: true }
  )
}

const breathe = inRealTime(Effect.sleep("25 millis"))

// Most of the time of a check is waiting for a database of its own.
describe("Engine.layerPostgres", { concurrent: true }, () => {
  for (const check of EngineContract.make(layer, { onShutdown: "leaves", pass })) {
    it.effect(check.name, () => check.effect, 30_000)
  }
})
