// Every member of a handle that was found in a process that has no run: the engine's contract, where one engine runs and
// whoever looks on, steers, asks and answers does so through another one on the same database, which runs nothing.
import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { Engine, type Execution, type Run, type Workflow } from "effect-baton"
import { EngineContract } from "effect-baton/testing"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import { DurableHandle } from "../../src/engines/durable/handle.ts"
import { layerSqlite } from "../../src/engines/durable/layer.ts"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { database, server } from "../durability/postgres.ts"

type Service = Context.Service.Shape<typeof Engine.Engine>

const found = <Output, Error, R>(there: Service, run: Run.Run<Output, Error, R>, id: string) =>
  Effect.orDie(there.get(id, run.workflow as unknown as Workflow.Any)) as Effect.Effect<
    Execution.Execution<Output, Error>
  >

/** Starts on one engine, and gives handles of another. */
const through = (here: Service, there: Service): Service => ({
  ...here,
  start: (run) =>
    Effect.flatMap(here.start(run), (execution) =>
      // One that was refused is not stored.
      execution instanceof DurableHandle ? found(there, run, execution.id) : Effect.succeed(execution)
    ),
  get: there.get,
  list: there.list
})

/** Two engines as one; the second is to the database what a process of its own is. */
const apart = (layer: (runs: boolean) => Layer.Layer<Engine.Engine>) =>
  Effect.gen(function* () {
    const here = yield* Layer.build(Layer.fresh(layer(true)))
    const there = yield* Layer.build(Layer.fresh(layer(false)))
    return Context.make(Engine.Engine, through(Context.get(here, Engine.Engine), Context.get(there, Engine.Engine)))
  })

const settings = { pollInterval: "5 millis", grace: "50 millis" } as const

for (const idle of [0, "1 hour"] as const) {
  const onSqlite = Effect.flatMap(temporaryFile, (filename) =>
    apart((runs) => layerSqlite({ filename, runs, idle, ...settings }))
  )
  describe(`handles of another process on SQLite, where what waits stays in the memory for ${idle}`, () => {
    for (const check of EngineContract.make(Layer.effectContext(onSqlite), {
      onShutdown: "leaves",
      pass: Effect.sleep
    }))
      it.live(check.name, () => check.effect, 10_000)
  })
}

describe("handles of another process on PostgreSQL", { concurrent: true }, () => {
  const scope = Scope.makeUnsafe()
  let url = ""
  beforeAll(async () => {
    url = await Effect.runPromise(Scope.provide(server, scope))
  }, 60_000)
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)), 60_000)

  const onPostgres = Effect.flatMap(
    Effect.suspend(() => database(url)),
    (url) => apart((runs) => layerPostgres({ url, runs, idle: "50 millis", maxConnections: 4, ...settings }))
  )
  const checks = EngineContract.make(Layer.effectContext(onPostgres), { onShutdown: "leaves", pass: Effect.sleep })
  // What is done by handles: the rest has nothing to do with where they are.
  const ofHandles = checks.filter(({ name }) => /^(lifecycle|cancels|pauses|approvals|inputs|children): /.test(name))
  for (const check of ofHandles) it.live(check.name, () => check.effect, 30_000)
})
