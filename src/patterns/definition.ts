/**
 * What defines a pattern: the options that all patterns take, and what the compiler asks for beside them.
 */
import type * as AiError from "effect/ai/AiError"
import type * as Effect from "effect/Effect"
import type { RunOptions } from "../Run.ts"
import type { RunError } from "../RunError.ts"
import type { Any, Boundary, Error, Input as InputOf, Output, Services, Workflow } from "../Workflow.ts"

export type { Nothing, OutputHint, Text } from "../internal/unsaid.ts"

/** What all patterns take: a workflow's options, less its body. */
export interface Definition<In extends Boundary<any>, Out extends Boundary<any>, Err extends Boundary<any>, Failure> {
  /** What it does, in a sentence; models that choose between workflows read it. Default: none. */
  readonly description?: string | undefined
  /** Schema of the input. Default: `Schema.String`. */
  readonly input?: In | undefined
  /** Schema of the output. Default: the pattern says. */
  readonly output?: Out | undefined
  /** Schema of the errors its functions fail with; those of its workflows and of models are known. Default: none. */
  readonly error?: Err | undefined
  /** Options of its runs, unless a run overrides them. Default: none. */
  readonly defaults?: RunOptions<Out["Type"], NoInfer<Failure>> | undefined
  /** Version of the body; durable runs go on only under the version they began with. Default: none. */
  readonly version?: string | undefined
}

/**
 * The errors of a function that are its own, less those of runs. They are what the function says: the place where the
 * definition is used has no say in them.
 */
export type Own<E> = E extends infer Each ? Exclude<Each, RunError> : never

/** Asks for an `error` schema where functions fail with what none describes. */
export type Declares<E, Error> = [Exclude<E, RunError | AiError.AiError>] extends [Error]
  ? unknown
  : { readonly error: Boundary<NoInfer<Exclude<E, RunError | AiError.AiError>>> }

/** Asks for an `output` schema where the output is not what the one in use describes. */
export type Gives<A, Output> = [A] extends [Output] ? unknown : { readonly output: Boundary<NoInfer<A>> }

/** Asks for a workflow of another input. */
export type Takes<Input, W, Field extends string> = [W] extends [Any]
  ? [Input] extends [InputOf<W>]
    ? unknown
    : { readonly [F in Field]: Workflow<Input, any, any, any> }
  : unknown

/** What a function or a workflow gives. */
export type OutputOf<W> = W extends Any
  ? Output<W>
  : W extends (...args: never) => Effect.Effect<infer A, any, any>
    ? A
    : never

/** What a function or a workflow fails with. */
export type ErrorOf<W> = W extends Any
  ? Error<W>
  : W extends (...args: never) => Effect.Effect<any, infer E, any>
    ? E
    : never

/** What a function or a workflow needs. */
export type ServicesOf<W> = W extends Any
  ? Services<W>
  : W extends (...args: never) => Effect.Effect<any, any, infer R>
    ? R
    : never
