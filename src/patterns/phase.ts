/**
 * What the patterns share: a phase is a step with a progress report, a part of a pattern is a scope.
 */
import type * as AiError from "effect/ai/AiError"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type { BudgetExceeded } from "../Budget.ts"
import type { Progress } from "../Execution.ts"
import { InvalidDefinition } from "../InvalidDefinition.ts"
import { Current } from "../internal/frame.ts"
import { show } from "../internal/schema.ts"
import type { RunOptions } from "../Run.ts"
import type { RunError } from "../RunError.ts"
import type { Any, Boundary, Input as InputOf, Workflow } from "../Workflow.ts"

/** The frame of the execution that an effect runs in, if there is one. */
const current = Effect.withFiber((fiber) =>
  Effect.succeed(fiber.context.mapUnsafe.get(Current.key) as Current["Service"] | undefined)
)

/**
 * Runs a phase as a step of the execution it runs in; outside of any, as it is, so that phases can be called one by one.
 */
export const phase = <A, E, R>(
  name: string,
  run: Effect.Effect<A, E, R>,
  key?: string
): Effect.Effect<A, E | BudgetExceeded, R> =>
  Effect.flatMap(current, (frame) =>
    frame === undefined ? run : Effect.withFiber((fiber) => frame.execution.step(fiber, frame, name, key, run))
  )

/** Gives a part of a pattern a place of its own: what it does stands under `name/key`. */
export const scope = <A, E, R>(
  name: string,
  key: string | undefined,
  run: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.flatMap(current, (frame) =>
    frame === undefined ? run : Effect.withFiber((fiber) => frame.execution.scope(fiber, frame, name, key, run))
  )

/** Reports progress of a pattern, if it runs in an execution. */
export const report = (progress: Progress): Effect.Effect<void> =>
  Effect.map(current, (frame) => frame?.execution.report(frame, progress))

/**
 * Runs a workflow as a part of a pattern, in a scope of the pattern's own: its steps stand under `name/key`, since the
 * key says already which workflow it is.
 */
export const part = <Input, Output, Error, R>(
  name: string,
  key: string | undefined,
  workflow: Workflow<Input, Output, Error, R>,
  input: Input
): Effect.Effect<Output, Error | RunError, R | Current> =>
  Effect.suspend((): Effect.Effect<Output, Error | RunError, R | Current> => {
    const invalid = workflow.checkInput(input)
    if (invalid !== undefined) return Effect.fail(invalid)
    const body: Effect.Effect<Output, Error | RunError, R> = Effect.flatMap(
      Effect.suspend(() => workflow.body(input)),
      (output) => {
        const problem = workflow.checkOutput(output)
        return problem === undefined ? Effect.succeed(output) : Effect.fail(problem)
      }
    )
    return scope(name, key, body)
  })

/** The frame that a fiber runs in, for patterns whose parts are too many to ask for it each time. */
export const frameOf = (fiber: Fiber.Fiber<unknown, unknown>): Current["Service"] | undefined =>
  fiber.context.mapUnsafe.get(Current.key) as Current["Service"] | undefined

/** What all patterns take: a workflow's options, less its body. */
export interface Definition<Input, Output, Error, Failure> {
  /** What it does, in a sentence; models that choose between workflows read it. Default: none. */
  readonly description?: string | undefined
  /** Schema of the input. Default: `Schema.String`. */
  readonly input?: Boundary<Input> | undefined
  /** Schema of the output. Default: the pattern says. */
  readonly output?: Boundary<Output> | undefined
  /** Schema of the errors its functions fail with; those of its workflows and of models are known. Default: none. */
  readonly error?: Boundary<Error> | undefined
  /** Options of its runs, unless a run overrides them. Default: none. */
  readonly defaults?: RunOptions<NoInfer<Output>, NoInfer<Failure>> | undefined
  /** Version of the body; durable runs go on only under the version they began with. Default: none. */
  readonly version?: string | undefined
}

/** Asks for an `error` schema where functions fail with what none describes. */
export type Declares<E, Error> = [Exclude<E, RunError | AiError.AiError>] extends [Error]
  ? unknown
  : { readonly error: Boundary<Exclude<E, RunError | AiError.AiError>> }

/** Asks for an `output` schema where the output is not what the one in use describes. */
export type Gives<A, Output> = [A] extends [Output] ? unknown : { readonly output: Boundary<A> }

/** Asks for a workflow of another input. */
export type Takes<Input, W, Field extends string> = [W] extends [Any]
  ? [Input] extends [InputOf<W>]
    ? unknown
    : { readonly [F in Field]: Workflow<Input, any, any, any> }
  : unknown

/** A value as a prompt shows it: text as it is, anything else as the JSON of its schema. */
export const toText = <A>(schema: Boundary<A> | undefined, value: A): string =>
  typeof value === "string"
    ? value
    : JSON.stringify(Schema.encodeSync(Schema.toCodecJson(schema ?? Schema.Unknown))(value), undefined, 2)

/** The definition is wrong: thrown by `make`. */
export const invalid = (workflow: string, field: string, value: unknown, problem: string): InvalidDefinition =>
  new InvalidDefinition({ workflow, field, value: show(value), problem })
