/** Checks of an engine: attempts that take too long. */
import * as Effect from "effect/Effect"
import * as Execution from "../../Execution.ts"
import * as Step from "../../Step.ts"
import * as Workflow from "../../Workflow.ts"
import { equal, failsWith } from "../expect.ts"
import { agrees, type Checks, eventsOf, hangs, opened, reached, start } from "./kit.ts"

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
