import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Layer, Schema, Stream } from "effect"
import { AiError, LanguageModel, Tool, Toolkit } from "effect/ai"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { Engine, Models, Workflow } from "effect-baton"
import { count, settle, start } from "../support/executions.ts"
import { delta, down, failsWith, finish, says, script } from "../support/models.ts"

const say = (prompt: string) => Effect.map(LanguageModel.generateText({ prompt }), (response) => response.text)
const flow = (prompt: string) => LanguageModel.streamText({ prompt })
const engine = Effect.provide(Engine.layerMemory)

const twice = Workflow.make("twice", { run: (prompt) => Effect.orDie(Effect.andThen(say(prompt), say(prompt))) })
const once = Workflow.make("once", { run: (prompt) => Effect.orDie(say(prompt)) })

describe("a rate limit", () => {
  it.effect("is shared by all runs: the surplus waits for the next window", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script(says("ok"))
      const layer = Models.layer({ m: { model, rateLimit: { limit: 3, window: "1 minute" } } })
      yield* Effect.gen(function* () {
        const a = yield* start(twice, "a")
        const b = yield* start(twice, "b")
        yield* settle
        assert.strictEqual(asked.length, 3)
        assert.deepStrictEqual([yield* a.status, yield* b.status].toSorted(), ["completed", "in-progress"])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual([yield* a.result, yield* b.result], ["ok", "ok"])
        assert.strictEqual(asked.length, 4)
      }).pipe(Effect.provide(layer))
    }).pipe(engine)
  )

  it.effect("is kept where the given RateLimiter keeps it, with the model's id as key", () =>
    Effect.gen(function* () {
      const keys: Array<string> = []
      const limiter = Layer.effect(
        RateLimiter.RateLimiter,
        Effect.map(RateLimiter.make, (limiter) => ({
          ...limiter,
          consume: (options: Parameters<typeof limiter.consume>[0]) => {
            keys.push(options.key)
            return limiter.consume(options)
          }
        }))
      ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
      const { model } = yield* script(says("ok"), [[finish()]])
      const layer = Models.layer({ m: { model, rateLimit: { limit: 1, window: "1 minute" } } })
      const fiber = yield* Effect.andThen(say("x"), Stream.runDrain(flow("x"))).pipe(
        Effect.provide(Layer.provide(layer, limiter)),
        Effect.forkChild
      )
      yield* settle
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(keys, ["effect-baton/model/m", "effect-baton/model/m"])
    })
  )

  it.effect("is not waited for by a run whose budget is used up", () =>
    Effect.gen(function* () {
      const { model } = yield* script(says("ok"))
      const layer = Models.layer({ m: { model, rateLimit: { limit: 1, window: "1 hour" } } })
      const execution = yield* start(twice, "x", { budget: { modelCalls: 1 } }).pipe(Effect.provide(layer))
      assert.isTrue(Exit.isFailure(yield* execution.exit))
      assert.strictEqual(count(execution, "ModelCalled"), 1)
    }).pipe(engine)
  )
})

describe("a limit of concurrency", () => {
  it.effect("is not waited for by a run whose budget is used up", () =>
    Effect.gen(function* () {
      const { model } = yield* script([says("ok"), Effect.never])
      yield* Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const workflow = Workflow.make("gated", {
          run: (prompt) => say(prompt).pipe(Effect.tap(Deferred.await(gate)), Effect.andThen(say(prompt)), Effect.orDie)
        })
        const spent = yield* start(workflow, "x", { budget: { modelCalls: 1 } })
        yield* settle
        const holder = yield* start(once, "x")
        yield* settle
        yield* Deferred.succeed(gate, undefined)
        assert.isTrue(Exit.isFailure(yield* spent.exit))
        yield* holder.cancel()
      }).pipe(Effect.provide(Models.layer({ m: { model, concurrency: 1 } })))
    }).pipe(engine)
  )

  it.effect("is shared by all runs, by streams too, and given back however a call ends", () =>
    Effect.gen(function* () {
      let live = 0
      let most = 0
      const busy = Effect.acquireUseRelease(
        Effect.sync(() => void (most = Math.max(most, ++live))),
        () => Effect.as(Effect.sleep("1 second"), says("ok")),
        () => Effect.sync(() => void live--)
      )
      const { asked, model } = yield* script(busy, [
        Stream.unwrap(Effect.map(busy, () => Stream.make(delta("a"), finish())))
      ])
      const layer = Models.layer({ m: { model, concurrency: 2 } })
      yield* Effect.gen(function* () {
        const interrupted = yield* Effect.forkChild(say("a"))
        yield* settle
        const streams = yield* Effect.forEach(Array.from({ length: 3 }), () =>
          Effect.forkChild(Stream.runDrain(flow("b")))
        )
        const runs = yield* Effect.forEach(["a", "b", "c"], (input) => start(once, input))
        const waiting = yield* Effect.forkChild(say("d"))
        yield* settle
        assert.strictEqual(live, 2)
        yield* Fiber.interrupt(interrupted)
        yield* Fiber.interrupt(waiting)
        yield* TestClock.adjust("3 seconds")
        yield* Effect.forEach(streams, Fiber.join)
        assert.deepStrictEqual(yield* Effect.forEach(runs, (run) => run.result), ["ok", "ok", "ok"])
        assert.deepStrictEqual([most, live, asked.length], [2, 0, 7])
      }).pipe(Effect.provide(layer))
    }).pipe(engine)
  )

  it.effect("lets the tools of a call ask the same model", () =>
    Effect.gen(function* () {
      const Ask = Tool.make("Ask", { success: Schema.String })
      const toolkit = Toolkit.make(Ask)
      const { model } = yield* script([
        [{ type: "tool-call", id: "1", name: "Ask", params: {} }, finish(0, 0, { reason: "tool-calls" })],
        says("inner")
      ])
      const handlers = toolkit.toLayer({ Ask: () => Effect.orDie(Models.use(say("inner"), "m")) })
      const response = yield* LanguageModel.generateText({ prompt: "x", toolkit }).pipe(
        Effect.provide(handlers),
        Effect.provide(Models.layer({ m: { model, concurrency: 1 } }))
      )
      assert.strictEqual(response.toolResults[0]?.result, "inner")
    })
  )
})

describe("a retry", () => {
  const limited = failsWith(new AiError.RateLimitError({ retryAfter: Duration.seconds(10) }))
  const refused = failsWith(new AiError.AuthenticationError({ kind: "InvalidKey" }))
  const retry = { attempts: 2, delay: "1 second", backoff: "exponential" } as const

  it.effect("makes a call again where that is safe, each time as a call of its own", () =>
    Effect.gen(function* () {
      const { model } = yield* script([down, down, says("ok", 5, 1)])
      const execution = yield* start(once, "x").pipe(Effect.provide(Models.layer({ m: { model, retry } })))
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(count(execution, "ModelCalled"), 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(count(execution, "ModelCalled"), 2)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* execution.result, "ok")
      assert.deepStrictEqual([(yield* execution.usage).modelCalls, count(execution, "ModelCalled")], [3, 3])
    }).pipe(engine)
  )

  it.effect("is never made unless asked for, nor where the error says it would not help", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script([down, refused])
      yield* say("x").pipe(Effect.provide(Models.layer({ m: model })), Effect.flip)
      yield* say("x").pipe(Effect.provide(Models.layer({ m: { model, retry } })), Effect.flip)
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("waits as long as the provider asks for", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script([limited, says("ok")])
      const fiber = yield* Effect.forkChild(say("x").pipe(Effect.provide(Models.layer({ m: { model, retry } }))))
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(asked.length, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "ok")
    })
  )

  it.effect("gives up with the last error", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script(down)
      const fiber = yield* Effect.forkChild(say("x").pipe(Effect.provide(Models.layer({ m: { model, retry } }))))
      yield* TestClock.adjust("3 seconds")
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === down)
      assert.strictEqual(asked.length, 3)
    })
  )

  it.effect("of a stream is made before its first part, never after, and gives its permit back in between", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* script(says(""), [
        Stream.fail(down),
        [delta("a"), finish()],
        Stream.concat(Stream.make(delta("b")), Stream.fail(down))
      ])
      const layer = Models.layer({ m: { model, retry, concurrency: 1 } })
      yield* Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Stream.runCollect(flow("x")))
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(fiber)).length, 2)
        assert.strictEqual(yield* Effect.flip(Stream.runCollect(flow("x"))), down)
        assert.strictEqual(asked.length, 3)
      }).pipe(Effect.provide(layer))
    })
  )

  it.effect("does not run tools twice", () =>
    Effect.gen(function* () {
      let runs = 0
      const Ask = Tool.make("Ask", { success: Schema.String, failure: Schema.Any })
      const toolkit = Toolkit.make(Ask)
      const { asked, model } = yield* script([
        [{ type: "tool-call", id: "1", name: "Ask", params: {} }, finish(0, 0, { reason: "tool-calls" })]
      ])
      const handlers = toolkit.toLayer({
        Ask: () => Effect.suspend(() => Effect.fail(++runs === 0 ? "never" : down))
      })
      yield* LanguageModel.generateText({ prompt: "x", toolkit }).pipe(
        Effect.provide(handlers),
        Effect.provide(Models.layer({ m: { model, retry } })),
        Effect.flip
      )
      assert.deepStrictEqual([runs, asked.length], [1, 1])
    })
  )
})
