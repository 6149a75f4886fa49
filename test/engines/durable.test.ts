import { describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { EngineContract } from "effect-baton/testing"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import type { Settings } from "../../src/engines/durable/engine.ts"
import { layerSqlite } from "../../src/engines/durable/layer.ts"

/** An engine on a file of its own, which goes with it. */
const layer = (settings: Settings) =>
  Layer.unwrap(Effect.map(temporaryFile, (filename) => layerSqlite({ filename, grace: "50 millis", ...settings })))

/** Time that passes while the disk is waited for: a millisecond, then whatever it set off. */
const pass = (duration: Duration.Input) =>
  Effect.forEach(
    Array.from({ length: Math.max(1, Math.round(Duration.toMillis(duration))) }),
    () => Effect.andThen(settle, Effect.andThen(TestClock.adjust("1 millis"), settle)),
    { discard: true }
  )

const settle = Effect.forEach(Array.from({ length: 30 }), () => Effect.yieldNow, { discard: true })

describe("Engine.layerSqlite", () => {
  for (const check of EngineContract.make(layer({ idle: "1 hour" }), { onShutdown: "leaves", pass })) {
    it.effect(check.name, () => check.effect, 10_000)
  }
})

describe("Engine.layerSqlite by a live clock, where what waits leaves the memory at once", () => {
  const checks = EngineContract.make(layer({ idle: 0 }), { onShutdown: "leaves", pass: Effect.sleep })
  for (const check of checks) it.live(check.name, () => check.effect, 10_000)
})
