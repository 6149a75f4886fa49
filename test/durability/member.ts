// A process of the tests with several: runs jobs, drains at SIGTERM.
import { Effect, Layer } from "effect"
import { Workflow } from "effect-baton"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { job } from "./job.ts"
import { noted } from "./ledger.ts"

const [, , url, name] = process.argv

const runner = Workflow.toLayer(job(noted(url, name))).pipe(
  Layer.provide(layerPostgres({ url, pollInterval: "50 millis", idle: "200 millis", maxConnections: 5 }))
)

const controller = new AbortController()
process.on("SIGTERM", () => controller.abort())
await Effect.runPromiseExit(Layer.launch(runner), { signal: controller.signal })
