/** Checks of an engine: what a cancel does, and when it comes too late. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Execution from "../../Execution.ts"
import * as Step from "../../Step.ts"
import * as Workflow from "../../Workflow.ts"
import { equal, failsWith } from "../expect.ts"
import { agrees, type Checks, eventsOf, hangs, note, opened, reached, start } from "./kit.ts"

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
        run: () => Step.make("work", { run: Effect.uninterruptible(Effect.as(Effect.sleep("300 millis"), "late")) })
      })
      const execution = yield* start(workflow, "", { cancel: { graceful: true } })
      yield* reached(execution, "StepStarted")
      const cancelling = yield* Effect.forkChild(execution.cancel())
      yield* reached(execution, "CancelRequested")
      yield* kit.pass("300 millis")
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
