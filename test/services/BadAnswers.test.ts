/**
 * What becomes of a run when a provider answers badly, or not at all: real provider packages, a local server.
 */
import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Schema, Stream, Tracer } from "effect"
import { AiError, LanguageModel, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { Engine, type Execution, Models, Routing, Step, Workflow } from "../../src/index.ts"
import * as AiSdk from "../../src/services/AiSdk.ts"
import * as ProviderServer from "./aiSdk/providerServer.ts"

const apiKey = "sk-live-0123456789abcdef"
/** Nothing about it looks like a key. */
const oddKey = "correct horse battery"

const providers = [
  { name: "OpenAI Chat Completions", model: (baseURL: string) => createOpenAI({ baseURL, apiKey }).chat("gpt-4.1") },
  { name: "OpenAI Responses", model: (baseURL: string) => createOpenAI({ baseURL, apiKey }).responses("gpt-5") },
  { name: "Anthropic Messages", model: (baseURL: string) => createAnthropic({ baseURL, apiKey })("claude-sonnet-4-5") },
  {
    name: "an OpenAI-compatible server",
    model: (baseURL: string) =>
      createOpenAICompatible({ name: "local", baseURL, apiKey, supportsStructuredOutputs: true })("llama")
  }
]

const text = (prompt: string) => Effect.map(LanguageModel.generateText({ prompt }), (response) => response.text)
const streamed = (prompt: string) =>
  LanguageModel.streamText({ prompt }).pipe(
    Stream.runFold(
      () => "",
      (text, part) => (part.type === "text-delta" ? text + part.delta : text)
    )
  )

const whole = Workflow.make("whole", { run: text, error: AiError.AiError })
const flowing = Workflow.make("flowing", {
  run: streamed,
  error: AiError.AiError
})

/** Everything that an execution shows of itself, once it has settled. */
const observed = <A, E>(execution: Execution.Execution<A, E>) =>
  Effect.gen(function* () {
    const exit = yield* execution.exit
    const events = yield* Stream.runCollect(execution.events)
    return {
      exit,
      error: Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined,
      isTyped: Exit.isFailure(exit) && exit.cause.reasons.every((reason) => reason._tag === "Fail"),
      events,
      calls: events.filter((event) => event._tag === "ModelCalled"),
      deltas: events.flatMap((event) => (event._tag === "TextDelta" ? [event.text] : [])).join(""),
      usage: yield* execution.usage,
      logs: yield* execution.logs
    }
  })

describe.each(providers)("a run with $name", (provider) => {
  /** Runs a workflow against replies. */
  const run = <A, E>(
    workflow: Workflow.Workflow<string, A, E, LanguageModel.LanguageModel>,
    replies: ReadonlyArray<ProviderServer.Reply>,
    options: AiSdk.Options = {}
  ) =>
    Effect.gen(function* () {
      const server = yield* ProviderServer.make
      yield* server.reply(...replies)
      return yield* Effect.gen(function* () {
        const execution = yield* (yield* workflow.run("Hi")).start
        return { ...(yield* observed(execution)), requests: server.requests }
      }).pipe(Effect.provide(AiSdk.layer(provider.model(server.baseURL), options)), Effect.provide(Engine.layerMemory))
    })

  for (const body of [
    "",
    "null",
    "[]",
    "{}",
    "7",
    "<html>Bad Gateway</html>",
    '{"choices":"none","output":1,"content":{}}'
  ]) {
    it.live(`fails with a typed error when the answer is ${JSON.stringify(body)}`, () =>
      Effect.gen(function* () {
        const { calls, error, isTyped, usage } = yield* run(whole, [{ _tag: "Text", text: body }])
        assert.isTrue(isTyped)
        const { _tag } = (error as AiError.AiError).reason
        // `@ai-sdk/openai` says 500 of a response without output.
        const isMissing = body === "{}" && provider.name === "OpenAI Responses"
        assert.strictEqual(_tag, isMissing ? "InternalProviderError" : "InvalidResponseError")
        assert.deepStrictEqual(
          calls.map((call) => call.error),
          [_tag]
        )
        assert.strictEqual(usage.modelCalls, 1)
      })
    )
  }

  for (const body of [
    "",
    "data: null\n\n",
    "data: []\n\n",
    "data: {\n\n",
    "data: [DONE]\n\n",
    "<html></html>",
    ": ping\n\n"
  ]) {
    it.live(`fails with a typed error when the stream is ${JSON.stringify(body)}`, () =>
      Effect.gen(function* () {
        const { calls, error, isTyped } = yield* run(flowing, [{ _tag: "Text", text: body }])
        assert.isTrue(isTyped)
        assert.strictEqual((error as AiError.AiError)._tag, "AiError")
        assert.deepStrictEqual(
          calls.map((call) => call.error),
          [(error as AiError.AiError).reason._tag]
        )
      })
    )
  }

  it.live("fails with a retryable error when the answer is cut off, and a retry of the run answers", () =>
    Effect.gen(function* () {
      const server = yield* ProviderServer.make
      yield* server.reply(
        { _tag: "Dies", answer: { text: "never complete" } },
        ProviderServer.answer({ text: "complete" })
      )
      const retried = whole.run("Hi", {
        retry: { attempts: 3, delay: 0, while: (error) => (error as AiError.AiError).isRetryable }
      })
      const { calls, exit, usage } = yield* retried.pipe(
        Effect.flatMap((run) => run.start),
        Effect.flatMap(observed),
        Effect.provide(AiSdk.layer(provider.model(server.baseURL))),
        Effect.provide(Engine.layerMemory)
      )
      assert.deepStrictEqual(exit, Exit.succeed("complete"))
      assert.deepStrictEqual(
        calls.map((call) => call.error),
        ["NetworkError", undefined]
      )
      assert.strictEqual(usage.modelCalls, 2)
    })
  )

  it.live("keeps text, usage and the error's name when a stream dies in the middle", () =>
    Effect.gen(function* () {
      const both = Workflow.make("both", {
        error: AiError.AiError,
        run: (prompt) => Effect.andThen(text(prompt), streamed(prompt))
      })
      const seen = yield* run(both, [
        ProviderServer.answer({ text: "fine" }),
        { _tag: "Dies", answer: { text: "one two three four five six" }, events: 6 }
      ])
      assert.isTrue(seen.isTyped)
      assert.strictEqual((seen.error as AiError.AiError).reason._tag, "NetworkError")
      assert.include(seen.deltas, "one")
      assert.deepStrictEqual(
        seen.calls.map((call) => [call.error, call.inputTokens]),
        [
          [undefined, seen.calls[0]!.inputTokens],
          ["NetworkError", 0]
        ]
      )
      assert.isTrue(seen.calls[0]!.inputTokens > 0)
      assert.strictEqual(seen.usage.modelCalls, 2)
      assert.strictEqual(seen.usage.inputTokens, seen.calls[0]!.inputTokens)
      assert.strictEqual(seen.usage.outputTokens, seen.calls[0]!.outputTokens)
    })
  )

  it.live("fails with the typed error when a pattern's model breaks the schema twice, both calls counted", () =>
    Effect.gen(function* () {
      const route = (description: string) => ({
        workflow: Workflow.make(description, { run: Effect.succeed }),
        route: { description, whenToUse: description }
      })
      const routing = Routing.make("routing", { workflows: { one: route("one"), two: route("two") } })
      const seen = yield* run(routing, [
        ProviderServer.answer({ text: `{"route":` }),
        ProviderServer.answer({ text: `{"way":"left"}` }),
        ProviderServer.answer({ text: `{"route":"one"}` })
      ])
      assert.isTrue(seen.isTyped)
      assert.strictEqual((seen.error as AiError.AiError).reason._tag, "StructuredOutputError")
      assert.strictEqual(seen.requests.length, 2)
      assert.include(JSON.stringify(seen.requests[1]!.body), "Your answer was not valid")
      assert.deepStrictEqual(
        seen.calls.map((call) => call.error),
        ["StructuredOutputError", "StructuredOutputError"]
      )
      assert.isTrue(seen.calls.every((call) => call.inputTokens > 0))
    })
  )

  it.live("fails with the typed error when the model calls a tool that is not there, or with wrong arguments", () =>
    Effect.gen(function* () {
      const toolkit = Toolkit.make(Tool.make("Look", { parameters: Schema.Struct({ at: Schema.Finite }) }))
      const look = Workflow.make("look", {
        error: AiError.AiError,
        run: (prompt) =>
          Effect.map(LanguageModel.generateText({ prompt, toolkit }), (response) => response.text).pipe(
            Effect.provide(toolkit.toLayer({ Look: () => Effect.void }))
          )
      })
      const reasonOf = (name: string, args: string) =>
        Effect.map(
          run(look, [ProviderServer.answer({ toolCalls: [{ id: "call_1", name, arguments: args }] })]),
          ({ calls, error, isTyped }) => {
            assert.isTrue(isTyped)
            assert.isTrue(calls[0]!.inputTokens > 0)
            return (error as AiError.AiError).reason._tag
          }
        )
      assert.strictEqual(yield* reasonOf("Listen", "{}"), "ToolNotFoundError")
      assert.strictEqual(yield* reasonOf("Look", `{"at":"home"}`), "ToolParameterValidationError")
      // The arguments of Anthropic's wire format are part of its JSON, so that they break with the whole answer.
      const broken = provider.name === "Anthropic Messages" ? `"at"` : `{"at":`
      assert.strictEqual(yield* reasonOf("Look", broken), "ToolParameterValidationError")
    })
  )

  for (const [kind, workflow] of [
    ["an answer", whole],
    ["a stream", flowing]
  ] as const) {
    it.effect(`closes the request at the server when the run times out over ${kind} that never comes`, () =>
      Effect.gen(function* () {
        const server = yield* ProviderServer.make
        yield* server.reply({ _tag: "Hangs" })
        yield* Effect.gen(function* () {
          const execution = yield* (yield* workflow.run("Hi", { timeout: "1 minute" })).start
          const request = yield* server.nextRequest
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(yield* request.closed, "aborted")
          const { calls, error } = yield* observed(execution)
          assert.strictEqual((error as { readonly _tag: string })._tag, "RunTimedOut")
          assert.deepStrictEqual(
            calls.map((call) => [call.error, call.durationMillis]),
            [["Interrupted", 60_000]]
          )
        }).pipe(Effect.provide(AiSdk.layer(provider.model(server.baseURL))), Effect.provide(Engine.layerMemory))
      })
    )
  }

  it.effect("closes the request at the server when the run times out in the middle of a stream", () =>
    Effect.gen(function* () {
      const server = yield* ProviderServer.make
      yield* server.reply({ _tag: "Hangs", answer: { text: "one two three four" }, events: 5 })
      yield* Effect.gen(function* () {
        const execution = yield* (yield* flowing.run("Hi", { timeout: "1 minute" })).start
        const request = yield* server.nextRequest
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* request.closed, "aborted")
        assert.strictEqual(((yield* observed(execution)).error as { readonly _tag: string })._tag, "RunTimedOut")
      }).pipe(Effect.provide(AiSdk.layer(provider.model(server.baseURL))), Effect.provide(Engine.layerMemory))
    })
  )

  it.live("shows no key in its result, events or logs, whatever the provider says about it", () =>
    Effect.gen(function* () {
      const echo = {
        error: {
          message: `Incorrect API key provided: ${apiKey} (${oddKey})`,
          type: "authentication_error",
          code: 401
        },
        authorization: `Bearer ${apiKey}`
      }
      const steps = Workflow.make("steps", {
        error: AiError.AiError,
        run: (prompt) =>
          Step.make("ask", { run: text(prompt), retry: { attempts: 1, delay: 0 } }).pipe(
            Effect.tapError((error) => Effect.logError("failed", error)),
            Effect.tapCause((cause) => Effect.logWarning(cause))
          )
      })
      const headers = { "x-api-key": apiKey, "x-echo": oddKey, "set-cookie": `session=${apiKey}` }
      const replies: ReadonlyArray<ProviderServer.Reply> = [
        { _tag: "Status", status: 401, body: echo, headers },
        { _tag: "Status", status: 403, body: echo, headers }
      ]
      const seen = yield* run(steps, replies, { headers: { "x-gateway-key": oddKey } })
      assert.strictEqual((seen.error as AiError.AiError).reason._tag, "AuthenticationError")
      const { http } = (seen.error as AiError.AiError).reason as AiError.AuthenticationError
      const shown = [
        JSON.stringify(seen.events),
        JSON.stringify(seen.logs),
        JSON.stringify(seen.exit),
        String(seen.error),
        Exit.isFailure(seen.exit) ? Cause.pretty(seen.exit.cause) : "",
        JSON.stringify(http ?? {})
      ]
      assert.strictEqual(seen.events.filter((event) => event._tag === "StepFailed").length, 1)
      assert.isTrue(seen.logs.length >= 2)
      for (const text of shown) {
        for (const secret of [apiKey, "0123456789abcdef", oddKey]) assert.notInclude(text, secret)
      }
    })
  )
})

describe("a key of no known form", () => {
  const secret = "correct-horse/battery staple+"
  const keyed = [
    { name: "OpenAI", model: (baseURL: string) => createOpenAI({ baseURL, apiKey: secret }).chat("gpt-4.1") },
    { name: "Anthropic", model: (baseURL: string) => createAnthropic({ baseURL, apiKey: secret })("claude") },
    {
      name: "an OpenAI-compatible server",
      model: (baseURL: string) =>
        createOpenAICompatible({ name: "local", baseURL, queryParams: { api_key: secret } })("llama")
    }
  ]
  const query = new URLSearchParams({ k: secret })
  const address = `/?k=${encodeURIComponent(secret)}&${query}`
  const echo = { error: { message: `Who is ${secret}? See ${address}`, type: "nobody" } }
  const headers = { "x-request-id": `for ${secret}` }
  const replies: ReadonlyArray<ProviderServer.Reply> = [
    { _tag: "Status", status: 401, body: echo, headers },
    { _tag: "Status", status: 429, body: { error: { message: `slow down, ${secret}` } }, headers },
    { _tag: "Status", status: 500, body: { error: secret }, headers },
    { _tag: "Text", text: `no JSON but ${secret}` },
    { _tag: "Text", text: `data: ${JSON.stringify({ ...echo, type: "error" })}\n\n` }
  ]

  for (const { model, name } of keyed) {
    it.live(`is not in an error, event, log or span, wherever ${name} repeats it`, () =>
      Effect.gen(function* () {
        const server = yield* ProviderServer.make
        yield* server.reply(...replies)
        const spans: Array<unknown> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            const end = span.end.bind(span)
            span.end = (endTime, exit) => {
              end(endTime, exit)
              spans.push([span.name, ...span.attributes, Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""])
            }
            return span
          }
        })
        const tell = Workflow.make("tell", {
          error: AiError.AiError,
          run: (prompt) =>
            Step.make("ask", { run: prompt === "stream" ? streamed(prompt) : text(prompt) }).pipe(
              Effect.tapError((error) => Effect.logError("failed", error)),
              Effect.tapCause((cause) => Effect.logWarning(cause))
            )
        })
        for (const index of replies.keys()) {
          const seen = yield* Effect.gen(function* () {
            const run = yield* tell.run(index === replies.length - 1 ? "stream" : "Hi")
            return yield* observed(yield* run.start)
          }).pipe(
            Effect.provideService(Tracer.Tracer, tracer),
            Effect.provide(AiSdk.layer(model(server.baseURL))),
            Effect.provide(Engine.layerMemory)
          )
          assert.strictEqual((seen.error as AiError.AiError)._tag, "AiError")
          const json = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(AiError.AiError)))
          const shown = [
            json(seen.error as AiError.AiError),
            String((seen.error as Error).stack),
            JSON.stringify([seen.events, seen.logs, seen.exit, spans]),
            Exit.isFailure(seen.exit) ? Cause.pretty(seen.exit.cause) : ""
          ].join("\n")
          assert.isTrue(seen.logs.length >= 2)
          for (const word of ["correct-horse", "battery"]) assert.notInclude(shown, word, `reply ${index + 1}`)
        }
        assert.isAbove(spans.length, replies.length)
        assert.strictEqual(server.requests.length, replies.length)
        const { headers: sent, path } = server.requests[0]
        assert.include(`${JSON.stringify(sent)} ${path}`, "correct-horse")
      }).pipe(Effect.scoped)
    )
  }
})

it.live("a model without a key fails with the typed error, and says where a key is looked for", () =>
  Effect.gen(function* () {
    const model = createOpenAI({ baseURL: "http://127.0.0.1:9/v1", apiKey: undefined as any })("gpt-5")
    const { error, isTyped } = yield* whole.run("Hi").pipe(
      Effect.flatMap((run) => run.start),
      Effect.flatMap(observed),
      Effect.provide(Models.fromAiSdk(model)),
      Effect.provide(Engine.layerMemory)
    )
    assert.isTrue(isTyped)
    assert.include((error as AiError.AiError).message, "OPENAI_API_KEY")
  })
)
