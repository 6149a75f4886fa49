// A run whose workflow no process has registered waits, and says what for.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { Engine, Execution, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { realSleep } from "../../src/engines/durable/writer.ts"

const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval("ok?"), "done") })

const begin = Effect.flatMap(asks.start("", { id: "r" }), (execution) => Execution.nextRequest(execution))

const answer = Effect.gen(function* () {
  const execution = yield* Engine.get("r")
  const [request] = yield* execution.requests
  yield* execution.approve(request!.id)
  return execution
})

describe("a run whose workflow is not registered", () => {
  it.effect("keeps what it is told, and a warning names the workflow and what to do, once", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const lines: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
      yield* live(filename, {}, undefined, begin)
      const life = yield* live(
        filename,
        {},
        undefined,
        Effect.gen(function* () {
          const execution = yield* answer
          yield* execution.pause
          while (lines.length === 0) yield* realSleep(10)
          yield* execution.resume
          yield* (yield* Engine.Engine).register(asks)
          return yield* execution.result
        })
      ).pipe(Effect.provide(logger))
      assert.strictEqual(life.result, "done")
      assert.deepStrictEqual(lines, [
        'The run r waits for its workflow "asks", which is not registered in this process: provide Workflow.toLayer of it ' +
          "where the engine is"
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("is not warned of where it is registered soon", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const lines: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
      yield* live(filename, {}, undefined, begin)
      yield* live(
        filename,
        {},
        undefined,
        Effect.gen(function* () {
          const execution = yield* answer
          yield* (yield* Engine.Engine).register(asks)
          yield* execution.result
          yield* realSleep(1100)
        })
      ).pipe(Effect.provide(logger))
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.scoped)
  )
})
