/**
 * Judges: how good something is, by criteria, as functions, models, or both say. A judge is the `evaluate` of an
 * evaluator-optimizer, and has its criteria.
 */
import type * as AiError from "effect/ai/AiError"
import * as Decision from "effect/ai/Decision"
import * as DecisionModel from "effect/ai/DecisionModel"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Models from "../services/Models.ts"
import type { Boundary } from "../Workflow.ts"
import type { Criterion, CriterionScore } from "./Evaluation.ts"
import { askModel, evaluation, type Judge, judge } from "./evaluator.ts"
import { invalid } from "./phase.ts"

export type { Any, Judge } from "./evaluator.ts"
export { combine, type Joined, type Pooling, panel } from "./JudgePanel.ts"

/** A criterion without its name, which is the key it stands under. */
export type Measure = Omit<Criterion, "name">

const named = (judge: string, measures: Readonly<Record<string, Measure>>): ReadonlyArray<Criterion> => {
  const criteria = Object.entries(measures)
  if (criteria.length === 0) throw invalid(judge, "criteria", [], "Expected at least one criterion")
  return criteria.map(([name, { description, threshold, weight }]) => ({ name, description, threshold, weight }))
}

const lines = (scores: ReadonlyArray<CriterionScore>): string =>
  scores.flatMap(({ feedback, name }) => (feedback ? [`${name}: ${feedback}`] : [])).join("\n")

// -----------------------------------------------------------------------------
// Functions
// -----------------------------------------------------------------------------

/** What a function says of a draft: a score from 0 to 1, whether it is met, or a score with feedback. */
export type Score = number | boolean | { readonly score: number; readonly feedback?: string | undefined }

/** A criterion that a function scores. */
export interface FunctionMeasure<in Draft, in Input, out E, out R> extends Measure {
  readonly score: (draft: Draft, input: Input) => Score | Effect.Effect<Score, E, R>
}

const toScore = (name: string, score: Score): CriterionScore =>
  Predicate.isNumber(score)
    ? { name, score }
    : Predicate.isBoolean(score)
      ? { name, score: score ? 1 : 0 }
      : { name, ...score }

/**
 * A judge of plain functions: what can be computed needs no model.
 *
 * **Details**
 *
 * Functions give a score from 0 to 1, `true` or `false` for 1 or 0, or a score with feedback, at once or as an effect;
 * effects run side by side.
 *
 * **Example** (A title that is short)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, EvaluatorOptimizer, Judge } from "effect-baton"
 *
 * const judge = Judge.functions({
 *   brevity: {
 *     description: "At most three words",
 *     threshold: 1,
 *     score: (draft) => ({ score: draft.split(" ").length <= 3 ? 1 : 0, feedback: "Fewer words" })
 *   },
 *   topic: { description: "Names the topic", threshold: 1, score: (draft, topic) => draft.includes(topic) }
 * })
 *
 * const title = EvaluatorOptimizer.make("title", {
 *   generate: (topic) => Effect.succeed(`Everything there is about ${topic}`),
 *   evaluate: judge,
 *   criteria: judge.criteria,
 *   optimize: (draft) => Effect.succeed(draft.split(" ").slice(1).join(" "))
 * })
 *
 * await Effect.runPromise(title.execute("tea").pipe(Effect.provide(Engine.layerMemory))) // => "is about tea"
 * ```
 */
export const functions = <Draft = string, Input = string, E = never, R = never>(
  measures: Readonly<Record<string, FunctionMeasure<Draft, Input, E, R>>>
): Judge<Draft, Input, E, R> => {
  const criteria = named("Judge.functions", measures)
  return judge(criteria, (draft, input) =>
    Effect.map(
      Effect.forEach(
        Object.entries(measures),
        ([name, measure]) =>
          Effect.suspend(() => {
            const score = measure.score(draft, input)
            return Effect.map(Effect.isEffect(score) ? score : Effect.succeed(score), (score) => toScore(name, score))
          }),
        { concurrency: "unbounded" }
      ),
      (scores) => evaluation(criteria, scores, lines(scores))
    )
  )
}

// -----------------------------------------------------------------------------
// Models
// -----------------------------------------------------------------------------

/** What a judge shows a model. */
export interface ModelOptions<Draft, Input> {
  readonly criteria: Readonly<Record<string, Measure>>
  /** Schema of the draft, by which it is shown. Default: `Schema.String`. */
  readonly draft?: Boundary<Draft> | undefined
  /** Schema of the input, by which it is shown. Default: `Schema.String`. */
  readonly input?: Boundary<Input> | undefined
  /** Who judges, and how, in words. Default: a plain request to judge. */
  readonly instructions?: string | undefined
  /** Id of the model. Default: the `LanguageModel` in the context. */
  readonly model?: string | undefined
}

/**
 * A judge that asks a language model for a score by each criterion, with feedback.
 *
 * **Details**
 *
 * The answer is asked for as structured output; one that does not fit is shown to the model once, to be corrected.
 *
 * **Gotchas**
 *
 * Models are kind to what they wrote themselves, and to what is long: let another model judge than the one that
 * generates, ask for one thing by each criterion, and leave to `Judge.functions` what can be computed.
 *
 * **Example** (A small model judges)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Judge } from "effect-baton"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const judge = Judge.model({
 *   criteria: { tone: { description: "Friendly", threshold: 0.7 } },
 *   instructions: "You judge the answers of our support."
 * })
 *
 * const program = Effect.gen(function*() {
 *   const { layer } = yield* ScriptedModel.make([
 *     ScriptedModel.object({ feedback: "Say please", criteria: [{ name: "tone", score: 0.4 }] })
 *   ])
 *   return yield* judge("Pay now.", "When do I have to pay?").pipe(Effect.provide(layer))
 * })
 *
 * await Effect.runPromise(program) // => { score: 0.4, feedback: "Say please", criteria: [{ name: "tone", score: 0.4 }] }
 * ```
 */
export const model = <Draft = string, Input = string>(
  options: ModelOptions<Draft, Input>
): Judge<Draft, Input, AiError.AiError, LanguageModel.LanguageModel> => {
  const criteria = named("Judge.model", options.criteria)
  const ask = askModel({ ...options, criteria })
  return judge(criteria, (draft: Draft, input: Input) =>
    Effect.map(ask(draft, input), (given) => evaluation(criteria, given.criteria ?? [], given.feedback))
  )
}

/** A criterion that a decision model rates. */
export interface LevelMeasure extends Measure {
  /** From the worst to the best, at least two: a name that says what it means, or a name with a description. */
  readonly levels: ReadonlyArray<string | { readonly label: string; readonly description: string }>
}

/** What a judge shows a decision model. */
export interface DecisionOptions<Draft, Input> {
  readonly criteria: Readonly<Record<string, LevelMeasure>>
  /** Schema of the draft, by which it is shown. Default: `Schema.String`. */
  readonly draft?: Boundary<Draft> | undefined
  /** Schema of the input, by which it is shown. Default: `Schema.String`. */
  readonly input?: Boundary<Input> | undefined
}

/**
 * A judge that asks `effect/ai`'s `DecisionModel` which of named levels a draft reaches.
 *
 * **Details**
 *
 * Levels share out the scores from 0 to 1 evenly: of three, the middle one is 0.5. The rating is a mean by
 * probability, so a model that wavers between two levels gives a score between theirs. All criteria are one call.
 * The feedback names the levels that were not the best.
 *
 * Take it over `Judge.model` where levels can be named beforehand, and how sure the model is matters: decision models
 * give probabilities, where a language model that is asked for a number likes 0.8. They are small, quick and cheap,
 * and made to classify and rate. Take `Judge.model` where somebody has to be told in words what to improve.
 * For choosing between routes the same holds: `Decision.classify` in the `classify` of a routing.
 *
 * Calls count like those of a language model; `Models.instrumented` gives them a price.
 *
 * **Example** (Three levels)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { DecisionModel } from "effect/ai"
 * import { Judge } from "effect-baton"
 *
 * const judge = Judge.decisions({
 *   criteria: { tone: { description: "How friendly it is", threshold: 0.7, levels: ["rude", "neutral", "warm"] } }
 * })
 *
 * const model = DecisionModel.make({ // or the layer of a provider
 *   decide: () => Effect.succeed({
 *     answers: { tone: { _tag: "Rate", rating: 1.5, probabilities: { rude: 0, neutral: 0.5, warm: 0.5 } } },
 *     usage: { inputTokens: 12, outputTokens: 1 }
 *   })
 * })
 *
 * const evaluation = judge("Pay now, please.", "When do I have to pay?").pipe(
 *   Effect.provideServiceEffect(DecisionModel.DecisionModel, model)
 * )
 *
 * await Effect.runPromise(Effect.map(evaluation, ({ criteria }) => criteria)) // => [{ name: "tone", score: 0.75, feedback: "neutral" }]
 * ```
 */
export const decisions = <Draft = string, Input = string>(
  options: DecisionOptions<Draft, Input>
): Judge<Draft, Input, AiError.AiError, DecisionModel.DecisionModel> => {
  const { draft = Schema.String, input = Schema.String } = options
  const criteria = named("Judge.decisions", options.criteria)
  const measures = Object.entries(options.criteria)
  for (const [name, { levels }] of measures) {
    if (levels.length < 2) throw invalid("Judge.decisions", `criteria.${name}.levels`, levels, "Expected at least two")
  }
  const definition = Decision.make({
    input: Schema.Struct({ input, draft }),
    decisions: Object.fromEntries(
      measures.map(([name, { description, levels }]) => [
        name,
        Decision.rate({ instructions: `Rate the draft as an answer to the input. ${description}`, criteria: levels })
      ])
    )
  })
  const decide = (shown: { readonly input: unknown; readonly draft: unknown }) =>
    // `any`: what is shown is of the two schemas, whose types are not known here.
    Effect.provideService(DecisionModel.decide(definition, { input: shown as any }), Models.Purpose, "evaluate")
  return judge(criteria, (draft, input) =>
    Effect.map(decide({ input, draft }), ({ answers }) => {
      const scores = measures.map(([name, { levels }]): CriterionScore => {
        const { label, rating } = answers[name]!
        const best = levels.at(-1)!
        const isBest = label === (Predicate.isString(best) ? best : best.label)
        return { name, score: rating / (levels.length - 1), ...(isBest ? {} : { feedback: label }) }
      })
      return evaluation(criteria, scores, lines(scores))
    })
  ) as Judge<Draft, Input, AiError.AiError, DecisionModel.DecisionModel>
}
