import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import type { AiError, LanguageModel } from "effect/ai"
import { TestClock } from "effect/testing"
import { type Budget, Engine, Step, Workflow } from "effect-baton"
import * as PromptChaining from "effect-baton/PromptChaining"
import { expectTypeOf } from "vitest"
import { model, run, thrown } from "./observed.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { id: Schema.String }) {}
class Unsure extends Schema.TaggedError<Unsure>()("Unsure", {}) {}
class Style extends Context.Service<Style, string>()("Style") {}

const onEngine = Effect.provide(Engine.layerMemory)

const polish = Workflow.make("polish", {
  error: Broken,
  run: (text) => Step.make("rewrite", { run: Effect.map(Style, (style) => `${text} (${style})`) })
})

const essay = PromptChaining.make("essay", {
  steps: [
    { name: "outline", run: (topic) => Effect.succeed(topic.split(" ")) },
    { name: "draft", run: (points) => Effect.succeed(points.join(", then ")) },
    { name: "polish", workflow: polish }
  ],
  gates: [
    { name: "long enough", after: "outline", check: (points, topic) => points.length > 1 || `"${topic}" is one point` },
    { name: "not too long", after: "outline", check: (points) => points.length < 5 },
    { name: "clean", after: "polish", check: (text) => !text.includes("!") }
  ]
})

const styled = Effect.provideService(Style, "plain")

describe("PromptChaining", () => {
  it.effect("gives each step the output of the one before", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* essay.execute("tea cake"), "tea, then cake (plain)")
    }).pipe(styled, onEngine)
  )

  it.effect("shows steps under their names, gates as steps, and counts the steps that are done", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(essay, "tea cake"), [
        "outline",
        "gate/long enough",
        "gate/not too long",
        ":1/3",
        "draft",
        ":2/3",
        "polish/rewrite",
        "gate/clean",
        ":3/3"
      ])
    }).pipe(styled, onEngine)
  )

  it.effect("stops at the gate that rejects, with the gate, the step and the reason", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(essay.execute("tea"))
      assert.deepStrictEqual(
        error,
        new PromptChaining.GateRejected({ gate: "long enough", step: "outline", reason: '"tea" is one point' })
      )
      assert.deepStrictEqual(yield* run(essay, "tea"), ["outline", "gate/long enough GateRejected"])
      const silent = yield* Effect.flip(essay.execute("a b c d e"))
      assert.deepStrictEqual(
        silent,
        new PromptChaining.GateRejected({ gate: "not too long", step: "outline", reason: "it did not pass" })
      )
    }).pipe(styled, onEngine)
  )

  it.effect("fails with what a function or a workflow fails with, as declared", () =>
    Effect.gen(function* () {
      const breaking = Workflow.make("breaking", { error: Broken, run: (id) => Effect.fail(new Broken({ id })) })
      const chain = PromptChaining.make("chain", {
        error: Unsure,
        steps: [
          { name: "think", run: (text) => (text === "" ? Effect.fail(new Unsure()) : Effect.succeed(text)) },
          { name: "break", workflow: breaking }
        ]
      })
      assert.deepStrictEqual(yield* Effect.flip(chain.execute("")), new Unsure())
      const error = yield* Effect.flip(chain.execute("x"))
      assert.deepStrictEqual(error, new Broken({ id: "x" }))
    }).pipe(onEngine)
  )

  it.effect("asks a model where a step is a prompt, for text or for a value of a schema", () => {
    const prompts: Array<string> = []
    const asking = PromptChaining.make("asking", {
      input: Schema.Struct({ topic: Schema.String }),
      output: Schema.Number,
      steps: [
        { name: "outline", prompt: ({ topic }) => `Outline ${topic}` },
        { name: "rate", prompt: (outline) => `Rate: ${outline}`, output: Schema.Struct({ score: Schema.Number }) },
        { name: "double", run: ({ score }) => Effect.succeed(score * 2) }
      ],
      gates: [{ name: "good", after: "rate", check: ({ score }) => score > 3 || `${score}` }]
    })
    expectTypeOf<Workflow.Error<typeof asking>>().toEqualTypeOf<AiError.AiError | PromptChaining.GateRejected>()
    expectTypeOf<Workflow.Services<typeof asking>>().toEqualTypeOf<LanguageModel.LanguageModel>()
    return Effect.gen(function* () {
      assert.strictEqual(yield* asking.execute({ topic: "tea" }), 8)
      assert.deepStrictEqual(prompts, ["Outline tea", "Rate: the outline"])
      assert.strictEqual(yield* asking.steps.outline({ topic: "tea" }), "the outline")
    }).pipe(
      Effect.provide(
        model((prompt, format) => {
          prompts.push(prompt)
          return format === "json" ? { score: 4 } : "the outline"
        })
      ),
      onEngine
    )
  })

  it.effect("lets its steps and gates be called one by one, outside of any execution too", () =>
    Effect.gen(function* () {
      const points = yield* essay.steps.outline("tea cake")
      assert.deepStrictEqual(points, ["tea", "cake"])
      yield* essay.check("outline", points, "tea cake")
      const error = yield* Effect.flip(essay.check("outline", ["tea"], "tea"))
      assert.strictEqual(error._tag, "GateRejected")
      assert.strictEqual(yield* essay.steps.draft(points), "tea, then cake")
    })
  )

  it.effect("lets its steps be called in a body, where they are steps that say how far they are", () =>
    Effect.gen(function* () {
      const own = Workflow.make("own", {
        error: Broken,
        run: Effect.fnUntraced(function* (topic) {
          return yield* essay.steps.polish(yield* essay.steps.draft(yield* essay.steps.outline(topic)))
        })
      })
      assert.deepStrictEqual(yield* run(own, "tea cake"), [
        "outline",
        ":1/3",
        "draft",
        ":2/3",
        "polish/rewrite",
        ":3/3"
      ])
    }).pipe(styled, onEngine)
  )

  it.effect("is interrupted in the step it is at when the run is cancelled", () =>
    Effect.gen(function* () {
      const slow = PromptChaining.make("slow", {
        steps: [
          { name: "one", run: (text) => Effect.succeed(text) },
          { name: "two", run: (text) => Effect.as(Effect.sleep("1 hour"), text) },
          { name: "three", run: (text) => Effect.succeed(text) }
        ]
      })
      const execution = yield* (yield* slow.run("x")).start
      yield* TestClock.adjust("1 minute")
      yield* execution.cancel("enough")
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "RunCancelled")
      assert.deepStrictEqual(yield* execution.progress, { current: 1, total: 3, message: "one" })
    }).pipe(onEngine)
  )

  it("refuses steps of one name, no steps, and gates after none, when it is made", () => {
    const step = { name: "a", run: (text: string) => Effect.succeed(text) } as const
    assert.strictEqual(
      thrown(() => PromptChaining.make("chain", { steps: [step, { ...step, name: "b" }, step] })),
      'Invalid definition of chain at "steps": Expected names of their own for all steps, found ["a"]; correct the option'
    )
    assert.strictEqual(
      // @ts-expect-error there is no step
      thrown(() => PromptChaining.make("chain", { steps: [] })),
      'Invalid definition of chain at "steps": Expected at least one step, found []; correct the option'
    )
    assert.strictEqual(
      thrown(() =>
        PromptChaining.make("chain", {
          steps: [step],
          // @ts-expect-error no step has this name
          gates: [{ name: "g", after: "z", check: () => true }]
        })
      ),
      'Invalid definition of chain at "gates": Expected gates after one of a, found ["z"]; correct the option'
    )
  })

  it.effect("keeps its errors through JSON", () =>
    Effect.gen(function* () {
      const error = new PromptChaining.GateRejected({ gate: "a", step: "b", reason: "c" })
      const json = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(essay.error)(error)))
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(essay.error)(json), error)
    })
  )

  it("infers each step's input, and the errors and services of all", () => {
    expectTypeOf<Workflow.Input<typeof essay>>().toEqualTypeOf<string>()
    expectTypeOf<Workflow.Output<typeof essay>>().toEqualTypeOf<string>()
    expectTypeOf<Workflow.Error<typeof essay>>().toEqualTypeOf<Broken | PromptChaining.GateRejected>()
    expectTypeOf<Workflow.Services<typeof essay>>().toEqualTypeOf<Style>()
    expectTypeOf(essay.steps.draft).parameter(0).toEqualTypeOf<Array<string>>()
    expectTypeOf(essay.check).returns.toEqualTypeOf<
      Effect.Effect<void, PromptChaining.GateRejected | Budget.BudgetExceeded>
    >()
  })

  it("takes six steps", () => {
    const six = PromptChaining.make("six", {
      output: Schema.Number,
      steps: [
        { name: "a", run: (text) => Effect.succeed(text.length) },
        { name: "b", run: (n) => Effect.succeed(n > 1) },
        { name: "c", run: (yes) => Effect.succeed([yes]) },
        { name: "d", run: ([yes]) => Effect.succeed({ yes }) },
        { name: "e", run: ({ yes }) => Effect.succeed(`${yes}`) },
        { name: "f", run: (text) => Effect.succeed(text.length) }
      ]
    })
    expectTypeOf<Workflow.Output<typeof six>>().toEqualTypeOf<number>()
  })

  it("refuses steps that do not fit, and errors and outputs that no schema describes", () => {
    // @ts-expect-error `output` is missing
    PromptChaining.make("c", { steps: [{ name: "a", run: (text) => Effect.succeed(text.length) }] })
    // @ts-expect-error the error is not described
    PromptChaining.make("c", { steps: [{ name: "a", run: () => Effect.fail(new Unsure()) }] })
    PromptChaining.make("c", {
      steps: [
        // @ts-expect-error the next step takes text
        { name: "a", run: (text) => Effect.succeed(text.length) },
        { name: "b", workflow: polish }
      ]
    })
    // @ts-expect-error a prompt is text
    PromptChaining.make("c", { steps: [{ name: "a", prompt: (text) => text.length }] })
  })
})
