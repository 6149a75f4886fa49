/**
 * What every `Engine` promises, as checks that any implementation can run.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import type { Engine } from "../services/Engine.ts"
import type { Check } from "./Check.ts"
import { cancels } from "./engine/cancels.ts"
import { children, shutdown } from "./engine/children.ts"
import type { Checks, Kit } from "./engine/kit.ts"
import { lifecycle } from "./engine/lifecycle.ts"
import { pauses } from "./engine/pauses.ts"
import { approvals, inputs } from "./engine/people.ts"
import { retries } from "./engine/retries.ts"
import { steps } from "./engine/steps.ts"
import { timeouts } from "./engine/timeouts.ts"

/** Settings of the checks. */
export interface Options {
  /** Lets time pass; with a live clock `Effect.sleep`. The checks never need more than a second. Default: `TestClock.adjust`. */
  readonly pass?: ((duration: Duration.Input) => Effect.Effect<void>) | undefined
  /** What a shutdown does to live executions: cancels them, or leaves them to another process. Default: `"cancels"`. */
  readonly onShutdown?: "cancels" | "leaves" | undefined
}

const groups: Readonly<Record<string, Checks>> = {
  lifecycle,
  steps,
  retries,
  timeouts,
  cancels,
  pauses,
  approvals,
  inputs,
  children,
  shutdown
}

/**
 * The checks of an engine, named by group. The layer is built for each of them, and must give an empty engine every time.
 *
 * **Example** (In a test file)
 *
 * ```ts no-run
 * import { describe, it } from "@effect/vitest"
 * import { Engine } from "effect-baton"
 * import { EngineContract } from "effect-baton/testing"
 *
 * describe("my engine", () => {
 *   for (const check of EngineContract.make(Engine.layerMemory)) it.effect(check.name, () => check.effect)
 * })
 * ```
 */
export const make = <E>(layer: Layer.Layer<Engine, E>, options: Options = {}): ReadonlyArray<Check> => {
  const kit: Kit = { pass: options.pass ?? TestClock.adjust, onShutdown: options.onShutdown ?? "cancels" }
  return Object.entries(groups).flatMap(([group, checks]) =>
    Object.entries(checks).map(([name, check]) => ({
      name: `${group}: ${name}`,
      // TestClock's first sleep cuts a finalizer that sleeps; once time has passed it does not.
      effect: Effect.andThen(
        kit.pass("1 millis"),
        Effect.suspend(() => Effect.provide(check(kit), Layer.fresh(layer)))
      )
    }))
  )
}
