/**
 * What a run can fail with besides its workflow's own error.
 */
import * as Schema from "effect/Schema"
import { BudgetExceeded } from "./Budget.ts"
import { RunCancelled } from "./Cancel.ts"
import { RunTimedOut } from "./Timeout.ts"

const where = (field: string) => (field === "" ? "" : ` at "${field}"`)

const invalid = {
  /** Name of the workflow. */
  workflow: Schema.String,
  /** Path of the offending part, dotted; empty for the value as a whole. */
  field: Schema.String,
  /** What stands there, shortened; what is `Redacted` stays hidden. */
  value: Schema.String,
  /** What the schema says about it. */
  problem: Schema.String
}

/**
 * The input of a run does not fit its workflow's `input` schema; no work was done.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { RunError } from "effect-baton"
 *
 * new RunError.InvalidInput({ workflow: "deploy", field: "version", value: "12", problem: "Expected string" }).message // => 'Invalid input of deploy at "version": Expected string, found 12; pass what its input schema describes'
 * ```
 */
export class InvalidInput extends Schema.TaggedError<InvalidInput>("effect-baton/RunError/InvalidInput")(
  "InvalidInput",
  invalid
) {
  override get message(): string {
    return `Invalid input of ${this.workflow}${where(this.field)}: ${this.problem}, found ${this.value}; pass what its input schema describes`
  }
}

/**
 * The options of a run are not valid; no work was done.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { RunError } from "effect-baton"
 *
 * new RunError.InvalidOptions({ workflow: "deploy", field: "retry.attempts", value: "-1", problem: "Expected a whole number, 0 or more" }).message // => 'Invalid options of deploy at "retry.attempts": Expected a whole number, 0 or more, found -1; correct the option'
 * ```
 */
export class InvalidOptions extends Schema.TaggedError<InvalidOptions>("effect-baton/RunError/InvalidOptions")(
  "InvalidOptions",
  invalid
) {
  override get message(): string {
    return `Invalid options of ${this.workflow}${where(this.field)}: ${this.problem}, found ${this.value}; correct the option`
  }
}

/**
 * A body succeeded with something its workflow's `output` schema does not allow.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { RunError } from "effect-baton"
 *
 * new RunError.InvalidOutput({ workflow: "deploy", field: "", value: "42", problem: "Expected string" }).message // => "Invalid output of deploy: Expected string, found 42; return what its output schema describes"
 * ```
 */
export class InvalidOutput extends Schema.TaggedError<InvalidOutput>("effect-baton/RunError/InvalidOutput")(
  "InvalidOutput",
  invalid
) {
  override get message(): string {
    return `Invalid output of ${this.workflow}${where(this.field)}: ${this.problem}, found ${this.value}; return what its output schema describes`
  }
}

/**
 * The id given in `options.id` belongs to another run: one of another workflow, or with another input.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { RunError } from "effect-baton"
 *
 * new RunError.IdConflict({ id: "order-7", workflow: "ship", existing: "deploy", differs: "workflow" }).message // => 'The id "order-7" belongs to a run of deploy, another workflow than ship; choose another id'
 * ```
 */
export class IdConflict extends Schema.TaggedError<IdConflict>("effect-baton/RunError/IdConflict")("IdConflict", {
  id: Schema.String,
  workflow: Schema.String,
  existing: Schema.String,
  differs: Schema.Literals(["workflow", "input"])
}) {
  override get message(): string {
    return this.differs === "workflow"
      ? `The id "${this.id}" belongs to a run of ${this.existing}, another workflow than ${this.workflow}; choose another id`
      : `The id "${this.id}" belongs to a run of ${this.existing} with another input; choose another id, or pass the same input`
  }
}

/** What a run can fail with besides its workflow's own error. */
export type RunError =
  | RunTimedOut
  | RunCancelled
  | BudgetExceeded
  | InvalidInput
  | InvalidOptions
  | InvalidOutput
  | IdConflict

/**
 * Schema of the errors a run can fail with besides its workflow's own.
 *
 * **Example** (Through JSON and back)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Cancel, RunError } from "effect-baton"
 *
 * const error = new Cancel.RunCancelled({ executionId: "run_1", workflow: "deploy" })
 * const json = Schema.encodeSync(RunError.RunError)(error)
 *
 * Schema.decodeUnknownSync(RunError.RunError)(json)._tag // => "RunCancelled"
 * ```
 */
export const RunError = Schema.Union([
  RunTimedOut,
  RunCancelled,
  BudgetExceeded,
  InvalidInput,
  InvalidOptions,
  InvalidOutput,
  IdConflict
])

/**
 * Whether a value is one of these errors.
 *
 * **Example** (Telling a run's errors from the workflow's own)
 *
 * ```ts
 * import { Cancel, RunError } from "effect-baton"
 *
 * RunError.isRunError(new Cancel.RunCancelled({ executionId: "run_1", workflow: "deploy" })) // => true
 * RunError.isRunError(new Error("boom")) // => false
 * ```
 */
export const isRunError = (u: unknown): u is RunError =>
  u instanceof RunTimedOut ||
  u instanceof RunCancelled ||
  u instanceof BudgetExceeded ||
  u instanceof InvalidInput ||
  u instanceof InvalidOptions ||
  u instanceof InvalidOutput ||
  u instanceof IdConflict

/**
 * The execution has settled: there is nothing left to pause, resume or ask.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Execution } from "effect-baton"
 *
 * new Execution.RunSettled({ executionId: "run_1", status: "completed" }).message // => "run_1 is completed: there is nothing left to steer; execution.result has its outcome"
 * ```
 */
export class RunSettled extends Schema.TaggedError<RunSettled>("effect-baton/RunError/RunSettled")("RunSettled", {
  executionId: Schema.String,
  status: Schema.Literals(["completed", "failed", "cancelled"])
}) {
  override get message(): string {
    return `${this.executionId} is ${this.status}: there is nothing left to steer; execution.result has its outcome`
  }
}
