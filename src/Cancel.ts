/**
 * How a run is cancelled: who is asked, what is told, how long finalizers may take.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Callback, DurationInput } from "./internal/schema.ts"

/** How a run is cancelled. */
export interface Cancel {
  /**
   * Asked before a cancel or a timeout `"cancel"` is carried out; `false` prevents it. A failure is logged and the
   * cancel goes on. Not asked when a parent cancels, a shutdown does, or the caller of `execute` is interrupted.
   * Default: nobody is asked.
   */
  readonly beforeCancel?:
    | Effect.Effect<boolean, unknown>
    | ((reason: string | undefined) => Effect.Effect<boolean, unknown>)
    | undefined
  /** Runs once, after the status is `"cancelled"`. Default: nothing. */
  readonly afterCancel?:
    | Effect.Effect<unknown, unknown>
    | ((reason: string | undefined) => Effect.Effect<unknown, unknown>)
    | undefined
  /** Reason that stands in `RunCancelled` when the canceller gives none. Default: none. */
  readonly reason?: string | undefined
  /** Wait for the body's finalizers before the run counts as cancelled. Default: `false`. */
  readonly graceful?: boolean | undefined
  /** How long a graceful cancel waits for them. Default: `"30 seconds"`. */
  readonly gracefulTimeout?: Duration.Input | undefined
}

/**
 * Schema of the cancel settings.
 *
 * **Example** (Checking settings)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Cancel } from "effect-baton"
 *
 * Schema.is(Cancel.Cancel)({ graceful: true, gracefulTimeout: "5 seconds" }) // => true
 * Schema.is(Cancel.Cancel)({ gracefulTimeout: -1 }) // => false
 * ```
 */
export const Cancel: Schema.Codec<Cancel> = Schema.Struct({
  beforeCancel: Schema.optional(Callback<NonNullable<Cancel["beforeCancel"]>>()),
  afterCancel: Schema.optional(Callback<NonNullable<Cancel["afterCancel"]>>()),
  reason: Schema.optional(Schema.String),
  graceful: Schema.optional(Schema.Boolean),
  gracefulTimeout: Schema.optional(DurationInput)
})

/** What a cancel answers: it was carried out, it was prevented, or there was nothing left to cancel. */
export type CancelResult = "cancelled" | "prevented" | "already-settled"

/**
 * The run was cancelled.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Cancel } from "effect-baton"
 *
 * new Cancel.RunCancelled({ executionId: "run_1", workflow: "deploy", reason: "timeout" }).message // => "deploy (run_1) was cancelled: timeout"
 * ```
 */
export class RunCancelled extends Schema.TaggedError<RunCancelled>("effect-baton/Cancel/RunCancelled")("RunCancelled", {
  executionId: Schema.String,
  workflow: Schema.String,
  reason: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    return `${this.workflow} (${this.executionId}) was cancelled${this.reason === undefined ? "" : `: ${this.reason}`}`
  }
}
