// A process that runs journeys and talks to the others: `journeyMember.ts URL NAME PORT NOTES`.
import { createServer } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Engine, Workflow } from "effect-baton"
import { journey, noting } from "./journey.ts"

const [, , url, name, port, file] = process.argv

const address = { host: "127.0.0.1", port: Number(port) }

const runner = Workflow.toLayer(journey(noting(file, name))).pipe(
  Layer.provide(Engine.layerCluster({ url, address, idle: "300 millis", maxConnections: 5 })),
  Layer.provide(NodeHttpServer.layer(createServer, address))
)

await Effect.runPromise(Layer.launch(runner))
