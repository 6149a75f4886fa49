/** Evaluator-optimizer: a draft is judged and improved until it is good enough. Phases are models or plain code. */
import { Console, Effect, Stream } from "effect"
import { Engine, EvaluatorOptimizer } from "effect-baton"
import { modelOr } from "./model.ts"

const slogan = EvaluatorOptimizer.make("slogan", {
  criteria: [
    { name: "brevity", description: "At most 20 characters", threshold: 1 },
    { name: "subject", description: "Names what it is about", threshold: 1 }
  ],
  // Plain code measures; generate and optimize are left to the model.
  evaluate: (draft, subject) =>
    Effect.succeed({
      feedback: `${draft.length} characters`,
      criteria: [
        { name: "brevity", score: Math.min(1, 20 / draft.length) },
        { name: "subject", score: draft.toLowerCase().includes(subject) ? 1 : 0 }
      ]
    }),
  maxIterations: 5,
  onExhausted: "fail"
})

const model = modelOr(["Tea for everybody, everywhere, always.", "A cup for everybody.", "Tea for all."])

const program = Effect.gen(function* () {
  const run = yield* slogan.run("tea")
  const execution = yield* run.start
  yield* execution.events.pipe(
    Stream.filter((event) => event._tag === "Progressed"),
    Stream.runForEach(({ current, message, total }) => Console.log(`${current} of ${total}: ${message}`))
  )
  // With "fail" the best draft comes with the error.
  yield* Console.log(
    yield* Effect.catchTag(execution.result, "QualityNotReached", ({ draft }) => Effect.succeed(draft))
  )
})

await program.pipe(Effect.provide([Engine.layerMemory, model]), Effect.runPromise)

/* prints:
0 of 5: generating
1 of 5: draft 1 did not pass with 0.763157894737
1 of 5: improving draft 1
2 of 5: draft 2 did not pass with 0.5
2 of 5: improving draft 2
3 of 5: draft 3 passed with 1
Tea for all.
*/
