/** A budget holds for all of a run: retries, children, patterns, agents. Once it is used up nothing more is asked. */
import { Console, Effect } from "effect"
import { AiError } from "effect/ai"
import { Engine, Models, Workflow } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"

const improve = Workflow.make("improve", {
  error: AiError.AiError,
  run: Effect.fnUntraced(function* (text) {
    let draft = text
    while (!draft.includes("perfect")) {
      draft = yield* Models.text({ purpose: "improve", prompt: `Make this better: ${draft}` })
    }
    return draft
  })
})

const program = Effect.gen(function* () {
  const run = yield* improve.run("Once upon a time", { budget: { cost: 0.01 } })
  const execution = yield* run.start
  const error = yield* Effect.flip(execution.result)
  yield* Console.log(error._tag === "BudgetExceeded" ? `${error.used} of ${error.allowed} dollars` : error.message)
  yield* Console.log(yield* execution.usage)
})

const model = Effect.runSync(
  ScriptedModel.make([
    ScriptedModel.text("It was ...", { times: Infinity, usage: { inputTokens: 1000, outputTokens: 200 } })
  ])
)
const models = Models.layer({
  small: { model: model.layer, price: { inputPerMillion: 1, outputPerMillion: 10 } }
})
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
