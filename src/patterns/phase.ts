/**
 * What the patterns share: a phase is a step with a progress report, a part of a pattern is a scope.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { BudgetExceeded } from "../Budget.ts"
import type { Progress } from "../Execution.ts"
import { InvalidDefinition } from "../InvalidDefinition.ts"
import { type Current, currentFrame, type Frame } from "../internal/frame.ts"
import { inline } from "../internal/inline.ts"
import { show } from "../internal/schema.ts"
import type { RunError } from "../RunError.ts"
import type { Workflow } from "../Workflow.ts"

/**
 * Runs a phase as a step of the execution it runs in; outside of any, as it is, so that phases can be called one by one.
 */
export const phase = <A, E, R>(
  name: string,
  run: Effect.Effect<A, E, R>,
  key?: string
): Effect.Effect<A, E | BudgetExceeded, R> => Effect.withFiber((fiber) => phaseIn(currentFrame(fiber), name, run, key))

/** The same where the frame is known, for many phases side by side. */
export const phaseIn = <A, E, R>(
  frame: Frame | undefined,
  name: string,
  run: Effect.Effect<A, E, R>,
  key?: string
): Effect.Effect<A, E | BudgetExceeded, R> => (frame === undefined ? run : frame.execution.step(frame, name, key, run))

/** Gives a part of a pattern a place of its own: what it does stands under `name/key`. */
export const scope = <A, E, R>(
  name: string,
  key: string | undefined,
  run: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const frame = currentFrame(fiber)
    return frame === undefined ? run : frame.execution.scope(frame, name, key, run)
  })

/** Reports progress of a pattern, if it runs in an execution. */
export const report = (progress: Progress): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const frame = currentFrame(fiber)
    frame?.execution.report(frame, progress)
    return Effect.void
  })

/**
 * Runs a workflow as a part of a pattern, in a scope of the pattern's own: its steps stand under `name/key`, since the
 * key says already which workflow it is.
 */
export const part = <Input, Output, Error, R>(
  name: string,
  key: string | undefined,
  workflow: Workflow<Input, Output, Error, R>,
  input: Input
): Effect.Effect<Output, Error | RunError, R | Current> => scope(name, key, inline(workflow, input))

/**
 * The error of a part that the others need not end for. A used-up budget leaves nothing for them; a defect or an
 * interruption is nobody's result.
 */
export const collectable = (cause: Cause.Cause<unknown>): Option.Option<unknown> =>
  Cause.hasDies(cause)
    ? Option.none()
    : Option.filter(Cause.findErrorOption(cause), (error) => !(error instanceof BudgetExceeded))

/** How much may go on at once. */
export const concurrencyOf = (workflow: string, given: number | "unbounded" | undefined): number | "unbounded" => {
  if (given === undefined || given === "unbounded") return "unbounded"
  if (Number.isSafeInteger(given) && given >= 1) return given
  throw invalid(workflow, "maxConcurrency", given, 'Expected a whole number, 1 or more, or "unbounded"')
}

/** The definition is wrong: thrown by `make`. */
export const invalid = (workflow: string, field: string, value: unknown, problem: string): InvalidDefinition =>
  new InvalidDefinition({ workflow, field, value: show(value), problem })
