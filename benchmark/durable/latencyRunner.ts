/**
 * A process of the latency benchmark that runs: `node latencyRunner.ts NAME FOLDER URL-OR-FILE IDLE`. Its steps write down
 * when they begin, as files of the folder.
 */
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Engine from "effect-baton/Engine"
import * as Workflow from "effect-baton/Workflow"
import { workflows } from "./latencyWorkflows.ts"

const [name, folder, where, idle] = process.argv.slice(2) as [string, string, string, `${number} millis`]

// It ends with whoever started it.
process.stdin.resume().on("close", () => process.exit())

const wallClock = () => performance.timeOrigin + performance.now()
const loadedAt = wallClock()

const began = (run: string, step: string) =>
  Effect.sync(() => {
    const file = join(folder, `${run} ${step} ${name}`)
    if (!existsSync(file)) writeFileSync(file, JSON.stringify({ at: wallClock(), loadedAt }), { flag: "wx" })
  })

const engine = where.startsWith("postgres")
  ? Engine.layerPostgres({ url: where, idle })
  : Engine.layerSqlite({ filename: where, idle })

const { asks, sleeps, works } = workflows(began)
const layer = Layer.mergeAll(Workflow.toLayer(asks), Workflow.toLayer(sleeps), Workflow.toLayer(works))

await Effect.runPromise(Layer.launch(Layer.provide(layer, engine)))
