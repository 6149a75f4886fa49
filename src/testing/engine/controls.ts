/** Checks of an engine: retries, timeouts, cancels, pauses. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Execution from "../../Execution.ts"
import * as Step from "../../Step.ts"
import * as Workflow from "../../Workflow.ts"
import { describeExit, equal, failsWith, holds } from "../expect.ts"
import { agrees, Broken, type Checks, eventsOf, hang, note, opened, reached, start, statusesOf } from "./kit.ts"

/** A workflow whose step fails so many times, and then succeeds; it writes down every step. */
const flaky = (log: Array<string>, failures: number) => {
  let tries = 0
  return Workflow.make("flaky", {
    error: Broken,
    run: () =>
      Effect.gen(function* () {
        yield* note(log, "prepare")
        return yield* Step.make("try", {
          error: Broken,
          run: Effect.suspend(() => {
            log.push("try")
            return ++tries <= failures
              ? Effect.fail(new Broken({ part: `try ${tries}` }))
              : Effect.succeed(`try ${tries}`)
          })
        })
      })
  })
}

const hangs = (log: Array<string>) => Workflow.make("hangs", { run: () => hang(log) })

export const retries: Checks = {
  "a failed attempt is tried again from its top, after a delay that grows": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const told: Array<unknown> = []
      const execution = yield* start(flaky(log, 3), "", {
        retry: {
          attempts: 3,
          delay: "10 millis",
          backoff: "exponential",
          maxDelay: "30 millis",
          onRetry: ({ attempt, delayMillis }) => Effect.sync(() => void told.push([attempt, delayMillis]))
        }
      })
      yield* kit.pass("60 millis")
      yield* equal("the result", yield* execution.result, "try 4")
      yield* equal("what was done", log, ["prepare", "try", "prepare", "try", "prepare", "try", "prepare", "try"])
      const scheduled = yield* eventsOf(execution, "RetryScheduled")
      yield* equal(
        "the retries",
        scheduled.map((event) => [event.attempt, event.delayMillis, event.error]),
        [
          [1, 10, "Broken"],
          [2, 20, "Broken"],
          [3, 30, "Broken"]
        ]
      )
      yield* equal("what onRetry was told", told, [
        [1, 10],
        [2, 20],
        [3, 30]
      ])
      yield* equal(
        "the attempts",
        (yield* eventsOf(execution, "AttemptStarted")).map((event) => event.attempt),
        [1, 2, 3, 4]
      )
      yield* equal("the statuses", yield* statusesOf(execution), ["in-progress", "completed"])
      yield* agrees(execution)
    }),

  "when no retry is left the run fails with the last error": (kit) =>
    Effect.gen(function* () {
      const execution = yield* start(flaky([], 5), "", { retry: { attempts: 2, delay: 0 } })
      yield* kit.pass("1 millis")
      const error = yield* failsWith("the result", "Broken", execution.result)
      yield* equal("the error", error.part, "try 3")
      yield* agrees(execution)
    }),

  "mode resume reuses the steps that succeeded": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const execution = yield* start(flaky(log, 2), "", { retry: { attempts: 2, delay: 0, mode: "resume" } })
      yield* kit.pass("1 millis")
      yield* equal("the result", yield* execution.result, "try 3")
      yield* equal("what was done", log, ["prepare", "try", "try", "try"])
      const completed = yield* eventsOf(execution, "StepCompleted")
      yield* equal(
        "what was reused",
        completed.map((event) => [event.path, event.reused ?? false]),
        [
          ["prepare", false],
          ["prepare", true],
          ["prepare", true],
          ["try", false]
        ]
      )
    }),

  "mode resume keeps what people said": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const again = flaky(log, 1)
      const workflow = Workflow.make("asks", {
        error: Broken,
        run: () =>
          Effect.gen(function* () {
            const { approvedBy } = yield* Execution.waitForApproval()
            return `${approvedBy}: ${yield* again.call("")}`
          })
      })
      const execution = yield* start(workflow, "", { retry: { attempts: 1, delay: 0, mode: "resume" } })
      yield* execution.approve((yield* opened(execution))[0]!.id, { by: "ada" })
      yield* kit.pass("1 millis")
      yield* equal("the result", yield* execution.result, "ada: try 2")
      yield* equal("how often somebody was asked", (yield* eventsOf(execution, "RequestOpened")).length, 1)
    }),

  "an attempt that asks again opens a new request": (kit) =>
    Effect.gen(function* () {
      const again = flaky([], 1)
      const workflow = Workflow.make("asks", {
        error: Broken,
        run: () => Effect.andThen(Execution.waitForApproval(), again.call(""))
      })
      const execution = yield* start(workflow, "", { retry: { attempts: 1, delay: 0 } })
      const [first] = yield* opened(execution)
      yield* execution.approve(first!.id)
      yield* kit.pass("1 millis")
      const [second] = yield* opened(execution, 2)
      yield* holds("the requests have ids of their own", first!.id !== second!.id, second!.id)
      yield* failsWith("the first", "RequestSettled", execution.approve(first!.id))
      yield* execution.approve(second!.id)
      yield* equal("the result", yield* execution.result, "try 2")
    }),

  "an error that while refuses, a defect and a failing while are not retried": () =>
    Effect.gen(function* () {
      for (const refuse of [() => false, () => Effect.succeed(false), () => Effect.fail("while")]) {
        const log: Array<string> = []
        const execution = yield* start(flaky(log, 5), "", { retry: { attempts: 5, delay: 0, while: refuse } })
        yield* failsWith("the result", "Broken", execution.result)
        yield* equal("what was done", log, ["prepare", "try"])
      }
      const dies = Workflow.make("dies", { run: () => Effect.die("boom") })
      const execution = yield* start(dies, "", { retry: { attempts: 5, delay: 0 } })
      yield* equal("the exit", describeExit(yield* execution.exit), 'defect "boom"')
      yield* equal("the attempts", (yield* eventsOf(execution, "AttemptStarted")).length, 1)
    }),

  "retries can follow a schedule": (kit) =>
    Effect.gen(function* () {
      const execution = yield* start(flaky([], 9), "", {
        retry: { schedule: Schedule.max([Schedule.spaced("5 millis"), Schedule.recurs(2)]) }
      })
      yield* kit.pass("10 millis")
      yield* failsWith("the result", "Broken", execution.result)
      const scheduled = yield* eventsOf(execution, "RetryScheduled")
      yield* equal(
        "the delays",
        scheduled.map((event) => event.delayMillis),
        [5, 5]
      )
    }),

  "a cancel ends the wait for a retry at once": () =>
    Effect.gen(function* () {
      const execution = yield* start(flaky([], 9), "", { retry: { attempts: 9, delay: "1 day" } })
      yield* reached(execution, "RetryScheduled")
      yield* equal("the cancel", yield* execution.cancel("enough"), "cancelled")
      const error = yield* failsWith("the result", "RunCancelled", execution.result)
      yield* equal("the reason", error.reason, "enough")
      yield* agrees(execution)
    }),

  "a pause holds the next attempt back": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const execution = yield* start(flaky(log, 1), "", { retry: { attempts: 1, delay: "10 millis" } })
      yield* reached(execution, "RetryScheduled")
      yield* execution.pause
      yield* kit.pass("20 millis")
      yield* equal("the status", yield* execution.status, "awaiting")
      yield* equal("what was done", log, ["prepare", "try"])
      yield* execution.resume
      yield* equal("the result", yield* execution.result, "try 2")
    })
}

export const timeouts: Checks = {
  "an attempt that takes too long fails with RunTimedOut, its finalizers first": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const execution = yield* start(hangs(log), "", {
        timeout: {
          duration: "20 millis",
          onTimeoutCallback: Effect.sync(() => void log.push("callback"))
        }
      })
      yield* reached(execution, "StepStarted")
      yield* kit.pass("20 millis")
      const error = yield* failsWith("the result", "RunTimedOut", execution.result)
      yield* equal("the error", [error.attempt, error.afterMillis, error.workflow], [1, 20, "hangs"])
      yield* equal("the status", yield* execution.status, "failed")
      yield* equal("what happened", new Set(log), new Set(["callback", "hang interrupted"]))
      const timedOut = yield* eventsOf(execution, "TimedOut")
      yield* equal(
        "the events",
        timedOut.map((event) => [event.attempt, event.afterMillis, event.onTimeout]),
        [[1, 20, "fail"]]
      )
      yield* agrees(execution)
    }),

  "a timeout can be retried, and every attempt has a clock of its own": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      let tries = 0
      const workflow = Workflow.make("slow", {
        run: () =>
          Step.make("work", {
            run: Effect.suspend(() => (++tries < 3 ? Effect.never : Effect.succeed(`try ${tries}`))).pipe(
              Effect.onInterrupt(() => Effect.sync(() => void log.push(`interrupted ${tries}`)))
            )
          })
      })
      const execution = yield* start(workflow, "", { timeout: "20 millis", retry: { attempts: 2, delay: "5 millis" } })
      yield* kit.pass("25 millis")
      yield* reached(execution, "AttemptStarted", "", 2)
      yield* kit.pass("25 millis")
      yield* equal("the result", yield* execution.result, "try 3")
      yield* equal("what was interrupted", log, ["interrupted 1", "interrupted 2"])
      yield* equal(
        "the timeouts",
        (yield* eventsOf(execution, "TimedOut")).map((event) => event.attempt),
        [1, 2]
      )
      yield* agrees(execution)
    }),

  "a timeout can cancel, which is not retried": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const execution = yield* start(hangs(log), "", {
        timeout: { duration: "20 millis", onTimeout: "cancel" },
        retry: { attempts: 3, delay: 0 },
        cancel: { afterCancel: (reason) => Effect.sync(() => void log.push(`after: ${reason}`)) }
      })
      yield* reached(execution, "StepStarted")
      yield* kit.pass("20 millis")
      const error = yield* failsWith("the result", "RunCancelled", execution.result)
      yield* equal("the reason", error.reason, "timeout")
      yield* reached(execution, "RunCancelled")
      yield* equal("what happened", new Set(log), new Set(["hang interrupted", "after: timeout"]))
      yield* agrees(execution)
    }),

  "a timeout that would cancel can be prevented": (kit) =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const execution = yield* start(asks, "", {
        timeout: { duration: "20 millis", onTimeout: "cancel" },
        cancel: { beforeCancel: () => Effect.succeed(false) }
      })
      const [request] = yield* opened(execution)
      yield* kit.pass("20 millis")
      yield* reached(execution, "CancelPrevented")
      yield* execution.approve(request!.id)
      yield* equal("the result", yield* execution.result, "done")
      yield* agrees(execution)
    }),

  "a timeout can let the work go on, after a warning and a callback": (kit) =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const execution = yield* start(asks, "", {
        timeout: {
          duration: "20 millis",
          onTimeout: "continue",
          onTimeoutCallback: () => Effect.sync(() => void told.push("callback"))
        }
      })
      const [request] = yield* opened(execution)
      yield* kit.pass("20 millis")
      yield* reached(execution, "TimedOut")
      yield* kit.pass("40 millis")
      yield* execution.approve(request!.id)
      yield* equal("the result", yield* execution.result, "done")
      yield* equal("what was told", told, ["callback"])
      yield* equal(
        "the timeouts",
        (yield* eventsOf(execution, "TimedOut")).map((event) => event.onTimeout),
        ["continue"]
      )
      yield* equal(
        "the warnings",
        (yield* execution.logs).map((entry) => entry.level),
        ["Warn"]
      )
      yield* agrees(execution)
    }),

  "waiting for people counts, unless the clock is active": (kit) =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const wall = yield* start(asks, "", { timeout: "20 millis" })
      const active = yield* start(asks, "", { timeout: { duration: "20 millis", clock: "active" } })
      const [request] = yield* opened(active)
      yield* opened(wall)
      yield* kit.pass("50 millis")
      yield* failsWith("by the wall", "RunTimedOut", wall.result)
      yield* active.approve(request!.id)
      yield* equal("by active time", yield* active.result, "done")
      yield* agrees(wall)
      yield* agrees(active)
    })
}

export const cancels: Checks = {
  "a cancel interrupts at once, and afterCancel is told once": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const execution = yield* start(hangs(log), "", {
        cancel: { afterCancel: (reason) => Effect.sync(() => void log.push(`after: ${reason}`)) }
      })
      yield* reached(execution, "StepStarted")
      yield* equal("the cancel", yield* execution.cancel("changed my mind"), "cancelled")
      yield* equal("the status", yield* execution.status, "cancelled")
      const error = yield* failsWith("the result", "RunCancelled", execution.result)
      yield* equal(
        "the error",
        [error.reason, error.workflow, error.executionId],
        ["changed my mind", "hangs", execution.id]
      )
      yield* equal("what happened", new Set(log), new Set(["hang interrupted", "after: changed my mind"]))
      yield* equal("how often", log.length, 2)
      yield* agrees(execution)
    }),

  "cancels at the same moment agree, and later ones find it settled": () =>
    Effect.gen(function* () {
      let asked = 0
      const execution = yield* start(hangs([]), "", {
        cancel: {
          beforeCancel: Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => ++asked > 0)
          ),
          reason: "by default"
        }
      })
      yield* reached(execution, "StepStarted")
      const answers = yield* Effect.all([execution.cancel(), execution.cancel("second"), execution.cancel("third")], {
        concurrency: "unbounded"
      })
      yield* equal("the answers", answers, ["cancelled", "cancelled", "cancelled"])
      yield* equal("how often it was asked", asked, 1)
      const error = yield* failsWith("the result", "RunCancelled", execution.result)
      // Where they go over a database, whichever comes first there is the cancel.
      yield* equal("the reason", ["by default", "second", "third"].includes(String(error.reason)), true)
      yield* equal("a later cancel", yield* execution.cancel(), "already-settled")
      yield* agrees(execution)
    }),

  "a run that completed can not be cancelled": () =>
    Effect.gen(function* () {
      const execution = yield* start(Workflow.make("done", { run: () => Effect.succeed("done") }), "")
      yield* execution.result
      yield* equal("the cancel", yield* execution.cancel(), "already-settled")
      yield* equal("the result", yield* execution.result, "done")
      yield* agrees(execution)
    }),

  "beforeCancel can prevent a cancel, and nothing changes": () =>
    Effect.gen(function* () {
      const asked: Array<string | undefined> = []
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const execution = yield* start(asks, "", {
        cancel: {
          beforeCancel: (reason) =>
            Effect.sync(() => {
              asked.push(reason)
              return false
            })
        }
      })
      const [request] = yield* opened(execution)
      yield* equal("the cancel", yield* execution.cancel("please"), "prevented")
      yield* equal("the status", yield* execution.status, "awaiting")
      yield* execution.approve(request!.id)
      yield* equal("the result", yield* execution.result, "done")
      yield* equal("what was asked", asked, ["please"])
      yield* equal(
        "the events",
        (yield* eventsOf(execution, "CancelPrevented")).map((event) => event.reason),
        ["please"]
      )
      yield* agrees(execution)
    }),

  "a beforeCancel that fails prevents nothing": () =>
    Effect.gen(function* () {
      const execution = yield* start(hangs([]), "", { cancel: { beforeCancel: () => Effect.fail("broken") } })
      yield* reached(execution, "StepStarted")
      yield* equal("the cancel", yield* execution.cancel(), "cancelled")
      yield* agrees(execution)
    }),

  "a graceful cancel waits for finalizers": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("tidy", {
        run: () =>
          Step.make("work", {
            run: Effect.onInterrupt(Effect.as(Effect.never, ""), () =>
              Effect.andThen(
                Effect.sleep("20 millis"),
                Effect.sync(() => void log.push("tidied up"))
              )
            )
          })
      })
      const execution = yield* start(workflow, "", { cancel: { graceful: true, gracefulTimeout: "1 hour" } })
      yield* reached(execution, "StepStarted")
      const cancelling = yield* Effect.forkChild(execution.cancel())
      yield* reached(execution, "CancelRequested")
      yield* kit.pass("20 millis")
      yield* equal("the cancel", yield* Fiber.join(cancelling), "cancelled")
      yield* equal("what was done before", log, ["tidied up"])
      yield* agrees(execution)
    }),

  "a graceful cancel waits no longer than it should": (kit) =>
    Effect.gen(function* () {
      const workflow = Workflow.make("stubborn", {
        run: () =>
          Step.make("work", { run: Effect.onInterrupt(Effect.as(Effect.never, ""), () => Effect.sleep("1 second")) })
      })
      const execution = yield* start(workflow, "", { cancel: { graceful: true, gracefulTimeout: "20 millis" } })
      yield* reached(execution, "StepStarted")
      const cancelling = yield* Effect.forkChild(execution.cancel())
      yield* reached(execution, "CancelRequested")
      yield* kit.pass("20 millis")
      yield* equal("the cancel", yield* Fiber.join(cancelling), "cancelled")
      yield* equal("the status", yield* execution.status, "cancelled")
      yield* agrees(execution)
      yield* kit.pass("1 second")
      yield* agrees(execution)
    }),

  "once a cancel is accepted, a late success changes nothing": (kit) =>
    Effect.gen(function* () {
      const workflow = Workflow.make("late", {
        run: () => Step.make("work", { run: Effect.uninterruptible(Effect.as(Effect.sleep("20 millis"), "late")) })
      })
      const execution = yield* start(workflow, "", { cancel: { graceful: true } })
      yield* reached(execution, "StepStarted")
      const cancelling = yield* Effect.forkChild(execution.cancel())
      yield* reached(execution, "CancelRequested")
      yield* kit.pass("20 millis")
      yield* equal("the cancel", yield* Fiber.join(cancelling), "cancelled")
      yield* failsWith("the result", "RunCancelled", execution.result)
      yield* agrees(execution)
    }),

  "a run that is cancelled before its start never does any work": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const run = yield* Workflow.make("never", { run: () => note(log, "work") }).run("")
      yield* equal("the cancel", yield* run.cancel("not needed"), "cancelled")
      yield* equal("another cancel", yield* run.cancel(), "already-settled")
      yield* equal("the status", yield* run.status, "cancelled")
      const execution = yield* run.start
      const error = yield* failsWith("the result", "RunCancelled", execution.result)
      yield* equal("the reason", error.reason, "not needed")
      yield* equal("what was done", log, [])
      yield* agrees(execution)
    }),

  "a cancel takes back what people were asked": () =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const execution = yield* start(asks, "")
      const [request] = yield* opened(execution)
      yield* equal("the cancel", yield* execution.cancel(), "cancelled")
      const error = yield* failsWith("a late answer", "RequestSettled", execution.approve(request!.id))
      yield* equal("what became of it", error.outcome, "withdrawn")
      yield* equal(
        "the events",
        (yield* eventsOf(execution, "RequestSettled")).map((event) => event.outcome),
        ["withdrawn"]
      )
      yield* agrees(execution)
    }),

  "a paused run can be cancelled": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const asks = Workflow.make("asks", { run: () => Effect.andThen(Execution.waitForApproval(), note(log, "work")) })
      const execution = yield* start(asks, "")
      yield* opened(execution)
      yield* execution.pause
      yield* equal("the cancel", yield* execution.cancel(), "cancelled")
      yield* equal("what was done", log, [])
      yield* agrees(execution)
    })
}

export const pauses: Checks = {
  "a pause lets a running step finish and holds the body at the next; resume undoes it": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("two", {
        run: () =>
          Effect.gen(function* () {
            yield* Step.make("first", {
              run: Effect.andThen(
                Effect.sleep("20 millis"),
                Effect.sync(() => void log.push("first"))
              )
            })
            yield* note(log, "second")
            const { approved } = yield* Execution.waitForApproval()
            return `approved: ${approved}`
          })
      })
      const execution = yield* start(workflow, "")
      yield* reached(execution, "StepStarted")
      yield* execution.pause
      yield* execution.pause
      yield* equal("the status", yield* execution.status, "awaiting")
      yield* kit.pass("20 millis")
      yield* reached(execution, "StepCompleted", "first")
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* equal("what was done", log, ["first"])
      yield* execution.resume
      yield* execution.resume
      const [request] = yield* opened(execution)
      yield* equal("what was done", log, ["first", "second"])
      yield* execution.approve(request!.id)
      yield* equal("the result", yield* execution.result, "approved: true")
      yield* equal("the statuses", yield* statusesOf(execution), [
        "in-progress",
        "awaiting",
        "in-progress",
        "awaiting",
        "in-progress",
        "completed"
      ])
      yield* equal(
        "the pauses",
        [(yield* eventsOf(execution, "Paused")).length, (yield* eventsOf(execution, "Resumed")).length],
        [1, 1]
      )
      yield* agrees(execution)
    }),

  "an answer during a pause counts, and the body goes on when both are over": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const asks = Workflow.make("asks", { run: () => Effect.andThen(Execution.waitForApproval(), note(log, "work")) })
      const execution = yield* start(asks, "")
      const [request] = yield* opened(execution)
      yield* execution.pause
      yield* execution.approve(request!.id)
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* equal("the status", yield* execution.status, "awaiting")
      yield* equal("what was done", log, [])
      yield* execution.resume
      yield* equal("the result", yield* execution.result, "work")
      yield* equal("the statuses", yield* statusesOf(execution), [
        "in-progress",
        "awaiting",
        "in-progress",
        "completed"
      ])
      yield* agrees(execution)
    }),

  "a pause holds a request back": () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("later", {
        run: () =>
          Effect.gen(function* () {
            yield* Execution.waitForApproval("first")
            yield* Execution.waitForApproval("second")
            return "done"
          })
      })
      const execution = yield* start(workflow, "")
      const [first] = yield* opened(execution)
      yield* execution.pause
      yield* execution.approve(first!.id)
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* equal("the open requests", yield* execution.requests, [])
      yield* execution.resume
      const [second] = yield* opened(execution, 2)
      yield* equal("the next request", second?.message, "second")
      yield* execution.approve(second!.id)
      yield* execution.result
      yield* agrees(execution)
    }),

  "a settled run can be neither paused nor resumed": () =>
    Effect.gen(function* () {
      const execution = yield* start(Workflow.make("done", { run: () => Effect.succeed("") }), "")
      yield* execution.result
      const error = yield* failsWith("pause", "RunSettled", execution.pause)
      yield* equal("the error", [error.status, error.executionId], ["completed", execution.id])
      yield* failsWith("resume", "RunSettled", execution.resume)
      yield* failsWith("waitForApproval", "RunSettled", execution.waitForApproval())
      yield* agrees(execution)
    })
}
