/** A budget holds for all of a run: retries, children, patterns, agents. Once it is used up nothing more is asked. */
import { Console, Effect } from "effect"
import { AiError } from "effect/ai"
import { Engine, Models, Workflow } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const novel = Workflow.make("novel", {
  error: AiError.AiError,
  run: Effect.fnUntraced(function* (beginning) {
    let text = beginning
    while (text.length < 1_000_000) {
      text += yield* Models.text({ purpose: "write", prompt: `Write the next sentence of this story:\n${text}` })
    }
    return text
  })
})

const program = Effect.gen(function* () {
  const run = yield* novel.run("Once upon a time", { budget: { cost: 0.01 } })
  const execution = yield* run.start
  const error = yield* Effect.flip(execution.result)
  yield* Console.log(error._tag === "BudgetExceeded" ? `${error.used} of ${error.allowed} dollars` : error.message)
  yield* Console.log(yield* execution.usage)
})

const model = modelOr([
  ScriptedModel.text(" And then ...", { times: Infinity, usage: { inputTokens: 1000, outputTokens: 200 } })
])
const models = Models.layer({ small: { model, price: { inputPerMillion: 1, outputPerMillion: 10 } } })
await program.pipe(Effect.provide([Engine.layerMemory, models]), Effect.runPromise)

/* prints:
0.012 of 0.01 dollars
{
  modelCalls: 4,
  inputTokens: 4000,
  outputTokens: 800,
  costUsd: 0.012,
  steps: 0
}
*/
