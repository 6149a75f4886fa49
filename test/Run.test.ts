import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger, Random, Schedule, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, Run, RunError, Workflow } from "effect-baton"
import { consistent, onlyRequest, settle, start, statuses } from "./support/executions.ts"

const memory = Effect.provide(Engine.layerMemory)
const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
const forever = Workflow.make("forever", { output: Schema.Never, run: () => Effect.never })

const Transition = Schema.Literals(["start", "hold", "release", "complete", "fail", "cancel"])

const table: ReadonlyArray<readonly [Run.RunStatus, Run.Transition, Run.RunStatus]> = [
  ["pending", "start", "in-progress"],
  ["pending", "cancel", "cancelled"],
  ["in-progress", "hold", "awaiting"],
  ["awaiting", "release", "in-progress"],
  ["in-progress", "complete", "completed"],
  ["awaiting", "complete", "completed"],
  ["in-progress", "fail", "failed"],
  ["awaiting", "fail", "failed"],
  ["in-progress", "cancel", "cancelled"],
  ["awaiting", "cancel", "cancelled"]
]

describe("Run.transition", () => {
  it("is the table of the lifecycle and nothing else", () => {
    for (const from of Run.RunStatus.literals) {
      for (const event of Transition.literals) {
        const row = table.find(([a, b]) => a === from && b === event)
        assert.strictEqual(Run.transition(from, event), row?.[2], `${from} ${event}`)
      }
    }
  })

  it.prop("never leaves a terminal status", { events: Schema.Array(Transition) }, ({ events }) => {
    let status: Run.RunStatus = "pending"
    let settled: Run.RunStatus | undefined
    for (const event of events) {
      status = Run.transition(status, event) ?? status
      if (settled !== undefined) assert.strictEqual(status, settled)
      if (Run.isSettled(status)) settled = status
    }
  })

  it.prop(
    "never comes back to pending, and never moves to where it stands",
    { status: Run.RunStatus, event: Transition },
    ({ event, status }) => {
      const to = Run.transition(status, event)
      if (to === undefined) return
      assert.notStrictEqual(to, "pending")
      assert.notStrictEqual(to, status)
    }
  )

  it.prop("is live exactly as long as it can be cancelled", { events: Schema.Array(Transition) }, ({ events }) => {
    const status = events.reduce<Run.RunStatus>((from, event) => Run.transition(from, event) ?? from, "pending")
    assert.strictEqual(Run.transition(status, "cancel") === undefined, Run.isSettled(status))
  })
})

describe("Run", () => {
  it.effect("workflow.run starts nothing, needs no engine and cannot fail", () =>
    Effect.gen(function* () {
      let worked = false
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.sync(() => {
            worked = true
            return ""
          })
      })
      const run = yield* workflow.run(12 as unknown as string, { timeout: -1 })
      assert.strictEqual(yield* run.status, "pending")
      assert.strictEqual(run.workflow.name, "w")
      assert.isFalse(worked)
    })
  )

  it.effect("ids come from Effect's services, so a test can fix them", () =>
    Effect.gen(function* () {
      const two = Effect.all([echo.run(""), echo.run("")])
      const [a, b] = yield* two.pipe(Random.withSeed("seed"))
      const [c, d] = yield* two.pipe(Random.withSeed("seed"))
      assert.deepStrictEqual([a.id, b.id], [c.id, d.id])
      assert.notStrictEqual(a.id, b.id)
    })
  )

  it.effect("the status is pending until started and then that of the execution", () =>
    Effect.gen(function* () {
      const ask = Workflow.make("ask", { run: () => Effect.as(Execution.waitForApproval(), "done") })
      const run = yield* ask.run("")
      assert.strictEqual(yield* run.status, "pending")
      const execution = yield* run.start
      assert.strictEqual(yield* run.status, "awaiting")
      yield* execution.approve((yield* onlyRequest(execution)).id)
      assert.strictEqual(yield* run.status, "completed")
    }).pipe(memory)
  )

  it.effect("starting the same run twice, at once or later, gives the same execution", () =>
    Effect.gen(function* () {
      let times = 0
      const workflow = Workflow.make("w", { run: () => Effect.as(Effect.yieldNow, String(++times)) })
      const run = yield* workflow.run("")
      const [a, b] = yield* Effect.all([run.start, run.start], { concurrency: "unbounded" })
      assert.strictEqual(a, b)
      yield* a.result
      assert.strictEqual(yield* run.start, a)
      assert.strictEqual(times, 1)
    }).pipe(memory)
  )

  it.effect("a body that starts its own run again gets the execution it runs in", () =>
    Effect.gen(function* () {
      const run: Run.Run<string, never, Engine.Engine> = yield* Workflow.make("self", {
        run: (): Effect.Effect<string, never, Engine.Engine> =>
          Effect.map(
            Effect.suspend(() => run.start),
            (self) => self.id
          )
      }).run("")
      assert.strictEqual(yield* (yield* run.start).result, run.id)
    }).pipe(memory)
  )

  it.effect("a configuration keeps the id, and the run it comes from stays as it was", () =>
    Effect.gen(function* () {
      const run = yield* echo.run("hi", { tags: ["a"], retry: { attempts: 1, delay: 0 } })
      const configured = Run.withTimeout(Run.configure(run, { tags: ["b"] }), "1 second")
      assert.strictEqual(configured.id, run.id)
      assert.deepStrictEqual(run.options, { tags: ["a"], retry: { attempts: 1, delay: 0 } })
      assert.deepStrictEqual(configured.options, { tags: ["b"], retry: { attempts: 1, delay: 0 }, timeout: "1 second" })
    })
  )

  it.effect("whichever configuration starts first counts, and all of them have its execution and status", () =>
    Effect.gen(function* () {
      const run = yield* forever.run("")
      const tagged = Run.configure(run, { tags: ["b"] })
      const execution = yield* tagged.start
      assert.strictEqual(yield* run.status, "in-progress")
      assert.strictEqual(yield* run.start, execution)
      assert.strictEqual(yield* run.cancel(), "cancelled")
      assert.strictEqual(yield* tagged.status, "cancelled")
      assert.deepStrictEqual(
        (yield* Engine.list()).map((summary) => summary.tags),
        [["b"]]
      )
    }).pipe(memory)
  )

  it.effect("every with-function sets its control, data first and data last", () =>
    Effect.gen(function* () {
      const run = yield* echo.run("")
      const retry = { attempts: 1, delay: 0 }
      assert.deepStrictEqual(Run.withTimeout(run, 5).options, Run.withTimeout(5)(run).options)
      assert.deepStrictEqual(Run.withRetry(run, retry).options, { retry })
      assert.deepStrictEqual(Run.withCancel(run, { graceful: true }).options, { cancel: { graceful: true } })
      assert.deepStrictEqual(Run.withApproval(run, { requiredApprovals: 2 }).options, {
        approval: { requiredApprovals: 2 }
      })
      assert.deepStrictEqual(Run.withBudget(run, { steps: 2 }).options, { budget: { steps: 2 } })
    })
  )

  it.effect("an option that is there but undefined hides no default", () =>
    Effect.gen(function* () {
      const workflow = Workflow.withDefaults(Workflow.withDefaults(echo, { timeout: "1 second", tags: ["a"] }), {
        timeout: undefined
      })
      const run = yield* workflow.run("", { tags: undefined })
      assert.deepStrictEqual(Run.configure(run, { tags: undefined }).options, { timeout: "1 second", tags: ["a"] })
    })
  )

  it.effect("E10 options.id makes the start idempotent across callers", () =>
    Effect.gen(function* () {
      let times = 0
      const workflow = Workflow.make("w", {
        input: Schema.Struct({ n: Schema.Number }),
        run: () => Effect.sync(() => String(++times))
      })
      const executions = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.flatMap(workflow.run({ n: 1 }, { id: "same" }), (run) => run.start),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(executions).size, 1)
      assert.deepStrictEqual(yield* Effect.forEach(executions, (execution) => execution.result), ["1", "1", "1"])
    }).pipe(memory)
  )

  it.effect("E10 the same id with another workflow or another input is IdConflict, and the first is untouched", () =>
    Effect.gen(function* () {
      const first = yield* start(forever, "a", { id: "same" })
      const otherInput = yield* start(forever, "b", { id: "same" })
      const otherWorkflow = yield* start(echo, "a", { id: "same" })
      const one = yield* Effect.flip(otherInput.result)
      assert.instanceOf(one, RunError.IdConflict)
      assert.deepInclude(one, { id: "same", workflow: "forever", existing: "forever", differs: "input" })
      const two = yield* Effect.flip(otherWorkflow.result)
      assert.deepInclude(two, { id: "same", workflow: "echo", existing: "forever", differs: "workflow" })
      yield* consistent(otherInput)
      assert.strictEqual(yield* Engine.get("same"), first)
      assert.strictEqual(yield* first.status, "in-progress")
      assert.strictEqual((yield* Engine.list()).length, 1)
      yield* first.cancel()
    }).pipe(memory)
  )

  it.effect("a run id that the engine made up can be asked for again by whoever knows it", () =>
    Effect.gen(function* () {
      const execution = yield* start(forever, "a")
      const again = yield* start(forever, "a", { id: execution.id })
      assert.strictEqual(again, execution)
      yield* execution.cancel()
    }).pipe(memory)
  )

  it.effect("interrupting the fiber that starts a run after the start does not end the run", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      const workflow = Workflow.make("w", { run: () => Deferred.await(gate) })
      const run = yield* workflow.run("")
      const fiber = yield* Effect.forkChild(Effect.andThen(run.start, Effect.never))
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* Deferred.succeed(gate, "on")
      assert.strictEqual(yield* (yield* run.start).result, "on")
    }).pipe(memory)
  )
})

describe("bad options", () => {
  const cases: ReadonlyArray<readonly [string, unknown]> = [
    ["retry.attempts", { retry: { attempts: -1, delay: 0 } }],
    ["retry.attempts", { retry: { attempts: 1.5, delay: 0 } }],
    ["retry.attempts", { retry: { attempts: Number.NaN, delay: 0 } }],
    ["retry.delay", { retry: { attempts: 1, delay: Number.NaN } }],
    ["retry.delay", { retry: { attempts: 1, delay: "-1 second" } }],
    ["retry.delay", { retry: { attempts: 1, delay: "soon" } }],
    ["retry.maxDelay", { retry: { attempts: 1, delay: 0, maxDelay: -5 } }],
    ["retry.backoff", { retry: { attempts: 1, delay: 0, backoff: "quadratic" } }],
    ["retry.mode", { retry: { attempts: 1, delay: 0, mode: "rewind" } }],
    ["retry.while", { retry: { attempts: 1, delay: 0, while: "always" } }],
    ["timeout.duration", { timeout: { duration: Number.NaN } }],
    ["timeout.onTimeout", { timeout: { duration: 1, onTimeout: "explode" } }],
    ["timeout.clock", { timeout: { duration: 1, clock: "sun" } }],
    ["timeout", { timeout: -1 }],
    ["cancel.gracefulTimeout", { cancel: { gracefulTimeout: -1 } }],
    ["cancel.graceful", { cancel: { graceful: "yes" } }],
    ["approval.requiredApprovals", { approval: { approvers: ["ada"], requiredApprovals: 2 } }],
    ["approval.requiredApprovals", { approval: { approvers: ["ada", "ada"], requiredApprovals: 2 } }],
    ["approval.requiredApprovals", { approval: { requiredApprovals: 0 } }],
    ["approval.approvers", { approval: { approvers: [] } }],
    ["approval.timeout", { approval: { timeout: Number.NaN } }],
    ["budget.tokens", { budget: { tokens: -1 } }],
    ["budget.cost", { budget: { cost: Number.POSITIVE_INFINITY } }],
    ["budget.steps", { budget: { steps: 0.5 } }],
    ["id", { id: "" }],
    ["tags", { tags: "red" }],
    ["onComplete", { onComplete: 3 }]
  ]

  for (const [field, options] of cases) {
    it.effect(`${JSON.stringify(options)} is InvalidOptions at ${field}, before any work`, () =>
      Effect.gen(function* () {
        let worked = false
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.sync(() => {
              worked = true
              return ""
            })
        })
        const execution = yield* start(workflow, "", options as Run.RunOptions<string>)
        const error = yield* Effect.flip(execution.result)
        assert.instanceOf(error, RunError.InvalidOptions)
        assert.strictEqual((error as RunError.InvalidOptions).field, field)
        assert.include(error.message, field)
        assert.isFalse(worked)
        assert.strictEqual(yield* execution.status, "failed")
        assert.deepStrictEqual(statuses(execution), ["in-progress", "failed"])
        yield* consistent(execution)
      }).pipe(memory)
    )
  }

  it.effect("bad defaults of a workflow are InvalidOptions of its runs", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", { defaults: { budget: { steps: -2 } }, run: () => Effect.succeed("") })
      const error = yield* Effect.flip(workflow.execute(""))
      assert.strictEqual((error as RunError.InvalidOptions).field, "budget.steps")
    }).pipe(memory)
  )

  it.effect("bad input is InvalidInput with the field and its value, before any work, and is never retried", () =>
    Effect.gen(function* () {
      let worked = false
      const workflow = Workflow.make("w", {
        input: Schema.Struct({ service: Schema.String, version: Schema.Number }),
        run: () =>
          Effect.sync(() => {
            worked = true
            return ""
          })
      })
      const execution = yield* start(workflow, { service: "api", version: "1" } as never, {
        retry: { attempts: 3, delay: 0 }
      })
      const error = yield* Effect.flip(execution.result)
      assert.instanceOf(error, RunError.InvalidInput)
      assert.deepInclude(error, { workflow: "w", field: "version", value: '"1"' })
      assert.isFalse(worked)
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a check of the input that throws is InvalidInput, not a crash", () =>
    Effect.gen(function* () {
      const throwing = Schema.String.check(
        Schema.makeFilter((): boolean => {
          throw new Error("bug in a check")
        })
      )
      const execution = yield* start(Workflow.make("in", { input: throwing, run: () => Effect.succeed("") }), "x")
      assert.instanceOf(yield* Effect.flip(execution.result), RunError.InvalidInput)
      const output = yield* start(Workflow.make("out", { output: throwing, run: () => Effect.succeed("x") }), "x")
      assert.instanceOf(yield* Effect.flip(output.result), RunError.InvalidOutput)
      yield* consistent(output)
    }).pipe(memory)
  )

  it.effect("a bad output is InvalidOutput with the field, which a retry may try again", () =>
    Effect.gen(function* () {
      let tries = 0
      const workflow = Workflow.make("w", {
        output: Schema.Struct({ n: Schema.Number }),
        run: () => Effect.sync(() => (++tries < 3 ? { n: "one" as never } : { n: tries }))
      })
      const error = yield* Effect.flip(workflow.execute(""))
      assert.deepInclude(error, { _tag: "InvalidOutput", workflow: "w", field: "n", value: '"one"' })
      tries = 0
      assert.deepStrictEqual(yield* workflow.execute("", { retry: { attempts: 5, delay: 0 } }), { n: 3 })
    }).pipe(memory)
  )

  it.effect("onStatusChange sees every change, once, in order (E3)", () =>
    Effect.gen(function* () {
      const seen: Array<Run.RunStatus> = []
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.as(
            Effect.forEach([1, 2], (n) => Execution.waitForApproval(String(n))),
            "done"
          )
      })
      const execution = yield* start(workflow, "", {
        onStatusChange: (status) =>
          Effect.andThen(
            Effect.sleep("1 second"),
            Effect.sync(() => void seen.push(status))
          )
      })
      yield* execution.pause
      yield* execution.approve((yield* onlyRequest(execution)).id)
      yield* execution.resume
      yield* execution.approve((yield* onlyRequest(execution)).id)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(seen, ["in-progress", "awaiting", "in-progress", "awaiting", "in-progress", "completed"])
      assert.deepStrictEqual(seen, statuses(execution))
      assert.deepStrictEqual(yield* Stream.runCollect(execution.statusChanges), seen)
    }).pipe(memory)
  )

  it.effect("H1 callbacks that fail, die, throw or never return are logged and change nothing", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const slow = Workflow.make("slow", { run: (text) => Effect.as(Effect.sleep("1 hour"), text) })
      const broken: ReadonlyArray<() => Effect.Effect<unknown, unknown>> = [
        () => Effect.fail("no"),
        () => Effect.die("no"),
        () => Effect.interrupt,
        () => Effect.never,
        () => {
          throw new Error("no")
        }
      ]
      for (const bad of broken) {
        warnings.length = 0
        const execution = yield* Effect.provide(
          start(slow, "fine", { onComplete: bad, onStatusChange: bad }),
          Logger.layer([logger])
        )
        yield* TestClock.adjust("2 hours")
        assert.strictEqual(yield* execution.result, "fine")
        yield* consistent(execution)
        assert.strictEqual(warnings.length, 3, "one warning for each callback")
        // What is logged before the end is in the logs of the execution too.
        const logs = yield* execution.logs
        assert.strictEqual(logs.length, 1)
        assert.match(logs[0].message, /^onStatusChange (failed|did not return)/)
      }
    }).pipe(memory)
  )

  it.effect("H2 callbacks of one execution never overlap and keep their order", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const slow = (name: string) =>
        Effect.gen(function* () {
          order.push(`${name} begins`)
          yield* Effect.sleep("1 second")
          order.push(`${name} ends`)
        })
      const execution = yield* start(echo, "hi", { onStatusChange: slow, onComplete: slow })
      assert.strictEqual(yield* execution.status, "completed")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(order, [
        "in-progress begins",
        "in-progress ends",
        "completed begins",
        "completed ends",
        "hi begins",
        "hi ends"
      ])
    }).pipe(memory)
  )

  it.effect("onComplete hears the output and onFailed the error, of the run and of its defects", () =>
    Effect.gen(function* () {
      const heard: Array<unknown> = []
      const hear = (value: unknown) => Effect.sync(() => void heard.push(value))
      yield* start(echo, "hi", { onComplete: hear, onFailed: hear })
      const dies = Workflow.make("dies", { run: () => Effect.die("broken") })
      yield* start(dies, "", { onComplete: hear, onFailed: hear })
      const slow = yield* start(forever, "", { timeout: 1, onFailed: hear, onComplete: hear })
      yield* TestClock.adjust(1)
      yield* Effect.exit(slow.result)
      assert.deepStrictEqual(heard.slice(0, 2), ["hi", "broken"])
      assert.deepInclude(heard[2] as object, { _tag: "RunTimedOut" })
    }).pipe(memory)
  )

  it.effect("a schedule retry with options that are no schedule is InvalidOptions", () =>
    Effect.gen(function* () {
      const ok = yield* start(echo, "", { retry: { schedule: Schedule.recurs(2) } })
      assert.strictEqual(yield* ok.result, "")
      const error = yield* Effect.flip(echo.execute("", { retry: { schedule: 3 } as never }))
      assert.strictEqual(error._tag, "InvalidOptions")
      assert.include((error as RunError.InvalidOptions).field, "retry")
    }).pipe(memory)
  )
})
