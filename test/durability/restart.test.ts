// What survives the time between two processes: sleeps, delays, expiries, timeouts, cancels, and steps that end late.
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schema, Stream } from "effect"
import { Engine, Execution, Step, Timeout, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import type { Settings } from "../../src/engines/durable/engine.ts"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"

const step = (name: string) => Step.make(name, { run: Effect.succeed(name) })

const until = (execution: Execution.Execution<any, any>, tag: string, path?: string) =>
  execution.events.pipe(
    Stream.takeUntil((event) => event._tag === tag && (path === undefined || event.path === path)),
    Stream.runDrain
  )

/** The process is gone, without a word. */
const die = Effect.flatMap(Durable, (engine) => Effect.sync(() => engine.writer.onCrash!()))

const now = Clock.currentTimeMillis

const parks: Settings = { idle: 0, pollInterval: "10 millis" }

/** Starts a run, lets it come to an event, and ends: by a shutdown, or as a crash. */
const begin = <I, O, E>(
  filename: string,
  workflow: Workflow.Workflow<I, O, E>,
  input: NoInfer<I>,
  to: string,
  how: "dies" | "parks",
  options: Parameters<typeof workflow.run>[1] = {}
) =>
  live(
    filename,
    parks,
    undefined,
    Effect.gen(function* () {
      const execution = yield* (yield* workflow.run(input, { ...options, id: "r" })).start
      yield* until(execution, to)
      if (how === "dies") return yield* die
      yield* Effect.sleep("50 millis")
    })
  )

/** Goes on with the run until it settles. */
const goOn = (filename: string, workflow: Workflow.Workflow<any, any, any>) =>
  live(
    filename,
    parks,
    undefined,
    Effect.gen(function* () {
      const started = yield* now
      const engine = yield* Engine.Engine
      yield* engine.register(workflow)
      const execution = yield* Engine.get("r")
      const exit = yield* execution.exit
      return { exit, took: (yield* now) - started, events: yield* Stream.runCollect(execution.events) }
    })
  )

for (const how of ["dies", "parks"] as const) {
  describe(`while a run waits, its process ${how === "dies" ? "dies" : "ends, after the run has left its memory"}`, () => {
    it.live("a sleep of the body ends when it was to end (D7)", () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const sleeps = Workflow.make("sleeps", {
          run: Effect.fnUntraced(function* () {
            yield* step("a")
            yield* Effect.sleep("400 millis")
            return yield* step("b")
          })
        })
        const began = yield* now
        yield* begin(filename, sleeps, "", "StepCompleted", how)
        const { result } = yield* goOn(filename, sleeps)
        assert.strictEqual(result!.exit._tag, "Success")
        const took = (yield* now) - began
        assert.isAtLeast(took, 395)
        // Late by no more than a process needs to begin on a machine that has other things to do.
        assert.isBelow(took, 5000)
      }).pipe(Effect.scoped)
    )

    it.live("what was due meanwhile comes at once (D7)", () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const asks = Workflow.make("asks", {
          run: Effect.fnUntraced(function* () {
            const { reason } = yield* Execution.waitForApproval("ok?", { timeout: "150 millis" })
            yield* Effect.sleep("1 millis")
            return `${reason}`
          })
        })
        yield* begin(filename, asks, "", "RequestOpened", how)
        yield* Effect.sleep("200 millis")
        const { result } = yield* goOn(filename, asks)
        assert.deepStrictEqual(result!.exit._tag === "Success" && result!.exit.value, "timeout")
        assert.isBelow(result!.took, 1000)
      }).pipe(Effect.scoped)
    )

    it.live("a timeout of the attempt counts the time in between (D7)", () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const asks = Workflow.make("slow", { run: () => Effect.as(Execution.waitForApproval("ok?"), "") })
        yield* begin(filename, asks, "", "RequestOpened", how, { timeout: "200 millis" })
        yield* Effect.sleep("200 millis")
        const { result } = yield* goOn(filename, asks)
        const { exit } = result!
        assert.isTrue(exit._tag === "Failure")
        const reason = exit._tag === "Failure" ? exit.cause.reasons[0] : undefined
        const error = reason?._tag === "Fail" ? reason.error : undefined
        assert.instanceOf(error, Timeout.RunTimedOut)
        assert.isBelow(result!.took, 1000)
      }).pipe(Effect.scoped)
    )

    it.live("the delay before a retry ends when it was to end (D7)", () =>
      Effect.gen(function* () {
        class Down extends Schema.TaggedError<Down>()("Down", {}) {}
        const filename = yield* temporaryFile
        let isUp = false
        const retries = Workflow.make("retries", {
          error: Down,
          defaults: { retry: { attempts: 1, delay: "300 millis" } },
          run: () =>
            Step.make("try", { error: Down, run: Effect.suspend(() => (isUp ? Effect.succeed("up") : new Down())) })
        })
        const began = yield* now
        yield* begin(filename, retries, "", "RetryScheduled", how)
        isUp = true
        const { result } = yield* goOn(filename, retries)
        assert.strictEqual(result!.exit._tag === "Success" && result!.exit.value, "up")
        assert.isAtLeast((yield* now) - began, 295)
      }).pipe(Effect.scoped)
    )

    it.live("a cancel that comes when no process runs it is carried out by the next one (D9)", () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        const log: Array<string> = []
        const asks = Workflow.make("asks", {
          defaults: { cancel: { graceful: true } },
          run: () =>
            Effect.as(Execution.waitForApproval("ok?"), "").pipe(
              Effect.onInterrupt(() =>
                Effect.orDie(Step.make("undo", { run: Effect.sync(() => void log.push("undo")) }))
              )
            )
        })
        yield* begin(filename, asks, "", "RequestOpened", how)
        yield* live(
          filename,
          { runs: false },
          undefined,
          Effect.gen(function* () {
            const execution = yield* Engine.get("r")
            assert.strictEqual(yield* execution.status, "awaiting")
            yield* Effect.forkChild(execution.cancel("too late"))
            yield* Effect.sleep("50 millis")
          })
        )
        const { result } = yield* goOn(filename, asks)
        assert.include(String(result!.exit), "too late")
        assert.deepStrictEqual(log, ["undo"])
        assert.strictEqual(result!.events.at(-1)?._tag, "RunCancelled")
      }).pipe(Effect.scoped)
    )
  })
}

describe("a cancel that somebody is being asked about", () => {
  it.live("is asked about again after a crash, and carried out (D9)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      let isUp = false
      const asked: Array<string | undefined> = []
      const asks = Workflow.make("asks", {
        defaults: {
          cancel: {
            beforeCancel: (reason) =>
              Effect.suspend(() => {
                asked.push(reason)
                return isUp ? Effect.succeed(true) : Effect.never
              })
          }
        },
        run: () => Effect.as(Execution.waitForApproval("ok?"), "")
      })
      yield* live(
        filename,
        {},
        undefined,
        Effect.gen(function* () {
          const execution = yield* (yield* asks.run("", { id: "r" })).start
          yield* Effect.forkChild(execution.cancel("enough"))
          while (asked.length === 0) yield* Effect.sleep("5 millis")
          yield* die
          yield* Effect.never
        })
      )
      isUp = true
      const { result } = yield* goOn(filename, asks)
      assert.include(String(result!.exit), "enough")
      assert.deepStrictEqual(asked, ["enough", "enough"])
    }).pipe(Effect.scoped)
  )
})

describe("a shutdown", () => {
  it.live("lets a running step end, begins no other, and another process goes on (D1)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const log: Array<string> = []
      const work = Workflow.make("work", {
        run: Effect.fnUntraced(function* () {
          yield* Step.make("long", {
            run: Effect.andThen(
              Effect.sleep("150 millis"),
              Effect.sync(() => void log.push("long"))
            )
          })
          yield* Step.make("next", { run: Effect.sync(() => void log.push("next")) })
          return "done"
        })
      })
      yield* begin(filename, work, "", "StepStarted", "parks")
      assert.deepStrictEqual(log, ["long"])
      const { result } = yield* goOn(filename, work)
      assert.strictEqual(result!.exit._tag, "Success")
      assert.deepStrictEqual(log, ["long", "next"])
    }).pipe(Effect.scoped)
  )
})

describe("a parked run", () => {
  it.live("leaves the memory of its process, and an answer brings it back at once (D6)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const asks = Workflow.make("asks", {
        run: Effect.fnUntraced(function* () {
          for (const n of [1, 2, 3, 4]) yield* Execution.waitForApproval(`${n}?`)
          return "done"
        })
      })
      yield* Effect.gen(function* () {
        const engine = yield* Durable
        const executions = yield* Effect.forEach(Array.from({ length: 50 }), () =>
          Effect.flatMap(asks.run(""), (run) => run.start)
        )
        for (let n = 0; n < 4; n++) {
          while (engine.residents.size > 0) yield* Effect.sleep("5 millis")
          yield* Effect.forEach(
            executions,
            (execution) =>
              Effect.gen(function* () {
                const [request] = yield* execution.requests
                yield* execution.approve(request.id)
                // It may leave again before its asker looks.
                yield* Effect.yieldNow
              }),
            { concurrency: "unbounded" }
          )
        }
        const outputs = yield* Effect.forEach(executions, (execution) => execution.result)
        assert.isTrue(outputs.every((output) => output === "done"))
        assert.strictEqual(engine.residents.size, 0)
      }).pipe(Effect.provide(layerSqlite({ filename, ...parks })))
    }).pipe(Effect.scoped)
  )
})

describe("a copy of the file that was made while an engine ran", () => {
  it.live("is gone on with where the run was then, under the same idempotency keys", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const copy = `${filename}.copy`
      const keys: Array<string> = []
      const keyed = (name: string) =>
        Step.make(name, { run: Effect.map(Step.idempotencyKey, (key) => void keys.push(key)) })
      const asks = Workflow.make("asks", {
        run: Effect.fnUntraced(function* () {
          yield* keyed("before")
          const { approvedBy } = yield* Execution.waitForApproval("ok?")
          yield* keyed("after")
          return `${approvedBy}`
        })
      })
      const answered = (by: string) =>
        Effect.gen(function* () {
          const execution = yield* (yield* asks.run("", { id: "a" })).start
          yield* execution.approve((yield* Execution.nextRequest(execution)).id, { by })
          return yield* execution.result
        })
      const program = Effect.gen(function* () {
        const execution = yield* (yield* asks.run("", { id: "a" })).start
        yield* Execution.nextRequest(execution)
        yield* Effect.sync(() => new DatabaseSync(filename).exec(`VACUUM INTO '${copy}'`))
        return yield* answered("ada")
      })
      assert.strictEqual(yield* Effect.provide(program, layerSqlite({ filename })), "ada")
      assert.strictEqual(yield* Effect.provide(answered("bob"), layerSqlite({ filename: copy })), "bob")
      assert.deepStrictEqual(keys, ["a:before", "a:after", "a:after"])
    }).pipe(Effect.scoped)
  )
})
