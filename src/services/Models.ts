/**
 * Language models by id, and what Baton adds to every call that is made inside an execution.
 */
import type * as Arr from "effect/Array"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionPlan from "effect/ExecutionPlan"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Count, checker, DurationInput } from "../internal/schema.ts"
import { RetryConfig } from "../Retry.ts"
import * as AiSdk from "./AiSdk.ts"
import * as ModelCall from "./ModelCall.ts"
import { type Limits, limit, watchParts, watchTools } from "./ModelLimits.ts"
import { type CallOptions, generate, stream, wrap } from "./ModelWrapper.ts"
import { Price } from "./Price.ts"

export type { CallRetry, Limits, RateLimit } from "./ModelLimits.ts"
export { Price } from "./Price.ts"

/**
 * No model has this id.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Models } from "effect-baton"
 *
 * new Models.ModelNotFound({ model: "gtp", known: ["gpt", "haiku"] }).message // => 'No model has the id "gtp"; the known ones are: gpt, haiku'
 * ```
 */
export class ModelNotFound extends Schema.TaggedError<ModelNotFound>("effect-baton/Models/ModelNotFound")(
  "ModelNotFound",
  { model: Schema.String, known: Schema.Array(Schema.String) }
) {
  override get message(): string {
    const known =
      this.known.length === 0 ? "none are known: provide Models.layer" : `the known ones are: ${this.known.join(", ")}`
    return `No model has the id "${this.model}"; ${known}`
  }
}

/** The models that ids stand for. */
export type Registry = ModelCall.Registry

/**
 * The models that ids stand for; none unless `Models.layer` is provided.
 *
 * **Example** (Listing the ids)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Models } from "effect-baton"
 *
 * await Effect.runPromise(Effect.map(Models.Models, ({ models }) => [...models.keys()])) // => []
 * ```
 */
export const Models = Context.Reference<Registry>("effect-baton/services/Models", {
  defaultValue: () => ({ models: new Map() })
})

/**
 * What a model call is for, as its event and its span say it. Default: the name of the step the call stands in.
 *
 * **Example** (Telling what a call is for)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models } from "effect-baton"
 *
 * const summary = LanguageModel.generateText({ prompt: "Sum it up: ..." }).pipe(
 *   Effect.provideService(Models.Purpose, "summarize")
 * )
 * ```
 */
export const Purpose: Context.Reference<string> = ModelCall.Purpose

/**
 * The model of an id.
 *
 * **Example** (An unknown id)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Models } from "effect-baton"
 *
 * await Effect.runPromise(Models.get("gpt").pipe(Effect.flip, Effect.map((error) => error.message))) // => 'No model has the id "gpt"; none are known: provide Models.layer'
 * ```
 */
export const get = (id: string): Effect.Effect<LanguageModel.LanguageModel, ModelNotFound> =>
  Effect.flatMap(Models, ({ models }) => {
    const model = models.get(id)
    return model === undefined
      ? Effect.fail(new ModelNotFound({ model: id, known: [...models.keys()] }))
      : Effect.succeed(model)
  })

// -----------------------------------------------------------------------------
// Providing models
// -----------------------------------------------------------------------------

/** A model object of an AI SDK provider package, as far as it needs to be known here. */
export interface AiSdkModel {
  readonly specificationVersion: "v3" | "v4"
  readonly provider: string
  readonly modelId: string
}

/** Where a model comes from: any layer of the Effect ecosystem, an AI SDK model, or the service itself. */
export type Source = Layer.Layer<LanguageModel.LanguageModel, any, any> | AiSdkModel | LanguageModel.LanguageModel

/** A model with its price and limits. All runs share the limits. */
export interface Config extends Limits {
  readonly model: Source
  /** What its tokens cost. Default: nothing, so that only other limits of a budget stop it. */
  readonly price?: Price | undefined
  /** Most calls at one time; the others wait in line. Default: no limit. */
  readonly concurrency?: number | undefined
  /** Most calls in a time; the others wait. Default: no limit. */
  readonly rateLimit?: Limits["rateLimit"]
  /**
   * Calls that failed in a way that `AiError.isRetryable` calls safe are made again, after the delay or what the
   * provider asked for, whichever is longer. Default: never.
   */
  readonly retry?: Limits["retry"]
}

/** What stands for a model in `Models.layer`. */
export type Entry = Source | Config

type SourceOf<E> = E extends { readonly model: infer M } ? M : E
type LayerOf<E> = Extract<SourceOf<E>, Layer.Layer<any, any, any>>

/**
 * Gives models ids, and makes one of them the `LanguageModel`.
 *
 * **Details**
 *
 * A model is any layer that provides `effect/ai`'s `LanguageModel`, a model object of an AI SDK provider, or a
 * `LanguageModel` itself; with `{ model, price, concurrency, rateLimit, retry }` it also has a price and limits. The
 * default is the first one, unless `default` names another. Entries are built in order: a later one may be
 * `Models.fallback([...])` over earlier ones.
 *
 * Inside an execution every call of a model is checked against the budget before it is made, counted with its children
 * and inner calls, told as a `ModelCalled` event and traced with the GenAI attributes of OpenTelemetry; streamed text
 * shows as `TextDelta` events. A retried or fallen-back call is one call each time. Where a `RateLimiter` of
 * `effect/persistence` is provided, rate limits are kept there, and so can hold for many processes.
 *
 * A call is made again only while it showed nothing yet: no part of a stream came out, and no tool ran.
 *
 * **Gotchas**
 *
 * A budget of tokens or cost is known to be used up only after the call that did it; calls that are under way together
 * can pass it by what they use. A call whose tools call the same model lends them its permit of `concurrency`.
 * Prices and limits that make no sense (negative, not a number) are a defect when the layer is built.
 *
 * **Example** (Two models with prices)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Engine, Models, Workflow } from "effect-baton"
 *
 * const scripted = (text: string) => LanguageModel.make({ // or openai("gpt-5"), anthropic("claude-haiku-4-5"), ...
 *   generateText: () => Effect.succeed([
 *     { type: "text", text },
 *     {
 *       type: "finish",
 *       reason: "stop",
 *       response: undefined,
 *       usage: {
 *         inputTokens: { uncached: undefined, total: 1000, cacheRead: undefined, cacheWrite: undefined },
 *         outputTokens: { total: 100, text: undefined, reasoning: undefined }
 *       }
 *     }
 *   ]),
 *   streamText: () => Stream.empty
 * })
 *
 * const workflow = Workflow.make("ask", {
 *   run: Effect.fnUntraced(function*(prompt) {
 *     const draft = yield* LanguageModel.generateText({ prompt })
 *     const checked = yield* LanguageModel.generateText({ prompt: draft.text }).pipe(Models.use("large"))
 *     return checked.text
 *   }, Effect.orDie)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const layer = Models.layer({
 *     small: { model: yield* scripted("a draft"), price: { inputPerMillion: 1, outputPerMillion: 5 } },
 *     large: { model: yield* scripted("checked"), price: { inputPerMillion: 10, outputPerMillion: 50 }, concurrency: 4 }
 *   })
 *   return yield* Effect.gen(function*() {
 *     const execution = yield* (yield* workflow.run("Hi")).start
 *     return [yield* execution.result, (yield* execution.usage).costUsd]
 *   }).pipe(Effect.provide(layer))
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => ["checked", 0.0165]
 * ```
 */
export const layer = <const Entries extends Readonly<Record<string, Entry>>>(
  entries: Entries,
  options: { readonly default?: NoInfer<keyof Entries & string> | undefined } = {}
): Layer.Layer<
  LanguageModel.LanguageModel,
  Layer.Error<LayerOf<Entries[keyof Entries]>>,
  Layer.Services<LayerOf<Entries[keyof Entries]>>
> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const models = new Map<string, LanguageModel.LanguageModel>()
      const rateLimiter = yield* sharedRateLimiter
      for (const [id, entry] of Object.entries(entries)) {
        const model = build(id, toConfig(entry), rateLimiter)
        models.set(id, yield* Effect.provideService(model, Models, { models }))
      }
      const id = options.default ?? Object.keys(entries)[0]
      const model = models.get(id)
      if (model === undefined) {
        return yield* Effect.die(
          new Error("Models.layer needs at least one model, and its default must be one of them")
        )
      }
      return Context.add(Context.make(LanguageModel.LanguageModel, model), Models, { models })
      // What the entries fail with and need is known from their types only.
    }) as Effect.Effect<Context.Context<LanguageModel.LanguageModel>, any, any>
  )

const isModel = (u: unknown): u is LanguageModel.LanguageModel => Predicate.hasProperty(u, LanguageModel.TypeId)

const isAiSdkModel = (u: unknown): u is AiSdkModel => Predicate.hasProperty(u, "specificationVersion")

const toConfig = (entry: Entry): Config =>
  Layer.isLayer(entry) || isModel(entry) || isAiSdkModel(entry) ? { model: entry as Source } : (entry as Config)

const check = checker(
  Schema.Struct({
    price: Schema.optional(Price),
    concurrency: Schema.optional(Count(1)),
    rateLimit: Schema.optional(
      Schema.Struct({
        limit: Count(1),
        window: DurationInput,
        algorithm: Schema.optional(Schema.Literals(["fixed-window", "token-bucket"]))
      })
    ),
    retry: Schema.optional(RetryConfig)
  })
)

const sharedRateLimiter: Effect.Effect<RateLimiter.RateLimiter> = Effect.flatMap(
  Effect.serviceOption(RateLimiter.RateLimiter),
  (given) =>
    given._tag === "Some"
      ? Effect.succeed(given.value)
      : Effect.provide(RateLimiter.make, RateLimiter.layerStoreMemory, { local: true })
)

/** The model of an entry, with what is counted and limited around it. */
const build = (id: string, config: Config, rateLimiter: RateLimiter.RateLimiter) =>
  Effect.suspend(() => {
    const problem = check(config)
    if (problem !== undefined) {
      const { message, path, value } = problem
      return Effect.die(new Error(`Invalid "${path}" of the model "${id}": ${message}, found ${value}`))
    }
    return Effect.map(source(config.model), ({ about, model }) =>
      limit(ModelCall.withAbout(model, { ...about, id, price: config.price }), id, config, rateLimiter)
    )
  })

interface Made {
  readonly model: LanguageModel.LanguageModel
  readonly about: ModelCall.About
}

const source = (model: Source): Effect.Effect<Made, unknown, Scope.Scope> => {
  if (Layer.isLayer(model)) return built(model as Layer.Layer<LanguageModel.LanguageModel>)
  if (isModel(model)) return Effect.succeed({ model, about: {} })
  return Effect.map(AiSdk.make(model as AiSdk.AiSdkModel), (model) => ({ model, about: {} }))
}

const built = (layer: Layer.Layer<LanguageModel.LanguageModel>): Effect.Effect<Made, never, Scope.Scope> =>
  Effect.map(Layer.build(layer), (context) => {
    const services = context as Context.Context<any>
    return {
      model: Context.get(context, LanguageModel.LanguageModel),
      about: {
        name: Context.getOrUndefined(services, Model.ModelName),
        provider: Context.getOrUndefined(services, Model.ProviderName)
      }
    }
  })

/**
 * A layer with the `LanguageModel` of an AI SDK provider model; `AiSdk.make` says what it covers.
 *
 * **Example** (A model of an AI SDK provider)
 *
 * ```ts
 * import { openai } from "@ai-sdk/openai"
 * import { Models } from "effect-baton"
 *
 * const layer = Models.layer({
 *   "openai/gpt-5": Models.fromAiSdk(openai("gpt-5"), { reasoning: "low" }),
 *   "openai/gpt-5-mini": openai("gpt-5-mini")
 * })
 * ```
 */
export const fromAiSdk = AiSdk.layer

/**
 * The layer with its model wrapped, so that calls are counted and checked against the budget although it is provided
 * inside a body.
 *
 * **Details**
 *
 * Models in the context of the one who starts a run, and those of `Models.layer`, are wrapped already; wrapping twice
 * changes nothing. Outside of executions it makes no difference.
 *
 * **Gotchas**
 *
 * A model that is provided inside a body without this is told and counted after it has answered, with a warning, but a
 * budget does not stop it, and its failed calls are not seen. To that end the context of a body has a span transformer
 * of `effect/ai`; it calls the one in the context of the starter, but hides one that only a model was built with.
 *
 * **Example** (A model for one part of a body)
 *
 * ```ts
 * import { openai } from "@ai-sdk/openai"
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models, Step } from "effect-baton"
 *
 * const Large = Models.instrumented(Models.fromAiSdk(openai("gpt-5")))
 *
 * const check = Step.make("check", {
 *   run: LanguageModel.generateText({ prompt: "Is it so?" }).pipe(Effect.provide(Large))
 * })
 * ```
 */
export const instrumented = <ROut, E, R>(
  layer: Layer.Layer<ROut | LanguageModel.LanguageModel, E, R>
): Layer.Layer<ROut | LanguageModel.LanguageModel, E, R> =>
  Layer.flatMap(layer, (context) => {
    const services = new Map(context.mapUnsafe)
    ModelCall.instrumentModels(services)
    return Layer.succeedContext(Context.makeUnsafe<ROut | LanguageModel.LanguageModel>(services))
  })

/**
 * Runs an effect with the model of an id as its `LanguageModel`.
 *
 * **Example** (Another model for one call)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models } from "effect-baton"
 *
 * const answer = LanguageModel.generateText({ prompt: "Hi" }).pipe(Models.use("haiku"))
 *
 * await Effect.runPromise(answer.pipe(Effect.flip, Effect.map((error) => error._tag))) // => "ModelNotFound"
 * ```
 */
export const use: {
  (
    id: string
  ): <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ModelNotFound, Exclude<R, LanguageModel.LanguageModel>>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    id: string
  ): Effect.Effect<A, E | ModelNotFound, Exclude<R, LanguageModel.LanguageModel>>
} = dual(
  2,
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    id: string
  ): Effect.Effect<A, E | ModelNotFound, Exclude<R, LanguageModel.LanguageModel>> =>
    Effect.flatMap(get(id), (model) => Effect.provideService(effect, LanguageModel.LanguageModel, model))
)

/**
 * A model that asks the models of the ids in turn, until one answers.
 *
 * **Details**
 *
 * The next model is asked where one fails with an `AiError` and nothing was shown of its answer: no part of a stream
 * came out, and no tool ran. Each has its own limits and retries, and each call is counted. A used-up budget ends it.
 *
 * **Example** (A second provider for when the first is down)
 *
 * ```ts
 * import { anthropic } from "@ai-sdk/anthropic"
 * import { openai } from "@ai-sdk/openai"
 * import { Models } from "effect-baton"
 *
 * const layer = Models.layer({
 *   gpt: { model: openai("gpt-5"), retry: { attempts: 2, delay: "1 second", backoff: "exponential" } },
 *   claude: anthropic("claude-sonnet-4-5"),
 *   safe: Models.fallback(["gpt", "claude"])
 * }, { default: "safe" })
 * ```
 */
export const fallback = (
  ids: Arr.NonEmptyReadonlyArray<string>
): Layer.Layer<LanguageModel.LanguageModel, ModelNotFound> =>
  Layer.effect(LanguageModel.LanguageModel, Effect.map(Effect.forEach(ids, get), inTurn))

const inTurn = ([first, ...rest]: ReadonlyArray<LanguageModel.LanguageModel>): LanguageModel.LanguageModel => {
  const step = (model: LanguageModel.LanguageModel) => ({
    provide: Context.make(LanguageModel.LanguageModel, model)
  })
  const plan = ExecutionPlan.make(step(first), ...rest.map(step))
  return ModelCall.passesOn(
    wrap(first, {
      generate: (method, options) =>
        Effect.suspend(() => {
          const turn = new Turn(options)
          return Effect.withExecutionPlan(
            turn.effect((model) => generate(model, method, turn.options)),
            plan
          )
        }),
      stream: (options) =>
        Stream.suspend(() => {
          const turn = new Turn(options)
          return Stream.withExecutionPlan(
            turn.stream((model) => stream(model, turn.options)),
            plan
          )
        })
    })
  )
}

/** One call of a fallback. A plan goes on after every failure: one that must end it is repeated in place of the rest. */
class Turn {
  readonly options: CallOptions
  private readonly progress = { begun: false }
  private last: { readonly error: unknown } | undefined = undefined

  constructor(options: CallOptions) {
    this.options = watchTools(options, this.progress)
  }

  effect<A>(
    call: (model: LanguageModel.LanguageModel) => Effect.Effect<A, any, any>
  ): Effect.Effect<A, any, LanguageModel.LanguageModel> {
    return Effect.flatMap(LanguageModel.LanguageModel, (model) =>
      this.last === undefined
        ? Effect.tapError(call(model), (error) => this.failed(error))
        : Effect.fail(this.last.error)
    )
  }

  stream<A>(
    call: (model: LanguageModel.LanguageModel) => Stream.Stream<A, any, any>
  ): Stream.Stream<A, any, LanguageModel.LanguageModel> {
    return Stream.unwrap(
      Effect.map(LanguageModel.LanguageModel, (model) =>
        this.last === undefined
          ? Stream.tapError(watchParts(call(model), this.progress), (error) => this.failed(error))
          : Stream.fail(this.last.error)
      )
    )
  }

  private failed(error: unknown): Effect.Effect<void> {
    if (this.progress.begun || !AiError.isAiError(error)) this.last = { error }
    return Effect.void
  }
}

// -----------------------------------------------------------------------------
// Asking models
// -----------------------------------------------------------------------------

/** What a phase asks of a model. */
export interface Ask {
  /** What the call is for, e.g. `"classify"`. */
  readonly purpose: string
  readonly prompt: string
  /** Id of the model. Default: the `LanguageModel` in the context. */
  readonly model?: string | undefined
}

const ask = <A, E, R>(
  { model: id, purpose }: Ask,
  f: (model: LanguageModel.LanguageModel) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | AiError.AiError, R | LanguageModel.LanguageModel> => {
  const model: Effect.Effect<LanguageModel.LanguageModel, AiError.AiError, LanguageModel.LanguageModel> =
    id === undefined
      ? LanguageModel.LanguageModel
      : Effect.mapError(get(id), (error) =>
          AiError.make({
            module: "Models",
            method: "get",
            reason: new AiError.InvalidRequestError({ parameter: "model", description: error.message })
          })
        )
  return Effect.provideService(Effect.flatMap(model, f), Purpose, purpose)
}

/**
 * Asks a model for text.
 *
 * **Details**
 *
 * Fails with `AiError`; an unknown id is its `InvalidRequestError`, which names the known ones.
 *
 * **Example** (A phase that asks a model)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models } from "effect-baton"
 *
 * const model = LanguageModel.make({
 *   generateText: () => Effect.succeed([{ type: "text", text: "A haiku." }]),
 *   streamText: () => Stream.empty
 * })
 *
 * await Effect.runPromise(
 *   Models.text({ purpose: "write", prompt: "Write a haiku" }).pipe(
 *     Effect.provideServiceEffect(LanguageModel.LanguageModel, model)
 *   )
 * ) // => "A haiku."
 * ```
 */
export const text = (question: Ask): Effect.Effect<string, AiError.AiError, LanguageModel.LanguageModel> =>
  ask(question, (model) => Effect.map(model.generateText({ prompt: question.prompt }), (response) => response.text))

/**
 * Asks a model for a value of a schema.
 *
 * **Details**
 *
 * An answer that is not JSON, or does not fit the schema, is shown to the model once, with what is wrong with it, to be
 * corrected; the second failure is the `AiError`. Both are calls of their own.
 *
 * **Example** (An answer that needs correcting)
 *
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models } from "effect-baton"
 *
 * const answers = ['{ "score": "high" }', '{ "score": 0.9 }']
 * const model = LanguageModel.make({
 *   generateText: () => Effect.sync(() => [{ type: "text", text: answers.shift() ?? "" }]),
 *   streamText: () => Stream.empty
 * })
 *
 * await Effect.runPromise(
 *   Models.object({
 *     purpose: "evaluate",
 *     name: "evaluation",
 *     prompt: "Rate it from 0 to 1",
 *     schema: Schema.Struct({ score: Schema.Finite })
 *   }).pipe(Effect.provideServiceEffect(LanguageModel.LanguageModel, model))
 * ) // => { score: 0.9 }
 * ```
 */
export const object = <A, I extends Record<string, any>>(
  question: Ask & { readonly schema: Schema.Codec<A, I>; readonly name: string }
): Effect.Effect<A, AiError.AiError, LanguageModel.LanguageModel> =>
  ask(question, (model) => {
    const { name: objectName, prompt, schema } = question
    return Effect.map(
      Effect.catch(model.generateObject({ prompt, schema, objectName }), (error) =>
        AiError.isAiError(error) && error.reason._tag === "StructuredOutputError"
          ? model.generateObject({ prompt: correction(prompt, error.reason), schema, objectName })
          : Effect.fail(error)
      ),
      (response) => response.value
    )
  })

/** The conversation so far, and what is wrong with its last answer. */
const correction = (prompt: string, { description, responseText }: AiError.StructuredOutputError): Prompt.Prompt =>
  Prompt.make([
    { role: "user", content: prompt },
    ...(responseText === "" ? [] : [{ role: "assistant" as const, content: responseText }]),
    {
      role: "user",
      content:
        `Your answer was not valid:\n${description}\n\n` +
        "Answer again, with nothing but a JSON value that fits the schema."
    }
  ])
