/**
 * What a run and everything nested in it may use up.
 */
import * as Schema from "effect/Schema"
import { Amount, Count } from "./internal/schema.ts"

/**
 * Limits of one run, shared by its retries, its inner calls, its patterns and agents, and its children.
 *
 * A call counts before it is made; its tokens and cost when it has ended, so calls that are under way together can pass
 * those limits by what they use. A call whose provider tells no usage has no tokens and no cost: it is a model call all the
 * same, and where only tokens or cost are limited a warning in the log says that nothing will stop it.
 */
export interface Budget {
  /** Most calls to a language model, or a decision model. Default: no limit. */
  readonly modelCalls?: number | undefined
  /** Most tokens, input and output together. Default: no limit. */
  readonly tokens?: number | undefined
  /** Highest cost, in US dollars, from the prices given to `Models`. Default: no limit. */
  readonly cost?: number | undefined
  /** Most steps. Default: no limit. */
  readonly steps?: number | undefined
}

/**
 * Schema of a budget.
 *
 * **Example** (Checking a budget)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Budget } from "effect-baton"
 *
 * Schema.is(Budget.Budget)({ tokens: 50_000, cost: 0.25 }) // => true
 * Schema.is(Budget.Budget)({ steps: -1 }) // => false
 * ```
 */
export const Budget: Schema.Codec<Budget> = Schema.Struct({
  modelCalls: Schema.optional(Count(0)),
  tokens: Schema.optional(Count(0)),
  cost: Schema.optional(Amount),
  steps: Schema.optional(Count(0))
})

/** What an execution and everything nested in it has used so far. */
export interface Usage {
  /** Calls to a language model. */
  readonly modelCalls: number
  /** Tokens read by models. */
  readonly inputTokens: number
  /** Tokens written by models. */
  readonly outputTokens: number
  /** Cost in US dollars, as far as prices are known. */
  readonly costUsd: number
  /** Steps that were started. */
  readonly steps: number
}

/**
 * Schema of a usage.
 *
 * **Example** (Checking a usage)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Budget } from "effect-baton"
 *
 * Schema.is(Budget.Usage)({ modelCalls: 1, inputTokens: 20, outputTokens: 5, costUsd: 0, steps: 2 }) // => true
 * ```
 */
export const Usage: Schema.Codec<Usage> = Schema.Struct({
  modelCalls: Count(0),
  inputTokens: Count(0),
  outputTokens: Count(0),
  costUsd: Amount,
  steps: Count(0)
})

/**
 * The next step or model call would go past the run's budget; it was not made.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Budget } from "effect-baton"
 *
 * new Budget.BudgetExceeded({ executionId: "run_1", limit: "steps", allowed: 3, used: 3 }).message // => "The budget of run_1 is used up: 3 of 3 steps; raise budget.steps, or do less"
 * ```
 */
export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>("effect-baton/Budget/BudgetExceeded")(
  "BudgetExceeded",
  {
    executionId: Schema.String,
    limit: Schema.Literals(["modelCalls", "tokens", "cost", "steps"]),
    allowed: Schema.Finite,
    used: Schema.Finite
  }
) {
  override get message(): string {
    return `The budget of ${this.executionId} is used up: ${this.used} of ${this.allowed} ${this.limit}; raise budget.${this.limit}, or do less`
  }
}
