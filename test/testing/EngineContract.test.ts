import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Engine } from "effect-baton"
import { EngineContract } from "effect-baton/testing"

describe("Engine.layerMemory", () => {
  for (const check of EngineContract.make(Engine.layerMemory)) it.effect(check.name, () => check.effect, 5000)
})

describe("Engine.layerMemory by a live clock", () => {
  const checks = EngineContract.make(Engine.layerMemory, { pass: Effect.sleep })
  for (const check of checks) it.live(check.name, () => check.effect, 5000)
})
