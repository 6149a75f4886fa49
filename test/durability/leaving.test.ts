// What leaves the memory, and when: whatever only waits, in its first life as in every other.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Execution, Step, Workflow } from "effect-baton"
import { Durable } from "../../src/engines/durable/layer.ts"
import { realSleep } from "../../src/engines/durable/writer.ts"
import { onOne, parked } from "./parks.ts"

const step = (name: string) => Step.make(name, { run: Effect.succeed(name) })

const start = (workflow: Workflow.Workflow<string, string, any>, options: object = {}) =>
  Effect.flatMap(workflow.run("", options), (run) => run.start)

describe("a run leaves the memory, and comes back in time (D6, D7)", () => {
  it.effect("while its body sleeps", () =>
    Effect.gen(function* () {
      const naps = Workflow.make("naps", { run: () => Effect.andThen(Effect.sleep("1 day"), step("up")) })
      const result = yield* onOne(
        Effect.gen(function* () {
          const execution = yield* start(naps)
          yield* parked
          yield* TestClock.adjust("1 day")
          return yield* execution.result
        })
      )
      assert.strictEqual(result, "up")
    })
  )

  it.effect("while it waits for its next attempt", () =>
    Effect.gen(function* () {
      let tries = 0
      const flaky = Workflow.make("flaky", {
        error: Schema.String,
        run: () =>
          Step.make("try", { run: Effect.suspend(() => (++tries === 2 ? Effect.succeed("up") : Effect.fail("down"))) })
      })
      const result = yield* onOne(
        Effect.gen(function* () {
          const execution = yield* start(flaky, { retry: { attempts: 1, delay: "1 day" } })
          yield* parked
          yield* TestClock.adjust("1 day")
          return yield* execution.result
        })
      )
      assert.strictEqual(result, "up")
    })
  )

  it.effect("between attempts by a schedule, which goes on where it was", () =>
    Effect.gen(function* () {
      let tries = 0
      const schedule = Schedule.max([Schedule.exponential("1 day"), Schedule.recurs(2)])
      const down = Workflow.make("down", {
        error: Schema.String,
        defaults: { retry: { schedule } },
        run: () => Step.make("try", { run: Effect.suspend(() => Effect.fail(`down ${++tries}`)) })
      })
      const found = yield* onOne(
        Effect.gen(function* () {
          const execution = yield* start(down)
          for (const days of [1, 2]) {
            yield* parked
            yield* TestClock.adjust(`${days} days`)
          }
          const error = yield* Effect.flip(execution.result)
          const events = yield* Stream.runCollect(execution.events)
          const delays = events.flatMap((event) =>
            event._tag === "RetryScheduled" ? [event.delayMillis / 86_400_000] : []
          )
          return [error, ...delays]
        })
      )
      assert.deepStrictEqual(found, ["down 3", 1, 2])
    })
  )

  it.effect("while a child of it waits for a person, and the child of another sleeps", () =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval("ok?"), "asked") })
      const naps = Workflow.make("naps", { run: () => Effect.as(Effect.sleep("1 day"), "slept") })
      const waits = (child: typeof asks) =>
        Workflow.make(`${child.name} below`, {
          run: () => Effect.flatMap(Execution.startChild(child, "", { id: child.name }), (below) => below.result)
        })
      const results = yield* onOne(
        Effect.gen(function* () {
          const executions = [yield* start(waits(asks)), yield* start(waits(naps))]
          yield* parked
          yield* TestClock.adjust("1 day")
          const engine = yield* Durable
          yield* engine.answers.answer("asks", "asks:approval", { _tag: "Verdict", approved: true, options: undefined })
          return yield* Effect.forEach(executions, (execution) => execution.result)
        })
      )
      assert.deepStrictEqual(results, ["asked", "slept"])
    })
  )
})

describe("a run that waits again and again for less than it may stay in the memory", () => {
  it.effect("does not leave it", () =>
    Effect.gen(function* () {
      const rounds = Array.from({ length: 10 })
      const naps = Workflow.make("naps", {
        run: () =>
          Effect.as(
            Effect.forEach(rounds, () => Effect.sleep("100 millis"), { discard: true }),
            "up"
          )
      })
      const claims = yield* onOne(
        Effect.gen(function* () {
          const engine = yield* Durable
          let claims = 0
          const query = engine.query.bind(engine)
          engine.query = <A extends object>(text: string, params?: ReadonlyArray<unknown>) => {
            if (text.includes("SET epoch")) claims++
            return query<A>(text, params)
          }
          const execution = yield* start(naps)
          // The engine looks by the real time for what has waited long enough by the other.
          for (const _ of rounds) yield* Effect.andThen(TestClock.adjust("100 millis"), realSleep(100))
          assert.strictEqual(yield* execution.result, "up")
          return claims
        }),
        { idle: 300 }
      )
      assert.strictEqual(claims, 0)
    })
  )
})

describe("a run stays in the memory while its body works outside of steps", () => {
  /** How often a body was begun, and what it came to, where what waits leaves after a moment. */
  const lives = (body: Effect.Effect<string>) =>
    Effect.gen(function* () {
      let begun = 0
      const workflow = Workflow.make("works", {
        run: () =>
          Effect.andThen(
            Effect.sync(() => ++begun),
            body
          )
      })
      const result = yield* onOne(workflow.execute(""), { idle: "40 millis", pollInterval: "10 millis" })
      return [begun, result]
    })

  const work = Effect.as(realSleep(300), "done")

  it.live("within a timeout", () =>
    Effect.map(lives(Effect.orDie(Effect.timeout(work, "10 seconds"))), (found) =>
      assert.deepStrictEqual(found, [1, "done"])
    )
  )

  it.live("in a branch beside a sleep", () =>
    Effect.map(
      lives(Effect.map(Effect.all([work, Effect.sleep("350 millis")], { concurrency: 2 }), ([text]) => text)),
      (found) => assert.deepStrictEqual(found, [1, "done"])
    )
  )

  it.live("in a fork, while it sleeps", () =>
    Effect.map(
      lives(
        Effect.flatMap(Effect.forkChild(work), (fork) => Effect.andThen(Effect.sleep("250 millis"), Fiber.join(fork)))
      ),
      (found) => assert.deepStrictEqual(found, [1, "done"])
    )
  )
})
