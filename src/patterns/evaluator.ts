/**
 * Evaluators: who says how good a draft is, and how a language model is asked it.
 */
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Models from "../services/Models.ts"
import type { Boundary } from "../Workflow.ts"
import {
  ByCriteria,
  type Criterion,
  type CriterionScore,
  type Evaluation,
  type Given,
  grade,
  Overall,
  problems
} from "./Evaluation.ts"
import { paragraphs, shown } from "./prompt.ts"

/** Says how good a draft is, as an answer to an input. */
export interface Judge<in Draft, in Input, out E, out R> {
  (draft: Draft, input: Input): Effect.Effect<Evaluation, E, R>
  /** What it judges by: the `criteria` of an evaluator-optimizer. */
  readonly criteria: ReadonlyArray<Criterion>
}

// What judges have in common whatever they judge: nothing can be given to all of them.
/** Any judge. */
export type Any = Judge<never, never, any, any>

export const judge = <Draft, Input, E, R>(
  criteria: ReadonlyArray<Criterion>,
  evaluate: (draft: Draft, input: Input) => Effect.Effect<Evaluation, E, R>
): Judge<Draft, Input, E, R> => Object.assign((draft: Draft, input: Input) => evaluate(draft, input), { criteria })

/** The evaluation that scores make. Those that are none are left for the pattern to refuse. */
export const evaluation = (
  criteria: ReadonlyArray<Criterion>,
  scores: ReadonlyArray<CriterionScore>,
  feedback: string
): Evaluation => {
  const given = { feedback, criteria: scores }
  return { score: problems(given, criteria).length === 0 ? grade(given, criteria, 0).score : 0, ...given }
}

/** The criteria, as a prompt shows them. */
export const list = (criteria: ReadonlyArray<Criterion>): string | undefined =>
  criteria.length === 0
    ? undefined
    : `Criteria:\n${criteria.map(({ description, name }) => `- ${name}: ${description}`).join("\n")}`

/** What a language model is shown that evaluates; `any`, since a schema of whatever it is only shows it. */
export interface ModelOptions {
  readonly criteria: ReadonlyArray<Criterion>
  readonly draft?: Boundary<any> | undefined
  readonly input?: Boundary<any> | undefined
  readonly instructions?: string | undefined
  readonly model?: string | undefined
}

/** Asks a language model how good a draft is: by the criteria, or without any for one score. */
export const askModel = ({
  criteria,
  draft: draftSchema = Schema.String,
  input: inputSchema = Schema.String,
  instructions,
  model
}: ModelOptions) => {
  const draftText = shown(draftSchema)
  const inputText = shown(inputSchema)
  const by = criteria.length === 0 ? "Give it a score" : "Give it a score by each of the criteria"
  const task = `Judge the draft as an answer to the input. ${by} from 0, the worst, to 1, the best, and say what to improve.`
  return (draft: unknown, input: unknown): Effect.Effect<Given, AiError.AiError, LanguageModel.LanguageModel> => {
    const prompt = paragraphs(
      instructions,
      task,
      list(criteria),
      `Input:\n${inputText(input)}`,
      `Draft:\n${draftText(draft)}`
    )
    const ask = { purpose: "evaluate", name: "evaluation", prompt, model }
    return criteria.length === 0
      ? Models.object({ ...ask, schema: Overall })
      : Models.object({ ...ask, schema: ByCriteria })
  }
}
