// What other processes want of a run, while it changes hands.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable, layerSqlite, makeEngine } from "../../src/engines/durable/layer.ts"
import type { Placement } from "../../src/engines/durable/placement.ts"
import * as NodeSqlite from "../../src/stores/NodeSqlite.ts"

const asks = Workflow.make("asks", {
  run: Effect.fnUntraced(function* () {
    yield* Execution.waitForApproval("go on?")
    return yield* Step.make("last", { run: Effect.succeed("done") })
  })
})

/** A run that has asked, in a process that has ended. */
const asked = Effect.gen(function* () {
  const filename = yield* temporaryFile
  yield* Effect.gen(function* () {
    const execution = yield* (yield* asks.run("", { id: "r" })).start
    yield* execution.events.pipe(
      Stream.takeUntil((event) => event._tag === "RequestOpened"),
      Stream.runDrain
    )
  }).pipe(Effect.provide(Layer.fresh(layerSqlite({ filename, grace: 0 }))))
  const client = Context.pick(Engine.Engine)(yield* Layer.build(layerSqlite({ filename, runs: false })))
  return { filename, there: yield* Effect.provide(Engine.get("r"), client) }
})

describe("a pause that nobody is up to carry out", () => {
  it.live("holds the run at its next step, whatever was answered after it", () =>
    Effect.gen(function* () {
      const { filename, there } = yield* asked
      yield* there.pause
      yield* there.approve("r:approval")
      const runner = Layer.provideMerge(Workflow.toLayer(asks), layerSqlite({ filename, pollInterval: "10 millis" }))
      const execution = yield* Effect.provide(Engine.get("r"), yield* Layer.build(runner))
      const settled = execution.events.pipe(
        Stream.filter((event) => event._tag === "RequestSettled"),
        Stream.take(1),
        Stream.runDrain
      )
      yield* Effect.timeout(settled, "5 seconds")
      assert.strictEqual(yield* there.status, "awaiting")
      yield* there.resume
      assert.strictEqual(yield* Effect.timeout(there.result, "5 seconds"), "done")
      const tags = (yield* Stream.runCollect(there.events)).map((event) => event._tag)
      assert.isBelow(tags.indexOf("Resumed"), tags.indexOf("StepStarted"))
    }).pipe(Effect.scoped)
  )
})

describe("a run that comes to a process while that looks at what is wanted of it", () => {
  it.live("is paused and resumed in the order in which that was asked for", () =>
    Effect.gen(function* () {
      const { filename, there } = yield* asked
      yield* there.pause
      yield* there.resume

      // The part that the run is in arrives between the first thing that is wanted of it and the second.
      let looks = Number.NEGATIVE_INFINITY
      const placement: Placement = { isShared: true, owns: () => ++looks > 2, version: () => "1" }
      const sql = Layer.orDie(NodeSqlite.layer({ filename }))
      const runner = yield* Layer.build(
        Layer.provide(Layer.effectContext(makeEngine({ pollInterval: "1 hour" }, "late", placement)), sql)
      )
      looks = 0
      yield* Effect.provide(Layer.build(Workflow.toLayer(asks)), runner)
      const engine = Context.get(runner, Durable)
      yield* Effect.andThen(engine.signals.handleSignals, Effect.sleep("10 millis")).pipe(
        Effect.repeat({ until: () => looks > 2 })
      )
      yield* engine.signals.handleSignals
      const execution = yield* Effect.provide(Engine.get("r"), runner)
      yield* execution.approve("r:approval")
      assert.strictEqual(yield* Effect.timeout(execution.result, "5 seconds"), "done")
    }).pipe(Effect.scoped)
  )
})
