import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Budget, Engine, Execution, Step, Workflow } from "effect-baton"
import { Tag } from "../src/internal/eventLog.ts"
import type { ExecutionImpl } from "../src/internal/execution.ts"
import { currentFrame } from "../src/internal/frame.ts"
import * as usage from "../src/internal/usage.ts"
import { consistent, count, start } from "./support/executions.ts"

const memory = Effect.provide(Engine.layerMemory)

const one = Step.make("one", { run: Effect.succeed(1) })

/** A model call, as the engine counts it; `services` tests the real ones. */
const modelCall = (inputTokens: number, costUsd: number) =>
  Effect.withFiber((fiber): Effect.Effect<void, Budget.BudgetExceeded, Execution.Current> => {
    const frame = currentFrame(fiber)!
    const execution: ExecutionImpl = frame.execution
    const exceeded = usage.exceeded(execution, "modelCalls")
    if (exceeded !== undefined) return Effect.fail(exceeded)
    usage.countModelCall(execution)
    const used = { inputTokens, outputTokens: 0, costUsd }
    usage.countTokens(execution, used)
    execution.append(Tag.ModelCalled, frame, { model: "m", purpose: "p", ...used, durationMillis: 0 })
    return Effect.void
  }) as Effect.Effect<void, Budget.BudgetExceeded, Execution.Current>

describe("Budget", () => {
  it.effect.prop(
    "exactly as many steps run as the budget has, and the next fails naming the limit and what was used",
    {
      limit: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
      steps: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))
    },
    ({ limit, steps }) =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          output: Schema.Number,
          run: () => Effect.map(Effect.all(Array.from({ length: steps }, () => one)), (all) => all.length)
        })
        const execution = yield* start(workflow, "", { budget: { steps: limit } })
        const result = yield* Effect.result(execution.result)
        assert.strictEqual((yield* execution.usage).steps, Math.min(limit, steps))
        assert.strictEqual(count(execution, "StepStarted"), Math.min(limit, steps))
        if (steps <= limit) assert.deepInclude(result, { _tag: "Success", success: steps })
        else
          assert.deepInclude((result as { failure: unknown }).failure as object, {
            _tag: "BudgetExceeded",
            limit: "steps",
            allowed: limit,
            used: limit,
            executionId: execution.id
          })
        yield* consistent(execution)
      }).pipe(memory),
    { arbitrary: { runs: 50 } }
  )

  it.effect("a budget is shared by parallel branches, inner calls, children and retries of the run", () =>
    Effect.gen(function* () {
      const inner = Workflow.make("inner", { output: Schema.Number, run: () => one })
      let tries = 0
      class Again extends Schema.TaggedError<Again>()("Again", {}) {}
      const workflow = Workflow.make("w", {
        output: Schema.Number,
        error: Again,
        run: () =>
          Effect.gen(function* () {
            yield* Effect.forEach(["a", "b"], (key) => inner.call("", { key }), { concurrency: "unbounded" })
            yield* Effect.flatMap(Execution.startChild(inner, ""), (child) => child.result)
            return ++tries < 2 ? yield* new Again() : yield* one
          })
      })
      const enough = yield* start(workflow, "", { budget: { steps: 7 }, retry: { attempts: 3, delay: 0 } })
      assert.strictEqual(yield* enough.result, 1)
      assert.strictEqual((yield* enough.usage).steps, 7)
      tries = 0
      const less = yield* start(workflow, "", { budget: { steps: 6 }, retry: { attempts: 3, delay: 0 } })
      assert.deepInclude(yield* Effect.flip(less.result), {
        _tag: "BudgetExceeded",
        limit: "steps",
        used: 6,
        executionId: less.id
      })
    }).pipe(memory)
  )

  it.effect("a child may have a smaller budget of its own, and the tighter one counts", () =>
    Effect.gen(function* () {
      const child = Workflow.make("child", { output: Schema.Number, run: () => Effect.andThen(one, one) })
      const parent = Workflow.make("parent", {
        output: Schema.Number,
        run: () =>
          Effect.flatMap(
            Execution.startChild(child, "", { budget: { steps: 1 }, id: "child" }),
            (execution) => execution.result
          )
      })
      const execution = yield* start(parent, "", { budget: { steps: 5 } })
      assert.deepInclude(yield* Effect.flip(execution.result), {
        _tag: "BudgetExceeded",
        executionId: "child",
        allowed: 1
      })
    }).pipe(memory)
  )

  it.effect("model calls, tokens and cost are checked before the next model call", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", { run: () => Effect.as(Effect.forever(modelCall(10, 0.25)), "") })
      const cases: ReadonlyArray<readonly [Budget.Budget, number, Record<string, unknown>]> = [
        [{ modelCalls: 3 }, 3, { limit: "modelCalls", allowed: 3, used: 3 }],
        [{ tokens: 25 }, 3, { limit: "tokens", allowed: 25, used: 30 }],
        [{ cost: 0.5 }, 2, { limit: "cost", allowed: 0.5, used: 0.5 }],
        [{ modelCalls: 0 }, 0, { limit: "modelCalls", allowed: 0, used: 0 }],
        [{ tokens: 0 }, 0, { limit: "tokens", used: 0 }]
      ]
      for (const [budget, calls, expected] of cases) {
        const execution = yield* start(workflow, "", { budget })
        assert.deepInclude(yield* Effect.flip(execution.result), expected)
        assert.deepStrictEqual(yield* execution.usage, {
          modelCalls: calls,
          inputTokens: calls * 10,
          outputTokens: 0,
          costUsd: calls * 0.25,
          steps: 0
        })
        assert.strictEqual(count(execution, "ModelCalled"), calls)
      }
    }).pipe(memory)
  )

  it.effect("usage without a budget is counted all the same, also what children used, and fits its schema", () =>
    Effect.gen(function* () {
      const child = Workflow.make("child", { run: () => Effect.as(Effect.andThen(modelCall(7, 0.5), one), "") })
      const parent = Workflow.make("parent", {
        run: () =>
          Effect.flatMap(Execution.startChild(child, "", { id: "c" }), (execution) =>
            Effect.andThen(execution.result, Effect.as(one, ""))
          )
      })
      const execution = yield* start(parent, "")
      yield* execution.result
      assert.deepStrictEqual(yield* execution.usage, {
        modelCalls: 1,
        inputTokens: 7,
        outputTokens: 0,
        costUsd: 0.5,
        steps: 2
      })
      const own = yield* (yield* Engine.get("c")).usage
      assert.deepInclude(own, { modelCalls: 1, steps: 1 })
      assert.isTrue(Schema.is(Budget.Usage)(own))
    }).pipe(memory)
  )

  it.effect("a body may go on after BudgetExceeded", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.catchTag(Effect.as(Effect.forever(one), ""), "BudgetExceeded", (error) =>
            Effect.succeed(`stopped at ${error.used}`)
          )
      })
      assert.strictEqual(yield* workflow.execute("", { budget: { steps: 4 } }), "stopped at 4")
    }).pipe(memory)
  )
})
