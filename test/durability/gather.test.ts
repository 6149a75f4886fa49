// What many want at once is one piece of work.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber } from "effect"
import { gather } from "../../src/engines/durable/gather.ts"

const failed = (fiber: Fiber.Fiber<unknown>) => Effect.flip(Effect.sandbox(Fiber.join(fiber)))

const host = { context: Context.empty(), adopt: () => {} }

describe("what many ask for at once", () => {
  it.effect("is asked once for all of them, and each gets their own", () =>
    Effect.gen(function* () {
      const asked: Array<ReadonlyArray<number>> = []
      const double = gather(host, (items: ReadonlyArray<number>) =>
        Effect.sync(() => {
          asked.push(items)
          return items.map((n) => (n === 3 ? Exit.fail("three") : Exit.succeed(2 * n)))
        })
      )
      const all = yield* Effect.forEach([1, 2, 3, 4], (n) => Effect.exit(double(n)), { concurrency: "unbounded" })
      assert.deepStrictEqual(all, [Exit.succeed(2), Exit.succeed(4), Exit.fail("three"), Exit.succeed(8)])
      assert.deepStrictEqual(asked, [[1, 2, 3, 4]])
    })
  )

  it.effect("is done one by one when it fails together, so that who is to blame is alone with it", () =>
    Effect.gen(function* () {
      const one = gather(host, (items: ReadonlyArray<number>) =>
        items.includes(2) ? Effect.die("two") : Effect.succeed(items.map((n) => Exit.succeed(n)))
      )
      const all = yield* Effect.forEach([1, 2, 3], (n) => Effect.exit(one(n)), { concurrency: "unbounded" })
      assert.deepStrictEqual(all, [Exit.succeed(1), Exit.die("two"), Exit.succeed(3)])
      assert.strictEqual(yield* one(5), 5)
    })
  )

  it.effect("ends with whose work it is, for all who wait, and is done again for who asks after that", () =>
    Effect.gen(function* () {
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      const adopt = (fiber: Fiber.Fiber<unknown, unknown>) => void fibers.push(fiber)
      let isStuck = true
      const one = gather({ context: Context.empty(), adopt }, (items: ReadonlyArray<number>) =>
        isStuck ? Effect.never : Effect.succeed(items.map((n) => Exit.succeed(n)))
      )
      const underWay = yield* Effect.forkChild(one(1))
      while (fibers.length === 0) yield* Effect.yieldNow
      yield* Effect.yieldNow
      const waiting = yield* Effect.forkChild(one(2))
      yield* Effect.yieldNow
      yield* Fiber.interruptAll(fibers)
      for (const fiber of [underWay, waiting]) assert.match(`${Cause.squash(yield* failed(fiber))}`, /has ended/)
      isStuck = false
      assert.strictEqual(yield* one(3), 3)
    })
  )
})
