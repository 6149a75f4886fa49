import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Logger, References, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Engine, type Event, Execution, type HumanRequest, Step, Workflow } from "effect-baton"
import { consistent, count, firstSleep, history, onlyRequest, settle, start, statuses } from "./support/executions.ts"

const memory = Effect.provide(Engine.layerMemory)
const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
const forever = Workflow.make("forever", { run: () => Effect.never })

describe("Execution", () => {
  it.effect("nextRequest waits for the oldest open request, and fails when there will be none", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("asks twice", {
        run: () =>
          Effect.gen(function* () {
            yield* Effect.sleep("1 second")
            yield* Execution.waitForApproval("one")
            yield* Effect.sleep("1 second")
            yield* Execution.waitForApproval("two")
            return "done"
          })
      })
      const execution = yield* start(workflow, "")
      const seen: Array<string> = []
      const answering = yield* Effect.forkChild(
        Effect.gen(function* () {
          while (true) {
            const request = yield* Execution.nextRequest(execution)
            seen.push(request.message)
            yield* execution.approve(request.id)
          }
        }).pipe(Effect.flip)
      )
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(answering)
      assert.deepStrictEqual(seen, ["one", "two"])
      assert.deepInclude(error, { _tag: "RunSettled", status: "completed" })
    }).pipe(memory)
  )

  it.effect("result gives the output, exit the exit, and both any number of times", () =>
    Effect.gen(function* () {
      const execution = yield* start(echo, "hi")
      assert.strictEqual(execution.workflow, "echo")
      assert.strictEqual(yield* execution.result, "hi")
      assert.strictEqual(yield* execution.result, "hi")
      assert.deepStrictEqual(yield* execution.exit, Exit.succeed("hi"))
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("everybody who waits hears the result, before and after", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      const execution = yield* start(Workflow.make("w", { run: () => Deferred.await(gate) }), "")
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(execution.result))
      yield* settle
      yield* Deferred.succeed(gate, "x")
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), ["x", "x", "x"])
      assert.strictEqual(yield* execution.result, "x")
    }).pipe(memory)
  )

  it.effect("defects stay defects, visible in exit", () =>
    Effect.gen(function* () {
      const execution = yield* start(Workflow.make("w", { run: () => Effect.die("bug") }), "")
      const exit = yield* execution.exit
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === "bug")
      assert.strictEqual(yield* execution.status, "failed")
    }).pipe(memory)
  )

  it.effect("the body needs what start is given, and each execution has its own", () =>
    Effect.gen(function* () {
      class Name extends Context.Service<Name, string>()("test/Name") {}
      const workflow = Workflow.make("w", { run: () => Effect.map(Name, (name) => name) })
      const run = (name: string) => Effect.provideService(workflow.execute(""), Name, name)
      assert.deepStrictEqual(yield* Effect.all([run("ada"), run("bob")], { concurrency: 2 }), ["ada", "bob"])
    }).pipe(memory)
  )

  it.effect("inside, Execution.id is the id of the handle", () =>
    Effect.gen(function* () {
      const execution = yield* start(Workflow.make("w", { run: () => Execution.id }), "")
      assert.strictEqual(yield* execution.result, execution.id)
    }).pipe(memory)
  )

  describe("pause and resume", () => {
    const stepper = (done: Array<number>) =>
      Workflow.make("stepper", {
        run: () =>
          Effect.as(
            Effect.forEach([1, 2, 3], (n) =>
              Step.make("step", {
                run: Effect.andThen(
                  Effect.sleep("1 second"),
                  Effect.sync(() => void done.push(n))
                )
              })
            ),
            "done"
          )
      })

    it.effect("pause lets the running step finish and holds the next; resume goes on", () =>
      Effect.gen(function* () {
        const done: Array<number> = []
        const execution = yield* start(stepper(done), "")
        yield* execution.pause
        assert.strictEqual(yield* execution.status, "awaiting")
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(done, [1])
        yield* execution.resume
        assert.strictEqual(yield* execution.status, "in-progress")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* execution.result, "done")
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("both are idempotent", () =>
      Effect.gen(function* () {
        const execution = yield* start(stepper([]), "")
        yield* execution.resume
        yield* Effect.all([execution.pause, execution.pause, execution.pause])
        assert.deepStrictEqual(statuses(execution), ["in-progress", "awaiting"])
        assert.strictEqual(count(execution, "Paused"), 1)
        yield* Effect.all([execution.resume, execution.resume])
        assert.strictEqual(count(execution, "Resumed"), 1)
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* execution.result, "done")
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("on a settled execution both fail with RunSettled, which names the status", () =>
      Effect.gen(function* () {
        const completed = yield* start(echo, "")
        assert.deepInclude(yield* Effect.flip(completed.pause), { _tag: "RunSettled", status: "completed" })
        assert.deepInclude(yield* Effect.flip(completed.resume), { _tag: "RunSettled", status: "completed" })
        const cancelled = yield* start(forever, "")
        yield* cancelled.cancel()
        assert.deepInclude(yield* Effect.flip(cancelled.pause), { _tag: "RunSettled", status: "cancelled" })
      }).pipe(memory)
    )

    it.effect("a pause holds the next human request, which opens after the resume", () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          run: () => Effect.andThen(Effect.sleep("1 second"), Effect.as(Execution.waitForApproval("?"), "done"))
        })
        const execution = yield* start(workflow, "")
        yield* execution.pause
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* execution.requests, [])
        yield* execution.resume
        yield* execution.approve((yield* onlyRequest(execution)).id)
        assert.strictEqual(yield* execution.result, "done")
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("an answer during a pause is taken, and the run stays awaiting until the resume", () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          run: () => Effect.andThen(Execution.waitForApproval("?"), Step.make("next", { run: Effect.succeed("done") }))
        })
        const execution = yield* start(workflow, "")
        yield* execution.pause
        yield* execution.approve((yield* onlyRequest(execution)).id)
        assert.strictEqual(yield* execution.status, "awaiting")
        yield* execution.resume
        assert.strictEqual(yield* execution.result, "done")
        assert.deepStrictEqual(statuses(execution), ["in-progress", "awaiting", "in-progress", "completed"])
      }).pipe(memory)
    )

    it.effect("a body without a further step completes although it is paused", () =>
      Effect.gen(function* () {
        const execution = yield* start(
          Workflow.make("w", { run: () => Effect.as(Effect.sleep("1 second"), "done") }),
          ""
        )
        yield* execution.pause
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* execution.result, "done")
        assert.deepStrictEqual(statuses(execution), ["in-progress", "awaiting", "completed"])
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("a resume from the callback of the pause leaves the run going", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const run = yield* stepper([]).run("")
        const execution = yield* run.configure({
          onStatusChange: (status) =>
            status === "awaiting" ? Effect.flatMap(engine.get(run.id), (self) => self.resume) : Effect.void
        }).start
        yield* execution.pause
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* execution.result, "done")
        yield* consistent(execution)
      }).pipe(memory)
    )
  })

  describe("waitForInput", () => {
    const Machines = Schema.Struct({
      count: Schema.Int.check(Schema.isGreaterThan(0)),
      region: Schema.optionalKey(Schema.String)
    })

    it.effect("an answer that does not decode is InvalidAnswer with where and why, and the request stays open", () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          output: Machines,
          run: () => Execution.waitForInput("how many?", Machines)
        })
        const execution = yield* start(workflow, "")
        const request = yield* onlyRequest(execution)
        const before = history(execution)
        for (const [field, value] of [
          ["count", { count: "x" }],
          ["count", {}],
          ["count", { count: 0 }],
          ["", 7],
          ["region", { count: 1, region: 5 }]
        ] as const) {
          const error = yield* Effect.flip(execution.answer(request.id, value))
          assert.deepInclude(error, { _tag: "InvalidAnswer", field, requestId: request.id })
        }
        for (const answer of [execution.approve(request.id), execution.reject(request.id)]) {
          assert.strictEqual((yield* Effect.flip(answer))._tag, "InvalidAnswer")
        }
        assert.deepStrictEqual(history(execution), before)
        yield* execution.answer(request.id, { count: 3, region: "north" }, { by: "ada" })
        assert.deepStrictEqual(yield* execution.result, { count: 3, region: "north" })
        assert.deepInclude(
          history(execution).find((event) => event._tag === "RequestAnswered"),
          { by: "ada" }
        )
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("the answer is given encoded and arrives decoded", () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          output: Schema.Date,
          run: () => Execution.waitForInput("when?", Schema.DateFromString)
        })
        const execution = yield* start(workflow, "")
        yield* execution.answer((yield* onlyRequest(execution)).id, "2020-01-01T00:00:00.000Z")
        assert.deepStrictEqual(yield* execution.result, new Date("2020-01-01T00:00:00.000Z"))
      }).pipe(memory)
    )

    it.effect("the request carries the JSON Schema of the answer, references included", () =>
      Effect.gen(function* () {
        class Place extends Schema.Class<Place>("Place")({ city: Schema.String }) {}
        const jsonSchema = Effect.fnUntraced(function* (schema: Schema.Codec<any, any>) {
          const workflow = Workflow.make("w", { output: Schema.Any, run: () => Execution.waitForInput("?", schema) })
          const execution = yield* start(workflow, "")
          const request = (yield* onlyRequest(execution)) as HumanRequest.InputRequest
          yield* execution.cancel()
          return JSON.stringify(request.jsonSchema)
        })
        assert.include(yield* jsonSchema(Schema.String), '"type":"string"')
        assert.include(yield* jsonSchema(Machines), '"count"')
        const place = yield* jsonSchema(Place)
        assert.include(place, '"city"', "a form can be drawn of a class too")
        const map = Schema.declare((u): u is Map<string, string> => u instanceof Map)
        assert.isString(yield* jsonSchema(map as never))
      }).pipe(memory)
    )

    it.effect("a timeout is InputTimedOut to the body", () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.catchTag(
              Execution.waitForInput("?", Schema.String, { timeout: "5 seconds" }),
              "InputTimedOut",
              (error) => Effect.succeed(`late by ${error.afterMillis}`)
            )
        })
        const execution = yield* start(workflow, "")
        const { expiresAt, id } = yield* onlyRequest(execution)
        assert.deepStrictEqual(expiresAt, new Date(5000))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* execution.result, "late by 5000")
        assert.deepInclude(yield* Effect.flip(execution.answer(id, "x")), {
          _tag: "RequestSettled",
          outcome: "timed-out"
        })
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect(
      "inputs work in a loop and in parallel branches, answered in any order, before or after the asker looks",
      () =>
        Effect.gen(function* () {
          const workflow = Workflow.make("w", {
            output: Schema.Array(Schema.String),
            run: () =>
              Effect.gen(function* () {
                const looped: Array<string> = []
                for (let i = 0; i < 3; i++) looped.push(yield* Execution.waitForInput(`loop ${i}`, Schema.String))
                const parallel = yield* Effect.forEach(
                  ["a", "b", "c"],
                  (key) => Execution.waitForInput(`branch ${key}`, Schema.String, { key }),
                  { concurrency: "unbounded" }
                )
                return [...looped, ...parallel]
              })
          })
          const execution = yield* start(workflow, "")
          const ids: Array<string> = []
          for (const value of ["x", "y", "z"]) {
            const { id } = yield* onlyRequest(execution)
            ids.push(id)
            yield* execution.answer(id, value)
          }
          const requests = yield* execution.requests
          for (const request of requests.toReversed()) {
            ids.push(request.id)
            yield* execution.answer(request.id, request.message)
          }
          assert.deepStrictEqual(yield* execution.result, ["x", "y", "z", "branch a", "branch b", "branch c"])
          assert.strictEqual(new Set(ids).size, 6)
          yield* consistent(execution)
        }).pipe(memory)
    )
  })

  describe("progress and logs", () => {
    it.effect("progress that is no number from 0 up is logged, not reported, and ends nothing", () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.gen(function* () {
              const reused = { current: 1, total: 3 }
              yield* Execution.progress(reused)
              reused.current = Number.NaN
              yield* Execution.progress(reused)
              yield* Execution.progress({ current: 2, total: Number.POSITIVE_INFINITY })
              yield* Execution.progress({ current: -1, total: 3 })
              return "done"
            })
        })
        const execution = yield* start(workflow, "")
        assert.strictEqual(yield* execution.result, "done")
        assert.deepStrictEqual(yield* execution.progress, { current: 1, total: 3 })
        const logs = yield* execution.logs
        assert.deepStrictEqual(
          logs.map(({ message }) => message.split(" is not reported")[0]),
          [
            'Progress of {"current":"NaN","total":3}',
            'Progress of {"current":2,"total":"Infinity"}',
            'Progress of {"current":-1,"total":3}'
          ]
        )
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("progress is the newest of the body, with total 0 as unknown; nested ones only emit events", () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const inner = Workflow.make("inner", { run: () => Effect.as(Execution.progress({ current: 7, total: 9 }), "") })
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.gen(function* () {
              yield* Execution.progress({ current: 1, total: 2, message: "half" })
              yield* inner.call("")
              yield* Step.make("s", { run: Execution.progress({ current: 8, total: 9 }) })
              yield* Deferred.await(gate)
              yield* Execution.progress({ current: 2, total: 2 })
              return ""
            })
        })
        const execution = yield* start(workflow, "")
        assert.deepStrictEqual(yield* execution.progress, { current: 1, total: 2, message: "half" })
        assert.strictEqual(count(execution, "Progressed"), 3)
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(yield* execution.progress, { current: 2, total: 2 })
        assert.deepStrictEqual(yield* (yield* start(echo, "")).progress, { current: 0, total: 0 })
      }).pipe(memory)
    )

    it.effect(
      "everything logged inside is in the logs with level and path, and reaches the loggers outside with the run's id",
      () =>
        Effect.gen(function* () {
          const outside: Array<unknown> = []
          const logger = Logger.make(({ fiber, message }) => {
            outside.push([message, fiber.getRef(References.CurrentLogAnnotations).executionId])
          })
          const workflow = Workflow.make("w", {
            run: () =>
              Effect.gen(function* () {
                yield* Effect.logInfo("hello", { a: 1 })
                yield* Step.make("s", { run: Effect.logWarning("careful") })
                yield* Effect.forkChild(Effect.logError("child")).pipe(Effect.flatMap(Fiber.join))
                return ""
              })
          })
          const execution = yield* Effect.provide(start(workflow, "", { id: "run-1" }), Logger.layer([logger]))
          yield* execution.result
          const logs = yield* execution.logs
          assert.deepStrictEqual(
            logs.map((entry) => [entry.level, entry.message, entry.path]),
            [
              ["Info", 'hello {"a":1}', ""],
              ["Warn", "careful", "s"],
              ["Error", "child", ""]
            ]
          )
          assert.deepStrictEqual(
            outside.map((line) => (line as [unknown, unknown])[1]),
            ["run-1", "run-1", "run-1"]
          )
        }).pipe(memory)
    )

    it.effect("a child's logs are the child's, not its parent's", () =>
      Effect.gen(function* () {
        const child = Workflow.make("child", { run: () => Effect.as(Effect.logInfo("from the child"), "") })
        const parent = Workflow.make("parent", {
          run: () => Effect.flatMap(Execution.startChild(child, "", { id: "child-1" }), (execution) => execution.result)
        })
        const execution = yield* start(parent, "")
        yield* execution.result
        assert.deepStrictEqual(yield* execution.logs, [])
        assert.strictEqual((yield* (yield* Engine.get("child-1")).logs).length, 1)
      }).pipe(memory)
    )

    it.effect("L1 memory keeps the newest events and logs and says what it dropped", () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.as(
              Effect.forEach(
                Array.from({ length: 1000 }, (_, i) => i),
                (i) => Effect.logInfo(String(i))
              ),
              "done"
            )
        })
        const execution = yield* start(workflow, "")
        yield* execution.result
        const events = yield* Stream.runCollect(execution.events)
        assert.deepInclude(events[0], { _tag: "EventsDropped" })
        const dropped = events[0] as Event.Of<"EventsDropped">
        assert.strictEqual(dropped.sequence, dropped.dropped)
        assert.strictEqual(events.length, 101)
        assert.strictEqual(events.at(-1)!.sequence, dropped.dropped + 100)
        const logs = yield* execution.logs
        assert.strictEqual(logs.at(-1)!.message, "999")
        assert.isBelow(logs.length, 101)
        yield* consistent(execution)
      }).pipe(Effect.provide(Engine.layerMemoryWith({ keepEvents: 100 })))
    )
  })

  describe("children", () => {
    it.effect(
      "a child is an execution of its own, with its defaults, its parent's budget, and an event in its parent",
      () =>
        Effect.gen(function* () {
          const child = Workflow.make("child", {
            defaults: { tags: ["little"] },
            run: (name) => Step.make("s", { run: Effect.succeed(name) })
          })
          const parent = Workflow.make("parent", {
            run: () =>
              Effect.gen(function* () {
                const one = yield* Execution.startChild(child, "one", { id: "c1" })
                const result = yield* one.result
                const two = yield* Execution.startChild(child, "two", { key: "again" })
                return `${result} ${yield* two.result}`
              })
          })
          const execution = yield* start(parent, "")
          assert.strictEqual(yield* execution.result, "one two")
          const children = yield* Engine.list({ parentId: execution.id })
          assert.deepStrictEqual(
            children.map((summary) => summary.tags),
            [["little"], ["little"]]
          )
          assert.deepInclude(
            history(execution).find((event) => event._tag === "ChildStarted"),
            { childId: "c1", workflow: "child", path: "child" }
          )
          assert.strictEqual((yield* execution.usage).steps, 2)
        }).pipe(memory)
    )

    it.effect("E6 a child is cancelled when its parent settles in any way, before the parent is settled", () =>
      Effect.gen(function* () {
        yield* firstSleep
        const slow = Workflow.make("slow", {
          defaults: { cancel: { graceful: true } },
          run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("2 seconds"))
        })
        const ends: ReadonlyArray<readonly [string, Effect.Effect<string, never>]> = [
          ["completed", Effect.succeed("done")],
          ["failed", Effect.die("bug")],
          ["cancelled", Effect.interrupt]
        ]
        for (const [status, end] of ends) {
          const parent = Workflow.make(`parent ${status}`, {
            run: () =>
              Effect.andThen(
                Effect.all([Execution.startChild(slow, ""), Execution.startChild(slow, "", { key: "2" })]),
                end
              )
          })
          const execution = yield* start(parent, "")
          assert.isFalse(["completed", "failed", "cancelled"].includes(yield* execution.status))
          yield* TestClock.adjust("2 seconds")
          assert.strictEqual(yield* execution.status, status)
          const children = yield* Engine.list({ parentId: execution.id })
          assert.deepStrictEqual(
            children.map((summary) => summary.status),
            ["cancelled", "cancelled"]
          )
          const own = (yield* Engine.list({ workflow: `parent ${status}` }))[0]
          assert.deepStrictEqual(
            children.map((summary) => summary.settledAt),
            [own.settledAt, own.settledAt]
          )
          yield* consistent(execution)
        }
      }).pipe(memory)
    )

    it.effect(
      "a cancel while the children of a completed body end gracefully cancels unless the body has succeeded",
      () =>
        Effect.gen(function* () {
          yield* firstSleep
          const slow = Workflow.make("slow", {
            defaults: { cancel: { graceful: true } },
            run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("2 seconds"))
          })
          const cases = [
            { body: Effect.succeed("fine"), answer: "already-settled", status: "completed" },
            { body: Effect.succeed(5 as never), answer: "cancelled", status: "cancelled" },
            { body: Effect.die("bug"), answer: "cancelled", status: "cancelled" }
          ] as const
          for (const { answer, body, status } of cases) {
            const parent = Workflow.make(`parent ${status} ${answer}`, {
              run: () => Effect.andThen(Execution.startChild(slow, ""), body)
            })
            const execution = yield* start(parent, "", { retry: { attempts: 2, delay: "1 hour" } })
            const fiber = yield* Effect.forkChild(execution.cancel())
            yield* TestClock.adjust("2 seconds")
            assert.strictEqual(yield* Fiber.join(fiber), answer)
            assert.strictEqual(yield* execution.status, status)
            yield* consistent(execution)
          }
        }).pipe(memory)
    )

    it.effect("E6 a body that ends by itself while its cancelled children still end waits for them", () =>
      Effect.gen(function* () {
        yield* firstSleep
        const done: Array<string> = []
        yield* firstSleep
        const slow = Workflow.make("slow", {
          defaults: { cancel: { graceful: true } },
          run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("5 seconds"))
        })
        const parent = Workflow.make("parent", {
          run: () =>
            Effect.gen(function* () {
              yield* Execution.startChild(slow, "")
              yield* Effect.sleep("2 seconds")
              yield* Step.make("after the cancel", { run: Effect.sync(() => void done.push("step")) })
              return "done"
            })
        })
        const execution = yield* start(parent, "")
        const fiber = yield* Effect.forkChild(execution.cancel("stop"))
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* execution.status, "in-progress")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "cancelled")
        assert.deepStrictEqual(done, [], "nothing new begins after an accepted cancel")
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("E6 a body that runs out while its cancelled children still end waits for them too", () =>
      Effect.gen(function* () {
        yield* firstSleep
        const slow = Workflow.make("slow", {
          defaults: { cancel: { graceful: true } },
          run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("5 seconds"))
        })
        const parent = Workflow.make("parent", {
          run: () => Effect.andThen(Execution.startChild(slow, ""), Effect.as(Effect.sleep("2 seconds"), "done"))
        })
        const execution = yield* start(parent, "")
        const fiber = yield* Effect.forkChild(execution.cancel("stop"))
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* execution.status, "in-progress")
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "cancelled")
        const settled = (yield* Engine.list()).map((summary) => summary.settledAt?.getTime())
        assert.deepStrictEqual(settled, [5001, 5001])
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("an execution that somebody else started under the child's id stays theirs", () =>
      Effect.gen(function* () {
        const shared = yield* start(forever, "", { id: "shared" })
        const parent = Workflow.make("parent", {
          run: () => Effect.map(Execution.startChild(forever, "", { id: "shared" }), (child) => child.id)
        })
        const execution = yield* start(parent, "")
        yield* settle
        assert.strictEqual(yield* execution.result, "shared")
        assert.strictEqual(yield* shared.status, "in-progress")
        yield* shared.cancel()
      }).pipe(memory)
    )

    it.effect("a body that starts itself as its own child can still be cancelled", () =>
      Effect.gen(function* () {
        const self: Workflow.Workflow<string, string> = Workflow.make("self", {
          run: (): Effect.Effect<string, never, Execution.Current> =>
            Effect.flatMap(Execution.startChild(self, "x", { id: "ouroboros" }), (child) => Effect.orDie(child.result))
        })
        const execution = yield* start(self, "x", { id: "ouroboros" })
        yield* settle
        assert.strictEqual(yield* execution.status, "in-progress")
        assert.strictEqual(yield* execution.cancel(), "cancelled")
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("a child that cancels its parent while it is being started leaves nobody behind", () =>
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        const child = Workflow.make("child", {
          run: (parent) =>
            Effect.andThen(
              Effect.orDie(Effect.flatMap(engine.get(parent), (execution) => execution.cancel("child"))),
              Effect.never
            )
        })
        const parent = Workflow.make("parent", {
          run: () =>
            Effect.flatMap(Execution.id, (id) =>
              Effect.flatMap(Execution.startChild(child, id), (execution) => execution.result)
            )
        })
        const execution = yield* start(parent, "")
        yield* settle
        yield* consistent(execution)
        assert.deepStrictEqual(
          (yield* Engine.list()).map((summary) => summary.status),
          ["cancelled", "cancelled"]
        )
      }).pipe(memory)
    )
  })

  it.effect("a scoped resource lives as long as its attempt", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.gen(function* () {
            yield* Effect.acquireRelease(
              Effect.sync(() => void log.push("open")),
              () => Effect.sync(() => void log.push("close"))
            )
            log.push("use")
            return "done"
          })
      })
      yield* workflow.execute("")
      assert.deepStrictEqual(log, ["open", "use", "close"])
      class Conn extends Context.Service<Conn, number>()("test/Conn") {}
      const layer = Layer.effect(
        Conn,
        Effect.acquireRelease(
          Effect.as(
            Effect.sync(() => void log.push("layer")),
            1
          ),
          () => Effect.sync(() => void log.push("released"))
        )
      )
      const provided = Workflow.make("p", { run: () => Effect.map(Conn, String) }).pipe(Workflow.provide(layer))
      assert.strictEqual(yield* provided.execute(""), "1")
      assert.deepStrictEqual(log.slice(3), ["layer", "released"])
    }).pipe(memory)
  )
})
