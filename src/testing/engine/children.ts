/** Checks of an engine: executions that belong to others, calls, and the end of the engine. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Execution from "../../Execution.ts"
import * as Engine from "../../services/Engine.ts"
import * as Workflow from "../../Workflow.ts"
import { describeExit, equal, failsWith, holds } from "../expect.ts"
import { agrees, Broken, type Checks, eventsOf, found, hang, note, opened, reached, start } from "./kit.ts"

const greet = Workflow.make("greet", {
  run: (name) => Effect.map(note([], "compose"), () => `hello ${name}`)
})

const hangs = (log: Array<string>) => Workflow.make("hangs", { run: () => hang(log) })

export const children: Checks = {
  "a child is an execution of its own that knows its parent": () =>
    Effect.gen(function* () {
      const parent = Workflow.make("parent", {
        run: (name) => Effect.flatMap(Execution.startChild(greet, name, { id: "child" }), (child) => child.result)
      })
      const execution = yield* start(parent, "ada", { id: "parent" })
      yield* equal("the result", yield* execution.result, "hello ada")
      const started = yield* eventsOf(execution, "ChildStarted")
      yield* equal(
        "the event",
        started.map((event) => [event.childId, event.workflow, event.path]),
        [["child", "greet", "greet"]]
      )
      const child = yield* Engine.get("child")
      yield* equal(
        "the child's steps",
        (yield* eventsOf(child, "StepStarted")).map((event) => event.path),
        ["compose"]
      )
      yield* equal("the parent's steps", (yield* eventsOf(execution, "StepStarted")).length, 0)
      yield* equal(
        "the children",
        (yield* Engine.list({ parentId: "parent" })).map((summary) => summary.id),
        ["child"]
      )
      yield* equal("the steps of both", (yield* execution.usage).steps, 1)
      yield* agrees(child)
      yield* agrees(execution)
    }),

  "many children run at once, each for itself": () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 20 }, (_, i) => `n${i}`)
      const parent = Workflow.make("parent", {
        output: Schema.Array(Schema.String),
        run: () =>
          Effect.forEach(
            names,
            (key) => Effect.flatMap(Execution.startChild(greet, key, { key }), (child) => child.result),
            { concurrency: "unbounded" }
          )
      })
      const execution = yield* start(parent, "")
      yield* equal(
        "the result",
        yield* execution.result,
        names.map((name) => `hello ${name}`)
      )
      yield* agrees(execution)
    }),

  "a child's failure reaches who waits for it, and nobody else": () =>
    Effect.gen(function* () {
      const fails = Workflow.make("fails", { error: Broken, run: (part) => Effect.fail(new Broken({ part })) })
      const parent = Workflow.make("parent", {
        run: () =>
          Effect.gen(function* () {
            yield* Execution.startChild(fails, "unseen", { key: "1" })
            const seen = yield* Execution.startChild(fails, "seen", { key: "2" })
            return yield* Effect.catchTag(seen.result, "Broken", (error) => Effect.succeed(error.part))
          })
      })
      // What the child fails with as a run passes through the parent.
      const execution = yield* start(parent, "")
      yield* equal("the result", yield* execution.result, "seen")
      yield* agrees(execution)
    }),

  "children are cancelled when their parent settles in any way": () =>
    Effect.gen(function* () {
      for (const [status, end] of [
        ["completed", Effect.succeed("done")],
        ["failed", Effect.fail(new Broken({ part: "parent" }))],
        ["failed", Effect.die("boom")],
        ["cancelled", Effect.interrupt]
      ] as const) {
        const log: Array<string> = []
        const child = hangs(log)
        const parent = Workflow.make("parent", {
          error: Broken,
          run: () =>
            Effect.flatMap(Execution.startChild(child, ""), (execution) =>
              Effect.andThen(reached(execution, "StepStarted"), end)
            )
        })
        const execution = yield* start(parent, "")
        yield* execution.exit
        yield* equal("the parent", yield* execution.status, status)
        const [summary] = yield* Engine.list({ parentId: execution.id })
        yield* equal("the child", summary?.status, "cancelled")
        yield* equal("what was interrupted", log, ["hang interrupted"])
        yield* agrees(execution)
        yield* agrees(yield* Engine.get(summary!.id))
      }
    }),

  "a cancel goes down to the last child, without asking them": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const bottom = hangs(log)
      const middle = Workflow.make("middle", {
        run: () =>
          Effect.flatMap(
            Execution.startChild(bottom, "", { id: "bottom", cancel: { beforeCancel: () => Effect.succeed(false) } }),
            (child) => child.result
          )
      })
      const top = Workflow.make("top", {
        run: () => Effect.flatMap(Execution.startChild(middle, "", { id: "middle" }), (child) => child.result)
      })
      const execution = yield* start(top, "")
      const last = yield* found("bottom")
      yield* reached(last, "StepStarted")
      yield* equal("the cancel", yield* execution.cancel("from the top"), "cancelled")
      for (const id of ["middle", "bottom"]) {
        const below = yield* Engine.get(id)
        yield* equal(`the status of ${id}`, yield* below.status, "cancelled")
        yield* agrees(below)
      }
      yield* equal("what was interrupted", log, ["hang interrupted"])
      yield* agrees(execution)
    }),

  "cancelling a child leaves its parent alone": () =>
    Effect.gen(function* () {
      const child = hangs([])
      const parent = Workflow.make("parent", {
        run: () =>
          Effect.flatMap(Execution.startChild(child, "", { id: "child" }), (execution) =>
            Effect.catchTag(execution.result, "RunCancelled", (error) => Effect.succeed(`child: ${error.reason}`))
          )
      })
      const execution = yield* start(parent, "")
      const below = yield* found("child")
      yield* reached(below, "StepStarted")
      yield* below.cancel("alone")
      yield* equal("the result", yield* execution.result, "child: alone")
      yield* agrees(execution)
    }),

  "a child's defaults apply, those of a call do not": (kit) =>
    Effect.gen(function* () {
      const strict = Workflow.make("strict", {
        defaults: { timeout: "20 millis" },
        run: () => Effect.as(Effect.sleep("40 millis"), "slow")
      })
      const parent = Workflow.make("parent", {
        output: Schema.Array(Schema.String),
        run: () =>
          Effect.all(
            [
              strict.call(""),
              Execution.startChild(strict, "", { key: "child" }).pipe(
                Effect.flatMap((child) => child.result),
                Effect.catchTag("RunTimedOut", (error) => Effect.succeed(error._tag))
              )
            ],
            { concurrency: "unbounded" }
          )
      })
      const execution = yield* start(parent, "")
      yield* kit.pass("40 millis")
      yield* equal("the results", yield* execution.result, ["slow", "RunTimedOut"])
    }),

  "a call is part of its caller, with its input and output checked": () =>
    Effect.gen(function* () {
      const size = Workflow.make("size", {
        input: Schema.Int,
        output: Schema.Int,
        run: (n) => Effect.map(note([], "measure"), () => (n > 9 ? n + 0.5 : n))
      })
      const caller = Workflow.make("caller", {
        input: Schema.Finite,
        output: Schema.Int,
        run: (n) => size.call(n)
      })
      const execution = yield* start(caller, 3)
      yield* equal("the result", yield* execution.result, 3)
      yield* equal(
        "the paths",
        (yield* eventsOf(execution, "StepStarted")).map((event) => event.path),
        ["size/measure"]
      )
      const output = yield* failsWith(
        "output",
        "InvalidOutput",
        Effect.flatMap(start(caller, 10), (e) => e.result)
      )
      yield* equal("whose output", output.workflow, "size")
      const input = yield* failsWith(
        "input",
        "InvalidInput",
        Effect.flatMap(start(caller, 1.5), (e) => e.result)
      )
      yield* equal("whose input", input.workflow, "size")
    }),

  "calls nest deep": () =>
    Effect.gen(function* () {
      const depth = 200
      const down: Workflow.Workflow<number, number> = Workflow.make("down", {
        input: Schema.Int,
        output: Schema.Int,
        run: (n: number): Effect.Effect<number, any, Execution.Current> =>
          n === 0 ? Effect.succeed(0) : Effect.map(down.call(n - 1), (m) => m + 1)
      })
      yield* equal("by calls", yield* (yield* start(down, depth)).result, depth)
      const below: Workflow.Workflow<number, number> = Workflow.make("below", {
        input: Schema.Int,
        output: Schema.Int,
        run: (n: number): Effect.Effect<number, any, Execution.Current> =>
          n === 0
            ? Effect.succeed(0)
            : Effect.map(
                Effect.flatMap(Execution.startChild(below, n - 1), (child) => child.result),
                (m) => m + 1
              )
      })
      yield* equal("by children", yield* (yield* start(below, depth)).result, depth)
    })
}

export const shutdown: Checks = {
  "after a shutdown nothing starts": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      yield* Engine.shutdown
      yield* Engine.shutdown
      const exit = yield* Effect.exit(start(Workflow.make("late", { run: () => note(log, "work") }), ""))
      yield* equal("the start", describeExit(exit), "defect EngineShutdown")
      yield* equal("what was done", log, [])
    }),

  "a shutdown cancels what lives, and waits for it; or leaves it to others": (kit) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const parked = yield* start(asks, "")
      const busy = yield* start(hangs(log), "", { cancel: { beforeCancel: () => Effect.succeed(false) } })
      const done = yield* start(greet, "ada")
      yield* opened(parked)
      yield* reached(busy, "StepStarted")
      yield* done.result
      yield* Engine.shutdown
      yield* holds("the running step was interrupted", log.includes("hang interrupted"), log)
      if (kit.onShutdown === "leaves") return
      for (const execution of [parked, busy]) {
        const error = yield* failsWith("the result", "RunCancelled", execution.result)
        yield* equal("the reason", error.reason, "shutdown")
        yield* agrees(execution)
      }
      yield* equal("what was settled before", yield* done.result, "hello ada")
    }),

  "interrupt cancels an execution without asking, and knows no unknown ones": () =>
    Effect.gen(function* () {
      const engine = yield* Engine.Engine
      const execution = yield* start(hangs([]), "", { cancel: { beforeCancel: () => Effect.succeed(false) } })
      yield* reached(execution, "StepStarted")
      yield* engine.interrupt(execution.id)
      const error = yield* failsWith("the result", "RunCancelled", execution.result)
      yield* equal("the reason", error.reason, "interrupted")
      yield* engine.interrupt(execution.id)
      yield* engine.interrupt("nope")
      yield* agrees(execution)
    })
}
