// A process that runs nothing and asks about a run of another.
import { Effect } from "effect"
import { Engine } from "effect-baton"

const [, , filename, id] = process.argv

const program = Effect.flatMap(Engine.get(id), (execution) => execution.waitForApproval("Sure?"))

await Effect.runPromise(program.pipe(Effect.provide(Engine.layerSqlite({ filename, runs: false }))))
