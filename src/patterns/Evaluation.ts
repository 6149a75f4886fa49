/**
 * How good a draft is: a score from 0 to 1, and one for each criterion where there are criteria.
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { show } from "../internal/schema.ts"
import type { Boundary } from "../Workflow.ts"

/** What a draft is measured by. */
export interface Criterion {
  /** What evaluations call it; different from the names of all other criteria. */
  readonly name: string
  /** What it asks for, for whoever writes and evaluates. */
  readonly description: string
  /** The least score that passes, from 0 to 1. */
  readonly threshold: number
  /** How much it counts in the score of the draft, compared with the others. Default: 1. */
  readonly weight?: number | undefined
}

/** How well a draft meets a criterion. */
export interface CriterionScore {
  readonly name: string
  /** From 0 to 1. */
  readonly score: number
  readonly feedback?: string | undefined
}

/** What an evaluator says about a draft. */
export interface Evaluation {
  /** From 0 to 1. Where there are criteria, the weighted mean of theirs takes its place, and it may be left out. */
  readonly score: number
  readonly feedback: string
  /** One for each criterion, in any order. Default: none. */
  readonly criteria?: ReadonlyArray<CriterionScore> | undefined
}

/** What an evaluator may say: where there are criteria, the score of the draft follows from theirs. */
export type Given =
  | Evaluation
  | { readonly score?: undefined; readonly feedback: string; readonly criteria: ReadonlyArray<CriterionScore> }

/** An evaluation that was checked, with the score and the verdict that follow from it. */
export interface Grade extends Evaluation {
  readonly passed: boolean
}

const Score = Schema.Number.annotate({ description: "From 0, the worst, to 1, the best" })
const feedback = Schema.String.annotate({ description: "What to improve" })

const ByCriterion: Schema.Codec<CriterionScore> = Schema.Struct({
  name: Schema.String.annotate({ description: "The name of the criterion" }),
  score: Score,
  feedback: Schema.optional(feedback)
})

/**
 * Schema of an evaluation. It says nothing about what scores and criteria there may be: the pattern checks that.
 *
 * **Example** (Checking a shape)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { EvaluatorOptimizer } from "effect-baton"
 *
 * Schema.is(EvaluatorOptimizer.Evaluation)({ score: 0.7, feedback: "Shorter, please" }) // => true
 * ```
 */
export const Evaluation: Schema.Codec<Evaluation> = Schema.Struct({
  score: Score,
  feedback,
  criteria: Schema.optional(Schema.Array(ByCriterion))
})

/** What a model is asked for where there are no criteria. */
export const Overall = Schema.Struct({ score: Score, feedback })

/** What a model is asked for where there are criteria. */
export const ByCriteria = Schema.Struct({ feedback, criteria: Schema.Array(ByCriterion) })

/** Something that is wrong with an evaluation. */
export type EvaluationProblem =
  /** A score is not a number from 0 to 1; without a criterion it is the score of the draft. */
  | { readonly _tag: "InvalidScore"; readonly criterion?: string | undefined; readonly found: string }
  | { readonly _tag: "MissingCriterion"; readonly criterion: string }
  | { readonly _tag: "UnknownCriterion"; readonly criterion: string }
  | { readonly _tag: "DuplicateCriterion"; readonly criterion: string }

const Problem: Schema.Codec<EvaluationProblem> = Schema.Union([
  Schema.TaggedStruct("InvalidScore", { criterion: Schema.optional(Schema.String), found: Schema.String }),
  Schema.TaggedStruct("MissingCriterion", { criterion: Schema.String }),
  Schema.TaggedStruct("UnknownCriterion", { criterion: Schema.String }),
  Schema.TaggedStruct("DuplicateCriterion", { criterion: Schema.String })
])

const describe = (problem: EvaluationProblem): string => {
  switch (problem._tag) {
    case "InvalidScore": {
      const of = problem.criterion === undefined ? "the score" : `the score of "${problem.criterion}"`
      return `${of} is ${problem.found}, not a number from 0 to 1`
    }
    case "MissingCriterion":
      return `"${problem.criterion}" has no score`
    case "UnknownCriterion":
      return `"${problem.criterion}" is not a criterion`
    case "DuplicateCriterion":
      return `"${problem.criterion}" has several scores`
  }
}

/**
 * An evaluation does not fit the criteria, or a score is not a number from 0 to 1.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { EvaluatorOptimizer } from "effect-baton"
 *
 * const error = new EvaluatorOptimizer.InvalidEvaluation({
 *   workflow: "polish",
 *   problems: [{ _tag: "InvalidScore", found: "85" }, { _tag: "MissingCriterion", criterion: "brevity" }]
 * })
 *
 * error.message // => 'The evaluation of polish is invalid: the score is 85, not a number from 0 to 1; "brevity" has no score. Correct `evaluate`'
 * ```
 */
export class InvalidEvaluation extends Schema.TaggedError<InvalidEvaluation>(
  "effect-baton/EvaluatorOptimizer/InvalidEvaluation"
)("InvalidEvaluation", {
  /** Name of the workflow. */
  workflow: Schema.String,
  /** Everything that is wrong. */
  problems: Schema.Array(Problem)
}) {
  override get message(): string {
    return `The evaluation of ${this.workflow} is invalid: ${this.problems.map(describe).join("; ")}. Correct \`evaluate\``
  }
}

/**
 * No draft passed; the error carries the best one.
 *
 * **Example** (Taking the best draft anyway)
 *
 * ```ts
 * import { EvaluatorOptimizer } from "effect-baton"
 *
 * const error = new EvaluatorOptimizer.QualityNotReached({
 *   workflow: "polish",
 *   threshold: 0.8,
 *   iterations: 3,
 *   draft: "A poem",
 *   evaluation: { score: 0.6, feedback: "It does not rhyme" }
 * })
 *
 * error.draft // => "A poem"
 * error.message // => "No draft of polish passed in 3 evaluations: the best one has the score 0.6, and 0.8 is asked for. Raise maxIterations, lower the thresholds, or take the draft of this error"
 * ```
 */
export class QualityNotReached<out Draft = unknown> extends Schema.TaggedError<QualityNotReached>(
  "effect-baton/EvaluatorOptimizer/QualityNotReached"
)("QualityNotReached", {
  /** Name of the workflow. */
  workflow: Schema.String,
  /** The score that was asked for; criteria ask for theirs. */
  threshold: Schema.Finite,
  /** How many drafts were evaluated. */
  iterations: Schema.Int,
  /** The draft with the best score, the earliest of several. */
  draft: Schema.Unknown,
  /** Its evaluation. */
  evaluation: Evaluation
}) {
  declare readonly draft: Draft

  override get message(): string {
    const found = `the best one has the score ${this.evaluation.score}, and ${this.threshold} is asked for`
    return (
      `No draft of ${this.workflow} passed in ${this.iterations} evaluations: ${found}. ` +
      "Raise maxIterations, lower the thresholds, or take the draft of this error"
    )
  }
}

/** `QualityNotReached` with drafts of a schema, so that the draft can be stored. */
export const qualityNotReached = <Draft>(draft: Boundary<Draft>): Boundary<QualityNotReached<Draft>> =>
  Schema.Struct({ ...QualityNotReached.fields, draft }).pipe(
    Schema.decodeTo(
      Schema.instanceOf(QualityNotReached<Draft>),
      SchemaTransformation.transform({
        decode: (fields) => new QualityNotReached<Draft>(fields),
        encode: ({ _tag, draft, evaluation, iterations, threshold, workflow }) => ({
          _tag,
          draft,
          evaluation,
          iterations,
          threshold,
          workflow
        })
      })
    )
  )

/** Whether a number, if it is one, is from 0 to 1. */
export const isScore = (u: unknown): u is number => typeof u === "number" && u >= 0 && u <= 1

/** Everything that is wrong with an evaluation by these criteria. */
export const problems = (evaluation: Given, criteria: ReadonlyArray<Criterion>): ReadonlyArray<EvaluationProblem> => {
  const found: Array<EvaluationProblem> = []
  const missing = new Set(criteria.map(({ name }) => name))
  const known = new Set(missing)
  const isOverall = criteria.length === 0 || evaluation.score !== undefined
  if (isOverall && !isScore(evaluation.score)) found.push({ _tag: "InvalidScore", found: show(evaluation.score) })
  for (const { name, score } of evaluation.criteria ?? []) {
    if (!known.has(name)) found.push({ _tag: "UnknownCriterion", criterion: name })
    else if (!missing.delete(name)) found.push({ _tag: "DuplicateCriterion", criterion: name })
    if (!isScore(score)) found.push({ _tag: "InvalidScore", criterion: name, found: show(score) })
  }
  for (const criterion of missing) found.push({ _tag: "MissingCriterion", criterion })
  return found
}

/** The score of a valid evaluation, and whether it passes: all that counts is computed here. */
export const grade = (evaluation: Given, criteria: ReadonlyArray<Criterion>, threshold: number): Grade => {
  if (criteria.length === 0) {
    const { score = 0 } = evaluation
    return { ...evaluation, score, passed: score >= threshold }
  }
  const scores = new Map(evaluation.criteria?.map(({ name, score }) => [name, score]))
  let sum = 0
  let weights = 0
  let passed = true
  for (const { name, threshold, weight = 1 } of criteria) {
    const score = scores.get(name)!
    sum += weight * score
    weights += weight
    passed &&= score >= threshold
  }
  // What floating point adds or takes away must not decide: scores of 0.7 and 0.9 are 0.8.
  const score = Math.round((sum / weights) * 1e12) / 1e12
  return { ...evaluation, score, passed: passed && score >= threshold }
}
