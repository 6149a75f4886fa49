// Modules one by one: none of them loads `effect-baton/Models`.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import * as Engine from "effect-baton/Engine"
import * as Step from "effect-baton/Step"
import * as Workflow from "effect-baton/Workflow"

describe("a model that is provided inside of a body", () => {
  for (const [name, engine] of [
    ["memory", Engine.layerMemory],
    ["durable", Engine.layerSqlite({ filename: ":memory:" })]
  ] as const) {
    it.effect(`is not called beyond the budget, though nobody loaded Models (${name})`, () =>
      Effect.gen(function* () {
        let calls = 0
        const model = LanguageModel.make({
          generateText: () => Effect.sync(() => [{ type: "text" as const, text: `answer ${++calls}` }]),
          streamText: () => Stream.empty
        })
        const answer = Effect.map(LanguageModel.generateText({ prompt: "hi" }), ({ text }) => text)
        const workflow = Workflow.make("answer", {
          run: () =>
            Step.make("ask", { run: Effect.provideServiceEffect(answer, LanguageModel.LanguageModel, model) }).pipe(
              Effect.catchTag("AiError", Effect.die)
            )
        })
        const exit = yield* Effect.exit(workflow.execute("", { budget: { modelCalls: 0 } }))
        assert.include(String(exit), "BudgetExceeded")
        assert.strictEqual(calls, 0)
      }).pipe(Effect.provide(engine))
    )
  }
})
