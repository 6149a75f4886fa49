/** Steps name the parts of a body. Everything that happens is an event, with the path of the step it belongs to. */
import { Console, Effect, Schema, Stream } from "effect"
import { Engine, Step, Workflow } from "effect-baton"

const publish = Workflow.make("publish", {
  input: Schema.Array(Schema.String),
  run: Effect.fnUntraced(function* (pages) {
    const rendered = yield* Effect.forEach(
      pages,
      // Steps of one name that run at the same time are told apart by their key.
      (page) => Step.make("render", { key: page, run: Effect.delay(Effect.succeed(`<h1>${page}</h1>`), "10 millis") }),
      { concurrency: "unbounded" }
    )
    return yield* Step.make("upload", { run: Effect.succeed(`${rendered.length} pages are online`) })
  })
})

const program = Effect.gen(function* () {
  const run = yield* publish.run(["home", "about"])
  const execution = yield* run.start
  yield* execution.events.pipe(
    Stream.runForEach(({ _tag, path, sequence }) => Console.log(`${sequence} ${_tag} ${path}`.trim()))
  )
  yield* Console.log(yield* execution.result)
})

await program.pipe(Effect.provide(Engine.layerMemory), Effect.runPromise)

/* prints:
1 RunStarted
2 StatusChanged
3 AttemptStarted
4 StepStarted render/home
5 StepStarted render/about
6 StepCompleted render/home
7 StepCompleted render/about
8 StepStarted upload
9 StepCompleted upload
10 StatusChanged
11 RunCompleted
2 pages are online
*/
