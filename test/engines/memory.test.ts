import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, RunError, RunStore, Step, Workflow } from "effect-baton"
import { consistent, firstSleep, history, settle, start } from "../support/executions.ts"

const memory = Effect.provide(Engine.layerMemory)
const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
const forever = Workflow.make("forever", { run: () => Effect.never })

describe("Engine.layerMemory", () => {
  it.effect("get finds an execution by its id, and an unknown id is ExecutionNotFound", () =>
    Effect.gen(function* () {
      const execution = yield* start(forever, "")
      assert.strictEqual(yield* Engine.get(execution.id), execution)
      for (const id of [
        "nope",
        "",
        "run_",
        "run_00000000000000000000",
        execution.id.toUpperCase(),
        `${execution.id}0`
      ]) {
        assert.deepInclude(yield* Effect.flip(Engine.get(id)), { _tag: "ExecutionNotFound", id })
      }
      yield* execution.cancel()
    }).pipe(memory)
  )

  it.effect("list shows executions, oldest start first, by workflow, status, tag and parent", () =>
    Effect.gen(function* () {
      const parent = Workflow.make("parent", {
        run: () => Effect.andThen(Execution.startChild(forever, "", { tags: ["little"] }), Effect.never)
      })
      yield* start(echo, "", { id: "a", tags: ["red", "blue"] })
      yield* TestClock.adjust(5)
      const b = yield* start(parent, "", { id: "b", tags: ["red"] })
      yield* TestClock.adjust(5)
      yield* start(echo, "", { id: "c" })
      const ids = (filter?: RunStore.Filter) =>
        Effect.map(Engine.list(filter), (all) => all.map((summary) => summary.id))
      assert.deepStrictEqual(
        (yield* ids()).filter((id) => id.length === 1),
        ["a", "b", "c"]
      )
      assert.deepStrictEqual(yield* ids({ workflow: "echo" }), ["a", "c"])
      assert.deepStrictEqual(yield* ids({ tag: "red" }), ["a", "b"])
      assert.deepStrictEqual(yield* ids({ tag: "red", status: "completed" }), ["a"])
      assert.deepStrictEqual(yield* ids({ status: ["completed", "in-progress"], workflow: "echo" }), ["a", "c"])
      assert.strictEqual((yield* ids({ parentId: "b" })).length, 1)
      const [summary] = yield* Engine.list({ tag: "blue" })
      assert.deepStrictEqual(summary, {
        id: "a",
        workflow: "echo",
        status: "completed",
        tags: ["red", "blue"],
        startedAt: new Date(0),
        settledAt: new Date(0)
      })
      assert.isTrue(Schema.is(RunStore.RunRecord)(summary))
      yield* b.cancel()
    }).pipe(memory)
  )

  it.effect("E11 it keeps all live executions and the newest settled ones", () =>
    Effect.gen(function* () {
      const live = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => i),
        (i) => start(forever, "", { id: `live ${i}` })
      )
      for (let i = 0; i < 5000; i++) yield* start(echo, "", { id: `done ${i}` })
      assert.strictEqual((yield* Engine.list({ workflow: "forever" })).length, 50)
      const done = (yield* Engine.list({ workflow: "echo" })).map((summary) => summary.id)
      assert.deepStrictEqual(
        done,
        Array.from({ length: 10 }, (_, i) => `done ${4990 + i}`)
      )
      assert.strictEqual((yield* Effect.flip(Engine.get("done 0")))._tag, "ExecutionNotFound")
      yield* Effect.forEach(live, (execution) => execution.cancel())
      assert.strictEqual((yield* Engine.list()).length, 10)
    }).pipe(Effect.provide(Engine.layerMemoryWith({ keepSettled: 10 })))
  )

  it.effect("E11 settled executions keep a bounded number of events together", () =>
    Effect.gen(function* () {
      // Each has five: started, running, attempt, completed, and the change of its status.
      for (const id of ["a", "b", "c"]) yield* start(echo, "", { id })
      assert.deepStrictEqual(
        (yield* Engine.list()).map((summary) => summary.id),
        ["b", "c"]
      )
    }).pipe(Effect.provide(Engine.layerMemoryWith({ keepSettledEvents: 10 })))
  )

  it.effect("E11 a settled execution is forgotten when its time is up, whether others settle or not", () =>
    Effect.gen(function* () {
      const execution = yield* start(echo, "one", { id: "x" })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Engine.list()).length, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Effect.flip(Engine.get("x")))._tag, "ExecutionNotFound")
      assert.strictEqual((yield* Engine.list()).length, 0)
      // E10: the id is free again, also for another input; whoever has a handle keeps it.
      const again = yield* start(echo, "two", { id: "x" })
      assert.strictEqual(yield* again.result, "two")
      assert.strictEqual(yield* execution.result, "one")
    }).pipe(memory)
  )

  it.effect("E10 an id is free again once its settled execution was let go", () =>
    Effect.gen(function* () {
      yield* start(echo, "one", { id: "x" })
      yield* start(echo, "other")
      assert.strictEqual(yield* (yield* start(echo, "two", { id: "x" })).result, "two")
    }).pipe(Effect.provide(Engine.layerMemoryWith({ keepSettled: 1 })))
  )

  it.effect(
    "E12 after a shutdown nothing starts, and everything that lived is cancelled with reason shutdown, nobody asked",
    () =>
      Effect.gen(function* () {
        let asked = 0
        const beforeCancel = Effect.sync(() => {
          asked++
          return false
        })
        const parent = Workflow.make("parent", {
          run: () => Effect.flatMap(Execution.startChild(forever, ""), (child) => child.result)
        })
        const one = yield* start(forever, "", { cancel: { beforeCancel } })
        const two = yield* start(parent, "")
        const done = yield* start(echo, "done")
        const pending = yield* echo.run("late")
        const engine = yield* Engine.Engine
        yield* engine.shutdown
        for (const execution of [one, two]) {
          assert.deepInclude(yield* Effect.flip(execution.result), { _tag: "RunCancelled", reason: "shutdown" })
          yield* consistent(execution)
        }
        assert.strictEqual(asked, 0)
        assert.strictEqual(yield* done.result, "done")
        const exit = yield* Effect.exit(pending.start)
        assert.isTrue(Exit.hasDies(exit))
        assert.strictEqual(yield* pending.status, "pending")
        assert.isTrue((yield* Engine.list()).every((summary) => ["completed", "cancelled"].includes(summary.status)))
        yield* engine.shutdown
      }).pipe(memory)
  )

  it.effect("a shutdown waits for graceful ends, and the end of the layer's scope is one", () =>
    Effect.gen(function* () {
      yield* firstSleep
      const ended: Array<string> = []
      const slow = Workflow.make("slow", {
        run: () =>
          Effect.onInterrupt(Effect.never, () =>
            Effect.andThen(
              Effect.sleep("5 seconds"),
              Effect.sync(() => void ended.push("slow"))
            )
          )
      })
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Engine.layerMemory, scope)
      const execution = yield* Effect.provide(start(slow, "", { cancel: { graceful: true } }), context)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(ended, ["slow"])
      assert.deepInclude(yield* Effect.flip(execution.result), { _tag: "RunCancelled", reason: "shutdown" })
    })
  )

  it.effect("two workflows of one name in one engine both run, and are warned of once", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const twin = Workflow.make("echo", { run: (text) => Effect.succeed(`${text}!`) })
      yield* Effect.gen(function* () {
        for (let i = 0; i < 3; i++) {
          assert.strictEqual(yield* echo.execute("a"), "a")
          assert.strictEqual(yield* twin.execute("a"), "a!")
        }
      }).pipe(Effect.provide(Logger.layer([logger])))
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], '"echo"')
    }).pipe(memory)
  )

  it.effect("many runs at once keep to themselves", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", {
        run: (name) =>
          Effect.gen(function* () {
            yield* Step.make("one", { run: Effect.yieldNow })
            const own = yield* Step.make("two", { run: Effect.succeed(name) })
            yield* Effect.logInfo(own)
            return own
          })
      })
      const executions = yield* Effect.forEach(
        Array.from({ length: 500 }, (_, i) => String(i)),
        (i) => start(workflow, i),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        yield* Effect.forEach(executions, (execution) => execution.result),
        Array.from({ length: 500 }, (_, i) => String(i))
      )
      assert.strictEqual(new Set(executions.map((execution) => execution.id)).size, 500)
      for (const [i, execution] of executions.entries()) {
        assert.deepStrictEqual(
          (yield* execution.logs).map((entry) => entry.message),
          [String(i)]
        )
      }
    }).pipe(memory)
  )

  it.effect("interrupt waits for the end, and does nothing for an id it does not know", () =>
    Effect.gen(function* () {
      const engine = yield* Engine.Engine
      yield* engine.interrupt("nope")
      const execution = yield* start(forever, "")
      yield* engine.interrupt(execution.id)
      assert.deepInclude(yield* Effect.flip(execution.result), { _tag: "RunCancelled", reason: "interrupted" })
      yield* engine.interrupt(execution.id)
    }).pipe(memory)
  )

  it.effect("a body that ends while it is being started has ended when start returns", () =>
    Effect.gen(function* () {
      const execution = yield* start(echo, "now")
      assert.strictEqual(yield* execution.status, "completed")
      assert.deepStrictEqual(
        history(execution).map((event) => event._tag),
        ["RunStarted", "StatusChanged", "AttemptStarted", "StatusChanged", "RunCompleted"]
      )
      const failed = yield* start(echo, 5 as never)
      assert.instanceOf(yield* Effect.flip(failed.result), RunError.InvalidInput)
    }).pipe(memory)
  )

  it.effect("an execution waits in no scheduler queue of its starter: it goes on when the starter is gone", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      const workflow = Workflow.make("w", { run: () => Deferred.await(gate) })
      const starter = yield* Effect.forkChild(start(workflow, ""))
      const execution = yield* Fiber.join(starter)
      yield* settle
      yield* Deferred.succeed(gate, "on")
      assert.strictEqual(yield* execution.result, "on")
    }).pipe(memory)
  )
})
