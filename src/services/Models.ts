/**
 * Language models by id, and what Baton adds to every call that is made inside an execution.
 */
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Count, checker, DurationInput } from "../internal/schema.ts"
import { RetryConfig } from "../Retry.ts"
import * as AiSdk from "./AiSdk.ts"
import { inBodies } from "./BodyModel.ts"
import { type About, withAbout } from "./ModelCall.ts"
import { type Limits, limit } from "./ModelLimits.ts"
import { Models } from "./ModelRegistry.ts"
import { instrumentModels } from "./ModelServices.ts"
import { Price } from "./Price.ts"

export { type Ask, object, text } from "./Ask.ts"
export { fallback } from "./ModelFallback.ts"
export type { CallRetry, Limits, RateLimit } from "./ModelLimits.ts"
export { get, ModelNotFound, Models, Purpose, type Registry, use } from "./ModelRegistry.ts"
export { Price } from "./Price.ts"

/** Where a model comes from: any layer of the Effect ecosystem, an AI SDK model, or the service itself. */
export type Source = Layer.Layer<LanguageModel.LanguageModel, any, any> | AiSdk.AiSdkModel | LanguageModel.LanguageModel

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
        // Services that keep a model for later keep one that knows the bodies it is called in.
        models.set(id, inBodies(yield* Effect.provideService(model, Models, { models })))
      }
      const id = options.default ?? Object.keys(entries)[0]
      const model = models.get(id)
      if (model === undefined) {
        const problem =
          models.size === 0
            ? "needs at least one model"
            : `has no model "${id}" to be its default; name one of: ${[...models.keys()].join(", ")}`
        return yield* Effect.die(new Error(`Models.layer ${problem}`))
      }
      return Context.add(Context.make(LanguageModel.LanguageModel, model), Models, { models })
      // What the entries fail with and need is known from their types only.
    }) as Effect.Effect<Context.Context<LanguageModel.LanguageModel>, any, any>
  )

const isModel = (u: unknown): u is LanguageModel.LanguageModel => Predicate.hasProperty(u, LanguageModel.TypeId)

const isAiSdkModel = (u: unknown): u is AiSdk.AiSdkModel => Predicate.hasProperty(u, "specificationVersion")

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

const invalid = (id: string, { message, path, value }: NonNullable<ReturnType<typeof check>>): Error =>
  new Error(`Invalid "${path}" of the model "${id}": ${message}, found ${value}`)

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
    if (problem !== undefined) return Effect.die(invalid(id, problem))
    return Effect.map(source(config.model), ({ about, model }) =>
      limit(withAbout(model, { ...about, id, price: config.price }), id, config, rateLimiter)
    )
  })

interface Made {
  readonly model: LanguageModel.LanguageModel
  readonly about: About
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

/** What the calls of a layer's models are told under, and what their tokens cost. */
export interface Told {
  /** Default: what the model calls itself. */
  readonly id?: string | undefined
  /** Default: nothing. */
  readonly price?: Price | undefined
}

/**
 * The layer with its models wrapped, so that calls are counted, checked against the budget and recorded although whoever
 * calls them got the model outside of a body; and the way to give a price to a model that stands in no `Models.layer`.
 *
 * **Details**
 *
 * What asks for `LanguageModel` inside a body gets it wrapped, whoever provided it, and so are the models of
 * `Models.layer`. What needs this is a service that took its model when its own layer was built; wrapping twice changes
 * nothing. Outside of executions it makes no difference. It holds for a `LanguageModel` and for a
 * `DecisionModel`, whose calls count like any other.
 *
 * **Gotchas**
 *
 * The calls of a `LanguageModel` that was not wrapped when somebody took it are told and counted after they were
 * answered, with a warning, but a budget does not stop them, failed ones are not seen, and a durable engine makes them again
 * whenever the body is replayed. To that end the context of a body has a span transformer of `effect/ai`; it calls the one
 * in the context of the starter, but hides one that only a model was built with.
 *
 * A `DecisionModel` that is provided inside a body needs this, or its calls are not seen at all. Ask it in a step: a durable
 * engine records no decision by itself.
 *
 * A `LanguageModel` of your own that calls a wrapped one is a call of its own, beside the one it makes. Of a decision
 * that fails, tokens are not known.
 *
 * **Example** (A model for one part of a body)
 *
 * ```ts
 * import { openai } from "@ai-sdk/openai"
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models, Step } from "effect-baton"
 *
 * const Large = Models.instrumented(Models.fromAiSdk(openai("gpt-5")), {
 *   id: "large",
 *   price: { inputPerMillion: 1.25, outputPerMillion: 10 }
 * })
 *
 * const check = Step.make("check", {
 *   run: LanguageModel.generateText({ prompt: "Is it so?" }).pipe(Effect.provide(Large))
 * })
 * ```
 */
export const instrumented = <ROut, E, R>(layer: Layer.Layer<ROut, E, R>, told: Told = {}): Layer.Layer<ROut, E, R> =>
  Layer.flatMap(layer, (context) => {
    const problem = check(told)
    if (problem !== undefined) return Layer.effectContext(Effect.die(invalid(told.id ?? "instrumented", problem)))
    const services = new Map(context.mapUnsafe)
    instrumentModels(services, told)
    return Layer.succeedContext(Context.makeUnsafe<ROut>(services))
  })
