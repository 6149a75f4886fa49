import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Equal, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Event, Execution, Step, Workflow } from "effect-baton"
import { consistent, history, onlyRequest, settle, start, tags } from "./support/executions.ts"

const memory = Effect.provide(Engine.layerMemory)
const codec = Schema.toCodecJson(Event.Event)

class Boom extends Schema.TaggedError<Boom>()("Boom", {}) {}

/** A run in which nearly everything happens. */
const eventful = Effect.gen(function* () {
  let tries = 0
  const child = Workflow.make("child", { run: () => Effect.never })
  const workflow = Workflow.make("eventful", {
    error: Boom,
    run: () =>
      Effect.gen(function* () {
        yield* Execution.progress({ current: 0, total: 0 })
        yield* Effect.logInfo("begins")
        yield* Execution.startChild(child, "")
        yield* Effect.exit(Step.make("bad", { run: Effect.fail(new Boom()), retry: { attempts: 1, delay: 0 } }))
        yield* Step.make("good", { run: Effect.sleep("2 seconds") })
        if (++tries === 1) return yield* new Boom()
        yield* Execution.waitForApproval("approve?")
        yield* Execution.waitForInput("name?", Schema.String)
        return "done"
      })
  })
  const execution = yield* start(workflow, "", {
    retry: { attempts: 1, delay: "1 second" },
    timeout: { duration: "1 second", onTimeout: "continue" },
    cancel: { beforeCancel: Effect.succeed(false) }
  })
  yield* execution.pause
  yield* execution.resume
  yield* execution.cancel("no")
  yield* TestClock.adjust("10 seconds")
  yield* execution.approve((yield* onlyRequest(execution)).id, { by: "ada" })
  yield* execution.answer((yield* onlyRequest(execution)).id, "bob")
  yield* execution.result
  return execution
})

describe("Event", () => {
  it.prop("every event goes through JSON and comes back equal", { event: Event.Event }, ({ event }) => {
    const json = JSON.parse(JSON.stringify(Schema.encodeSync(codec)(event)))
    // JSON knows no negative zero, and Equal makes no difference.
    assert.isTrue(Equal.equals(Schema.decodeUnknownSync(codec)(json), event))
  })

  it.effect("the events of a real run are described by the schema and go through JSON", () =>
    Effect.gen(function* () {
      const execution = yield* eventful
      const events = history(execution)
      for (const event of events) {
        assert.isTrue(Schema.is(Event.Event)(event), JSON.stringify(event))
        const json = JSON.parse(JSON.stringify(Schema.encodeSync(codec)(event)))
        assert.deepStrictEqual(Schema.decodeUnknownSync(codec)(json), event)
      }
      const seen = new Set(tags(execution))
      for (const tag of [
        "RunStarted",
        "StatusChanged",
        "AttemptStarted",
        "RetryScheduled",
        "StepStarted",
        "StepCompleted",
        "StepRetried",
        "StepFailed",
        "RequestOpened",
        "RequestAnswered",
        "RequestSettled",
        "Progressed",
        "Logged",
        "TimedOut",
        "Paused",
        "Resumed",
        "CancelPrevented",
        "ChildStarted",
        "RunCompleted"
      ] as const) {
        assert.isTrue(seen.has(tag), tag)
      }
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("times are those of the clock, in order, and paths those of the steps", () =>
    Effect.gen(function* () {
      const execution = yield* eventful
      const events = history(execution)
      const times = events.map((event) => event.time.getTime())
      assert.deepStrictEqual(
        times,
        times.toSorted((a, b) => a - b)
      )
      assert.strictEqual(times.at(-1), 10_000)
      const completed = events.filter((event) => event._tag === "StepCompleted")
      assert.deepStrictEqual(
        completed.map((event) => [event.path, event.time.getTime()]),
        [
          ["good", 2000],
          ["good", 5000]
        ]
      )
    }).pipe(memory)
  )

  it.effect("a clock that is put back does not spoil the events", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(10_000)
      const gate = yield* Deferred.make<void>()
      const workflow = Workflow.make("w", {
        run: () => Effect.as(Step.make("s", { run: Deferred.await(gate) }), "done")
      })
      const execution = yield* start(workflow, "")
      yield* TestClock.setTime(3_333.5)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* execution.result, "done")
      yield* consistent(execution)
      assert.deepStrictEqual(tags(execution).slice(-3), ["StepCompleted", "StatusChanged", "RunCompleted"])
    }).pipe(memory)
  )

  it.effect("a stream is the history, then live, and ends at the terminal event", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.gen(function* () {
            yield* Step.make("one", { run: Effect.void })
            yield* Deferred.await(gate)
            yield* Step.make("two", { run: Effect.void })
            return "done"
          })
      })
      const execution = yield* start(workflow, "")
      const seen: Array<string> = []
      const reading = yield* execution.events.pipe(
        Stream.runForEach((event) => Effect.sync(() => void seen.push(event._tag))),
        Effect.forkChild
      )
      yield* settle
      const before = seen.length
      assert.strictEqual(before, history(execution).length)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(reading)
      assert.deepStrictEqual(seen, tags(execution))
      assert.isAbove(seen.length, before)
    }).pipe(memory)
  )

  it.effect("eventsFrom(n) begins at n, whatever n is, and every reader has its own place", () =>
    Effect.gen(function* () {
      const execution = yield* eventful
      const all = yield* Stream.runCollect(execution.events)
      const from = (n: number) =>
        Effect.map(Stream.runCollect(execution.eventsFrom(n)), (events) => events.map((event) => event.sequence))
      const sequences = all.map((event) => event.sequence)
      for (const n of [1, 2, 10, all.length, all.length + 1]) {
        assert.deepStrictEqual(yield* from(n), sequences.slice(n - 1))
      }
      for (const n of [0, -5, Number.NaN, Number.NEGATIVE_INFINITY]) assert.deepStrictEqual(yield* from(n), sequences)
      assert.deepStrictEqual(yield* from(3.5), sequences.slice(3))
      assert.deepStrictEqual(yield* from(Number.POSITIVE_INFINITY), [])
    }).pipe(memory)
  )

  it.effect("L2 a slow reader holds nobody and still sees everything that is kept", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.as(
            Effect.forEach(
              Array.from({ length: 50 }, (_, i) => i),
              (i) => Step.make("s", { key: String(i), run: Effect.sleep(1) })
            ),
            "done"
          )
      })
      const execution = yield* start(workflow, "")
      const seen: Array<number> = []
      const reading = yield* execution.events.pipe(
        Stream.runForEach((event) =>
          Effect.andThen(
            Effect.sleep("1 second"),
            Effect.sync(() => void seen.push(event.sequence))
          )
        ),
        Effect.forkChild
      )
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* execution.status, "completed")
      yield* TestClock.adjust("10 minutes")
      yield* Fiber.join(reading)
      assert.deepStrictEqual(seen, Array.from({ length: 106 }, (_, i) => i + 1).slice(0, seen.length))
      assert.strictEqual(seen.length, history(execution).length)
    }).pipe(memory)
  )

  it.effect("L1 a reader that falls behind what is kept is told so in place of what was dropped", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.as(
            Effect.forEach(
              Array.from({ length: 300 }, (_, i) => i),
              (i) => Effect.andThen(Effect.sleep(1), Effect.logInfo(String(i)))
            ),
            "done"
          )
      })
      const execution = yield* start(workflow, "")
      const seen: Array<Event.Event> = []
      const reading = yield* execution.events.pipe(
        Stream.rechunk(1),
        Stream.runForEach((event) =>
          Effect.andThen(
            Effect.sleep(seen.length === 5 ? "1 second" : 0),
            Effect.sync(() => void seen.push(event))
          )
        ),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(reading)
      const gaps = seen.filter((event) => event._tag === "EventsDropped")
      assert.isAbove(gaps.length, 0)
      for (let i = 1; i < seen.length; i++) {
        const gap = seen[i]._tag === "EventsDropped"
        if (!gap) assert.strictEqual(seen[i].sequence, seen[i - 1].sequence + 1)
        else assert.isAbove(seen[i].sequence, seen[i - 1].sequence)
      }
      assert.isTrue(Event.isTerminal(seen.at(-1)!))
    }).pipe(Effect.provide(Engine.layerMemoryWith({ keepEvents: 20 })))
  )

  it("the terminal events are RunCompleted, RunFailed and RunCancelled", () => {
    const terminal = ["RunCompleted", "RunFailed", "RunCancelled"]
    for (const member of Event.Event.members) {
      const tag = member.fields._tag.schema.literal
      assert.strictEqual(Event.isTerminal({ _tag: tag } as Event.Event), terminal.includes(tag))
    }
  })
})
