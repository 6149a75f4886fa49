/** Checks of an engine: attempts that are tried again. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Execution from "../../Execution.ts"
import * as Step from "../../Step.ts"
import * as Workflow from "../../Workflow.ts"
import { describeExit, equal, failsWith, holds } from "../expect.ts"
import { agrees, Broken, type Checks, eventsOf, note, opened, reached, start, statusesOf } from "./kit.ts"

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
      const execution = yield* start(flaky(log, 1), "", { retry: { attempts: 1, delay: "200 millis" } })
      yield* reached(execution, "RetryScheduled")
      yield* execution.pause
      yield* kit.pass("250 millis")
      yield* equal("the status", yield* execution.status, "awaiting")
      yield* equal("what was done", log, ["prepare", "try"])
      yield* execution.resume
      yield* equal("the result", yield* execution.result, "try 2")
    })
}
