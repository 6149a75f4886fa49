/** Durable runs: the same workflow on a SQLite file goes on in the next process, and no finished step runs again. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Console, Effect } from "effect"
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

const folder = mkdtempSync(join(tmpdir(), "baton-example-"))
const filename = join(folder, "runs.sqlite")

const program = Effect.gen(function* () {
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

const cleanUp = Effect.sync(() => rmSync(folder, { recursive: true }))

await program.pipe(Effect.ensuring(cleanUp), Effect.runPromise)

/* prints:
writing "On teapots"
Publish "On teapots", 2000 words?
"On teapots", 2000 words, is out
*/
