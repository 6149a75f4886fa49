/** Durable runs: the same workflow on a SQLite file goes on in the next process, and no finished step runs again. */
import { NodeServices } from "@effect/platform-node"
import { Console, Effect, FileSystem } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"

const publish = Workflow.make("publish", {
  run: Effect.fnUntraced(function* (title) {
    const draft = yield* Step.make("write", {
      run: Effect.as(Console.log(`writing "${title}"`), `"${title}", 2000 words`)
    })
    const approval = yield* Execution.waitForApproval(`Publish ${draft}?`)
    return approval.approved ? `${draft}, is out` : "thrown away"
  })
})

const start = Effect.flatMap(publish.run("On teapots", { id: "teapots" }), (run) => run.start)

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const filename = `${yield* fs.makeTempDirectoryScoped()}/runs.sqlite`

  const monday = Effect.gen(function* () {
    const execution = yield* start
    yield* Console.log((yield* Execution.nextRequest(execution)).message)
  })
  yield* monday.pipe(Effect.provide(Engine.layerSqlite({ filename })))

  // Another engine on the same file, as in another process after a crash.
  const tuesday = Effect.gen(function* () {
    const execution = yield* start
    yield* execution.approve((yield* Execution.nextRequest(execution)).id, { by: "ada" })
    yield* Console.log(yield* execution.result)
  })
  yield* tuesday.pipe(Effect.provide(Engine.layerSqlite({ filename })))
})

await program.pipe(Effect.scoped, Effect.provide(NodeServices.layer), Effect.runPromise)

/* prints:
writing "On teapots"
Publish "On teapots", 2000 words?
"On teapots", 2000 words, is out
*/
