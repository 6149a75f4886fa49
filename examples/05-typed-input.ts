/** A body can ask for a value. What does not fit the schema is refused to the one who answers, who can try again. */
import { Console, Effect, Schema } from "effect"
import { Engine, Execution, Workflow } from "effect-baton"

const Booking = Schema.Struct({ guests: Schema.Int, day: Schema.Literals(["friday", "saturday"]) })

const reserve = Workflow.make("reserve", {
  run: Effect.fnUntraced(function* (restaurant) {
    const { day, guests } = yield* Execution.waitForInput(`When, and how many, at ${restaurant}?`, Booking)
    return `${restaurant}: a table for ${guests} on ${day}`
  })
})

const program = Effect.gen(function* () {
  const run = yield* reserve.run("Nami")
  const execution = yield* run.start
  const request = yield* Execution.nextRequest(execution)
  yield* Console.log(request.message)

  const refused = yield* Effect.flip(execution.answer(request.id, { guests: "many", day: "friday" }))
  yield* Console.log(refused._tag === "InvalidAnswer" ? `${refused.field}: ${refused.problem}` : refused.message)
  yield* execution.answer(request.id, { guests: 4, day: "friday" }, { by: "ada" })
  yield* Console.log(yield* execution.result)
})

await program.pipe(Effect.provide(Engine.layerMemory), Effect.runPromise)

/* prints:
When, and how many, at Nami?
guests: ...
Nami: a table for 4 on friday
*/
