/** Checks of an engine: what a pause holds, and what it does not. */
import * as Effect from "effect/Effect"
import * as Execution from "../../Execution.ts"
import * as Step from "../../Step.ts"
import * as Workflow from "../../Workflow.ts"
import { equal, failsWith } from "../expect.ts"
import { agrees, type Checks, eventsOf, note, opened, reached, start, statusesOf } from "./kit.ts"

export const pauses: Checks = {
  "a pause lets a running step finish and holds the body at the next; resume undoes it": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("two", {
        run: () =>
          Effect.gen(function* () {
            yield* Step.make("first", {
              run: Effect.andThen(
                Effect.sleep("300 millis"),
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
      yield* kit.pass("300 millis")
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
