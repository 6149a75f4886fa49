/**
 * Workflows made of workflows.
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { merge } from "../internal/run.ts"
import type { InputHint, OutputHint, Text } from "../internal/unsaid.ts"
import type { RunOptions } from "../Run.ts"
import { isRunError } from "../RunError.ts"
import type { Boundary, Workflow } from "../Workflow.ts"
import { type Definition, derive, isWorkflow } from "./impl.ts"

/**
 * A function of a workflow and more, data first or last, from what it changes in the workflow. Its types are written where
 * it is exported: one signature can not have them.
 */
const changing = (change: (self: Workflow<any, any, any, any>, ...more: Array<any>) => Partial<Definition>): any =>
  dual(
    (args) => args.length > 1 && isWorkflow(args[0]),
    (self: Workflow<any, any, any, any>, ...more: Array<any>) => derive(self, change(self, ...more))
  )

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
} = changing((self, f: (output: unknown) => unknown, output: Boundary<any> = Schema.String) => ({
  output,
  defaults: untyped(self.defaults),
  body: (input) => Effect.map(self["~inner"].body(input), f)
}))

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
} = changing((self, f: (error: unknown) => unknown, error: Boundary<any>) => ({
  error,
  defaults: untyped(self.defaults),
  body: (input) => Effect.mapError(self["~inner"].body(input), (error) => (isRunError(error) ? error : f(error)))
}))

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
} = changing((self, f: (input: unknown) => unknown, input: Boundary<any> = Schema.String) => ({
  input,
  body: (value) => {
    const mapped = f(value)
    const invalid = self["~inner"].checkInput(mapped)
    return invalid === undefined ? self["~inner"].body(mapped) : Effect.fail(invalid)
  }
}))

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
} = changing((self, that: Workflow<any, any, any, any>) => ({
  name: `${self.name} then ${that.name}`,
  output: that.output,
  error: Schema.Union([self.error, that.error]),
  defaults: untyped(self.defaults),
  body: (input) => Effect.flatMap(self.call(input), (output) => that.call(output))
}))

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
} = changing((self, layer: Layer.Layer<any, never, any>) => ({
  body: (input) => Effect.provide(self["~inner"].body(input), layer)
}))

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
} = changing((self, defaults: RunOptions<any, any>) => ({ defaults: merge(self.defaults, defaults) }))
