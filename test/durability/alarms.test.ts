// Wake-ups of runs that wait for time outside of the memory: none is lost, whenever it falls due.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable } from "../../src/engines/durable/layer.ts"
import { onOne, parked, parks } from "./parks.ts"

const asks = Workflow.make("asks", {
  run: (hours) =>
    Effect.map(Execution.waitForApproval("ok?", { timeout: `${Number(hours)} hours` }), ({ reason }) => `${reason}`)
})

const start = (hours: string) => Effect.flatMap(asks.run(hours, { id: hours }), (run) => run.start)

const result = (id: string) => Effect.flatMap(Engine.get(id), (execution) => execution.result)

/** From here on time passes whenever the engine has looked for what is due. */
const passTime = (hours: number) =>
  Effect.map(Durable, (engine) => {
    const query = engine.query.bind(engine)
    engine.query = <A extends object>(text: string, params?: ReadonlyArray<unknown>) => {
      const rows = query<A>(text, params)
      return text.includes("wake_at <= ?") ? Effect.tap(rows, () => TestClock.adjust(`${hours} hours`)) : rows
    }
  })

describe("a run that waits outside of the memory goes on when it falls due", () => {
  it.effect("between two looks of a process that begins (D6, D7)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      yield* live(filename, parks, undefined, Effect.andThen(start("1"), parked))
      const life = yield* live(
        filename,
        parks,
        undefined,
        Effect.gen(function* () {
          yield* passTime(2)
          yield* (yield* Engine.Engine).register(asks)
          return yield* result("1")
        })
      )
      assert.strictEqual(life.result, "timeout")
    }).pipe(Effect.scoped)
  )

  it.effect("while others are taken up that fell due before (D6, D7)", () =>
    Effect.gen(function* () {
      const outcome = yield* onOne(
        Effect.gen(function* () {
          yield* start("1")
          yield* start("2")
          yield* parked
          yield* passTime(1)
          yield* TestClock.adjust("1 hours")
          return [yield* result("1"), yield* result("2")]
        })
      )
      assert.deepStrictEqual(outcome, ["timeout", "timeout"])
    })
  )

  it.effect("with more than a thousand others (D7)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const naps = Workflow.make("naps", {
        run: () => Effect.as(Execution.waitForApproval("ok?", { timeout: "1 hours" }), "up")
      })
      const life = yield* live(
        filename,
        parks,
        undefined,
        Effect.gen(function* () {
          const executions = yield* Effect.forEach(
            Array.from({ length: 1200 }),
            () => Effect.flatMap(naps.run(""), (run) => run.start),
            { concurrency: "unbounded" }
          )
          yield* parked
          yield* TestClock.adjust("1 hours")
          return yield* Effect.forEach(executions, (execution) => execution.result)
        })
      )
      assert.strictEqual(life.result?.length, 1200)
    }).pipe(Effect.scoped)
  )

  it.effect("when the database was away at that moment (D7)", () =>
    Effect.gen(function* () {
      const outcome = yield* onOne(
        Effect.gen(function* () {
          yield* start("1")
          yield* parked
          const engine = yield* Durable
          const query = engine.query.bind(engine)
          let failures = 3
          engine.query = <A extends object>(text: string, params?: ReadonlyArray<unknown>) =>
            text.includes("wake_at <= ?") && failures-- > 0 ? Effect.die(new Error("away")) : query<A>(text, params)
          yield* TestClock.adjust("1 hours")
          return yield* result("1")
        })
      )
      assert.strictEqual(outcome, "timeout")
    })
  )
})

describe("a process that begins while the clock of the executions stands at nothing", () => {
  it.effect("takes up what the one before it let go in the middle of its work (D6)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      let isUp = false
      const works = Workflow.make("works", {
        run: () => Step.make("work", { run: Effect.suspend(() => (isUp ? Effect.succeed("done") : Effect.never)) })
      })
      yield* live(
        filename,
        { grace: 0 },
        undefined,
        Effect.flatMap(works.run("", { id: "r" }), (run) => run.start)
      )
      isUp = true
      const life = yield* live(
        filename,
        {},
        undefined,
        Effect.gen(function* () {
          yield* (yield* Engine.Engine).register(works)
          return yield* result("r")
        })
      )
      assert.strictEqual(life.result, "done")
    }).pipe(Effect.scoped)
  )
})
