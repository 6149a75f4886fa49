import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Schema, Stream } from "effect"
import { LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { Engine, Models, Workflow } from "../../src/index.ts"
import { Cassette } from "../../src/testing/index.ts"
import * as ProviderServer from "../services/aiSdk/providerServer.ts"

const apiKey = "sk-live-0123456789abcdef"

const providers = [
  { name: "OpenAI Chat Completions", model: (baseURL: string) => createOpenAI({ baseURL, apiKey }).chat("gpt-4.1") },
  { name: "OpenAI Responses", model: (baseURL: string) => createOpenAI({ baseURL, apiKey }).responses("gpt-5") },
  {
    name: "Anthropic Messages",
    model: (baseURL: string) => createAnthropic({ baseURL, apiKey })("claude-sonnet-4-5")
  }
]

const GetWeather = Tool.make("GetWeather", {
  description: "The weather in a city",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ celsius: Schema.Finite })
})
const Weather = Toolkit.make(GetWeather)
const WeatherLive = Weather.toLayer({ GetWeather: ({ city }) => Effect.succeed({ celsius: city.length }) })

const Trip = Schema.Struct({ city: Schema.String, note: Schema.optionalKey(Schema.String) })

/** Text, an object, a tool and its result, a stream, a stream that breaks, a refusal. */
const trip = Workflow.make("trip", {
  output: Schema.Array(Schema.Unknown),
  run: (prompt) =>
    Effect.gen(function* () {
      const text = yield* LanguageModel.generateText({ prompt })
      const object = yield* LanguageModel.generateObject({ prompt: text.text, schema: Trip, objectName: "trip" })
      const called = yield* LanguageModel.generateText({ prompt: object.value.city, toolkit: Weather })
      const history = Prompt.concat(Prompt.make(object.value.city), Prompt.fromResponseParts(called.content))
      const summary = yield* LanguageModel.generateText({ prompt: history, toolkit: Weather })
      const streamed = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "tell it" }))
      const parts: Array<unknown> = []
      const broken = yield* LanguageModel.streamText({ prompt: "tell more" }).pipe(
        Stream.runForEach((part) => Effect.sync(() => void parts.push(part))),
        Effect.flip
      )
      const refused = yield* Effect.flip(LanguageModel.generateText({ prompt: "again" }))
      return [text.content, object.value, called.content, summary.content, streamed, parts, broken, refused]
    }).pipe(Effect.provide(WeatherLive), Effect.orDie)
})

describe.each(providers)("a cassette over $name", (provider) => {
  it.live("replays what was recorded from the server when the server is down", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/trip.json`

      const run = (baseURL: string, mode: Cassette.Mode) =>
        Effect.gen(function* () {
          const cassette = yield* Cassette.make({ file, mode })
          const model = cassette.layer.pipe(Layer.provide(Models.fromAiSdk(provider.model(baseURL))))
          return yield* Effect.gen(function* () {
            const execution = yield* (yield* trip.run("Where to?")).start
            const output = yield* execution.result
            const events = yield* Stream.runCollect(execution.events)
            const calls = events.flatMap((event) =>
              event._tag === "ModelCalled" ? [[event.model, event.inputTokens, event.outputTokens, event.error]] : []
            )
            const text = events.flatMap((event) => (event._tag === "TextDelta" ? [event.text] : [])).join("")
            yield* cassette.assertComplete
            return { output, usage: yield* execution.usage, calls, text }
          }).pipe(
            Effect.provide(Models.layer({ travel: { model, price: { inputPerMillion: 1, outputPerMillion: 2 } } })),
            Effect.provide(Engine.layerMemory)
          )
        })

      const { baseURL, recorded, requests } = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* ProviderServer.make
          yield* server.reply(
            ProviderServer.answer({ text: "Go to Paris." }),
            ProviderServer.answer({ text: `{"city":"Paris","note":null}` }),
            ProviderServer.answer({
              toolCalls: [{ id: "call_1", name: "GetWeather", arguments: `{"city":"Paris"}` }]
            }),
            ProviderServer.answer({ text: "5 degrees." }),
            ProviderServer.answer({ text: "It is warm in Paris." }),
            { _tag: "Dies", answer: { text: "More and more and more." }, events: 4 },
            { _tag: "Status", status: 401, body: { error: { message: `Incorrect API key: ${apiKey}`, type: "auth" } } }
          )
          const recorded = yield* run(server.baseURL, "record")
          return { baseURL: server.baseURL, recorded, requests: server.requests.length }
        })
      )
      assert.strictEqual(requests, 7)
      assert.strictEqual(recorded.calls.length, 7)
      assert.include(recorded.text, "It is warm in Paris.")

      const replayed = yield* run(baseURL, "replay")
      assert.deepStrictEqual(replayed.output, recorded.output)
      assert.deepStrictEqual(replayed.usage, recorded.usage)
      assert.deepStrictEqual(replayed.calls, recorded.calls)
      assert.strictEqual(replayed.text, recorded.text)

      const text = yield* fs.readFileString(file)
      assert.notInclude(text, apiKey)
      assert.notInclude(text, "0123456789abcdef")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
