/** A workflow, such as another agent, as a tool: it is part of the same execution, with its budget and its people. */
import { Console, Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { Agent, Engine } from "effect-baton"
import { ScriptedHuman, ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const Search = Tool.make("search", {
  description: "Searches a paid archive",
  parameters: Schema.Struct({ words: Schema.String }),
  success: Schema.String,
  needsApproval: true
})
const toolkit = Toolkit.make(Search)
const handlers = toolkit.toLayer({ search: ({ words }) => Effect.succeed(`an article about ${words}`) })

const researcher = Agent.make("researcher", {
  description: "Finds things out",
  instructions: "You research.",
  toolkit
})
const writer = Agent.make("writer", {
  instructions: "You write. Leave research to the researcher.",
  toolkit: Agent.asTool(researcher)
})

const model = modelOr([
  ScriptedModel.toolCalls([{ name: "researcher", params: { input: "Who invented tea?" } }]),
  ScriptedModel.toolCalls([{ name: "search", params: { words: "tea" } }]),
  ScriptedModel.text("Shennong, says the legend.", { when: "an article about tea" }),
  ScriptedModel.text("Legend has it that Shennong found tea.", { when: "Shennong, says the legend." })
])

const human = Effect.runSync(ScriptedHuman.make([ScriptedHuman.approve({ times: Infinity })]))

const program = Effect.gen(function* () {
  const run = yield* writer.run("A sentence on the origin of tea", { budget: { modelCalls: 10 } })
  const execution = yield* run.start
  yield* Console.log(yield* execution.result)
  yield* Console.log(`${(yield* execution.usage).modelCalls} model calls`)
  for (const { request } of yield* human.asked) yield* Console.log(`${request.workflow} asked at ${request.path}`)
})

await program.pipe(Effect.provide([Engine.layerMemory, model, human.layer, handlers]), Effect.runPromise)

/* prints:
Legend has it that Shennong found tea.
4 model calls
writer asked at turn/1/tool/researcher/call_1/turn/1/approval/call_1
*/
