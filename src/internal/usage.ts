/**
 * What executions use, counted here and in all that are above, and what their budgets allow.
 */
import { BudgetExceeded, type Usage } from "../Budget.ts"
import type { ExecutionImpl } from "./execution.ts"

/** The first limit, here or above, that one more step or model call would pass. */
export const exceeded = (execution: ExecutionImpl, kind: "steps" | "modelCalls"): BudgetExceeded | undefined => {
  for (let e: ExecutionImpl | undefined = execution; e !== undefined; e = e.parent) {
    const budget = e.options.budget
    if (budget === undefined) continue
    const used = e.used
    const counted = kind === "steps" ? used.steps : used.modelCalls
    const allowed = budget[kind]
    if (allowed !== undefined && counted >= allowed) {
      return new BudgetExceeded({ executionId: e.id, limit: kind, allowed, used: counted })
    }
    if (kind === "steps") continue
    const tokens = used.inputTokens + used.outputTokens
    if (budget.tokens !== undefined && tokens >= budget.tokens) {
      return new BudgetExceeded({ executionId: e.id, limit: "tokens", allowed: budget.tokens, used: tokens })
    }
    if (budget.cost !== undefined && used.costUsd >= budget.cost) {
      return new BudgetExceeded({ executionId: e.id, limit: "cost", allowed: budget.cost, used: used.costUsd })
    }
  }
  return undefined
}

/** Counts a step. */
export const countStep = (execution: ExecutionImpl): void => {
  for (let e: ExecutionImpl | undefined = execution; e !== undefined; e = e.parent) e.steps++
}

/** Counts a model call, before it is made. */
export const countModelCall = (execution: ExecutionImpl): void =>
  countModels(execution, { modelCalls: 1, inputTokens: 0, outputTokens: 0, costUsd: 0 })

/** Counts what a model call used. */
export const countTokens = (
  execution: ExecutionImpl,
  used: Pick<Usage, "inputTokens" | "outputTokens" | "costUsd">
): void => countModels(execution, { modelCalls: 0, ...used })

/** Counts what was used elsewhere or before. */
export const count = (execution: ExecutionImpl, more: Usage): void => {
  for (let e: ExecutionImpl | undefined = execution; e !== undefined; e = e.parent) e.steps += more.steps
  countModels(execution, more)
}

const countModels = (execution: ExecutionImpl, more: Omit<Usage, "steps">): void => {
  for (let e: ExecutionImpl | undefined = execution; e !== undefined; e = e.parent) {
    const used = e.used
    e.models = {
      modelCalls: used.modelCalls + more.modelCalls,
      inputTokens: used.inputTokens + more.inputTokens,
      outputTokens: used.outputTokens + more.outputTokens,
      costUsd: used.costUsd + more.costUsd
    }
  }
}
