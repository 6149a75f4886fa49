// Processes that tell each other what is new: nobody waits for the next look at the database.
import { createServer } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Layer } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { fresh, reached, until } from "./fleet.ts"
import { freePort } from "./postgres.ts"

const ask = (runner: string) =>
  Workflow.make("ask", {
    run: Effect.fnUntraced(function* () {
      const { approvedBy } = yield* Execution.waitForApproval("Go on?")
      return yield* Step.make("tell", { run: Effect.succeed(`${approvedBy} told ${runner}`) })
    })
  })

/** A process that runs; it looks by itself so seldom that only messages can be the reason for anything. */
const runner = (url: string, name: string) =>
  Effect.gen(function* () {
    const port = yield* freePort
    const engine = Engine.layerCluster({
      url,
      address: { host: "127.0.0.1", port },
      pollInterval: "20 seconds",
      grace: 0,
      maxConnections: 5
    })
    const server = NodeHttpServer.layer(createServer, { host: "127.0.0.1", port })
    const layer = Workflow.toLayer(ask(name)).pipe(Layer.provideMerge(engine), Layer.provide(Layer.fresh(server)))
    return Context.pick(Engine.Engine)(yield* Layer.build(Layer.fresh(layer)))
  })

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const from = yield* Clock.currentTimeMillis
    const value = yield* effect
    return { value, took: (yield* Clock.currentTimeMillis) - from }
  })

describe("Engine.layerCluster", () => {
  it.live(
    "starts, answers and cancels from a process that runs nothing reach the one that has the run at once",
    () =>
      Effect.gen(function* () {
        const { sql, url } = yield* fresh
        yield* Effect.all([runner(url, "one"), runner(url, "two")], { concurrency: 2 })
        yield* until<{ n: number }>(
          sql,
          `SELECT COUNT(DISTINCT pid)::int AS n FROM pg_locks JOIN pg_database d ON d.oid = database
           WHERE locktype = 'advisory' AND classid <> ${0x4241544e} AND datname = current_database()`,
          ([{ n }]) => n === 2
        )
        const client = Context.pick(Engine.Engine)(
          yield* Layer.build(Layer.fresh(Engine.layerClusterClient({ url, pollInterval: "20 millis" })))
        )
        const submit = (id: string) =>
          Effect.provide(
            Effect.flatMap(ask("nobody").run("", { id }), (run) => run.submit),
            client
          )
        // The assignment of shards is known to a client a moment after it begins.
        yield* Effect.timeout(
          Effect.flatMap(submit("warm-up"), (run) => reached(run, "RequestOpened")),
          "15 seconds"
        )

        const ids = Array.from({ length: 10 }, (_, i) => `run-${i}`)
        const starts: Array<number> = []
        const answers: Array<number> = []
        const tellers = new Set<string>()
        for (const id of ids) {
          const started = yield* timed(Effect.tap(submit(id), (run) => reached(run, "RequestOpened")))
          const execution = started.value
          const [request] = yield* execution.requests
          const answered = yield* timed(Effect.andThen(execution.approve(request.id, { by: "ada" }), execution.result))
          assert.match(String(answered.value), /^ada told (one|two)$/)
          tellers.add(String(answered.value))
          starts.push(started.took)
          answers.push(answered.took)
        }
        const doomed = yield* submit("doomed")
        yield* reached(doomed, "RequestOpened")
        const cancelled = yield* timed(doomed.cancel("rain"))
        assert.strictEqual(cancelled.value, "cancelled")
        // Both processes have runs.
        assert.strictEqual(tellers.size, 2)
        const slowest = (all: ReadonlyArray<number>) => Math.max(...all)
        yield* Effect.logInfo(
          `slowest of ${ids.length}: start to request ${slowest(starts)} ms, answer to result ${slowest(answers)} ms; cancel ${cancelled.took} ms`
        )
        assert.isBelow(slowest([...starts, ...answers, cancelled.took]), 5000)
      }).pipe(Effect.scoped),
    60_000
  )
})
