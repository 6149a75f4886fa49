/**
 * Any AI SDK provider model as an `effect/ai` language model.
 *
 * Only types are imported from `@ai-sdk/provider`, so nothing of the AI SDK is loaded by users who do not need it.
 */
import type {
  LanguageModelV3,
  LanguageModelV3StreamPart,
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4StreamPart
} from "@ai-sdk/provider"
import * as Arr from "effect/Array"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Pull from "effect/Pull"
import type * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { failWith, incompleteResponse } from "./aiSdk/error.ts"
import { toPrompt } from "./aiSdk/prompt.ts"
import { toRequest } from "./aiSdk/request.ts"
import {
  finish,
  fromGenerateResult,
  fromStreamPart,
  type GenerateResult,
  logWarnings,
  type ResponseContext
} from "./aiSdk/response.ts"
import * as Schemas from "./aiSdk/schema.ts"
import { secretsOf } from "./aiSdk/secrets.ts"
import { toV3 } from "./aiSdk/v3.ts"
import { answered, nameModel } from "./ModelCall.ts"

/** The two specifications that provider packages follow. */
type ProviderModel = LanguageModelV3 | LanguageModelV4

/**
 * A model object of an AI SDK provider package, such as what `openai("gpt-5")` returns. Written out, so that the types of
 * Baton stand without `@ai-sdk/provider`, which is an optional peer.
 */
export interface AiSdkModel {
  readonly specificationVersion: "v3" | "v4"
  readonly provider: string
  readonly modelId: string
  // What goes in and comes out is the specification's; `makeProvider` has its types.
  readonly doGenerate: (options: any) => PromiseLike<unknown>
  readonly doStream: (options: any) => PromiseLike<unknown>
}

/** Settings sent with every call, as the AI SDK names them. What a provider does not support, it ignores. */
export interface Options {
  /** Most tokens the model may write. Default: the provider's. */
  readonly maxOutputTokens?: number
  /** How much chance there is in the answer; 0 is least. Default: the provider's. */
  readonly temperature?: number
  /** Texts at which the model stops. Default: none. */
  readonly stopSequences?: Array<string>
  /** Nucleus sampling, from 0 to 1. Default: the provider's. */
  readonly topP?: number
  /** Sample from so many of the likeliest tokens. Default: the provider's. */
  readonly topK?: number
  /** How much what has been said is avoided. Default: the provider's. */
  readonly presencePenalty?: number
  /** How much frequent words are avoided. Default: the provider's. */
  readonly frequencyPenalty?: number
  /** Makes sampling repeatable where the provider can. Default: none. */
  readonly seed?: number
  /** How much the model reasons. Default: the provider's. */
  readonly reasoning?: "provider-default" | "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max"
  /** Headers sent with each request. Default: none. */
  readonly headers?: Record<string, string | undefined>
  /** Options of one provider, by its name. Default: none. */
  readonly providerOptions?: Record<string, { [key: string]: Schema.MutableJson | undefined }>
  /**
   * How a schema is rewritten for what the provider accepts. Default: OpenAI's and Anthropic's rules for their models
   * (optional fields become nullable, records become entries, undone when the answer is decoded), else the JSON Schema
   * as it is.
   */
  readonly codecTransformer?: LanguageModel.CodecTransformer
  /** What no error may show, besides what stands in the headers of requests and what looks like a key. Default: none. */
  readonly redact?: ReadonlyArray<Redacted.Redacted<string>>
}

/**
 * A `LanguageModel` that calls an AI SDK provider model.
 *
 * **Details**
 *
 * Covers text, structured output, tools, streaming, reasoning, files, sources, usage with cached and reasoning tokens,
 * and provider metadata: the `metadata` of a response part goes back to the provider as the `options` of the prompt
 * part, so reasoning signatures and item ids survive a conversation.
 *
 * Interrupting a call, or the fiber that reads a stream, aborts the provider's HTTP request.
 *
 * Errors are `AiError`s: 429 is `RateLimitError` with `retryAfter` from the response, 401 and 403
 * `AuthenticationError`, 5xx `InternalProviderError`, other 4xx `InvalidRequestError`, an exhausted quota
 * `QuotaExhaustedError`, a broken connection `NetworkError`, an answer that cannot be read `InvalidResponseError`.
 * A stream that ends before the model finished fails; it never looks complete. Nothing is retried here.
 *
 * No error shows a credential, whatever the provider repeats of the request: values of the headers that the package
 * sends a key or a token in, those of `headers` and of `redact`, and what looks like a key are taken out of messages,
 * bodies, addresses and headers, and a URL loses its query. So events, spans and logs do not show them either.
 *
 * Structured output is asked for with the JSON Schema of the caller's schema. `@ai-sdk/openai-compatible` drops it unless
 * created with `supportsStructuredOutputs`; then it is told in the system message.
 *
 * A tool's arguments that are not JSON reach the toolkit as text and are refused like any that do not decode.
 *
 * **Gotchas**
 *
 * A credential of fewer than 8 characters is not looked for, since too many words have it in them.
 *
 * Without a counterpart in `effect/ai`, and so dropped: `custom` content, citations attached to text, approval
 * requests for tools that the provider runs, raw chunks. A generated file given as a link becomes a `source`. The
 * provider's warnings are logged at debug level. A file given by URL in a prompt is passed on, not downloaded, so the
 * provider must accept URLs for its media type.
 *
 * **Example**
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { MockLanguageModelV4 } from "ai/test"
 * import * as AiSdk from "effect-baton/AiSdk"
 *
 * const model = new MockLanguageModelV4({ // or openai("gpt-5"), anthropic("claude-haiku-4-5"), ...
 *   doGenerate: {
 *     content: [{ type: "text", text: "Paris" }],
 *     finishReason: { unified: "stop", raw: "stop" },
 *     usage: {
 *       inputTokens: { total: 7, noCache: 7, cacheRead: undefined, cacheWrite: undefined },
 *       outputTokens: { total: 1, text: 1, reasoning: undefined }
 *     },
 *     warnings: []
 *   }
 * })
 *
 * const program = LanguageModel.generateText({ prompt: "The capital of France?" }).pipe(
 *   Effect.provide(AiSdk.layer(model, { temperature: 0 }))
 * )
 *
 * const response = await Effect.runPromise(program)
 * response.text // => "Paris"
 * response.usage.inputTokens.total // => 7
 * ```
 */
export const make = (model: AiSdkModel, options: Options = {}): Effect.Effect<LanguageModel.LanguageModel> =>
  Effect.gen(function* () {
    const provider = yield* makeProvider(model)
    const { codecTransformer = Schemas.codecTransformerFor(model.provider), redact, ...settings } = options
    const schemas = Schemas.make(codecTransformer)
    const describesOutput = ignoresOutputSchema(model)
    const secrets = secretsOf(model, settings.headers, redact)

    const contextOf = (method: ResponseContext["method"], request: LanguageModel.ProviderOptions): ResponseContext => ({
      method,
      model: `${model.provider}/${model.modelId}`,
      secrets,
      tools: request.tools,
      responseFormat: request.responseFormat,
      toolCallValidation: request.toolCallValidation,
      schemas
    })

    const callOptions = Effect.fnUntraced(function* (
      request: LanguageModel.ProviderOptions,
      method: ResponseContext["method"]
    ): Effect.fn.Return<LanguageModelV4CallOptions, AiError.AiError> {
      const messages = yield* Effect.try({
        try: () => toPrompt(request.prompt),
        catch: (error) => notSent(method, new AiError.InvalidUserInputError({ description: String(error) }))
      })
      const call = yield* Effect.try({
        try: () => toRequest(request, { messages, schemas, describesOutput }),
        catch: (error) => notSent(method, new AiError.UnsupportedSchemaError({ description: String(error) }))
      })
      return { ...settings, ...call }
    })

    const languageModel = yield* LanguageModel.make({
      codecTransformer: schemas.codecTransformer,
      generateText: Effect.fnUntraced(function* (request) {
        const context = contextOf("generateText", request)
        const call = yield* callOptions(request, "generateText")
        const result = yield* attempt((abortSignal) => provider.generate({ ...call, abortSignal }), context)
        yield* logWarnings(result.warnings, context)
        // An answer that cannot be taken was paid for too.
        const paid = Effect.ignore(Effect.flatMap(finish(result, context), (part) => answered([part])))
        const parts = yield* Effect.tapError(fromGenerateResult(result, context), () => paid)
        yield* answered(parts)
        return parts
      }),
      streamText: (request) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const context = contextOf("streamText", request)
            const call = yield* callOptions(request, "streamText")
            const abortSignal = yield* scopedAbortSignal
            const { stream } = yield* attempt(() => provider.stream({ ...call, abortSignal }), context)
            return responseParts(stream, context)
          })
        )
    })
    return nameModel(languageModel, { provider: model.provider, name: model.modelId })
  })

/**
 * A layer with the `LanguageModel` of `make`.
 *
 * **Example**
 *
 * ```ts
 * import { openai } from "@ai-sdk/openai"
 * import * as AiSdk from "effect-baton/AiSdk"
 *
 * // The key is read from OPENAI_API_KEY at the first call; a missing one is an `AuthenticationError`.
 * const Gpt = AiSdk.layer(openai("gpt-5"), { reasoning: "low", maxOutputTokens: 1000 })
 * ```
 */
export const layer = (model: AiSdkModel, options?: Options): Layer.Layer<LanguageModel.LanguageModel> =>
  Layer.effect(LanguageModel.LanguageModel, make(model, options))

// -----------------------------------------------------------------------------
// Provider
// -----------------------------------------------------------------------------

type ProviderStreamPart = LanguageModelV3StreamPart | LanguageModelV4StreamPart

interface Provider {
  readonly generate: (call: LanguageModelV4CallOptions) => Promise<GenerateResult>
  readonly stream: (
    call: LanguageModelV4CallOptions
  ) => Promise<{ readonly stream: ReadableStream<ProviderStreamPart> }>
}

/** Both specifications behind the calls of V4. */
const makeProvider = (sdkModel: AiSdkModel): Effect.Effect<Provider> => {
  const model = sdkModel as ProviderModel
  switch (model.specificationVersion) {
    case "v3":
      return Effect.succeed({
        generate: async (call) => model.doGenerate(toV3(call)),
        stream: async (call) => model.doStream(toV3(call))
      })
    case "v4":
      return Effect.succeed({
        generate: async (call) => model.doGenerate(call),
        stream: async (call) => model.doStream(call)
      })
    default:
      return unsupportedModel(model)
  }
}

/** Reached only past the types: by an older provider package, or by a model id given as a string. */
const unsupportedModel = (model: never): Effect.Effect<never> => {
  const version = Predicate.hasProperty(model, "specificationVersion") ? model["specificationVersion"] : "none"
  return Effect.die(
    new Error(
      `AiSdk.make needs a model object of AI SDK specification v3 or v4, and this one's is ${version}: ` +
        'pass what a current provider package returns, such as openai("gpt-5")'
    )
  )
}

/** `@ai-sdk/openai-compatible` drops the schema, and only asks for JSON, unless told that the server knows schemas. */
const ignoresOutputSchema = (model: AiSdkModel): boolean =>
  Predicate.hasProperty(model, "supportsStructuredOutputs") && model.supportsStructuredOutputs === false

const notSent = (method: string, reason: AiError.AiErrorReason): AiError.AiError =>
  AiError.make({ module: "AiSdk", method, reason })

const attempt = <A>(
  run: (abortSignal: AbortSignal) => PromiseLike<A>,
  context: ResponseContext
): Effect.Effect<A, AiError.AiError> =>
  Effect.catch(Effect.tryPromise({ try: run, catch: (error) => error }), failWith(context))

// -----------------------------------------------------------------------------
// Streams
// -----------------------------------------------------------------------------

const scopedAbortSignal: Effect.Effect<AbortSignal, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => new AbortController()),
    (controller) => Effect.sync(() => controller.abort())
  ),
  (controller) => controller.signal
)

const responseParts = (
  stream: ReadableStream<ProviderStreamPart>,
  context: ResponseContext
): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> =>
  Stream.scoped(Stream.fromPull(Effect.map(scopedReader(stream), (reader) => pullParts(reader, context))))

/** The provider's cancelling is not waited for, so that it cannot hold an interruption. */
const scopedReader = <A>(
  stream: ReadableStream<A>
): Effect.Effect<ReadableStreamDefaultReader<A>, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => stream.getReader()),
    (reader) => Effect.sync(() => void reader.cancel().catch(() => {}))
  )

const pullParts = (reader: ReadableStreamDefaultReader<ProviderStreamPart>, context: ResponseContext) => {
  let finished = false
  const read = attempt(() => reader.read(), context)
  const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>, AiError.AiError> = Effect.flatMap(
    read,
    (next) => {
      if (next.done) return finished ? Cause.done() : Effect.fail(incompleteResponse(context))
      return Effect.flatMap(fromStreamPart(next.value, context), (part) => {
        if (part === undefined) return pull
        finished ||= part.type === "finish"
        return Effect.succeed(Arr.of(part))
      })
    }
  )
  return pull
}
