/**
 * The definition of a workflow: a name, schemas on its boundaries, and a body that is a typed Effect.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { bodyFrame, type Current } from "./internal/frame.ts"
import { inline } from "./internal/inline.ts"
import { type Inner, InnerImpl } from "./internal/inner.ts"
import { merge, RunImpl, type Starter } from "./internal/run.ts"
import type { ErrorHint, InputHint, Nothing, OutputHint, Text } from "./internal/unsaid.ts"
import type { Run, RunOptions } from "./Run.ts"
import { isRunError, type RunError } from "./RunError.ts"
import { Engine } from "./services/Engine.ts"

/**
 * Marks a workflow at run time.
 *
 * **Example** (The mark)
 *
 * ```ts
 * import { Workflow } from "effect-baton"
 *
 * Workflow.TypeId // => "~effect-baton/Workflow"
 * ```
 */
export const TypeId = "~effect-baton/Workflow" as const

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
 * Whether a value is a workflow.
 *
 * **Example** (Asking)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Workflow } from "effect-baton"
 *
 * Workflow.isWorkflow(Workflow.make("echo", { run: (text) => Effect.succeed(text) })) // => true
 * ```
 */
export const isWorkflow = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

const starter: Starter = {
  start: (run) => Effect.flatMap(Engine, (engine) => engine.start(run)),
  submit: (run) => Effect.flatMap(Engine, (engine) => engine.submit(run))
}

interface Definition {
  readonly name: string
  readonly description: string | undefined
  readonly version: string | undefined
  readonly input: Boundary<any>
  readonly output: Boundary<any>
  readonly error: Boundary<any>
  readonly defaults: RunOptions
  readonly body: (input: any) => Effect.Effect<any, any, any>
}

class WorkflowImpl implements Workflow<any, any, any, any> {
  readonly [TypeId] = TypeId
  declare readonly "~types": Workflow<any, any, any, any>["~types"]
  readonly name: string
  readonly description: string | undefined
  readonly version: string | undefined
  readonly input: Boundary<any>
  readonly output: Boundary<any>
  readonly error: Boundary<any>
  readonly defaults: RunOptions
  readonly "~inner": Inner

  constructor(definition: Definition) {
    this.name = definition.name
    this.description = definition.description
    this.version = definition.version
    this.input = definition.input
    this.output = definition.output
    this.error = definition.error
    this.defaults = definition.defaults
    this["~inner"] = new InnerImpl(definition)
    this.run = this.run.bind(this)
    this.execute = this.execute.bind(this)
    this.call = this.call.bind(this)
  }

  pipe() {
    return pipeArguments(this, arguments)
  }

  run(input: any, options?: RunOptions<any, any>): Effect.Effect<Run<any, any, any>> {
    return Effect.withFiber((fiber) => {
      const millis = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      const random = Math.abs(fiber.getRef(Random.Random).nextIntUnsafe())
      return Effect.succeed(new RunImpl(millis, random, this, input, options, starter))
    })
  }

  execute(input: any, options?: RunOptions<any, any>): Effect.Effect<any, any, any> {
    return Effect.flatMap(this.run(input, options), (run) => executeRun(run as RunImpl))
  }

  call(input: any, options?: { readonly key?: string | undefined }): Effect.Effect<any, any, any> {
    return Effect.withFiber((fiber) => {
      const frame = bodyFrame(fiber, "call", this.name)
      // A call that is refused takes no place: the next one is not numbered after it.
      const invalid = this["~inner"].checkInput(input)
      if (invalid !== undefined) return Effect.fail(invalid)
      return frame.execution.scope(frame, this.name, options?.key, inline(this, input))
    })
  }
}

/** Starts a run and waits for it; interrupting the wait cancels the run, which nobody is asked about. */
const executeRun = (run: RunImpl): Effect.Effect<any, any, any> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Engine, (engine) =>
      Effect.flatMap(engine.start(run), (execution) =>
        Effect.onInterrupt(restore(execution.result), () => engine.interrupt(execution.id))
      )
    )
  )

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

const derive = (self: Any, changes: Partial<Definition>): WorkflowImpl =>
  new WorkflowImpl({
    name: self.name,
    description: self.description,
    version: self.version,
    input: self.input,
    output: self.output,
    error: self.error,
    defaults: self.defaults,
    body: self["~inner"].body,
    ...changes
  })

/** The defaults of a workflow, less the callbacks that know its output or its error. */
const untyped = ({ onComplete: _onComplete, onFailed: _onFailed, ...defaults }: RunOptions): RunOptions => defaults

/**
 * A workflow whose output is mapped.
 *
 * **Details**
 *
 * The new output needs its own schema; the default says it is text. `onComplete` and `onFailed` of the defaults are
 * dropped, as they are of other types.
 *
 * **Example** (From a number to text)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const size = Workflow.make("size", { output: Schema.Number, run: (text) => Effect.succeed(text.length) })
 * const shown = size.pipe(Workflow.map((n) => `${n} characters`))
 *
 * await Effect.runPromise(shown.execute("hello").pipe(Effect.provide(Engine.layerMemory))) // => "5 characters"
 * ```
 */
export const map: {
  <Output, Out extends Boundary<any> = Text>(
    f: (output: Output) => Out["Type"] | OutputHint<Out>,
    output?: Out
  ): <Input, Error, R>(self: Workflow<Input, Output, Error, R>) => Workflow<Input, Out["Type"], Error, R>
  <Input, Output, Error, R, Out extends Boundary<any> = Text>(
    self: Workflow<Input, Output, Error, R>,
    f: (output: Output) => Out["Type"] | OutputHint<Out>,
    output?: Out
  ): Workflow<Input, Out["Type"], Error, R>
} = dual(
  (args) => isWorkflow(args[0]),
  (self: Any, f: (output: any) => any, output?: Boundary<any>): Workflow<any, any, any, any> =>
    derive(self, {
      output: output ?? Schema.String,
      defaults: untyped(self.defaults),
      body: (input) => Effect.map(self["~inner"].body(input), f)
    })
)

/**
 * A workflow whose own error is mapped; what every run can fail with stays.
 *
 * **Example** (A narrower error)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}
 * class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", { why: Schema.String }) {}
 *
 * const broken = Workflow.make("broken", { error: Broken, run: () => Effect.fail(new Broken()) })
 * const mapped = broken.pipe(Workflow.mapError((error) => new Unavailable({ why: error._tag }), Unavailable))
 *
 * const error = await Effect.runPromise(Effect.flip(mapped.execute("")).pipe(Effect.provide(Engine.layerMemory)))
 * error._tag // => "Unavailable"
 * ```
 */
export const mapError: {
  <Error, Err extends Boundary<any>>(
    f: (error: Error) => Err["Type"],
    error: Err
  ): <Input, Output, R>(self: Workflow<Input, Output, Error, R>) => Workflow<Input, Output, Err["Type"], R>
  <Input, Output, Error, R, Err extends Boundary<any>>(
    self: Workflow<Input, Output, Error, R>,
    f: (error: Error) => Err["Type"],
    error: Err
  ): Workflow<Input, Output, Err["Type"], R>
} = dual(
  (args) => isWorkflow(args[0]),
  (self: Any, f: (error: any) => any, error: Boundary<any>): Workflow<any, any, any, any> =>
    derive(self, {
      error,
      defaults: untyped(self.defaults),
      body: (input) => Effect.mapError(self["~inner"].body(input), (e) => (isRunError(e) ? e : f(e)))
    })
)

/**
 * A workflow that takes something else.
 *
 * **Example** (From an order to its text)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const shout = Workflow.make("shout", { run: (text) => Effect.succeed(text.toUpperCase()) })
 * const Order = Schema.Struct({ item: Schema.String })
 * const order = shout.pipe(Workflow.contramap((order: typeof Order.Type) => order.item, Order))
 *
 * await Effect.runPromise(order.execute({ item: "tea" }).pipe(Effect.provide(Engine.layerMemory))) // => "TEA"
 * ```
 */
export const contramap: {
  <Input, In extends Boundary<any> = Text>(
    f: ((input: In["Type"]) => Input) | InputHint<In>,
    input?: In
  ): <Output, Error, R>(self: Workflow<Input, Output, Error, R>) => Workflow<In["Type"], Output, Error, R>
  <Input, Output, Error, R, In extends Boundary<any> = Text>(
    self: Workflow<Input, Output, Error, R>,
    f: ((input: In["Type"]) => Input) | InputHint<In>,
    input?: In
  ): Workflow<In["Type"], Output, Error, R>
} = dual(
  (args) => isWorkflow(args[0]),
  (self: Any, f: (input: any) => any, input?: Boundary<any>): Workflow<any, any, any, any> =>
    derive(self, {
      input: input ?? Schema.String,
      body: (value) => {
        const mapped = f(value)
        const invalid = self["~inner"].checkInput(mapped)
        return invalid === undefined ? self["~inner"].body(mapped) : Effect.fail(invalid)
      }
    })
)

/**
 * One workflow after another, as one workflow: the first's output is the second's input.
 *
 * **Details**
 *
 * Each part's steps stand under its name. The defaults are the first's.
 *
 * **Example** (Two in a row)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const size = Workflow.make("size", { output: Schema.Number, run: (text) => Effect.succeed(text.length) })
 * const double = Workflow.make("double", { input: Schema.Number, output: Schema.Number, run: (n) => Effect.succeed(n * 2) })
 *
 * await Effect.runPromise(Workflow.andThen(size, double).execute("hello").pipe(Effect.provide(Engine.layerMemory))) // => 10
 * ```
 */
export const andThen: {
  <Output, Output2, Error2, R2>(
    that: Workflow<Output, Output2, Error2, R2>
  ): <Input, Error, R>(self: Workflow<Input, Output, Error, R>) => Workflow<Input, Output2, Error | Error2, R | R2>
  <Input, Output, Error, R, Output2, Error2, R2>(
    self: Workflow<Input, Output, Error, R>,
    that: Workflow<Output, Output2, Error2, R2>
  ): Workflow<Input, Output2, Error | Error2, R | R2>
} = dual(
  2,
  (self: Workflow<any, any, any, any>, that: Workflow<any, any, any, any>): Workflow<any, any, any, any> =>
    derive(self, {
      name: `${self.name} then ${that.name}`,
      output: that.output,
      error: Schema.Union([self.error, that.error]),
      defaults: untyped(self.defaults),
      body: (input) => Effect.flatMap(self.call(input), (output) => that.call(output))
    })
)

/**
 * A workflow with some of what its body needs provided.
 *
 * **Gotchas**
 *
 * The layer is built for each attempt, and released when the attempt ends. Provide what is to be shared where the engine
 * is provided.
 *
 * **Example** (A body with a service)
 *
 * ```ts
 * import { Context, Effect, Layer } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * class Greeting extends Context.Service<Greeting, string>()("Greeting") {}
 *
 * const greet = Workflow.make("greet", { run: (name) => Effect.map(Greeting, (greeting) => `${greeting} ${name}`) })
 * const provided = greet.pipe(Workflow.provide(Layer.succeed(Greeting, "hello")))
 *
 * await Effect.runPromise(provided.execute("ada").pipe(Effect.provide(Engine.layerMemory))) // => "hello ada"
 * ```
 */
export const provide: {
  <Out, In>(
    layer: Layer.Layer<Out, never, In>
  ): <Input, Output, Error, R>(
    self: Workflow<Input, Output, Error, R>
  ) => Workflow<Input, Output, Error, Exclude<R, Out> | In>
  <Input, Output, Error, R, Out, In>(
    self: Workflow<Input, Output, Error, R>,
    layer: Layer.Layer<Out, never, In>
  ): Workflow<Input, Output, Error, Exclude<R, Out> | In>
} = dual(
  2,
  (self: Any, layer: Layer.Layer<any, never, any>): Workflow<any, any, any, any> =>
    derive(self, { body: (input) => Effect.provide(self["~inner"].body(input), layer) })
)

/**
 * A workflow with these defaults over the ones it has.
 *
 * **Example** (A timeout for every run)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * Workflow.withDefaults(echo, { timeout: "1 minute" }).defaults // => { timeout: "1 minute" }
 * ```
 */
export const withDefaults: {
  <Output, Error>(
    defaults: RunOptions<Output, Error>
  ): <Input, R>(self: Workflow<Input, Output, Error, R>) => Workflow<Input, Output, Error, R>
  <Input, Output, Error, R>(
    self: Workflow<Input, Output, Error, R>,
    defaults: RunOptions<Output, Error>
  ): Workflow<Input, Output, Error, R>
} = dual(
  2,
  (self: Any, defaults: RunOptions<any, any>): Workflow<any, any, any, any> =>
    derive(self, { defaults: merge(self.defaults, defaults) })
)

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
