/**
 * Parallelization: split a task into independent subtasks, do them at the same time, merge their results.
 *
 * `split` and `merge` are steps. A subtask stands under `subtask/<id>`: as one step where the worker is a function, as a
 * scope where it is a workflow, whose own steps stand below: `split`, `subtask/intro/fetch`, `subtask/intro/read`,
 * `merge`. Give a workflow where a subtask has steps or waits for a person: a step is recorded as a whole. Progress has no
 * total while `split` runs; then it counts the subtasks that have settled, percent by percent where there are many, and
 * stands at the end while `merge` runs.
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { BudgetExceeded } from "../Budget.ts"
import { describe } from "../internal/failure.ts"
import { type Current, currentFrame } from "../internal/frame.ts"
import type { RunError } from "../RunError.ts"
import * as Models from "../services/Models.ts"
import * as Workflow from "../Workflow.ts"
import type {
  Declares,
  Definition,
  ErrorOf,
  Nothing,
  OutputHint,
  OutputOf,
  Own,
  ServicesOf,
  Takes,
  Text
} from "./definition.ts"
import { collectable, concurrencyOf, part, phase, phaseIn, report, scope } from "./phase.ts"
import { answer, paragraphs, shown } from "./prompt.ts"

/** A part of the task that can be worked on by itself. */
export interface Subtask {
  /** Tells it apart from the others; stands in the path of its steps. */
  readonly id: string
  /** What there is to do. */
  readonly prompt: string
  /** What else the worker should know. Default: nothing. */
  readonly metadata?: { readonly [key: string]: unknown } | undefined
}

/**
 * Schema of a subtask.
 *
 * **Example** (Checking a subtask)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Parallelization } from "effect-baton"
 *
 * Schema.is(Parallelization.Subtask)({ id: "intro", prompt: "Summarise the introduction" }) // => true
 * Schema.is(Parallelization.Subtask)({ prompt: "Summarise the introduction" }) // => false
 * ```
 */
export const Subtask: Schema.Codec<Subtask> = Schema.Struct({
  id: Schema.String,
  prompt: Schema.String,
  metadata: Schema.optional(Schema.Record(Schema.String, Schema.Unknown))
})

/** What a subtask gave. */
export interface SubtaskSuccess<out A> {
  readonly id: string
  readonly success: true
  readonly data: A
  readonly error?: undefined
  /** Milliseconds from its start to its end. */
  readonly durationMs: number
}

/** What a subtask failed with. */
export interface SubtaskFailure<out E> {
  readonly id: string
  readonly success: false
  readonly data?: undefined
  readonly error: E
  /** Milliseconds from its start to its end. */
  readonly durationMs: number
}

/** How a subtask ended. */
export type SubtaskResult<A, E = never> = SubtaskSuccess<A> | ([E] extends [never] ? never : SubtaskFailure<E>)

/**
 * Two subtasks have one id; none of them was begun.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Parallelization } from "effect-baton"
 *
 * new Parallelization.InvalidSubtasks({ duplicates: ["intro"] }).message // => 'Several subtasks have the id "intro"; give each an id of its own in `split`'
 * ```
 */
export class InvalidSubtasks extends Schema.TaggedError<InvalidSubtasks>(
  "effect-baton/Parallelization/InvalidSubtasks"
)("InvalidSubtasks", {
  /** The ids that are not unique, in order of their first use. */
  duplicates: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const ids = this.duplicates.map((id) => JSON.stringify(id)).join(", ")
    return `Several subtasks have the id ${ids}; give each an id of its own in \`split\``
  }
}

/** What works on a subtask: a function, or a workflow that takes its prompt. */
export type Worker = ((subtask: Subtask) => Effect.Effect<any, any, any>) | Workflow.Any

/** `fail-fast`: the first failure ends everything. `collect-all`: failures are results. */
export type FailureStrategy = "fail-fast" | "collect-all"

/** What a worker gives. */
export type Data<W> = OutputOf<W>

/** What a worker ends the whole with: a run's errors pass through, the rest only where failures are not collected. */
type Uncollected<W, F> = F extends "collect-all" ? never : ErrorOf<W>

/** The part of it that no workflow's schema describes. */
type Undescribed<W, F> = W extends Workflow.Any ? never : Uncollected<W, F>

/** The results of a worker under a strategy. */
export type Results<W, F> = F extends "collect-all"
  ? SubtaskResult<Data<W>, Exclude<ErrorOf<W> | (W extends Workflow.Any ? RunError : never), BudgetExceeded>>
  : SubtaskResult<Data<W>>

/** The results that `merge` sees. */
export type Merged<W, F, I> = I extends true ? Results<W, F> : SubtaskResult<Data<W>>

/** What a parallelization fails with: `E1` is the error of `split`, `E2` of `merge`. */
export type Failure<W, F, Error, E1, E2> = Error | Own<E1 | E2 | Uncollected<W, F>> | InvalidSubtasks

/** What makes a parallelization. */
export interface Options<
  W,
  F,
  I,
  In extends Workflow.Boundary<any>,
  Out extends Workflow.Boundary<any>,
  Err extends Workflow.Boundary<any>,
  E1,
  R1,
  E2,
  R2
> extends Definition<In, Out, Err, Failure<W, F, Err["Type"], E1, E2>> {
  /** Gives the subtasks of an input. Default: a language model splits it. */
  readonly split?: ((input: In["Type"]) => Effect.Effect<ReadonlyArray<Subtask>, E1, R1>) | undefined
  /** Works on one subtask. */
  readonly worker: W
  /** Makes the output of the results. Default: a language model merges them. */
  readonly merge?:
    | ((
        results: ReadonlyArray<Merged<NoInfer<W>, NoInfer<F>, NoInfer<I>>>,
        input: In["Type"]
      ) => Effect.Effect<Out["Type"] | OutputHint<Out>, E2, R2>)
    | undefined
  /** How many subtasks are worked on at the same time. Default: `"unbounded"`. */
  readonly maxConcurrency?: number | "unbounded" | undefined
  /** What the failure of a subtask means for the others. Default: `"fail-fast"`. */
  readonly failureStrategy?: F | undefined
  /** Whether `merge` sees failures too. Default: false. */
  readonly includeFailures?: I | undefined
  /** Id of the model that the default `split` and `merge` ask. Default: the `LanguageModel` in the context. */
  readonly model?: string | undefined
}

/** A parallelization, and its phases. */
export interface Parallelization<W, F, Input, Output, Error, E1, R1, E2, R2>
  extends Workflow.Workflow<
    Input,
    Output,
    Failure<W, F, Error, E1, E2>,
    Exclude<R1 | R2 | ServicesOf<W>, Workflow.Provided>
  > {
  /** Gives the subtasks of an input. */
  readonly split: (input: Input) => Effect.Effect<ReadonlyArray<Subtask>, E1 | BudgetExceeded, R1>
  /** Works on subtasks at the same time; the results are in their order. */
  readonly parallel: (
    subtasks: ReadonlyArray<Subtask>
  ) => Effect.Effect<
    ReadonlyArray<Results<W, F>>,
    Uncollected<W, F> | InvalidSubtasks | (W extends Workflow.Any ? RunError : BudgetExceeded),
    ServicesOf<W> | (W extends Workflow.Any ? Current : never)
  >
  /** Makes the output of results, less the failures unless `includeFailures` is set. */
  readonly merge: (
    results: ReadonlyArray<Results<W, F>>,
    input: Input
  ) => Effect.Effect<Output, E2 | BudgetExceeded, R2>
}

/**
 * Defines a parallelization.
 *
 * **Details**
 *
 * All subtasks run at the same time unless `maxConcurrency` is set, a whole number from 1 up; anything else is
 * `InvalidDefinition`, thrown at once. With `fail-fast` the first failure interrupts the rest; with `collect-all` it
 * becomes a result, which `merge` sees if `includeFailures` is set. `BudgetExceeded` and defects are never collected.
 * Subtasks of one id fail with `InvalidSubtasks` before any is begun. A `split` or `merge` that is left out asks a
 * `LanguageModel`, and can fail with an `AiError`.
 *
 * **Gotchas**
 *
 * `merge` infers what it gets from `worker`: write them in this order.
 *
 * **Example** (Lengths of words)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Parallelization } from "effect-baton"
 *
 * const lengths = Parallelization.make("lengths", {
 *   output: Schema.Number,
 *   split: (text) => Effect.succeed(text.split(" ").map((prompt, index) => ({ id: `${index + 1}`, prompt }))),
 *   worker: ({ prompt }) => Effect.succeed(prompt.length),
 *   merge: (results) => Effect.succeed(Math.max(...results.map(({ data }) => data))),
 *   maxConcurrency: 8
 * })
 *
 * await Effect.runPromise(lengths.execute("to be or nought").pipe(Effect.provide(Engine.layerMemory))) // => 6
 * ```
 *
 * Source: Anthropic, "Building effective agents", parallelization (sectioning).
 */
export const make = <
  W extends Worker,
  In extends Workflow.Boundary<any> = Text,
  Out extends Workflow.Boundary<any> = Text,
  Err extends Workflow.Boundary<any> = Nothing,
  E1 = AiError.AiError,
  R1 = LanguageModel.LanguageModel,
  E2 = AiError.AiError,
  R2 = LanguageModel.LanguageModel,
  const F extends FailureStrategy = "fail-fast",
  const I extends boolean = false
>(
  name: string,
  options: Options<W, F, I, In, Out, Err, E1, R1, E2, R2> &
    Takes<string, NoInfer<W>, "worker"> &
    Declares<NoInfer<E1> | NoInfer<E2> | Undescribed<NoInfer<W>, NoInfer<F>>, Err["Type"]>
): Parallelization<W, F, In["Type"], Out["Type"], Err["Type"], E1, R1, E2, R2> =>
  // `make` has checked the types of the parts, which differ for each definition; from here on they are any.
  define(name, options as any) as any

type AnyOptions = Options<Worker, FailureStrategy, boolean, any, any, any, any, any, any, any>

const define = (name: string, options: AnyOptions) => {
  const { failureStrategy = "fail-fast", includeFailures = false, worker } = options
  const concurrency = concurrencyOf(name, options.maxConcurrency)
  const isWorkflow = Workflow.isWorkflow(worker)
  const splitter = options.split ?? askToSplit(options)
  const merger = options.merge ?? askToMerge(options)

  const split = (input: unknown) => {
    const made = phase(
      "split",
      Effect.suspend(() => splitter(input))
    )
    return Effect.andThen(report({ current: 0, total: 0, message: "splitting" }), made)
  }

  const parallel = (
    subtasks: ReadonlyArray<Subtask>
  ): Effect.Effect<ReadonlyArray<SubtaskResult<any, any>>, any, any> =>
    Effect.withFiber((fiber) => {
      const duplicates = repeated(subtasks)
      if (duplicates.length > 0) return Effect.fail(new InvalidSubtasks({ duplicates }))
      const clock = fiber.getRef(Clock.Clock)
      const frame = currentFrame(fiber)
      const total = subtasks.length
      // A wide fan-out reports each percent, not each subtask.
      const percent = Math.max(1, Math.floor(total / 100))
      let current = 0
      const settled = <A>(result: A): A => {
        current++
        if (current % percent === 0 || current === total) frame?.execution.report(frame, { current, total })
        return result
      }
      frame?.execution.report(frame, { current, total })

      const succeeded = ({ id }: Subtask, data: unknown, startedAt: number): SubtaskSuccess<any> =>
        settled({ id, success: true, data, durationMs: clock.currentTimeMillisUnsafe() - startedAt })
      const failed = ({ id }: Subtask, error: unknown, startedAt: number): SubtaskFailure<any> =>
        settled({ id, success: false, error, durationMs: clock.currentTimeMillisUnsafe() - startedAt })

      return scope(
        "subtask",
        undefined,
        Effect.withFiber((fiber) => {
          const place = currentFrame(fiber)
          place?.assumeDistinct()
          const work = (subtask: Subtask): Effect.Effect<any, any, any> =>
            Workflow.isWorkflow(worker)
              ? part(subtask.id, undefined, worker as Workflow.Workflow<string, any, any, any>, subtask.prompt)
              : phaseIn(
                  place,
                  subtask.id,
                  Effect.suspend(() => worker(subtask))
                )
          const failFast = (subtask: Subtask) => {
            const startedAt = clock.currentTimeMillisUnsafe()
            return Effect.map(work(subtask), (data) => succeeded(subtask, data, startedAt))
          }
          const collect = (subtask: Subtask) => {
            const startedAt = clock.currentTimeMillisUnsafe()
            return Effect.matchCauseEffect(work(subtask), {
              onSuccess: (data) => Effect.succeed<SubtaskResult<any, any>>(succeeded(subtask, data, startedAt)),
              onFailure: (cause) => {
                const error = collectable(cause)
                return Option.isNone(error)
                  ? Effect.failCause(cause)
                  : Effect.succeed(failed(subtask, error.value, startedAt))
              }
            })
          }
          return Effect.forEach(subtasks, failureStrategy === "collect-all" ? collect : failFast, { concurrency })
        })
      )
    })

  const merge = (results: ReadonlyArray<SubtaskResult<any, any>>, input: unknown) => {
    const merged = phase(
      "merge",
      Effect.suspend(() =>
        merger(
          (includeFailures ? results : results.filter(({ success }) => success)) as ReadonlyArray<
            SubtaskSuccess<never>
          >,
          input
        )
      )
    )
    return Effect.andThen(report({ current: results.length, total: results.length, message: "merging" }), merged)
  }

  const workflow = Workflow.make<any, any, any, any>(name, {
    description: options.description,
    input: options.input,
    output: options.output,
    error: Schema.Union([
      options.error ?? Schema.Never,
      isWorkflow ? worker.error : Schema.Never,
      InvalidSubtasks,
      AiError.AiError
    ]),
    defaults: options.defaults,
    version: options.version,
    run: (input) =>
      Effect.flatMap(split(input), (subtasks) => Effect.flatMap(parallel(subtasks), (results) => merge(results, input)))
  })
  return Object.assign(workflow, { split, parallel, merge })
}

/** The ids that several subtasks have. */
const repeated = (subtasks: ReadonlyArray<Subtask>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  for (const { id } of subtasks) seen.add(id)
  if (seen.size === subtasks.length) return []
  const twice = new Set<string>()
  seen.clear()
  for (const { id } of subtasks) (seen.has(id) ? twice : seen).add(id)
  return [...seen].filter((id) => twice.has(id))
}

const Split = Schema.Struct({ subtasks: Schema.Array(Schema.Struct({ id: Schema.String, prompt: Schema.String })) })

/** Asks a language model for the subtasks. */
const askToSplit = (options: AnyOptions) => {
  const inputText = shown(options.input ?? Schema.String)
  const task =
    "Split the task into independent subtasks that can be worked on at the same time, by workers who see nothing but " +
    "their own prompt. Give each subtask a short id of its own and a prompt that says all it takes."
  return (input: unknown) =>
    Effect.map(
      Models.object({
        purpose: "split",
        name: "subtasks",
        prompt: paragraphs(task, `Task:\n${inputText(input)}`),
        schema: Split,
        model: options.model
      }),
      ({ subtasks }) => subtasks
    )
}

/** Asks a language model for the output. */
const askToMerge = (options: AnyOptions) => {
  const inputText = shown(options.input ?? Schema.String)
  const dataText = shown(Workflow.isWorkflow(options.worker) ? options.worker.output : Schema.Unknown)
  const task = "The task was split into subtasks. Merge their results into one answer to the task."
  return (results: ReadonlyArray<SubtaskResult<any, any>>, input: unknown) =>
    answer(options.output ?? Schema.String, {
      purpose: "merge",
      name: "merged",
      prompt: paragraphs(
        task,
        `Task:\n${inputText(input)}`,
        ...results.map((result) =>
          result.success
            ? `Result of ${result.id}:\n${dataText(result.data)}`
            : `${result.id} failed:\n${describe(result.error).message}`
        )
      ),
      model: options.model
    })
}
