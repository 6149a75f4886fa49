/**
 * What the patterns share: a phase is a step with a progress report, a part of a pattern is a scope.
 */
import * as Effect from "effect/Effect"
import type { BudgetExceeded } from "../Budget.ts"
import type { Progress } from "../Execution.ts"
import { Current } from "../internal/frame.ts"

/** The frame of the execution that an effect runs in, if there is one. */
const current = Effect.withFiber((fiber) =>
  Effect.succeed(fiber.context.mapUnsafe.get(Current.key) as Current["Service"] | undefined)
)

/**
 * Runs a phase as a step of the execution it runs in; outside of any, as it is, so that phases can be called one by one.
 */
export const phase = <A, E, R>(
  name: string,
  run: Effect.Effect<A, E, R>,
  key?: string
): Effect.Effect<A, E | BudgetExceeded, R> =>
  Effect.flatMap(current, (frame) =>
    frame === undefined ? run : Effect.withFiber((fiber) => frame.execution.step(fiber, frame, name, key, run))
  )

/** Gives a part of a pattern a place of its own: what it does stands under `name/key`. */
export const scope = <A, E, R>(
  name: string,
  key: string | undefined,
  run: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(current, (frame) =>
    frame === undefined ? run : Effect.withFiber((fiber) => frame.execution.scope(fiber, frame, name, key, run))
  )

/** Reports progress of a pattern, if it runs in an execution. */
export const report = (progress: Progress): Effect.Effect<void> =>
  Effect.map(current, (frame) => frame?.execution.report(frame, progress))
