// An execution on its way into the memory: what comes between leaves it where it is taken up again.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable } from "../../src/engines/durable/layer.ts"
import { realSleep } from "../../src/engines/durable/writer.ts"
import { onOne, parked, parks } from "./parks.ts"

const asks = Workflow.make("asks", {
  run: () => Effect.map(Execution.waitForApproval("ok?", { timeout: "1 hour" }), ({ reason }) => `${reason}`)
})

const start = Effect.flatMap(asks.run("", { id: "r" }), (run) => run.start)

/** Does something once the row of an execution says that this process has it, and before it has. */
const whileTakenUp = (between: Effect.Effect<unknown>) =>
  Effect.map(Durable, (engine) => {
    const query = engine.query.bind(engine)
    let isDone = false
    engine.query = <A extends object>(text: string, params?: ReadonlyArray<unknown>) => {
      const rows = query<A>(text, params)
      if (isDone || !text.includes("FROM baton_timers")) return rows
      isDone = true
      return Effect.tap(rows, () => between)
    }
  })

describe("a run that is taken up for somebody", () => {
  it.effect("goes on when they are interrupted in the middle (D6)", () =>
    Effect.gen(function* () {
      const outcome = yield* onOne(
        Effect.gen(function* () {
          const execution = yield* start
          yield* parked
          let answering: Fiber.Fiber<unknown, unknown> | undefined
          yield* whileTakenUp(Effect.sync(() => answering?.interruptUnsafe()))
          answering = yield* Effect.forkChild(execution.pause)
          yield* Fiber.await(answering)
          yield* TestClock.adjust("1 hour")
          return yield* execution.result
        })
      )
      assert.strictEqual(outcome, "timeout")
    })
  )

  it.effect("is taken up again when the database fails in the middle (D6)", () =>
    Effect.gen(function* () {
      const outcome = yield* onOne(
        Effect.gen(function* () {
          const execution = yield* start
          yield* parked
          yield* whileTakenUp(Effect.die(new Error("The connection is gone")))
          yield* TestClock.adjust("1 hour")
          return yield* execution.result
        })
      )
      assert.strictEqual(outcome, "timeout")
    })
  )

  it.effect("has its answer when who gives it is interrupted as soon as it is written (D6, D8)", () =>
    Effect.gen(function* () {
      const outcome = yield* onOne(
        Effect.gen(function* () {
          const execution = yield* start
          const [request] = yield* execution.requests
          const engine = yield* Durable
          const query = engine.query.bind(engine)
          let answering: Fiber.Fiber<unknown, unknown> | undefined
          engine.query = <A extends object>(text: string, params?: ReadonlyArray<unknown>) => {
            const rows = query<A>(text, params)
            return text.startsWith("SELECT * FROM baton_answers WHERE execution_id")
              ? Effect.andThen(
                  Effect.sync(() => answering?.interruptUnsafe()),
                  rows
                )
              : rows
          }
          answering = yield* Effect.forkChild(execution.approve(request.id, { reason: "fine" }))
          yield* Fiber.await(answering)
          return yield* execution.result
        }),
        {}
      )
      assert.strictEqual(outcome, "fine")
    })
  )
})

describe("a body that works for a while before it comes to where it waited", () => {
  it.effect("does not leave the memory before, and its sleep ends (D6, D7)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const slow = Workflow.make("slow", {
        run: Effect.fnUntraced(function* () {
          const asked = Effect.as(Execution.waitForApproval("ok?"), "asked")
          const slept = Effect.as(Effect.andThen(realSleep(60), Effect.sleep("1 hour")), "slept")
          return yield* Effect.raceFirst(asked, slept)
        })
      })
      yield* live(
        filename,
        {},
        undefined,
        Effect.andThen(
          Effect.flatMap(slow.run("", { id: "r" }), (run) => run.start),
          realSleep(150)
        )
      )
      const life = yield* live(
        filename,
        parks,
        undefined,
        Effect.gen(function* () {
          yield* (yield* Engine.Engine).register(slow)
          yield* realSleep(50)
          yield* parked
          yield* TestClock.adjust("1 hour")
          return yield* Effect.flatMap(Engine.get("r"), (execution) => execution.result)
        })
      )
      assert.strictEqual(life.result, "slept")
    }).pipe(Effect.scoped)
  )
})
