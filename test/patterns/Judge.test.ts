import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { AiError, type Decision, DecisionModel, type LanguageModel } from "effect/ai"
import { TestClock } from "effect/testing"
import { Engine, EvaluatorOptimizer, type InvalidDefinition, Judge } from "../../src/index.ts"
import { ScriptedModel } from "../../src/testing/index.ts"

class TooLong extends Schema.TaggedError<TooLong>()("TooLong", {}) {}

const scores = (evaluation: EvaluatorOptimizer.Evaluation) =>
  Object.fromEntries((evaluation.criteria ?? []).map(({ name, score }) => [name, score]))

const thrown = (f: () => unknown): InvalidDefinition.InvalidDefinition =>
  Effect.runSync(Effect.flip(Effect.try({ try: f, catch: (error) => error as InvalidDefinition.InvalidDefinition })))

describe("a judge of functions", () => {
  it.effect("takes numbers, yes and no, and scores with feedback, at once or as effects side by side", () =>
    Effect.gen(function* () {
      const judge = Judge.functions({
        number: { description: "", threshold: 0.5, score: () => 0.25 },
        yes: { description: "", threshold: 1, weight: 2, score: (draft) => draft === "a draft" },
        no: { description: "", threshold: 1, score: (_, input) => input !== "an input" },
        told: { description: "", threshold: 1, score: () => ({ score: 0.5, feedback: "Better" }) },
        slow: { description: "", threshold: 1, score: () => Effect.as(Effect.sleep(1000), 1) },
        slower: {
          description: "",
          threshold: 1,
          score: () => Effect.as(Effect.sleep(1000), { score: 1, feedback: "Faster" })
        }
      })
      const fiber = yield* Effect.forkChild(judge("a draft", "an input"))
      yield* TestClock.adjust(1000)
      const evaluation = yield* Fiber.join(fiber)
      assert.deepStrictEqual(scores(evaluation), { number: 0.25, yes: 1, no: 0, told: 0.5, slow: 1, slower: 1 })
      assert.strictEqual(evaluation.feedback, "told: Better\nslower: Faster")
      assert.closeTo(evaluation.score, (0.25 + 2 + 0 + 0.5 + 1 + 1) / 7, 1e-9)
    })
  )

  it.effect("fails with what a function fails with, and keeps its types", () =>
    Effect.gen(function* () {
      const judge = Judge.functions({
        length: {
          description: "",
          threshold: 1,
          score: (draft: ReadonlyArray<string>, limit: number) =>
            draft.length > limit ? Effect.fail(new TooLong()) : Effect.succeed(1)
        }
      })
      expectTypeOf(judge).toEqualTypeOf<Judge.Judge<ReadonlyArray<string>, number, TooLong, never>>()
      assert.strictEqual((yield* Effect.flip(judge(["a", "b"], 1)))._tag, "TooLong")
    })
  )
})

describe("a judge that asks a model", () => {
  const judge = Judge.model({
    criteria: {
      tone: { description: "Friendly", threshold: 0.7 },
      facts: { description: "Only what is known", threshold: 0.9, weight: 3 }
    },
    instructions: "You judge the answers of our support."
  })

  it.effect("shows it draft, input, criteria and instructions, and gives its scores", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* ScriptedModel.make([
        ScriptedModel.object({
          feedback: "Say please",
          criteria: [
            { name: "facts", score: 1 },
            { name: "tone", score: 0.5, feedback: "Rough" }
          ]
        })
      ])
      const evaluation = yield* judge("Pay now.", "When do I have to pay?").pipe(Effect.provide(layer))
      assert.deepStrictEqual(scores(evaluation), { facts: 1, tone: 0.5 })
      assert.deepStrictEqual([evaluation.feedback, evaluation.score], ["Say please", 0.875])
      const [call] = yield* calls
      for (const text of ["You judge", "- facts: Only what is known", "Input:\nWhen do I", "Draft:\nPay now."]) {
        assert.include(call!.text, text)
      }
      assert.strictEqual(call!.purpose, "evaluate")
    })
  )

  it.effect("asks what the pattern's own evaluator asks, so that a prompt stands in one place", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* ScriptedModel.make([
        ScriptedModel.object({ feedback: "", criteria: [{ name: "tone", score: 1 }] }, { times: 2 })
      ])
      const criteria = [{ name: "tone", description: "Friendly", threshold: 0.7 }]
      const { evaluate } = EvaluatorOptimizer.make("polite", { criteria })
      yield* Effect.all([
        evaluate("Pay now.", "When?"),
        Judge.model({ criteria: { tone: { description: "Friendly", threshold: 0.7 } } })("Pay now.", "When?")
      ]).pipe(Effect.provide(layer))
      const [own, judged] = yield* calls
      assert.strictEqual(own.text, judged.text)
    })
  )

  it.effect("shows values of schemas as JSON", () =>
    Effect.gen(function* () {
      const { calls, layer } = yield* ScriptedModel.make([
        ScriptedModel.object({ feedback: "", criteria: [{ name: "sense", score: 1 }] })
      ])
      const judge = Judge.model({
        criteria: { sense: { description: "Makes sense", threshold: 1 } },
        draft: Schema.Struct({ on: Schema.Date }),
        input: Schema.Finite
      })
      expectTypeOf(judge).toEqualTypeOf<
        Judge.Judge<{ readonly on: Date }, number, AiError.AiError, LanguageModel.LanguageModel>
      >()
      yield* judge({ on: new Date("2026-01-01") }, 7).pipe(Effect.provide(layer))
      assert.include((yield* calls)[0]!.text, `"on": "2026-01-01T00:00:00.000Z"`)
    })
  )

  it.effect("leaves scores that are none for the pattern to refuse, by the name of the criterion", () =>
    Effect.gen(function* () {
      const { layer } = yield* ScriptedModel.make([
        ScriptedModel.object({ feedback: "", criteria: [{ name: "tone", score: 85 }] })
      ])
      const polish = EvaluatorOptimizer.make("polish", {
        generate: Effect.succeed,
        evaluate: judge,
        criteria: judge.criteria,
        optimize: Effect.succeed
      })
      const error = yield* Effect.flip(polish.execute("a").pipe(Effect.provide(layer)))
      assert.deepStrictEqual((error as EvaluatorOptimizer.InvalidEvaluation).problems, [
        { _tag: "InvalidScore", criterion: "tone", found: "85" },
        { _tag: "MissingCriterion", criterion: "facts" }
      ])
    }).pipe(Effect.provide(Engine.layerMemory))
  )
})

describe("a judge that asks a decision model", () => {
  const judge = Judge.decisions({
    criteria: {
      tone: { description: "How friendly it is", threshold: 0.7, levels: ["rude", "neutral", "warm"] },
      length: {
        description: "How long it is",
        threshold: 0.5,
        levels: ["too long", { label: "right", description: "One or two sentences" }]
      }
    }
  })
  const answers = (tone: number, length: number): DecisionModel.ProviderResponse => ({
    answers: {
      tone: { _tag: "Rate", rating: tone, probabilities: { rude: 0, neutral: 2 - tone, warm: tone - 1 } },
      length: { _tag: "Rate", rating: length, probabilities: { "too long": 1 - length, right: length } }
    },
    usage: { inputTokens: 1, outputTokens: 1 }
  })

  it.effect("makes scores of its ratings, in one call, and feedback of the levels that are not the best", () =>
    Effect.gen(function* () {
      const asked: Array<DecisionModel.ProviderOptions<any>> = []
      const model = yield* DecisionModel.make({
        decide: (options) =>
          Effect.as(
            Effect.sync(() => void asked.push(options)),
            answers(1.25, 1)
          )
      })
      const evaluation = yield* judge("Pay now.", "When?").pipe(
        Effect.provideService(DecisionModel.DecisionModel, model)
      )
      assert.deepStrictEqual(scores(evaluation), { tone: 0.625, length: 1 })
      assert.strictEqual(evaluation.feedback, "tone: neutral")
      assert.strictEqual(asked.length, 1)
      assert.deepStrictEqual(asked[0]!.state, { input: "When?", draft: "Pay now." })
      const { tone } = asked[0]!.decisions as Record<string, Decision.Rate<string>>
      assert.include(tone!.instructions as string, "How friendly it is")
    })
  )

  it.effect("fails with the model's refusal", () =>
    Effect.gen(function* () {
      const model = yield* DecisionModel.make({
        decide: () =>
          Effect.succeed({ ...answers(1, 1), answers: { ...answers(1, 1).answers, tone: { _tag: "Refusal" } } })
      })
      const error = yield* Effect.flip(judge("a", "b").pipe(Effect.provideService(DecisionModel.DecisionModel, model)))
      assert.isTrue(AiError.isAiError(error))
      assert.strictEqual(error.reason._tag, "ContentPolicyError")
    })
  )
})

describe("several judges", () => {
  const short = Judge.functions({ short: { description: "", threshold: 1, score: (draft) => draft.length < 5 } })

  it.effect("combined judge by the criteria of all, in an evaluator-optimizer that passes when all of them do", () =>
    Effect.gen(function* () {
      const { assertComplete, layer } = yield* ScriptedModel.make([
        ScriptedModel.object({ feedback: "Warmer", criteria: [{ name: "tone", score: 0.9 }] }, { times: 2 }),
        ScriptedModel.object({ feedback: "", criteria: [{ name: "tone", score: 0.8 }] })
      ])
      const judge = Judge.combine(
        short,
        Judge.model({ criteria: { tone: { description: "Friendly", threshold: 0.7, weight: 9 } } })
      )
      const seen: Array<string> = []
      const polish = EvaluatorOptimizer.make("polish", {
        generate: () => Effect.succeed("abcdef"),
        evaluate: judge,
        criteria: judge.criteria,
        optimize: (draft, { feedback, score }) => {
          seen.push(`${feedback} ${score}`)
          return Effect.succeed(draft.slice(1))
        }
      })
      expectTypeOf(polish.evaluate).returns.toExtend<Effect.Effect<any, any, LanguageModel.LanguageModel>>()
      const output = yield* polish.execute("go").pipe(Effect.provide(layer), Effect.provide(Engine.layerMemory))
      assert.strictEqual(output, "cdef")
      assert.deepStrictEqual(seen, ["Warmer 0.81", "Warmer 0.81"])
      yield* assertComplete
    })
  )

  it.effect("on a panel give the median or the mean, and what all of them say", () =>
    Effect.gen(function* () {
      const says = (score: number, feedback: string) =>
        Judge.functions({
          clarity: { description: "Clear", threshold: 0.7, score: () => ({ score, feedback }) },
          style: { description: "Fine", threshold: 0.1, score: () => 1 - score }
        })
      const judges = [says(0.9, "Shorter"), says(0.8, "Bolder"), says(0.1, "")] as const
      const median = yield* Judge.panel(judges)("", "")
      assert.closeTo(scores(median).clarity!, 0.8, 1e-9)
      assert.closeTo(scores(median).style!, 0.2, 1e-9)
      assert.strictEqual(median.criteria?.[0]?.feedback, "Shorter\nBolder")
      const mean = yield* Judge.panel(judges, { pooling: "mean" })("", "")
      assert.closeTo(scores(mean).clarity!, 0.6, 1e-9)
      const even = yield* Judge.panel(judges.slice(0, 2))("", "")
      assert.closeTo(scores(even).clarity!, 0.85, 1e-9)
    })
  )

  it.prop(
    "on a panel of an odd number are at a threshold exactly where the majority is",
    [
      Schema.Array(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
      Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
    ],
    ([given, threshold]) => {
      const opinions = given.length % 2 === 1 ? given : [...given, threshold]
      const judges = opinions.map((score) =>
        Judge.functions({ only: { description: "", threshold, score: () => score } })
      )
      const { score } = Effect.runSync(Judge.panel(judges)("", ""))
      const votes = opinions.filter((opinion) => opinion >= threshold).length
      // The score of a draft is rounded to 12 places.
      return Math.abs(score - threshold) < 1e-11 || score >= threshold === votes > opinions.length / 2
    }
  )

  it.effect("on a panel leave the evaluation of one that misses a criterion for the pattern to refuse", () =>
    Effect.gen(function* () {
      const { layer } = yield* ScriptedModel.make([ScriptedModel.object({ feedback: "?", criteria: [] })])
      const criteria = { short: { description: "", threshold: 1 } }
      const panel = Judge.panel([short, Judge.model({ criteria })])
      const evaluation = yield* panel("a", "b").pipe(Effect.provide(layer))
      assert.deepStrictEqual(evaluation, { score: 0, feedback: "?", criteria: [] })
    })
  )

  it("that cannot judge together are refused at once, with what is wrong", () => {
    const other = Judge.functions({ other: { description: "", threshold: 1, score: () => 1 } })
    assert.strictEqual(thrown(() => Judge.combine(short, short)).field, "criteria")
    assert.strictEqual(thrown(() => Judge.combine()).field, "judges")
    assert.strictEqual(thrown(() => Judge.panel([short, other])).field, "criteria")
    assert.strictEqual(thrown(() => Judge.panel([])).field, "judges")
    assert.strictEqual(thrown(() => Judge.functions({})).field, "criteria")
    const levels = thrown(() => Judge.decisions({ criteria: { a: { description: "", threshold: 1, levels: ["x"] } } }))
    assert.strictEqual(levels.field, "criteria.a.levels")
  })

  it("need and fail with what any of them does", () => {
    const failing = Judge.functions({ a: { description: "", threshold: 1, score: () => Effect.fail(new TooLong()) } })
    const asking = Judge.model({ criteria: { b: { description: "", threshold: 1 } } })
    const judge = Judge.combine(failing, asking)
    expectTypeOf(judge).toEqualTypeOf<
      Judge.Judge<string, string, TooLong | AiError.AiError, LanguageModel.LanguageModel>
    >()
  })
})
