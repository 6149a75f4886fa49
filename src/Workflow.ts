/**
 * The definition of a workflow: a name, schemas on its boundaries, and a body that is a typed Effect.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Pipeable } from "effect/Pipeable"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Execution } from "./Execution.ts"
import type { Current } from "./internal/frame.ts"
import type { Inner } from "./internal/inner.ts"
import type { ErrorHint, InputHint, Nothing, OutputHint, Text } from "./internal/unsaid.ts"
import type { Run, RunOptions } from "./Run.ts"
import type { RunError } from "./RunError.ts"
import { Engine } from "./services/Engine.ts"
import { type Definition, type TypeId, WorkflowImpl } from "./workflow/impl.ts"

export { andThen, contramap, map, mapError, provide, withDefaults } from "./workflow/composition.ts"
export { isWorkflow, TypeId } from "./workflow/impl.ts"

/** A schema of values on a boundary: it needs no services to encode or decode. */
export type Boundary<A> = Schema.Codec<A, any>

/** A workflow of any types. */
export interface Any extends Pipeable {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly description: string | undefined
  readonly version: string | undefined
  readonly input: Boundary<any>
  readonly output: Boundary<any>
  readonly error: Boundary<any>
  readonly defaults: RunOptions
  /** What runs it. */
  readonly "~inner": Inner
}

/** A definition: name, schemas, body. */
export interface Workflow<in Input, out Output, out Error = never, out R = never> extends Any {
  readonly "~types": {
    readonly input: (input: Input) => void
    readonly output: () => Output
    readonly error: () => Error
    readonly services: () => R
  }
  /** A configured run; it starts nothing, needs no engine and can not fail. */
  readonly run: (input: Input, options?: RunOptions<Output, Error>) => Effect.Effect<Run<Output, Error, R>>
  /** Starts a run, and gives its execution. */
  readonly start: (
    input: Input,
    options?: RunOptions<Output, Error>
  ) => Effect.Effect<Execution<Output, Error>, never, R | Engine>
  /** Runs, and waits for the result; interrupting the wait cancels the run. */
  readonly execute: (
    input: Input,
    options?: RunOptions<Output, Error>
  ) => Effect.Effect<Output, Error | RunError, R | Engine>
  /** Runs inside of another workflow's body, as part of the same execution; `defaults` do not apply. */
  readonly call: (
    input: Input,
    options?: { readonly key?: string | undefined }
  ) => Effect.Effect<Output, Error | RunError, R | Current>
}

/** What a workflow takes. */
export type Input<W> = W extends { readonly "~types": { readonly input: (input: infer Input) => void } } ? Input : never

/** What a workflow gives. */
export type Output<W> = W extends { readonly "~types": { readonly output: () => infer Output } } ? Output : never

/** What a workflow fails with, besides the errors every run can fail with. */
export type Error<W> = W extends { readonly "~types": { readonly error: () => infer Error } } ? Error : never

/** What a workflow's body needs. */
export type Services<W> = W extends { readonly "~types": { readonly services: () => infer R } } ? R : never

/** The reference's name of `Output`. */
export type InferWorkflowOutput<W> = Output<W>

/** What an execution provides to its body. */
export type Provided = Current | Scope.Scope

/** What makes a workflow. All its types but `R` come from its schemas. */
export interface Options<In extends Boundary<any>, Out extends Boundary<any>, Err extends Boundary<any>, R> {
  /** What it does, in a sentence; models that choose between workflows read it. Default: none. */
  readonly description?: string | undefined
  /** Schema of the input. Default: `Schema.String`. */
  readonly input?: In | undefined
  /** Schema of the output. Default: `Schema.String`. */
  readonly output?: Out | undefined
  /** Schema of the errors the body may fail with. Default: `Schema.Never`. */
  readonly error?: Err | undefined
  /** Options of its runs, unless a run overrides them. Default: none. */
  readonly defaults?: RunOptions<Out["Type"], Err["Type"]> | undefined
  /** Version of the body; durable runs go on only under the version they began with. Default: none. */
  readonly version?: string | undefined
  /** The body. Each attempt has a `Scope` of its own, closed when the attempt ends. */
  readonly run:
    | ((input: In["Type"]) => Effect.Effect<Out["Type"] | OutputHint<Out>, Err["Type"] | RunError | ErrorHint<Err>, R>)
    | InputHint<In>
}

/**
 * Defines a workflow.
 *
 * **Details**
 *
 * `input` and `output` default to text, `error` to none: the types are those of the schemas, wherever the workflow is
 * used. The body may fail with the workflow's errors and with what an inner `call` fails with as a run. What it needs
 * besides the execution itself and a `Scope` is needed by `start`.
 *
 * **Example** (A typed workflow)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 *
 * class Unknown extends Schema.TaggedError<Unknown>()("Unknown", { city: Schema.String }) {}
 *
 * const weather = Workflow.make("weather", {
 *   input: Schema.Struct({ city: Schema.String }),
 *   output: Schema.Struct({ celsius: Schema.Number }),
 *   error: Unknown,
 *   run: Effect.fnUntraced(function*({ city }) {
 *     if (city !== "Oslo") return yield* new Unknown({ city })
 *     return yield* Step.make("look up", { run: Effect.succeed({ celsius: 4 }) })
 *   })
 * })
 *
 * await Effect.runPromise(weather.execute({ city: "Oslo" }).pipe(Effect.provide(Engine.layerMemory))) // => { celsius: 4 }
 * ```
 */
export const make = <
  In extends Boundary<any> = Text,
  Out extends Boundary<any> = Text,
  Err extends Boundary<any> = Nothing,
  R = never
>(
  name: string,
  options: Options<In, Out, Err, R>
): Workflow<In["Type"], Out["Type"], Err["Type"], Exclude<R, Provided>> =>
  new WorkflowImpl({
    name,
    description: options.description,
    version: options.version,
    input: options.input ?? Schema.String,
    output: options.output ?? Schema.String,
    error: options.error ?? Schema.Never,
    defaults: (options.defaults ?? {}) as RunOptions,
    body: options.run as Definition["body"]
  })

/**
 * Registers a workflow with the engine: what its body needs is provided here, runs of it can be submitted by whoever has
 * the engine, and durable runs of it that nobody goes on with are taken up.
 *
 * **Details**
 *
 * Several versions of one workflow may be registered side by side: a durable run goes on under the one it began with.
 *
 * **Example** (Submitting without what the body needs)
 *
 * ```ts
 * import { Context, Effect, Layer } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * class Greeting extends Context.Service<Greeting, string>()("Greeting") {}
 *
 * const greet = Workflow.make("greet", { run: (name) => Effect.map(Greeting, (greeting) => `${greeting} ${name}`) })
 *
 * const program = Effect.gen(function*() {
 *   const run = yield* greet.run("ada")
 *   const execution = yield* run.submit
 *   return yield* execution.result
 * })
 *
 * const layer = Workflow.toLayer(greet).pipe(
 *   Layer.provide(Layer.succeed(Greeting, "hello")),
 *   Layer.provideMerge(Engine.layerMemory)
 * )
 *
 * await Effect.runPromise(program.pipe(Effect.provide(layer))) // => "hello ada"
 * ```
 */
export const toLayer = <Input, Output, Error, R>(
  workflow: Workflow<Input, Output, Error, R>
): Layer.Layer<never, never, R | Engine> =>
  Layer.effectDiscard(Effect.flatMap(Engine, (engine) => engine.register(workflow)))
