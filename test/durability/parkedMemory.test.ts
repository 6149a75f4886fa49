// What a run holds in memory once it has left it: nothing but its row, so that millions can wait.
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Engine, Execution, Workflow } from "effect-baton"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

const retained = Effect.promise(async () => {
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    gc()
  }
  return process.memoryUsage().heapUsed
})

const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval("Go on?"), "done") })

describe("a run that waits and has left the memory", () => {
  it.live(
    "holds less than 3 kB of it",
    () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const engine = layerSqlite({ filename, idle: 0, pollInterval: "1 hour" })
        yield* Effect.gen(function* () {
          const { residents } = yield* Durable
          const park = (count: number) =>
            Effect.gen(function* () {
              const start = Effect.flatMap(asks.run(""), (run) => Effect.asVoid(run.start))
              yield* Effect.replicateEffect(start, count, { concurrency: 100, discard: true })
              while (residents.size > 0) yield* Effect.sleep("10 millis")
            })
          yield* park(1000)
          const before = yield* retained
          yield* park(10_000)
          const bytes = ((yield* retained) - before) / 10_000
          yield* Effect.logInfo(`${Math.round(bytes)} bytes a run`)
          assert.isBelow(bytes, 3000)
          assert.strictEqual((yield* Engine.list({ status: "awaiting" })).length, 11_000)
        }).pipe(Effect.provide(Layer.fresh(engine)))
      }).pipe(Effect.scoped),
    60_000
  )
})
