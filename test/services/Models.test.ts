import { assert, describe, it } from "@effect/vitest"
import { MockLanguageModelV4 } from "ai/test"
import { Cause, Context, Effect, Exit, Layer, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { Engine, Models, Workflow } from "effect-baton"
import { expectTypeOf } from "vitest"
import { count, history, start } from "../support/executions.ts"
import { delta, down, finish, says, script } from "../support/models.ts"

const say = (prompt: string) => Effect.map(LanguageModel.generateText({ prompt }), (response) => response.text)
const engine = Effect.provide(Engine.layerMemory)

describe("Models.layer", () => {
  it.effect("takes layers, AI SDK models and models, and makes the first one the LanguageModel", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says("the service"))
      const { model: other } = yield* script(says("the layer"))
      const sdk = new MockLanguageModelV4({
        doGenerate: {
          content: [{ type: "text", text: "the AI SDK" }],
          finishReason: { unified: "stop", raw: "stop" },
          usage: {
            inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
            outputTokens: { total: 1, text: 1, reasoning: 0 }
          },
          warnings: []
        }
      })
      const layer = Models.layer({
        a: Layer.succeed(LanguageModel.LanguageModel, other),
        b: { model },
        c: sdk,
        d: Models.fromAiSdk(sdk)
      })
      const all = Effect.all([say(""), ...["a", "b", "c", "d"].map((id) => say("").pipe(Models.use(id)))])
      assert.deepStrictEqual(yield* all.pipe(Effect.provide(layer)), [
        "the layer",
        "the layer",
        "the service",
        "the AI SDK",
        "the AI SDK"
      ])
    })
  )

  it.effect("names the models there are where the default is none of them", () =>
    Effect.gen(function* () {
      const { model: a } = yield* script(says("a"))
      // As from a configuration, whose words no type knows.
      const id = "b" as "a"
      const named = yield* Effect.exit(Layer.build(Models.layer({ a }, { default: id })))
      assert.include(String(named), 'Models.layer has no model "b" to be its default; name one of: a')
      assert.include(String(yield* Effect.exit(Layer.build(Models.layer({})))), "Models.layer needs at least one model")
    })
  )

  it.effect("makes the named default the LanguageModel", () =>
    Effect.gen(function* () {
      const { model: a } = yield* script(says("a"))
      const { model: b } = yield* script(says("b"))
      assert.strictEqual(yield* say("").pipe(Effect.provide(Models.layer({ a, b }, { default: "b" }))), "b")
    })
  )

  it.effect("prices each id, also two ids of one model, and what was read from and written to a cache apart", () =>
    Effect.gen(function* () {
      const { model } = yield* script([[finish(1000, 100, { cached: 400, written: 200 })]])
      const layer = Models.layer({
        full: { model, price: { inputPerMillion: 1, outputPerMillion: 10, cachedInputPerMillion: 0.5 } },
        written: { model, price: { inputPerMillion: 1, outputPerMillion: 10, cacheWritePerMillion: 2 } },
        batch: { model, price: { inputPerMillion: 0.5, outputPerMillion: 5 } },
        free: { model }
      })
      const workflow = Workflow.make("all", {
        run: () =>
          Effect.forEach(["full", "written", "batch", "free"], (id) => say("").pipe(Models.use(id))).pipe(
            Effect.map((texts) => texts.join("")),
            Effect.orDie
          )
      })
      const execution = yield* start(workflow, "").pipe(Effect.provide(layer))
      yield* execution.result
      assert.deepStrictEqual(
        history(execution).flatMap((event) => (event._tag === "ModelCalled" ? [[event.model, event.costUsd]] : [])),
        [
          ["full", 0.0018],
          ["written", 0.0022],
          ["batch", 0.001],
          ["free", 0]
        ]
      )
    }).pipe(engine)
  )

  it.effect("refuses prices and limits that make no sense, naming the model and the field", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says("a"))
      const configs: ReadonlyArray<readonly [Models.Config, string]> = [
        [{ model, price: { inputPerMillion: Number.NaN, outputPerMillion: 1 } }, "price.inputPerMillion"],
        [{ model, concurrency: 0 }, "concurrency"],
        [{ model, rateLimit: { limit: 0, window: "1 second" } }, "rateLimit.limit"],
        [{ model, retry: { attempts: -1, delay: 0 } }, "retry.attempts"]
      ]
      for (const [config, field] of configs) {
        const exit = yield* Effect.exit(say("").pipe(Effect.provide(Models.layer({ small: config }))))
        const message = Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : ""
        assert.include(message, `Invalid "${field}" of the model "small"`)
      }
    })
  )

  it("keeps what its layers fail with and need in its type", () => {
    class Missing extends Schema.TaggedError<Missing>("Missing")("Missing", {}) {}
    class Key extends Context.Service<Key, string>()("Key") {}
    const needs = Layer.effect(
      LanguageModel.LanguageModel,
      Effect.gen(function* () {
        if ((yield* Key) === "") return yield* new Missing()
        return (yield* script(says("a"))).model
      })
    )
    expectTypeOf(Models.layer({ a: needs })).toEqualTypeOf<Layer.Layer<LanguageModel.LanguageModel, Missing, Key>>()
    expectTypeOf(Models.layer({ a: { model: needs } })).toEqualTypeOf<
      Layer.Layer<LanguageModel.LanguageModel, Missing, Key>
    >()
    expectTypeOf(Models.layer({ a: new MockLanguageModelV4() })).toEqualTypeOf<
      Layer.Layer<LanguageModel.LanguageModel>
    >()
    expectTypeOf(
      Models.layer({ a: new MockLanguageModelV4(), b: { model: needs }, c: Models.fallback(["a"]) })
    ).toEqualTypeOf<Layer.Layer<LanguageModel.LanguageModel, Missing | Models.ModelNotFound, Key>>()
    // @ts-expect-error the default must be one of the ids
    Models.layer({ a: needs }, { default: "b" })
  })
})

describe("an unknown id", () => {
  it.effect("is an error that names the known ones", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says("a"))
      const layer = Models.layer({ gpt: model, haiku: model })
      const error = yield* say("").pipe(Models.use("gtp"), Effect.provide(layer), Effect.flip)
      assert.strictEqual(error.message, 'No model has the id "gtp"; the known ones are: gpt, haiku')
      const asked = yield* Models.text({ purpose: "x", prompt: "x", model: "gtp" }).pipe(
        Effect.provide(layer),
        Effect.flip
      )
      assert.strictEqual(asked.reason._tag, "InvalidRequestError")
      assert.include(asked.message, "gpt, haiku")
      const json = Schema.encodeSync(Models.ModelNotFound)(new Models.ModelNotFound({ model: "a", known: ["b"] }))
      assert.deepStrictEqual(Schema.decodeSync(Models.ModelNotFound)(json).known, ["b"])
    })
  )
})

describe("Models.fallback", () => {
  it.effect("asks the models in order until one answers, each call counted", () =>
    Effect.gen(function* () {
      const { model: a } = yield* script(down)
      const { model: b } = yield* script(down)
      const { model: c } = yield* script(says("c", 3, 1), [[delta("c"), finish(3, 1)]])
      const layer = Models.layer({ a, b, c, safe: Models.fallback(["b", "a", "c"]) }, { default: "safe" })
      const workflow = Workflow.make("w", { run: (prompt) => Effect.orDie(say(prompt)) })
      const execution = yield* start(workflow, "x").pipe(Effect.provide(layer))
      assert.strictEqual(yield* execution.result, "c")
      assert.deepStrictEqual(
        history(execution).flatMap((event) => (event._tag === "ModelCalled" ? [[event.model, event.error]] : [])),
        [
          ["b", "InternalProviderError"],
          ["a", "InternalProviderError"],
          ["c", undefined]
        ]
      )
    }).pipe(engine)
  )

  it.effect("fails with the last error when no model answers, and with an unknown id when it is built", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script(down)
      const layer = Models.layer({ a: model, b: model })
      const error = yield* say("").pipe(Effect.provide(Layer.provide(Models.fallback(["a", "b"]), layer)), Effect.flip)
      assert.strictEqual(error, down)
      assert.strictEqual(asked.length, 2)
      const unknown = yield* say("").pipe(Effect.provide(Models.fallback(["c"])), Effect.provide(layer), Effect.flip)
      assert.strictEqual(unknown._tag, "ModelNotFound")
    })
  )

  it.effect("ends at a used-up budget", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script(down)
      const layer = Models.layer({ a: model, b: model, safe: Models.fallback(["a", "b"]) }, { default: "safe" })
      const workflow = Workflow.make("w", { error: AiError.AiError, run: say })
      const execution = yield* start(workflow, "x", { budget: { modelCalls: 1 } }).pipe(Effect.provide(layer))
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "BudgetExceeded")
      assert.deepStrictEqual([asked.length, count(execution, "ModelCalled")], [1, 1])
    }).pipe(engine)
  )

  it.effect("of a stream asks the next model before the first part, never after", () =>
    Effect.gen(function* () {
      const { model: a } = yield* script(says(""), [
        Stream.fail(down),
        Stream.concat(Stream.make(delta("a")), Stream.fail(down))
      ])
      const { asked, model: b } = yield* script(says(""), [[delta("b"), finish()]])
      const layer = Models.layer({ a, b, safe: Models.fallback(["a", "b"]) }, { default: "safe" })
      const parts = LanguageModel.streamText({ prompt: "x" }).pipe(Stream.runCollect)
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* parts).length, 2)
        assert.strictEqual(yield* Effect.flip(parts), down)
        assert.strictEqual(asked.length, 1)
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("does not run tools twice, nor asks on for what a tool failed with", () =>
    Effect.gen(function* () {
      let runs = 0
      const Act = Tool.make("Act", { success: Schema.String, failure: Schema.String })
      const toolkit = Toolkit.make(Act)
      const handlers = toolkit.toLayer({ Act: () => Effect.suspend(() => Effect.fail(`failure ${++runs}`)) })
      const { asked, model } = yield* script([
        [{ type: "tool-call", id: "1", name: "Act", params: {} }, finish(0, 0, { reason: "tool-calls" })]
      ])
      const layer = Models.layer({ a: model, b: model, safe: Models.fallback(["a", "b"]) }, { default: "safe" })
      const error = yield* LanguageModel.generateText({ prompt: "x", toolkit }).pipe(
        Effect.provide(handlers),
        Effect.provide(layer),
        Effect.flip
      )
      assert.deepStrictEqual([error, asked.length], ["failure 1", 1])
    })
  )
})

describe("Models.object", () => {
  const schema = Schema.Struct({ score: Schema.Finite })
  const rate = Models.object({ purpose: "rate", name: "rating", prompt: "Rate it", schema })

  it.effect("shows the model once what is wrong with its answer", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script([says(`{"score":"high"}`), says(`{"score":1}`)])
      assert.deepStrictEqual(yield* rate.pipe(Effect.provideService(LanguageModel.LanguageModel, model)), { score: 1 })
      const [, repair] = asked
      const messages = Schema.encodeSync(Prompt.Prompt)(repair.prompt).content
      assert.deepStrictEqual(
        messages.map((message) => message.role),
        ["user", "assistant", "user"]
      )
      const text = JSON.stringify(messages)
      for (const part of ["Rate it", `score`, "high", "was not valid"]) assert.include(text, part)
      assert.strictEqual(repair.responseFormat.type === "json" && repair.responseFormat.objectName, "rating")
    })
  )

  it.effect("goes on with a whole conversation, as text does, also where the answer needs correcting", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script([says("Hm"), says("?"), says(`{"score":1}`)])
      const messages: Prompt.RawInput = [
        { role: "system", content: "You rate" },
        { role: "user", content: [{ type: "text", text: "Rate it" }] }
      ]
      const both = Effect.all([
        Models.text({ prompt: messages }),
        Models.object({ prompt: Prompt.make(messages), schema })
      ]).pipe(Effect.provideService(LanguageModel.LanguageModel, model))
      assert.deepStrictEqual(yield* both, ["Hm", { score: 1 }])
      assert.deepStrictEqual(
        asked.map(({ prompt }) => prompt.content.map(({ role }) => role).join(" ")),
        ["system user", "system user", "system user assistant user"]
      )
      assert.deepStrictEqual(asked[0].prompt, Prompt.make(messages))
    })
  )

  it.effect("fails with the typed error when the second answer is no better", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script([says("{"), says("still no JSON"), says(`{"score":1}`)])
      const error = yield* rate.pipe(Effect.provideService(LanguageModel.LanguageModel, model), Effect.flip)
      assert.strictEqual(error.reason._tag, "StructuredOutputError")
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("does not ask again for other failures", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script([down, says(`{"score":1}`)])
      assert.strictEqual(yield* rate.pipe(Effect.provideService(LanguageModel.LanguageModel, model), Effect.flip), down)
      assert.strictEqual(asked.length, 1)
    })
  )
})
