/** Parallelization by sections: independent parts are done at the same time, and merged in their order. */
import { Console, Effect, Stream } from "effect"
import { Engine, Models, Parallelization } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const review = Parallelization.make("review", {
  split: (code) =>
    Effect.succeed(
      ["security", "naming", "tests"].map((aspect) => ({ id: aspect, prompt: `Review the ${aspect} of:\n${code}` }))
    ),
  worker: ({ id, prompt }) => Models.text({ purpose: id, prompt }),
  maxConcurrency: 4,
  failureStrategy: "collect-all",
  merge: (results) => Effect.succeed(results.map(({ data, id }) => `${id}: ${data}`).join("\n"))
})

const model = modelOr([
  ScriptedModel.text("Escape the name.", { when: "the security", after: "40 millis" }),
  ScriptedModel.text("Call it greet.", { when: "the naming", after: "20 millis" }),
  ScriptedModel.text("There are none.", { when: "the tests" })
])

const program = Effect.gen(function* () {
  const run = yield* review.run("const f = (x) => '<b>Hello ' + x")
  const execution = yield* run.start
  yield* execution.events.pipe(
    Stream.filter((event) => event._tag === "StepCompleted"),
    Stream.runForEach((event) => Console.log(`done: ${event.path}`))
  )
  yield* Console.log(yield* execution.result)
})

await program.pipe(Effect.provide([Engine.layerMemory, model]), Effect.runPromise)

/* prints:
done: split
done: subtask/tests
done: subtask/naming
done: subtask/security
done: merge
security: Escape the name.
naming: Call it greet.
tests: There are none.
*/
