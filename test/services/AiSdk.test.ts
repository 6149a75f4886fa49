import { readFile } from "node:fs/promises"
import {
  APICallError,
  InvalidPromptError,
  type LanguageModelV4Content,
  type LanguageModelV4GenerateResult,
  type LanguageModelV4StreamPart,
  type LanguageModelV4Usage,
  LoadAPIKeyError,
  NoSuchModelError
} from "@ai-sdk/provider"
import { assert, describe, it } from "@effect/vitest"
import { convertArrayToReadableStream, MockLanguageModelV3, MockLanguageModelV4 } from "ai/test"
import { Duration, Effect, Exit, Redacted, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import * as AiSdk from "../../src/services/AiSdk.ts"

const usage: LanguageModelV4Usage = {
  inputTokens: { total: 10, noCache: 6, cacheRead: 3, cacheWrite: 1 },
  outputTokens: { total: 7, text: 5, reasoning: 2 }
}

const stop = { unified: "stop", raw: "stop" } as const

const generated = (
  content: ReadonlyArray<LanguageModelV4Content>,
  rest: Partial<LanguageModelV4GenerateResult> = {}
): LanguageModelV4GenerateResult => ({
  content: [...content],
  finishReason: content.some((part) => part.type === "tool-call") ? { unified: "tool-calls", raw: "" } : stop,
  usage,
  warnings: [],
  ...rest
})

const says = (text: string) => generated([{ type: "text", text }])

const streams = (...parts: ReadonlyArray<LanguageModelV4StreamPart>) =>
  new MockLanguageModelV4({ doStream: { stream: convertArrayToReadableStream([...parts]) } })

const finishPart: LanguageModelV4StreamPart = { type: "finish", usage, finishReason: stop }

const provideModel = (model: AiSdk.AiSdkModel, options?: AiSdk.Options) => Effect.provide(AiSdk.layer(model, options))

const contentOf = (content: ReadonlyArray<LanguageModelV4Content>, rest?: Partial<LanguageModelV4GenerateResult>) =>
  LanguageModel.generateText({ prompt: "Hi" }).pipe(
    provideModel(new MockLanguageModelV4({ doGenerate: generated(content, rest) }))
  )

const Search = Tool.make("Search", {
  parameters: Schema.Struct({ query: Schema.String, limit: Schema.optionalKey(Schema.Int) }),
  success: Schema.String
})

const png = new Uint8Array([137, 80, 78, 71])
const pngBase64 = "iVBORw=="

describe("AiSdk requests", () => {
  const everything = Prompt.make([
    { role: "system", content: "Be brief.", options: { anthropic: { cacheControl: { type: "ephemeral" } } } },
    {
      role: "user",
      content: [
        { type: "text", text: "Look" },
        { type: "file", mediaType: "image/png", data: png, fileName: "a.png" },
        { type: "file", mediaType: "image/png", data: pngBase64 },
        { type: "file", mediaType: "image/png", data: `data:image/png;base64,${pngBase64}` },
        { type: "file", mediaType: "image/png", data: new URL("https://example.com/a.png") }
      ]
    },
    {
      role: "assistant",
      content: [
        { type: "reasoning", text: "hm", options: { anthropic: { signature: "signed" } } },
        { type: "text", text: "" },
        { type: "tool-call", id: "1", name: "Search", params: { query: "x" } },
        { type: "tool-call", id: "2", name: "Search", params: "{broken" }
      ]
    },
    {
      role: "tool",
      content: [
        { type: "tool-result", id: "1", name: "Search", isFailure: false, result: { hits: 1, none: undefined } },
        { type: "tool-result", id: "2", name: "Search", isFailure: true, result: "not JSON" },
        {
          type: "tool-result",
          id: "3",
          name: "Search",
          isFailure: true,
          result: { type: "execution-denied", reason: "no" }
        },
        {
          type: "tool-result",
          id: "4",
          name: "Search",
          isFailure: false,
          result: {},
          modelOutput: [
            { type: "text", text: "see" },
            { type: "file", mediaType: "image/png", data: png }
          ]
        }
      ]
    }
  ])

  it.effect("a conversation reaches a V4 model whole, with options, files and tool results", () =>
    Effect.gen(function* () {
      const model = new MockLanguageModelV4({ doGenerate: says("ok") })
      yield* LanguageModel.generateText({ prompt: everything }).pipe(provideModel(model))
      const image = { type: "file", mediaType: "image/png" }
      assert.deepStrictEqual(model.doGenerateCalls[0]?.prompt as unknown, [
        {
          role: "system",
          content: "Be brief.",
          providerOptions: { anthropic: { cacheControl: { type: "ephemeral" } } }
        },
        {
          role: "user",
          content: [
            { type: "text", text: "Look" },
            { ...image, data: { type: "data", data: png }, filename: "a.png" },
            { ...image, data: { type: "data", data: pngBase64 } },
            { ...image, data: { type: "data", data: pngBase64 } },
            { ...image, data: { type: "url", url: new URL("https://example.com/a.png") } }
          ]
        },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "hm", providerOptions: { anthropic: { signature: "signed" } } },
            { type: "tool-call", toolCallId: "1", toolName: "Search", input: { query: "x" } },
            { type: "tool-call", toolCallId: "2", toolName: "Search", input: {} }
          ]
        },
        {
          role: "tool",
          content: [
            { type: "tool-result", toolCallId: "1", toolName: "Search", output: { type: "json", value: { hits: 1 } } },
            {
              type: "tool-result",
              toolCallId: "2",
              toolName: "Search",
              output: { type: "error-text", value: "not JSON" }
            },
            {
              type: "tool-result",
              toolCallId: "3",
              toolName: "Search",
              output: { type: "execution-denied", reason: "no" }
            },
            {
              type: "tool-result",
              toolCallId: "4",
              toolName: "Search",
              output: {
                type: "content",
                value: [
                  { type: "text", text: "see" },
                  { ...image, data: { type: "data", data: png } }
                ]
              }
            }
          ]
        }
      ])
    })
  )

  it.effect("a V3 model gets files as bare data and as the file parts of its tool results", () =>
    Effect.gen(function* () {
      const model = new MockLanguageModelV3({
        doGenerate: { content: [{ type: "text", text: "ok" }], finishReason: stop, usage, warnings: [] }
      })
      const response = yield* LanguageModel.generateText({ prompt: everything }).pipe(
        provideModel(model, { reasoning: "low", temperature: 0 })
      )
      assert.strictEqual(response.text, "ok")
      const call = model.doGenerateCalls[0]
      assert.strictEqual(call?.temperature, 0)
      assert.notProperty(call, "reasoning")
      const [, user, , tool] = call?.prompt ?? []
      assert.deepStrictEqual(
        user?.role === "user" ? user.content.map((part) => (part.type === "file" ? part.data : part.text)) : undefined,
        ["Look", png, pngBase64, pngBase64, new URL("https://example.com/a.png")]
      )
      const last = tool?.role === "tool" ? tool.content.at(-1) : undefined
      assert.deepStrictEqual(last?.type === "tool-result" ? last.output : undefined, {
        type: "content",
        value: [
          { type: "text", text: "see" },
          { type: "file-data", mediaType: "image/png", data: pngBase64 }
        ]
      })
    })
  )

  it.effect("settings go with every call", () =>
    Effect.gen(function* () {
      const model = new MockLanguageModelV4({ doGenerate: says("ok") })
      yield* LanguageModel.generateText({ prompt: "Hi" }).pipe(
        provideModel(model, { temperature: 0.5, seed: 7, providerOptions: { openai: { store: false } } })
      )
      const call = model.doGenerateCalls[0]
      assert.strictEqual(call?.temperature, 0.5)
      assert.strictEqual(call?.seed, 7)
      assert.deepStrictEqual(call?.providerOptions, { openai: { store: false } })
      assert.notProperty(call, "tools")
      assert.instanceOf(call?.abortSignal, AbortSignal)
    })
  )

  it.effect("tools carry their description, JSON Schema, strictness and the choice among them", () =>
    Effect.gen(function* () {
      const Strict = Tool.make("Strict", {
        description: "d",
        parameters: Schema.Struct({ a: Schema.optionalKey(Schema.String) })
      }).annotate(Tool.Strict, true)
      const WebSearch = Tool.providerDefined({
        id: "openai.web_search",
        customName: "WebSearch",
        providerName: "web_search",
        args: Schema.Struct({ size: Schema.String }),
        success: Schema.Unknown
      })({ size: "low" })
      const toolkit = Toolkit.make(Search, Strict, WebSearch)
      const model = new MockLanguageModelV4({ provider: "openai.chat", doGenerate: says("ok") })
      const ask = (toolChoice: LanguageModel.ToolChoice<"Search" | "Strict" | "WebSearch">) =>
        LanguageModel.generateText({ prompt: "Hi", toolkit, toolChoice }).pipe(
          Effect.provide(toolkit.toLayer({ Search: () => Effect.succeed(""), Strict: () => Effect.void })),
          provideModel(model)
        )
      yield* ask("required")
      yield* ask({ tool: "Search" })
      yield* ask({ mode: "required", oneOf: ["Search"] })
      const [all, named, some] = model.doGenerateCalls
      assert.deepStrictEqual(all?.toolChoice, { type: "required" })
      assert.deepStrictEqual(named?.toolChoice, { type: "tool", toolName: "Search" })
      assert.deepStrictEqual(some?.toolChoice, { type: "required" })
      assert.deepStrictEqual(
        some?.tools?.map((tool) => tool.name),
        ["Search"]
      )
      const [search, strict, webSearch] = all?.tools ?? []
      assert.deepInclude(search, { type: "function", name: "Search" })
      assert.deepNestedInclude(search, { "inputSchema.required": ["query"] })
      assert.deepInclude(strict, { type: "function", description: "d", strict: true })
      assert.deepNestedInclude(strict, { "inputSchema.required": ["a"] }, "OpenAI wants every field of a strict tool")
      assert.deepStrictEqual(webSearch, {
        type: "provider",
        id: "openai.web_search",
        name: "WebSearch",
        args: { size: "low" }
      })
    })
  )

  it.effect("structured output asks for a draft-07 schema with its definitions", () =>
    Effect.gen(function* () {
      const City = Schema.Struct({ name: Schema.String }).annotate({ identifier: "City" })
      const model = new MockLanguageModelV4({ doGenerate: says(`{"from":{"name":"Rome"},"to":{"name":"Oslo"}}`) })
      const response = yield* LanguageModel.generateObject({
        prompt: "A trip",
        objectName: "trip",
        schema: Schema.Struct({ from: City, to: City })
      }).pipe(provideModel(model))
      assert.deepStrictEqual(response.value, { from: { name: "Rome" }, to: { name: "Oslo" } })
      const format = model.doGenerateCalls[0]?.responseFormat
      assert.strictEqual(format?.type, "json")
      if (format?.type !== "json") return
      assert.strictEqual(format.name, "trip")
      assert.deepNestedInclude(format.schema, { "properties.from": { $ref: "#/definitions/City" } })
      assert.deepNestedInclude(format.schema, { "definitions.City.required": ["name"] })
    })
  )

  it.effect("a schema the provider cannot take is UnsupportedSchemaError and nothing is sent", () =>
    Effect.gen(function* () {
      const model = new MockLanguageModelV4({ provider: "openai.responses", doGenerate: says("{}") })
      const error = yield* LanguageModel.generateObject({
        prompt: "Hi",
        schema: Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })])
      }).pipe(provideModel(model), Effect.flip)
      assert.strictEqual(error.reason._tag, "UnsupportedSchemaError")
      assert.lengthOf(model.doGenerateCalls, 0)
    })
  )

  it.effect("a prompt that cannot be written is InvalidUserInputError and nothing is sent", () =>
    Effect.gen(function* () {
      const model = new MockLanguageModelV4({ doGenerate: says("ok") })
      const file = { type: "file", mediaType: "text/plain", data: "data:text/plain,%E0%A4%A" } as const
      const error = yield* LanguageModel.generateText({ prompt: [{ role: "user", content: [file] }] }).pipe(
        provideModel(model),
        Effect.flip
      )
      assert.strictEqual(error.reason._tag, "InvalidUserInputError")
      assert.lengthOf(model.doGenerateCalls, 0)
    })
  )

  it.effect("a provider that only promises JSON is told the schema in the first system message", () =>
    Effect.gen(function* () {
      const model = Object.assign(new MockLanguageModelV4({ doGenerate: says(`{"n":1}`) }), {
        supportsStructuredOutputs: false
      })
      const response = yield* LanguageModel.generateObject({
        prompt: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "A number" }
        ],
        schema: Schema.Struct({ n: Schema.Int })
      }).pipe(provideModel(model))
      assert.deepStrictEqual(response.value, { n: 1 })
      const [system, ...rest] = model.doGenerateCalls[0]?.prompt ?? []
      assert.lengthOf(rest, 1)
      assert.match(String(system?.content), /^Be brief\.\n\nAnswer with nothing but JSON .*"required":\["n"\]/s)
    })
  )

  it.effect("the provider's shape of an object is decoded back, nulls to absent and entries to records", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({
        name: Schema.String,
        nick: Schema.optionalKey(Schema.String),
        tags: Schema.Record(Schema.String, Schema.String)
      })
      const text = `{"name":"Ann","nick":null,"tags":[{"0":"k","1":"v"}]}`
      const model = new MockLanguageModelV4({ provider: "openai.chat", doGenerate: says(text) })
      const response = yield* LanguageModel.generateObject({ prompt: "Hi", schema }).pipe(provideModel(model))
      assert.deepStrictEqual(response.value, { name: "Ann", tags: { k: "v" } })
    })
  )
})

describe("AiSdk responses", () => {
  it.effect("usage, finish reason and response metadata come through", () =>
    Effect.gen(function* () {
      const response = yield* contentOf([{ type: "text", text: "ok" }], {
        finishReason: { unified: "length", raw: "max" },
        response: { id: "r1", modelId: "m1", timestamp: new Date(0) },
        providerMetadata: { openai: { tier: "flex", none: undefined } }
      })
      assert.strictEqual(response.finishReason, "length")
      assert.deepStrictEqual({ ...response.usage.inputTokens }, { total: 10, uncached: 6, cacheRead: 3, cacheWrite: 1 })
      assert.deepStrictEqual({ ...response.usage.outputTokens }, { total: 7, text: 5, reasoning: 2 })
      const metadata = response.content.find((part) => part.type === "response-metadata")
      assert.strictEqual(metadata?.id, "r1")
      assert.strictEqual(metadata?.timestamp?.epochMilliseconds, 0)
      const finish = response.content.find((part) => part.type === "finish")
      assert.deepStrictEqual(finish?.metadata, { openai: { tier: "flex" } })
    })
  )

  it.effect("usage that is missing or not a whole number is left out and spoils nothing", () =>
    Effect.gen(function* () {
      const broken = { inputTokens: { total: Number.NaN }, outputTokens: { total: 1.5 } }
      for (const reported of [undefined, {}, broken]) {
        // Providers written in JavaScript do this, whatever the types say.
        const response = yield* contentOf([{ type: "text", text: "ok" }], { usage: reported as LanguageModelV4Usage })
        assert.strictEqual(response.text, "ok")
        assert.isUndefined(response.usage.inputTokens.total)
        assert.isUndefined(response.usage.outputTokens.total)
      }
    })
  )

  it.effect("files, sources and reasoning files come through, links to files as sources", () =>
    Effect.gen(function* () {
      const response = yield* contentOf([
        { type: "file", mediaType: "image/png", data: { type: "data", data: pngBase64 } },
        { type: "reasoning-file", mediaType: "image/png", data: { type: "data", data: png } },
        { type: "file", mediaType: "image/png", data: { type: "url", url: new URL("https://example.com/a.png") } },
        { type: "source", sourceType: "url", id: "s1", url: "https://example.com/", title: "Example" },
        { type: "source", sourceType: "url", id: "s2", url: "not a url" },
        {
          type: "source",
          sourceType: "document",
          id: "s3",
          mediaType: "application/pdf",
          title: "Paper",
          filename: "p.pdf"
        },
        { type: "custom", kind: "openai.compaction" }
      ])
      const shown = response.content.flatMap(
        (part): ReadonlyArray<unknown> =>
          part.type === "file" ? [part.data] : part.type === "source" ? [part.title] : []
      )
      assert.deepStrictEqual(shown, [png, png, "image/png", "Example", "Paper"])
    })
  )

  it.effect("a V3 model's file is bare base64", () =>
    Effect.gen(function* () {
      const model = new MockLanguageModelV3({
        doGenerate: {
          content: [{ type: "file", mediaType: "image/png", data: pngBase64 }],
          finishReason: stop,
          usage,
          warnings: []
        }
      })
      const response = yield* LanguageModel.generateText({ prompt: "Draw" }).pipe(provideModel(model))
      const file = response.content.find((part) => part.type === "file")
      assert.deepStrictEqual(file?.data, png)
    })
  )

  it.effect("of several texts, the one the provider names is the object", () =>
    Effect.gen(function* () {
      const result = generated(
        [
          { type: "text", text: "draft {" },
          { type: "text", text: `{"n":1}` }
        ],
        { structuredOutputText: `{"n":1}` }
      )
      const response = yield* LanguageModel.generateObject({
        prompt: "Hi",
        schema: Schema.Struct({ n: Schema.Int })
      }).pipe(provideModel(new MockLanguageModelV4({ doGenerate: result })))
      assert.deepStrictEqual(response.value, { n: 1 })
    })
  )

  it.effect("metadata of a part goes back to the provider as the options of the next prompt's part", () =>
    Effect.gen(function* () {
      const signed = { anthropic: { signature: "signed" } }
      const model = new MockLanguageModelV4({
        doGenerate: generated([
          { type: "reasoning", text: "hm", providerMetadata: signed },
          { type: "text", text: "ok" }
        ])
      })
      yield* Effect.gen(function* () {
        const first = yield* LanguageModel.generateText({ prompt: "Hi" })
        yield* LanguageModel.generateText({ prompt: Prompt.fromResponseParts(first.content) })
      }).pipe(provideModel(model))
      assert.deepStrictEqual(model.doGenerateCalls[1]?.prompt as unknown, [
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "hm", providerOptions: signed },
            { type: "text", text: "ok" }
          ]
        }
      ])
    })
  )
})

describe("AiSdk tool calls", () => {
  const calls = (input: string, toolName = "Search"): ReadonlyArray<LanguageModelV4Content> => [
    { type: "tool-call", toolCallId: "1", toolName, input }
  ]

  const askWith = <Tools extends Record<string, Tool.Any>>(
    toolkit: Toolkit.Toolkit<Tools>,
    content: ReadonlyArray<LanguageModelV4Content>,
    provider = "mock"
  ) =>
    LanguageModel.generateText({ prompt: "Hi", toolkit }).pipe(
      provideModel(new MockLanguageModelV4({ provider, doGenerate: generated(content) }))
    )

  it.effect("a tool without parameters is called with empty input", () =>
    Effect.gen(function* () {
      const toolkit = Toolkit.make(Tool.make("Now", { success: Schema.String }))
      const response = yield* askWith(toolkit, calls("", "Now")).pipe(
        Effect.provide(toolkit.toLayer({ Now: () => Effect.succeed("noon") }))
      )
      assert.strictEqual(response.toolResults[0]?.result, "noon")
    })
  )

  it.effect("arguments that are not JSON fail like any that do not decode", () =>
    Effect.gen(function* () {
      const toolkit = Toolkit.make(Search)
      const error = yield* askWith(toolkit, calls(`{"query": "ca`)).pipe(
        Effect.provide(toolkit.toLayer({ Search: () => Effect.succeed("") })),
        Effect.flip
      )
      assert.strictEqual(error.reason._tag, "ToolParameterValidationError")
    })
  )

  it.effect("arguments that are not JSON go back to the model when the tool returns its failures", () =>
    Effect.gen(function* () {
      const Forgiving = Tool.make("Search", {
        parameters: Schema.Struct({ query: Schema.String }),
        success: Schema.String,
        failureMode: "return"
      })
      const toolkit = Toolkit.make(Forgiving)
      const response = yield* askWith(toolkit, calls(`{"__proto__":{}, "query":"x"}`)).pipe(
        Effect.provide(toolkit.toLayer({ Search: () => Effect.succeed("") }))
      )
      const [result] = response.toolResults
      assert.isTrue(result?.isFailure)
      assert.isTrue(AiError.isAiError(result?.result))
    })
  )

  it.effect("a strict tool's arguments come in the provider's shape and reach the handler in the declared one", () =>
    Effect.gen(function* () {
      const Strict = Search.annotate(Tool.Strict, true)
      const toolkit = Toolkit.make(Strict)
      const response = yield* askWith(toolkit, calls(`{"query":"x","limit":null}`), "openai.chat").pipe(
        Effect.provide(toolkit.toLayer({ Search: (params) => Effect.succeed(JSON.stringify(params)) }))
      )
      assert.strictEqual(response.toolResults[0]?.result, `{"query":"x"}`)
    })
  )

  it.effect("an unknown tool's call is handed on when the caller validates for itself", () =>
    Effect.gen(function* () {
      const model = new MockLanguageModelV4({ doGenerate: generated(calls(`{"a":1}`, "Unknown")) })
      const response = yield* LanguageModel.generateText({
        prompt: "Hi",
        disableToolCallResolution: true,
        toolCallValidation: "deferred"
      }).pipe(provideModel(model))
      assert.deepStrictEqual(
        response.toolCalls.map((call) => [call.name, call.params]),
        [["Unknown", { a: 1 }]]
      )
    })
  )

  it.effect("a tool that the provider runs comes with its result", () =>
    Effect.gen(function* () {
      const WebSearch = Tool.providerDefined({
        id: "openai.web_search",
        customName: "WebSearch",
        providerName: "web_search",
        args: Schema.Struct({}),
        parameters: Schema.Struct({ q: Schema.String }),
        success: Schema.Struct({ hits: Schema.Int })
      })({})
      const toolkit = Toolkit.make(WebSearch)
      const response = yield* askWith(toolkit, [
        { type: "tool-call", toolCallId: "1", toolName: "WebSearch", input: `{"q":"x"}`, providerExecuted: true },
        { type: "tool-result", toolCallId: "1", toolName: "WebSearch", result: { hits: 3 } },
        { type: "text", text: "three" }
      ])
      assert.deepStrictEqual(response.toolResults[0]?.result, { hits: 3 })
      assert.isTrue(response.toolResults[0]?.providerExecuted)
    })
  )
})

describe("AiSdk streams", () => {
  it.effect("every part with a counterpart comes through in order", () =>
    Effect.gen(function* () {
      const model = streams(
        { type: "stream-start", warnings: [{ type: "other", message: "careful" }] },
        { type: "ping" },
        { type: "raw", rawValue: 1 },
        { type: "response-metadata", id: "r1" },
        { type: "reasoning-start", id: "0" },
        { type: "reasoning-delta", id: "0", delta: "hm" },
        { type: "reasoning-end", id: "0", providerMetadata: { anthropic: { signature: "signed" } } },
        { type: "text-start", id: "1" },
        { type: "text-delta", id: "1", delta: "ok" },
        { type: "text-end", id: "1" },
        { type: "file", mediaType: "image/png", data: { type: "data", data: pngBase64 } },
        { type: "custom", kind: "openai.compaction" },
        finishPart
      )
      const parts = yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.provide(AiSdk.layer(model)),
        Stream.runCollect
      )
      assert.deepStrictEqual(
        parts.map((part) => part.type),
        [
          "response-metadata",
          "reasoning-start",
          "reasoning-delta",
          "reasoning-end",
          "text-start",
          "text-delta",
          "text-end",
          "file",
          "finish"
        ]
      )
      const prompt = Prompt.fromResponseParts(parts)
      assert.deepNestedInclude(prompt.content[0], { "content[0].options": { anthropic: { signature: "signed" } } })
    })
  )

  const runStream = (model: AiSdk.AiSdkModel) =>
    LanguageModel.streamText({ prompt: "Hi" }).pipe(Stream.provide(AiSdk.layer(model)), Stream.runDrain, Effect.flip)

  it.effect("a stream without a finish, or with an interrupted one, is a retryable error", () =>
    Effect.gen(function* () {
      const text = { type: "text-start", id: "1" } as const
      const interrupted = { unified: "interrupted", raw: undefined } as const
      for (const model of [streams(text), streams(text, { ...finishPart, finishReason: interrupted })]) {
        const error = yield* runStream(model)
        assert.strictEqual(error.reason._tag, "InternalProviderError")
        assert.isTrue(error.isRetryable)
        assert.include(error.message, "mock-provider/mock-model-id")
      }
    })
  )

  it.effect("error parts are told apart by what they say", () =>
    Effect.gen(function* () {
      const tagOf = (error: unknown) =>
        Effect.map(runStream(streams({ type: "error", error })), (error) => error.reason._tag)
      assert.strictEqual(yield* tagOf({ message: "busy", type: "overloaded_error" }), "InternalProviderError")
      assert.strictEqual(yield* tagOf({ message: "slow", type: "rate_limit_error" }), "RateLimitError")
      assert.strictEqual(yield* tagOf({ message: "no", code: "insufficient_quota" }), "QuotaExhaustedError")
      assert.strictEqual(yield* tagOf({ message: "no", type: "invalid_request_error" }), "InvalidRequestError")
      assert.strictEqual(yield* tagOf({ message: "?", statusCode: 503 }), "InternalProviderError")
      assert.strictEqual(yield* tagOf({ message: "?", isRetryable: true }), "InternalProviderError")
      assert.strictEqual(yield* tagOf({ message: "?" }), "UnknownError")
      assert.strictEqual(yield* tagOf("text"), "UnknownError")
      assert.strictEqual(yield* tagOf(new TypeError("terminated")), "NetworkError")
    })
  )

  it.effect("a slow cancel of the provider does not hold an interruption", () =>
    Effect.gen(function* () {
      let cancelled = false
      const stream = new ReadableStream<LanguageModelV4StreamPart>({
        start: (controller) => controller.enqueue({ type: "text-start", id: "1" }),
        cancel: () => {
          cancelled = true
          return new Promise(() => {})
        }
      })
      const model = new MockLanguageModelV4({ doStream: { stream } })
      yield* LanguageModel.streamText({ prompt: "Hi" }).pipe(
        Stream.provide(AiSdk.layer(model)),
        Stream.take(1),
        Stream.runDrain
      )
      assert.isTrue(cancelled)
      assert.isTrue(model.doStreamCalls[0]?.abortSignal?.aborted)
    })
  )
})

describe("AiSdk errors", () => {
  const errorOf = (thrown: unknown, options?: AiSdk.Options) =>
    LanguageModel.generateText({ prompt: "Hi" }).pipe(
      provideModel(new MockLanguageModelV4({ doGenerate: () => Promise.reject(thrown) }), options),
      Effect.flip
    )

  const refused = (statusCode: number, rest: { headers?: Record<string, string>; body?: string } = {}) =>
    new APICallError({
      message: "refused",
      url: "https://api.example.com/v1/chat?key=secret-in-url",
      requestBodyValues: { prompt: "private" },
      statusCode,
      ...(rest.headers && { responseHeaders: rest.headers }),
      ...(rest.body !== undefined && { responseBody: rest.body })
    })

  const statuses: ReadonlyArray<readonly [number, AiError.AiErrorReason["_tag"], boolean]> = [
    [400, "InvalidRequestError", false],
    [401, "AuthenticationError", false],
    [402, "QuotaExhaustedError", false],
    [403, "AuthenticationError", false],
    [404, "InvalidRequestError", false],
    [408, "InternalProviderError", true],
    [409, "InternalProviderError", true],
    [413, "InvalidRequestError", false],
    [422, "InvalidRequestError", false],
    [429, "RateLimitError", true],
    [500, "InternalProviderError", true],
    [503, "InternalProviderError", true],
    [529, "InternalProviderError", true]
  ]

  it.effect.each(statuses)("status %i is %s, retryable %s", ([status, tag, retryable]) =>
    Effect.gen(function* () {
      const error = yield* errorOf(refused(status))
      assert.strictEqual(error.reason._tag, tag)
      assert.strictEqual(error.isRetryable, retryable)
      assert.strictEqual(error.module, "AiSdk")
      assert.strictEqual(error.method, "generateText")
    })
  )

  it.effect("the words of the body tell a used-up quota and a content policy from other refusals", () =>
    Effect.gen(function* () {
      const quota = yield* errorOf(refused(429, { body: `{"error":{"code":"insufficient_quota"}}` }))
      assert.strictEqual(quota.reason._tag, "QuotaExhaustedError")
      const policy = yield* errorOf(refused(400, { body: `{"error":{"code":"content_policy_violation"}}` }))
      assert.strictEqual(policy.reason._tag, "ContentPolicyError")
    })
  )

  it.effect("the time to wait is read from milliseconds, seconds or a date", () =>
    Effect.gen(function* () {
      const waits = (headers: Record<string, string>) =>
        Effect.map(
          errorOf(refused(429, { headers })),
          (error) => error.retryAfter && Duration.toMillis(error.retryAfter)
        )
      assert.strictEqual(yield* waits({ "retry-after-ms": "250", "retry-after": "9" }), 250)
      assert.strictEqual(yield* waits({ "retry-after": "1.5" }), 1500)
      const date = "Wed, 21 Oct 2026 07:28:00 GMT"
      assert.strictEqual(yield* waits({ date, "retry-after": "Wed, 21 Oct 2026 07:28:30 GMT" }), 30_000)
      assert.isUndefined(yield* waits({ "retry-after": "soon" }))
      assert.isUndefined(yield* waits({}))
    })
  )

  it.effect("the AI SDK's own errors keep their meaning", () =>
    Effect.gen(function* () {
      const tagOf = (thrown: unknown) => Effect.map(errorOf(thrown), (error) => error.reason._tag)
      const missing = yield* errorOf(new LoadAPIKeyError({ message: "OPENAI_API_KEY is missing" }))
      assert.deepInclude(missing.reason, { _tag: "AuthenticationError", kind: "MissingKey" })
      assert.include(missing.message, "OPENAI_API_KEY")
      assert.strictEqual(
        yield* tagOf(new NoSuchModelError({ modelId: "x", modelType: "languageModel" })),
        "InvalidRequestError"
      )
      assert.strictEqual(
        yield* tagOf(new InvalidPromptError({ prompt: "", message: "empty" })),
        "InvalidUserInputError"
      )
      assert.strictEqual(yield* tagOf(new DOMException("late", "TimeoutError")), "NetworkError")
      assert.strictEqual(yield* tagOf(new Error("surprise")), "UnknownError")
      assert.strictEqual(yield* tagOf(undefined), "UnknownError")
    })
  )

  it.effect("nothing that looks like a credential is in an error, nor the prompt, and it round-trips as JSON", () =>
    Effect.gen(function* () {
      const secrets = [
        "sk-live-1234567890",
        "AIzaSyA1234567890abcdefgh",
        "tok_en.value",
        "p@ss-in-header",
        "secret-in-url"
      ]
      const [sk, google, bearer, own] = secrets
      const body = JSON.stringify({
        echo: { authorization: `Bearer ${bearer}`, "x-api-key": own },
        nested: JSON.stringify({ api_key: own }),
        message: `Incorrect API key provided: ${sk}, or ${google}`,
        own
      })
      const error = yield* errorOf(refused(401, { body, headers: { "set-cookie": `session=${own}`, "cf-ray": "7" } }), {
        headers: { "x-auth": own }
      })
      const AsJson = Schema.fromJsonString(Schema.toCodecJson(AiError.AiError))
      const json = Schema.encodeSync(AsJson)(error)
      const shown = [error.message, json, JSON.stringify(error), String(error.stack), String(error.cause)].join("\n")
      for (const secret of [...secrets, "private"]) assert.notInclude(shown, secret)
      assert.include(shown, "Incorrect API key provided")
      assert.include(shown, "cf-ray")
      const decoded = Schema.decodeSync(AsJson)(json)
      assert.strictEqual(decoded.message, error.message)
      assert.strictEqual(Schema.encodeSync(AsJson)(decoded), json)
    })
  )

  it.effect("no value of redact is in an error, be it cut off, in JSON, or in a URL", () =>
    Effect.gen(function* () {
      const secret = 'a "private" word/key'
      const body = JSON.stringify({ message: `${"x".repeat(985)} ${secret}`, url: `/?k=${encodeURIComponent(secret)}` })
      const thrown = new APICallError({
        message: `${"x".repeat(985)} ${secret}`,
        url: `https://api.example.com/${encodeURIComponent(secret)}/chat`,
        requestBodyValues: {},
        statusCode: 400,
        responseBody: body,
        responseHeaders: { "x-request-id": secret }
      })
      for (const error of [
        yield* errorOf(thrown, { redact: [Redacted.make(secret)] }),
        yield* errorOf(new TypeError("fetch failed", { cause: secret }), { redact: [Redacted.make(secret)] })
      ]) {
        const json = JSON.stringify(Schema.encodeSync(Schema.toCodecJson(AiError.AiError))(error))
        for (const part of ["private", "word"]) assert.notInclude(`${json} ${error.message}`, part)
      }
    })
  )

  it.effect("an unreachable server's error names its address without the query", () =>
    Effect.gen(function* () {
      const thrown = new APICallError({
        message: "Cannot connect to API",
        url: "https://user:pass@api.example.com/v1/chat?key=secret-in-url",
        requestBodyValues: {}
      })
      const error = yield* errorOf(thrown)
      assert.deepInclude(error.reason, { _tag: "NetworkError", url: "https://api.example.com/v1/chat" })
    })
  )

  it.effect("a model of another specification is refused when the layer is built", () =>
    Effect.gen(function* () {
      // What JavaScript callers and old provider packages do past the types.
      const old = { specificationVersion: "v2", provider: "p", modelId: "m" } as unknown as AiSdk.AiSdkModel
      const exit = yield* Effect.exit(AiSdk.make(old))
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(Exit.isFailure(exit) && exit.cause), "specification v3 or v4, and this one's is v2")
    })
  )
})

it.effect("nothing of the AI SDK is loaded by the adapter itself, only its types are named", () =>
  Effect.gen(function* () {
    const files = [
      new URL("../../src/services/AiSdk.ts", import.meta.url),
      ...["error", "prompt", "request", "response", "schema", "secrets", "v3"].map(
        (name) => new URL(`../../src/services/aiSdk/${name}.ts`, import.meta.url)
      )
    ]
    for (const file of files) {
      const source = yield* Effect.promise(() => readFile(file, "utf8"))
      const code = source.replace(/\/\*\*.*?\*\//gs, "")
      const imports = code.match(/import [^"]*"(@ai-sdk|ai)[^"]*"/g) ?? []
      for (const statement of imports) assert.match(statement, /^import type /, file.pathname)
    }
  })
)
