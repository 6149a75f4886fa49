import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Exit, Fiber, FileSystem, Layer, Redacted, Schema, Stream } from "effect"
import { AiError, LanguageModel, OpenAiStructuredOutput, Prompt, type Response, Tool, Toolkit } from "effect/ai"
import { TestClock, TestConsole } from "effect/testing"
import { Engine, Models, Workflow } from "../../src/index.ts"
import { Cassette, ScriptedModel } from "../../src/testing/index.ts"
import { delta, finish, says, script } from "../support/models.ts"

const temporary = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  return { fs, folder, file: `${folder}/deep/tape.json` }
})

/** Files in memory, so that all time is the TestClock's. */
const memoryFiles = Layer.sync(FileSystem.FileSystem, () => {
  const files = new Map<string, string>()
  return FileSystem.makeNoop({
    exists: (path) => Effect.sync(() => files.has(path)),
    makeDirectory: () => Effect.void,
    makeTempDirectoryScoped: () => Effect.succeed("/memory"),
    readFileString: (path) => Effect.sync(() => files.get(path) ?? ""),
    writeFileString: (path, text) => Effect.sync(() => void files.set(path, text)),
    rename: (from, to) =>
      Effect.sync(() => {
        files.set(to, files.get(from) ?? "")
        files.delete(from)
      })
  })
})

/** What a use of the model gives when it is recorded, and when it is replayed from the file without the model. */
const twice = <A, E>(
  real: LanguageModel.LanguageModel,
  use: Effect.Effect<A, E, LanguageModel.LanguageModel>,
  options: Partial<Cassette.Options> = {},
  files: Layer.Layer<FileSystem.FileSystem> = NodeServices.layer
) =>
  Effect.gen(function* () {
    const { file, fs } = yield* temporary
    const over = (model: LanguageModel.LanguageModel, mode: Cassette.Mode) =>
      Effect.gen(function* () {
        const cassette = yield* Cassette.make({ file, ...options, mode })
        const result = yield* use.pipe(
          Effect.provide(cassette.layer),
          Effect.provideService(LanguageModel.LanguageModel, model)
        )
        yield* cassette.assertComplete
        return { result, counts: yield* cassette.counts }
      })
    const recorded = yield* over(real, "record")
    const text = yield* fs.readFileString(file)
    const none = yield* ScriptedModel.make([])
    const replayed = yield* over(none.model, "replay")
    yield* none.assertComplete
    return { recorded, replayed, text, json: JSON.parse(text) as any }
  }).pipe(Effect.provide(files))

const ask = (prompt: Prompt.RawInput) => LanguageModel.generateText({ prompt })

const unknownCall = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.andThen(Effect.die(new Error("the call was answered"))),
    Effect.catchDefect((defect) => Effect.succeed(defect as Error))
  )

const noCI = Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
const withCI = (value: string) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ CI: value }))

const Point = Schema.Struct({ x: Schema.FiniteFromString, at: Schema.Date, tag: Schema.optionalKey(Schema.String) })

const Add = Tool.make("Add", {
  parameters: Schema.Struct({ a: Schema.Finite, b: Schema.FiniteFromString }),
  success: Schema.Finite
})
const Sums = Toolkit.make(Add)

describe("a replayed call", () => {
  it.effect("answers with the same text, metadata and usage", () =>
    Effect.gen(function* () {
      const parts: ReadonlyArray<Response.PartEncoded> = [
        {
          type: "response-metadata",
          id: "r1",
          modelId: "m-1",
          timestamp: "2026-01-02T03:04:05.000Z"
        },
        { type: "reasoning", text: "hm", metadata: { openai: { signature: "c2lnbmVk" } } },
        { type: "text", text: "line 1\nline 2 — ü" },
        { type: "source", sourceType: "url", id: "s", url: "https://effect.website/", title: "Effect" },
        { type: "file", mediaType: "image/png", data: "AAEC" },
        finish(3, 2, { cached: 1 })
      ]
      const { model } = yield* script(parts)
      const { recorded, replayed } = yield* twice(model, ask("Hi"))
      assert.deepStrictEqual(replayed.result.content, recorded.result.content)
      assert.strictEqual(replayed.result.text, "line 1\nline 2 — ü")
      assert.deepStrictEqual(replayed.result.usage, recorded.result.usage)
      assert.deepStrictEqual(
        [recorded.counts, replayed.counts],
        [
          { recorded: 1, replayed: 0 },
          { recorded: 0, replayed: 1 }
        ]
      )
    })
  )

  it.effect("gives the same object, whatever the model's way of encoding it", () =>
    Effect.gen(function* () {
      const text = `{ "x": "1.5", "at": "2026-01-01T00:00:00.000Z", "tag": null }`
      // Absent fields are null for this provider.
      const model = yield* LanguageModel.make({
        generateText: () => Effect.succeed([{ type: "text", text }, finish(1, 1)]),
        streamText: () => Stream.empty,
        codecTransformer: OpenAiStructuredOutput.toCodecOpenAI
      })
      const { json, recorded, replayed } = yield* twice(
        model,
        LanguageModel.generateObject({ prompt: "a point", schema: Point })
      )
      assert.deepStrictEqual(replayed.result.value, { x: 1.5, at: new Date("2026-01-01") })
      assert.deepStrictEqual(replayed.result.value, recorded.result.value)
      assert.strictEqual(replayed.result.text, text)
      assert.strictEqual(json.calls[0].request.kind, "object")
    })
  )

  it.effect("runs its tools again, in a conversation that goes on as before", () =>
    Effect.gen(function* () {
      const ran: Array<number> = []
      const handlers = Sums.toLayer({
        Add: ({ a, b }) =>
          Effect.as(
            Effect.sync(() => void ran.push(a)),
            a + b
          )
      })
      const call = { type: "tool-call", id: "c1", name: "Add", params: { a: 1, b: "2" } } as const
      const { asked, model } = yield* script([[call, finish(5, 2, { reason: "tool-calls" })], says("3", 9, 1)])
      const conversation = Effect.gen(function* () {
        const first = yield* LanguageModel.generateText({ prompt: "1 + 2?", toolkit: Sums })
        const prompt = Prompt.concat(Prompt.make("1 + 2?"), Prompt.fromResponseParts(first.content))
        const second = yield* LanguageModel.generateText({ prompt, toolkit: Sums })
        return [first.toolResults.map(({ result }) => result), second.text]
      }).pipe(Effect.provide(handlers))
      const { recorded, replayed } = yield* twice(model, conversation)
      assert.deepStrictEqual(recorded.result, [[3], "3"])
      assert.deepStrictEqual(replayed.result, recorded.result)
      assert.deepStrictEqual(ran, [1, 1])
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("is known whatever order its tools finished in, or the fields of their arguments are in", () =>
    Effect.gen(function* () {
      const results = (ids: ReadonlyArray<string>) =>
        Prompt.make([
          { role: "user", content: "go" },
          {
            role: "assistant",
            content: [
              {
                type: "tool-call",
                id: "a",
                name: "Add",
                params: Object.fromEntries(ids.map((id) => [id, 1])),
                providerExecuted: false
              }
            ]
          },
          {
            role: "tool",
            content: ids.map((id) => ({ type: "tool-result", id, name: "Add", isFailure: false, result: id }) as const)
          }
        ])
      const { model } = yield* script(says("done"))
      let ids = ["a", "b", "c"]
      const { replayed } = yield* twice(
        model,
        Effect.suspend(() => {
          const prompt = results(ids)
          ids = ["c", "a", "b"]
          return ask(prompt)
        })
      )
      assert.strictEqual(replayed.result.text, "done")
    })
  )

  it.effect("fails with the same error, retryable or not, and an object that does not decode keeps its usage", () =>
    Effect.gen(function* () {
      const limited = AiError.make({
        module: "Real",
        method: "generateText",
        reason: new AiError.RateLimitError({ retryAfter: Duration.seconds(7) })
      })
      const { model } = yield* script([limited, [{ type: "text", text: `{"x":"many"}` }, finish(4, 2)]])
      const { json, recorded, replayed } = yield* twice(
        model,
        Effect.all([
          Effect.flip(ask("Hi")),
          Effect.flip(LanguageModel.generateObject({ prompt: "a point", schema: Point }))
        ])
      )
      const [again, broken] = replayed.result
      assert.deepStrictEqual(replayed.result, recorded.result)
      assert.isTrue(AiError.isAiError(again) && again.isRetryable)
      assert.deepStrictEqual(again.retryAfter, Duration.seconds(7))
      assert.strictEqual(broken.reason._tag, "StructuredOutputError")
      assert.deepStrictEqual(json.calls[1].answer.parts[1].usage.inputTokens.total, 4)
    })
  )

  it.effect("streams the same parts in the same order, up to the error it ended with", () =>
    Effect.gen(function* () {
      const { model } = yield* script(
        [],
        [
          [{ type: "text-start", id: "1" }, delta("Hel"), delta("lo"), { type: "text-end", id: "1" }, finish(2, 2)],
          Stream.concat(
            Stream.make(delta("Bye")),
            Stream.fail(
              AiError.make({
                module: "Real",
                method: "streamText",
                reason: new AiError.InternalProviderError({ description: "the connection broke" })
              })
            )
          )
        ]
      )
      const parts = (prompt: string) =>
        Effect.suspend(() => {
          const seen: Array<Response.StreamPart<{}>> = []
          return LanguageModel.streamText({ prompt }).pipe(
            Stream.runForEach((part) => Effect.sync(() => void seen.push(part))),
            Effect.exit,
            Effect.map((exit) => [seen, exit] as const)
          )
        })
      const { json, recorded, replayed } = yield* twice(model, Effect.all([parts("one"), parts("two")]))
      assert.deepStrictEqual(replayed.result, recorded.result)
      assert.deepStrictEqual(
        replayed.result[0][0].map((part) => part.type),
        ["text-start", "text-delta", "text-delta", "text-end", "finish"]
      )
      assert.isTrue(Exit.isFailure(replayed.result[1][1]))
      assert.isUndefined(json.calls[0].answer.millis)
    })
  )

  it.effect("streams at the recorded times where that is asked for", () =>
    Effect.gen(function* () {
      const { model } = yield* script(
        [],
        [
          Stream.fromIterable([delta("a"), delta("b"), finish()], { chunkSize: 1 }).pipe(
            Stream.tap(() => Effect.sleep(100))
          )
        ]
      )
      const times = LanguageModel.streamText({ prompt: "slowly" }).pipe(
        Stream.mapEffect(() => Effect.clockWith((clock) => clock.currentTimeMillis)),
        Stream.runCollect,
        Effect.map((all) => all.map((time) => time - all[0]!))
      )
      const fiber = yield* Effect.forkChild(twice(model, times, { timing: true }, memoryFiles))
      yield* TestClock.adjust(1000)
      const { json, recorded, replayed } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(json.calls[0].answer.millis, [100, 200, 300])
      assert.deepStrictEqual(recorded.result, [0, 100, 200])
      assert.deepStrictEqual(replayed.result, [0, 100, 200])
    })
  )

  it.effect("of a stream that its reader left ends where the reader left", () =>
    Effect.gen(function* () {
      const { model } = yield* script([], [[delta("a"), delta("b"), finish()]])
      let most = 1
      const read = Effect.suspend(() =>
        LanguageModel.streamText({ prompt: "go on" }).pipe(Stream.take(most), Stream.runCollect)
      )
      const { recorded, replayed } = yield* twice(model, read)
      assert.deepStrictEqual(replayed.result, recorded.result)
      most = 1
      const failing = LanguageModel.streamText({ prompt: "go on" }).pipe(
        Stream.runForEach((part) => Effect.fail(part.type)),
        Effect.flip
      )
      const failed = yield* twice(model, failing)
      assert.deepStrictEqual([failed.recorded.result, failed.replayed.result], ["text-delta", "text-delta"])
      const further = yield* unknownCall(
        twice(
          model,
          Effect.suspend(() =>
            Effect.ensuring(
              read,
              Effect.sync(() => most++)
            )
          )
        )
      )
      assert.include(further.message, "The recorded stream goes no further")
    })
  )

  it.effect("is the next of equal calls, also of those made at once", () =>
    Effect.gen(function* () {
      const { model } = yield* script([says("one"), says("two"), says("three")])
      const texts = Effect.map(Effect.all([ask("Hi"), ask("Hi"), ask("Hi")], { concurrency: 3 }), (all) =>
        all.map((response) => response.text)
      )
      const { json, recorded, replayed } = yield* twice(model, texts)
      assert.deepStrictEqual(recorded.result, ["one", "two", "three"])
      assert.deepStrictEqual(replayed.result, recorded.result)
      assert.strictEqual(json.calls.length, 3)
    })
  )

  it.effect("is told, counted and priced in an execution like the real one, under one model or several", () =>
    Effect.gen(function* () {
      const { file } = yield* temporary
      const price = { inputPerMillion: 1_000_000, outputPerMillion: 0 }
      const chat = Workflow.make("chat", {
        run: (prompt) =>
          Effect.gen(function* () {
            const first = yield* ask(prompt)
            const second = yield* Models.use(ask(first.text), "large")
            const third = yield* LanguageModel.streamText({ prompt: second.text }).pipe(Stream.runCollect)
            return `${third.length}`
          }).pipe(Effect.orDie)
      })
      const observe = (layer: Layer.Layer<LanguageModel.LanguageModel>) =>
        Effect.gen(function* () {
          const execution = yield* (yield* chat.run("Hi")).start
          yield* execution.result
          const events = yield* Stream.runCollect(execution.events)
          return {
            usage: yield* execution.usage,
            calls: events.flatMap((event) =>
              event._tag === "ModelCalled" ? [`${event.model} ${event.inputTokens} ${event.costUsd}`] : []
            ),
            cached: events.filter((event) => event._tag === "ModelCalled" && event.cached === true).length,
            warnings: events.filter((event) => event._tag === "Logged").length
          }
        }).pipe(Effect.provide(layer), Effect.provide(Engine.layerMemory))
      const models = Effect.gen(function* () {
        const small = yield* script(says("a", 2, 1), [[delta("x"), finish(4, 1)]])
        const large = yield* script(says("b", 3, 1))
        return { small: small.model, large: large.model }
      })
      const config = ({ large, small }: { small: LanguageModel.LanguageModel; large: LanguageModel.LanguageModel }) =>
        Models.layer({ small: { model: small, price }, large: { model: large, price, concurrency: 2 } })
      const recorder = yield* Cassette.make({ file, mode: "record" })
      const recorded = yield* observe(recorder.layer.pipe(Layer.provide(config(yield* models))))
      const none = (yield* ScriptedModel.make([])).model
      const player = yield* Cassette.make({ file, mode: "replay" })
      const replayed = yield* observe(player.layer.pipe(Layer.provide(config({ small: none, large: none }))))
      assert.deepStrictEqual(recorded.calls, ["small 2 2", "large 3 3", "small 4 4"])
      // Only that no model was asked differs.
      assert.strictEqual(recorded.cached, 0)
      assert.deepStrictEqual(replayed, { ...recorded, cached: 3 })
      assert.strictEqual(recorded.warnings, 0)

      // Inside of Models.layer, under one of the models.
      const inside = `${file}.inside.json`
      const within = (model: LanguageModel.LanguageModel, mode: Cassette.Mode) =>
        Effect.gen(function* () {
          const { large, small } = yield* models
          const cassette = yield* Cassette.make({ file: inside, mode })
          const taped = cassette.layer.pipe(
            Layer.provide(Layer.succeed(LanguageModel.LanguageModel, mode === "record" ? large : model))
          )
          return yield* observe(Models.layer({ small: { model: small, price }, large: { model: taped, price } }))
        })
      assert.deepStrictEqual(yield* within(none, "record"), recorded)
      assert.deepStrictEqual(yield* within(none, "replay"), { ...recorded, cached: 1 })
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

it.effect("a replayed answer that does not fit its schema has its usage in an execution, also below Models.layer", () =>
  Effect.gen(function* () {
    const { file } = yield* temporary
    const rate = Workflow.make("rate", {
      output: Schema.Finite,
      run: (prompt) =>
        Models.object({ purpose: "rate", name: "rating", prompt, schema: Schema.Struct({ n: Schema.Finite }) }).pipe(
          Effect.map(({ n }) => n),
          Effect.orDie
        )
    })
    const observe = (layer: Layer.Layer<LanguageModel.LanguageModel>) =>
      Effect.gen(function* () {
        const execution = yield* (yield* rate.run("Hi")).start
        const output = yield* execution.result
        const events = yield* Stream.runCollect(execution.events)
        const calls = events.flatMap((event) =>
          event._tag === "ModelCalled" ? [[event.inputTokens, event.outputTokens, event.error]] : []
        )
        return { output, calls }
      }).pipe(Effect.provide(layer), Effect.provide(Engine.layerMemory))
    for (const below of [
      (model: LanguageModel.LanguageModel) => Layer.succeed(LanguageModel.LanguageModel, model),
      (model: LanguageModel.LanguageModel) => Models.layer({ small: model })
    ]) {
      const { model } = yield* script([says("no JSON", 100, 10), says(`{"n":1}`, 200, 20)])
      const none = (yield* ScriptedModel.make([])).model
      const record = yield* Cassette.make({ file, mode: "record" })
      const recorded = yield* observe(record.layer.pipe(Layer.provide(below(model))))
      const replay = yield* Cassette.make({ file, mode: "replay" })
      const replayed = yield* observe(replay.layer.pipe(Layer.provide(below(none))))
      assert.deepStrictEqual(recorded, {
        output: 1,
        calls: [
          [100, 10, "StructuredOutputError"],
          [200, 20, undefined]
        ]
      })
      assert.deepStrictEqual(replayed, recorded)
    }
  }).pipe(Effect.provide(NodeServices.layer))
)

describe("an unknown call", () => {
  it.effect("is a defect that shows the nearest recorded one as a diff", () =>
    Effect.gen(function* () {
      const { file } = yield* temporary
      const { model } = yield* script(says("ok"))
      const over = (mode: Cassette.Mode) =>
        Cassette.layer({ file, mode }).pipe(Layer.provide(Layer.succeed(LanguageModel.LanguageModel, model)))
      yield* Effect.all([ask("Write a poem\nabout tea"), ask("The capital of France?")]).pipe(
        Effect.provide(over("record"))
      )
      const error = yield* unknownCall(ask("Write a poem\nabout coffee").pipe(Effect.provide(over("replay"))))
      assert.strictEqual(error.name, "UnknownCall")
      assert.include(error.message, `Nothing is recorded in ${file} for a call (text): the nearest is call 1`)
      assert.match(error.message, /^-about tea/m)
      assert.match(error.message, /^\+about coffee/m)
      assert.notInclude(error.message, "France")
      const again = yield* unknownCall(
        Effect.andThen(ask("The capital of France?"), ask("The capital of France?")).pipe(
          Effect.provide(over("replay"))
        )
      )
      assert.include(again.message, "it is recorded once, and was made once more")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("makes the cassette incomplete, as does a recorded call that nobody makes", () =>
    Effect.gen(function* () {
      const { file } = yield* temporary
      const { layer } = yield* ScriptedModel.make(["a", "b"])
      const record = yield* Cassette.make({ file, mode: "record" })
      yield* Effect.all([ask("one"), ask("two")]).pipe(Effect.provide(record.layer), Effect.provide(layer))
      yield* record.assertComplete
      const replay = yield* Cassette.make({ file, mode: "replay" })
      yield* unknownCall(ask("three").pipe(Effect.provide(replay.layer), Effect.provide(layer)))
      yield* ask("two").pipe(Effect.provide(replay.layer), Effect.provide(layer))
      const error = yield* Effect.flip(replay.assertComplete)
      assert.strictEqual(error.unused.length, 1)
      assert.include(error.unused[0]!, "one")
      assert.include(error.unexpected[0]!, "three")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("is unused where the layer ends, which tells of it as a warning", () =>
    Effect.gen(function* () {
      const { file } = yield* temporary
      const { layer } = yield* ScriptedModel.make(["a"])
      yield* ask("one").pipe(Effect.provide(Cassette.layer({ file, mode: "record" })), Effect.provide(layer))
      yield* Effect.void.pipe(Effect.provide(Cassette.layer({ file, mode: "replay" })), Effect.provide(layer))
      assert.include((yield* TestConsole.logLines).join("\n"), "not used: 1: text")
    }).pipe(Effect.provide([NodeServices.layer, TestConsole.layer]))
  )
})

describe("a cassette", () => {
  it.effect("in auto mode records what is new, and only replays where CI is set", () =>
    Effect.gen(function* () {
      const { file, folder, fs } = yield* temporary
      const { calls, layer } = yield* ScriptedModel.make(["a", "b"])
      const use = (...prompts: ReadonlyArray<string>) =>
        Effect.forEach(prompts, ask).pipe(
          Effect.map((all) => all.map((response) => response.text)),
          Effect.provide(Cassette.layer({ file })),
          Effect.provide(layer)
        )
      const missing = yield* use("one").pipe(withCI("true"), Effect.flip)
      assert.strictEqual(missing._tag, "CassetteUnreadable")
      assert.deepStrictEqual(yield* noCI(use("one")), ["a"])
      assert.deepStrictEqual(yield* noCI(use("one", "two")), ["a", "b"])
      assert.strictEqual((yield* calls).length, 2)
      assert.deepStrictEqual(yield* fs.readDirectory(`${folder}/deep`), ["tape.json"])
      const before = yield* fs.readFileString(file)
      assert.deepStrictEqual(yield* withCI("1")(use("two", "one")), ["b", "a"])
      assert.strictEqual((yield* unknownCall(withCI("woodpecker")(use("three")))).name, "UnknownCall")
      assert.deepStrictEqual(yield* withCI("false")(use("one")), ["a"])
      assert.strictEqual(yield* fs.readFileString(file), before)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("recorded twice is the same file, with an entry for each call in the order they began", () =>
    Effect.gen(function* () {
      const { file, fs } = yield* temporary
      const record = Effect.gen(function* () {
        const { layer } = yield* ScriptedModel.make([
          ScriptedModel.text("slow", { when: "first", after: "1 second" }),
          ScriptedModel.text("fast", { when: "second" })
        ])
        const fiber = yield* Effect.all([ask("first"), ask("second")], { concurrency: 2 }).pipe(
          Effect.provide(Cassette.layer({ file, mode: "record" })),
          Effect.provide(layer),
          Effect.forkChild
        )
        yield* TestClock.adjust(1000)
        yield* Fiber.join(fiber)
        return yield* fs.readFileString(file)
      })
      const first = yield* record
      assert.strictEqual(yield* record, first)
      assert.deepStrictEqual(
        JSON.parse(first).calls.map((call: any) => call.answer.parts[0].text),
        ["slow", "fast"]
      )
      assert.isTrue(first.endsWith("}\n"))
    }).pipe(Effect.provide(memoryFiles))
  )

  it.effect("keeps nothing of a call that was interrupted, or that did not fail as models do", () =>
    Effect.gen(function* () {
      const { file, fs } = yield* temporary
      const { layer } = yield* ScriptedModel.make([ScriptedModel.hang(), "ok"])
      const cassette = yield* Cassette.make({ file, mode: "record" })
      const fiber = yield* ask("hang").pipe(Effect.provide(cassette.layer), Effect.provide(layer), Effect.forkChild)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      yield* ask("ok").pipe(Effect.provide(cassette.layer), Effect.provide(layer))
      const { calls } = JSON.parse(yield* fs.readFileString(file))
      assert.deepStrictEqual(
        calls.map((call: any) => call.answer.parts[0].text),
        ["ok"]
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("keeps nothing of a stream that was interrupted, between its parts or while one was read", () =>
    Effect.gen(function* () {
      const { file } = yield* temporary
      const { layer } = yield* ScriptedModel.make([ScriptedModel.hang({ text: ["a", "b"] }), "c"])
      const cassette = yield* Cassette.make({ file, mode: "record" })
      const interrupted = (read: Effect.Effect<void>) =>
        Effect.gen(function* () {
          let seen = 0
          const fiber = yield* LanguageModel.streamText({ prompt: "hang" }).pipe(
            Stream.runForEach(() =>
              Effect.andThen(
                Effect.sync(() => seen++),
                read
              )
            ),
            Effect.provide(cassette.layer),
            Effect.provide(layer),
            Effect.forkChild
          )
          for (let i = 0; i < 100; i++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          return seen
        })
      assert.isTrue((yield* interrupted(Effect.void)) > 1)
      assert.strictEqual(yield* interrupted(Effect.never), 1)
      assert.deepStrictEqual(yield* cassette.counts, { replayed: 0, recorded: 0 })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("that is no cassette is refused with the file and the reason", () =>
    Effect.gen(function* () {
      const { folder, fs } = yield* temporary
      const file = `${folder}/broken.json`
      const open = Effect.flip(Cassette.make({ file, mode: "replay" }))
      assert.include((yield* open).message, "there is no such file")
      for (const text of ["{", "{}", `{"cassette":1,"calls":[{"request":{},"answer":{"parts":[{"type":"poem"}]}}]}`]) {
        yield* fs.writeFileString(file, text)
        const error = yield* open
        assert.strictEqual(error._tag, "CassetteUnreadable")
        assert.include(error.message, file)
      }
      assert.include((yield* open).problem, "call 1")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("secrets", () => {
  const key = "sk-proj-0123456789abcdef"

  it.effect("are nowhere in the file, and do not keep a call from being known", () =>
    Effect.gen(function* () {
      const { file, fs } = yield* temporary
      const error = AiError.make({
        module: "Real",
        method: "generateText",
        reason: new AiError.AuthenticationError({
          kind: "InvalidKey",
          description: `the key ${key} is wrong`,
          http: {
            response: {
              status: 401,
              headers: { "set-cookie": Redacted.make("session-is-hidden"), "x-api-key": "plain-hidden" }
            },
            body: `{"echo":"session-is-hidden"}`
          }
        })
      })
      const parts: ReadonlyArray<Response.PartEncoded> = [
        {
          type: "text",
          text: `your key: ${key}, your house: mauve-house`,
          metadata: { real: { apiKey: "odd-hidden", note: "Bearer abcdef0123456789", access_token: "tok-hidden" } }
        },
        { type: "tool-call", id: "c", name: "Login", params: { user: "ada", password: "pw-hidden" } },
        finish()
      ]
      const Login = Tool.make("Login", { parameters: Schema.Struct({ user: Schema.String, password: Schema.String }) })
      const toolkit = Toolkit.make(Login)
      const seen: Array<string> = []
      const use = (prompt: string) =>
        Effect.gen(function* () {
          const response = yield* LanguageModel.generateText({ prompt, toolkit })
          const next = Prompt.concat(Prompt.make(prompt), Prompt.fromResponseParts(response.content))
          return yield* Effect.flip(ask(next))
        }).pipe(Effect.provide(toolkit.toLayer({ Login: ({ user }) => Effect.sync(() => void seen.push(user)) })))
      const { model } = yield* script([parts, error])
      const over = (mode: Cassette.Mode) =>
        Cassette.layer({ file, mode, redact: [/mauve-\w+/, Redacted.make("plum-hidden")] }).pipe(
          Layer.provide(Layer.succeed(LanguageModel.LanguageModel, model))
        )
      const failed = yield* use(`I am ${key} in plum-hidden`).pipe(Effect.provide(over("record")))
      // Whoever asks gets what the model said.
      assert.include(failed.message, key)
      const text = yield* fs.readFileString(file)
      for (const hidden of [key, "hidden", "mauve", "abcdef0123456789"]) assert.notInclude(text, hidden)
      assert.include(text, "your house: [redacted]")
      const replayed = yield* use(`I am sk-proj-99999999999999 in plum-hidden`).pipe(Effect.provide(over("replay")))
      assert.strictEqual(replayed.reason._tag, "AuthenticationError")
      assert.notInclude(JSON.stringify(replayed), "hidden")
      assert.deepStrictEqual(seen, ["ada", "ada"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("are not what prose with the words of secrets has in it", () =>
    Effect.gen(function* () {
      const prose =
        "Basic mathematics. The secret: be kind. A password = something you know. Bearer tokens. sk-learn, pk_fields."
      const { model } = yield* script(says(prose))
      const { replayed, text } = yield* twice(model, ask(prose))
      assert.strictEqual(replayed.result.text, prose)
      assert.notInclude(text, "[redacted]")
    })
  )
})
