/** A workflow is a name, schemas on its boundaries, and a body that is a typed Effect. A run executes it. */
import { Console, Effect, Schema } from "effect"
import { Engine, Workflow } from "effect-baton"

class UnknownCity extends Schema.TaggedError<UnknownCity>()("UnknownCity", { city: Schema.String }) {}

const weather = Workflow.make("weather", {
  input: Schema.Struct({ city: Schema.String }),
  output: Schema.Struct({ celsius: Schema.Number }),
  error: UnknownCity,
  run: ({ city }) => (city === "Oslo" ? Effect.succeed({ celsius: 4 }) : Effect.fail(new UnknownCity({ city })))
})

const program = Effect.gen(function* () {
  // All in one: configure, start, wait for the result.
  yield* Console.log(yield* weather.execute({ city: "Oslo" }))

  // Step by step: a run does nothing until it is started; the execution is the handle on what then goes on.
  const run = yield* weather.run({ city: "Oslo" }, { timeout: "1 minute" })
  yield* Console.log(yield* run.status)
  const execution = yield* run.start
  yield* execution.result
  yield* Console.log(yield* execution.status)

  // Failures are as typed as results.
  const error = yield* Effect.flip(weather.execute({ city: "Atlantis" }))
  yield* Console.log(error._tag === "UnknownCity" ? `Where is ${error.city}?` : error.message)
})

await program.pipe(Effect.provide(Engine.layerMemory), Effect.runPromise)

/* prints:
{ celsius: 4 }
pending
completed
Where is Atlantis?
*/
