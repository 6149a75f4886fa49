/**
 * The orchestrator-workers pattern: plan, delegate each step of the plan to a worker, synthesize the results.
 *
 * Each of them is a step: `plan`, then `step/<id>` for each step of the plan, with the steps of its worker in it, then
 * `synthesize`: `plan`, `step/facts`, `step/facts/look up`, `step/text`, `synthesize`. Progress counts them.
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { BudgetExceeded } from "../Budget.ts"
import { describe } from "../internal/failure.ts"
import type { Current } from "../internal/frame.ts"
import { inline } from "../internal/inline.ts"
import type { RunError } from "../RunError.ts"
import * as Models from "../services/Models.ts"
import * as Workflow from "../Workflow.ts"
import type { Declares, Definition, Nothing, OutputHint, Own, Text } from "./definition.ts"
import * as graph from "./graph.ts"
import { graphOf, InvalidPlan, Plan, type PlanProblem, type PlanStep, planFor, problems } from "./Plan.ts"
import { collectable, concurrencyOf, invalid, phase, report } from "./phase.ts"
import { answer, paragraphs, shown } from "./prompt.ts"
import { type Delivered, DependencyFailed, type WorkerResult } from "./WorkerResult.ts"

export { type Delivered, DependencyFailed, InvalidPlan, Plan, type PlanProblem, type PlanStep, type WorkerResult }

/** Someone who does steps of a plan. */
export interface Worker<out W extends Workflow.Any = Workflow.Any> {
  /** What plans call it; different from the names of all other workers. */
  readonly name: string
  /** What it does, for whoever plans. */
  readonly description: string
  readonly workflow: W
  /** What it is good at, for whoever plans. Default: nothing in particular. */
  readonly capabilities?: ReadonlyArray<string> | undefined
}

/** Some workers. */
export type Workers = ReadonlyArray<Worker>

/** What some workers give. */
export type Data<W extends Workers> = Workflow.Output<W[number]["workflow"]>

/** What an orchestrator of workers fails with: `E` is what its phases fail with. */
export type Failure<W extends Workers, Error, E> = Error | Own<E> | Workflow.Error<W[number]["workflow"]> | InvalidPlan

/** What became of a step, as `synthesize` sees it. */
export type Result<W extends Workers, Error> = WorkerResult<
  Data<W>,
  Failure<W, Error, AiError.AiError> | RunError | DependencyFailed
>

/** What makes an orchestrator of workers; the last six parameters are what its phases fail with and need. */
export interface Options<
  W extends Workers,
  In extends Workflow.Boundary<any>,
  Out extends Workflow.Boundary<any>,
  Err extends Workflow.Boundary<any>,
  EP,
  RP,
  ED,
  RD,
  ES,
  RS
> extends Definition<In, Out, Err, Failure<W, Err["Type"], EP | ED | ES>> {
  /** Who does the steps. */
  readonly workers: W
  /** Makes a plan. Default: asks a language model. */
  readonly plan?: ((input: In["Type"]) => Effect.Effect<Plan, EP, RP>) | undefined
  /**
   * Has a step done by its worker. Default: runs the worker on the step's input followed, after an empty line, by the
   * results it depends on, each under the id of its step.
   */
  readonly delegate?:
    | ((
        step: PlanStep,
        dependencies: ReadonlyArray<Delivered<Data<NoInfer<W>>>>
      ) => Effect.Effect<Data<NoInfer<W>>, ED, RD>)
    | undefined
  /** Makes one output of the results, which are in the order of the plan. Default: asks a language model. */
  readonly synthesize?:
    | ((
        results: ReadonlyArray<Result<NoInfer<W>, Err["Type"]>>,
        plan: Plan
      ) => Effect.Effect<Out["Type"] | OutputHint<Out>, ES, RS>)
    | undefined
  /** How many steps may run at once. Default: `"unbounded"`. */
  readonly maxConcurrency?: number | "unbounded" | undefined
  /**
   * What the failure of a step does: `"fail-fast"` interrupts the others and fails; `"collect-all"` goes on with every
   * step that does not depend on it. Default: `"fail-fast"`.
   */
  readonly failureStrategy?: "fail-fast" | "collect-all" | undefined
  /** Id of the model that the default phases ask. Default: the `LanguageModel` in the context. */
  readonly model?: string | undefined
}

/** The workflows that do not take text. */
type NotText<W> = W extends Workflow.Any ? (string extends Workflow.Input<W> ? never : W) : never

/** Asks for `delegate` where the default one can not serve every worker, since it gives them text. */
type TakeText<W extends Workers> = [NotText<W[number]["workflow"]>] extends [never]
  ? unknown
  : { readonly delegate: (step: PlanStep, dependencies: ReadonlyArray<Delivered<Data<W>>>) => unknown }

/** A workflow that plans, delegates and synthesizes, and its phases. */
export interface OrchestratorWorkers<W extends Workers, Input, Output, Error, EP, RP, ED, RD, ES, RS>
  extends Workflow.Workflow<Input, Output, Failure<W, Error, EP | ED | ES>, Exclude<RP | RD | RS, Workflow.Provided>> {
  /** Makes a plan, and checks it; works outside of an execution too. */
  readonly plan: (input: Input) => Effect.Effect<Plan, EP | InvalidPlan | BudgetExceeded, RP>
  /** Has a step done by its worker, given the results it depends on. */
  readonly delegate: (
    step: PlanStep,
    dependencies: ReadonlyArray<Delivered<Data<W>>>
  ) => Effect.Effect<Data<W>, ED | BudgetExceeded, RD>
  /** Makes one output of the results; works outside of an execution too. */
  readonly synthesize: (
    results: ReadonlyArray<Result<W, Error>>,
    plan: Plan
  ) => Effect.Effect<Output, ES | BudgetExceeded, RS>
}

/**
 * Defines a workflow that plans steps, has workers do them, and makes one output of their results.
 *
 * **Details**
 *
 * A plan is checked before any of its steps is started: `InvalidPlan` lists unknown workers, ids that are used twice, and
 * dependencies that are unknown or circular. A plan without steps is valid. A step starts the moment the steps it depends
 * on are done and `maxConcurrency` has a place for it. Results are in the order of the plan.
 *
 * With `"collect-all"` a step fails with its worker's error, or is skipped with `DependencyFailed`, and `synthesize` sees
 * both. A used-up budget and a defect end the run in any case.
 *
 * When `plan` or `synthesize` is left out a language model is asked, so that the workflow needs a `LanguageModel` and can
 * fail with an `AiError`. What a phase given here fails with must be in the `error` schema, unless it is a worker's error,
 * an `AiError` or an error of runs. Workers that do not take text need a `delegate` of yours. Two workers of one name are
 * `InvalidDefinition`, thrown at once.
 *
 * **Gotchas**
 *
 * The phases belong to this value: what `Workflow.map` and its like return is a workflow without them.
 *
 * **Example** (A brief from facts)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, OrchestratorWorkers, Workflow } from "effect-baton"
 *
 * const reader = Workflow.make("reader", { run: (text) => Effect.succeed(`read ${text}`) })
 * const writer = Workflow.make("writer", { run: (text) => Effect.succeed(text.toUpperCase()) })
 *
 * const brief = OrchestratorWorkers.make("brief", {
 *   workers: [
 *     { name: "reader", description: "Reads", workflow: reader },
 *     { name: "writer", description: "Writes", workflow: writer }
 *   ],
 *   plan: (topic) =>
 *     Effect.succeed({
 *       goal: `A brief on ${topic}`,
 *       steps: [
 *         { id: "facts", description: "Find facts", worker: "reader", input: topic },
 *         { id: "text", description: "Write it down", worker: "writer", input: "Use:", dependsOn: ["facts"] }
 *       ]
 *     }),
 *   synthesize: (results, plan) => Effect.succeed([plan.goal, ...results.map((result) => result.data)].join(" | "))
 * })
 *
 * await Effect.runPromise(brief.execute("tea").pipe(Effect.provide(Engine.layerMemory))) // => "A brief on tea | read tea | USE:\n\nFACTS:\nREAD TEA"
 * ```
 *
 * Source: Anthropic, "Building effective agents", orchestrator-workers.
 */
export const make = <
  const W extends Workers,
  In extends Workflow.Boundary<any> = Text,
  Out extends Workflow.Boundary<any> = Text,
  Err extends Workflow.Boundary<any> = Nothing,
  EP = AiError.AiError,
  RP = LanguageModel.LanguageModel,
  ED = Workflow.Error<W[number]["workflow"]> | InvalidPlan | RunError,
  RD = Workflow.Services<W[number]["workflow"]> | Current,
  ES = AiError.AiError,
  RS = LanguageModel.LanguageModel
>(
  name: string,
  options: Options<W, In, Out, Err, EP, RP, ED, RD, ES, RS> &
    TakeText<NoInfer<W>> &
    Declares<EP | ED | ES, Err["Type"] | InvalidPlan | Workflow.Error<W[number]["workflow"]>>
): OrchestratorWorkers<W, In["Type"], Out["Type"], Err["Type"], EP, RP, ED, RD, ES, RS> =>
  // `make` has checked the types of the parts, which differ for each definition; from here on they are any.
  define(name, options as any) as any

type AnyWorker = Worker<Workflow.Workflow<any, any, any, any>>
type AnyOptions = Options<ReadonlyArray<AnyWorker>, any, any, any, any, any, any, any, any, any>
type AnyResult = WorkerResult<any, any>

/** What may be done with a definition, by name: each phase, and the whole. */
const define = (name: string, options: AnyOptions) => {
  const { failureStrategy = "fail-fast" } = options
  const given = concurrencyOf(name, options.maxConcurrency)
  const concurrency = given === "unbounded" ? Number.POSITIVE_INFINITY : given
  const workers = new Map(options.workers.map((worker) => [worker.name, worker]))
  const names = [...workers.keys()]
  if (workers.size < options.workers.length) {
    const given = options.workers.map((worker) => worker.name)
    throw invalid(name, "workers", given, "Expected different names")
  }

  const check = (plan: Plan): Effect.Effect<Plan, InvalidPlan> => {
    const found = problems(plan, workers)
    return found.length === 0
      ? Effect.succeed(plan)
      : Effect.fail(new InvalidPlan({ workflow: name, workers: names, problems: found }))
  }
  const makePlan = options.plan ?? planner(options)
  const plan = (input: unknown) => {
    const checked = Effect.flatMap(
      Effect.suspend(() => makePlan(input)),
      check
    )
    return report({ current: 0, total: 0, message: "planning" }).pipe(
      Effect.andThen(phase("plan", checked)),
      Effect.tap((made) => report({ current: 1, total: phasesOf(made), message: `${made.steps.length} steps planned` }))
    )
  }

  const runWorker = (step: PlanStep, dependencies: ReadonlyArray<Delivered<any>>): Effect.Effect<any, any, any> => {
    const worker = workers.get(step.worker)
    // Only a step that was never checked, of a caller of `delegate`, can have an unknown worker.
    if (worker === undefined)
      return Effect.as(check({ goal: step.description, steps: [{ ...step, dependsOn: [] }] }), "")
    const given = dependencies.map(
      ({ data, stepId, worker }) => `${stepId}:\n${shown(workers.get(worker)!.workflow.output)(data)}`
    )
    return inline(worker.workflow, paragraphs(step.input, ...given))
  }
  const doStep = options.delegate ?? runWorker
  const perform = (step: PlanStep, dependencies: ReadonlyArray<Delivered<any>>) =>
    phase(
      "step",
      Effect.suspend(() => doStep(step, dependencies)),
      step.id
    )
  // By itself a step knows of no other: progress is its own.
  const delegate = (step: PlanStep, dependencies: ReadonlyArray<Delivered<any>>) =>
    report({ current: 0, total: 1, message: `step ${step.id}` }).pipe(
      Effect.andThen(perform(step, dependencies)),
      Effect.tap(() => report({ current: 1, total: 1, message: `step ${step.id} done` }))
    )

  const makeOutput = options.synthesize ?? synthesizer(options, workers)
  const synthesize = (results: ReadonlyArray<any>, plan: Plan) => {
    const total = phasesOf(plan)
    const made = phase(
      "synthesize",
      Effect.suspend(() => makeOutput(results, plan))
    )
    return report({ current: total - 1, total, message: "synthesizing" }).pipe(
      Effect.andThen(made),
      Effect.tap(() => report({ current: total, total, message: "results put together" }))
    )
  }

  const run = Effect.fnUntraced(function* (input: unknown) {
    const made = yield* plan(input)
    const total = phasesOf(made)
    let current = 1
    const results = yield* work(made, concurrency, failureStrategy, perform, ({ stepId, success }) =>
      report({ current: ++current, total, message: `step ${stepId} ${success ? "done" : "failed"}` })
    )
    return yield* synthesize(results, made)
  })

  const workflow = Workflow.make<any, any, any, any>(name, {
    description: options.description,
    input: options.input,
    output: options.output,
    error: Schema.Union([
      options.error ?? Schema.Never,
      ...options.workers.map(({ workflow }) => workflow.error),
      InvalidPlan,
      AiError.AiError
    ]),
    defaults: options.defaults,
    version: options.version,
    run
  })
  return Object.assign(workflow, { plan, delegate, synthesize })
}

/** What progress counts: the plan, its steps, and what is made of them. */
const phasesOf = (plan: Plan): number => plan.steps.length + 2

/** Does the steps of a plan, each as soon as what it depends on is done; the results are in the order of the plan. */
const work = (
  plan: Plan,
  concurrency: number,
  failureStrategy: "fail-fast" | "collect-all",
  delegate: (step: PlanStep, dependencies: ReadonlyArray<Delivered<any>>) => Effect.Effect<any, any, any>,
  onResult: (result: AnyResult) => Effect.Effect<void>
): Effect.Effect<ReadonlyArray<AnyResult>, any, any> =>
  Effect.suspend(() => {
    const dependencies = graphOf(plan)
    const results: Array<AnyResult> = []
    // The step that failed, for each step that did, or that can not be done because of it.
    const culprits: Array<string | undefined> = []
    const settle = (place: number, result: AnyResult, culprit: string | undefined) => {
      results[place] = result
      culprits[place] = culprit
      return onResult(result)
    }
    const doStep = (place: number) => {
      const step = plan.steps[place]!
      const of = { stepId: step.id, worker: step.worker }
      const needed = dependencies[place]!
      const broken = needed.find((dependency) => culprits[dependency] !== undefined)
      if (broken !== undefined) {
        const dependency = culprits[broken]!
        const error = new DependencyFailed({ stepId: step.id, dependency })
        return settle(place, { ...of, success: false, error }, dependency)
      }
      const done = Effect.flatMap(
        delegate(
          step,
          needed.map((dependency) => results[dependency] as Delivered<any>)
        ),
        (data) => settle(place, { ...of, success: true, data }, undefined)
      )
      if (failureStrategy === "fail-fast") return done
      return Effect.catchCause(done, (cause) => {
        const error = collectable(cause)
        return Option.isNone(error)
          ? Effect.failCause(cause)
          : settle(place, { ...of, success: false, error: error.value }, step.id)
      })
    }
    return Effect.as(graph.run(dependencies, concurrency, doStep), results)
  })

/** Asks a language model for a plan. */
const planner = ({ input = Schema.String, model, workers }: AnyOptions) => {
  const inputText = shown(input)
  const list = workers.map(({ capabilities = [], description, name }) => {
    const line = `- ${name}: ${description}`
    return capabilities.length === 0 ? line : `${line}\n  Capabilities: ${capabilities.join(", ")}`
  })
  const task = [
    "Plan how the workers below reach the goal of the input together.",
    "Give each step to the one worker that fits best, by its name, with a complete instruction: a worker sees nothing else but the results of the steps that its step depends on.",
    "Let a step depend on another one only if it needs its result: all others run at the same time."
  ].join(" ")
  // A model can only name workers that there are.
  const schema = planFor(workers.map(({ name }) => name))
  return (given: unknown) => {
    const prompt = paragraphs(task, `Workers:\n${list.join("\n")}`, `Input:\n${inputText(given)}`)
    return Models.object({ purpose: "plan", name: "plan", prompt, schema, model })
  }
}

/** Asks a language model for an output made of results. */
const synthesizer = ({ model, output = Schema.String }: AnyOptions, workers: ReadonlyMap<string, AnyWorker>) => {
  const task = "Put the results of the steps together so that the goal is reached. Use nothing but the results."
  const show = (result: AnyResult, description: string) => {
    const text = result.success
      ? shown(workers.get(result.worker)!.workflow.output)(result.data)
      : `There is no result: ${describe(result.error).message}`
    return `${result.stepId} (${description}):\n${text}`
  }
  return (results: ReadonlyArray<AnyResult>, plan: Plan) => {
    const descriptions = new Map(plan.steps.map((step) => [step.id, step.description]))
    const list = results.map((result) => show(result, descriptions.get(result.stepId) ?? result.worker))
    const prompt = paragraphs(task, `Goal:\n${plan.goal}`, "Results:", ...list)
    return answer(output, { purpose: "synthesize", name: "output", prompt, model })
  }
}
