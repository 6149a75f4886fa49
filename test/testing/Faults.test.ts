import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { Faults } from "effect-baton/testing"

const log: Array<string> = []
const note = (text: string) =>
  Effect.sync(() => {
    log.push(text)
    return text
  })

const trip = Workflow.make("trip", {
  error: Schema.String,
  run: () =>
    Effect.gen(function* () {
      const one = yield* Step.make("book", { run: note("flight") })
      const two = yield* Step.make("book", { run: note("hotel") })
      return `${one}, ${two}`
    })
})

const run = (faults: Faults.Faults, workflow: Workflow.Workflow<string, string, string> = trip) =>
  Effect.suspend(() => {
    log.length = 0
    return workflow.execute("").pipe(Effect.exit, Effect.provide([Engine.layerMemory, faults.layer]))
  })

describe("injected faults", () => {
  it.effect("strike the n-th use of a path, and no other", () =>
    Effect.gen(function* () {
      const faults = yield* Faults.make([Faults.fail("full", { at: "book", nth: 2 })])
      assert.deepStrictEqual(yield* run(faults), Exit.fail("full"))
      assert.deepStrictEqual(log, ["flight"])
      yield* faults.assertComplete
      assert.deepStrictEqual(
        (yield* faults.injected).map(({ fault, place }) => [fault, place.path, place.workflow, place.attempt]),
        [['failure "full"', "book#2", "trip", 1]]
      )
      assert.deepStrictEqual(yield* run(faults), Exit.succeed("flight, hotel"))
    })
  )

  it.effect("are told apart by pattern, workflow and function", () =>
    Effect.gen(function* () {
      for (const at of [
        /^book#2$/,
        { path: "book#2", workflow: "trip" },
        (place: Faults.Place) => place.path === "book#2"
      ]) {
        const faults = yield* Faults.make([
          Faults.fail("full", { at }),
          Faults.fail("never", { at: { workflow: "other" } })
        ])
        assert.deepStrictEqual(yield* run(faults), Exit.fail("full"))
        const failure = yield* Effect.flip(faults.assertComplete)
        assert.deepStrictEqual(failure.unused, [
          '2: failure "never" (0 uses of its place, struck 0 of 1 times from use 1 on)'
        ])
      }
    })
  )

  it.effect("die as a defect, and fail after the work was done", () =>
    Effect.gen(function* () {
      const bug = yield* Faults.make([Faults.die("boom", { at: "book" })])
      const exit = yield* run(bug)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      const lost = yield* Faults.make([Faults.failAfter("lost", { at: "book" })])
      assert.deepStrictEqual(yield* run(lost), Exit.fail("lost"))
      assert.deepStrictEqual(log, ["flight"])
    })
  )

  it.effect("hang until they are interrupted, and delay on the clock", () =>
    Effect.gen(function* () {
      const faults = yield* Faults.make([Faults.delay("1 hour", { at: "book" }), Faults.hang({ at: "book", nth: 2 })])
      const execution = yield* Effect.flatMap(trip.run(""), (run) => run.start).pipe(Effect.provide(faults.layer))
      log.length = 0
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(log, ["flight"])
      assert.strictEqual(yield* execution.cancel(), "cancelled")
      yield* faults.assertComplete
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("strike every try of a step, inside of its retry and its timeout", () =>
    Effect.gen(function* () {
      const order = Workflow.make("order", {
        error: Schema.String,
        run: () =>
          Step.make("charge", {
            retry: { attempts: 3, delay: "1 second" },
            timeout: "1 minute",
            run: note("charged")
          }).pipe(Effect.catchTag("StepTimedOut", () => Effect.succeed("timed out")))
      })
      log.length = 0
      const faults = yield* Faults.make([
        Faults.fail("lost", { at: "charge", times: 2 }),
        Faults.hang({ at: "charge", nth: 3 })
      ])
      const execution = yield* Effect.flatMap(order.run(""), (run) => run.start).pipe(Effect.provide(faults.layer))
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* execution.result, "charged")
      assert.strictEqual((yield* faults.injected).length, 3)
      yield* faults.assertComplete
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("reach children, inner calls and retried attempts, but not results that are reused", () =>
    Effect.gen(function* () {
      const child = Workflow.make("child", {
        error: Schema.String,
        run: () => Step.make("work", { run: note("child") })
      })
      const parent = Workflow.make("parent", {
        error: Schema.String,
        run: () =>
          Effect.gen(function* () {
            yield* Step.make("first", { run: note("first") })
            const inner = yield* child.call("")
            const outer = yield* Effect.flatMap(Execution.startChild(child, "", { key: "c" }), (e) => e.result)
            return inner + outer
          })
      })
      log.length = 0
      const faults = yield* Faults.make([
        Faults.fail("inner", { at: "child/work" }),
        Faults.fail("outer", { at: { path: /^work$/, workflow: "child" } }),
        Faults.fail("not twice", { at: "first", nth: 2 })
      ])
      const result = yield* parent
        .execute("", { retry: { attempts: 2, delay: 0, mode: "resume" } })
        .pipe(Effect.provide([Engine.layerMemory, faults.layer]))
      assert.strictEqual(result, "childchild")
      assert.deepStrictEqual(log, ["first", "child", "child"])
      assert.strictEqual((yield* faults.injected).length, 2)
    })
  )

  it.effect("strike the calls of a service, functions and effects, and leave the rest of it alone", () =>
    Effect.gen(function* () {
      class Shop extends Context.Service<
        Shop,
        {
          readonly buy: (what: string, n: number) => Effect.Effect<string, string>
          readonly stock: Effect.Effect<number, string>
          readonly name: string
          readonly price: (what: string) => number
        }
      >()("app/Shop") {}
      class Live {
        readonly name = "corner"
        private readonly left = 3
        buy(what: string, n: number) {
          return Effect.succeed(`${n} ${what} of ${this.left}`)
        }
        get stock() {
          return Effect.succeed(this.left)
        }
        price() {
          return 1
        }
      }
      const faults = yield* Faults.make([
        Faults.fail("closed", { at: "Shop.buy", nth: 2 }),
        Faults.fail("unknown", { at: "Shop.stock" })
      ])
      yield* Effect.gen(function* () {
        const shop = yield* Shop
        assert.deepStrictEqual([shop.name, shop.price("tea")], ["corner", 1])
        assert.strictEqual(yield* shop.buy("tea", 2), "2 tea of 3")
        assert.strictEqual(yield* Effect.flip(shop.buy("tea", 2)), "closed")
        assert.strictEqual(yield* shop.buy("tea", 1), "1 tea of 3")
        assert.strictEqual(yield* Effect.flip(shop.stock), "unknown")
        assert.strictEqual(yield* shop.stock, 3)
      }).pipe(Effect.provide(Layer.provide(faults.service(Shop), Layer.succeed(Shop, new Live()))))
      yield* faults.assertComplete
    })
  )

  it.effect("cost nothing where none are provided: a workflow runs as it is", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* trip.execute("").pipe(Effect.provide(Engine.layerMemory)), "flight, hotel")
    })
  )
})
