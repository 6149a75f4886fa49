/** Progress and whatever is logged with Effect's logger belong to the execution, wherever they come from. */
import { Console, Effect, Logger, Schema } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"

const copy = Workflow.make("copy", {
  input: Schema.Array(Schema.String),
  run: Effect.fnUntraced(function* (files) {
    for (const [index, file] of files.entries()) {
      yield* Execution.progress({ current: index, total: files.length, message: file })
      yield* Step.make("copy", { run: Effect.log(`copying ${file}`) })
    }
    yield* Execution.progress({ current: files.length, total: files.length })
    return "done"
  })
})

const program = Effect.gen(function* () {
  const run = yield* copy.run(["a.txt", "b.txt"])
  const execution = yield* run.start
  yield* execution.result
  yield* Console.log(yield* execution.progress)
  for (const { level, message, path } of yield* execution.logs) yield* Console.log(`${level} ${path}: ${message}`)
})

// Without a logger, so that only the execution has the logs; they go to both.
await program.pipe(Effect.provide([Engine.layerMemory, Logger.layer([])]), Effect.runPromise)

/* prints:
{ current: 2, total: 2 }
Info copy: copying a.txt
Info copy#2: copying b.txt
*/
