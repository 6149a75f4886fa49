import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, RunError, Step, Timeout, Workflow } from "effect-baton"
import { consistent, count, counted, history, onlyRequest, start, statuses } from "./support/executions.ts"

const memory = Effect.provide(Engine.layerMemory)
const forever = Workflow.make("forever", { run: () => Effect.never })
const sleeper = Workflow.make("sleeper", { run: (name) => Effect.as(Effect.sleep("10 seconds"), name) })

describe("Timeout", () => {
  it.effect("without a word on it, a timeout fails the attempt with RunTimedOut, which says after how long", () =>
    Effect.gen(function* () {
      const execution = yield* start(forever, "", { timeout: "30 seconds" })
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("1 second")
      const error = yield* Effect.flip(execution.result)
      assert.instanceOf(error, Timeout.RunTimedOut)
      assert.deepInclude(error, { workflow: "forever", attempt: 1, afterMillis: 30_000, executionId: execution.id })
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a run that ends in time is not touched, and its timer ends with it", () =>
    counted((counter) =>
      Effect.gen(function* () {
        const execution = yield* start(sleeper, "done", { timeout: "11 seconds" })
        assert.strictEqual(counter.sleeps, 2)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* execution.result, "done")
        assert.strictEqual(counter.sleeps, 0)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(count(execution, "TimedOut"), 0)
        yield* consistent(execution)
      }).pipe(memory)
    )
  )

  it.effect("a timeout of nothing fails a body that waits and one that is done at once", () =>
    Effect.gen(function* () {
      for (const workflow of [forever, Workflow.make("quick", { run: () => Effect.succeed("quick") })]) {
        const execution = yield* start(workflow, "", { timeout: 0 })
        yield* TestClock.adjust(1)
        assert.instanceOf(yield* Effect.flip(execution.result), Timeout.RunTimedOut)
        yield* consistent(execution)
      }
    }).pipe(memory)
  )

  it.effect("an endless timeout never comes", () =>
    Effect.gen(function* () {
      const execution = yield* start(sleeper, "done", { timeout: Number.POSITIVE_INFINITY })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* execution.result, "done")
    }).pipe(memory)
  )

  it.effect("cancel: the run is cancelled with reason timeout, beforeCancel is asked, and there is no retry", () =>
    Effect.gen(function* () {
      const asked: Array<string | undefined> = []
      const execution = yield* start(forever, "", {
        timeout: { duration: "1 second", onTimeout: "cancel" },
        retry: { attempts: 3, delay: 0 },
        cancel: {
          beforeCancel: (reason) =>
            Effect.sync(() => {
              asked.push(reason)
              return true
            })
        }
      })
      yield* TestClock.adjust("1 second")
      const error = yield* Effect.flip(execution.result)
      assert.deepInclude(error, { _tag: "RunCancelled", reason: "timeout" })
      assert.deepStrictEqual(asked, ["timeout"])
      assert.strictEqual(count(execution, "AttemptStarted"), 1)
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("cancel: a beforeCancel that says no lets the work go on", () =>
    Effect.gen(function* () {
      const execution = yield* start(sleeper, "done", {
        timeout: { duration: "1 second", onTimeout: "cancel" },
        cancel: { beforeCancel: Effect.succeed(false) }
      })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* execution.result, "done")
      assert.strictEqual(count(execution, "TimedOut"), 1)
      assert.strictEqual(count(execution, "CancelPrevented"), 1)
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("continue: event, warning and callback, once per attempt, and the work goes on", () =>
    Effect.gen(function* () {
      let called = 0
      let tries = 0
      class Again extends Schema.TaggedError<Again>()("Again", {}) {}
      const workflow = Workflow.make("slow", {
        error: Again,
        run: () =>
          Effect.andThen(Effect.sleep("10 seconds"), () =>
            ++tries < 3 ? Effect.fail(new Again()) : Effect.succeed("done")
          )
      })
      const execution = yield* start(workflow, "", {
        timeout: { duration: "1 second", onTimeout: "continue", onTimeoutCallback: Effect.sync(() => void called++) },
        retry: { attempts: 5, delay: 0 }
      })
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* execution.result, "done")
      assert.strictEqual(called, 3)
      assert.strictEqual(count(execution, "TimedOut"), 3)
      const logs = yield* execution.logs
      assert.deepStrictEqual(
        logs.map((entry) => entry.level),
        ["Warn", "Warn", "Warn"]
      )
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("the callback runs once for each attempt that times out, whatever onTimeout says", () =>
    Effect.gen(function* () {
      for (const onTimeout of ["fail", "cancel", "continue"] as const) {
        let called = 0
        const execution = yield* start(sleeper, "", {
          timeout: { duration: "1 second", onTimeout, onTimeoutCallback: () => Effect.sync(() => void called++) }
        })
        yield* TestClock.adjust("1 minute")
        yield* Effect.exit(execution.result)
        assert.strictEqual(called, 1)
      }
    }).pipe(memory)
  )

  it.effect("each retry attempt has a fresh clock", () =>
    Effect.gen(function* () {
      const execution = yield* start(forever, "", { timeout: "10 seconds", retry: { attempts: 2, delay: "5 seconds" } })
      yield* TestClock.adjust("1 hour")
      yield* Effect.exit(execution.result)
      const times = history(execution).flatMap((event) => (event._tag === "TimedOut" ? [event.time.getTime()] : []))
      assert.deepStrictEqual(times, [10_000, 25_000, 40_000])
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a wall clock counts waiting for people, an active one does not", () =>
    Effect.gen(function* () {
      const ask = Workflow.make("ask", {
        run: () =>
          Effect.gen(function* () {
            yield* Effect.sleep("4 seconds")
            yield* Execution.waitForApproval()
            yield* Effect.sleep("4 seconds")
            return "done"
          })
      })
      const wall = yield* start(ask, "", { timeout: { duration: "10 seconds", clock: "wall" } })
      const active = yield* start(ask, "", { timeout: { duration: "10 seconds", clock: "active" } })
      const late = yield* start(ask, "", { timeout: { duration: "7 seconds", clock: "active" } })
      yield* TestClock.adjust("1 hour")
      assert.instanceOf(yield* Effect.flip(wall.result), Timeout.RunTimedOut)
      for (const execution of [active, late]) {
        assert.strictEqual(yield* execution.status, "awaiting")
        yield* execution.approve((yield* onlyRequest(execution)).id)
      }
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* active.result, "done")
      assert.instanceOf(yield* Effect.flip(late.result), Timeout.RunTimedOut)
      for (const execution of [wall, active, late]) yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("an active clock stands still during a pause too, and keeps what is left over many waits", () =>
    Effect.gen(function* () {
      const execution = yield* start(forever, "", { timeout: { duration: "10 seconds", clock: "active" } })
      for (let i = 0; i < 9; i++) {
        yield* TestClock.adjust("1 second")
        yield* execution.pause
        yield* TestClock.adjust("1 hour")
        yield* execution.resume
      }
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* execution.status, "failed")
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect(
    "E8 a timed-out attempt's fibers are interrupted and its finalizers have run before the next attempt begins",
    () =>
      Effect.gen(function* () {
        const order: Array<string> = []
        let tries = 0
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.gen(function* () {
              const n = ++tries
              order.push(`begin ${n}`)
              yield* Effect.addFinalizer(() =>
                Effect.andThen(
                  Effect.sleep("3 seconds"),
                  Effect.sync(() => void order.push(`scope ${n}`))
                )
              )
              yield* Effect.forkChild(
                Effect.onInterrupt(Effect.never, () =>
                  Effect.andThen(
                    Effect.sleep("2 seconds"),
                    Effect.sync(() => void order.push(`child ${n}`))
                  )
                )
              )
              return yield* Effect.onInterrupt(Effect.never, () =>
                Effect.andThen(
                  Effect.sleep("1 second"),
                  Effect.sync(() => void order.push(`body ${n}`))
                )
              )
            })
        })
        const execution = yield* start(workflow, "", { timeout: "10 seconds", retry: { attempts: 1, delay: 0 } })
        yield* TestClock.adjust("15 seconds")
        assert.deepStrictEqual(order, ["begin 1", "body 1", "child 1"])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(order.slice(0, 5), ["begin 1", "body 1", "child 1", "scope 1", "begin 2"])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(order.slice(5), ["body 2", "child 2", "scope 2"])
        yield* consistent(execution)
      }).pipe(memory)
  )

  it.effect("a body that succeeds after its time is up has timed out all the same", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("late", {
        run: () => Effect.uninterruptible(Effect.as(Effect.sleep("5 seconds"), "late"))
      })
      const execution = yield* start(workflow, "", { timeout: "1 second" })
      yield* TestClock.adjust("5 seconds")
      assert.instanceOf(yield* Effect.flip(execution.result), Timeout.RunTimedOut)
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a timeout during a pause fails a wall clock's attempt, and the retry waits for the resume", () =>
    Effect.gen(function* () {
      let tries = 0
      const workflow = Workflow.make("w", { run: () => (++tries === 1 ? Effect.never : Effect.succeed("second")) })
      const execution = yield* start(workflow, "", { timeout: "1 second", retry: { attempts: 1, delay: 0 } })
      yield* execution.pause
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* execution.status, "awaiting")
      assert.strictEqual(tries, 1)
      yield* execution.resume
      assert.strictEqual(yield* execution.result, "second")
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("children of a timed-out attempt are cancelled before the next attempt", () =>
    Effect.gen(function* () {
      let tries = 0
      const parent = Workflow.make("parent", {
        run: () =>
          Effect.gen(function* () {
            if (++tries === 2) return "second"
            const child = yield* Execution.startChild(forever, "", { cancel: { graceful: true } })
            return yield* child.result
          })
      })
      const execution = yield* start(parent, "", { timeout: "1 second", retry: { attempts: 1, delay: 0 } })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* execution.result, "second")
      const children = yield* Engine.list({ workflow: "forever" })
      assert.deepStrictEqual(
        children.map((summary) => summary.status),
        ["cancelled"]
      )
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a step's timeout is StepTimedOut with the step's path, and the run goes on if the body says so", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", {
        error: Step.StepTimedOut,
        run: () => Step.make("slow", { timeout: "2 seconds", run: Effect.as(Effect.never, "") })
      })
      const fiber = yield* Effect.forkChild(Effect.exit(workflow.execute("")))
      yield* TestClock.adjust("2 seconds")
      const exit = yield* Fiber.join(fiber)
      assert.isTrue(Exit.isFailure(exit))
      const error = yield* Effect.flip(exit)
      assert.deepInclude(error, { _tag: "StepTimedOut", path: "slow", afterMillis: 2000 })
      assert.isFalse(RunError.isRunError(error))
    }).pipe(memory)
  )

  it.effect("a timeout never changes the status before its time", () =>
    Effect.gen(function* () {
      const execution = yield* start(sleeper, "x", {
        timeout: { duration: "20 seconds", onTimeout: "cancel", clock: "active" }
      })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(statuses(execution), ["in-progress", "completed"])
    }).pipe(memory)
  )

  it("the full form of a duration is its config, and a config is itself", () => {
    assert.deepStrictEqual(Timeout.toConfig(5), { duration: 5 })
    assert.deepStrictEqual(Timeout.toConfig({ duration: 5, clock: "active" }), { duration: 5, clock: "active" })
  })
})
