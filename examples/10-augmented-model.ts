/** The augmented model: retrieved knowledge goes in, a value of a schema comes out. Every call in a run is counted. */
import { Console, Effect, Schema } from "effect"
import { AiError, LanguageModel } from "effect/ai"
import { Engine, Step, Workflow } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const handbook = [
  { page: "travel", text: "Book trains in second class. Flights need a manager's approval." },
  { page: "laptops", text: "A laptop is replaced after four years." }
]

const Answer = Schema.Struct({ text: Schema.String, page: Schema.String })

const ask = Workflow.make("ask", {
  output: Answer,
  error: AiError.AiError,
  run: Effect.fnUntraced(function* (question) {
    const pages = yield* Step.make("retrieve", {
      run: Effect.succeed(handbook.filter(({ page }) => question.includes(page.slice(0, -1))))
    })
    const prompt = `Answer from these pages:\n${JSON.stringify(pages)}\n\nQuestion: ${question}`
    const response = yield* Step.make("answer", { run: LanguageModel.generateObject({ prompt, schema: Answer }) })
    return response.value
  })
})

// A script stands in for a model, so that examples run offline: see README.md for real ones.
const model = modelOr([ScriptedModel.object({ text: "After four years.", page: "laptops" }, { when: "four years" })])

const program = Effect.gen(function* () {
  const run = yield* ask.run("When do I get a new laptop?")
  const execution = yield* run.start
  const { page, text } = yield* execution.result
  yield* Console.log(`${text} (${page})`)
  const { modelCalls, steps } = yield* execution.usage
  yield* Console.log(`${steps} steps, ${modelCalls} model call`)
})

await program.pipe(Effect.provide([Engine.layerMemory, model]), Effect.runPromise)

/* prints:
After four years. (laptops)
2 steps, 1 model call
*/
