/** Orchestrator-workers: a model plans, workers do each step as soon as its dependencies are done, a model sums up. */
import { Console, Effect, Stream } from "effect"
import { AiError } from "effect/ai"
import { Engine, Models, OrchestratorWorkers, Workflow } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const expert = (name: string, task: string) =>
  Workflow.make(name, {
    error: AiError.AiError,
    run: (input) => Models.text({ purpose: name, prompt: `${task}\n\n${input}` })
  })

const tripPlanner = OrchestratorWorkers.make("trip planner", {
  workers: [
    { name: "finder", description: "Finds facts about places", workflow: expert("finder", "Find this out:") },
    { name: "writer", description: "Writes texts", workflow: expert("writer", "Write this:") }
  ],
  maxConcurrency: 4
})

const plan = {
  goal: "A weekend in Oslo",
  steps: [
    { id: "sights", description: "What to see", worker: "finder", input: "Sights in Oslo" },
    { id: "food", description: "Where to eat", worker: "finder", input: "Restaurants in Oslo" },
    { id: "days", description: "Day by day", worker: "writer", input: "A timetable", dependsOn: ["sights", "food"] }
  ]
}
const model = modelOr([
  ScriptedModel.object(plan, { when: { purpose: "plan" } }),
  ScriptedModel.text("the opera", { when: "Sights in Oslo" }),
  ScriptedModel.text("a fish market", { when: "Restaurants in Oslo" }),
  // A step is told the results that it depends on.
  ScriptedModel.text("Opera first, then fish.", { when: /the opera.*a fish market/s }),
  ScriptedModel.text("Enjoy Oslo: opera first, then fish.", { when: { purpose: "synthesize" } })
])

const program = Effect.gen(function* () {
  const run = yield* tripPlanner.run("Plan a weekend in Oslo")
  const execution = yield* run.start
  yield* execution.events.pipe(
    Stream.filter((event) => event._tag === "StepCompleted"),
    Stream.runForEach((event) => Console.log(`done: ${event.path}`))
  )
  yield* Console.log(yield* execution.result)
})

await program.pipe(Effect.provide([Engine.layerMemory, model]), Effect.runPromise)

/* prints:
done: plan
done: step/sights
done: step/food
done: step/days
done: synthesize
Enjoy Oslo: opera first, then fish.
*/
