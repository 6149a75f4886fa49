/**
 * One thing that an implementation promises, as an effect that any test framework can run.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * A check: what is promised, and an effect that succeeds where it is kept.
 */
export interface Check {
  readonly name: string
  readonly effect: Effect.Effect<void, unknown>
}

/**
 * A promise was not kept.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Check } from "effect-baton/testing"
 *
 * new Check.CheckFailed({ what: "the status", expected: '"completed"', actual: '"failed"' }).message // => 'the status: expected "completed", found "failed"'
 * ```
 */
export class CheckFailed extends Schema.TaggedError<CheckFailed>("effect-baton/testing/CheckFailed")("CheckFailed", {
  what: Schema.String,
  expected: Schema.String,
  actual: Schema.String
}) {
  override get message(): string {
    return `${this.what}: expected ${this.expected}, found ${this.actual}`
  }
}
