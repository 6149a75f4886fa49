// A fiber may be interrupted between any two operations: a recorded call that has ended no longer keeps its run in memory.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Scheduler, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { type Execution, Workflow } from "effect-baton"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import { layerSqlite } from "../../src/engines/durable/layer.ts"
import { currentFrame } from "../../src/internal/frame.ts"
import { loadJournaling } from "../../src/services/BodyModel.ts"
import { delta, finish, says, script } from "../support/models.ts"
import { YieldsOnce } from "../support/YieldsOnce.ts"

const calls = {
  generateText: LanguageModel.generateText({ prompt: "hello" }),
  streamText: Stream.runDrain(LanguageModel.streamText({ prompt: "hello" }))
}

/** Asks a model, and is interrupted at an operation of the call. */
const interruptedAt = (call: Effect.Effect<unknown, any, LanguageModel.LanguageModel>, operation: number) =>
  Effect.gen(function* () {
    const { asked, model } = yield* script(says("hi"), [[delta("hi"), finish()]])
    const scheduler = new YieldsOnce(operation)
    let inFlight = -1
    let isRestored = false
    const asking = Effect.withFiber<unknown, any, LanguageModel.LanguageModel>((fiber) => {
      const { context } = fiber
      const armed = Effect.sync(() => void (scheduler.armed = true))
      return Effect.onExitPrimitive(Effect.andThen(armed, call), () => {
        scheduler.armed = false
        isRestored = fiber.context === context
        return undefined
      })
    })
    const asks = Workflow.make("asks", {
      run: Effect.fnUntraced(function* () {
        const fiber = yield* Effect.forkChild(Effect.exit(asking))
        yield* Effect.yieldNow
        scheduler.armed = false
        yield* Fiber.interrupt(fiber)
        inFlight = yield* Effect.withFiber((fiber) => Effect.succeed(currentFrame(fiber)!.execution.journal!.inFlight))
        return "done"
      })
    })
    const execution: Execution.Execution<string, any> = yield* asks
      .start("")
      .pipe(
        Effect.provideService(LanguageModel.LanguageModel, model),
        Effect.provideService(Scheduler.Scheduler, scheduler)
      )
    yield* execution.result
    return { operation, inFlight, isRestored, wasAsked: asked.length > 0, hasYielded: scheduler.hasYielded }
  })

describe("a recorded call that is interrupted between two operations (B1)", () => {
  for (const [name, call] of Object.entries(calls)) {
    it.live(`is not in flight any more, and leaves its fiber as it was, wherever that is: ${name}`, () =>
      Effect.gen(function* () {
        yield* loadJournaling
        const outcomes = yield* Effect.forEach(
          Array.from({ length: 400 }, (_, i) => i + 1),
          (operation) => interruptedAt(call, operation),
          { concurrency: 20 }
        )
        assert.deepStrictEqual(
          outcomes.filter(({ inFlight, isRestored }) => inFlight !== 0 || !isRestored),
          []
        )
        const hit = outcomes.filter(({ hasYielded }) => hasYielded)
        assert.isAbove(hit.filter(({ wasAsked }) => wasAsked).length, 0)
        assert.isAbove(hit.filter(({ wasAsked }) => !wasAsked).length, 0)
        assert.isFalse(outcomes.at(-1)!.hasYielded)
      }).pipe(
        Effect.provide(Layer.unwrap(Effect.map(temporaryFile, (filename) => layerSqlite({ filename, idle: "1 hour" }))))
      )
    )
  }
})
