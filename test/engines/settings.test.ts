// Settings of engines that make no sense are refused where the engine is made.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer } from "effect"
import { Engine } from "effect-baton"

const problemOf = <E>(layer: Layer.Layer<Engine.Engine, E>) =>
  Effect.map(Effect.exit(Effect.scoped(Layer.build(layer))), (exit) =>
    Exit.isFailure(exit) ? String((Cause.squash(exit.cause) as Error).message) : "none"
  )

const sqlite = (settings: Omit<Engine.SqliteOptions, "filename">) =>
  Engine.layerSqlite({ filename: ":memory:", ...settings })

describe("settings of an engine that make no sense are refused, with field, value and what to do", () => {
  const cases = {
    'Invalid definition of the memory engine at "keepSettled": Expected a whole number, 0 or more, found -1; correct the option':
      Engine.layerMemoryWith({ keepSettled: -1 }),
    'Invalid definition of the memory engine at "keepEvents": Expected a whole number, 1 or more, found 0; correct the option':
      Engine.layerMemoryWith({ keepEvents: 0 }),
    'Invalid definition of a durable engine at "maxCrashes": Expected a whole number, 0 or more, found -2; correct the option':
      sqlite({ maxCrashes: -2 }),
    'Invalid definition of a durable engine at "idle": Expected a duration that is not negative, such as "30 seconds" or 500 (milliseconds), found -5; correct the option':
      sqlite({ idle: -5 })
  }
  for (const [message, layer] of Object.entries(cases)) {
    it.effect(message, () => Effect.map(problemOf(layer), (problem) => assert.strictEqual(problem, message)))
  }
})
