// An engine ends: nobody waits for it any more, and nothing keeps it.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { Execution, Step, Workflow } from "effect-baton"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import { layerSqlite } from "../../src/engines/durable/layer.ts"
import { engine, reached } from "./fleet.ts"
import { database, mortal } from "./postgres.ts"

const asks = Workflow.make("asks", {
  run: () => Effect.map(Execution.waitForApproval("ok?"), ({ reason }) => `${reason}`)
})

/** The defect that something ends with. */
const defect = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.flip(Effect.sandbox(effect)), (cause) => `${Cause.squash(cause)}`)

describe("an engine that ends", () => {
  it.live("tells whoever waits for a run, or asks for one after that, that it has ended", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const filename = yield* temporaryFile
      const context = yield* Layer.buildWithScope(Layer.fresh(layerSqlite({ filename })), scope)
      const start = Effect.flatMap(asks.run("", { id: "r" }), (run) => run.start)
      const execution = yield* Effect.provide(start, context)
      yield* reached(execution, "RequestOpened")
      const waiting = yield* Effect.forEach([execution.result, Stream.runDrain(execution.events)], (wait) =>
        Effect.forkScoped(wait, { startImmediately: true })
      )
      yield* Scope.close(scope, Exit.void)
      for (const fiber of waiting) assert.match(yield* defect(Fiber.join(fiber)), /the engine has ended/)
      for (const asking of [execution.status, execution.requests, execution.approve("r"), execution.pause]) {
        assert.match(yield* defect(asking), /the engine has ended/)
      }
    }).pipe(Effect.scoped, Effect.timeout("10 seconds"))
  )

  it.live(
    "does so although the database is away and has not got everything; what it has goes on when it is back (D1)",
    () =>
      Effect.gen(function* () {
        const server = yield* mortal
        const url = yield* database(server.url)
        const gate = yield* Deferred.make<void>()
        const ran: Array<string> = []
        const note = (name: string) => Effect.sync(() => void ran.push(name))
        const work = Workflow.make("work", {
          run: Effect.fnUntraced(function* () {
            yield* Step.make("first", { run: note("first") })
            yield* Step.make("second", { run: Effect.andThen(note("second"), Deferred.await(gate)) })
            return "done"
          })
        })
        const start = Effect.flatMap(work.run("", { id: "r" }), (run) => run.start)
        const scope = yield* Scope.make()
        const execution = yield* Effect.provide(start, yield* Scope.provide(engine(url), scope))
        yield* reached(execution, "StepStarted", "second")
        yield* server.end("SIGQUIT")
        // Its end is not on disk, and can not get there.
        yield* Deferred.succeed(gate, undefined)
        yield* Effect.timeout(Scope.close(scope, Exit.void), "30 seconds")
        yield* server.again
        const again = yield* Effect.provide(start, yield* engine(url))
        assert.strictEqual(yield* again.result, "done")
        assert.deepStrictEqual(ran, ["first", "second", "second"])
      }).pipe(Effect.scoped),
    60_000
  )
})
