import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Workflow } from "effect-baton"
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

describe("Engine.get with a workflow", () => {
  class Late extends Schema.TaggedError<Late>()("Late", { by: Schema.Duration }) {}

  it.live("reads the outcome by its schemas in a process that never registered it", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const due = Workflow.make("due", {
        output: Schema.Date,
        error: Late,
        run: (text) => (text === "" ? new Late({ by: Duration.days(2) }) : Effect.succeed(new Date(text)))
      })
      yield* Effect.all([due.execute("2026-01-02", { id: "ok" }), Effect.flip(due.execute("", { id: "late" }))]).pipe(
        Effect.provide(layerSqlite({ filename }))
      )
      const program = Effect.gen(function* () {
        const ok = yield* (yield* Engine.get("ok", due)).result
        const late = yield* Effect.flip((yield* Engine.get("late", due)).result)
        return [ok.getUTCDate(), late._tag === "Late" ? Duration.toHours(late.by) : late.message]
      })
      const found = yield* program.pipe(Effect.provide(layerSqlite({ filename, runs: false })))
      assert.deepStrictEqual(found, [2, 48])
    }).pipe(Effect.scoped)
  )
})

describe("Engine.layerSqlite by a live clock, where what waits leaves the memory at once", () => {
  const checks = EngineContract.make(layer({ idle: 0 }), { onShutdown: "leaves", pass: Effect.sleep })
  for (const check of checks) it.live(check.name, () => check.effect, 10_000)
})
