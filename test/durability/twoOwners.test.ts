// A process that has lost a run without noticing goes on with it beside the one that has it.
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Stream } from "effect"
import { Engine, Step, Workflow } from "effect-baton"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import { layerSqlite } from "../../src/engines/durable/layer.ts"

describe("two processes that both think they have a run", () => {
  for (const first of ["the old one", "the new one"] as const) {
    it.live(`make one truth of it, where ${first} ends its step first (D4)`, () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        // Nothing keeps two engines on one file from taking each other's runs.
        const life = Effect.fnUntraced(function* (name: string) {
          const [begun, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
          const workflow = Workflow.make("contested", {
            run: () =>
              Step.make("work", {
                run: Effect.as(
                  Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(gate)),
                  `done by ${name}`
                )
              })
          })
          const context = yield* Layer.build(Layer.fresh(layerSqlite({ filename, grace: 0, pollInterval: 10 })))
          const start = Effect.flatMap(workflow.run("", { id: "r1" }), (run) => run.start)
          const execution = yield* Effect.provide(start, Context.pick(Engine.Engine)(context))
          yield* Deferred.await(begun)
          return { execution, end: Deferred.succeed(gate, undefined) }
        })
        const [old, young] = [yield* life("the old one"), yield* life("the new one")]
        const [winner, loser] = first === "the old one" ? [old, young] : [young, old]
        yield* winner.end
        yield* Effect.sleep("60 millis")
        yield* loser.end
        for (const { execution } of [old, young]) {
          assert.strictEqual(yield* execution.result, `done by ${first}`)
          const events = yield* Stream.runCollect(execution.events)
          assert.deepStrictEqual(
            events.map((event) => event.sequence),
            events.map((_, i) => i + 1)
          )
          const ends = events.filter((event) => ["StepCompleted", "RunCompleted"].includes(event._tag))
          assert.deepStrictEqual(
            ends.map((event) => event._tag),
            ["StepCompleted", "RunCompleted"]
          )
        }
        const context = yield* Layer.build(Layer.fresh(layerSqlite({ filename, runs: false })))
        const there = yield* Effect.provide(Engine.get("r1"), context)
        assert.strictEqual((yield* Stream.runCollect(there.eventsFrom(1))).at(-1)?._tag, "RunCompleted")
      }).pipe(Effect.scoped, Effect.timeout("10 seconds"))
    )
  }
})
