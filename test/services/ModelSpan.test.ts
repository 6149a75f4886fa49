import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { MockLanguageModelV4 } from "ai/test"
import { Effect, Exit, Layer, Schema, Stream, Tracer } from "effect"
import { LanguageModel } from "effect/ai"
import { HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { OtlpSerialization, OtlpTracer } from "effect/observability"
import { KeyValueStore } from "effect/persistence"
import { Engine, ModelCache, Models, Step, Workflow } from "effect-baton"
import { delta, down, finish, says, script } from "../support/models.ts"

interface Recorded {
  readonly name: string
  readonly kind: string
  readonly parent: string | undefined
  readonly ended: boolean
  readonly failed: boolean
  readonly attributes: Record<string, unknown>
}

/** The spans that end while an effect runs, as an exporter would get them. */
const recorded = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const spans: Array<Recorded> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        const end = span.end.bind(span)
        span.end = (endTime, exit) => {
          end(endTime, exit)
          const parent = options.parent._tag === "Some" ? options.parent.value : undefined
          spans.push({
            name: span.name,
            kind: span.kind,
            parent: parent?._tag === "Span" ? parent.name : undefined,
            ended: span.status._tag === "Ended",
            failed: Exit.isFailure(exit),
            attributes: Object.fromEntries(span.attributes)
          })
        }
        return span
      }
    })
    yield* Effect.exit(effect).pipe(Effect.provideService(Tracer.Tracer, tracer), Effect.provide(Engine.layerMemory))
    return spans
  })

const body = <A, E>(run: Effect.Effect<A, E, LanguageModel.LanguageModel>) =>
  Workflow.make("w", {
    input: Schema.Void,
    output: Schema.Unknown,
    run: () => Step.make("write", { run: Effect.orDie(run) })
  })

const chat = (spans: ReadonlyArray<Recorded>) => spans.filter((span) => "gen_ai.operation.name" in span.attributes)

const price = { inputPerMillion: 1, outputPerMillion: 10 }

describe("the span of a model call", () => {
  it.effect("has the GenAI attributes, instead of a second span", () =>
    Effect.gen(function* () {
      const model = new MockLanguageModelV4({
        provider: "openai.responses",
        modelId: "gpt-5",
        doGenerate: {
          content: [{ type: "text", text: "the answer" }],
          finishReason: { unified: "stop", raw: "stop" },
          usage: {
            inputTokens: { total: 1000, noCache: 700, cacheRead: 200, cacheWrite: 100 },
            outputTokens: { total: 50, text: 40, reasoning: 10 }
          },
          response: { id: "resp_1", modelId: "gpt-5-2025" },
          warnings: []
        }
      })
      const spans = yield* recorded(
        body(LanguageModel.generateText({ prompt: "the secret prompt" }))
          .execute(undefined, { id: "run-1" })
          .pipe(Effect.provide(Models.layer({ smart: { model, price } })))
      )
      assert.deepStrictEqual(
        spans.map((span) => span.name),
        ["chat gpt-5", "step write", "attempt 1", "run w"]
      )
      const [span] = spans
      assert.deepStrictEqual([span.kind, span.parent, span.ended, span.failed], ["client", "step write", true, false])
      const attributes = Object.entries(span.attributes).filter(([key]) => !key.startsWith("effect.ai."))
      assert.deepStrictEqual(Object.fromEntries(attributes), {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.output.type": "text",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": "gpt-5-2025",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.cache_read.input_tokens": 200,
        "gen_ai.usage.cache_creation.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 10,
        "baton.purpose": "write",
        "baton.execution.id": "run-1",
        "baton.path": "write",
        "baton.cost_usd": 0.0015
      })
      assert.notInclude(JSON.stringify(spans), "secret")
      assert.notInclude(JSON.stringify(spans), "the answer")
    })
  )

  it.effect("of a stream ends with the usage of the whole answer", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says(""), [[delta("a"), delta("b"), finish(7, 2, { reason: "length" })]])
      const spans = yield* recorded(
        body(Stream.runDrain(LanguageModel.streamText({ prompt: "x" })))
          .execute()
          .pipe(Effect.provide(Models.layer({ m: model })))
      )
      const [span, ...more] = chat(spans)
      assert.deepStrictEqual(more, [])
      assert.deepStrictEqual(
        [
          span.name,
          span.parent,
          span.attributes["gen_ai.usage.input_tokens"],
          span.attributes["gen_ai.usage.output_tokens"]
        ],
        ["chat m", "step write", 7, 2]
      )
      assert.deepStrictEqual(span.attributes["gen_ai.response.finish_reasons"], ["length"])
    })
  )

  it.effect("of a failed call has the error's type, of an object that does not decode also the usage", () =>
    Effect.gen(function* () {
      const { model } = yield* script([down, says("no JSON", 5, 1)])
      const object = LanguageModel.generateObject({ prompt: "x", schema: Schema.Struct({}) })
      const spans = yield* recorded(
        body(Effect.andThen(Effect.exit(object), object))
          .execute()
          .pipe(Effect.provide(Models.layer({ m: model })))
      )
      assert.deepStrictEqual(
        chat(spans).map((span) => [
          span.failed,
          span.attributes["error.type"],
          span.attributes["gen_ai.usage.input_tokens"],
          span.attributes["gen_ai.output.type"]
        ]),
        [
          [true, "InternalProviderError", undefined, "json"],
          [true, "StructuredOutputError", 5, "json"]
        ]
      )
    })
  )

  it.effect("of an answer that was kept says that no model was asked", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says("ok", 10, 1))
      const cache = ModelCache.layer().pipe(
        Layer.provide([Models.layer({ smart: { model, price } }), KeyValueStore.layerMemory])
      )
      const ask = body(LanguageModel.generateText({ prompt: "Hi" })).execute(undefined)
      const spans = yield* recorded(Effect.andThen(ask, ask).pipe(Effect.provide(cache)))
      assert.deepStrictEqual(
        chat(spans).map(({ attributes }) => [attributes["gen_ai.usage.input_tokens"], attributes["baton.cached"]]),
        [
          [10, undefined],
          [undefined, true]
        ]
      )
    })
  )

  it.effect("is left alone outside of executions", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says("ok"))
      const spans = yield* recorded(
        LanguageModel.generateText({ prompt: "x" }).pipe(Effect.provide(Models.layer({ m: model })))
      )
      assert.deepStrictEqual(
        spans.map((span) => span.name),
        ["LanguageModel.generateText"]
      )
    })
  )
})

it.live("the span reaches an OTLP collector with its attributes", () =>
  Effect.gen(function* () {
    const bodies: Array<string> = []
    const { model } = yield* script(says("the answer", 12, 3))
    yield* Effect.gen(function* () {
      yield* HttpServer.serveEffect(
        Effect.gen(function* () {
          const request = yield* HttpServerRequest.HttpServerRequest
          bodies.push(yield* request.text)
          return HttpServerResponse.empty()
        })
      )
      const url = yield* HttpServer.addressFormattedWith((address) => Effect.succeed(`${address}/v1/traces`))
      yield* body(LanguageModel.generateText({ prompt: "the secret" }))
        .execute()
        .pipe(
          Effect.provide(Models.layer({ "acme/one": model })),
          Effect.provide(Engine.layerMemory),
          Effect.provide(
            OtlpTracer.layer({ url, resource: { serviceName: "baton" } }).pipe(
              Layer.provide(OtlpSerialization.layerJson),
              Layer.provide(NodeHttpClient.layerNodeHttp)
            )
          )
        )
    }).pipe(Effect.provide(NodeHttpServer.layerTest), Effect.scoped)
    const spans: ReadonlyArray<any> = bodies.flatMap((text) =>
      JSON.parse(text).resourceSpans.flatMap((resource: any) =>
        resource.scopeSpans.flatMap((scope: any) => scope.spans)
      )
    )
    const span = spans.find((span) => span.name === "chat acme/one")
    const attributes = Object.fromEntries(span.attributes.map(({ key, value }: any) => [key, Object.values(value)[0]]))
    assert.strictEqual(attributes["gen_ai.operation.name"], "chat")
    assert.strictEqual(Number(attributes["gen_ai.usage.input_tokens"]), 12)
    assert.strictEqual(attributes["baton.purpose"], "write")
    const parent = spans.find((other) => other.spanId === span.parentSpanId)
    assert.strictEqual(parent?.name, "step write")
    assert.notInclude(bodies.join(), "the secret")
  })
)
