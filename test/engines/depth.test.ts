import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { consistent, count, settle, start } from "../support/executions.ts"

const memory = Effect.provide(Engine.layerMemoryWith({ keepSettled: 20_000 }))
const levels = 5000

const Level = Schema.Struct({ left: Schema.Number })

/** Starts a child that starts a child, and so on; the lowest ends as it is told. */
const nested = (bottom: Effect.Effect<number>): Workflow.Workflow<typeof Level.Type, number> => {
  const self: Workflow.Workflow<typeof Level.Type, number> = Workflow.make("nested", {
    input: Level,
    output: Schema.Number,
    run: ({ left }): Effect.Effect<number, never, Execution.Current> =>
      left === 0
        ? bottom
        : Effect.flatMap(Execution.startChild(self, { left: left - 1 }), (child) =>
            Effect.map(Effect.orDie(child.result), (n) => n + 1)
          )
  })
  return self
}

/** The same, inline. */
const inline = (
  bottom: Effect.Effect<number, never, Execution.Current>
): Workflow.Workflow<typeof Level.Type, number> => {
  const self: Workflow.Workflow<typeof Level.Type, number> = Workflow.make("inline", {
    input: Level,
    output: Schema.Number,
    run: ({ left }): Effect.Effect<number, never, Execution.Current> =>
      left === 0 ? bottom : Effect.map(Effect.orDie(self.call({ left: left - 1 })), (n) => n + 1)
  })
  return self
}

describe(`nesting ${levels} deep`, () => {
  it.effect("children complete from the bottom up, whether they wait or not", () =>
    Effect.gen(function* () {
      for (const bottom of [Effect.succeed(0), Effect.as(Effect.yieldNow, 0)]) {
        const execution = yield* start(nested(bottom), { left: levels })
        assert.strictEqual(yield* execution.result, levels)
        yield* consistent(execution)
      }
    }).pipe(memory)
  )

  it.effect("a cancel from the top ends every level, the lowest first", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const bottom = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
      const execution = yield* start(nested(bottom), { left: levels })
      yield* settle
      while ((yield* Engine.list()).length <= levels) yield* Effect.yieldNow
      assert.strictEqual(yield* execution.cancel("enough"), "cancelled")
      assert.strictEqual(interrupted, 1)
      const all = yield* Engine.list()
      assert.strictEqual(all.length, levels + 1)
      assert.isTrue(all.every((summary) => summary.status === "cancelled"))
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a graceful cancel from the top ends every level too", () =>
    Effect.gen(function* () {
      const graceful = Workflow.withDefaults(nested(Effect.never), { cancel: { graceful: true } })
      const self: Workflow.Workflow<typeof Level.Type, number> = Workflow.make("graceful", {
        input: Level,
        output: Schema.Number,
        defaults: { cancel: { graceful: true } },
        run: ({ left }): Effect.Effect<number, never, Execution.Current> =>
          left === 0
            ? Effect.onInterrupt(Effect.never, () => Effect.yieldNow)
            : Effect.flatMap(Execution.startChild(self, { left: left - 1 }), (child) => Effect.orDie(child.result))
      })
      assert.strictEqual(graceful.name, "nested")
      const execution = yield* start(self, { left: levels })
      while ((yield* Engine.list()).length <= levels) yield* Effect.yieldNow
      assert.strictEqual(yield* execution.cancel("enough"), "cancelled")
      const all = yield* Engine.list()
      assert.isTrue(all.every((summary) => summary.status === "cancelled"))
    }).pipe(memory)
  )

  it.effect("a defect at the bottom fails every level", () =>
    Effect.gen(function* () {
      const execution = yield* start(nested(Effect.die("bug")), { left: levels })
      const exit = yield* consistent(execution)
      assert.isTrue(Exit.hasDies(exit))
      const all = yield* Engine.list()
      assert.strictEqual(all.length, levels + 1)
      assert.isTrue(all.every((summary) => summary.status === "failed"))
    }).pipe(memory)
  )

  it.effect("a parent that succeeds cancels all below it", () =>
    Effect.gen(function* () {
      const below = nested(Effect.never)
      const top = Workflow.make("top", {
        run: () => Effect.as(Effect.andThen(Execution.startChild(below, { left: levels }), settle), "done")
      })
      const execution = yield* start(top, "")
      assert.strictEqual(yield* execution.result, "done")
      const all = yield* Engine.list({ workflow: "nested" })
      assert.isTrue(all.every((summary) => summary.status === "cancelled"))
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("inline calls complete, count their steps, and cancel", () =>
    Effect.gen(function* () {
      const step = Effect.orDie(Step.make("bottom", { run: Effect.succeed(0) }))
      const execution = yield* start(inline(step), { left: levels })
      assert.strictEqual(yield* execution.result, levels)
      assert.strictEqual(count(execution, "StepCompleted"), 1)
      const path = `${"inline/".repeat(levels)}bottom`
      const events = yield* consistent(execution)
      assert.isTrue(Exit.isSuccess(events))
      assert.include(JSON.stringify((yield* execution.usage).steps), "1")
      assert.isAbove(path.length, levels)
      const waiting = yield* start(inline(Effect.never), { left: levels })
      assert.strictEqual(yield* waiting.cancel(), "cancelled")
      yield* consistent(waiting)
    }).pipe(memory)
  )

  it.effect("budgets and usage reach through all levels", () =>
    Effect.gen(function* () {
      const bottom: Workflow.Workflow<typeof Level.Type, number> = Workflow.make("counting", {
        input: Level,
        output: Schema.Number,
        run: ({ left }): Effect.Effect<number, never, Execution.Current> =>
          left === 0
            ? Effect.orDie(Step.make("one", { run: Effect.succeed(1) }))
            : Effect.flatMap(Execution.startChild(bottom, { left: left - 1 }), (child) => Effect.orDie(child.result))
      })
      const execution = yield* start(bottom, { left: levels }, { budget: { steps: 1 } })
      assert.strictEqual(yield* execution.result, 1)
      assert.strictEqual((yield* execution.usage).steps, 1)
    }).pipe(memory)
  )

  it.effect("a hundred thousand steps one after the other keep the stack shallow", () =>
    Effect.gen(function* () {
      const n = 100_000
      const workflow = Workflow.make("long", {
        output: Schema.Number,
        run: () =>
          Effect.gen(function* () {
            let sum = 0
            for (let i = 0; i < n; i++) sum += yield* Step.make("one", { run: Effect.succeed(1) })
            return sum
          })
      })
      const execution = yield* start(workflow, "")
      assert.strictEqual(yield* execution.result, n)
    }).pipe(memory)
  )
})
