import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schema, Tracer } from "effect"
import { AiError, Decision, DecisionModel } from "effect/ai"
import { Engine, type Event, type Execution, Judge, Models, Routing, Step, Workflow } from "effect-baton"
import { history, start } from "../support/executions.ts"

const calls = (execution: Execution.Execution<any, any>) =>
  history(execution).flatMap((event) => (event._tag === "ModelCalled" ? [event] : []))

const told = ({ model, purpose, inputTokens, outputTokens, costUsd, error }: Event.Of<"ModelCalled">) =>
  [model, purpose, inputTokens, outputTokens, costUsd, ...(error === undefined ? [] : [error])] as const

const refund = Decision.make({
  input: Schema.Finite,
  decisions: { refund: Decision.probability({ instructions: "Asks for money back" }) }
})

const sure: DecisionModel.ProviderResponse = {
  answers: { refund: { _tag: "Probability", probability: 0.9 } },
  usage: { inputTokens: 100, outputTokens: 2 },
  id: "decision_1",
  modelId: "judge-1"
}

/** A decision model that gives an answer each time, or fails, and how often it was asked. */
const scripted = (answer: Effect.Effect<DecisionModel.ProviderResponse, AiError.AiError> = Effect.succeed(sure)) =>
  Effect.gen(function* () {
    let asked = 0
    const model = yield* DecisionModel.make({
      decide: () =>
        Effect.tap(
          Effect.suspend(() => answer),
          () => Effect.sync(() => void asked++)
        )
    })
    return { model, layer: Layer.succeed(DecisionModel.DecisionModel, model), asked: () => asked }
  })

const decide = DecisionModel.decide(refund, { input: 1 })
const price = { inputPerMillion: 10_000, outputPerMillion: 50_000 }

const sort = Workflow.make("sort", {
  error: AiError.AiError,
  run: () =>
    Effect.gen(function* () {
      const first = yield* Step.make("first", { run: Effect.map(decide, ({ answers }) => answers.refund.probability) })
      yield* Step.make("second", { run: Effect.asVoid(DecisionModel.decideSettled(refund, { input: 1 })) })
      return String(first)
    })
})

describe("a call of a decision model in an execution", () => {
  it.effect("is told and counted like one of a language model, settled or not, with the price it was given", () =>
    Effect.gen(function* () {
      const { layer } = yield* scripted()
      const execution = yield* start(sort, "").pipe(Effect.provide(Models.instrumented(layer, { id: "judge", price })))
      assert.strictEqual(yield* execution.result, "0.9")
      assert.deepStrictEqual(calls(execution).map(told), [
        ["judge", "first", 100, 2, 1.1],
        ["judge", "second", 100, 2, 1.1]
      ])
      const usage = yield* execution.usage
      assert.deepStrictEqual(usage, { modelCalls: 2, inputTokens: 200, outputTokens: 4, costUsd: 2.2, steps: 2 })
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("goes by what its answer calls it where nobody names it", () =>
    Effect.gen(function* () {
      const { layer } = yield* scripted()
      const execution = yield* start(sort, "").pipe(Effect.provide(layer))
      assert.deepStrictEqual(
        calls(execution).map((call) => `${call.model} ${call.costUsd}`),
        ["judge-1 0", "judge-1 0"]
      )
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  for (const budget of [{ modelCalls: 1 }, { tokens: 100 }, { cost: 1 }]) {
    it.effect(`is not made once the budget is used up: ${JSON.stringify(budget)}`, () =>
      Effect.gen(function* () {
        const { asked, layer } = yield* scripted()
        const execution = yield* start(sort, "", { budget }).pipe(Effect.provide(Models.instrumented(layer, { price })))
        assert.strictEqual((yield* Effect.flip(execution.result))._tag, "BudgetExceeded")
        assert.deepStrictEqual([asked(), calls(execution).length], [1, 1])
      }).pipe(Effect.provide(Engine.layerMemory))
    )
  }

  it.effect("that fails is told with the error's name", () =>
    Effect.gen(function* () {
      const reason = new AiError.RateLimitError({})
      const { layer } = yield* scripted(Effect.fail(AiError.make({ module: "Judge", method: "decide", reason })))
      const execution = yield* start(sort, "").pipe(Effect.provide(layer))
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "AiError")
      assert.deepStrictEqual(calls(execution).map(told), [["unknown", "first", 0, 0, 0, "RateLimitError"]])
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("of a judge is for evaluating, and shares the budget of the run", () =>
    Effect.gen(function* () {
      const judge = Judge.decisions({
        criteria: { refund: { description: "Asks for it", threshold: 0.5, levels: ["no", "yes"] } }
      })
      const answers = { refund: { _tag: "Rate", rating: 1, probabilities: { no: 0, yes: 1 } } } as const
      const { layer } = yield* scripted(Effect.succeed({ ...sure, answers }))
      const workflow = Workflow.make("rate", {
        error: AiError.AiError,
        run: (draft) => Effect.map(Effect.all([judge(draft, ""), judge(draft, "")]), ([{ score }]) => String(score))
      })
      const execution = yield* start(workflow, "Pay", { budget: { modelCalls: 1 } }).pipe(Effect.provide(layer))
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "BudgetExceeded")
      assert.deepStrictEqual(calls(execution).map(told), [["judge-1", "evaluate", 100, 2, 0]])
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("chooses the route of a routing", () =>
    Effect.gen(function* () {
      const desk = (name: string) => Workflow.make(name, { run: (text) => Effect.succeed(`${name}: ${text}`) })
      const kind = Decision.make({
        input: Schema.String,
        decisions: {
          route: Decision.classify({
            instructions: "Who should answer",
            criteria: { billing: "money", technical: "bugs" }
          })
        }
      })
      const routing = Routing.make("desk", {
        error: AiError.AiError,
        workflows: {
          billing: { workflow: desk("billing"), route: { description: "Money", whenToUse: "It is about money" } },
          technical: { workflow: desk("technical"), route: { description: "Bugs", whenToUse: "It is about bugs" } }
        },
        classify: (input) => Effect.map(DecisionModel.decide(kind, { input }), ({ answers }) => answers.route.label)
      })
      const answers = {
        route: { _tag: "Classify", label: "technical", probabilities: { billing: 0.2, technical: 0.8 } }
      } as const
      const { layer } = yield* scripted(Effect.succeed({ ...sure, answers }))
      const execution = yield* start(routing, "It crashed").pipe(Effect.provide(layer))
      assert.strictEqual(yield* execution.result, "technical: It crashed")
      assert.deepStrictEqual(calls(execution).map(told), [["judge-1", "classify", 100, 2, 0]])
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("has a span with the GenAI attributes, and stays as it is outside of executions", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const { layer } = yield* scripted()
      const models = Models.instrumented(layer, { id: "judge", price })
      yield* sort
        .execute("")
        .pipe(Effect.provide(models), Effect.provideService(Tracer.Tracer, tracer), Effect.provide(Engine.layerMemory))
      const [span] = spans.filter(({ name }) => name === "decide judge")
      assert.strictEqual(span.kind, "client")
      assert.deepInclude(Object.fromEntries(span.attributes), {
        "gen_ai.operation.name": "decide",
        "gen_ai.response.id": "decision_1",
        "gen_ai.response.model": "judge-1",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 2,
        "baton.purpose": "first",
        "baton.cost_usd": 1.1
      })
      const { answers } = yield* Effect.provide(decide, models)
      assert.strictEqual(answers.refund.probability, 0.9)
    })
  )
})

it.effect("a price that makes no sense is refused when the layer is built", () =>
  Effect.gen(function* () {
    const { layer } = yield* scripted()
    const wrong = Models.instrumented(layer, { id: "judge", price: { inputPerMillion: -1, outputPerMillion: 0 } })
    const exit = yield* Effect.exit(Effect.provide(decide, wrong))
    assert.include(String(Exit.isFailure(exit) && exit.cause), 'Invalid "price.inputPerMillion" of the model "judge"')
  })
)
