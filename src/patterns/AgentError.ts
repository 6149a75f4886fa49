/**
 * What ends an agent before it has answered; the conversation so far comes with it.
 */
import * as Prompt from "effect/ai/Prompt"
import * as Schema from "effect/Schema"
import { BudgetExceeded } from "../Budget.ts"

/** A conversation as JSON, whatever its parts hold. */
export const History = Schema.toCodecJson(Prompt.Prompt)

/**
 * The agent took as many turns as it may and had not answered yet.
 *
 * **Details**
 *
 * `history` is the whole conversation, the results of the last turn's tools included: an agent whose input is a
 * `Prompt` goes on with it.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Prompt } from "effect/ai"
 * import { Agent } from "effect-baton"
 *
 * new Agent.TurnsExhausted({ agent: "clerk", turns: 20, history: Prompt.empty }).message // => "clerk did not answer within 20 turns; raise maxTurns, or go on with the error's history"
 * ```
 */
export class TurnsExhausted extends Schema.TaggedError<TurnsExhausted>("effect-baton/Agent/TurnsExhausted")(
  "TurnsExhausted",
  { agent: Schema.String, turns: Schema.Int, history: History }
) {
  override get message(): string {
    return `${this.agent} did not answer within ${this.turns} turns; raise maxTurns, or go on with the error's history`
  }
}

/**
 * The run's budget was used up before the agent had answered.
 *
 * **Details**
 *
 * It stands in place of the `BudgetExceeded` that it carries. Calls of tools that were not made, or did not end, have a
 * result in `history` that says so; an agent whose input is a `Prompt` goes on with it.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Prompt } from "effect/ai"
 * import { Agent, Budget } from "effect-baton"
 *
 * const budget = new Budget.BudgetExceeded({ executionId: "run_1", limit: "modelCalls", allowed: 3, used: 3 })
 *
 * new Agent.AgentStopped({ agent: "clerk", turns: 3, budget, history: Prompt.empty }).message // => "clerk was stopped in turn 3: The budget of run_1 is used up: 3 of 3 modelCalls; raise budget.modelCalls, or do less"
 * ```
 */
export class AgentStopped extends Schema.TaggedError<AgentStopped>("effect-baton/Agent/AgentStopped")("AgentStopped", {
  agent: Schema.String,
  /** The turn it was in, from 1; 0 before the first. */
  turns: Schema.Int,
  budget: BudgetExceeded,
  history: History
}) {
  override get message(): string {
    return `${this.agent} was stopped in turn ${this.turns}: ${this.budget.message}`
  }
}

/**
 * A guardrail refused the input or the output of an agent. Guardrails fail with it, or with an error of their own.
 *
 * **Example** (Refusing an input)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Agent } from "effect-baton"
 *
 * const noSecrets = (text: string) =>
 *   text.includes("password") ? Effect.fail(new Agent.GuardrailTripped({ reason: "asks for a password" })) : Effect.succeed(text)
 *
 * await Effect.runPromise(noSecrets("the password?").pipe(Effect.flip, Effect.map((error) => error.message))) // => "A guardrail refused: asks for a password"
 * ```
 */
export class GuardrailTripped extends Schema.TaggedError<GuardrailTripped>("effect-baton/Agent/GuardrailTripped")(
  "GuardrailTripped",
  { reason: Schema.String }
) {
  override get message(): string {
    return `A guardrail refused: ${this.reason}`
  }
}

/** What every agent can fail with, besides what a model can. */
export type AgentError = TurnsExhausted | AgentStopped | GuardrailTripped
