/**
 * A plan: steps for workers, some of which need the results of others.
 */
import * as Schema from "effect/Schema"
import { circles, type Graph } from "./graph.ts"

/** One step of a plan. */
export interface PlanStep {
  /** Names the step in the plan, in paths and in results. */
  readonly id: string
  readonly description: string
  /** Name of the worker that does it. */
  readonly worker: string
  /** What the worker is given. */
  readonly input: string
  /** Ids of the steps whose results it needs. Default: none. */
  readonly dependsOn?: ReadonlyArray<string> | undefined
}

/** Steps that reach a goal. */
export interface Plan {
  readonly goal: string
  readonly steps: ReadonlyArray<PlanStep>
}

const stepOf = (worker: Schema.Codec<string>): Schema.Codec<PlanStep> =>
  Schema.Struct({
    id: Schema.String.annotate({ description: "A short name of the step, different from those of all other steps" }),
    description: Schema.String.annotate({ description: "What the step is for" }),
    worker: worker.annotate({ description: "The name of the worker that does the step" }),
    input: Schema.String.annotate({ description: "The complete instruction for the worker" }),
    dependsOn: Schema.optional(
      Schema.Array(Schema.String).annotate({ description: "The ids of the steps whose results the step needs" })
    )
  })

const planOf = (worker: Schema.Codec<string>): Schema.Codec<Plan> =>
  Schema.Struct({
    goal: Schema.String.annotate({ description: "What the steps are to reach together" }),
    steps: Schema.Array(stepOf(worker))
  })

/** Schema of a plan for these workers, as a model is asked for it. */
export const planFor = (workers: ReadonlyArray<string>): Schema.Codec<Plan> => planOf(Schema.Literals(workers))

/**
 * Schema of a plan. It says nothing about which workers there are: see `problems`.
 *
 * **Example** (Checking a shape)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { OrchestratorWorkers } from "effect-baton"
 *
 * const steps = [{ id: "facts", description: "Find facts", worker: "reader", input: "the report" }]
 *
 * Schema.is(OrchestratorWorkers.Plan)({ goal: "a summary", steps }) // => true
 * ```
 */
export const Plan: Schema.Codec<Plan> = planOf(Schema.String)

/** Something that is wrong with a plan. */
export type PlanProblem =
  | { readonly _tag: "UnknownWorker"; readonly step: string; readonly worker: string }
  | { readonly _tag: "DuplicateStep"; readonly step: string }
  | { readonly _tag: "UnknownDependency"; readonly step: string; readonly dependency: string }
  /** Each step depends on the next one, the last on the first. */
  | { readonly _tag: "CircularDependency"; readonly steps: ReadonlyArray<string> }

const Problem: Schema.Codec<PlanProblem> = Schema.Union([
  Schema.TaggedStruct("UnknownWorker", { step: Schema.String, worker: Schema.String }),
  Schema.TaggedStruct("DuplicateStep", { step: Schema.String }),
  Schema.TaggedStruct("UnknownDependency", { step: Schema.String, dependency: Schema.String }),
  Schema.TaggedStruct("CircularDependency", { steps: Schema.Array(Schema.String) })
])

const describe = (problem: PlanProblem): string => {
  switch (problem._tag) {
    case "UnknownWorker":
      return `step "${problem.step}" is for the unknown worker "${problem.worker}"`
    case "DuplicateStep":
      return `several steps have the id "${problem.step}"`
    case "UnknownDependency":
      return `step "${problem.step}" depends on the unknown step "${problem.dependency}"`
    case "CircularDependency": {
      const [first] = problem.steps
      return `steps depend on each other in a circle: ${[...problem.steps, first].join(" -> ")}`
    }
  }
}

/**
 * A plan can not be carried out; none of its steps was started.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { OrchestratorWorkers } from "effect-baton"
 *
 * const error = new OrchestratorWorkers.InvalidPlan({
 *   workflow: "brief",
 *   workers: ["reader", "writer"],
 *   problems: [
 *     { _tag: "UnknownWorker", step: "facts", worker: "raeder" },
 *     { _tag: "CircularDependency", steps: ["facts", "text"] }
 *   ]
 * })
 *
 * error.message // => 'The plan of brief can not be carried out: step "facts" is for the unknown worker "raeder"; steps depend on each other in a circle: facts -> text -> facts. Correct the plan; the workers are: reader, writer'
 * ```
 */
export class InvalidPlan extends Schema.TaggedError<InvalidPlan>("effect-baton/OrchestratorWorkers/InvalidPlan")(
  "InvalidPlan",
  {
    /** Name of the workflow. */
    workflow: Schema.String,
    /** Names of the workers there are. */
    workers: Schema.Array(Schema.String),
    /** Everything that is wrong. */
    problems: Schema.Array(Problem)
  }
) {
  override get message(): string {
    return (
      `The plan of ${this.workflow} can not be carried out: ${this.problems.map(describe).join("; ")}. ` +
      `Correct the plan; the workers are: ${this.workers.join(", ")}`
    )
  }
}

/** The place of each step in its plan; of several steps with one id the first one counts. */
const places = (plan: Plan): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const [place, step] of plan.steps.entries()) if (!found.has(step.id)) found.set(step.id, place)
  return found
}

/** What depends on what in a plan, by place; unknown ids are left out. */
export const graphOf = (plan: Plan): Graph => {
  const known = places(plan)
  return plan.steps.map(({ dependsOn = [] }) => {
    const found = new Set<number>()
    for (const id of dependsOn) {
      const place = known.get(id)
      if (place !== undefined) found.add(place)
    }
    return Array.from(found)
  })
}

/** Everything that keeps a plan from being carried out by these workers. Takes time linear in steps and dependencies. */
export const problems = (
  plan: Plan,
  workers: { readonly has: (name: string) => boolean }
): ReadonlyArray<PlanProblem> => {
  const known = places(plan)
  const found: Array<PlanProblem> = []
  const repeated = new Set<string>()
  for (const [place, step] of plan.steps.entries()) {
    if (known.get(step.id) !== place && !repeated.has(step.id)) {
      repeated.add(step.id)
      found.push({ _tag: "DuplicateStep", step: step.id })
    }
    if (!workers.has(step.worker)) found.push({ _tag: "UnknownWorker", step: step.id, worker: step.worker })
    for (const dependency of new Set(step.dependsOn)) {
      if (!known.has(dependency)) found.push({ _tag: "UnknownDependency", step: step.id, dependency })
    }
  }
  for (const circle of circles(graphOf(plan))) {
    found.push({ _tag: "CircularDependency", steps: circle.map((place) => plan.steps[place]!.id) })
  }
  return found
}
