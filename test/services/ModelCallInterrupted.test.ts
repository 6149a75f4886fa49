// A fiber may be interrupted between any two operations: a call that was counted is told all the same (C2).
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { Engine, type Event, Workflow } from "effect-baton"
import { YieldsOnce } from "../support/YieldsOnce.ts"

const reply = LanguageModel.make({
  generateText: () => Effect.succeed([{ type: "text", text: "hi" }]),
  streamText: () => Stream.empty
})

/** Asks a model, and is interrupted at an operation of the call. */
const interruptedAt = (operation: number) =>
  Effect.gen(function* () {
    const scheduler = new YieldsOnce(operation)
    const asking = Effect.sync(() => {
      scheduler.armed = true
    }).pipe(
      Effect.andThen(LanguageModel.generateText({ prompt: "hello" })),
      Effect.andThen(Effect.sync(() => (scheduler.armed = false)))
    )
    const asks = Workflow.make("asks", {
      run: Effect.fnUntraced(function* () {
        const fiber = yield* Effect.forkChild(Effect.exit(asking))
        yield* Effect.yieldNow
        scheduler.armed = false
        yield* Fiber.interrupt(fiber)
        return "done"
      })
    })
    const execution = yield* asks
      .start("")
      .pipe(
        Effect.provideServiceEffect(LanguageModel.LanguageModel, reply),
        Effect.provideService(Scheduler.Scheduler, scheduler)
      )
    yield* execution.exit
    const events: ReadonlyArray<Event.Event> = yield* Stream.runCollect(execution.events)
    return {
      counted: (yield* execution.usage).modelCalls,
      told: events.filter((event) => event._tag === "ModelCalled").length,
      hasYielded: scheduler.hasYielded
    }
  }).pipe(Effect.provide(Engine.layerMemory))

describe("a model call that is interrupted between two operations", () => {
  it.effect("is told if it was counted, wherever that is", () =>
    Effect.gen(function* () {
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 60 }, (_, i) => i + 1),
        interruptedAt
      )
      assert.deepStrictEqual(
        outcomes.filter(({ counted, told }) => counted !== told),
        []
      )
      assert.isAbove(outcomes.filter(({ counted, hasYielded }) => hasYielded && counted === 1).length, 0)
      assert.isAbove(outcomes.filter(({ counted, hasYielded }) => hasYielded && counted === 0).length, 0)
    })
  )
})
