// How late things happen, told by what had to be waited for and not by a watch: `npm run bench:durable -- --latency` has the
// milliseconds.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { fresh, reached } from "./fleet.ts"
import { onOne, parked } from "./parks.ts"

const asks = Workflow.make("asks", {
  run: () => Effect.andThen(Execution.waitForApproval("ok?"), Step.make("last", { run: Effect.succeed("done") }))
})

/** Nothing is found by looking: whatever goes on was woken. */
const blind = { idle: 0, pollInterval: "1 day" } as const

describe("a timer of a run outside of the memory", () => {
  it.effect("rings at its time, by no look at the database before", () =>
    Effect.gen(function* () {
      const naps = Workflow.make("naps", {
        run: () =>
          Effect.andThen(Effect.sleep("1 hour"), Step.make("up", { run: Effect.map(Clock.currentTimeMillis, String) }))
      })
      const late = yield* onOne(
        Effect.gen(function* () {
          const due = (yield* Clock.currentTimeMillis) + 3_600_000
          const execution = yield* Effect.flatMap(naps.run(""), (run) => run.start)
          yield* parked
          yield* TestClock.adjust("1 hour")
          return Number(yield* execution.result) - due
        }),
        blind
      )
      assert.strictEqual(late, 0)
    })
  )
})

describe("a run whose process was killed in the middle of a step", () => {
  it.effect("goes on when a process registers its workflow, and waits for no clock", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      let lives = 0
      const works = Workflow.make("works", {
        run: () =>
          Step.make("work", { run: Effect.suspend(() => (lives === 1 ? Effect.never : Effect.succeed("done"))) })
      })
      const begin = Effect.gen(function* () {
        lives++
        const execution = yield* Effect.flatMap(works.run("", { id: "r" }), (run) => run.start)
        yield* reached(execution, "StepStarted")
        yield* Effect.map(Durable, (engine) => engine.writer.onCrash!())
      })
      assert.isTrue((yield* live(filename, blind, undefined, Effect.andThen(begin, Effect.never))).result === undefined)
      lives++
      const again = Effect.gen(function* () {
        yield* Effect.flatMap(Engine.Engine, (engine) => engine.register(works))
        return yield* Effect.flatMap(Engine.get("r"), (execution) => execution.result)
      })
      assert.strictEqual((yield* live(filename, blind, undefined, again)).result, "done")
    }).pipe(Effect.scoped)
  )
})

describe("an answer from another process", () => {
  const heard = (layer: (runs: boolean) => Layer.Layer<Engine.Engine | Durable>, question: string) =>
    Effect.gen(function* () {
      const owner = yield* Layer.build(Layer.fresh(layer(true)))
      const engine = Context.get(owner, Durable)
      // By default; a machine that is busy looks no less often, only later.
      assert.isAtMost(engine.pollMillis, 100)
      const execution = yield* Effect.provide(
        Effect.flatMap(asks.run("", { id: "r" }), (run) => run.start),
        owner
      )
      yield* reached(execution, "RequestOpened")
      yield* Effect.whileLoop({ while: () => engine.residents.size > 0, body: () => Effect.sleep(5), step: () => {} })
      const there = yield* Effect.provide(Engine.get("r"), yield* Layer.build(Layer.fresh(layer(false))))
      let looks = 0
      const query = engine.query.bind(engine)
      engine.query = <A extends object>(text: string, params?: ReadonlyArray<unknown>) => {
        if (text.includes(question)) looks++
        return query<A>(text, params)
      }
      yield* there.approve("r:approval")
      const before = looks
      yield* reached(execution, "StepStarted")
      return looks - before
    }).pipe(Effect.scoped, Effect.timeout("30 seconds"))

  it.live("is heard at the next look of the process that runs, on SQLite", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const looks = yield* heard((runs) => layerSqlite({ filename, runs, idle: 50 }), "data_version")
      assert.isAtMost(looks, 3)
    }).pipe(Effect.scoped)
  )

  it.live("is heard at the next look of the process that runs, on PostgreSQL", () =>
    Effect.gen(function* () {
      const { url } = yield* fresh
      const looks = yield* heard(
        (runs) => layerPostgres({ url, runs, idle: 50, maxConnections: 4 }),
        "FROM baton_signals WHERE id >"
      )
      assert.isAtMost(looks, 3)
    }).pipe(Effect.scoped)
  )
})
