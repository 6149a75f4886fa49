/**
 * What depends on what: nodes 0, 1, 2, ... and the nodes that each depends on.
 *
 * G1  A node runs at most once, and not before everything it depends on has ended.
 * G2  A node starts the moment the last node it depends on ends, or when a place is free after that; at most
 *     `concurrency` nodes run at once, first come first served.
 * G3  The first node that fails ends the rest: nothing starts any more, what runs is interrupted and has ended before the
 *     failure goes on.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"

/** The nodes that each node depends on, each at most once. */
export type Graph = ReadonlyArray<ReadonlyArray<number>>

/** Runs every node once, as soon as what it depends on has been run. The graph must have no circles. */
export const run = <E, R>(
  graph: Graph,
  concurrency: number,
  body: (node: number) => Effect.Effect<void, E, R>
): Effect.Effect<void, E, R> => {
  if (graph.length === 0) return Effect.void
  return Effect.scopedWith((scope) =>
    Effect.flatMap(Scope.provide(FiberSet.make<void, E>(), scope), (fibers) =>
      Effect.flatMap(FiberSet.runtime(fibers)<R>(), (fork) => schedule(graph, concurrency, body, fork))
    )
  )
}

/** A schedule is over with the last node, with the first failure, or when it is interrupted. */
const schedule = <E, R>(
  graph: Graph,
  concurrency: number,
  body: (node: number) => Effect.Effect<void, E, R>,
  fork: (effect: Effect.Effect<void, E, R>) => {
    readonly addObserver: (f: (exit: Exit.Exit<void, E>) => void) => unknown
  }
): Effect.Effect<void, E> => {
  const over = Deferred.makeUnsafe<void, E>()
  const dependents: Array<Array<number>> = graph.map(() => [])
  const missing = graph.map((dependencies, node) => {
    for (const dependency of dependencies) dependents[dependency]!.push(node)
    return dependencies.length
  })
  const ready: Array<number> = []
  let next = 0
  let running = 0
  let left = graph.length
  let open = true

  // A node may end while it is being started: then the loop that started it goes on, and the stack stays flat.
  let starting = false
  const startReady = () => {
    if (starting) return
    starting = true
    while (open && next < ready.length && running < concurrency) {
      const node = ready[next++]!
      running++
      fork(Effect.suspend(() => body(node))).addObserver((exit) => ended(node, exit))
    }
    starting = false
  }
  const ended = (node: number, exit: Exit.Exit<void, E>) => {
    running--
    left--
    if (Exit.isFailure(exit) || left === 0) {
      open = false
      Deferred.doneUnsafe(over, exit)
      return
    }
    for (const dependent of dependents[node]!) if (--missing[dependent]! === 0) ready.push(dependent)
    startReady()
  }

  return Effect.suspend(() => {
    for (const [node, count] of missing.entries()) if (count === 0) ready.push(node)
    startReady()
    return Effect.onExit(Deferred.await(over), () =>
      Effect.sync(() => {
        open = false
      })
    )
  })
}

/**
 * A circle of each group of nodes that depend on each other: every node depends on the next one, the last on the first.
 * There is none exactly when the graph can be run.
 */
export const circles = (graph: Graph): ReadonlyArray<ReadonlyArray<number>> => {
  const group = groups(graph)
  const size = new Map<number, number>()
  for (const id of group) size.set(id, (size.get(id) ?? 0) + 1)
  const found: Array<Array<number>> = []
  const done = new Set<number>()
  for (const [node, id] of group.entries()) {
    if (done.has(id)) continue
    done.add(id)
    if (size.get(id) === 1 && !graph[node]!.includes(node)) continue
    // Every node of a group depends on one of it, so that a walk inside of it must come back to where it was.
    const walk = new Map<number, number>()
    let at = node
    while (!walk.has(at)) {
      walk.set(at, walk.size)
      at = graph[at]!.find((dependency) => group[dependency] === id)!
    }
    found.push(Array.from(walk.keys()).slice(walk.get(at)!))
  }
  return found
}

/** The strongly connected component of each node, by Tarjan's algorithm without recursion. */
const groups = (graph: Graph): ReadonlyArray<number> => {
  const group: Array<number> = graph.map(() => -1)
  const order: Array<number> = graph.map(() => -1)
  const lowest: Array<number> = graph.map(() => 0)
  const edge: Array<number> = graph.map(() => 0)
  const open: Array<number> = []
  let visited = 0
  let count = 0
  for (const root of graph.keys()) {
    if (order[root] !== -1) continue
    const path = [root]
    while (path.length > 0) {
      const node = path[path.length - 1]!
      if (order[node] === -1) {
        order[node] = lowest[node] = visited++
        open.push(node)
      }
      const dependency = graph[node]![edge[node]!]
      if (dependency !== undefined) {
        edge[node]!++
        if (order[dependency] === -1) path.push(dependency)
        else if (group[dependency] === -1) lowest[node] = Math.min(lowest[node]!, order[dependency]!)
        continue
      }
      path.pop()
      const parent = path[path.length - 1]
      if (parent !== undefined) lowest[parent] = Math.min(lowest[parent]!, lowest[node]!)
      if (lowest[node] !== order[node]) continue
      for (let member = open.pop()!; ; member = open.pop()!) {
        group[member] = count
        if (member === node) break
      }
      count++
    }
  }
  return group
}
