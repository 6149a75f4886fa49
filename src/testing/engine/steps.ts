/** Checks of an engine: steps, their paths, and what they may use. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Execution from "../../Execution.ts"
import * as Step from "../../Step.ts"
import * as Workflow from "../../Workflow.ts"
import { describeExit, equal, failsWith, holds } from "../expect.ts"
import { agrees, Broken, type Checks, eventsOf, hang, note, reached, start } from "./kit.ts"

const range = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

export const steps: Checks = {
  "a step's path is the names around it, numbered where it comes again": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const inner = Workflow.make("inner", { run: () => note(log, "leaf") })
      const workflow = Workflow.make("outer", {
        run: () =>
          Effect.gen(function* () {
            for (const _ of [1, 2]) yield* note(log, "again")
            yield* Step.make("around", { run: note(log, "leaf") })
            yield* inner.call("")
            yield* inner.call("")
            yield* Effect.forEach(["a", "b"], (key) => note(log, "keyed", key), { concurrency: "unbounded" })
            return "done"
          })
      })
      const execution = yield* start(workflow, "")
      yield* execution.result
      const started = yield* eventsOf(execution, "StepStarted")
      yield* equal(
        "the paths",
        started.map((event) => event.path),
        ["again", "again#2", "around", "around/leaf", "inner/leaf", "inner#2/leaf", "keyed/a", "keyed/b"]
      )
      yield* equal("how many steps", (yield* execution.usage).steps, 8)
      yield* agrees(execution)
    }),

  "two live uses of one path are a defect that asks for a key": () =>
    Effect.gen(function* () {
      const hangs = Workflow.make("hangs", { run: () => Effect.never })
      const twice = (name: string, effect: Effect.Effect<unknown, unknown, Workflow.Provided>) =>
        Effect.gen(function* () {
          const workflow = Workflow.make("twice", {
            error: Schema.Unknown,
            run: () => Effect.as(Effect.all([effect, effect], { concurrency: "unbounded" }), "")
          })
          const said = describeExit(yield* (yield* start(workflow, "")).exit)
          yield* holds(`${name}: the defect says what to do`, /^defect .*"key"/.test(said), said)
        })
      yield* twice("steps", Step.make("same", { run: Effect.yieldNow }))
      yield* twice("requests", Execution.waitForApproval())
      yield* twice("calls", hangs.call(""))
      yield* twice("children", Execution.startChild(hangs, ""))
    }),

  "a step is tried again as its own retry says": (kit) =>
    Effect.gen(function* () {
      let tries = 0
      const workflow = Workflow.make("retries", {
        output: Schema.Int,
        error: Broken,
        run: () =>
          Step.make("flaky", {
            error: Broken,
            output: Schema.Int,
            retry: { attempts: 3, delay: "10 millis", backoff: "exponential" },
            run: Effect.suspend(() =>
              ++tries < 3 ? Effect.fail(new Broken({ part: `try ${tries}` })) : Effect.succeed(tries)
            )
          })
      })
      const execution = yield* start(workflow, "")
      yield* kit.pass("30 millis")
      yield* equal("the result", yield* execution.result, 3)
      const retries = yield* eventsOf(execution, "StepRetried")
      yield* equal(
        "the retries",
        retries.map((event) => [event.path, event.attempt, event.delayMillis, event.error]),
        [
          ["flaky", 1, 10, "Broken"],
          ["flaky", 2, 20, "Broken"]
        ]
      )
      yield* equal("how many steps", (yield* execution.usage).steps, 1)
    }),

  "a step that takes too long is StepTimedOut, and is interrupted": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("slow", {
        run: () =>
          Step.make("slow", { timeout: "20 millis", run: hang(log) }).pipe(
            Effect.catchTag("StepTimedOut", (error) => Effect.succeed(`${error.path} after ${error.afterMillis}`))
          )
      })
      const execution = yield* start(workflow, "")
      yield* reached(execution, "StepStarted", "slow/hang")
      yield* kit.pass("20 millis")
      yield* equal("the result", yield* execution.result, "slow after 20")
      yield* equal("what was interrupted", log, ["hang interrupted"])
      const failed = yield* eventsOf(execution, "StepFailed")
      yield* equal(
        "the failed steps",
        failed.map((event) => [event.path, event.error, event.interrupted]),
        [
          ["slow/hang", "Interrupted", true],
          ["slow", "StepTimedOut", false]
        ]
      )
    }),

  "when one of several steps fails, the others are interrupted": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("fails", {
        error: Broken,
        run: () =>
          Effect.as(
            Effect.all(
              [
                hang(log, "hang", "1"),
                hang(log, "hang", "2"),
                Step.make("break", {
                  error: Broken,
                  run: Effect.andThen(Effect.yieldNow, Effect.fail(new Broken({ part: "a" })))
                })
              ],
              { concurrency: "unbounded" }
            ),
            ""
          )
      })
      const execution = yield* start(workflow, "")
      yield* failsWith("the result", "Broken", execution.result)
      yield* equal("what was interrupted", log, ["hang interrupted", "hang interrupted"])
      yield* agrees(execution)
    }),

  "many steps at once each give their own result": () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("wide", {
        output: Schema.Array(Schema.Int),
        run: () =>
          Effect.forEach(
            range(50),
            (n) => Step.make("square", { key: String(n), run: Effect.as(Effect.yieldNow, n * n) }),
            { concurrency: "unbounded" }
          )
      })
      const execution = yield* start(workflow, "")
      yield* equal(
        "the result",
        yield* execution.result,
        range(50).map((n) => n * n)
      )
    }),

  "a budget of steps is shared by everything nested, and passing it is final": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const inner = Workflow.make("inner", { run: () => note(log, "inner step") })
      const workflow = Workflow.make("budgeted", {
        run: () =>
          Effect.gen(function* () {
            yield* note(log, "own step")
            yield* inner.call("")
            yield* Effect.flatMap(Execution.startChild(inner, "", { key: "child" }), (child) => child.result)
            return yield* note(log, "too much")
          })
      })
      const execution = yield* start(workflow, "", { budget: { steps: 3 }, retry: { attempts: 3, delay: 0 } })
      yield* kit.pass("1 millis")
      const error = yield* failsWith("the result", "BudgetExceeded", execution.result)
      yield* equal("the limit", [error.limit, error.allowed, error.used], ["steps", 3, 3])
      yield* equal("what was done", log, ["own step", "inner step", "inner step"])
      yield* agrees(execution)
    })
}
