/** An execution can be paused, resumed and cancelled. A cancel that is graceful waits for the body's finalizers. */
import { Console, Effect } from "effect"
import { Engine, Step, Workflow } from "effect-baton"

const machine = Effect.acquireRelease(Console.log("machine rented"), () =>
  Effect.delay(Console.log("machine returned"), "10 millis")
)

const train = Workflow.make("train", {
  defaults: { cancel: { graceful: true, gracefulTimeout: "5 seconds" } },
  run: Effect.fnUntraced(function* (model) {
    yield* machine
    for (let epoch = 1; epoch <= 1000; epoch++) {
      yield* Step.make("epoch", { run: Effect.sleep("10 millis") })
    }
    return `${model} is trained`
  })
})

const program = Effect.gen(function* () {
  const run = yield* train.run("tiny")
  const execution = yield* run.start

  // The step that is under way ends; the body is held at the next one.
  yield* execution.pause
  yield* Console.log(yield* execution.status)
  yield* execution.resume
  yield* Console.log(yield* execution.status)

  yield* Console.log(yield* execution.cancel("too expensive"))
  const error = yield* Effect.flip(execution.result)
  yield* Console.log(error.message)
})

await program.pipe(Effect.provide(Engine.layerMemory), Effect.runPromise)

/* prints:
machine rented
awaiting
in-progress
machine returned
cancelled
train (...) was cancelled: too expensive
*/
