/**
 * How long one attempt of a run may take, and what happens then.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { Callback, DurationInput } from "./internal/schema.ts"

/**
 * What happens when the time is up.
 *
 * **Details**
 *
 * - `"fail"`: the attempt fails with `RunTimedOut`; a retry policy may retry it.
 * - `"cancel"`: the run is cancelled with reason `"timeout"`; no retry.
 * - `"continue"`: an event, a warning and the callback; the work goes on.
 *
 * **Example** (The three choices)
 *
 * ```ts
 * import { Timeout } from "effect-baton"
 *
 * Timeout.OnTimeout.literals // => ["fail", "cancel", "continue"]
 * ```
 */
export const OnTimeout = Schema.Literals(["fail", "cancel", "continue"])

/** What happens when the time is up. */
export type OnTimeout = typeof OnTimeout.Type

/** A timeout with all its settings. */
export interface TimeoutConfig {
  /** Longest time for one attempt. */
  readonly duration: Duration.Input
  /** What happens then. Default: `"fail"`. */
  readonly onTimeout?: OnTimeout | undefined
  /** Whether waiting for people counts: `"wall"` counts it, `"active"` does not. Default: `"wall"`. */
  readonly clock?: "wall" | "active" | undefined
  /** Runs once per attempt that times out, whatever `onTimeout` says. Default: nothing. */
  readonly onTimeoutCallback?: Effect.Effect<unknown, unknown> | (() => Effect.Effect<unknown, unknown>) | undefined
}

/** A timeout, or just its duration. */
export type Timeout = Duration.Input | TimeoutConfig

/**
 * Schema of a timeout that is written out in full.
 *
 * **Example** (Checking a timeout)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Timeout } from "effect-baton"
 *
 * Schema.is(Timeout.TimeoutConfig)({ duration: "30 seconds", onTimeout: "cancel" }) // => true
 * Schema.is(Timeout.TimeoutConfig)({ duration: "-1 second" }) // => false
 * ```
 */
export const TimeoutConfig: Schema.Codec<TimeoutConfig> = Schema.Struct({
  duration: DurationInput,
  onTimeout: Schema.optional(OnTimeout),
  clock: Schema.optional(Schema.Literals(["wall", "active"])),
  onTimeoutCallback: Schema.optional(Callback<NonNullable<TimeoutConfig["onTimeoutCallback"]>>())
})

/**
 * Schema of a timeout: a duration, or the full form.
 *
 * **Example** (Checking a short form)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Timeout } from "effect-baton"
 *
 * Schema.is(Timeout.Timeout)("5 minutes") // => true
 * Schema.is(Timeout.Timeout)(Number.NaN) // => false
 * ```
 */
export const Timeout: Schema.Codec<Timeout> = Schema.Union([DurationInput, TimeoutConfig])

/**
 * The full form of a timeout.
 *
 * **Example** (Expanding a duration)
 *
 * ```ts
 * import { Timeout } from "effect-baton"
 *
 * Timeout.toConfig("5 minutes") // => { duration: "5 minutes" }
 * ```
 */
export const toConfig = (timeout: Timeout): TimeoutConfig =>
  Predicate.hasProperty(timeout, "duration") ? (timeout as TimeoutConfig) : { duration: timeout as Duration.Input }

/**
 * An attempt of a run took longer than its timeout.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Timeout } from "effect-baton"
 *
 * const error = new Timeout.RunTimedOut({ executionId: "run_1", workflow: "deploy", attempt: 1, afterMillis: 30000 })
 *
 * error.message // => "Attempt 1 of deploy (run_1) timed out after 30000 ms: raise timeout.duration, or allow a retry"
 * ```
 */
export class RunTimedOut extends Schema.TaggedError<RunTimedOut>("effect-baton/Timeout/RunTimedOut")("RunTimedOut", {
  executionId: Schema.String,
  workflow: Schema.String,
  attempt: Schema.Int,
  afterMillis: Schema.Finite
}) {
  override get message(): string {
    return `Attempt ${this.attempt} of ${this.workflow} (${this.executionId}) timed out after ${this.afterMillis} ms: raise timeout.duration, or allow a retry`
  }
}
