import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, type Response, Tool, Toolkit } from "effect/ai"
import * as AiSdk from "../../src/services/AiSdk.ts"
import * as ProviderServer from "./aiSdk/providerServer.ts"

const apiKey = "sk-test-0123456789abcdef"

interface Provider {
  readonly name: string
  readonly path: string
  readonly model: (baseURL: string) => AiSdk.AiSdkModel
  /** Whether the wire format can leave out usage; Anthropic's cannot. */
  readonly usageMayBeMissing: boolean
  /** Whether the wire format carries the model's reasoning; Chat Completions does in compatible servers only. */
  readonly reasons: boolean
  /** What the next request carries of the reasoning. */
  readonly reasoningProof: string
  /** The word in the request that asks for structured output. */
  readonly outputFormat: string
  /** `@ai-sdk/anthropic` throws an unmarked error of its own when the first event cannot be read. */
  readonly malformedEvent: "InvalidResponseError" | "UnknownError"
}

const providers: ReadonlyArray<Provider> = [
  {
    name: "OpenAI Chat Completions",
    path: "/v1/chat/completions",
    model: (baseURL) => createOpenAI({ baseURL, apiKey }).chat("gpt-4.1"),
    usageMayBeMissing: true,
    reasons: false,
    reasoningProof: "",
    outputFormat: "json_schema",
    malformedEvent: "InvalidResponseError"
  },
  {
    name: "OpenAI Responses",
    path: "/v1/responses",
    model: (baseURL) => createOpenAI({ baseURL, apiKey }).responses("gpt-5"),
    usageMayBeMissing: true,
    reasons: true,
    reasoningProof: "rs_1",
    outputFormat: "json_schema",
    malformedEvent: "InvalidResponseError"
  },
  {
    name: "Anthropic Messages",
    path: "/v1/messages",
    model: (baseURL) => createAnthropic({ baseURL, apiKey })("claude-sonnet-4-5"),
    usageMayBeMissing: false,
    reasons: true,
    reasoningProof: `"signature":"signed"`,
    outputFormat: "output_config",
    malformedEvent: "UnknownError"
  },
  {
    name: "an OpenAI-compatible server",
    path: "/v1/chat/completions",
    model: (baseURL) => createOpenAICompatible({ name: "local", baseURL, apiKey })("llama"),
    usageMayBeMissing: true,
    reasons: true,
    reasoningProof: "let me see",
    outputFormat: "json_object",
    malformedEvent: "InvalidResponseError"
  }
]

const GetWeather = Tool.make("GetWeather", {
  description: "The weather in a city",
  parameters: Schema.Struct({ city: Schema.String, days: Schema.optionalKey(Schema.Int) }),
  success: Schema.Struct({ celsius: Schema.Number })
})

const Weather = Toolkit.make(GetWeather)

const WeatherLive = Weather.toLayer({ GetWeather: ({ city }) => Effect.succeed({ celsius: city.length }) })

const weatherCall: ProviderServer.Answer = {
  toolCalls: [{ id: "call_1", name: "GetWeather", arguments: `{"city":"Paris"}` }]
}

const Trip = Schema.Struct({
  city: Schema.String,
  leaves: Schema.Date,
  note: Schema.optionalKey(Schema.String),
  tags: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
})

const textOf = (parts: ReadonlyArray<{ readonly type: string; readonly delta?: string }>, type: string): string =>
  parts.flatMap((part) => (part.type === type && part.delta !== undefined ? [part.delta] : [])).join("")

/** A server, and the provider's model that talks to it as the language model of the effect. */
const withServer = <A, E, R>(
  provider: Provider,
  use: (server: ProviderServer.ProviderServer) => Effect.Effect<A, E, R>,
  options?: AiSdk.Options
) =>
  Effect.gen(function* () {
    const server = yield* ProviderServer.make
    return yield* Effect.provide(use(server), AiSdk.layer(provider.model(server.baseURL), options))
  })

const failureOf = (provider: Provider, reply: ProviderServer.Reply, kind: "whole" | "streamed") =>
  withServer(provider, (server) =>
    Effect.gen(function* () {
      yield* server.reply(reply)
      const call =
        kind === "whole"
          ? Effect.asVoid(LanguageModel.generateText({ prompt: "Hi" }))
          : Stream.runDrain(LanguageModel.streamText({ prompt: "Hi" }))
      const error = yield* Effect.flip(call)
      assert.isTrue(AiError.isAiError(error))
      return error
    })
  )

describe.each(providers)("AiSdk with $name", (provider) => {
  describe("text", () => {
    it.live("a whole answer comes with its text, usage and ids, and the request carried the settings", () =>
      withServer(
        provider,
        (server) =>
          Effect.gen(function* () {
            yield* server.reply(ProviderServer.answer({ text: "Paris is the capital." }))
            const response = yield* LanguageModel.generateText({
              prompt: [
                { role: "system", content: "Be brief." },
                { role: "user", content: "The capital of France?" }
              ]
            })
            assert.strictEqual(response.text, "Paris is the capital.")
            assert.strictEqual(response.finishReason, "stop")
            assert.strictEqual(response.usage.inputTokens.total, 20)
            assert.strictEqual(response.usage.inputTokens.cacheRead, 5)
            assert.strictEqual(response.usage.inputTokens.uncached, 15)
            assert.strictEqual(response.usage.outputTokens.total, 10)
            const metadata = response.content.find((part) => part.type === "response-metadata")
            assert.strictEqual(metadata?.modelId, "served-model")
            const [request] = server.requests
            assert.strictEqual(request?.path, provider.path)
            assert.include(JSON.stringify(request?.body), "Be brief.")
            assert.include(JSON.stringify(request?.body), "The capital of France?")
            assert.strictEqual(yield* request!.closed, "complete")
            assert.isTrue(Object.values(request?.body).includes(77), "maxOutputTokens is sent")
          }),
        { maxOutputTokens: 77 }
      )
    )

    it.live("a streamed answer comes word by word and ends with the usage", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply(ProviderServer.answer({ text: "one two three" }))
          const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Count" }))
          assert.strictEqual(textOf(parts, "text-delta"), "one two three")
          assert.isAtLeast(parts.filter((part) => part.type === "text-delta").length, 3)
          const finish = parts.at(-1)
          assert.strictEqual(finish?.type, "finish")
          if (finish?.type === "finish") {
            assert.strictEqual(finish.reason, "stop")
            assert.strictEqual(finish.usage.inputTokens.total, 20)
            assert.strictEqual(finish.usage.outputTokens.total, 10)
          }
        })
      )
    )

    it.live("a slow stream delivers each part before the next one is sent", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          const gate = yield* Deferred.make<void>()
          let events = 0
          // The server holds everything after its fifth event until the client has seen text.
          const beforeEach = Effect.suspend(() => (events++ < 5 ? Effect.void : Deferred.await(gate)))
          yield* server.reply({ _tag: "Slow", answer: { text: "a b c d e f g h" }, beforeEach })
          const text = yield* LanguageModel.streamText({ prompt: "Spell" }).pipe(
            Stream.tap((part) =>
              part.type === "text-delta" && part.delta !== "" ? Deferred.succeed(gate, undefined) : Effect.void
            ),
            Stream.runCollect
          )
          assert.strictEqual(textOf(text, "text-delta"), "a b c d e f g h")
        })
      )
    )

    it.live("a provider that reports no usage gives none", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          if (!provider.usageMayBeMissing) return
          yield* server.reply(
            ProviderServer.answer({ text: "ok", usage: "missing" }),
            ProviderServer.answer({ text: "ok", usage: "missing" })
          )
          const whole = yield* LanguageModel.generateText({ prompt: "Hi" })
          assert.isUndefined(whole.usage.inputTokens.total)
          assert.isUndefined(whole.usage.outputTokens.total)
          const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Hi" }))
          const finish = parts.find((part) => part.type === "finish")
          assert.isDefined(finish)
          assert.isUndefined(finish?.usage.inputTokens.total)
        })
      )
    )
  })

  describe("structured output", () => {
    it.live("an object is asked for with a JSON Schema and decoded by the caller's schema", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply(
            ProviderServer.answer({
              text: `{"city":"Rome","leaves":"2030-01-02T03:04:05.000Z","tags":{"mood":"good"}}`
            })
          )
          const response = yield* LanguageModel.generateObject({ prompt: "A trip", schema: Trip, objectName: "trip" })
          assert.deepStrictEqual(response.value, {
            city: "Rome",
            leaves: new Date("2030-01-02T03:04:05.000Z"),
            tags: { mood: "good" }
          })
          const body = JSON.stringify(server.requests[0]?.body)
          assert.include(body, "leaves")
          assert.include(body, provider.outputFormat)
        })
      )
    )

    it.live("an object that breaks the schema is a StructuredOutputError with the text", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply(ProviderServer.answer({ text: `{"city":7}` }))
          const error = yield* Effect.flip(LanguageModel.generateObject({ prompt: "A trip", schema: Trip }))
          assert.strictEqual(error.reason._tag, "StructuredOutputError")
          assert.isTrue(error.isRetryable)
        })
      )
    )
  })

  describe("tools", () => {
    const continueWith = (server: ProviderServer.ProviderServer, parts: ReadonlyArray<Response.AnyPart>) =>
      Effect.gen(function* () {
        yield* server.reply(ProviderServer.answer({ text: "It is 5 degrees." }))
        const prompt = Prompt.concat(Prompt.make("Weather in Paris?"), Prompt.fromResponseParts(parts))
        const response = yield* LanguageModel.generateText({ prompt, toolkit: Weather })
        assert.strictEqual(response.text, "It is 5 degrees.")
        const [first, second] = server.requests
        assert.include(JSON.stringify(first?.body.tools), "The weather in a city")
        const sent = JSON.stringify(second?.body)
        assert.include(sent, "call_1")
        assert.include(sent, "celsius")
      })

    it.live("a tool call runs its handler and the result goes back to the model", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply(ProviderServer.answer(weatherCall))
          const response = yield* LanguageModel.generateText({ prompt: "Weather in Paris?", toolkit: Weather })
          assert.strictEqual(response.finishReason, "tool-calls")
          assert.deepStrictEqual(response.toolCalls[0]?.params, { city: "Paris" })
          assert.deepStrictEqual(response.toolResults[0]?.result, { celsius: 5 })
          yield* continueWith(server, response.content)
        })
      ).pipe(Effect.provide(WeatherLive))
    )

    it.live("a streamed tool call arrives in pieces, runs its handler and the result goes back to the model", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply(ProviderServer.answer(weatherCall))
          const parts = yield* Stream.runCollect(
            LanguageModel.streamText({ prompt: "Weather in Paris?", toolkit: Weather })
          )
          assert.strictEqual(textOf(parts, "tool-params-delta"), `{"city":"Paris"}`)
          const result = parts.find((part) => part.type === "tool-result")
          assert.deepStrictEqual(result?.result, { celsius: 5 })
          yield* continueWith(server, parts)
        })
      ).pipe(Effect.provide(WeatherLive))
    )

    it.live("a call of a tool that does not exist is ToolNotFoundError naming the known ones", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          const unknown = { toolCalls: [{ id: "call_1", name: "LaunchRocket", arguments: "{}" }] }
          yield* server.reply(ProviderServer.answer(unknown), ProviderServer.answer(unknown))
          const whole = yield* Effect.flip(LanguageModel.generateText({ prompt: "Go", toolkit: Weather }))
          const streamed = yield* Effect.flip(
            Stream.runDrain(LanguageModel.streamText({ prompt: "Go", toolkit: Weather }))
          )
          for (const error of [whole, streamed]) {
            assert.strictEqual(error.reason._tag, "ToolNotFoundError")
            if (error.reason._tag === "ToolNotFoundError") {
              assert.strictEqual(error.reason.toolName, "LaunchRocket")
              assert.deepStrictEqual(error.reason.availableTools, ["GetWeather"])
            }
          }
        })
      ).pipe(Effect.provide(WeatherLive))
    )

    it.live("arguments that do not decode are ToolParameterValidationError", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply(
            ProviderServer.answer({ toolCalls: [{ id: "call_1", name: "GetWeather", arguments: `{"city":42}` }] })
          )
          const error = yield* Effect.flip(LanguageModel.generateText({ prompt: "Weather?", toolkit: Weather }))
          assert.strictEqual(error.reason._tag, "ToolParameterValidationError")
        })
      ).pipe(Effect.provide(WeatherLive))
    )
  })

  describe("reasoning", () => {
    it.live("reasoning comes as its own parts and its proof goes back to the provider", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          if (!provider.reasons) return
          const thoughtful = { reasoning: "let me see", text: "Four" }
          yield* server.reply(
            ProviderServer.answer(thoughtful),
            ProviderServer.answer(thoughtful),
            ProviderServer.answer({ text: "ok" }),
            ProviderServer.answer({ text: "ok" })
          )
          const whole = yield* LanguageModel.generateText({ prompt: "2+2?" })
          assert.strictEqual(whole.reasoningText, "let me see")
          assert.strictEqual(whole.text, "Four")
          const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "2+2?" }))
          assert.strictEqual(textOf(parts, "reasoning-delta"), "let me see")
          for (const content of [whole.content, parts]) {
            yield* LanguageModel.generateText({
              prompt: Prompt.make("2+2?").pipe(Prompt.concat(Prompt.fromResponseParts(content)), Prompt.concat("Sure?"))
            })
            const sent = JSON.stringify(server.requests.at(-1)?.body)
            assert.include(sent, provider.reasoningProof)
          }
        })
      )
    )
  })

  describe("failures", () => {
    const kinds = ["whole", "streamed"] as const

    it.live.each(kinds)("a refused key is AuthenticationError and is not shown (%s)", (kind) =>
      Effect.gen(function* () {
        const body = {
          type: "error",
          error: { message: `Incorrect API key provided: ${apiKey}.`, type: "authentication_error" },
          request: { headers: { authorization: `Bearer ${apiKey}`, "x-api-key": apiKey } }
        }
        const error = yield* failureOf(provider, { _tag: "Status", status: 401, body }, kind)
        assert.strictEqual(error.reason._tag, "AuthenticationError")
        assert.isFalse(error.isRetryable)
        assert.include(error.message, "Incorrect API key provided")
        const json = JSON.stringify(Schema.encodeSync(Schema.toCodecJson(AiError.AiError))(error))
        for (const shown of [error.message, String(error.cause), json, JSON.stringify(error), String(error.stack)]) {
          assert.notInclude(shown, apiKey)
        }
      })
    )

    it.live.each(kinds)("a rate limit is RateLimitError with the time to wait (%s)", (kind) =>
      Effect.gen(function* () {
        const error = yield* failureOf(
          provider,
          {
            _tag: "Status",
            status: 429,
            body: { type: "error", error: { message: "slow down", type: "rate_limit_error" } },
            headers: { "retry-after": "7" }
          },
          kind
        )
        assert.strictEqual(error.reason._tag, "RateLimitError")
        assert.isTrue(error.isRetryable)
        assert.strictEqual(error.retryAfter && Duration.toSeconds(error.retryAfter), 7)
      })
    )

    it.live.each(kinds)("a failing server is InternalProviderError, which may be retried (%s)", (kind) =>
      Effect.gen(function* () {
        const body = { type: "error", error: { message: "boom", type: "server_error" } }
        const error = yield* failureOf(provider, { _tag: "Status", status: 500, body }, kind)
        assert.strictEqual(error.reason._tag, "InternalProviderError")
        assert.isTrue(error.isRetryable)
        assert.include(error.message, "boom")
      })
    )

    it.live.each(kinds)("a request the provider refuses is InvalidRequestError with its words (%s)", (kind) =>
      Effect.gen(function* () {
        const body = {
          type: "error",
          error: { message: "temperature must be at most 2", type: "invalid_request_error" }
        }
        const error = yield* failureOf(provider, { _tag: "Status", status: 400, body }, kind)
        assert.strictEqual(error.reason._tag, "InvalidRequestError")
        assert.isFalse(error.isRetryable)
        assert.include(error.message, "temperature must be at most 2")
      })
    )

    it.live("a body that is not JSON is InvalidResponseError", () =>
      Effect.gen(function* () {
        const error = yield* failureOf(provider, { _tag: "Text", text: "{nope" }, "whole")
        assert.strictEqual(error.reason._tag, "InvalidResponseError")
      })
    )

    it.live("a stream event that is not JSON fails the stream", () =>
      Effect.gen(function* () {
        const error = yield* failureOf(provider, { _tag: "Text", text: "data: {nope\n\n" }, "streamed")
        assert.strictEqual(error.reason._tag, provider.malformedEvent)
      })
    )

    it.live("a body cut off by a broken connection is a retryable NetworkError", () =>
      Effect.gen(function* () {
        const error = yield* failureOf(provider, { _tag: "Dies", answer: { text: "never complete" } }, "whole")
        assert.strictEqual(error.reason._tag, "NetworkError")
        assert.isTrue(error.isRetryable)
      })
    )

    it.live("a stream whose connection breaks delivers what came and then fails with a retryable NetworkError", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply({ _tag: "Dies", answer: { text: "one two three four five six" }, events: 6 })
          const seen: Array<string> = []
          const error = yield* LanguageModel.streamText({ prompt: "Count" }).pipe(
            Stream.runForEach((part) =>
              Effect.sync(() => {
                if (part.type === "text-delta") seen.push(part.delta)
              })
            ),
            Effect.flip
          )
          assert.strictEqual(error.reason._tag, "NetworkError")
          assert.isTrue(error.isRetryable)
          assert.include(seen.join(""), "one")
        })
      )
    )

    it.live("a stream that closes before the model finished fails instead of looking complete", () =>
      Effect.gen(function* () {
        const reply = { _tag: "EndsEarly", answer: { text: "one two three four five six" }, events: 6 } as const
        const error = yield* failureOf(provider, reply, "streamed")
        assert.strictEqual(error.reason._tag, "InternalProviderError")
      })
    )

    it.live("an error event in the middle of a stream fails it with the provider's words", () =>
      Effect.gen(function* () {
        const event =
          provider.path === "/v1/responses"
            ? { type: "error", sequence_number: 99, error: { type: "server_error", code: null, message: "lost it" } }
            : { type: "error", error: { type: "overloaded_error", message: "lost it" } }
        const reply = { _tag: "Inserts", answer: { text: "one two three four five six" }, events: 6, event } as const
        const error = yield* failureOf(provider, reply, "streamed")
        assert.strictEqual(error.reason._tag, "InternalProviderError")
        assert.include(error.message, "lost it")
      })
    )

    it.live.each(kinds)("a server that cannot be reached is NetworkError with its address (%s)", (kind) =>
      Effect.gen(function* () {
        const baseURL = yield* Effect.scoped(Effect.map(ProviderServer.make, (server) => server.baseURL))
        const call =
          kind === "whole"
            ? Effect.asVoid(LanguageModel.generateText({ prompt: "Hi" }))
            : Stream.runDrain(LanguageModel.streamText({ prompt: "Hi" }))
        const error = yield* Effect.flip(Effect.provide(call, AiSdk.layer(provider.model(baseURL))))
        assert.strictEqual(error.reason._tag, "NetworkError")
        assert.include(error.message, provider.path)
      })
    )
  })

  describe("abort", () => {
    it.live("interrupting a call that is not answered closes the request at the server", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply({ _tag: "Hangs" })
          const fiber = yield* Effect.forkChild(LanguageModel.generateText({ prompt: "Hi" }))
          const request = yield* server.nextRequest
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(yield* request.closed, "aborted")
        })
      )
    )

    it.live("interrupting a stream that has not begun closes the request at the server", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply({ _tag: "Hangs" })
          const fiber = yield* Effect.forkChild(Stream.runDrain(LanguageModel.streamText({ prompt: "Hi" })))
          const request = yield* server.nextRequest
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(yield* request.closed, "aborted")
        })
      )
    )

    it.live("interrupting a stream in its middle closes the request at the server", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply({ _tag: "Hangs", answer: { text: "one two three four five six" }, events: 6 })
          const seen = yield* Deferred.make<void>()
          const fiber = yield* LanguageModel.streamText({ prompt: "Count" }).pipe(
            Stream.runForEach((part) =>
              part.type === "text-delta" && part.delta.includes("one") ? Deferred.succeed(seen, undefined) : Effect.void
            ),
            Effect.forkChild
          )
          yield* Deferred.await(seen)
          yield* Fiber.interrupt(fiber)
          const [request] = server.requests
          assert.strictEqual(yield* request!.closed, "aborted")
        })
      )
    )

    it.live("a stream that is not read to its end closes the request at the server", () =>
      withServer(provider, (server) =>
        Effect.gen(function* () {
          yield* server.reply({ _tag: "Hangs", answer: { text: "one two three four five six" }, events: 6 })
          const first = yield* LanguageModel.streamText({ prompt: "Count" }).pipe(
            Stream.filter((part) => part.type === "text-delta"),
            Stream.runHead
          )
          assert.isTrue(first._tag === "Some")
          const [request] = server.requests
          assert.strictEqual(yield* request!.closed, "aborted")
        })
      )
    )
  })
})
