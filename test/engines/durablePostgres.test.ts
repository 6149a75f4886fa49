import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { EngineContract } from "effect-baton/testing"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { database, server } from "../durability/postgres.ts"

const scope = Scope.makeUnsafe()
let url = ""

beforeAll(async () => {
  url = await Effect.runPromise(Scope.provide(server, scope))
}, 60_000)

afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)), 60_000)

const layer = Layer.unwrap(
  Effect.suspend(() =>
    Effect.map(database(url), (url) => layerPostgres({ url, idle: 0, grace: "50 millis", pollInterval: "20 millis" }))
  )
)

describe("Engine.layerPostgres", () => {
  for (const check of EngineContract.make(layer, { onShutdown: "leaves", pass: Effect.sleep })) {
    it.live(check.name, () => check.effect, 20_000)
  }
})
