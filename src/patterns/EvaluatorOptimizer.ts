/**
 * The evaluator-optimizer pattern: generate a draft, evaluate it, and optimize it until it is good enough.
 *
 * Each of them is a step: `generate`, then `iteration/<n>/evaluate` and `iteration/<n>/optimize`, from 1 on, until a
 * draft passes or `maxIterations` drafts were evaluated. Progress counts evaluations.
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { BudgetExceeded } from "../Budget.ts"
import * as Workflow from "../Workflow.ts"
import type { Declares, Definition, Nothing, OutputHint, Own, Text } from "./definition.ts"
import {
  type Criterion,
  type CriterionScore,
  Evaluation,
  type EvaluationProblem,
  type Given,
  type Grade,
  grade,
  InvalidEvaluation,
  isScore,
  problems,
  QualityNotReached,
  qualityNotReached
} from "./Evaluation.ts"
import { askModel, list } from "./evaluator.ts"
import { invalid, phase, report, scope } from "./phase.ts"
import { answer, paragraphs, shown } from "./prompt.ts"

export {
  type Criterion,
  type CriterionScore,
  Evaluation,
  type EvaluationProblem,
  type Given,
  type Grade,
  InvalidEvaluation,
  QualityNotReached
}

/** What happens when no draft passed: the best one is the output, or the run fails with it. */
export type OnExhausted = "best" | "fail"

/** What an evaluator-optimizer fails with: `E` is what its phases fail with. */
export type Failure<Output, Error, X extends OnExhausted, E> =
  | Error
  | Own<E>
  | InvalidEvaluation
  | (X extends "fail" ? QualityNotReached<Output> : never)

/** What makes an evaluator-optimizer; the last six parameters are what its phases fail with and need. */
export interface Options<
  In extends Workflow.Boundary<any>,
  Out extends Workflow.Boundary<any>,
  Err extends Workflow.Boundary<any>,
  X extends OnExhausted,
  EG,
  RG,
  EE,
  RE,
  EO,
  RO
> extends Definition<In, Out, Err, Failure<Out["Type"], Err["Type"], X, EG | EE | EO>> {
  /** Makes the first draft. Default: asks a language model. */
  readonly generate?: ((input: In["Type"]) => Effect.Effect<Out["Type"] | OutputHint<Out>, EG, RG>) | undefined
  /** Says how good a draft is; with criteria their scores are enough. Default: asks a language model. */
  readonly evaluate?: ((draft: Out["Type"], input: In["Type"]) => Effect.Effect<Given, EE, RE>) | undefined
  /** Makes a better draft of one that did not pass. Default: asks a language model. */
  readonly optimize?:
    | ((
        draft: Out["Type"],
        evaluation: Grade,
        input: In["Type"]
      ) => Effect.Effect<Out["Type"] | OutputHint<Out>, EO, RO>)
    | undefined
  /** The least score that passes, from 0 to 1. Default: 0.8. */
  readonly threshold?: number | undefined
  /** How many drafts are evaluated at most. Default: 3. */
  readonly maxIterations?: number | undefined
  /** What drafts are measured by; each has a threshold of its own. Default: the score alone. */
  readonly criteria?: ReadonlyArray<Criterion> | undefined
  /** What happens when no draft passed. Default: `"best"`. */
  readonly onExhausted?: X | undefined
  /** Id of the model that `generate` and `optimize` ask by default. Default: the `LanguageModel` in the context. */
  readonly generatorModel?: string | undefined
  /** Id of the model that `evaluate` asks by default. Default: the `LanguageModel` in the context. */
  readonly evaluatorModel?: string | undefined
}

/** A workflow that generates, evaluates and optimizes, and its phases; they work outside of an execution too. */
export interface EvaluatorOptimizer<Input, Output, Error, X extends OnExhausted, EG, RG, EE, RE, EO, RO>
  extends Workflow.Workflow<
    Input,
    Output,
    Failure<Output, Error, X, EG | EE | EO>,
    Exclude<RG | RE | RO, Workflow.Provided>
  > {
  /** Makes the first draft. */
  readonly generate: (input: Input) => Effect.Effect<Output, EG | BudgetExceeded, RG>
  /** Says how good a draft is, checks what is said, and computes whether it passes. */
  readonly evaluate: (draft: Output, input: Input) => Effect.Effect<Grade, EE | InvalidEvaluation | BudgetExceeded, RE>
  /** Makes a better draft of one that did not pass. */
  readonly optimize: (draft: Output, evaluation: Grade, input: Input) => Effect.Effect<Output, EO | BudgetExceeded, RO>
}

/**
 * Defines a workflow that makes a draft, and makes it better until it is good enough.
 *
 * **Details**
 *
 * A draft passes when its score is at the threshold and each criterion's score at that criterion's own; where there are
 * criteria the score is their mean, by weight. This is computed: an evaluator only gives scores. A score that is not a
 * number from 0 to 1, and a criterion that is missing, unknown or there twice, are `InvalidEvaluation`.
 *
 * The draft that passes is the output. When none of `maxIterations` drafts passed, it is the one with the best score, the
 * earliest of several; with `onExhausted: "fail"` the run fails with `QualityNotReached`, which carries it.
 *
 * When a phase is left out a language model is asked, so that the workflow needs a `LanguageModel` and can fail with an
 * `AiError`. What a phase given here fails with must be in the `error` schema, unless it is an `AiError` or an error of
 * runs. Thresholds that are not from 0 to 1, less than one iteration, and criteria of one name or of no weight at all are
 * `InvalidDefinition`, thrown at once.
 *
 * **Gotchas**
 *
 * The phases belong to this value: what `Workflow.map` and its like return is a workflow without them.
 *
 * **Example** (Until it is short enough)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, EvaluatorOptimizer } from "effect-baton"
 *
 * const title = EvaluatorOptimizer.make("title", {
 *   generate: (topic) => Effect.succeed(`All about ${topic}`),
 *   evaluate: (draft, topic) =>
 *     Effect.succeed({ score: Math.min(1, topic.length / draft.length), feedback: "Fewer words" }),
 *   optimize: (draft) => Effect.succeed(draft.slice(draft.indexOf(" ") + 1))
 * })
 *
 * await Effect.runPromise(title.execute("tea").pipe(Effect.provide(Engine.layerMemory))) // => "tea"
 * ```
 *
 * Source: Anthropic, "Building effective agents", evaluator-optimizer.
 */
export const make = <
  In extends Workflow.Boundary<any> = Text,
  Out extends Workflow.Boundary<any> = Text,
  Err extends Workflow.Boundary<any> = Nothing,
  X extends OnExhausted = "best",
  EG = AiError.AiError,
  RG = LanguageModel.LanguageModel,
  EE = AiError.AiError,
  RE = LanguageModel.LanguageModel,
  EO = AiError.AiError,
  RO = LanguageModel.LanguageModel
>(
  name: string,
  options: Options<In, Out, Err, X, EG, RG, EE, RE, EO, RO> & Declares<EG | EE | EO, Err["Type"] | InvalidEvaluation>
): EvaluatorOptimizer<In["Type"], Out["Type"], Err["Type"], X, EG, RG, EE, RE, EO, RO> =>
  // `make` has checked the types of the parts, which differ for each definition; from here on they are any.
  define(name, options) as any

type AnyOptions = Options<any, any, any, any, any, any, any, any, any, any>

// The types of the parts meet only in `make`, where they were checked.
const define = (name: string, options: AnyOptions) => {
  const { criteria = [], maxIterations = 3, onExhausted = "best", threshold = 0.8 } = options
  check(name, criteria, maxIterations, threshold)
  const output = options.output ?? Schema.String

  const makeDraft = options.generate ?? generator(options)
  const generate = (input: unknown) =>
    phase(
      "generate",
      Effect.suspend(() => makeDraft(input))
    )

  const judge =
    options.evaluate ??
    askModel({ criteria, draft: options.output, input: options.input, model: options.evaluatorModel })
  const evaluate = (draft: unknown, input: unknown) =>
    phase(
      "evaluate",
      Effect.flatMap(
        Effect.suspend(() => judge(draft, input)),
        (evaluation): Effect.Effect<Grade, InvalidEvaluation> => {
          const found = problems(evaluation, criteria)
          return found.length === 0
            ? Effect.succeed(grade(evaluation, criteria, threshold))
            : Effect.fail(new InvalidEvaluation({ workflow: name, problems: found }))
        }
      )
    )

  const improve = options.optimize ?? optimizer(options)
  const optimize = (draft: unknown, evaluation: Grade, input: unknown) =>
    phase(
      "optimize",
      Effect.suspend(() => improve(draft, evaluation, input))
    )

  const run = Effect.fnUntraced(function* (input: unknown) {
    // Progress is the pattern's, though it is told of from within an iteration.
    const here = yield* Effect.context<never>()
    const tell = (current: number, message: string) =>
      Effect.provideContext(report({ current, total: maxIterations, message }), here)

    /** Evaluates a draft, and makes another one of it if there is to be one. */
    const iterate = Effect.fnUntraced(function* (n: number, draft: unknown) {
      const evaluation = yield* evaluate(draft, input)
      yield* tell(n, `draft ${n} ${evaluation.passed ? "passed" : "did not pass"} with ${evaluation.score}`)
      if (evaluation.passed || n === maxIterations) return { draft, evaluation, next: undefined }
      yield* tell(n, `improving draft ${n}`)
      return { draft, evaluation, next: { draft: yield* optimize(draft, evaluation, input) } }
    })

    yield* tell(0, "generating")
    let latest = yield* scope("iteration", "1", iterate(1, yield* generate(input)))
    let best = latest
    for (let n = 2; latest.next !== undefined; n++) {
      latest = yield* scope("iteration", String(n), iterate(n, latest.next.draft))
      if (latest.evaluation.passed || latest.evaluation.score > best.evaluation.score) best = latest
    }
    const { passed, ...evaluation } = best.evaluation
    if (passed || onExhausted === "best") return best.draft
    return yield* new QualityNotReached({
      workflow: name,
      threshold,
      iterations: maxIterations,
      draft: best.draft,
      evaluation
    })
  })

  const workflow = Workflow.make<any, any, any, any>(name, {
    description: options.description,
    input: options.input,
    output,
    error: Schema.Union([
      options.error ?? Schema.Never,
      InvalidEvaluation,
      ...(onExhausted === "fail" ? [qualityNotReached(output)] : []),
      AiError.AiError
    ]),
    defaults: options.defaults,
    version: options.version,
    run
  })
  return Object.assign(workflow, {
    generate: alone("generating", generate),
    evaluate: alone("evaluating", evaluate),
    optimize: alone("improving a draft", optimize)
  })
}

/** A phase that is called by itself: which draft it is about, and of how many, only the caller knows. */
const alone =
  <Args extends ReadonlyArray<any>, A, E, R>(message: string, phase: (...args: Args) => Effect.Effect<A, E, R>) =>
  (...args: Args) =>
    Effect.andThen(report({ current: 0, total: 0, message }), phase(...args))

/** Refuses options that no draft could be measured by. */
const check = (name: string, criteria: ReadonlyArray<Criterion>, maxIterations: number, threshold: number): void => {
  if (!isScore(threshold)) throw invalid(name, "threshold", threshold, "Expected a number from 0 to 1")
  if (!Number.isInteger(maxIterations) || maxIterations < 1)
    throw invalid(name, "maxIterations", maxIterations, "Expected a whole number, 1 or more")
  const names = criteria.map((criterion) => criterion.name)
  if (new Set(names).size < names.length) throw invalid(name, "criteria", names, "Expected different names")
  for (const [at, { threshold, weight = 1 }] of criteria.entries()) {
    if (!isScore(threshold)) throw invalid(name, `criteria.${at}.threshold`, threshold, "Expected a number from 0 to 1")
    if (!(Number.isFinite(weight) && weight >= 0))
      throw invalid(name, `criteria.${at}.weight`, weight, "Expected a number, 0 or more")
  }
  const weights = criteria.map(({ weight = 1 }) => weight)
  if (weights.length > 0 && weights.every((weight) => weight === 0))
    throw invalid(name, "criteria", weights, "Expected a weight above 0")
}

/** Asks a language model for a first draft. */
const generator = (options: AnyOptions) => {
  const { criteria = [], input = Schema.String, output = Schema.String } = options
  const inputText = shown(input)
  const task = "Do what the input asks for."
  return (given: unknown) =>
    answer(output, {
      purpose: "generate",
      name: "draft",
      prompt: paragraphs(task, list(criteria), `Input:\n${inputText(given)}`),
      model: options.generatorModel
    })
}

/** Asks a language model for a better draft. */
const optimizer = (options: AnyOptions) => {
  const { criteria = [], input = Schema.String, output = Schema.String } = options
  const inputText = shown(input)
  const draftText = shown(output)
  const task = "Improve the draft, an answer to the input, by the feedback, and give the whole of it."
  return (draft: unknown, { criteria: found = [], feedback, score }: Grade, given: unknown) => {
    const scores = found.map((each) => `- ${each.name}: ${each.score}${each.feedback ? `. ${each.feedback}` : ""}`)
    return answer(output, {
      purpose: "optimize",
      name: "draft",
      prompt: paragraphs(
        task,
        list(criteria),
        `Input:\n${inputText(given)}`,
        `Draft:\n${draftText(draft)}`,
        [`Score from 0 to 1: ${score}`, ...scores].join("\n"),
        `Feedback:\n${feedback}`
      ),
      model: options.generatorModel
    })
  }
}
