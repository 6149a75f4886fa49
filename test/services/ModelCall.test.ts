import { assert, describe, it } from "@effect/vitest"
import { MockLanguageModelV4 } from "ai/test"
import { Deferred, Effect, Layer, Logger, Schema, Stream } from "effect"
import { AiError, Chat, LanguageModel, Model, Telemetry, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import {
  Agent,
  type Budget,
  Engine,
  type Event,
  Execution,
  Models,
  Parallelization,
  Step,
  Workflow
} from "effect-baton"
import { vi } from "vitest"
import type { ExecutionImpl } from "../../src/internal/execution.ts"
import { count, history, settle, start } from "../support/executions.ts"
import { delta, down, finish, says, script } from "../support/models.ts"

const calls = (execution: Execution.Execution<any, any>) =>
  history(execution).flatMap((event) => (event._tag === "ModelCalled" ? [event] : []))

const deltas = (execution: Execution.Execution<any, any>) =>
  history(execution).flatMap((event) => (event._tag === "TextDelta" ? [event.text] : []))

const call = ({ _tag, sequence, time, ...fields }: Event.Of<"ModelCalled">) => fields

const say = (prompt: string) => Effect.map(LanguageModel.generateText({ prompt }), (response) => response.text)

const ask = Workflow.make("ask", { run: (prompt) => Effect.orDie(say(prompt)) })

const provideModel = Effect.provideService(LanguageModel.LanguageModel)
const engine = Effect.provide(Engine.layerMemory)

const price = { inputPerMillion: 2, outputPerMillion: 10, cachedInputPerMillion: 1 }

describe("a model call in an execution", () => {
  it.effect("is told with model, purpose, usage, cost and time", () =>
    Effect.gen(function* () {
      const { model } = yield* script(Effect.delay(Effect.succeed(says("ok", 1000, 100)), "2 seconds"))
      const workflow = Workflow.make("write", {
        run: (prompt) => Step.make("draft", { run: Effect.orDie(say(prompt)), key: "a" })
      })
      const execution = yield* start(workflow, "hi").pipe(
        Effect.provide(Models.layer({ "acme/large": { model, price } }))
      )
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* execution.result, "ok")
      assert.deepStrictEqual(calls(execution).map(call), [
        {
          path: "draft/a",
          model: "acme/large",
          purpose: "draft",
          inputTokens: 1000,
          outputTokens: 100,
          costUsd: 0.003,
          durationMillis: 2000
        }
      ])
      assert.deepStrictEqual(yield* execution.usage, {
        modelCalls: 1,
        inputTokens: 1000,
        outputTokens: 100,
        costUsd: 0.003,
        steps: 1
      })
    }).pipe(engine)
  )

  it.effect("stays as it is outside of executions", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says("ok"), [[delta("ok"), finish()]])
      const layer = Models.layer({ a: model })
      assert.strictEqual(yield* say("hi").pipe(Effect.provide(layer)), "ok")
      const parts = yield* LanguageModel.streamText({ prompt: "hi" }).pipe(Stream.provide(layer), Stream.runCollect)
      assert.deepStrictEqual(
        parts.map((part) => part.type),
        ["text-delta", "finish"]
      )
    })
  )

  it.effect("is told once for each way to make it: text, object, stream, chat and tools", () =>
    Effect.gen(function* () {
      const Add = Tool.make("Add", { parameters: Schema.Struct({ n: Schema.Finite }), success: Schema.Finite })
      const toolkit = Toolkit.make(Add)
      const handlers = toolkit.toLayer({ Add: ({ n }) => Effect.succeed(n + 1) })
      const { model } = yield* script(
        [
          says("text", 1, 1),
          says(`{"n":1}`, 1, 1),
          says("chat", 1, 1),
          [{ type: "tool-call", id: "1", name: "Add", params: { n: 1 } }, finish(1, 1, { reason: "tool-calls" })]
        ],
        [[delta("stream"), finish(1, 1)]]
      )
      const workflow = Workflow.make("all", {
        input: Schema.Void,
        output: Schema.Unknown,
        run: () =>
          Effect.gen(function* () {
            const text = yield* say("a")
            const object = yield* LanguageModel.generateObject({
              prompt: "b",
              schema: Schema.Struct({ n: Schema.Finite })
            })
            const chat = yield* Effect.flatMap(Chat.empty, (chat) => chat.generateText({ prompt: "c" }))
            const tools = yield* LanguageModel.generateText({ prompt: "d", toolkit })
            const stream = yield* LanguageModel.streamText({ prompt: "e" }).pipe(Stream.runCollect)
            return [text, object.value, chat.text, tools.toolResults[0]?.result, stream.length]
          }).pipe(Effect.provide(handlers), Effect.orDie)
      })
      const execution = yield* start(workflow, undefined).pipe(provideModel(model))
      assert.deepStrictEqual(yield* execution.result, ["text", { n: 1 }, "chat", 2, 2])
      assert.strictEqual(count(execution, "ModelCalled"), 5)
      const usage = yield* execution.usage
      assert.deepStrictEqual([usage.modelCalls, usage.inputTokens, usage.outputTokens], [5, 5, 5])
    }).pipe(engine)
  )

  it.effect("of a tool is told beside the call that runs the tool", () =>
    Effect.gen(function* () {
      const Ask = Tool.make("Ask", { success: Schema.String })
      const toolkit = Toolkit.make(Ask)
      const { model } = yield* script([
        [{ type: "tool-call", id: "1", name: "Ask", params: {} }, finish(10, 0, { reason: "tool-calls" })],
        says("inner", 1, 0)
      ])
      const inner = Effect.orDie(say("inner").pipe(Models.use("m")))
      const workflow = Workflow.make("tools", {
        run: (prompt) =>
          LanguageModel.generateText({ prompt, toolkit }).pipe(
            Effect.map((response) => String(response.toolResults[0]?.result)),
            Effect.orDie
          )
      })
      const execution = yield* start(workflow, "x").pipe(
        Effect.provide(toolkit.toLayer({ Ask: () => inner })),
        Effect.provide(Models.layer({ m: model }))
      )
      assert.strictEqual(yield* execution.result, "inner")
      assert.deepStrictEqual(
        calls(execution).map((event) => event.inputTokens),
        [1, 10]
      )
    }).pipe(engine)
  )

  it.effect("runs its tools as steps, known by the ids of their calls, also where a model gives an id twice", () =>
    Effect.gen(function* () {
      const Say = Tool.make("Say", { parameters: Schema.Struct({ n: Schema.Finite }), success: Schema.Finite })
      const toolkit = Toolkit.make(Say)
      const { model } = yield* script([
        [
          ...[1, 2].map((n) => ({ type: "tool-call" as const, id: "same", name: "Say", params: { n } })),
          { type: "tool-call", id: "other", name: "Say", params: { n: 3 } },
          finish(1, 1, { reason: "tool-calls" })
        ]
      ])
      const workflow = Workflow.make("tools", {
        output: Schema.Unknown,
        run: (prompt) =>
          LanguageModel.generateText({ prompt, toolkit }).pipe(
            Effect.map((response) => response.toolResults.map(({ result }) => result).sort()),
            Effect.orDie
          )
      })
      const execution = yield* start(workflow, "x").pipe(
        Effect.provide(toolkit.toLayer({ Say: ({ n }) => Effect.as(Effect.yieldNow, n) })),
        provideModel(model)
      )
      assert.deepStrictEqual(yield* execution.result, [1, 2, 3])
      const steps = history(execution).flatMap((event) => (event._tag === "StepCompleted" ? [event.path] : []))
      assert.deepStrictEqual(steps.sort(), ["tool/Say/other", "tool/Say/same", "tool/Say/same-2"])
      assert.strictEqual((yield* execution.usage).steps, 3)
    }).pipe(engine)
  )

  it.effect("that fails or is interrupted is told with the error's name and counts", () =>
    Effect.gen(function* () {
      const { model } = yield* script([down, Effect.never])
      const workflow = Workflow.make("fails", {
        run: (prompt) =>
          say(prompt).pipe(
            Effect.catchTag("AiError", () => Effect.timeout(say(prompt), "1 second")),
            Effect.orDie
          )
      })
      const execution = yield* start(workflow, "secret prompt").pipe(provideModel(model))
      yield* TestClock.adjust("1 second")
      yield* execution.exit
      assert.deepStrictEqual(
        calls(execution).map((event) => [event.error, event.durationMillis]),
        [
          ["InternalProviderError", 0],
          ["Interrupted", 1000]
        ]
      )
      assert.strictEqual((yield* execution.usage).modelCalls, 2)
      assert.notInclude(JSON.stringify(calls(execution)), "secret")
    }).pipe(engine)
  )

  it.effect("has the usage of an answer that does not fit the schema", () =>
    Effect.gen(function* () {
      const { model } = yield* script([says("no JSON", 100, 10), says(`{"n":1}`, 200, 20)])
      const workflow = Workflow.make("object", {
        output: Schema.Unknown,
        run: (prompt) =>
          Effect.orDie(
            Models.object({ purpose: "rate", prompt, name: "n", schema: Schema.Struct({ n: Schema.Finite }) })
          )
      })
      const execution = yield* start(workflow, "x").pipe(provideModel(model))
      assert.deepStrictEqual(yield* execution.result, { n: 1 })
      assert.deepStrictEqual(
        calls(execution).map((event) => [event.purpose, event.inputTokens, event.error]),
        [
          ["rate", 100, "StructuredOutputError"],
          ["rate", 200, undefined]
        ]
      )
    }).pipe(engine)
  )

  it.effect("without usage or price counts as nothing used", () =>
    Effect.gen(function* () {
      const { model } = yield* script([[{ type: "text", text: "ok" }]])
      const execution = yield* start(ask, "hi").pipe(provideModel(model))
      yield* execution.result
      assert.deepStrictEqual(calls(execution).map(call), [
        { path: "", model: "unknown", purpose: "ask", inputTokens: 0, outputTokens: 0, costUsd: 0, durationMillis: 0 }
      ])
    }).pipe(engine)
  )

  it.effect("of an unnamed model goes by what its provider or its answer calls it", () =>
    Effect.gen(function* () {
      const { model } = yield* script([
        [{ type: "response-metadata", id: "r1", modelId: "haiku-4", timestamp: undefined }, finish()]
      ])
      const first = yield* start(ask, "hi").pipe(provideModel(model))
      yield* first.result
      const { model: other } = yield* script(says("ok"))
      const second = yield* start(ask, "hi").pipe(
        Effect.provide(Model.make("anthropic", "haiku", Layer.succeed(LanguageModel.LanguageModel, other)))
      )
      yield* second.result
      assert.deepStrictEqual(
        [first, second].map((execution) => calls(execution)[0]?.model),
        ["haiku-4", "anthropic/haiku"]
      )
    }).pipe(engine)
  )

  it.effect("sums up over inline calls, children and steps", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says("ok", 10, 1))
      const inner = Workflow.make("inner", { run: (prompt) => Step.make("say", { run: Effect.orDie(say(prompt)) }) })
      const outer = Workflow.make("outer", {
        run: (prompt) =>
          Effect.gen(function* () {
            yield* inner.call(prompt)
            const child = yield* Execution.startChild(inner, prompt)
            yield* child.result
            yield* Effect.forEach(["a", "b"], (key) => Step.make("more", { key, run: Effect.orDie(say(prompt)) }), {
              concurrency: 2
            })
            return `${(yield* child.usage).modelCalls}`
          }).pipe(Effect.orDie)
      })
      const execution = yield* start(outer, "hi").pipe(Effect.provide(Models.layer({ m: { model, price } })))
      assert.strictEqual(yield* execution.result, "1")
      const usage = yield* execution.usage
      assert.deepStrictEqual([usage.modelCalls, usage.inputTokens, usage.outputTokens, usage.steps], [4, 40, 4, 4])
      assert.closeTo(usage.costUsd, 4 * 0.00003, 1e-12)
    }).pipe(engine)
  )
})

describe("a model of the AI SDK", () => {
  it.effect("has its usage told though a tool fails the call afterwards", () =>
    Effect.gen(function* () {
      const Act = Tool.make("Act", { success: Schema.String, failure: Schema.String })
      const toolkit = Toolkit.make(Act)
      const model = new MockLanguageModelV4({
        provider: "acme.chat",
        modelId: "one",
        doGenerate: {
          content: [{ type: "tool-call", toolCallId: "1", toolName: "Act", input: "{}" }],
          finishReason: { unified: "tool-calls", raw: "" },
          usage: {
            inputTokens: { total: 30, noCache: 30, cacheRead: 0, cacheWrite: 0 },
            outputTokens: { total: 3, text: 3, reasoning: 0 }
          },
          warnings: []
        }
      })
      const workflow = Workflow.make("tools", {
        output: Schema.Unknown,
        error: Schema.Any,
        run: (prompt) => LanguageModel.generateText({ prompt, toolkit })
      })
      const execution = yield* start(workflow, "x").pipe(
        Effect.provide(toolkit.toLayer({ Act: () => Effect.fail("broken") })),
        Effect.provide(Models.fromAiSdk(model))
      )
      assert.strictEqual(yield* Effect.flip(execution.result), "broken")
      assert.deepStrictEqual(
        calls(execution).map((event) => [event.model, event.inputTokens, event.outputTokens]),
        [["acme.chat/one", 30, 3]]
      )
    }).pipe(engine)
  )

  it.effect("that never answers is aborted when the run times out or is cancelled", () =>
    Effect.gen(function* () {
      const signals: Array<AbortSignal | undefined> = []
      const never = ({ abortSignal }: { readonly abortSignal?: AbortSignal | undefined }) => {
        signals.push(abortSignal)
        return new Promise<never>(() => {})
      }
      const model = new MockLanguageModelV4({ doGenerate: never, doStream: never })
      const streams = Workflow.make("streams", {
        run: (prompt) => Effect.orDie(Effect.as(Stream.runDrain(LanguageModel.streamText({ prompt })), ""))
      })
      const layer = Models.fromAiSdk(model)
      const timed = yield* start(ask, "x", { timeout: "1 second" }).pipe(Effect.provide(layer))
      const cancelled = yield* start(streams, "x").pipe(Effect.provide(layer))
      yield* settle
      assert.deepStrictEqual(
        signals.map((signal) => signal?.aborted),
        [false, false]
      )
      yield* TestClock.adjust("1 second")
      yield* cancelled.cancel()
      yield* timed.exit
      assert.deepStrictEqual(
        signals.map((signal) => signal?.aborted),
        [true, true]
      )
      assert.deepStrictEqual(
        [...calls(timed), ...calls(cancelled)].map((event) => event.error),
        ["Interrupted", "Interrupted"]
      )
    }).pipe(engine)
  )
})

it.effect("work that outlives its run makes no more calls", () =>
  Effect.gen(function* () {
    const { asked, model } = yield* script(says("ok"), [[finish()]])
    const late = Effect.all([say("late"), Stream.runDrain(LanguageModel.streamText({ prompt: "late" }))], {
      concurrency: 2
    })
    const workflow = Workflow.make("daemon", {
      run: () => Effect.as(Effect.forkDetach(Effect.delay(late, "1 second")), "done")
    })
    yield* workflow.execute("x").pipe(provideModel(model))
    yield* TestClock.adjust("1 second")
    yield* settle
    assert.strictEqual(asked.length, 0)
  }).pipe(engine)
)

describe("a budget", () => {
  it.effect("stops the call after the last one allowed, before it is made, also as a stream", () =>
    Effect.gen(function* () {
      for (const second of [
        say("b"),
        Effect.as(LanguageModel.streamText({ prompt: "b" }).pipe(Stream.runDrain), "streamed")
      ]) {
        const { asked, model } = yield* script(says("ok"), [[finish()]])
        const workflow = Workflow.make("two", {
          error: AiError.AiError,
          run: () => Effect.andThen(say("a"), second)
        })
        const execution = yield* start(workflow, "", { budget: { modelCalls: 1 } }).pipe(provideModel(model))
        const error = yield* Effect.flip(execution.result)
        assert.strictEqual(error._tag, "BudgetExceeded")
        assert.strictEqual(asked.length, 1)
        assert.deepStrictEqual([(yield* execution.usage).modelCalls, count(execution, "ModelCalled")], [1, 1])
      }
    }).pipe(engine)
  )

  it.effect("is shared by patterns, agents that stream, the calls of their tools, and children", () =>
    Effect.gen(function* () {
      const streamed = [delta("ok"), finish(10, 1)]
      const { asked, model } = yield* script(says("ok", 10, 1), [streamed])
      const Look = Tool.make("look", { success: Schema.String, dependencies: [LanguageModel.LanguageModel] })
      const toolkit = Toolkit.make(Look)
      const handlers = toolkit.toLayer({ look: () => Effect.orDie(say("look")) })
      const speaker = Agent.make("speaker", { stream: true })
      const caller = Agent.make("caller", { toolkit })
      const both = Parallelization.make("both", {
        error: Schema.Union([Agent.AgentStopped, Agent.TurnsExhausted, Agent.GuardrailTripped]),
        split: () => Effect.succeed([{ id: "a", prompt: "a" }]),
        worker: ({ prompt }) => speaker.call(prompt),
        merge: (results) => Effect.succeed(String(results.length))
      })
      const parent = Workflow.make("parent", {
        run: (prompt) =>
          Effect.gen(function* () {
            yield* both.call(prompt)
            yield* caller.call(prompt)
            const child = yield* Execution.startChild(ask, prompt)
            yield* child.result
            return yield* say(prompt)
          }).pipe(Effect.orDie)
      })
      const using = (budget: Budget.Budget) =>
        Effect.gen(function* () {
          asked.length = 0
          const execution = yield* start(parent, "x", { budget })
          const exit = yield* execution.exit
          return [exit._tag, asked.length, (yield* execution.usage).modelCalls, (yield* execution.usage).inputTokens]
        }).pipe(Effect.provide([Layer.succeed(LanguageModel.LanguageModel, model), handlers]))
      assert.deepStrictEqual(yield* using({ modelCalls: 4 }), ["Success", 4, 4, 40])
      for (const calls of [0, 1, 2, 3]) {
        assert.deepStrictEqual(yield* using({ modelCalls: calls }), ["Failure", calls, calls, calls * 10])
        if (calls > 0) {
          const tokens = yield* using({ tokens: calls * 11 })
          assert.deepStrictEqual(tokens, ["Failure", calls, calls, calls * 10])
        }
      }
    }).pipe(engine)
  )

  it.effect(
    "of tokens or cost does not see a call without usage, which one warning says; one of model calls does",
    () =>
      Effect.gen(function* () {
        const { asked, model } = yield* script([{ type: "text", text: "ok" }, finish()])
        const thrice = Workflow.make("thrice", {
          run: (prompt) => Effect.orDie(Effect.as(Effect.all([say(prompt), say(prompt), say(prompt)]), ""))
        })
        const warnings = (execution: Execution.Execution<any, any>) =>
          history(execution).flatMap((event) => (event._tag === "Logged" ? [event.message] : []))
        const provided = Effect.provide(Models.layer({ quiet: model }))
        const blind = yield* start(thrice, "x", { budget: { tokens: 1, cost: 0.01 } }).pipe(provided)
        yield* blind.exit
        yield* settle
        assert.strictEqual(asked.length, 3)
        assert.strictEqual(warnings(blind).length, 1)
        assert.include(warnings(blind)[0], "The model quiet does not say how many tokens it used")
        const counted = yield* start(thrice, "x", { budget: { modelCalls: 2 } }).pipe(provided)
        assert.strictEqual((yield* counted.exit)._tag, "Failure")
        assert.deepStrictEqual([asked.length, warnings(counted)], [5, []])
      }).pipe(engine)
  )

  it.effect("of tokens or cost stops the call after the one that used it up", () =>
    Effect.gen(function* () {
      const forever = Workflow.make("forever", {
        output: Schema.Never,
        error: AiError.AiError,
        run: () => Effect.forever(say("again"))
      })
      const { asked, model } = yield* script(says("ok", 1000, 100))
      const layer = Models.layer({ m: { model, price } })
      const tokens = yield* forever.execute("", { budget: { tokens: 2500 } }).pipe(Effect.provide(layer), Effect.flip)
      assert.strictEqual(tokens._tag === "BudgetExceeded" ? tokens.limit : "", "tokens")
      assert.strictEqual(asked.length, 3)
      const cost = yield* forever.execute("", { budget: { cost: 0.005 } }).pipe(Effect.provide(layer), Effect.flip)
      assert.strictEqual(cost._tag === "BudgetExceeded" ? cost.limit : "", "cost")
      assert.strictEqual(asked.length, 5)
    }).pipe(engine)
  )

  it.effect("at its edge lets exactly as many of many concurrent calls through as are left", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script(Effect.delay(Effect.succeed(says("ok")), "1 second"))
      const workflow = Workflow.make("many", {
        output: Schema.Finite,
        run: () =>
          Effect.forEach(
            Array.from({ length: 20 }),
            () =>
              say("x").pipe(
                Effect.as(0),
                Effect.catch((error) => Effect.succeed((error as { _tag: string })._tag === "BudgetExceeded" ? 1 : 100))
              ),
            { concurrency: "unbounded" }
          ).pipe(Effect.map((stopped) => stopped.reduce((a, b) => a + b, 0)))
      })
      const execution = yield* start(workflow, "", { budget: { modelCalls: 7 } }).pipe(provideModel(model))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* execution.result, 13)
      assert.deepStrictEqual([asked.length, count(execution, "ModelCalled")], [7, 7])
    }).pipe(engine)
  )
})

describe("a stream in an execution", () => {
  const streamed = (take?: number) =>
    Workflow.make("stream", {
      output: Schema.Finite,
      error: AiError.AiError,
      run: (prompt) => {
        const stream = LanguageModel.streamText({ prompt })
        return Effect.map(Stream.runCollect(take === undefined ? stream : Stream.take(stream, take)), (p) => p.length)
      }
    })

  it.effect("shows its text in pieces of 256 characters, and the rest at its end", () =>
    Effect.gen(function* () {
      const word = "word "
      const { model } = yield* script(says(""), [[...Array.from({ length: 100 }, () => delta(word)), finish(5, 100)]])
      const execution = yield* start(streamed(), "x").pipe(provideModel(model))
      assert.strictEqual(yield* execution.result, 101)
      assert.strictEqual(deltas(execution).join(""), word.repeat(100))
      assert.deepStrictEqual(
        deltas(execution).map((text) => text.length),
        [260, 240]
      )
      assert.deepStrictEqual(
        calls(execution).map((event) => event.outputTokens),
        [100]
      )
    }).pipe(engine)
  )

  it.effect("shows the text that waits for more after 50 ms, though nobody reads", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says(""), [
        Stream.concat(Stream.make(delta("Hel"), delta("lo")), Stream.fromEffect(Effect.never))
      ])
      const execution = yield* start(streamed(), "x").pipe(provideModel(model))
      yield* settle
      assert.deepStrictEqual(deltas(execution), [])
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(deltas(execution), ["Hello"])
      yield* execution.cancel()
      assert.deepStrictEqual(
        calls(execution).map((event) => event.error),
        ["Interrupted"]
      )
    }).pipe(engine)
  )

  it.effect("that fails in the middle keeps its text and is told with the error", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says(""), [Stream.concat(Stream.make(delta("Hel")), Stream.fail(down))])
      const execution = yield* start(streamed(), "x").pipe(provideModel(model))
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "AiError")
      assert.deepStrictEqual(deltas(execution), ["Hel"])
      assert.deepStrictEqual(
        calls(execution).map((event) => event.error),
        ["InternalProviderError"]
      )
    }).pipe(engine)
  )

  it.effect("whose reader stops early is told once, without an error", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says(""), [[delta("a"), delta("b"), delta("c"), finish(1, 3)]])
      const execution = yield* start(streamed(2), "x").pipe(provideModel(model))
      assert.strictEqual(yield* execution.result, 2)
      assert.deepStrictEqual(deltas(execution), ["ab"])
      assert.deepStrictEqual(
        calls(execution).map((event) => [event.error, event.outputTokens]),
        [[undefined, 0]]
      )
    }).pipe(engine)
  )

  it.effect("that outlives its run tells nothing more and leaves no timer", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says(""), [
        Stream.concat(
          Stream.make(delta("early")),
          Stream.concat(Stream.drain(Stream.fromEffect(Effect.sleep("1 second"))), Stream.make(delta("late"), finish()))
        )
      ])
      const stream = Stream.runDrain(LanguageModel.streamText({ prompt: "x" }))
      const workflow = Workflow.make("daemon", {
        run: () => Effect.as(Effect.andThen(Effect.forkDetach(stream), Effect.sleep("100 millis")), "done")
      })
      const execution = yield* start(workflow, "x").pipe(provideModel(model))
      yield* TestClock.adjust("100 millis")
      yield* execution.result
      assert.deepStrictEqual(deltas(execution), ["early"])
      const forked = vi.spyOn(execution as ExecutionImpl, "fork")
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual([deltas(execution), forked.mock.calls.length], [["early"], 0])
    }).pipe(engine)
  )

  it.effect("keeps its text blocks apart", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says(""), [[delta("a", "1"), delta("b", "2"), delta("c", "2"), finish()]])
      const execution = yield* start(streamed(), "x").pipe(provideModel(model))
      yield* execution.result
      assert.deepStrictEqual(deltas(execution), ["a", "bc"])
    }).pipe(engine)
  )

  it.effect("reaches a reader of the events while the model still talks", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>()
      const { model } = yield* script(says(""), [
        Stream.concat(
          Stream.make(delta("x".repeat(300))),
          Stream.concat(Stream.drain(Stream.fromEffect(Deferred.await(go))), Stream.make(finish()))
        )
      ])
      const execution = yield* start(streamed(), "x").pipe(provideModel(model))
      const text = yield* execution.events.pipe(
        Stream.filter((event) => event._tag === "TextDelta"),
        Stream.runHead
      )
      assert.strictEqual(text._tag === "Some" && text.value.text.length, 300)
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* Deferred.succeed(go, undefined)
      yield* execution.result
    }).pipe(engine)
  )
})

describe("a model provided inside a body", () => {
  const logged = (messages: Array<string>) =>
    Effect.provide(
      Logger.layer([Logger.make((options) => void messages.push(`${options.logLevel} ${String(options.message)}`))])
    )

  it.effect("is counted like any other when its layer is instrumented, by the name and price that it gives", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script(says("ok", 10, 1))
      const layer = Models.instrumented(Layer.succeed(LanguageModel.LanguageModel, model), { id: "inside", price })
      const workflow = Workflow.make("inside", {
        error: AiError.AiError,
        run: (prompt) => Effect.andThen(say(prompt), say(prompt)).pipe(Effect.provide(layer))
      })
      const execution = yield* start(workflow, "x", { budget: { modelCalls: 1 } })
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "BudgetExceeded")
      assert.strictEqual(asked.length, 1)
      assert.strictEqual((yield* execution.usage).inputTokens, 10)
      assert.deepStrictEqual(
        calls(execution).map(({ costUsd, model }) => [model, costUsd]),
        [["inside", 0.00003]]
      )
    }).pipe(engine)
  )

  it.effect("is counted like any other when its layer is not, too", () =>
    Effect.gen(function* () {
      const messages: Array<string> = []
      const { asked, model } = yield* script(says("ok", 10, 1))
      const workflow = Workflow.make("inside", {
        error: AiError.AiError,
        run: (prompt) =>
          Effect.andThen(say(prompt), say(prompt)).pipe(
            Effect.provide(Model.make("acme", "small", Layer.succeed(LanguageModel.LanguageModel, model)))
          )
      })
      const execution = yield* start(workflow, "x", { budget: { modelCalls: 1 } }).pipe(logged(messages))
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "BudgetExceeded")
      assert.strictEqual(asked.length, 1)
      assert.deepStrictEqual(
        calls(execution).map((event) => [event.model, event.inputTokens]),
        [["acme/small", 10]]
      )
      assert.deepStrictEqual(messages, [])
    }).pipe(engine)
  )

  it.effect("that a service took outside is told after it answered, with one warning a run", () =>
    Effect.gen(function* () {
      const messages: Array<string> = []
      const { model } = yield* script(says("ok", 10, 1), [[delta("ok"), finish(10, 1)]])
      const workflow = Workflow.make("inside", {
        run: (prompt) =>
          model.generateText({ prompt }).pipe(
            Effect.tap(Stream.runDrain(model.streamText({ prompt }))),
            Effect.map((response) => response.text),
            Effect.provideService(Model.ModelName, "small"),
            Effect.provideService(Model.ProviderName, "acme"),
            Effect.orDie
          )
      })
      for (const id of ["1", "2"]) {
        const execution = yield* start(workflow, "x", { id }).pipe(logged(messages))
        yield* execution.result
        yield* settle
        assert.deepStrictEqual(
          calls(execution).map((event) => [event.model, event.inputTokens]),
          [
            ["acme/small", 10],
            ["acme/small", 10]
          ]
        )
        assert.strictEqual((yield* execution.usage).modelCalls, 2)
      }
      const warnings = messages.filter((message) => message.startsWith("Warn"))
      assert.strictEqual(warnings.length, 2)
      assert.include(warnings[0], "Models.instrumented")
    }).pipe(engine)
  )

  it.effect("leaves the starter's own span transformer in place", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const { model } = yield* script([says("text"), says(`{}`)])
      const workflow = Workflow.make("both", {
        run: (prompt) =>
          say(prompt).pipe(
            Effect.tap(LanguageModel.generateObject({ prompt, schema: Schema.Struct({}) })),
            Effect.orDie
          )
      })
      const execution = yield* start(workflow, "x").pipe(
        provideModel(model),
        Effect.provideService(Telemetry.CurrentSpanTransformer, (options) => void seen.push(options.response.length))
      )
      yield* execution.result
      assert.deepStrictEqual(seen, [2, 2])
      assert.strictEqual(count(execution, "ModelCalled"), 2)
    }).pipe(engine)
  )
})

it.effect("a model is wrapped once, also in the children of children", () =>
  Effect.gen(function* () {
    const { model } = yield* script(says("ok"))
    const nested = (depth: number): Workflow.Workflow<string, string, never, LanguageModel.LanguageModel> =>
      Workflow.make(`nested-${depth}`, {
        run: (prompt: string) =>
          depth === 0
            ? Effect.orDie(say(prompt))
            : Execution.startChild(nested(depth - 1), prompt).pipe(
                Effect.flatMap((child) => child.result),
                Effect.orDie
              )
      })
    const execution = yield* start(nested(3), "x").pipe(provideModel(model))
    yield* execution.result
    assert.strictEqual((yield* execution.usage).modelCalls, 1)
  }).pipe(engine)
)
