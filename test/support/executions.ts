/**
 * What the tests of the core share: starting, reading the history so far, and checking that an end is consistent.
 */
import { assert } from "@effect/vitest"
import { Cause, Clock, type Duration, Effect, Exit, type Fiber, Metric, Option, Scheduler, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Cancel, Event, type Execution, Run, type RunError, type Workflow } from "effect-baton"
import type { ExecutionImpl } from "../../src/internal/execution.ts"

/** Configures and starts. */
export const start = <Input, Output, Error, R>(
  workflow: Workflow.Workflow<Input, Output, Error, R>,
  input: NoInfer<Input>,
  options?: NoInfer<Run.RunOptions<Output, Error>>
) => Effect.flatMap(workflow.run(input, options), (run) => run.start)

/** The events so far, without waiting for more. */
export const history = (execution: Execution.Execution<any, any>): ReadonlyArray<Event.Event> =>
  (execution as ExecutionImpl).log.read(1, (execution as ExecutionImpl).startedAt, Number.POSITIVE_INFINITY)

/** Names of the events so far. */
export const tags = (execution: Execution.Execution<any, any>) => history(execution).map((event) => event._tag)

/** How often an event came up. */
export const count = (execution: Execution.Execution<any, any>, tag: Event.Tag) =>
  tags(execution).filter((other) => other === tag).length

/** The statuses so far. */
export const statuses = (execution: Execution.Execution<any, any>) =>
  history(execution).flatMap((event) => (event._tag === "StatusChanged" ? [event.to] : []))

/** The only open request. */
export const onlyRequest = (execution: Execution.Execution<any, any>) =>
  Effect.map(execution.requests, (requests) => {
    assert.strictEqual(requests.length, 1, "open requests")
    return requests[0]
  })

/** The first sleep of a TestClock ends at once where it stands in the finalizer of an interrupted fiber: this is that one. */
export const firstSleep = Effect.andThen(Effect.forkChild(Effect.sleep(1)), TestClock.adjust(1))

/** Lets everything that the scheduler holds run. */
export const settleFor = (turns: number) =>
  Effect.forEach(Array.from({ length: turns }), () => Effect.yieldNow, { discard: true })

/** The same, for as long as it usually takes. */
export const settle = settleFor(20)

const transitionOf: Record<Run.RunStatus, Run.Transition> = {
  pending: "start",
  "in-progress": "release",
  awaiting: "hold",
  completed: "complete",
  failed: "fail",
  cancelled: "cancel"
}

/** E1, E2, E3, L1, L3: numbers without gaps, one terminal event at the end, statuses along the table, all agreeing. */
export const consistent = Effect.fnUntraced(function* (execution: Execution.Execution<any, any>) {
  const exit = yield* execution.exit
  assert.deepStrictEqual(yield* Effect.exit(execution.result), exit)
  const status = yield* execution.status
  const events = yield* Stream.runCollect(execution.events)
  assert.deepStrictEqual(
    events.map((event) => event.sequence),
    events.map((_, i) => events[0].sequence + i)
  )
  if (events[0]._tag !== "EventsDropped") assert.strictEqual(events[0].sequence, 1)
  assert.deepStrictEqual(
    events.map(Event.isTerminal),
    events.map((_, i) => i === events.length - 1)
  )
  let current: Run.RunStatus | undefined
  for (const event of events) {
    if (event._tag !== "StatusChanged") continue
    if (current !== undefined) assert.strictEqual(event.from, current)
    const by = event.from === "pending" && event.to === "in-progress" ? "start" : transitionOf[event.to]
    assert.strictEqual(Run.transition(event.from, by), event.to)
    current = event.to
  }
  assert.strictEqual(current, status)
  const terminal = events[events.length - 1]._tag
  if (Exit.isSuccess(exit)) {
    assert.deepStrictEqual([status, terminal], ["completed", "RunCompleted"])
  } else if (terminal === "RunCancelled") {
    assert.strictEqual(status, "cancelled")
    const error = Option.getOrThrow(Cause.findErrorOption(exit.cause)) as RunError.RunError
    assert.instanceOf(error, Cancel.RunCancelled)
    assert.strictEqual(error.executionId, execution.id)
  } else {
    assert.deepStrictEqual([status, terminal], ["failed", "RunFailed"])
  }
  assert.deepStrictEqual(yield* execution.requests, [])
  return exit
})

/** Counts the fibers and the sleeps that an effect leaves behind. */
export interface Counter {
  /** Fibers that have begun and not ended. */
  fibers: number
  /** Sleeps that have begun and not ended. */
  sleeps: number
}

/** Runs an effect with its fibers and sleeps counted; those of the effect itself are not. */
export const counted = <A, E, R>(f: (counter: Counter) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const counter: Counter = { fibers: 0, sleeps: 0 }
    const clock = yield* Clock.Clock
    // A TestClock stays one.
    const counting: Clock.Clock = Object.assign(Object.create(clock), {
      sleep: (duration: Duration.Duration) =>
        Effect.acquireUseRelease(
          Effect.sync(() => void counter.sleeps++),
          () => clock.sleep(duration),
          () => Effect.sync(() => void counter.sleeps--)
        )
    })
    const metrics = {
      recordFiberStart: () => void counter.fibers++,
      recordFiberEnd: () => void counter.fibers--
    }
    return yield* f(counter).pipe(
      Effect.provideService(Clock.Clock, counting),
      Effect.provideService(Metric.FiberRuntimeMetrics, metrics)
    )
  })

/**
 * A scheduler that may let others run before any operation: interleavings that hardly ever happen otherwise. A yield
 * costs operations itself, so a chance of a half or more never gets anywhere.
 */
export const scheduler = (choose: (fiber: Fiber.Fiber<unknown, unknown>) => boolean): Scheduler.Scheduler => {
  const mixed = new Scheduler.MixedScheduler()
  return {
    executionMode: mixed.executionMode,
    shouldYield: (fiber) => choose(fiber),
    makeDispatcher: () => mixed.makeDispatcher()
  }
}

/** A small generator of numbers between 0 and 1, the same for the same seed. */
export const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
