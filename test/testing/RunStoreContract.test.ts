import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Engine, type Event, Execution, RunStore, Step, Workflow } from "effect-baton"
import { RunStoreContract } from "effect-baton/testing"

const paused = (sequence: number): Event.Event => ({ _tag: "Paused", sequence, time: new Date(0), path: "" })

const settled = (id: string, startedMillis: number): RunStore.RunRecord => ({
  id,
  workflow: "deploy",
  status: "completed",
  tags: [],
  startedAt: new Date(startedMillis),
  settledAt: new Date(startedMillis)
})

describe("RunStore.layerMemory", () => {
  for (const check of RunStoreContract.make(RunStore.layerMemory)) it.effect(check.name, () => check.effect)

  it.effect("M1 keeps live runs, and of the settled ones those that settled last", () =>
    Effect.gen(function* () {
      const live = { ...settled("live", 0), status: "awaiting" as const }
      yield* RunStore.put(live)
      for (const n of [1, 2, 3, 4]) yield* RunStore.put(settled(`run ${n}`, 100 - n))
      // A second write does not make a run younger, and one that lives again is not counted.
      yield* RunStore.put(settled("run 3", 97))
      assert.deepStrictEqual(
        (yield* RunStore.find()).runs.map((run) => run.id),
        ["run 3", "run 4", "live"]
      )
      yield* RunStore.put({ ...settled("run 3", 97), status: "in-progress" })
      yield* RunStore.put(settled("run 5", 0))
      assert.deepStrictEqual(
        (yield* RunStore.find()).runs.map((run) => run.id),
        ["run 3", "run 4", "run 5", "live"]
      )
      assert.strictEqual((yield* Effect.flip(RunStore.events("run 1")))._tag, "RunNotFound")
    }).pipe(Effect.provide(RunStore.layerMemoryWith({ keepSettled: 2 })))
  )

  it.effect("M2 keeps the newest events of a run, and says how many are gone", () =>
    Effect.gen(function* () {
      yield* RunStore.put(settled("a", 0))
      for (let n = 1; n <= 13; n++) yield* RunStore.append("a", [paused(n)])
      yield* RunStore.append("a", [paused(2)])
      const events = yield* RunStore.events("a")
      assert.deepStrictEqual(
        events.map((event) => event.sequence),
        [5, 6, 7, 8, 9, 10, 11, 12, 13]
      )
      assert.deepStrictEqual(events[0], { _tag: "EventsDropped", sequence: 5, time: new Date(0), path: "", dropped: 5 })
      assert.deepStrictEqual((yield* RunStore.events("a", { from: 6 }))[0], paused(6))
    }).pipe(Effect.provide(RunStore.layerMemoryWith({ keepEvents: 8 })))
  )
})

describe("Engine.layerMemory with a RunStore", () => {
  it.effect("mirrors records and events of runs and their children, live ones too", () =>
    Effect.gen(function* () {
      const child = Workflow.make("child", { run: () => Step.make("work", { run: Effect.succeed("done") }) })
      const parent = Workflow.make("parent", {
        run: () =>
          Effect.gen(function* () {
            const execution = yield* Execution.startChild(child, "")
            const text = yield* execution.result
            yield* Execution.waitForApproval()
            return text
          })
      })
      const run = yield* parent.run("", { id: "p", tags: ["demo"] })
      const execution = yield* run.start
      const [request] = yield* execution.requests
      // The mirror writes beside the execution, as soon as its fiber comes to run.
      yield* Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))
      assert.deepStrictEqual((yield* RunStore.get("p")).status, "awaiting")
      assert.deepStrictEqual(
        (yield* RunStore.find({ parentId: "p" })).runs.map((run) => [run.workflow, run.status]),
        [["child", "completed"]]
      )
      yield* execution.approve(request!.id)
      yield* execution.result
      yield* Effect.flatMap(Engine.Engine, (engine) => engine.shutdown)
      const [summary] = yield* Engine.list({ tag: "demo" })
      assert.deepStrictEqual(yield* RunStore.get("p"), summary)
      assert.deepStrictEqual(yield* RunStore.events("p"), yield* Stream.runCollect(execution.events))
      const [found] = (yield* RunStore.find({ workflow: "child" })).runs
      assert.deepStrictEqual(
        (yield* RunStore.events(found!.id)).map((event) => event._tag),
        [
          "RunStarted",
          "StatusChanged",
          "AttemptStarted",
          "StepStarted",
          "StepCompleted",
          "StatusChanged",
          "RunCompleted"
        ]
      )
    }).pipe(Effect.provide(Layer.provideMerge(Engine.layerMemory, RunStore.layerMemory)))
  )

  it.effect("runs on when the store fails", () =>
    Effect.gen(function* () {
      const failing = new RunStore.RunStoreError({ operation: "put", reason: "disk full", isRetryable: false })
      const broken = Layer.effect(
        RunStore.RunStore,
        Effect.map(RunStore.RunStore, (store) => ({ ...store, put: () => Effect.fail(failing) }))
      ).pipe(Layer.provide(RunStore.layerMemory))
      const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
      const result = yield* echo.execute("hi").pipe(Effect.provide(Layer.provide(Engine.layerMemory, broken)))
      assert.strictEqual(result, "hi")
    })
  )
})
