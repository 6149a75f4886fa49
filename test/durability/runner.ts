// A runner process of the cluster tests: registers a workflow and runs whatever comes its way.
import { Effect, Layer } from "effect"
import { Workflow } from "effect-baton"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { ledger, noted } from "./ledger.ts"

const [, , url, name] = process.argv

const runner = Workflow.toLayer(ledger(noted(url, name))).pipe(
  Layer.provide(
    layerPostgres({ url, pollInterval: "50 millis", idle: "200 millis", expiration: "5 seconds", maxConnections: 4 })
  )
)

process.on("SIGTERM", () => controller.abort())
const controller = new AbortController()
await Effect.runPromiseExit(Layer.launch(runner), { signal: controller.signal })
process.exit(0)
