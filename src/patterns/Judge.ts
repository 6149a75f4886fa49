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
import { ByCriteria, type Criterion, type CriterionScore, type Evaluation, grade, problems } from "./Evaluation.ts"
import { invalid } from "./phase.ts"
import { paragraphs, shown } from "./prompt.ts"

/** Says how good a draft is, as an answer to an input. */
export interface Judge<in Draft, in Input, out E, out R> {
  (draft: Draft, input: Input): Effect.Effect<Evaluation, E, R>
  /** What it judges by: the `criteria` of an evaluator-optimizer. */
  readonly criteria: ReadonlyArray<Criterion>
}

/** Any judge. */
export type Any = Judge<never, never, any, any>

/** A criterion without its name, which is the key it stands under. */
export type Measure = Omit<Criterion, "name">

const judge = <Draft, Input, E, R>(
  criteria: ReadonlyArray<Criterion>,
  evaluate: (draft: Draft, input: Input) => Effect.Effect<Evaluation, E, R>
): Judge<Draft, Input, E, R> => Object.assign((draft: Draft, input: Input) => evaluate(draft, input), { criteria })

const named = (judge: string, measures: Readonly<Record<string, Measure>>): ReadonlyArray<Criterion> => {
  const criteria = Object.entries(measures)
  if (criteria.length === 0) throw invalid(judge, "criteria", [], "Expected at least one criterion")
  return criteria.map(([name, { description, threshold, weight }]) => ({ name, description, threshold, weight }))
}

/** The evaluation that scores make. Those that are none are left for the pattern to refuse. */
const evaluation = (
  criteria: ReadonlyArray<Criterion>,
  scores: ReadonlyArray<CriterionScore>,
  feedback: string
): Evaluation => ({
  score: problems({ score: 0, feedback, criteria: scores }, criteria).length === 0 ? mean(criteria, scores) : 0,
  feedback,
  criteria: scores
})

const mean = (criteria: ReadonlyArray<Criterion>, scores: ReadonlyArray<CriterionScore>): number =>
  grade({ score: 0, feedback: "", criteria: scores }, criteria, 0).score

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
  const { draft: draftSchema = Schema.String, input: inputSchema = Schema.String, instructions } = options
  const criteria = named("Judge.model", options.criteria)
  const draftText = shown(draftSchema)
  const inputText = shown(inputSchema)
  const task =
    "Judge the draft as an answer to the input. Give it a score by each of the criteria from 0, the worst, to 1, the " +
    "best, and say what to improve."
  const list = criteria.map(({ description, name }) => `- ${name}: ${description}`).join("\n")
  return judge(criteria, (draft, input) =>
    Effect.map(
      Models.object({
        purpose: "evaluate",
        name: "evaluation",
        model: options.model,
        schema: ByCriteria,
        prompt: paragraphs(
          instructions,
          task,
          `Criteria:\n${list}`,
          `Input:\n${inputText(input)}`,
          `Draft:\n${draftText(draft)}`
        )
      }),
      (given) => evaluation(criteria, given.criteria, given.feedback)
    )
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
 * **Gotchas**
 *
 * The calls are not those of a `LanguageModel`, so budgets and events do not count them.
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
  const { draft = Schema.String as any as Boundary<Draft>, input = Schema.String as any as Boundary<Input> } = options
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
  return judge(criteria, (draft, input) =>
    Effect.map(DecisionModel.decide(definition, { input: { input, draft } as any }), ({ answers }) => {
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

// -----------------------------------------------------------------------------
// Several judges
// -----------------------------------------------------------------------------

type DraftOf<J> = J extends Judge<infer Draft, any, any, any> ? (draft: Draft) => void : never
type InputOf<J> = J extends Judge<any, infer Input, any, any> ? (input: Input) => void : never
type Both<F> = [F] extends [(value: infer A) => void] ? A : never
type ErrorOf<J> = J extends Judge<any, any, infer E, any> ? E : never
type ServicesOf<J> = J extends Judge<any, any, any, infer R> ? R : never

/** A judge made of others: of what all of them judge, failing and needing what any of them does. */
export type Joined<J> = Judge<Both<DraftOf<J>>, Both<InputOf<J>>, ErrorOf<J>, ServicesOf<J>>

const all = (judges: ReadonlyArray<Any>, draft: unknown, input: unknown) =>
  Effect.forEach(judges, (judge) => (judge as Judge<unknown, unknown, any, any>)(draft, input), {
    concurrency: "unbounded"
  })

const joined = (evaluations: ReadonlyArray<Evaluation>): string =>
  evaluations.flatMap(({ feedback }) => (feedback === "" ? [] : [feedback])).join("\n")

/**
 * A judge by the criteria of several: each says what it knows about, at the same time.
 *
 * **Details**
 *
 * No judge at all, or a criterion that two of them have, is `InvalidDefinition`, thrown at once; for several opinions on
 * the same criteria there is `Judge.panel`.
 *
 * **Example** (What can be computed, and what cannot)
 *
 * ```ts
 * import { Judge } from "effect-baton"
 *
 * const judge = Judge.combine(
 *   Judge.functions({
 *     length: { description: "At most 280 characters", threshold: 1, score: (draft) => draft.length <= 280 }
 *   }),
 *   Judge.model({ criteria: { tone: { description: "Friendly", threshold: 0.7, weight: 2 } }, model: "small" })
 * )
 *
 * judge.criteria.map((criterion) => criterion.name) // => ["length", "tone"]
 * ```
 */
export const combine = <const J extends ReadonlyArray<Any>>(...judges: J): Joined<J[number]> => {
  const criteria = judges.flatMap((judge) => judge.criteria)
  const names = criteria.map(({ name }) => name)
  if (judges.length === 0) throw invalid("Judge.combine", "judges", [], "Expected at least one judge")
  if (new Set(names).size < names.length) throw invalid("Judge.combine", "criteria", names, "Expected different names")
  return judge(criteria, (draft: unknown, input: unknown) =>
    Effect.map(all(judges, draft, input), (evaluations) =>
      evaluation(
        criteria,
        evaluations.flatMap((each) => each.criteria ?? []),
        joined(evaluations)
      )
    )
  ) as any
}

/** How a panel makes one score of several. */
export type Pooling = "median" | "mean"

const pools: Record<Pooling, (scores: ReadonlyArray<number>) => number> = {
  mean: (scores) => scores.reduce((sum, score) => sum + score, 0) / scores.length,
  median: (scores) => {
    const sorted = Array.from(scores).sort((a, b) => a - b)
    const middle = Math.floor(sorted.length / 2)
    return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  }
}

/**
 * A judge of several that judge by the same criteria, at the same time: the score by each criterion is the median of
 * theirs, or the mean.
 *
 * **Details**
 *
 * A median is a vote: of an odd number of judges, it is at a threshold exactly where the majority of them is. One judge
 * that is far off does not move it. The mean lets all of them count. Feedback is that of all, one after the other. No
 * judges, or judges by different criteria, are `InvalidDefinition`, thrown at once; thresholds and weights are the
 * first one's.
 *
 * For a vote between answers that are no scores, such as which of two drafts is better, there is `Voting`.
 *
 * **Example** (Three opinions)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Judge } from "effect-baton"
 *
 * const reader = (score: number) =>
 *   Judge.functions({ clarity: { description: "Is clear", threshold: 0.7, score: () => score } })
 *
 * const panel = Judge.panel([reader(0.8), reader(0.9), reader(0.1)])
 *
 * await Effect.runPromise(Effect.map(panel("A draft", "An input"), ({ score }) => score)) // => 0.8
 * ```
 */
export const panel = <const J extends ReadonlyArray<Any>>(
  judges: J,
  options: {
    /** Default: `"median"`. */
    readonly pooling?: Pooling | undefined
  } = {}
): Joined<J[number]> => {
  const pool = pools[options.pooling ?? "median"]
  const [first] = judges
  if (first === undefined) throw invalid("Judge.panel", "judges", [], "Expected at least one judge")
  const { criteria } = first
  const namesOf = (judge: Any) => judge.criteria.map(({ name }) => name).sort()
  const expected = JSON.stringify(namesOf(first))
  for (const judge of judges) {
    const names = namesOf(judge)
    if (JSON.stringify(names) !== expected)
      throw invalid("Judge.panel", "criteria", names, `Expected the criteria of the first judge, ${expected}`)
  }
  return judge(criteria, (draft: unknown, input: unknown) =>
    Effect.map(all(judges, draft, input), (evaluations) => {
      // What is missing or too much in one of them is left for the pattern to refuse.
      const odd = evaluations.find((each) => problems({ ...each, score: 0 }, criteria).length > 0)
      if (odd !== undefined) return odd
      const scores = criteria.map(({ name }): CriterionScore => {
        const found = evaluations.map(({ criteria = [] }) => criteria.find((each) => each.name === name)!)
        const feedback = found.flatMap(({ feedback }) => (feedback ? [feedback] : [])).join("\n")
        return { name, score: pool(found.map(({ score }) => score)), ...(feedback === "" ? {} : { feedback }) }
      })
      return evaluation(criteria, scores, joined(evaluations))
    })
  ) as any
}
