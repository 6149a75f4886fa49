/** Prompt chaining: each step is made from the output of the one before. A gate stops what is not good enough early. */
import { Console, Effect, Schema } from "effect"
import { Engine, PromptChaining } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const Outline = Schema.Struct({ points: Schema.Array(Schema.String) })

const article = PromptChaining.make("article", {
  steps: [
    { name: "outline", prompt: (topic) => `Outline an article about ${topic}`, output: Outline },
    { name: "draft", prompt: ({ points }) => `Write a paragraph for each of: ${points.join(", ")}` },
    { name: "translate", prompt: (draft) => `Translate into German:\n${draft}` }
  ],
  gates: [
    {
      name: "enough to say",
      after: "outline",
      check: ({ points }) => points.length > 1 || `only ${points.length} point`
    }
  ]
})

const model = modelOr([
  ScriptedModel.object({ points: ["leaves", "water"] }, { when: "about tea" }),
  ScriptedModel.text("Leaves are picked. Water is boiled.", { when: "leaves, water" }),
  ScriptedModel.text("Blätter werden gepflückt. Wasser wird gekocht.", { when: "Translate" }),
  ScriptedModel.object({ points: ["it is there"] }, { when: "about air" })
])

const program = Effect.gen(function* () {
  for (const topic of ["tea", "air"]) {
    const run = yield* article.run(topic)
    const execution = yield* run.start
    yield* Console.log(yield* Effect.catch(execution.result, (error) => Effect.succeed(error.message)))
    yield* Console.log(`model calls for ${topic}: ${(yield* execution.usage).modelCalls}`)
  }
})

await program.pipe(Effect.provide([Engine.layerMemory, model]), Effect.runPromise)

/* prints:
Blätter werden gepflückt. Wasser wird gekocht.
model calls for tea: 3
The gate "enough to say" rejected the output of "outline": only 1 point; ...
model calls for air: 1
*/
