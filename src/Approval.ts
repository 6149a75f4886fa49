/**
 * A person's decision, and the rules for taking it.
 */
import type * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { Count, DurationInput } from "./internal/schema.ts"

/**
 * A decision: who decided what, when and why. Also the shape of each single response.
 *
 * **Example** (Making a decision)
 *
 * ```ts
 * import { Approval } from "effect-baton"
 *
 * const approval = Approval.Approval.make({ approved: true, approvedBy: "ada", timestamp: new Date(0) })
 *
 * approval.approvedBy // => "ada"
 * ```
 */
export const Approval = Schema.Struct({
  approved: Schema.Boolean,
  reason: Schema.optionalKey(Schema.String),
  approvedBy: Schema.optionalKey(Schema.String),
  timestamp: Schema.Date
})

/** A decision: who decided what, when and why. Also the shape of each single response. */
export interface Approval {
  /** Whether the answer was yes. */
  readonly approved: boolean
  /** Why, in the words of the one who decided; `"timeout"` when nobody did. */
  readonly reason?: string
  /** Who gave the deciding answer; absent for an anonymous person and for a timeout. */
  readonly approvedBy?: string
  /** When the answer was given. */
  readonly timestamp: Date
}

/** The rules of an approval; a run's `approval` option gives the defaults of its requests. */
export interface ApprovalOptions {
  /** How long the request stays open. Default: for ever. */
  readonly timeout?: Duration.Input | undefined
  /** What the end of that time means. Default: `false`, a no with reason `"timeout"`. */
  readonly autoApproveOnTimeout?: boolean | undefined
  /** Who may answer. Default: everybody. */
  readonly approvers?: ReadonlyArray<string> | undefined
  /** How many different people must say yes. Default: 1. */
  readonly requiredApprovals?: number | undefined
  /** Reasons that do something, and what, such as `{ always: "do not ask again" }`: channels offer them. Default: none. */
  readonly reasons?: Readonly<Record<string, string>> | undefined
}

const fields = Schema.Struct({
  timeout: Schema.optional(DurationInput),
  autoApproveOnTimeout: Schema.optional(Schema.Boolean),
  approvers: Schema.optional(Schema.Array(Schema.NonEmptyString)),
  requiredApprovals: Schema.optional(Count(1)),
  reasons: Schema.optional(Schema.Record(Schema.NonEmptyString, Schema.String))
})

/**
 * Schema of the rules of an approval.
 *
 * **Example** (A quorum that can not be reached)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Approval } from "effect-baton"
 *
 * Schema.is(Approval.ApprovalOptions)({ approvers: ["ada", "alan"], requiredApprovals: 2 }) // => true
 * Schema.is(Approval.ApprovalOptions)({ approvers: ["ada", "alan"], requiredApprovals: 3 }) // => false
 * ```
 */
export const ApprovalOptions: Schema.Codec<ApprovalOptions> = fields.check(
  Schema.makeFilter((options: typeof fields.Type) => {
    if (options.approvers === undefined) return undefined
    const approvers = new Set(options.approvers).size
    if (approvers === 0) {
      return {
        path: ["approvers"],
        issue: "Expected at least one approver: leave the field out to let everybody answer"
      }
    }
    return (options.requiredApprovals ?? 1) > approvers
      ? { path: ["requiredApprovals"], issue: `Expected at most ${approvers}, the number of different approvers` }
      : undefined
  })
)
