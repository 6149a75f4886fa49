/**
 * A configured execution of a workflow that has not started: its options, its status, and the pure state machine that
 * every status change goes through.
 *
 * | from | transition | to |
 * |---|---|---|
 * | pending | start | in-progress |
 * | pending | cancel | cancelled |
 * | in-progress | hold | awaiting |
 * | awaiting | release | in-progress |
 * | in-progress, awaiting | complete | completed |
 * | in-progress, awaiting | fail | failed |
 * | in-progress, awaiting | cancel | cancelled |
 *
 * `completed`, `failed` and `cancelled` are final.
 */
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import { ApprovalOptions } from "./Approval.ts"
import { Budget } from "./Budget.ts"
import { Cancel, type CancelResult } from "./Cancel.ts"
import type { Execution } from "./Execution.ts"
import { Callback, Name } from "./internal/schema.ts"
import { Retry } from "./Retry.ts"
import type { RunError } from "./RunError.ts"
import type { Engine, WorkflowNotRegistered } from "./services/Engine.ts"
import { Timeout } from "./Timeout.ts"
import type * as Workflow from "./Workflow.ts"

/**
 * Where a run stands in its life.
 *
 * **Example** (The six states)
 *
 * ```ts
 * import { Run } from "effect-baton"
 *
 * Run.RunStatus.literals // => ["pending", "in-progress", "awaiting", "completed", "failed", "cancelled"]
 * ```
 */
export const RunStatus = Schema.Literals(["pending", "in-progress", "awaiting", "completed", "failed", "cancelled"])

/** Where a run stands in its life. */
export type RunStatus = typeof RunStatus.Type

/** What can happen to a run: `hold` and `release` are the first open human request or a pause, and the end of the last. */
export type Transition = "start" | "hold" | "release" | "complete" | "fail" | "cancel"

const live = { complete: "completed", fail: "failed", cancel: "cancelled" } as const

const machine: Record<RunStatus, Partial<Record<Transition, RunStatus>>> = {
  pending: { start: "in-progress", cancel: "cancelled" },
  "in-progress": { hold: "awaiting", ...live },
  awaiting: { release: "in-progress", ...live },
  completed: {},
  failed: {},
  cancelled: {}
}

/**
 * The state machine of a run: the next status, or `undefined` where the table has no such row.
 *
 * **Example** (One life)
 *
 * ```ts
 * import { Run } from "effect-baton"
 *
 * Run.transition("pending", "start") // => "in-progress"
 * Run.transition("in-progress", "hold") // => "awaiting"
 * Run.transition("completed", "cancel") // => undefined
 * ```
 */
export const transition = (status: RunStatus, event: Transition): RunStatus | undefined => machine[status][event]

/**
 * Whether a status is final.
 *
 * **Example** (Final or not)
 *
 * ```ts
 * import { Run } from "effect-baton"
 *
 * Run.isSettled("failed") // => true
 * Run.isSettled("awaiting") // => false
 * ```
 */
export const isSettled = (status: RunStatus): boolean =>
  status === "completed" || status === "failed" || status === "cancelled"

/** Everything that can be set for a run; all of it optional, also as a workflow's `defaults`. */
export interface RunOptions<in Output = never, in Error = never> {
  /** Makes the start idempotent: the same id gives the same execution; no NUL or half of a surrogate pair. Default: a new id. */
  readonly id?: string | undefined
  /** Words to find the run by, of the same characters. Default: none. */
  readonly tags?: ReadonlyArray<string> | undefined
  /** How long an attempt may take. Default: for ever. */
  readonly timeout?: Timeout | undefined
  /** Whether and when a failed attempt is tried again. Default: never. */
  readonly retry?: Retry | undefined
  /** How the run is cancelled. Default: at once, nobody asked. */
  readonly cancel?: Cancel | undefined
  /** Defaults of the run's approval requests. Default: one yes from anybody, no time limit. */
  readonly approval?: ApprovalOptions | undefined
  /** What the run and everything nested in it may use. Default: no limit. */
  readonly budget?: Budget | undefined
  /** Told the output of a completed run. Default: nothing. */
  readonly onComplete?: ((output: Output) => Effect.Effect<unknown, unknown>) | undefined
  /** Told the error of a failed run; a defect is told as it is. Default: nothing. */
  readonly onFailed?: ((error: Error | RunError) => Effect.Effect<unknown, unknown>) | undefined
  /** Told every status change, once, in order. Default: nothing. */
  readonly onStatusChange?: ((status: RunStatus) => Effect.Effect<unknown, unknown>) | undefined
}

/**
 * Schema of a run's options.
 *
 * **Example** (Checking options)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Run } from "effect-baton"
 *
 * Schema.is(Run.RunOptions)({ timeout: "30 seconds", retry: { attempts: 3, delay: "1 second" } }) // => true
 * Schema.is(Run.RunOptions)({ budget: { tokens: -1 } }) // => false
 * ```
 */
export const RunOptions: Schema.Codec<RunOptions> = Schema.Struct({
  id: Schema.optional(Name.check(Schema.isNonEmpty())),
  tags: Schema.optional(Schema.Array(Name)),
  timeout: Schema.optional(Timeout),
  retry: Schema.optional(Retry),
  cancel: Schema.optional(Cancel),
  approval: Schema.optional(ApprovalOptions),
  budget: Schema.optional(Budget),
  onComplete: Schema.optional(Callback<NonNullable<RunOptions["onComplete"]>>()),
  onFailed: Schema.optional(Callback<NonNullable<RunOptions["onFailed"]>>()),
  onStatusChange: Schema.optional(Callback<NonNullable<RunOptions["onStatusChange"]>>())
})

/** A configured, not yet started execution of a workflow. */
export interface Run<out Output, out Error = never, out R = never> {
  readonly id: string
  readonly workflow: Workflow.Any
  readonly input: unknown
  /** The workflow's defaults, overridden by what this run was given. */
  readonly options: RunOptions
  /** `"pending"` until started, then the status of the execution. */
  readonly status: Effect.Effect<RunStatus>
  /** Starts the run; again, at once or later, gives the same execution. */
  readonly start: Effect.Effect<Execution<Output, Error>, never, R | Engine>
  /**
   * Starts the run where its workflow is registered (`Workflow.toLayer`), with what it was registered with: whoever
   * submits needs nothing of what the body needs.
   */
  readonly submit: Effect.Effect<Execution<Output, Error>, WorkflowNotRegistered, Engine>
  /** Cancels the run; if it has not started, it never will: `start` then gives a cancelled execution. */
  readonly cancel: (reason?: string) => Effect.Effect<CancelResult>
  /** The same run with these options over the ones it has. */
  readonly configure: (options: RunOptions<Output, Error>) => Run<Output, Error, R>
}

/**
 * A new configuration of a pending run.
 *
 * **Gotchas**
 *
 * It is the same run and keeps its id: whichever configuration is started first counts, and starting another one gives
 * the execution that is already there.
 *
 * **Example** (Configuring later)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Run, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * const program = Effect.gen(function*() {
 *   const run = yield* echo.run("hi")
 *   return Run.configure(run, { tags: ["demo"] }).options.tags
 * })
 *
 * await Effect.runPromise(program) // => ["demo"]
 * ```
 */
export const configure: {
  <Output, Error>(options: RunOptions<Output, Error>): <R>(self: Run<Output, Error, R>) => Run<Output, Error, R>
  <Output, Error, R>(self: Run<Output, Error, R>, options: RunOptions<Output, Error>): Run<Output, Error, R>
} = dual(2, <Output, Error, R>(self: Run<Output, Error, R>, options: RunOptions<Output, Error>) =>
  self.configure(options)
)

const control =
  <const Key extends "timeout" | "retry" | "cancel" | "approval" | "budget">(key: Key) =>
  <Output, Error, R>(self: Run<Output, Error, R>, value: NonNullable<RunOptions[Key]>): Run<Output, Error, R> =>
    self.configure({ [key]: value })

/** A function that sets one control of a run, data first or data last. */
export interface With<Value> {
  (value: Value): <Output, Error, R>(self: Run<Output, Error, R>) => Run<Output, Error, R>
  <Output, Error, R>(self: Run<Output, Error, R>, value: Value): Run<Output, Error, R>
}

/**
 * A run with this timeout.
 *
 * **Example** (A deadline for each attempt)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Run, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 * const run = await Effect.runPromise(echo.run("hi"))
 *
 * Run.withTimeout(run, "30 seconds").options.timeout // => "30 seconds"
 * ```
 */
export const withTimeout: With<Timeout> = dual(2, control("timeout"))

/**
 * A run with this retry policy.
 *
 * **Example** (Three more tries)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Run, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 * const run = await Effect.runPromise(echo.run("hi"))
 *
 * Run.withRetry(run, { attempts: 3, delay: "1 second" }).options.retry // => { attempts: 3, delay: "1 second" }
 * ```
 */
export const withRetry: With<Retry> = dual(2, control("retry"))

/**
 * A run with these cancel settings.
 *
 * **Example** (Waiting for finalizers)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Run, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 * const run = await Effect.runPromise(echo.run("hi"))
 *
 * Run.withCancel(run, { graceful: true }).options.cancel // => { graceful: true }
 * ```
 */
export const withCancel: With<Cancel> = dual(2, control("cancel"))

/**
 * A run with these rules for its approvals.
 *
 * **Example** (Two of three)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Run, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 * const run = await Effect.runPromise(echo.run("hi"))
 *
 * Run.withApproval(run, { requiredApprovals: 2 }).options.approval // => { requiredApprovals: 2 }
 * ```
 */
export const withApproval: With<ApprovalOptions> = dual(2, control("approval"))

/**
 * A run with this budget.
 *
 * **Example** (A limit on cost)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Run, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 * const run = await Effect.runPromise(echo.run("hi"))
 *
 * Run.withBudget(run, { cost: 0.5 }).options.budget // => { cost: 0.5 }
 * ```
 */
export const withBudget: With<Budget> = dual(2, control("budget"))
