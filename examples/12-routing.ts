/** Routing: classify the input, then hand it to the workflow that is made for it. Here easy questions cost less. */
import { Console, Effect, Stream } from "effect"
import { AiError } from "effect/ai"
import { Engine, Models, Routing, Workflow } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const answerWith = (model: string) =>
  Workflow.make(`answer with ${model}`, {
    error: AiError.AiError,
    run: (question) => Models.text({ purpose: "answer", prompt: question, model })
  })

// Without a `classify` of its own a model chooses by the descriptions; its answer can only be one of the keys.
const desk = Routing.make("desk", {
  model: "small",
  workflows: {
    easy: {
      workflow: answerWith("small"),
      route: { description: "Everyday questions", whenToUse: "One fact answers it", examples: ["When do you open?"] },
      markAsDefault: true
    },
    hard: {
      workflow: answerWith("large"),
      route: { description: "Questions to think about", whenToUse: "It takes several steps to answer" }
    }
  }
})

const models = Models.layer({
  small: modelOr([ScriptedModel.object({ route: "hard" })]),
  large: modelOr(["Take the night train, it is cheaper than a hotel."])
})

const program = Effect.gen(function* () {
  const run = yield* desk.run("How do I get to Oslo by Monday for less than 200 euros?")
  const execution = yield* run.start
  yield* Console.log(yield* execution.result)
  yield* execution.events.pipe(
    Stream.filter((event) => event._tag === "ModelCalled"),
    Stream.runForEach(({ model, path, purpose }) => Console.log(`${model}: ${purpose} in ${path}`))
  )
})

await program.pipe(Effect.provide([Engine.layerMemory, models]), Effect.runPromise)

/* prints:
Take the night train, it is cheaper than a hotel.
small: classify in classify
large: answer in route/hard
*/
