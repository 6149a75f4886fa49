// A channel that asks somebody right now, and an engine that would let the run go, or ends.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Terminal } from "effect"
import { Engine, Execution, HumanChannel, Workflow } from "effect-baton"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"
import { realSleep } from "../../src/engines/durable/writer.ts"

const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval("ok?"), "done") })

/** A terminal at which nobody types anything. */
const terminal = (shown: Array<string>) =>
  Terminal.make({
    columns: Effect.succeed(80),
    rows: Effect.succeed(24),
    size: Effect.never,
    readInput: Effect.never,
    readLine: Effect.never,
    display: (text) => Effect.sync(() => void shown.push(text))
  })

describe("a person who is being asked in the terminal", () => {
  it.live("keeps the run in the memory, and is told that it stays open when the process ends (D6)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const shown: Array<string> = []
      const channel = Layer.provide(HumanChannel.layerConsole, Layer.succeed(Terminal.Terminal, terminal(shown)))
      yield* Effect.gen(function* () {
        const run = yield* asks.run("", { id: "r" })
        yield* run.start
        yield* realSleep(100)
        assert.strictEqual((yield* Durable).residents.size, 1)
      }).pipe(Effect.provide(Layer.mergeAll(layerSqlite({ filename, idle: 0 }), channel)))
      assert.include(shown.join(""), "This stays open: ok?")
      assert.notInclude(shown.join(""), "No longer open")
    }).pipe(Effect.scoped)
  )
})

describe("a file in a folder that is not there", () => {
  for (const runs of [true, false]) {
    it.effect(`is named, with what to do, where the process ${runs ? "runs what is in it" : "only looks"}`, () =>
      Effect.gen(function* () {
        const filename = `${yield* temporaryFile}.folder/runs.db`
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(Engine.layerSqlite({ filename, runs }))))
        assert.strictEqual(exit._tag, "Failure")
        const reason = exit._tag === "Failure" ? exit.cause.reasons[0] : undefined
        assert.isTrue(reason?._tag === "Die" && reason.defect instanceof Engine.EngineUnavailable)
        const message = reason?._tag === "Die" ? (reason.defect as Engine.EngineUnavailable).message : ""
        assert.strictEqual(message.split(filename).length, 2)
        assert.include(message, "create its folder")
      }).pipe(Effect.scoped)
    )
  }
})
