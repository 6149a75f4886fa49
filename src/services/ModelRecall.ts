/**
 * A model that may know already what another one would answer.
 *
 * It stands between `effect/ai` and the other model, where a provider would: tools run, arguments and objects are
 * decoded and approvals are asked for as ever, whether an answer is new or recalled.
 */

import type * as Arr from "effect/Array"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Response from "effect/ai/Response"
import * as Telemetry from "effect/ai/Telemetry"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  type About,
  aboutOf,
  answered,
  isInstrumented,
  keys,
  nameModel,
  passesOn,
  recalled,
  standIns,
  withAbout
} from "./ModelCall.ts"
import { Models } from "./ModelRegistry.ts"
import { describe, type ModelRequest } from "./ModelRequest.ts"
import { type CallOptions, generate, stream, wrap } from "./ModelWrapper.ts"

export type Part = Response.AllParts<any>
type PartEncoded = Response.PartEncoded & Response.StreamPartEncoded

/** What a model said to a request. */
export interface Answer {
  readonly parts: ReadonlyArray<Part>
  /** What the object is, as JSON has it: how its text encodes it is the model's matter. */
  readonly value?: unknown
  /** What it failed with, after the parts. */
  readonly error?: AiError.AiError | undefined
  /** The reader of a stream left after these parts. */
  readonly left?: true | undefined
  /** When each part of a stream came, in milliseconds after the call began. */
  readonly millis?: ReadonlyArray<number> | undefined
}

/** Whether the answer to a request is known; if not, what to do when it is. */
export type Known =
  | { readonly _tag: "Known"; readonly answer: Answer }
  | { readonly _tag: "Unknown"; readonly keep: (answer: Answer) => Effect.Effect<void> }

/** What was asked, as data. */
export type Lookup = (request: ModelRequest) => Effect.Effect<Known>

// -----------------------------------------------------------------------------
// Asking a model as its provider is asked
// -----------------------------------------------------------------------------

/** The options that make a model pass a request on as it is, and its answer back as it comes. */
export const verbatim = ({ prompt, responseFormat, toolChoice, tools }: LanguageModel.ProviderOptions): CallOptions =>
  ({
    prompt,
    ...(tools.length === 0
      ? {}
      : {
          toolkit: {
            tools: Object.fromEntries(tools.map((tool) => [tool.name, tool])),
            handle: () => Effect.die(new Error("A tool was to run below the model that runs it"))
          },
          toolChoice,
          disableToolCallResolution: true,
          toolCallValidation: "deferred"
        }),
    ...(responseFormat.type === "json" ? { schema: responseFormat.schema, objectName: responseFormat.objectName } : {})
    // Options of another toolkit than the caller's, which no type could tell of.
  }) as any

const encodeParts = Schema.encodeEffect(Schema.Array(Response.AllParts())) as (
  parts: ReadonlyArray<Part>
) => Effect.Effect<ReadonlyArray<PartEncoded>, Schema.SchemaError>

const encoded = (parts: ReadonlyArray<Part>): Effect.Effect<ReadonlyArray<PartEncoded>> =>
  Effect.orDie(encodeParts(parts))

const codecs = new WeakMap<Schema.Top, Schema.Codec<unknown, unknown>>()

const valueCodec = (schema: Schema.Top): Schema.Codec<unknown, unknown> => {
  let codec = codecs.get(schema)
  if (codec === undefined) {
    // Schemas of values need no services: `Boundary` and tools' schemas say so, `Top` does not.
    codec = Schema.toCodecJson(schema) as unknown as Schema.Codec<unknown, unknown>
    codecs.set(schema, codec)
  }
  return codec
}

/** The answer of a model, be it a failure. What is not a model's failure fails. */
export const ask = (
  model: LanguageModel.LanguageModel,
  options: LanguageModel.ProviderOptions
): Effect.Effect<Answer, any, any> =>
  Effect.suspend(() => {
    const { responseFormat } = options
    let parts: ReadonlyArray<Part> = []
    // Shows what came even where it does not decode.
    const watch: Telemetry.SpanTransformer = (seen) => {
      parts = seen.response as ReadonlyArray<Part>
    }
    const method = responseFormat.type === "json" ? "generateObject" : "generateText"
    return generate(model, method, verbatim(options)).pipe(
      Effect.provideService(Telemetry.CurrentSpanTransformer, watch),
      Effect.flatMap((response): Effect.Effect<Answer> => {
        const { content } = response
        if (responseFormat.type !== "json") return Effect.succeed({ parts: content })
        const { value } = response as LanguageModel.GenerateObjectResponse<any, unknown>
        const encodeValue = Schema.encodeUnknownEffect(valueCodec(responseFormat.schema))(value)
        return Effect.map(Effect.orDie(encodeValue), (value) => ({ parts: content, value }))
      }),
      Effect.catchTag("AiError", (error) => Effect.succeed({ parts, error: error as AiError.AiError }))
    )
  })

// -----------------------------------------------------------------------------
// The model
// -----------------------------------------------------------------------------

/** Where the value of an object is put by the provider's half of a call, and taken by the caller's. */
export const CurrentValue = Context.Reference<{ value: unknown } | undefined>(
  "effect-baton/services/ModelRecall/Value",
  {
    defaultValue: () => undefined
  }
)

/** The answer that a player gives. */
const CurrentAnswer = Context.Reference<Answer | undefined>("effect-baton/services/ModelRecall/Answer", {
  defaultValue: () => undefined
})

/** Whoever watches the caller's half of a call has seen what is in the other. */
export const unwatched: Telemetry.SpanTransformer = () => {}

export const quietly = <A, E, R>(parts: Stream.Stream<A, E, R>) =>
  Stream.provideService(parts, Telemetry.CurrentSpanTransformer, unwatched)

/** Objects come with their value: their text only has to be JSON, of whatever type the caller's schema has (`any`). */
export const anyJson: LanguageModel.CodecTransformer = () => ({ codec: Schema.Unknown as any, jsonSchema: {} })

export const played = (answer: Answer): Effect.Effect<Array<Response.PartEncoded>, AiError.AiError> =>
  answer.error === undefined
    ? Effect.map(encoded(answer.parts), (parts) => Array.from(parts) as Array<Response.PartEncoded>)
    : // `any`: parts of whatever tools, which only their usage is read of.
      Effect.andThen(answered(answer.parts as any), Effect.fail(answer.error))

export const playedStream = (answer: Answer): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> => {
  const parts = Stream.unwrap(
    Effect.map(encoded(answer.parts), (parts) =>
      Stream.fromIterable(parts as ReadonlyArray<Response.StreamPartEncoded>, { chunkSize: 1 })
    )
  )
  return Stream.concat(answer.millis === undefined ? parts : paced(parts, answer.millis), ending(answer))
}

const ending = ({ error, left }: Answer): Stream.Stream<never, AiError.AiError> => {
  if (error !== undefined) return Stream.fail(error)
  return left === true
    ? Stream.die(new Error("The recorded stream goes no further: whoever read it left here. Record it again"))
    : Stream.empty
}

const paced = <A, E>(parts: Stream.Stream<A, E>, millis: ReadonlyArray<number>): Stream.Stream<A, E> =>
  Stream.unwrap(
    Effect.map(Clock.currentTimeMillis, (start) => {
      let next = 0
      return Stream.mapEffect(parts, (part) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const wait = start + (millis[next++] ?? 0) - now
          return wait > 0 ? Effect.as(Effect.sleep(wait), part) : Effect.succeed(part)
        })
      )
    })
  )

/** A model that gives the answer of its context. */
const player: Effect.Effect<LanguageModel.LanguageModel> = LanguageModel.make({
  generateText: () =>
    Effect.andThen(
      recalled,
      Effect.flatMap(CurrentAnswer, (answer) => played(answer!))
    ),
  streamText: () =>
    Stream.unwrap(
      Effect.andThen(
        recalled,
        Effect.map(CurrentAnswer, (answer) => playedStream(answer!))
      )
    )
})

/** The model, asked only where `lookup` does not know the answer. */
export const make = (
  inner: LanguageModel.LanguageModel,
  about: About,
  lookup: Lookup
): Effect.Effect<LanguageModel.LanguageModel> =>
  Effect.gen(function* () {
    const name =
      about.name === undefined ? (about.id ?? "") : about.provider ? `${about.provider}/${about.name}` : about.name
    // A model that counts its own calls does so for the recalled ones too.
    const counted = isInstrumented(inner) ? withAbout(yield* player, about) : undefined

    const generateText = (
      options: LanguageModel.ProviderOptions
    ): Effect.Effect<Array<Response.PartEncoded>, any, any> =>
      Effect.gen(function* () {
        const known = yield* Effect.flatMap(describe("text", name, options), lookup)
        const answer = known._tag === "Known" ? known.answer : yield* ask(inner, options)
        if (known._tag === "Unknown") yield* known.keep(answer)
        else if (counted === undefined) yield* recalled
        else {
          const replay = generate(counted, "generateText", verbatim({ ...options, responseFormat: { type: "text" } }))
          yield* replay.pipe(
            Effect.provideService(CurrentAnswer, answer),
            Effect.provideService(Telemetry.CurrentSpanTransformer, unwatched)
          )
        }
        const box = yield* CurrentValue
        if (box !== undefined && options.responseFormat.type === "json") box.value = answer.value
        return yield* counted === undefined || answer.error === undefined ? played(answer) : Effect.fail(answer.error)
      })

    const streamText = (options: LanguageModel.ProviderOptions): Stream.Stream<Response.StreamPartEncoded, any, any> =>
      Stream.unwrap(
        Effect.gen(function* () {
          const known = yield* Effect.flatMap(describe("stream", name, options), lookup)
          if (known._tag === "Known") {
            if (counted === undefined) return yield* Effect.as(recalled, playedStream(known.answer))
            return reencoded(
              Stream.provideService(quietly(stream(counted, verbatim(options))), CurrentAnswer, known.answer)
            )
          }
          return reencoded(yield* overheard(quietly(stream(inner, verbatim(options))), known.keep))
        })
      )

    const outer = yield* LanguageModel.make({
      // What the inner model needs besides is in the context of whoever calls.
      generateText: generateText as any,
      streamText: streamText as any,
      codecTransformer: anyJson,
      supportsSystemMessagesInHistory: inner.supportsSystemMessagesInHistory
    })
    const model = wrap(outer, {
      generate: (method, options) =>
        method === "generateText" ? generate(outer, method, options) : object(outer, options),
      stream: (options) => stream(outer, options)
    })
    if (counted === undefined) return nameModel(model, about)
    const watching = <A, E, R>(use: (transformer: Telemetry.SpanTransformer) => Effect.Effect<A, E, R>) =>
      Effect.withFiber<A, E, R>((fiber) => use(userTransformer(fiber.context)))
    return passesOn(
      wrap(model, {
        generate: (method, options) =>
          watching((transformer) =>
            Effect.provideService(generate(model, method, options), Telemetry.CurrentSpanTransformer, transformer)
          ),
        stream: (options) =>
          Stream.unwrap(
            watching((transformer) =>
              Effect.succeed(
                Stream.provideService(stream(model, options), Telemetry.CurrentSpanTransformer, transformer)
              )
            )
          )
      })
    )
  })

/** The user's span transformer, not the one of executions, which would count once more what is counted below. */
export const userTransformer = (context: Context.Context<never>): Telemetry.SpanTransformer => {
  const given = context.mapUnsafe.get(keys.spanTransformer) as Telemetry.SpanTransformer | undefined
  if (given === undefined) return unwatched
  const own = standIns.get(given)
  return own === undefined ? given : (own.given ?? unwatched)
}

export const object = (outer: LanguageModel.LanguageModel, options: CallOptions) =>
  Effect.suspend(() => {
    const box: { value: unknown } = { value: undefined }
    return Effect.flatMap(
      Effect.provideService(generate(outer, "generateObject", options), CurrentValue, box),
      ({ content }) =>
        Effect.map(
          // `any`: the schema and the tools of a call are its caller's, whose types are not known here.
          Effect.orDie(Schema.decodeUnknownEffect(valueCodec(options.schema as any))(box.value)),
          (value) => new LanguageModel.GenerateObjectResponse<any, unknown>(value, content as any)
        )
    )
  })

export const reencoded = (parts: Stream.Stream<Part, any, any>): Stream.Stream<Response.StreamPartEncoded, any, any> =>
  Stream.mapArrayEffect(parts, (chunk) =>
    // As many come out as went in.
    Effect.map(encoded(chunk), (chunk) => chunk as unknown as Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>)
  )

/** The stream, kept when it ends; where it is interrupted, or fails with what is no model's failure, `cut` is told. */
export const overheard = (
  parts: Stream.Stream<Part, any, any>,
  keep: (answer: Answer) => Effect.Effect<void>,
  cut: (cause: Cause.Cause<unknown>) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<Stream.Stream<Part, any, any>> =>
  Effect.map(Clock.currentTimeMillis, (start) => {
    const seen: Array<Part> = []
    const millis: Array<number> = []
    return Stream.transformPull(parts, (pull, scope) => {
      let open = true
      const end = (answer: Partial<Answer>): Effect.Effect<void> => {
        if (!open) return Effect.void
        open = false
        return keep({ parts: seen, millis, ...answer })
      }
      const watched = pull.pipe(
        Effect.tap((chunk) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            for (const part of chunk) {
              seen.push(part)
              millis.push(now - start)
            }
          })
        ),
        Effect.onError((cause) => {
          if (Pull.isDoneCause(cause)) return end({})
          const error = Option.getOrUndefined(Cause.findErrorOption(cause))
          // What is no model's failure is not what the model said.
          return (error as { readonly _tag?: unknown } | undefined)?._tag === "AiError"
            ? end({ error: error as AiError.AiError })
            : Effect.suspend(() => {
                if (!open) return Effect.void
                open = false
                return cut(cause)
              })
        })
      )
      const close = Scope.addFinalizerExit(scope, (exit) =>
        Effect.suspend(() => {
          if (!open || exit._tag === "Success" || !Cause.hasInterruptsOnly(exit.cause)) return end({ left: true })
          open = false
          return cut(exit.cause)
        })
      )
      return Effect.as(close, watched)
    })
  })

/** Puts what `make` gives in the place of the `LanguageModel`, and of every model that has an id. */
export const layer = <E, R>(
  lookup: Effect.Effect<Lookup, E, R>
): Layer.Layer<LanguageModel.LanguageModel, E, R | LanguageModel.LanguageModel> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const context = yield* Effect.context<LanguageModel.LanguageModel>()
      const services = context as Context.Context<any>
      const given = Context.get(context, LanguageModel.LanguageModel)
      const known = yield* lookup
      const name = Context.getOrUndefined(services, Model.ModelName)
      const provider = Context.getOrUndefined(services, Model.ProviderName)
      const recalls = new Map<LanguageModel.LanguageModel, LanguageModel.LanguageModel>()
      const recalling = (model: LanguageModel.LanguageModel, about: About) =>
        Effect.suspend(() => {
          const made = recalls.get(model)
          if (made !== undefined) return Effect.succeed(made)
          return Effect.tap(make(model, { ...about, ...aboutOf(model) }, known), (made) =>
            Effect.sync(() => void recalls.set(model, made))
          )
        })
      const model = yield* recalling(given, { name, provider })
      const registry = Context.get(context, Models)
      const models = new Map<string, LanguageModel.LanguageModel>()
      for (const [id, model] of registry.models) models.set(id, yield* recalling(model, { id }))
      const made = Context.make(LanguageModel.LanguageModel, model)
      return models.size === 0 ? made : Context.add(made, Models, { models })
    })
  )

// -----------------------------------------------------------------------------
// Answers as JSON
// -----------------------------------------------------------------------------

// Without a toolkit the types of its parts are `never`; any part is read.
const Parts = Schema.Array(Response.AllParts()) as unknown as Schema.Codec<ReadonlyArray<Part>>

/** An error part may have anything in it. */
const PlainParts = Parts.pipe(
  Schema.decodeTo(
    Schema.toType(Parts),
    SchemaTransformation.transform<ReadonlyArray<Part>, ReadonlyArray<Part>>({
      decode: (parts) => parts,
      encode: (parts) =>
        parts.map((part) => (part.type === "error" ? Response.makePart("error", { error: toJson(part.error) }) : part))
    })
  )
)

const toJson = (value: unknown): unknown =>
  value instanceof Error ? { name: value.name, message: value.message } : JSON.parse(JSON.stringify(value ?? null))

/** An answer as JSON. */
export const AnswerJson = Schema.toCodecJson(
  Schema.Struct({
    parts: PlainParts,
    value: Schema.optionalKey(Schema.Unknown),
    error: Schema.optionalKey(AiError.AiError),
    left: Schema.optionalKey(Schema.Literal(true)),
    millis: Schema.optionalKey(Schema.Array(Schema.Finite))
  })
) as unknown as Schema.Codec<
  // `JSON` is what `toCodecJson` makes; its type does not say so.
  Answer,
  { readonly parts: ReadonlyArray<Schema.Json> } & { readonly [key: string]: Schema.Json }
>
