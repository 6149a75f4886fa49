import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Schema, Stream } from "effect"
import { LanguageModel, Tool, Toolkit } from "effect/ai"
import { KeyValueStore } from "effect/persistence"
import { TestClock, TestConsole } from "effect/testing"
import { Engine, ModelCache, Models, Workflow } from "../../src/index.ts"
import { delta, down, finish, says, script } from "../support/models.ts"

const ask = (prompt: string) => Effect.map(LanguageModel.generateText({ prompt }), (response) => response.text)

/** A model with a cache over it, in a store of its own. */
const cached = (scripted: ReturnType<typeof script>, options?: ModelCache.Options) =>
  Effect.gen(function* () {
    const { asked, model } = yield* scripted
    const below = Layer.succeed(LanguageModel.LanguageModel, model)
    const store = yield* Effect.map(Layer.build(KeyValueStore.layerMemory), Layer.succeedContext)
    return { asked, store, layer: ModelCache.layer(options).pipe(Layer.provide([below, store])) }
  })

/** What adapters of `effect/ai` set by `withConfigOverride`. */
class Config extends Context.Service<Config, { readonly temperature: number }>()("some/LanguageModel/Config") {}

describe("a cached model", () => {
  it.effect("is asked once for texts, objects and streams", () =>
    Effect.gen(function* () {
      const { asked, layer } = yield* cached(
        script([says("one"), [{ type: "text", text: `{"n":"2"}` }, finish()]], [[delta("a"), delta("b"), finish()]])
      )
      const all = Effect.all([
        ask("Hi"),
        Effect.map(
          LanguageModel.generateObject({ prompt: "a number", schema: Schema.Struct({ n: Schema.FiniteFromString }) }),
          (response) => response.value
        ),
        LanguageModel.streamText({ prompt: "letters" }).pipe(
          Stream.filter((part) => part.type === "text-delta"),
          Stream.map((part) => part.delta),
          Stream.runCollect
        )
      ])
      const [first, second] = yield* Effect.all([all, all]).pipe(Effect.provide(layer))
      assert.deepStrictEqual(first, ["one", { n: 2 }, ["a", "b"]])
      assert.deepStrictEqual(second, first)
      assert.strictEqual(asked.length, 3)
    })
  )

  it.effect("is asked again for another prompt, another model, other tools and other settings", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script(says("yes"))
      const Tools = Toolkit.make(Tool.make("Look", { success: Schema.String }))
      const layer = (id: string) =>
        Models.layer({ [id]: model }).pipe((models) => ModelCache.layer().pipe(Layer.provide(models)))
      const store = yield* Layer.build(KeyValueStore.layerMemory)
      yield* ask("a").pipe(Effect.provide(layer("small")), Effect.provide(store))
      yield* ask("b").pipe(Effect.provide(layer("small")), Effect.provide(store))
      yield* ask("a").pipe(Effect.provide(layer("large")), Effect.provide(store))
      for (const temperature of [0, 1, 0]) {
        yield* ask("a").pipe(
          Effect.provideService(Config, { temperature }),
          Effect.provide(layer("large")),
          Effect.provide(store)
        )
      }
      yield* LanguageModel.generateText({ prompt: "a", toolkit: Tools }).pipe(
        Effect.provide(layer("small")),
        Effect.provide(Tools.toLayer({ Look: () => Effect.succeed("") })),
        Effect.provide(store)
      )
      assert.strictEqual(asked.length, 6)
      yield* ask("a").pipe(Effect.provide(layer("large")), Effect.provide(store))
      assert.strictEqual(asked.length, 6)
    })
  )

  it.effect("runs the tools of a kept answer each time", () =>
    Effect.gen(function* () {
      let ran = 0
      const Tools = Toolkit.make(Tool.make("Count", { success: Schema.Finite }))
      const { asked, layer } = yield* cached(
        script([[{ type: "tool-call", id: "1", name: "Count", params: {} }, finish()]])
      )
      const count = LanguageModel.generateText({ prompt: "count", toolkit: Tools }).pipe(
        Effect.map((response) => response.toolResults.map(({ result }) => result)),
        Effect.provide(Tools.toLayer({ Count: () => Effect.sync(() => ++ran) }))
      )
      assert.deepStrictEqual(yield* Effect.all([count, count]).pipe(Effect.provide(layer)), [[1], [2]])
      assert.strictEqual(asked.length, 1)
    })
  )

  it.effect("is asked again after a failure, a broken object and a stream that was left", () =>
    Effect.gen(function* () {
      const { asked, layer } = yield* cached(
        script(
          [down, says("up"), [{ type: "text", text: "{}" }], [{ type: "text", text: `{"n":1}` }]],
          [[delta("a"), delta("b")]]
        )
      )
      const object = Effect.map(
        LanguageModel.generateObject({ prompt: "n", schema: Schema.Struct({ n: Schema.Finite }) }),
        (response) => response.value.n
      )
      const letters = (most: number) =>
        LanguageModel.streamText({ prompt: "letters" }).pipe(Stream.take(most), Stream.runCollect)
      yield* Effect.gen(function* () {
        yield* Effect.flip(ask("Hi"))
        assert.strictEqual(yield* ask("Hi"), "up")
        yield* Effect.flip(object)
        assert.strictEqual(yield* object, 1)
        yield* letters(1)
        assert.strictEqual((yield* letters(9)).length, 2)
        assert.strictEqual(asked.length, 6)
        yield* Effect.all([ask("Hi"), object, letters(9)])
        assert.strictEqual(asked.length, 6)
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("is asked again when the time of an answer is up", () =>
    Effect.gen(function* () {
      const { layer } = yield* cached(script([says("old"), says("new")]), { timeToLive: "1 hour" })
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* ask("Hi"), "old")
        yield* TestClock.adjust("59 minutes")
        assert.strictEqual(yield* ask("Hi"), "old")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* ask("Hi"), "new")
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("gives equal calls of one run answers of their own, and the same ones to the next run", () =>
    Effect.gen(function* () {
      const { asked, layer } = yield* cached(script([says("a"), says("b"), says("c")]))
      const vote = Workflow.make("vote", {
        run: (prompt) =>
          Effect.all([ask(prompt), ask(prompt), ask(prompt)], { concurrency: 3 }).pipe(
            Effect.map((votes) => votes.join("")),
            Effect.orDie
          )
      })
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* vote.execute("Hi"), "abc")
        assert.strictEqual(yield* vote.execute("Hi"), "abc")
        assert.strictEqual(asked.length, 3)
      }).pipe(Effect.provide(layer), Effect.provide(Engine.layerMemory))
    })
  )

  it.effect("counts a kept answer as a call without tokens and cost, and marks it and its event", () =>
    Effect.gen(function* () {
      const { model } = yield* script([says("a", 10, 5)])
      const models = Models.layer({
        small: { model, price: { inputPerMillion: 1_000_000, outputPerMillion: 1_000_000 } }
      })
      const cache = ModelCache.layer().pipe(Layer.provide([models, KeyValueStore.layerMemory]))
      const chat = Workflow.make("chat", { run: (prompt) => Effect.orDie(ask(prompt)) })
      const usage = Effect.gen(function* () {
        const execution = yield* (yield* chat.run("Hi")).start
        yield* execution.result
        const events = yield* Stream.runCollect(execution.events)
        const cached = events.flatMap((event) => (event._tag === "ModelCalled" ? [event.cached] : []))
        return { ...(yield* execution.usage), cached }
      })
      yield* Effect.gen(function* () {
        const first = yield* usage
        assert.deepStrictEqual([first.modelCalls, first.inputTokens, first.costUsd], [1, 10, 15])
        assert.deepStrictEqual(first.cached, [undefined])
        const second = yield* usage
        assert.deepStrictEqual([second.modelCalls, second.inputTokens, second.costUsd], [1, 0, 0])
        assert.deepStrictEqual(second.cached, [true])
        const { content } = yield* LanguageModel.generateText({ prompt: "Hi" })
        assert.deepStrictEqual(content.at(-1)?.metadata, { "effect-baton": { cached: true } })
      }).pipe(Effect.provide(cache), Effect.provide(Engine.layerMemory))
    })
  )

  it.effect("is asked anew, and nothing kept, by executions that say so", () =>
    Effect.gen(function* () {
      const { asked, layer } = yield* cached(script([says("a"), says("b"), says("c")]))
      const chat = Workflow.make("chat", { run: (prompt) => Effect.orDie(ask(prompt)) })
      const anew = chat.execute("Hi").pipe(Effect.provideService(ModelCache.Enabled, false))
      const texts = yield* Effect.all([anew, chat.execute("Hi"), anew, chat.execute("Hi")]).pipe(
        Effect.provide(layer),
        Effect.provide(Engine.layerMemory)
      )
      assert.deepStrictEqual(texts, ["a", "b", "c", "b"])
      assert.strictEqual(asked.length, 3)
    })
  )

  it.effect("keeps its answers in files where the store does, for the next process", () =>
    Effect.gen(function* () {
      const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const { asked, model } = yield* script(says("a"))
      const once = ask("Hi").pipe(
        Effect.provide(ModelCache.layer()),
        Effect.provideService(LanguageModel.LanguageModel, model),
        Effect.provide(KeyValueStore.layerFileSystem(folder), { local: true })
      )
      assert.deepStrictEqual(yield* Effect.all([once, once]), ["a", "a"])
      assert.strictEqual(asked.length, 1)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("does without a store that fails or has something else in it, and says so", () =>
    Effect.gen(function* () {
      const { model } = yield* script([says("a"), says("b")])
      const broken = Layer.succeed(
        KeyValueStore.KeyValueStore,
        KeyValueStore.makeStringOnly({
          get: () => Effect.succeed("not an answer"),
          set: () => Effect.fail(new KeyValueStore.KeyValueStoreError({ method: "set", message: "the disk is full" })),
          remove: () => Effect.void,
          clear: Effect.void,
          size: Effect.succeed(0)
        } as any)
      )
      const texts = yield* Effect.all([ask("Hi"), ask("Hi")]).pipe(
        Effect.provide(ModelCache.layer().pipe(Layer.provide(broken))),
        Effect.provideService(LanguageModel.LanguageModel, model)
      )
      assert.deepStrictEqual(texts, ["a", "b"])
      const log = (yield* TestConsole.logLines).join("\n")
      assert.include(log, "cannot be read")
      assert.include(log, "the disk is full")
    }).pipe(Effect.provide(TestConsole.layer))
  )
})
