import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import type { AiError, LanguageModel } from "effect/ai"
import { type Budget, Engine, Execution, Step, Workflow } from "effect-baton"
import * as EvaluatorOptimizer from "effect-baton/EvaluatorOptimizer"
import { expectTypeOf } from "vitest"
import { settle } from "../support/executions.ts"
import { model, run, thrown } from "./observed.ts"

class NoIdea extends Schema.TaggedError<NoIdea>()("NoIdea", {}) {}
class Taste extends Context.Service<Taste, number>()("Taste") {}

const onEngine = Effect.provide(Engine.layerMemory)

/** Drafts are numbered versions of the input; each has the next score. */
const polish = <X extends EvaluatorOptimizer.OnExhausted = "best">(
  scores: ReadonlyArray<number>,
  options?: { readonly threshold?: number; readonly maxIterations?: number; readonly onExhausted?: X }
) =>
  EvaluatorOptimizer.make("polish", {
    generate: (input) => Effect.succeed(`${input} v1`),
    evaluate: (draft) =>
      Effect.succeed({ score: scores[Number(draft.split("v")[1]) - 1]!, feedback: `about ${draft}` }),
    optimize: (_draft, { feedback }, input) => Effect.succeed(`${input} v${Number(feedback.split("v")[1]) + 1}`),
    ...options
  })

describe("EvaluatorOptimizer", () => {
  it.effect("gives the first draft that passes, and evaluates no more", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* polish([0.8]).execute("tea"), "tea v1")
      assert.strictEqual(yield* polish([0.5, 0.9, 1]).execute("tea"), "tea v2")
      assert.strictEqual(
        yield* polish([0.5, 0.6, 0.7, 0.95], { threshold: 0.9, maxIterations: 9 }).execute("tea"),
        "tea v4"
      )
    }).pipe(onEngine)
  )

  it.effect("shows each phase as a step of its iteration, and counts evaluations", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(polish([0.1, 0.2, 0.3]), "tea"), [
        ":0/3",
        "generate",
        "iteration/1/evaluate",
        ":1/3",
        ":1/3",
        "iteration/1/optimize",
        "iteration/2/evaluate",
        ":2/3",
        ":2/3",
        "iteration/2/optimize",
        "iteration/3/evaluate",
        ":3/3"
      ])
      assert.deepStrictEqual(yield* run(polish([0.9]), "tea"), [":0/3", "generate", "iteration/1/evaluate", ":1/3"])
    }).pipe(onEngine)
  )

  it.effect("gives the best draft when none passed, the earliest of several", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* polish([0.1, 0.7, 0.3]).execute("tea"), "tea v2")
      assert.strictEqual(yield* polish([0.7, 0.2, 0.7]).execute("tea"), "tea v1")
      assert.strictEqual(yield* polish([0], { maxIterations: 1 }).execute("tea"), "tea v1")
    }).pipe(onEngine)
  )

  it.effect("fails with the best draft and its evaluation when none passed and that is what to do", () =>
    Effect.gen(function* () {
      const failing = polish([0.1, 0.7, 0.3], { onExhausted: "fail" })
      const error = yield* Effect.flip(failing.execute("tea"))
      assert.deepStrictEqual(
        error,
        new EvaluatorOptimizer.QualityNotReached({
          workflow: "polish",
          threshold: 0.8,
          iterations: 3,
          draft: "tea v2",
          evaluation: { score: 0.7, feedback: "about tea v2" }
        })
      )
      assert.isTrue(Schema.is(failing.error)(error))
      assert.isFalse(Schema.is(polish([0.1]).error)(error))
      assert.strictEqual(yield* polish([0.9], { onExhausted: "fail" }).execute("tea"), "tea v1")
    }).pipe(onEngine)
  )

  it.effect("computes whether a draft passes from the criteria, and prefers one that passes to a higher score", () =>
    Effect.gen(function* () {
      const scores = [
        [1, 0.4],
        [0.6, 0.6]
      ]
      const make = (maxIterations: number) =>
        EvaluatorOptimizer.make("polish", {
          output: Schema.Number,
          criteria: [
            { name: "facts", description: "Has facts", threshold: 0.5 },
            { name: "style", description: "Has style", threshold: 0.5 }
          ],
          threshold: 0.5,
          maxIterations,
          generate: () => Effect.succeed(0),
          evaluate: (draft) =>
            Effect.succeed({
              score: 1,
              passed: true,
              feedback: "",
              criteria: ["facts", "style"].map((name, at) => ({ name, score: scores[draft]![at]! }))
            }),
          optimize: (draft, { passed, score }) => {
            assert.deepStrictEqual([passed, score], [false, 0.7])
            return Effect.succeed(draft + 1)
          }
        })
      assert.strictEqual(yield* make(2).execute("tea"), 1)
      assert.strictEqual(yield* make(1).execute("tea"), 0)
    }).pipe(onEngine)
  )

  it.effect("needs no score besides those of the criteria, and does not do without one where there are none", () =>
    Effect.gen(function* () {
      const scored = EvaluatorOptimizer.make("scored", {
        criteria: [
          { name: "facts", description: "Has facts", threshold: 0.5 },
          { name: "style", description: "Has style", threshold: 0.5, weight: 3 }
        ],
        generate: (topic) => Effect.succeed(topic),
        evaluate: () =>
          Effect.succeed({
            feedback: "",
            criteria: [
              { name: "facts", score: 0.6 },
              { name: "style", score: 1 }
            ]
          }),
        optimize: () => Effect.die("it passed")
      })
      const { passed, score } = yield* scored.evaluate("tea", "tea")
      assert.deepStrictEqual([passed, score], [true, 0.9])
      assert.strictEqual(yield* scored.execute("tea"), "tea")

      const unscored = EvaluatorOptimizer.make("unscored", {
        generate: (topic) => Effect.succeed(topic),
        evaluate: () => Effect.succeed({ feedback: "", criteria: [] }),
        optimize: () => Effect.die("it was not evaluated")
      })
      const error = yield* Effect.flip(unscored.execute("tea"))
      const problems = [{ _tag: "InvalidScore", found: "undefined" }] as const
      assert.deepStrictEqual(error, new EvaluatorOptimizer.InvalidEvaluation({ workflow: "unscored", problems }))
    }).pipe(onEngine)
  )

  it.effect("gives all phases the original input", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const see = <A>(value: A, input: unknown) =>
        Effect.as(
          Effect.sync(() => seen.push(input)),
          value
        )
      const input = { topic: "tea" }
      const seeing = EvaluatorOptimizer.make("see", {
        input: Schema.Struct({ topic: Schema.String }),
        maxIterations: 2,
        generate: (input) => see("draft", input),
        evaluate: (_draft, input) => see({ score: 0, feedback: "" }, input),
        optimize: (_draft, _evaluation, input) => see("draft", input)
      })
      yield* seeing.execute(input)
      assert.deepStrictEqual(seen, [input, input, input, input])
    }).pipe(onEngine)
  )

  it.effect("fails where an evaluation makes no sense, and optimizes nothing by it", () =>
    Effect.gen(function* () {
      const odd = polish([Number.NaN])
      const error = yield* Effect.flip(odd.execute("tea"))
      assert.deepStrictEqual(
        error,
        new EvaluatorOptimizer.InvalidEvaluation({
          workflow: "polish",
          problems: [{ _tag: "InvalidScore", found: "NaN" }]
        })
      )
      assert.isTrue(Schema.is(odd.error)(error))
      assert.deepStrictEqual(yield* run(odd, "tea"), [":0/3", "generate", "iteration/1/evaluate InvalidEvaluation"])
    }).pipe(onEngine)
  )

  it.effect("fails with the error of a phase, as declared", () =>
    Effect.gen(function* () {
      const idle = EvaluatorOptimizer.make("idle", {
        error: NoIdea,
        generate: () => Effect.succeed("draft"),
        evaluate: () => Effect.succeed({ score: 0, feedback: "" }),
        optimize: () => new NoIdea()
      })
      const error = yield* Effect.flip(idle.execute("tea"))
      assert.deepStrictEqual(error, new NoIdea())
      assert.isTrue(Schema.is(idle.error)(error))
    }).pipe(onEngine)
  )

  it.effect("calls workflows, and is cancelled from the top while a person is asked", () =>
    Effect.gen(function* () {
      const writer = Workflow.make("writer", {
        run: (text) => Step.make("write", { run: Effect.succeed(`written ${text}`) })
      })
      const judge = Workflow.make("judge", {
        output: EvaluatorOptimizer.Evaluation,
        run: (draft) =>
          Effect.map(Execution.waitForApproval(`Good? ${draft}`), ({ approved, reason = "" }) => ({
            score: approved ? 1 : 0,
            feedback: reason
          }))
      })
      const asking = EvaluatorOptimizer.make("ask", {
        generate: (input) => writer.call(input),
        evaluate: (draft) => judge.call(draft),
        optimize: (draft, { feedback }) => writer.call(`${draft} with ${feedback}`)
      })
      const outer = Workflow.make("outer", {
        error: asking.error as typeof asking.error,
        run: (text) => asking.call(text)
      })
      const answer = Effect.fnUntraced(function* (execution: Execution.Execution<unknown, unknown>, isGood: boolean) {
        yield* settle
        const [request] = yield* execution.requests
        yield* isGood ? execution.approve(request!.id) : execution.reject(request!.id, { reason: "salt" })
      })

      const execution = yield* (yield* outer.run("tea")).start
      yield* answer(execution, false)
      yield* answer(execution, true)
      assert.strictEqual(yield* execution.result, "written written tea with salt")

      const cancelled = yield* (yield* outer.run("tea")).start
      yield* answer(cancelled, false)
      yield* cancelled.cancel("enough")
      assert.strictEqual((yield* Effect.flip(cancelled.result))._tag, "RunCancelled")
      assert.deepStrictEqual(yield* cancelled.requests, [])
    }).pipe(onEngine)
  )

  it.effect("goes on where it was when retries resume", () =>
    Effect.gen(function* () {
      const did: Array<string> = []
      const note = <A>(what: string, value: A) =>
        Effect.as(
          Effect.sync(() => did.push(what)),
          value
        )
      let broken = true
      const flaky = EvaluatorOptimizer.make("flaky", {
        error: NoIdea,
        generate: () => note("generate", "v1"),
        evaluate: (draft) => note(`evaluate ${draft}`, { score: draft === "v2" ? 1 : 0, feedback: "" }),
        optimize: () =>
          Effect.suspend(() => {
            did.push("optimize")
            if (!broken) return Effect.succeed("v2")
            broken = false
            return new NoIdea()
          })
      })
      assert.strictEqual(yield* flaky.execute("tea", { retry: { attempts: 1, delay: 0, mode: "resume" } }), "v2")
      assert.deepStrictEqual(did, ["generate", "evaluate v1", "optimize", "optimize", "evaluate v2"])
    }).pipe(onEngine)
  )

  it.effect(
    "has phases to be called one by one, outside of an execution and inside, where they are steps that say what goes on",
    () =>
      Effect.gen(function* () {
        const { evaluate, generate, optimize } = polish([0.5, 0.9])
        const once = Effect.fnUntraced(function* (input: string) {
          const draft = yield* generate(input)
          const grade = yield* evaluate(draft, input)
          assert.deepStrictEqual(grade, { score: 0.5, feedback: "about tea v1", passed: false })
          const better = yield* optimize(draft, grade, input)
          assert.isTrue((yield* evaluate(better, input)).passed)
          return better
        })
        assert.strictEqual(yield* once("tea"), "tea v2")
        const own = Workflow.make("own", { error: EvaluatorOptimizer.InvalidEvaluation, run: once })
        assert.deepStrictEqual(yield* run(own, "tea"), [
          ":0/0",
          "generate",
          ":0/0",
          "evaluate",
          ":0/0",
          "optimize",
          ":0/0",
          "evaluate#2"
        ])
        assert.instanceOf(
          yield* Effect.flip(polish([7]).evaluate("tea v1", "tea")),
          EvaluatorOptimizer.InvalidEvaluation
        )
      }).pipe(onEngine)
  )

  describe("where phases are left to a model", () => {
    const answers = (prompts: Array<string>, ...said: ReadonlyArray<unknown>) =>
      Effect.provide(model((prompt) => said[prompts.push(prompt) - 1]))

    it.effect("asks it for drafts and scores", () =>
      Effect.gen(function* () {
        const prompts: Array<string> = []
        const asked = yield* EvaluatorOptimizer.make("ask", {})
          .execute("A poem on tea")
          .pipe(
            answers(prompts, "Tea.", { score: 0.2, feedback: "Longer" }, "Tea for two.", {
              score: 0.9,
              feedback: "Good"
            })
          )
        assert.strictEqual(asked, "Tea for two.")
        assert.lengthOf(prompts, 4)
        for (const prompt of prompts) assert.include(prompt, "Input:\nA poem on tea")
        assert.include(prompts[1], "Draft:\nTea.")
        assert.include(prompts[2], "Score from 0 to 1: 0.2\n\nFeedback:\nLonger")
      }).pipe(onEngine)
    )

    it.effect("tells it the criteria, and computes the score from what it says about them", () =>
      Effect.gen(function* () {
        const prompts: Array<string> = []
        const ask = EvaluatorOptimizer.make("ask", {
          output: Schema.Struct({ title: Schema.String }),
          criteria: [{ name: "brevity", description: "Is short", threshold: 0.5 }],
          generate: () => Effect.succeed({ title: "A long title" })
        })
        const low = { feedback: "Cut it", criteria: [{ name: "brevity", score: 0.1, feedback: "Three words" }] }
        const high = { feedback: "", criteria: [{ name: "brevity", score: 0.9 }] }
        assert.deepStrictEqual(yield* ask.execute("tea").pipe(answers(prompts, low, { title: "Short" }, high)), {
          title: "Short"
        })
        for (const prompt of prompts) assert.include(prompt, "Criteria:\n- brevity: Is short")
        assert.include(prompts[0], 'Draft:\n{\n  "title": "A long title"\n}')
        assert.include(prompts[1], "Score from 0 to 1: 0.1\n- brevity: 0.1. Three words")
      }).pipe(onEngine)
    )

    it.effect("does not take its scores on trust", () =>
      Effect.gen(function* () {
        const ask = EvaluatorOptimizer.make("ask", {})
        const error = yield* Effect.flip(ask.execute("tea").pipe(answers([], "Tea.", { score: 85, feedback: "" })))
        assert.instanceOf(error, EvaluatorOptimizer.InvalidEvaluation)
      }).pipe(onEngine)
    )

    it.effect("asks the models of the given ids", () =>
      Effect.gen(function* () {
        const generatorModel = EvaluatorOptimizer.make("ask", { generatorModel: "writer" })
        const evaluatorModel = EvaluatorOptimizer.make("ask", { evaluatorModel: "judge" })
        for (const [ask, id] of [
          [generatorModel, "writer"],
          [evaluatorModel, "judge"]
        ] as const) {
          const error = yield* Effect.flip(ask.execute("tea").pipe(answers([], "Tea.")))
          assert.strictEqual(error._tag, "AiError")
          assert.isTrue(Schema.is(ask.error)(error))
          assert.include(error.message, id)
        }
      }).pipe(onEngine)
    )
  })

  it("refuses options that no draft could be measured by", () => {
    const criterion = { name: "a", description: "", threshold: 0.5 }
    const message = (options: object) => thrown(() => EvaluatorOptimizer.make("polish", options)).split("; ")[0]
    const at = (field: string, problem: string, value: string) =>
      `Invalid definition of polish at "${field}": ${problem}, found ${value}`
    const unit = "Expected a number from 0 to 1"
    assert.strictEqual(message({ threshold: 1.1 }), at("threshold", unit, "1.1"))
    assert.strictEqual(message({ threshold: -0.1 }), at("threshold", unit, "-0.1"))
    assert.strictEqual(message({ threshold: Number.NaN }), at("threshold", unit, "NaN"))
    for (const maxIterations of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      assert.strictEqual(
        message({ maxIterations }),
        at("maxIterations", "Expected a whole number, 1 or more", String(maxIterations))
      )
    assert.strictEqual(
      message({ criteria: [criterion, criterion] }),
      at("criteria", "Expected different names", '["a","a"]')
    )
    assert.strictEqual(message({ criteria: [{ ...criterion, threshold: 2 }] }), at("criteria.0.threshold", unit, "2"))
    assert.strictEqual(
      message({ criteria: [criterion, { ...criterion, name: "b", weight: -1 }] }),
      at("criteria.1.weight", "Expected a number, 0 or more", "-1")
    )
    assert.strictEqual(
      message({ criteria: [{ ...criterion, weight: 0 }] }),
      at("criteria", "Expected a weight above 0", "[0]")
    )
    assert.strictEqual(message({ criteria: [], threshold: 1, maxIterations: 1 }), "nothing was thrown")
  })
})

describe("the types of EvaluatorOptimizer", () => {
  const phases = {
    generate: (input: string) => Effect.succeed(input),
    evaluate: () => Effect.succeed({ score: 1, feedback: "" }),
    optimize: (draft: string) => Effect.succeed(draft)
  }
  type InvalidEvaluation = EvaluatorOptimizer.InvalidEvaluation

  it("infer error and services from the phases", () => {
    const made = EvaluatorOptimizer.make("make", {
      input: Schema.Struct({ topic: Schema.String }),
      output: Schema.Struct({ title: Schema.String }),
      error: NoIdea,
      generate: ({ topic }) => (topic === "" ? new NoIdea() : Effect.succeed({ title: topic })),
      evaluate: ({ title }, { topic }) =>
        Effect.map(Taste, (taste) => ({ score: taste, feedback: `${title} is not ${topic}` })),
      optimize: ({ title }, { feedback, passed }, { topic }) => {
        expectTypeOf(passed).toEqualTypeOf<boolean>()
        return Effect.succeed({ title: title + feedback + topic })
      }
    })
    expectTypeOf<Workflow.Input<typeof made>>().toEqualTypeOf<{ readonly topic: string }>()
    expectTypeOf<Workflow.Output<typeof made>>().toEqualTypeOf<{ readonly title: string }>()
    expectTypeOf<Workflow.Error<typeof made>>().toEqualTypeOf<NoIdea | InvalidEvaluation>()
    expectTypeOf<Workflow.Services<typeof made>>().toEqualTypeOf<Taste>()
    expectTypeOf(made.generate).returns.toEqualTypeOf<
      Effect.Effect<{ readonly title: string }, NoIdea | Budget.BudgetExceeded>
    >()
    expectTypeOf(made.evaluate).returns.toEqualTypeOf<
      Effect.Effect<EvaluatorOptimizer.Grade, InvalidEvaluation | Budget.BudgetExceeded, Taste>
    >()
  })

  it("need a model exactly where a phase is left to it", () => {
    const none = EvaluatorOptimizer.make("make", phases)
    expectTypeOf<Workflow.Services<typeof none>>().toEqualTypeOf<never>()
    expectTypeOf<Workflow.Error<typeof none>>().toEqualTypeOf<InvalidEvaluation>()
    const { evaluate, generate, optimize } = phases
    const some = [
      EvaluatorOptimizer.make("make", { evaluate, optimize }),
      EvaluatorOptimizer.make("make", { generate, optimize }),
      EvaluatorOptimizer.make("make", { generate, evaluate }),
      EvaluatorOptimizer.make("make", {})
    ] as const
    type Services<T> = { [K in keyof T]: Workflow.Services<T[K]> }
    type Errors<T> = { [K in keyof T]: Workflow.Error<T[K]> }
    type M = LanguageModel.LanguageModel
    type E = AiError.AiError | InvalidEvaluation
    expectTypeOf<Services<typeof some>>().toEqualTypeOf<readonly [M, M, M, M]>()
    expectTypeOf<Errors<typeof some>>().toEqualTypeOf<readonly [E, E, E, E]>()
  })

  it("have QualityNotReached, with the draft, exactly where running out of iterations fails", () => {
    const failing = EvaluatorOptimizer.make("make", { ...phases, onExhausted: "fail" })
    expectTypeOf<Workflow.Error<typeof failing>>().toEqualTypeOf<
      InvalidEvaluation | EvaluatorOptimizer.QualityNotReached<string>
    >()
    const best = EvaluatorOptimizer.make("make", { ...phases, onExhausted: "best" })
    expectTypeOf<Workflow.Error<typeof best>>().toEqualTypeOf<InvalidEvaluation>()
  })

  it("ask for a schema of other errors, and for drafts of the output", () => {
    // @ts-expect-error no schema describes NoIdea
    EvaluatorOptimizer.make("make", { ...phases, optimize: () => new NoIdea() })
    // @ts-expect-error drafts are text
    EvaluatorOptimizer.make("make", { ...phases, generate: () => Effect.succeed(1) })
    // @ts-expect-error an evaluation has a score
    EvaluatorOptimizer.make("make", { ...phases, evaluate: () => Effect.succeed({ feedback: "" }) })
  })
})
