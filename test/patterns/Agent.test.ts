import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { Engine, Models, type RunError, Step, Workflow } from "effect-baton"
import * as Agent from "effect-baton/Agent"
import { ScriptedModel } from "effect-baton/testing"
import { expectTypeOf } from "vitest"
import { Answer, Outcome } from "../../src/patterns/conversation.ts"
import { story, thrown } from "./observed.ts"

const { toolCalls, text } = ScriptedModel

const Search = Tool.make("search", {
  description: "Finds pages",
  parameters: Schema.Struct({ words: Schema.String }),
  success: Schema.Array(Schema.String)
})
const Note = Tool.make("note", { parameters: Schema.Struct({ line: Schema.String }) })
const toolkit = Toolkit.make(Search, Note)
const clerk = Agent.make("clerk", { instructions: "You are a clerk.", toolkit })

/** Handlers that write down what they were called with. */
const handlers = (log: Array<string> = []) =>
  toolkit.toLayer({
    search: ({ words }, { toolCallId }) =>
      Effect.sync(() => {
        log.push(`${toolCallId} search ${words}`)
        return [`about ${words}`]
      }),
    note: ({ line }) => Effect.sync(() => void log.push(`note ${line}`))
  })

const search = (words: string, id?: string) => ({ name: "search", params: { words }, ...(id ? { id } : {}) })

/** Runs with a scripted model, which must have been followed. */
const scripted = <A, E, R>(
  script: ScriptedModel.Script,
  f: (model: ScriptedModel.ScriptedModel) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const model = yield* ScriptedModel.make(script)
    const result = yield* f(model).pipe(Effect.provide([Engine.layerMemory, model.layer]))
    yield* model.assertComplete
    return result
  })

const roles = (prompt: Prompt.Prompt) => prompt.content.map((message) => message.role)

describe("Agent", () => {
  it.effect("calls the tools that the model asks for, until it answers", () => {
    const log: Array<string> = []
    return scripted([toolCalls([search("oslo", "c1"), search("bergen", "c2")]), "Both rain."], (model) =>
      Effect.gen(function* () {
        const execution = yield* (yield* clerk.run("Where does it rain?")).start
        assert.strictEqual(yield* execution.result, "Both rain.")
        assert.deepStrictEqual(log, ["c1 search oslo", "c2 search bergen"])
        assert.deepStrictEqual(yield* story(execution), [
          "turn/1:1/0",
          "turn/1/model",
          "turn/1/tool/search/c1",
          "turn/1/tool/search/c2",
          "turn/2:2/0",
          "turn/2/model"
        ])
        const calls = yield* model.calls
        assert.deepStrictEqual(
          calls.map(({ path, purpose, tools }) => [path, purpose, tools.join()]),
          [
            ["turn/1/model", "turn", "search,note"],
            ["turn/2/model", "turn", "search,note"]
          ]
        )
        assert.deepStrictEqual(roles(calls[1]!.prompt), ["system", "user", "assistant", "tool"])
        assert.strictEqual(calls[1]!.text, 'You are a clerk.\nWhere does it rain?\n["about oslo"]\n["about bergen"]')
        assert.strictEqual((yield* execution.usage).modelCalls, 2)
      }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("is an answer and nothing else where it has no tools", () =>
    scripted(["Hello!"], () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* Agent.make("greeter", {}).execute("Hi"), "Hello!")
      })
    )
  )

  it.effect("keeps the model's order of calls in the conversation, whichever ends first", () =>
    scripted([toolCalls([search("slow", "c1"), search("fast", "c2")]), "Done."], (model) =>
      Effect.gen(function* () {
        const slow = toolkit.toLayer({
          search: ({ words }) => Effect.as(words === "slow" ? Effect.yieldNow : Effect.void, [words]),
          note: () => Effect.void
        })
        yield* clerk.execute("Go").pipe(Effect.provide(slow))
        const [, second] = yield* model.calls
        assert.isTrue(second!.text.endsWith('["slow"]\n["fast"]'))
      })
    )
  )

  it.effect(
    "asks once more for an object where it has an output schema, with its tools named and not to be used",
    () => {
      const Report = Schema.Struct({ city: Schema.String, degrees: Schema.NumberFromString })
      const reporter = Agent.make("reporter", { toolkit, output: Report })
      return scripted(
        [toolCalls([search("oslo")]), "It is 4 degrees.", ScriptedModel.object({ city: "Oslo", degrees: "4" })],
        (model) =>
          Effect.gen(function* () {
            const execution = yield* (yield* reporter.run("Oslo?")).start
            assert.deepStrictEqual(yield* execution.result, { city: "Oslo", degrees: 4 })
            assert.include(yield* story(execution), "output")
            const last = (yield* model.calls)[2]!
            assert.deepStrictEqual([last.kind, last.purpose, last.tools.length], ["object", "output", 2])
            assert.strictEqual(last.options.toolChoice, "none")
            assert.isTrue(last.text.includes("It is 4 degrees."))
          }).pipe(Effect.provide(handlers()))
      )
    }
  )

  it.effect("shows the model once what is wrong with its object, and fails when it is wrong again", () => {
    const counter = Agent.make("counter", { output: Schema.Int })
    return Effect.gen(function* () {
      const right = yield* scripted(
        ["Three.", ScriptedModel.object({ value: "three" }), ScriptedModel.object({ value: 3 })],
        (model) =>
          Effect.gen(function* () {
            const count = yield* counter.execute("How many?")
            const last = (yield* model.calls)[2]!
            assert.isTrue(last.text.includes("Your answer was not valid"))
            assert.isTrue(last.text.includes('{"value":"three"}'))
            return count
          })
      )
      assert.strictEqual(right, 3)
      const wrong = yield* scripted(
        ["Three.", ScriptedModel.object({ value: "three" }), ScriptedModel.object({ value: "four" })],
        () => Effect.flip(counter.execute("How many?"))
      )
      assert.isTrue(AiError.isAiError(wrong))
    })
  })

  it.effect("fails after maxTurns, with the whole conversation, which keeps its form through JSON", () => {
    const short = Agent.make("clerk", { toolkit, maxTurns: 2 })
    return scripted([toolCalls([search("a")]), toolCalls([search("b")])], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(short.execute("Go"))
        assert.instanceOf(error, Agent.TurnsExhausted)
        if (error._tag !== "TurnsExhausted") return
        assert.strictEqual(error.turns, 2)
        assert.deepStrictEqual(roles(error.history), ["user", "assistant", "tool", "assistant", "tool"])
        const json = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(short.error)(error)))
        const back = yield* Schema.decodeUnknownEffect(short.error)(json)
        assert.deepStrictEqual(back, error)
      }).pipe(Effect.provide(handlers()))
    )
  })

  it.effect("goes on with the conversation of an error where its input is a prompt", () => {
    const short = Agent.make("clerk", { toolkit, maxTurns: 1 })
    const next = Agent.make("clerk", { input: Prompt.Prompt, toolkit })
    return scripted([toolCalls([search("a")]), "It is about a."], (model) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(short.execute("Go"))
        if (error._tag !== "TurnsExhausted") return assert.fail(error._tag)
        assert.strictEqual(yield* next.execute(error.history), "It is about a.")
        assert.deepStrictEqual(roles((yield* model.calls)[1]!.prompt), ["user", "assistant", "tool"])
      }).pipe(Effect.provide(handlers()))
    )
  })

  it.effect("fails with the conversation where the model calls of the budget are used up", () =>
    scripted([toolCalls([search("a")])], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(clerk.execute("Go", { budget: { modelCalls: 1 } }))
        assert.instanceOf(error, Agent.AgentStopped)
        if (error._tag !== "AgentStopped") return
        assert.deepStrictEqual([error.turns, error.budget.limit], [2, "modelCalls"])
        assert.deepStrictEqual(roles(error.history), ["system", "user", "assistant", "tool"])
        const json = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(clerk.error)(error)))
        assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(clerk.error)(json), error)
      }).pipe(Effect.provide(handlers()))
    )
  )

  it.effect("gives each call a result where the budget is used up between two of them", () =>
    scripted([toolCalls([search("a", "c1"), search("b", "c2")])], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(clerk.execute("Go", { budget: { steps: 2 } }))
        if (error._tag !== "AgentStopped") return assert.fail(error._tag)
        const results = error.history.content.flatMap((message) =>
          message.role === "tool"
            ? message.content.map((part) => (part.type === "tool-result" ? part.isFailure : ""))
            : []
        )
        assert.deepStrictEqual([error.budget.limit, results.length, results[1]], ["steps", 2, true])
      }).pipe(Effect.provide(handlers()))
    )
  )

  it.effect("is stopped by the budget that a tool's own model call used up", () => {
    const Ask = Tool.make("search", {
      parameters: Search.parametersSchema,
      success: Schema.String,
      dependencies: [LanguageModel.LanguageModel]
    })
    const kit = Toolkit.make(Ask)
    const asking = kit.toLayer({ search: () => Models.text({ purpose: "search", prompt: "?" }) })
    const clerk = Agent.make("clerk", { toolkit: kit })
    return scripted([toolCalls([search("a")])], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(clerk.execute("Go", { budget: { modelCalls: 1 } }))
        if (error._tag !== "AgentStopped") return assert.fail(error._tag)
        assert.deepStrictEqual([error.turns, error.budget.limit], [1, "modelCalls"])
      }).pipe(Effect.provide(asking))
    )
  })

  it.effect("stops after a turn that fulfils a condition, with what the model said in it", () => {
    const seen: Array<Agent.Turn> = []
    const careful = Agent.make("clerk", {
      toolkit,
      stopWhen: [
        (turn) => {
          seen.push(turn)
          return false
        },
        Agent.called("note"),
        () => Effect.succeed(false)
      ]
    })
    return scripted(
      [
        toolCalls([search("a")], { text: "Looking." }),
        toolCalls([{ name: "note", params: { line: "x" } }], { text: "Noted." })
      ],
      () =>
        Effect.gen(function* () {
          assert.strictEqual(yield* careful.execute("Go"), "Noted.")
          assert.deepStrictEqual(
            seen.map(({ calls, number, text }) => [number, text, calls.map((call) => call.result)]),
            [
              [1, "Looking.", [["about a"]]],
              [2, "Noted.", [null]]
            ]
          )
        }).pipe(Effect.provide(handlers()))
    )
  })

  it.effect("asks again where an answer is only paused", () =>
    scripted([text("Thinking", { finishReason: "pause" }), "Done."], () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* clerk.execute("Go"), "Done.")
      }).pipe(Effect.provide(handlers()))
    )
  )

  it.effect("does not call a tool whose arguments may be cut off", () => {
    const log: Array<string> = []
    return scripted(
      [toolCalls([search("a")], { finishReason: "length" }), text("Sorry.", { when: "ended early" })],
      () =>
        Effect.gen(function* () {
          assert.strictEqual(yield* clerk.execute("Go"), "Sorry.")
          assert.deepStrictEqual(log, [])
        }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("streams the text of its turns as events, and calls tools all the same", () => {
    const streaming = Agent.make("clerk", { toolkit, stream: true })
    return scripted([toolCalls([search("a")], { text: "Let me see." }), text(["It ", "rains."])], (model) =>
      Effect.gen(function* () {
        const execution = yield* (yield* streaming.run("Go")).start
        assert.strictEqual(yield* execution.result, "It rains.")
        const deltas = (yield* Stream.runCollect(execution.events)).flatMap((event) =>
          event._tag === "TextDelta" ? [`${event.path}: ${event.text}`] : []
        )
        assert.deepStrictEqual(deltas, ["turn/1/model: Let me see.", "turn/2/model: It rains."])
        const calls = yield* model.calls
        assert.deepStrictEqual(
          calls.map((call) => call.kind),
          ["stream", "stream"]
        )
        assert.deepStrictEqual(roles(calls[1]!.prompt), ["user", "assistant", "tool"])
      }).pipe(Effect.provide(handlers()))
    )
  })

  it.effect("fails where a stream has an error part", () => {
    const streaming = Agent.make("clerk", { stream: true })
    return scripted([ScriptedModel.parts([{ type: "error", error: "overloaded" } as never])], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(streaming.execute("Go"))
        assert.isTrue(error._tag === "AiError" && error.reason.message.includes("overloaded"))
      })
    )
  })

  it.effect("asks the model of its id, and fails where nobody has it", () => {
    const named = Agent.make("clerk", { model: "large" })
    return Effect.gen(function* () {
      const large = yield* ScriptedModel.make(["From large."])
      const small = yield* ScriptedModel.make([])
      const layer = Models.layer({ small: small.model, large: large.model })
      assert.strictEqual(yield* named.execute("Go").pipe(Effect.provide(layer)), "From large.")
      const error = yield* Effect.flip(named.execute("Go")).pipe(Effect.provide(small.layer))
      assert.isTrue(error._tag === "AiError" && error.message.includes("large"))
    }).pipe(Effect.provide(Engine.layerMemory))
  })

  it.effect("shows a structured input as JSON, or as its prompt function says", () => {
    const Ticket = Schema.Struct({ subject: Schema.String })
    const json = Agent.make("json", { input: Ticket })
    const own = Agent.make("own", { input: Ticket, prompt: ({ subject }) => `Ticket: ${subject}` })
    return scripted(["1", "2"], (model) =>
      Effect.gen(function* () {
        yield* json.execute({ subject: "Hi" })
        yield* own.execute({ subject: "Hi" })
        assert.deepStrictEqual(
          (yield* model.calls).map((call) => call.text),
          ['{\n  "subject": "Hi"\n}', "Ticket: Hi"]
        )
      })
    )
  })

  it.effect("calls no tool twice, and asks the model nothing twice, where a retry resumes", () => {
    const log: Array<string> = []
    const down = new AiError.InternalProviderError({ description: "down" })
    return scripted(
      [toolCalls([search("a", "c1")]), toolCalls([search("b", "c2")]), ScriptedModel.fail(down), "Done."],
      (model) =>
        Effect.gen(function* () {
          const retry = { attempts: 1, delay: 0, mode: "resume" } as const
          assert.strictEqual(yield* clerk.execute("Go", { retry }), "Done.")
          assert.deepStrictEqual(log, ["c1 search a", "c2 search b"])
          const paths = (yield* model.calls).map((call) => call.path)
          assert.deepStrictEqual(paths, ["turn/1/model", "turn/2/model", "turn/3/model", "turn/3/model"])
        }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("shows the model the recorded failure of a tool where a retry resumes", () => {
    const Flaky = Tool.make("flaky", { failure: Schema.String })
    const kit = Toolkit.make(Flaky)
    let tries = 0
    const flaky = kit.toLayer({
      flaky: () => Effect.suspend(() => (++tries === 1 ? Effect.fail("broken") : Effect.void))
    })
    const down = new AiError.InternalProviderError({ description: "down" })
    return scripted(
      [toolCalls([{ name: "flaky" }]), ScriptedModel.fail(down), text("It is broken.", { when: '"broken"' })],
      () =>
        Effect.gen(function* () {
          const retry = { attempts: 1, delay: 0, mode: "resume" } as const
          assert.strictEqual(yield* Agent.make("a", { toolkit: kit }).execute("Go", { retry }), "It is broken.")
          assert.strictEqual(tries, 1)
        }).pipe(Effect.provide(flaky))
    )
  })

  it.effect("ends what its tools do when it is cancelled", () => {
    let ended = false
    const hanging = toolkit.toLayer({
      search: () =>
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            ended = true
          })
        ),
      note: () => Effect.void
    })
    return scripted([toolCalls([search("a")])], () =>
      Effect.gen(function* () {
        const execution = yield* (yield* clerk.run("Go")).start
        yield* Effect.yieldNow
        assert.strictEqual(yield* execution.cancel("enough"), "cancelled")
        assert.strictEqual((yield* Effect.flip(execution.result))._tag, "RunCancelled")
        assert.isTrue(ended)
      }).pipe(Effect.provide(hanging))
    )
  })

  it.effect("is a workflow like any other: called by others, with its steps under its name", () => {
    const desk = Workflow.make("desk", {
      error: clerk.error as Schema.Codec<Workflow.Error<typeof clerk>, any>,
      run: (question) => Step.make("log", { run: Effect.void }).pipe(Effect.andThen(clerk.call(question)))
    })
    return scripted([toolCalls([search("a")]), "Done."], () =>
      Effect.gen(function* () {
        const execution = yield* (yield* desk.run("Go")).start
        assert.deepStrictEqual(
          (yield* story(execution)).filter((line) => !line.includes(":")),
          ["log", "clerk/turn/1/model", "clerk/turn/1/tool/search/call_1", "clerk/turn/2/model"]
        )
      }).pipe(Effect.provide(handlers()))
    )
  })

  it.effect("has steps whose results keep their form through JSON", () =>
    Effect.gen(function* () {
      const through = <A>(schema: Schema.Codec<A, any>, value: A) =>
        Effect.gen(function* () {
          const codec = Schema.toCodecJson(schema)
          const json = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(value)))
          assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(codec)(json), value)
        })
      const said = Prompt.make([
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Hm.", options: { provider: { signature: "s" } } },
            { type: "file", mediaType: "image/png", data: new Uint8Array([1, 2, 3]) },
            { type: "tool-call", id: "c1", name: "search", params: { words: "a" }, providerExecuted: false }
          ]
        }
      ])
      yield* through(Answer, { said, finishReason: "tool-calls", tokens: 7 })
      yield* through(Answer, { said, finishReason: "stop" })
      yield* through(Outcome, { result: null, isFailure: false })
      yield* through(Outcome, {
        result: { a: [1] },
        isFailure: true,
        modelOutput: [Prompt.filePart({ mediaType: "image/png", data: new Uint8Array([1]) })]
      })
    })
  )

  it("refuses settings that make no sense when it is made", () => {
    const problem = (options: object) => thrown(() => Agent.make("clerk", options)).split(",")[0]
    assert.strictEqual(problem({ maxTurns: 0 }), 'Invalid definition of clerk at "maxTurns": Expected a whole number')
    assert.include(problem({ compaction: { contextTokens: 0 } }), "compaction.contextTokens")
    assert.include(problem({ compaction: { contextTokens: 1, threshold: 2 } }), "compaction.threshold")
    assert.include(problem({ compaction: { contextTokens: 1, keepTurns: 0 } }), "compaction.keepTurns")
    assert.include(problem({ toolkit: [toolkit, Toolkit.make(Search)] }), "Expected one tool of each name")
  })
})

describe("guardrails", () => {
  class Rude extends Schema.TaggedError<Rude>()("Rude", { word: Schema.String }) {}

  it.effect("rewrite the input before the model sees it, and the output before it is given", () => {
    const guarded = Agent.make("clerk", {
      guardrails: {
        input: (text) => Effect.succeed(text.replaceAll(/\d{4,}/g, "****")),
        output: (text) => Effect.succeed(`${text} (checked)`)
      }
    })
    return scripted([text("Fine.", { when: "card **** please" })], () =>
      Effect.gen(function* () {
        const execution = yield* (yield* guarded.run("card 12345 please")).start
        assert.strictEqual(yield* execution.result, "Fine. (checked)")
        assert.deepStrictEqual(
          (yield* story(execution)).filter((line) => !line.includes(":")),
          ["guardrail/input", "turn/1/model", "guardrail/output"]
        )
      })
    )
  })

  it.effect("stop the agent before the model is asked, with an error of theirs or with GuardrailTripped", () => {
    const own = Agent.make("clerk", {
      error: Rude,
      guardrails: { input: (text) => (text === "damn" ? Effect.fail(new Rude({ word: text })) : Effect.succeed(text)) }
    })
    const tripped = Agent.make("clerk", {
      guardrails: { output: () => Effect.fail(new Agent.GuardrailTripped({ reason: "too short" })) }
    })
    return scripted(["Ok."], () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* Effect.flip(own.execute("damn")), new Rude({ word: "damn" }))
        const error = yield* Effect.flip(tripped.execute("Hi"))
        assert.deepStrictEqual(error, new Agent.GuardrailTripped({ reason: "too short" }))
        assert.isTrue(Schema.is(tripped.error)(error))
      })
    )
  })

  it.effect("see the decoded output", () => {
    const guarded = Agent.make("counter", {
      output: Schema.Int,
      guardrails: { output: (n) => Effect.succeed(Math.min(n, 10)) }
    })
    return scripted(["Many.", ScriptedModel.object({ value: 50 })], () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* guarded.execute("How many?"), 10)
      })
    )
  })
})

describe("the types of an agent", () => {
  class Ledger extends Context.Service<Ledger, string>()("Ledger") {}
  class Policy extends Context.Service<Policy, string>()("Policy") {}
  class Rude extends Schema.TaggedError<Rude>()("Rude", {}) {}
  type Handlers = Tool.Handler<"search"> | Tool.Handler<"note">

  it("need a language model and the handlers of the toolkit, and fail with what agents and models fail with", () => {
    expectTypeOf<Workflow.Services<typeof clerk>>().toEqualTypeOf<LanguageModel.LanguageModel | Handlers>()
    expectTypeOf<Workflow.Error<typeof clerk>>().toEqualTypeOf<
      Agent.TurnsExhausted | Agent.AgentStopped | Agent.GuardrailTripped | AiError.AiError
    >()
    expectTypeOf<Workflow.Input<typeof clerk>>().toEqualTypeOf<string>()
    expectTypeOf<Workflow.Output<typeof clerk>>().toEqualTypeOf<string>()
    expectTypeOf<Workflow.Services<ReturnType<typeof plain>>>().toEqualTypeOf<LanguageModel.LanguageModel>()
    expectTypeOf(clerk.execute("Go")).toEqualTypeOf<
      Effect.Effect<
        string,
        Workflow.Error<typeof clerk> | RunError.RunError,
        Handlers | LanguageModel.LanguageModel | Engine.Engine
      >
    >()
  })
  const plain = () => Agent.make("plain", {})

  it("follow the schemas, the guardrails, the conditions and the approvals", () => {
    const all = Agent.make("all", {
      input: Schema.Struct({ a: Schema.Number }),
      output: Schema.Boolean,
      error: Rude,
      toolkit,
      guardrails: {
        input: (input) => {
          expectTypeOf(input).toEqualTypeOf<{ readonly a: number }>()
          return Effect.as(Ledger, input)
        },
        output: (output) => {
          expectTypeOf(output).toEqualTypeOf<boolean>()
          return output ? Effect.succeed(output) : Effect.fail(new Rude())
        }
      },
      approvals: ({ name }) => Effect.map(Policy, (policy) => policy === name),
      stopWhen: ({ number }) => number > 3
    })
    expectTypeOf<Workflow.Output<typeof all>>().toEqualTypeOf<boolean>()
    expectTypeOf<Workflow.Services<typeof all>>().toEqualTypeOf<
      LanguageModel.LanguageModel | Handlers | Ledger | Policy
    >()
    expectTypeOf<Extract<Workflow.Error<typeof all>, Rude>>().toEqualTypeOf<Rude>()
  })

  it("need nothing for a toolkit that has its handlers, and what an effect needs that gives one", () => {
    const handled = Agent.make("handled", {
      toolkit: { tools: {} } as Toolkit.WithHandler<{ readonly search: typeof Search }>
    })
    expectTypeOf<Workflow.Services<typeof handled>>().toEqualTypeOf<LanguageModel.LanguageModel>()
    const made = Agent.make("made", {
      toolkit: Effect.flatMap(Ledger, () => toolkit.pipe(Effect.provide(handlers())))
    })
    expectTypeOf<Workflow.Services<typeof made>>().toEqualTypeOf<LanguageModel.LanguageModel | Ledger>()
  })

  it("know the names of the tools, and ask for the schema of an error", () => {
    // @ts-expect-error no tool of that name
    Agent.make("a", { toolkit, approvals: ["serch"] })
    // @ts-expect-error `error` is missing
    Agent.make("a", { guardrails: { input: () => Effect.fail(new Rude()) } })
    // @ts-expect-error a guardrail gives what it was given
    Agent.make("a", { guardrails: { input: () => Effect.succeed(1) } })
    Agent.make("a", { toolkit, approvals: ["search"] })
  })

  it.effect("hold where a toolkit has its handlers", () =>
    scripted([toolCalls([search("a")]), "Done."], () =>
      Effect.gen(function* () {
        const handled = yield* toolkit.pipe(Effect.provide(handlers()))
        assert.strictEqual(yield* Agent.make("clerk", { toolkit: handled }).execute("Go"), "Done.")
        const late = Agent.make("clerk", { toolkit: Effect.as(Ledger, handled) })
        expectTypeOf<Workflow.Services<typeof late>>().toEqualTypeOf<LanguageModel.LanguageModel | Ledger>()
      }).pipe(Effect.provide(Layer.succeed(Ledger, "x")))
    )
  )
})
