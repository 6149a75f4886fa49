/**
 * When a failed attempt is tried again, and after how long.
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Callback, Count, DurationInput } from "./internal/schema.ts"

/** How the delay grows from retry to retry. */
export type Backoff = "fixed" | "linear" | "exponential"

/** What all forms of a retry share. */
export interface RetryHooks {
  /** Whether an error is worth another try; a failure of the callback counts as no. Default: every error is. */
  // One policy serves workflows and steps of any error: who writes it says which one it means.
  readonly while?: ((error: any) => boolean | Effect.Effect<boolean, unknown>) | undefined
  /** Told before each delay. Default: nothing. */
  readonly onRetry?: ((retry: RetryInfo) => Effect.Effect<unknown, unknown>) | undefined
  /** `"restart"` runs the body from its top; `"resume"` reuses the steps that succeeded. Default: `"restart"`. */
  readonly mode?: "restart" | "resume" | undefined
}

/** A retry by number and delay. */
export interface RetryConfig extends RetryHooks {
  /** How many retries after the first try. */
  readonly attempts: number
  /** Delay before the first retry. */
  readonly delay: Duration.Input
  /** How the delay grows. Default: `"fixed"`. */
  readonly backoff?: Backoff | undefined
  /** Longest delay. Default: none. */
  readonly maxDelay?: Duration.Input | undefined
  /** Spread each delay between 80 % and 120 % of itself. Default: `false`. */
  readonly jitter?: boolean | undefined
}

/** A retry by any `Schedule`; its input is the error, its delays are the delays. */
export interface RetrySchedule extends RetryHooks {
  readonly schedule: Schedule.Schedule<unknown, any>
}

/** A retry policy. */
export type Retry = RetryConfig | RetrySchedule

/** What `onRetry` is told. */
export interface RetryInfo {
  /** Number of the attempt that failed, from 1. */
  readonly attempt: number
  /** What it failed with. */
  readonly error: unknown
  /** Delay before the next attempt, in milliseconds. */
  readonly delayMillis: number
}

const hooks = {
  while: Schema.optional(Callback<NonNullable<RetryHooks["while"]>>()),
  onRetry: Schema.optional(Callback<NonNullable<RetryHooks["onRetry"]>>()),
  mode: Schema.optional(Schema.Literals(["restart", "resume"]))
}

/**
 * Schema of a retry by number and delay.
 *
 * **Example** (Checking a policy)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Retry } from "effect-baton"
 *
 * Schema.is(Retry.RetryConfig)({ attempts: 3, delay: "1 second", backoff: "exponential" }) // => true
 * Schema.is(Retry.RetryConfig)({ attempts: -1, delay: "1 second" }) // => false
 * ```
 */
export const RetryConfig: Schema.Codec<RetryConfig> = Schema.Struct({
  attempts: Count(0),
  delay: DurationInput,
  backoff: Schema.optional(Schema.Literals(["fixed", "linear", "exponential"])),
  maxDelay: Schema.optional(DurationInput),
  jitter: Schema.optional(Schema.Boolean),
  ...hooks
})

/**
 * Schema of a retry by schedule.
 *
 * **Example** (Checking a policy)
 *
 * ```ts
 * import { Schedule, Schema } from "effect"
 * import { Retry } from "effect-baton"
 *
 * Schema.is(Retry.RetrySchedule)({ schedule: Schedule.recurs(3) }) // => true
 * ```
 */
export const RetrySchedule: Schema.Codec<RetrySchedule> = Schema.Struct({
  schedule: Schema.declare<Schedule.Schedule<unknown, any>>(
    (u): u is Schedule.Schedule<unknown, any> => Schedule.isSchedule(u),
    { expected: "a Schedule" }
  ),
  ...hooks
})

/**
 * Schema of a retry policy.
 *
 * **Example** (Checking a policy)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Retry } from "effect-baton"
 *
 * Schema.is(Retry.Retry)({ attempts: 3, delay: Number.NaN }) // => false
 * ```
 */
export const Retry: Schema.Codec<Retry> = Schema.Union([RetryConfig, RetrySchedule])

/**
 * Delay before retry `n` (1, 2, 3, ...), in milliseconds, without jitter.
 *
 * **Details**
 *
 * `fixed` is d, `linear` n·d, `exponential` 2^(n-1)·d, each capped by `maxDelay`. `undefined` when no retry is left.
 *
 * **Example** (An exponential backoff)
 *
 * ```ts
 * import { Retry } from "effect-baton"
 *
 * const retry = { attempts: 4, delay: "1 second", backoff: "exponential", maxDelay: "5 seconds" } as const
 *
 * ;[1, 2, 3, 4, 5].map((n) => Retry.delayMillis(retry, n)) // => [1000, 2000, 4000, 5000, undefined]
 * ```
 */
export const delayMillis = (retry: RetryConfig, n: number): number | undefined => {
  if (n > retry.attempts) return undefined
  const base = Duration.toMillis(retry.delay)
  const factor = retry.backoff === "linear" ? n : retry.backoff === "exponential" ? 2 ** (n - 1) : 1
  const delay = base === 0 ? 0 : base * factor
  return retry.maxDelay === undefined ? delay : Math.min(delay, Duration.toMillis(retry.maxDelay))
}
