import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as graph from "../../src/patterns/graph.ts"

const upTo = (max: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: max }))
const edges = Schema.Array(upTo(7)).check(Schema.isMaxLength(3))

/** Any graph, with circles and all. */
const AnyGraph = Schema.Array(edges).check(Schema.isMaxLength(8))
const toGraph = (edges: typeof AnyGraph.Type): graph.Graph =>
  edges.map((dependencies) => Array.from(new Set(dependencies.map((node) => node % edges.length))))

/** Where a node's dependencies lead to. */
const reached = (dependencies: graph.Graph, from: number): ReadonlySet<number> => {
  const found = new Set<number>()
  const open = [...dependencies[from]!]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (!found.has(node)) open.push(...dependencies[node]!)
    found.add(node)
  }
  return found
}

describe("the circles of a graph", () => {
  it.prop(
    "are real, and one for each group of nodes that depend on each other",
    { edges: AnyGraph },
    ({ edges }) => {
      const dependencies = toGraph(edges)
      const circles = graph.circles(dependencies)
      for (const circle of circles) {
        assert.strictEqual(new Set(circle).size, circle.length)
        for (const [index, node] of circle.entries())
          assert.include(dependencies[node], circle[(index + 1) % circle.length])
      }
      const all = dependencies.map((_, node) => reached(dependencies, node))
      const isOf = (node: number, [first]: ReadonlyArray<number>) => all[node]!.has(first!) && all[first!]!.has(node)
      for (const node of dependencies.keys())
        assert.lengthOf(
          circles.filter((circle) => isOf(node, circle)),
          all[node]!.has(node) ? 1 : 0
        )
    },
    { arbitrary: { runs: 500 } }
  )

  it("are found in chains that recursion could not follow", () => {
    const size = 100_000
    const chain = Array.from({ length: size }, (_, node) => [(node + 1) % size])
    assert.lengthOf(graph.circles(chain)[0]!, size)
    assert.deepStrictEqual(graph.circles(chain.map((next, node) => (node === size - 1 ? [] : next))), [])
  })
})

describe("running a graph", () => {
  it.effect("does ten thousand nodes that end at once, in a row or side by side", () =>
    Effect.gen(function* () {
      const size = 10_000
      const row = Array.from({ length: size }, (_, node) => (node === 0 ? [] : [node - 1]))
      const width = row.map(() => [])
      for (const dependencies of [row, width]) {
        for (const concurrency of [1, 16, Number.POSITIVE_INFINITY]) {
          const order: Array<number> = []
          yield* graph.run(dependencies, concurrency, (node) => Effect.sync(() => order.push(node)))
          assert.deepStrictEqual(order, [...dependencies.keys()])
        }
      }
    })
  )

  it.effect("ends with the first failure, after what still ran has ended (G3)", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const body = (node: number) =>
        node === 0
          ? Effect.andThen(Effect.sleep(10), Effect.fail("boom"))
          : Effect.sleep(1000).pipe(
              Effect.onInterrupt(() =>
                Effect.andThen(
                  Effect.sleep(5),
                  Effect.sync(() => done.push(`${node} cleaned`))
                )
              )
            )
      const fiber = yield* Effect.forkChild(Effect.exit(graph.run([[], [], [1]], 3, body)))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(done, [])
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.fail("boom"))
      assert.deepStrictEqual(done, ["1 cleaned"])
    })
  )

  it.effect("starts nothing more once it is interrupted, even if what ran succeeds anyway", () =>
    Effect.gen(function* () {
      const started: Array<number> = []
      const gate = yield* Deferred.make<void>()
      const body = (node: number) =>
        Effect.andThen(
          Effect.sync(() => started.push(node)),
          Effect.uninterruptible(Deferred.await(gate))
        )
      const fiber = yield* Effect.forkChild(graph.run([[], [0]], 1, body))
      yield* Effect.yieldNow
      yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.hasInterrupts(exit))
      assert.deepStrictEqual(started, [0])
    })
  )

  it.effect("starts nothing more once a node has failed at once", () =>
    Effect.gen(function* () {
      const started: Array<number> = []
      const body = (node: number) =>
        Effect.andThen(
          Effect.sync(() => started.push(node)),
          Effect.fail("boom")
        )
      assert.deepStrictEqual(yield* Effect.exit(graph.run([[], [], [0]], 3, body)), Exit.fail("boom"))
      assert.deepStrictEqual(started, [0])
    })
  )

  it.effect("is interrupted where a node interrupts itself", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(graph.run([[], [0]], 1, () => Effect.interrupt))
      assert.isTrue(Exit.hasInterrupts(exit))
    })
  )

  it.effect("gives a place that comes free to the node that was ready first (G2)", () =>
    Effect.gen(function* () {
      const started: Array<[node: number, at: number]> = []
      const body = (node: number) =>
        Effect.andThen(
          Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sync(() => started.push([node, now]))),
          Effect.sleep(node === 0 ? 5 : 10)
        )
      const fiber = yield* Effect.forkChild(graph.run([[], [], [], [0]], 2, body))
      yield* TestClock.adjust(100)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(started, [
        [0, 0],
        [1, 0],
        [2, 5],
        [3, 10]
      ])
    })
  )
})
