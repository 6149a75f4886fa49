/** Checks of an engine: starts, ends, and what is seen of them. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Execution from "../../Execution.ts"
import * as Step from "../../Step.ts"
import * as Engine from "../../services/Engine.ts"
import * as Workflow from "../../Workflow.ts"
import { describeExit, equal, failsWith, holds } from "../expect.ts"
import {
  agrees,
  Broken,
  type Checks,
  eventsOf,
  found,
  hang,
  history,
  note,
  opened,
  reached,
  start,
  statusesOf,
  tagsOf
} from "./kit.ts"

const echo = Workflow.make("echo", { run: (text) => Step.make("say", { run: Effect.succeed(text) }) })

const broken = Workflow.make("broken", {
  error: Broken,
  run: (part) => Step.make("break", { error: Broken, run: Effect.fail(new Broken({ part })) })
})

export const lifecycle: Checks = {
  "a run that was not started is pending": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const run = yield* Workflow.make("idle", { run: () => note(log, "work") }).run("")
      yield* equal("the status", yield* run.status, "pending")
      yield* equal("what was done", log, [])
      yield* equal("the executions", (yield* Engine.list({ workflow: "idle" })).length, 0)
    }),

  "a body that succeeds completes the run, and everybody says so": () =>
    Effect.gen(function* () {
      const execution = yield* start(echo, "hi")
      yield* equal("the result", yield* execution.result, "hi")
      yield* equal("the exit", describeExit(yield* execution.exit), 'success "hi"')
      yield* equal("the status", yield* execution.status, "completed")
      yield* equal("the statuses", yield* statusesOf(execution), ["in-progress", "completed"])
      yield* equal("the events", yield* tagsOf(execution), [
        "RunStarted",
        "StatusChanged",
        "AttemptStarted",
        "StepStarted",
        "StepCompleted",
        "StatusChanged",
        "RunCompleted"
      ])
      yield* agrees(execution)
    }),

  "a body that fails with its own error fails the run with it": () =>
    Effect.gen(function* () {
      const execution = yield* start(broken, "wheel")
      const error = yield* failsWith("the result", "Broken", execution.result)
      yield* equal("the error", [error instanceof Broken, error.part], [true, "wheel"])
      yield* equal("the status", yield* execution.status, "failed")
      const [failed] = yield* eventsOf(execution, "RunFailed")
      yield* equal("the event", failed?.error, "Broken")
      const [step] = yield* eventsOf(execution, "StepFailed")
      yield* equal("the step's event", [step?.path, step?.error, step?.interrupted], ["break", "Broken", false])
      yield* agrees(execution)
    }),

  "a body that dies fails the run with the defect": () =>
    Effect.gen(function* () {
      const execution = yield* start(Workflow.make("dies", { run: () => Effect.die(new Error("boom")) }), "")
      const exit = yield* execution.exit
      yield* holds("the exit is a defect", Exit.isFailure(exit) && Cause.hasDies(exit.cause), describeExit(exit))
      yield* equal("the exit", describeExit(exit), "defect boom")
      yield* equal("the status", yield* execution.status, "failed")
      yield* agrees(execution)
    }),

  "a body that fails with what it does not declare is a defect that says so": () =>
    Effect.gen(function* () {
      const execution = yield* start(
        Workflow.make("undeclared", { error: Broken, run: () => Effect.fail("something else" as unknown as Broken) }),
        ""
      )
      const said = describeExit(yield* execution.exit)
      yield* holds("the exit is a defect that shows the error", /^defect .*something else/.test(said), said)
      yield* agrees(execution)
    }),

  "a body that interrupts itself is cancelled": () =>
    Effect.gen(function* () {
      const execution = yield* start(Workflow.make("interrupts", { run: () => Effect.interrupt }), "")
      const error = yield* failsWith("the result", "RunCancelled", execution.result)
      yield* equal("the reason", error.reason, "interrupted")
      yield* equal("the status", yield* execution.status, "cancelled")
      yield* agrees(execution)
    }),

  "an input that does not fit its schema is InvalidInput, before any work": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("typed", {
        input: Schema.Struct({ size: Schema.Int }),
        run: () => note(log, "work")
      })
      const execution = yield* start(workflow, { size: 1.5 })
      const error = yield* failsWith("the result", "InvalidInput", execution.result)
      yield* equal("the error", [error.workflow, error.field, error.value], ["typed", "size", "1.5"])
      yield* equal("what was done", log, [])
      yield* equal("the status", yield* execution.status, "failed")
      yield* agrees(execution)
    }),

  "an output that does not fit its schema is InvalidOutput": () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("typed", { output: Schema.Int, run: () => Effect.succeed(1.5) })
      const execution = yield* start(workflow, "")
      const error = yield* failsWith("the result", "InvalidOutput", execution.result)
      yield* equal("the error", [error.workflow, error.value], ["typed", "1.5"])
      yield* agrees(execution)
    }),

  "options that make no sense are InvalidOptions that name the field, before any work": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("work", { run: () => note(log, "work") })
      for (const [field, options] of [
        ["retry.attempts", { retry: { attempts: -1, delay: 0 } }],
        ["retry.delay", { retry: { attempts: 1, delay: Number.NaN } }],
        ["approval.requiredApprovals", { approval: { approvers: ["ada"], requiredApprovals: 2 } }],
        ["budget.steps", { budget: { steps: -1 } }],
        ["cancel.gracefulTimeout", { cancel: { gracefulTimeout: -1 } }]
      ] as const) {
        const execution = yield* start(workflow, "", options)
        const error = yield* failsWith(field, "InvalidOptions", execution.result)
        yield* equal("the field", error.field, field)
        yield* agrees(execution)
      }
      yield* failsWith("a negative timeout", "InvalidOptions", (yield* start(workflow, "", { timeout: -1 })).result)
      yield* equal("what was done", log, [])
    }),

  "outputs, errors and results of steps keep their types": () =>
    Effect.gen(function* () {
      const Stamp = Schema.Struct({ at: Schema.Date, tags: Schema.Array(Schema.String) })
      const workflow = Workflow.make("stamp", {
        input: Stamp,
        output: Stamp,
        run: (input) =>
          Effect.gen(function* () {
            const seen = yield* Step.make("see", { output: Stamp, run: Effect.succeed(input) })
            yield* Execution.waitForApproval()
            return { at: new Date(seen.at.getTime() + 1), tags: [...seen.tags, "seen"] }
          })
      })
      const execution = yield* start(workflow, { at: new Date(1), tags: ["new"] })
      const [request] = yield* opened(execution)
      yield* execution.approve(request!.id)
      yield* equal("the result", yield* execution.result, { at: new Date(2), tags: ["new", "seen"] })
    }),

  "starting a run again, at once or later, gives the same execution": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const run = yield* Workflow.make("once", { run: () => note(log, "work") }).run("")
      const started = yield* Effect.all([run.start, run.start, run.start], { concurrency: "unbounded" })
      yield* Effect.forEach(started, (execution) => execution.result)
      const later = yield* run.start
      yield* equal("the result", yield* later.result, "work")
      yield* equal("the ids", new Set([...started, later].map((execution) => execution.id)).size, 1)
      yield* equal("what was done", log, ["work"])
      yield* equal("the status of the run", yield* run.status, "completed")
    }),

  "the same id and input is the same execution, whoever starts it": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("order", {
        input: Schema.Struct({ item: Schema.String }),
        run: ({ item }) => Effect.andThen(note(log, "work"), Effect.succeed(item))
      })
      const begun = yield* Effect.all(
        [1, 2, 3].map(() => start(workflow, { item: "tea" }, { id: "order-1" })),
        { concurrency: "unbounded" }
      )
      const results = yield* Effect.forEach(begun, (execution) => execution.result)
      const later = yield* start(workflow, { item: "tea" }, { id: "order-1" })
      yield* equal("the results", [...results, yield* later.result], ["tea", "tea", "tea", "tea"])
      yield* equal("the id", later.id, "order-1")
      yield* equal("what was done", log, ["work"])
      yield* equal("the executions", (yield* Engine.list({ workflow: "order" })).length, 1)
    }),

  "an id that belongs to another run is IdConflict, and that run is left alone": () =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", { run: (text) => Effect.as(Execution.waitForApproval(), text) })
      const first = yield* start(asks, "one", { id: "taken" })
      const [request] = yield* opened(first)
      const byInput = yield* failsWith(
        "another input",
        "IdConflict",
        Effect.flatMap(start(asks, "two", { id: "taken" }), (execution) => execution.result)
      )
      yield* equal("what differs", [byInput.differs, byInput.id], ["input", "taken"])
      const byWorkflow = yield* failsWith(
        "another workflow",
        "IdConflict",
        Effect.flatMap(start(echo, "one", { id: "taken" }), (execution) => execution.result)
      )
      yield* equal("what differs", [byWorkflow.differs, byWorkflow.existing], ["workflow", "asks"])
      yield* first.approve(request!.id)
      yield* equal("the first result", yield* first.result, "one")
      yield* equal("the executions", (yield* Engine.list()).length, 1)
    }),

  "runs without an id get one each": () =>
    Effect.gen(function* () {
      const executions = yield* Effect.forEach(Array.from({ length: 50 }), () => start(echo, "hi"), {
        concurrency: "unbounded"
      })
      yield* equal("the ids", new Set(executions.map((execution) => execution.id)).size, 50)
      yield* Effect.forEach(executions, (execution) => execution.result, { discard: true })
    }),

  "an execution is found again by its id": () =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const execution = yield* start(asks, "", { id: "find-me" })
      const [request] = yield* opened(execution)
      const found = yield* Engine.get("find-me")
      yield* equal("id and workflow", [found.id, found.workflow], ["find-me", "asks"])
      yield* equal("the status", yield* found.status, "awaiting")
      yield* equal(
        "the requests",
        (yield* found.requests).map((r) => r.id),
        [request!.id]
      )
      yield* found.approve(request!.id)
      yield* equal("the result", yield* found.result, "done")
      yield* equal("the events", yield* history(found), yield* history(execution))
    }),

  "an unknown id is ExecutionNotFound": () =>
    Effect.gen(function* () {
      const error = yield* failsWith("get", "ExecutionNotFound", Engine.get("nope"))
      yield* equal("the id", error.id, "nope")
    }),

  "an execution is got with the types of its workflow, and with no other's": () =>
    Effect.gen(function* () {
      const size = Workflow.make("size", { output: Schema.Date, run: (text) => Effect.succeed(new Date(text.length)) })
      yield* (yield* start(size, "four", { id: "typed" })).result
      const found = yield* Engine.get("typed", size)
      yield* equal("the result", (yield* found.result).getTime(), 4)
      const error = yield* failsWith("get", "WorkflowMismatch", Engine.get("typed", echo))
      yield* equal("what it is", [error.id, error.workflow, error.expected], ["typed", "size", "echo"])
      yield* failsWith("get", "ExecutionNotFound", Engine.get("nope", echo))
    }),

  "executions are listed by workflow, status, tag, parent and time, oldest start first": (kit) =>
    Effect.gen(function* () {
      const child = Workflow.make("child", { run: () => Effect.as(Execution.waitForApproval(), "") })
      const parent = Workflow.make("parent", {
        run: () => Effect.flatMap(Execution.startChild(child, "", { id: "c" }), (execution) => execution.result)
      })
      yield* (yield* start(echo, "", { id: "a", tags: ["x"] })).result
      yield* kit.pass("5 millis")
      const living = yield* start(parent, "", { id: "b", tags: ["x", "y"] })
      yield* reached(living, "ChildStarted")
      yield* opened(yield* Engine.get("c"))
      yield* kit.pass("5 millis")
      yield* Effect.exit((yield* start(broken, "", { id: "d", tags: ["xy"] })).result)
      const listed = (filter: Engine.ListOptions | undefined, expected: ReadonlyArray<string>) =>
        Effect.flatMap(Engine.list(filter), (found) =>
          equal(
            `executions that fit ${JSON.stringify(filter)}`,
            found.map((summary) => summary.id).filter((id) => id !== "c"),
            expected
          )
        )
      yield* listed(undefined, ["a", "b", "d"])
      yield* listed({ workflow: "echo" }, ["a"])
      yield* listed({ status: "failed" }, ["d"])
      yield* listed({ status: ["completed", "failed"] }, ["a", "d"])
      yield* listed({ tag: "x" }, ["a", "b"])
      yield* listed({ tag: "x", workflow: "parent" }, ["b"])
      const [{ startedAt }] = yield* Engine.list({ workflow: "parent" })
      yield* listed({ startedFrom: startedAt }, ["b", "d"])
      yield* listed({ startedBefore: startedAt, tag: "x" }, ["a"])
      yield* listed({ limit: 1 }, ["d"])
      yield* listed({ status: ["completed", "failed"], limit: 1 }, ["d"])
      yield* listed({ tag: "x", limit: 3 }, ["a", "b"])
      const none = yield* Effect.exit(Engine.list({ limit: 0 }))
      yield* holds("a list of nothing is refused", Exit.isFailure(none) && Cause.hasDies(none.cause), none)
      const [summary] = yield* Engine.list({ parentId: "b" })
      yield* equal(
        "the child",
        [summary?.id, summary?.workflow, summary?.status, summary?.parentId],
        ["c", "child", "awaiting", "b"]
      )
      const [done] = yield* Engine.list({ workflow: "echo" })
      yield* holds("a settled execution says when", done?.settledAt !== undefined, done)
      yield* living.cancel()
    }),

  "events are the same live, afterwards and from any number on": () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("talks", {
        run: () =>
          Effect.gen(function* () {
            yield* Step.make("one", { run: Effect.log("hello") })
            yield* Execution.progress({ current: 1, total: 2 })
            yield* Execution.waitForApproval()
            return "done"
          })
      })
      const execution = yield* start(workflow, "")
      const live = yield* Effect.forkChild(history(execution))
      const fromThird = yield* Effect.forkChild(Stream.runCollect(execution.eventsFrom(3)))
      const [request] = yield* opened(execution)
      const waiting = yield* Effect.forkChild(history(execution))
      yield* execution.approve(request!.id, { by: "ada" })
      yield* execution.result
      const afterwards = yield* history(execution)
      yield* equal("what a reader from the start saw", yield* Fiber.join(live), afterwards)
      yield* equal("what a reader in the middle saw", yield* Fiber.join(waiting), afterwards)
      yield* equal("what a reader from number 3 saw", yield* Fiber.join(fromThird), afterwards.slice(2))
      for (const n of [-1, 0, 1, 5, afterwards.length]) {
        const events = yield* Stream.runCollect(execution.eventsFrom(n))
        yield* equal(`the events from number ${n}`, events, afterwards.slice(Math.max(0, n - 1)))
      }
      yield* equal(
        "the events after the last",
        yield* Stream.runCollect(execution.eventsFrom(afterwards.length + 1)),
        []
      )
    }),

  "a reader that stops early disturbs nobody": () =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const execution = yield* start(asks, "")
      const [request] = yield* opened(execution)
      const reader = yield* Effect.forkChild(history(execution))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(reader)
      yield* execution.approve(request!.id)
      yield* equal("the result", yield* execution.result, "done")
      yield* agrees(execution)
    }),

  "statuses are seen once each, in order, by streams and by onStatusChange": () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const asks = Workflow.make("asks", {
        run: () => Effect.as(Effect.andThen(Execution.waitForApproval(), Execution.waitForApproval()), "done")
      })
      const execution = yield* start(asks, "", {
        onStatusChange: (status) => Effect.sync(() => void told.push(status))
      })
      const live = yield* Effect.forkChild(statusesOf(execution))
      yield* execution.approve((yield* opened(execution, 1))[0]!.id)
      yield* execution.approve((yield* opened(execution, 2))[0]!.id)
      yield* execution.result
      const expected = ["in-progress", "awaiting", "in-progress", "awaiting", "in-progress", "completed"] as const
      yield* equal("what a live reader saw", yield* Fiber.join(live), [...expected])
      yield* equal("what onStatusChange was told", told, [...expected])
      const changes = yield* eventsOf(execution, "StatusChanged")
      yield* equal(
        "the events",
        changes.map((event) => event.to),
        [...expected]
      )
      yield* equal(
        "where they began",
        changes.map((event) => event.from),
        ["pending", ...expected.slice(0, -1)]
      )
    }),

  "callbacks are told how it ended, and change nothing when they fail": () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const tell = (text: string) =>
        Effect.andThen(
          Effect.sync(() => void told.push(text)),
          Effect.fail("callback")
        )
      const options = {
        onComplete: (output: string) => tell(`completed ${output}`),
        onFailed: (error: { readonly _tag: string }) => tell(`failed ${error._tag}`),
        onStatusChange: () => Effect.die("callback")
      }
      yield* equal("the result", yield* (yield* start(echo, "hi", options)).result, "hi")
      yield* failsWith(
        "the failure",
        "Broken",
        Effect.flatMap(start(broken, "", options), (execution) => execution.result)
      )
      yield* equal("what was told", told, ["completed hi", "failed Broken"])
    }),

  "interrupting who waits for the result changes nothing": () =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const execution = yield* start(asks, "")
      const [request] = yield* opened(execution)
      const waiter = yield* Effect.forkChild(execution.result)
      const other = yield* Effect.forkChild(execution.result)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(waiter)
      yield* equal("the status", yield* execution.status, "awaiting")
      yield* execution.approve(request!.id)
      yield* equal("what the other got", yield* Fiber.join(other), "done")
    }),

  "interrupting who executes a workflow cancels it": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("hangs", { run: () => hang(log) })
      const before = Effect.sync(() => {
        log.push("asked")
        return false
      })
      const fiber = yield* Effect.forkChild(workflow.execute("", { id: "executed", cancel: { beforeCancel: before } }))
      const execution = yield* found("executed")
      yield* reached(execution, "StepStarted")
      yield* Fiber.interrupt(fiber)
      yield* equal("the status", yield* execution.status, "cancelled")
      yield* equal("what was done", log, ["hang interrupted"])
      yield* agrees(execution)
    }),

  "what is logged inside shows among the logs, oldest first": () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("logs", {
        run: () =>
          Effect.gen(function* () {
            yield* Step.make("one", { run: Effect.logInfo("first", { a: 1 }) })
            yield* Step.make("two", { run: Effect.logWarning("second") })
            return "done"
          })
      })
      const execution = yield* start(workflow, "")
      yield* execution.result
      yield* equal(
        "the logs",
        (yield* execution.logs).map(({ level, message, path }) => [level, message, path]),
        [
          ["Info", 'first {"a":1}', "one"],
          ["Warn", "second", "two"]
        ]
      )
    }),

  "progress is what the outermost part reported last, and every report is an event": () =>
    Effect.gen(function* () {
      const inner = Workflow.make("inner", { run: () => Effect.as(Execution.progress({ current: 9, total: 9 }), "") })
      const outer = Workflow.make("outer", {
        run: () =>
          Effect.gen(function* () {
            yield* Execution.progress({ current: 1, total: 3, message: "begun" })
            yield* inner.call("")
            return "done"
          })
      })
      const execution = yield* start(outer, "")
      yield* execution.result
      yield* equal("the progress", yield* execution.progress, { current: 1, total: 3, message: "begun" })
      const reports = yield* eventsOf(execution, "Progressed")
      yield* equal(
        "the reports",
        reports.map((event) => [event.path, event.current]),
        [
          ["", 1],
          ["inner", 9]
        ]
      )
      const silent = yield* start(echo, "")
      yield* silent.result
      yield* equal("no progress", yield* silent.progress, { current: 0, total: 0 })
    }),

  "each attempt's scope is closed before the run settles": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("scoped", {
        run: () =>
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() => Effect.sync(() => void log.push("closed")))
            yield* Effect.forkScoped(
              Effect.onInterrupt(Effect.never, () => Effect.sync(() => void log.push("leaked fiber interrupted")))
            )
            yield* Effect.yieldNow
            return "done"
          })
      })
      const execution = yield* start(workflow, "")
      yield* execution.result
      yield* holds("the scope was closed", log.includes("closed"), log)
      yield* holds("the leaked fiber was interrupted", log.includes("leaked fiber interrupted"), log)
    })
}
