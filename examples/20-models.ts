/** Models have ids, prices and limits. One can stand in for another; each call that was made is counted. */
import { Console, Effect, Stream } from "effect"
import { AiError } from "effect/ai"
import { Engine, Models, Workflow } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const busy = ScriptedModel.fail(new AiError.RateLimitError({}), { times: 2 })
const first = Effect.runSync(ScriptedModel.make([busy]))
const second = modelOr([ScriptedModel.text("A haiku.", { usage: { inputTokens: 1000, outputTokens: 100 } })])

// A `model` is a layer of the Effect ecosystem, or a model of an AI SDK provider: openai("gpt-5").
const models = Models.layer(
  {
    first: {
      model: first.layer,
      price: { inputPerMillion: 1, outputPerMillion: 4 },
      retry: { attempts: 1, delay: "10 millis" }
    },
    second: { model: second, price: { inputPerMillion: 3, outputPerMillion: 15 }, concurrency: 8 },
    reliable: Models.fallback(["first", "second"])
  },
  { default: "reliable" }
)

const poet = Workflow.make("poet", {
  error: AiError.AiError,
  run: (topic) => Models.text({ purpose: "write", prompt: `Write a haiku about ${topic}` })
})

const program = Effect.gen(function* () {
  const run = yield* poet.run("tea")
  const execution = yield* run.start
  yield* Console.log(yield* execution.result)
  yield* execution.events.pipe(
    Stream.filter((event) => event._tag === "ModelCalled"),
    Stream.runForEach(({ costUsd, error = "answered", model }) => Console.log(`${model}: ${error}, $${costUsd}`))
  )
})

await program.pipe(Effect.provide([Engine.layerMemory, models]), Effect.runPromise)

/* prints:
A haiku.
first: RateLimitError, $0
first: RateLimitError, $0
second: answered, $0.0045
*/
