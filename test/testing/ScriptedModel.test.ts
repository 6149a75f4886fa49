import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, Schema, Stream } from "effect"
import { AiError, LanguageModel, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { Engine, Models, Step, Workflow } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"

const ask = (model: ScriptedModel.ScriptedModel, prompt: string) =>
  LanguageModel.generateText({ prompt }).pipe(
    Effect.map((response) => response.text),
    Effect.provide(model.layer)
  )

const defect = <A, E>(exit: Exit.Exit<A, E>) =>
  Exit.isFailure(exit)
    ? Option.getOrThrow(Option.fromUndefinedOr(exit.cause.reasons.find(Cause.isDieReason))).defect
    : undefined

const toolkit = Toolkit.make(
  Tool.make("search", { parameters: Schema.Struct({ q: Schema.String }), success: Schema.String })
)
const handlers = toolkit.toLayer({ search: ({ q }) => Effect.succeed(`found ${q}`) })

describe("a scripted model", () => {
  it.effect("answers in order, and from the first line that fits", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make([
        ScriptedModel.text("only for weather", { when: /weather/ }),
        "first",
        ScriptedModel.text("by a function", { when: (call) => call.number === 3 }),
        "second"
      ])
      const said = yield* Effect.forEach(["a", "the weather", "c", "d"], (prompt) => ask(model, prompt))
      assert.deepStrictEqual(said, ["first", "only for weather", "by a function", "second"])
      yield* model.assertComplete
    })
  )

  it.effect("uses a line as often as it says, for ever if told so", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make([
        ScriptedModel.text("twice", { times: 2 }),
        ScriptedModel.text("always", { times: Number.POSITIVE_INFINITY })
      ])
      const said = yield* Effect.forEach([1, 2, 3, 4, 5], () => ask(model, "?"))
      assert.deepStrictEqual(said, ["twice", "twice", "always", "always", "always"])
      yield* model.assertComplete
    })
  )

  it.effect("tells calls apart by purpose, path, kind, tool and object name, all of which must hold", () =>
    Effect.gen(function* () {
      const Schema1 = Schema.Struct({ n: Schema.Int })
      const model = yield* ScriptedModel.make([
        ScriptedModel.text("not this", { when: { purpose: "plan", path: /nowhere/ } }),
        ScriptedModel.text("planned", { when: { purpose: "plan", path: "outer/inner", text: "go" } }),
        ScriptedModel.object({ n: 1 }, { when: { kind: "object", objectName: "Numbers" } }),
        ScriptedModel.toolCalls([{ name: "search", params: { q: "x" } }], { when: { tool: "search" } }),
        ScriptedModel.text("streamed", { when: { kind: "stream" } })
      ])
      const workflow = Workflow.make("w", {
        error: AiError.AiError,
        run: () =>
          Step.make("outer", { run: Step.make("inner", { run: Models.text({ purpose: "plan", prompt: "go" }) }) })
      })
      const streamed = yield* LanguageModel.streamText({ prompt: "x" }).pipe(
        Stream.runCollect,
        Effect.provide(model.layer)
      )
      assert.deepStrictEqual(
        streamed.map((part) => part.type),
        ["text-start", "text-delta", "text-end", "finish"]
      )
      const tools = yield* LanguageModel.generateText({ prompt: "x", toolkit }).pipe(
        Effect.provide([model.layer, handlers])
      )
      assert.deepStrictEqual(tools.finishReason, "tool-calls")
      assert.deepStrictEqual(
        tools.toolResults.map((result) => result.result),
        ["found x"]
      )
      const object = yield* LanguageModel.generateObject({ prompt: "x", schema: Schema1, objectName: "Numbers" }).pipe(
        Effect.provide(model.layer)
      )
      assert.deepStrictEqual(object.value, { n: 1 })
      const said = yield* workflow.execute("").pipe(Effect.provide([Engine.layerMemory, model.layer]))
      assert.strictEqual(said, "planned")
      assert.deepStrictEqual(
        (yield* model.calls).map((call) => [
          call.number,
          call.kind,
          call.purpose,
          call.path,
          call.tools,
          call.objectName
        ]),
        [
          [1, "stream", "", "", [], undefined],
          [2, "text", "", "", ["search"], undefined],
          [3, "object", "", "", [], "Numbers"],
          [4, "text", "plan", "outer/inner", [], undefined]
        ]
      )
      const failure = yield* Effect.flip(model.assertComplete)
      assert.strictEqual(
        failure.message,
        'The script of the model was not followed\n  not used: 1: text "not this", when purpose "plan" and path /nowhere/'
      )
    })
  )

  it.effect("reads system messages and tool results too", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make(["ok"])
      yield* LanguageModel.generateText({
        prompt: [
          { role: "system", content: "be brief" },
          {
            role: "user",
            content: [
              { type: "text", text: "one" },
              { type: "text", text: "two" }
            ]
          },
          {
            role: "tool",
            content: [{ type: "tool-result", id: "1", name: "search", result: { a: 1 }, isFailure: false }]
          }
        ]
      }).pipe(Effect.provide(model.layer))
      assert.strictEqual((yield* model.calls)[0]!.text, 'be brief\none\ntwo\n{"a":1}')
    })
  )

  it.effect("streams its chunks with the delays it was given", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make([
        ScriptedModel.text(["a", "b", "c"], { after: "1 second", chunkDelay: "10 seconds" })
      ])
      const seen: Array<string> = []
      const fiber = yield* LanguageModel.streamText({ prompt: "x" }).pipe(
        Stream.runForEach((part) =>
          Effect.sync(() => {
            if (part.type === "text-delta") seen.push(part.delta)
          })
        ),
        Effect.provide(model.layer),
        Effect.forkChild
      )
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(seen, [])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(seen, ["a"])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(seen, ["a", "b"])
      assert.strictEqual((yield* model.calls)[0]!.outcome, "pending")
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, ["a", "b", "c"])
      assert.strictEqual((yield* model.calls)[0]!.outcome, "answered")
    })
  )

  it.effect("says what usage it was given, or counts words", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make([
        ScriptedModel.text("one two three"),
        ScriptedModel.text("x", { usage: { inputTokens: 7, outputTokens: 9 }, finishReason: "length" })
      ])
      const responses = yield* Effect.forEach([1, 2], () =>
        LanguageModel.generateText({ prompt: "hello there" }).pipe(Effect.provide(model.layer))
      )
      assert.deepStrictEqual(
        responses.map((r) => [r.usage.inputTokens.total, r.usage.outputTokens.total, r.finishReason]),
        [
          [2, 3, "stop"],
          [7, 9, "length"]
        ]
      )
    })
  )

  it.effect("fails on cue, also in the middle of a stream", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make([
        ScriptedModel.fail(new AiError.RateLimitError({})),
        ScriptedModel.fail(
          AiError.make({
            module: "Mine",
            method: "m",
            reason: new AiError.InternalProviderError({ description: "down" })
          }),
          { text: ["half", " a"] }
        )
      ])
      const error = yield* Effect.flip(ask(model, "x"))
      assert.strictEqual(error.reason._tag, "RateLimitError")
      const parts: Array<string> = []
      const late = yield* LanguageModel.streamText({ prompt: "x" }).pipe(
        Stream.runForEach((part) => Effect.sync(() => void parts.push(part.type))),
        Effect.provide(model.layer),
        Effect.flip
      )
      assert.deepStrictEqual([late.module, late.reason._tag], ["Mine", "InternalProviderError"])
      assert.deepStrictEqual(parts, ["text-start", "text-delta", "text-delta"])
      assert.deepStrictEqual(
        (yield* model.calls).map((call) => call.outcome),
        ["failed", "failed"]
      )
    })
  )

  it.effect("hangs on cue, and records that it was interrupted", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make([ScriptedModel.hang(), ScriptedModel.hang({ text: "and then" })])
      const text = yield* Effect.forkChild(ask(model, "x"))
      const stream = yield* LanguageModel.streamText({ prompt: "y" }).pipe(
        Stream.runDrain,
        Effect.provide(model.layer),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(
        (yield* model.calls).map((call) => call.outcome),
        ["pending", "pending"]
      )
      yield* Fiber.interruptAll([text, stream])
      assert.deepStrictEqual(
        (yield* model.calls).map((call) => call.outcome),
        ["interrupted", "interrupted"]
      )
      yield* model.assertComplete
    })
  )

  it.effect("dies of a call that no line fits, saying what was asked and what is still scripted", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make(["one", ScriptedModel.object({ a: 1 }, { when: { kind: "object" } })])
      yield* ask(model, "a")
      const error = defect(yield* Effect.exit(ask(model, "who are you?")))
      assert.instanceOf(error, ScriptedModel.UnexpectedCall)
      assert.strictEqual(
        error.message,
        'No line of the script fits call 2 (text): "who are you?"\n  still scripted: 2: object {"a":1}, when kind "object"'
      )
      const streamed = defect(
        yield* LanguageModel.streamText({ prompt: "again" }).pipe(
          Stream.runDrain,
          Effect.provide(model.layer),
          Effect.exit
        )
      )
      assert.instanceOf(streamed, ScriptedModel.UnexpectedCall)
      const failure = yield* Effect.flip(model.assertComplete)
      assert.deepStrictEqual(failure.unused, ['2: object {"a":1}, when kind "object"'])
      assert.deepStrictEqual(failure.unexpected, ['call 2 (text): "who are you?"', 'call 3 (stream): "again"'])
    })
  )

  it.effect("computes a line from the call, and can fail there", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make([
        ScriptedModel.reply((call) => ScriptedModel.text(`${call.text}!`)),
        ScriptedModel.reply(() => Effect.succeed(ScriptedModel.fail(new AiError.RateLimitError({}))))
      ])
      assert.strictEqual(yield* ask(model, "hey"), "hey!")
      assert.strictEqual((yield* Effect.flip(ask(model, "hey"))).reason._tag, "RateLimitError")
    })
  )

  it.effect("answers calls that run at the same time, each once", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedModel.make(Array.from({ length: 20 }, (_, i) => `answer ${i}`))
      const said = yield* Effect.forEach(Array.from({ length: 20 }), () => ask(model, "x"), {
        concurrency: "unbounded"
      })
      assert.strictEqual(new Set(said).size, 20)
      yield* model.assertComplete
    })
  )
})
