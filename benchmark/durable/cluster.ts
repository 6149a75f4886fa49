import { PgClient } from "@effect/sql-pg"
import { Deferred, Effect, Layer, ManagedRuntime, Option, Redacted, Schema } from "effect"
import { ClusterWorkflowEngine, RunnerAddress, type ShardingConfig, SingleRunner } from "effect/cluster"
import { Digest } from "effect/crypto"
import { Activity, DurableDeferred, Workflow, WorkflowEngine } from "effect/workflow"
import type { Open } from "./system.ts"

const steps = (name: string, count: number) => {
  const workflow = Workflow.make(name, {
    payload: { n: Schema.Number },
    success: Schema.Number,
    idempotencyKey: ({ n }) => String(n)
  })
  const layer = workflow.toLayer(
    Effect.fnUntraced(function* ({ n }) {
      let sum = n
      for (let i = 0; i < count; i++) {
        const before = sum
        sum = yield* Activity.make({
          name: `add-${i}`,
          success: Schema.Number,
          execute: Effect.promise(async () => before + 1)
        })
      }
      return sum
    })
  )
  return { workflow, layer }
}

const one = steps("one", 1)
const ten = steps("ten", 10)

const Waiting = Workflow.make("waiting", {
  payload: { n: Schema.Number },
  success: Schema.Number,
  idempotencyKey: ({ n }) => String(n)
})
const number = DurableDeferred.make("number", { success: Schema.Number })
const reached = new Map<string, Deferred.Deferred<void>>()
const waiting = Waiting.toLayer(
  Effect.fnUntraced(function* ({ n }, executionId) {
    const sum = yield* Activity.make({
      name: "add",
      success: Schema.Number,
      execute: Effect.promise(async () => n + 1)
    })
    const there = reached.get(executionId)
    if (there !== undefined) yield* Deferred.succeed(there, undefined)
    return sum + (yield* DurableDeferred.await(number))
  })
)

const open =
  (runnerStorage: "sql" | "memory", sharding: Partial<ShardingConfig.ShardingConfig["Service"]>): Open =>
  async (url) => {
    const layer = Layer.mergeAll(one.layer, ten.layer, waiting).pipe(
      Layer.provideMerge(ClusterWorkflowEngine.layer),
      Layer.provideMerge(
        SingleRunner.layer({
          runnerStorage,
          // Said, since the environment means other things by PORT.
          shardingConfig: { runnerAddress: Option.some(RunnerAddress.make("localhost", 34431)), ...sharding }
        })
      ),
      Layer.provide(Digest.layerWebCrypto),
      Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 10 }))
    )
    const runtime = ManagedRuntime.make(layer)
    const engine = await runtime.runPromise(WorkflowEngine.WorkflowEngine)
    const waitingId = (n: number) => `waiting-${n}`
    let ids = 0
    return {
      run: (steps, n) =>
        runtime.runPromise(
          engine.execute((steps === 1 ? one : ten).workflow, { executionId: `run-${++ids}`, payload: { n } })
        ),
      park: (n) =>
        runtime.runPromise(
          Effect.gen(function* () {
            const there = Deferred.makeUnsafe<void>()
            reached.set(waitingId(n), there)
            yield* engine.execute(Waiting, { executionId: waitingId(n), payload: { n }, discard: true })
            yield* Deferred.await(there)
            reached.delete(waitingId(n))
          })
        ),
      // What waits leaves memory after ten seconds, and there is no way to see it.
      left: () => new Promise((resolve) => setTimeout(resolve, 12_000)),
      resume: (n, value) =>
        runtime.runPromise(
          Effect.gen(function* () {
            const executionId = waitingId(n)
            const token = DurableDeferred.tokenFromExecutionId(number, { workflow: Waiting, executionId })
            yield* DurableDeferred.succeed(number, { token, value })
            return yield* engine.execute(Waiting, { executionId, payload: { n } })
          })
        )
    }
  }

export const byDefault = open("sql", {})

export const tuned = open("memory", { shardsPerGroup: 8 })
