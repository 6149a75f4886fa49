/**
 * The sleeps of a body: each ends at the time it was to end when it began, however often it is replayed (D7).
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { currentFrame, type Frame } from "../../internal/frame.ts"
import { fired } from "./history.ts"
import type { DurableJournal } from "./journal.ts"

/** A fiber knows them, but has no public name for them; those of races and of branches are not among them. */
const childrenOf = (fiber: Fiber.Fiber<unknown, unknown>): Iterable<Fiber.Fiber<unknown, unknown>> =>
  (fiber as unknown as { readonly _children: Set<Fiber.Fiber<unknown, unknown>> | undefined })._children ?? []

export class Sleeps {
  private readonly journal: DurableJournal
  /** How many sleeps began in a place. */
  private readonly counts = new Map<string, number>()
  /** How many have ended, in this life or before. */
  fires = 0
  /** When those that go on end, by path. */
  private readonly pending = new Map<string, number>()
  /** Who sleeps. */
  private readonly fibers = new Set<Fiber.Fiber<unknown, unknown>>()

  constructor(journal: DurableJournal) {
    this.journal = journal
  }

  /** When those that go on end, in epoch milliseconds. */
  get ends(): Iterable<number> {
    return this.pending.values()
  }

  /** Whether a body sleeps, and what it forked. */
  isAllOf(fiber: Fiber.Fiber<unknown, unknown> | undefined): boolean {
    if (fiber === undefined || !this.fibers.has(fiber)) return false
    for (const child of childrenOf(fiber)) if (!this.isAllOf(child)) return false
    return true
  }

  /** Another attempt begins. */
  clear(): void {
    this.counts.clear()
    this.pending.clear()
  }

  sleep(fiber: Fiber.Fiber<unknown, unknown>, frame: Frame, millis: number): Effect.Effect<void> {
    const { journal } = this
    const { execution } = journal
    if (!execution.isLive(frame)) return Effect.interrupt
    journal.activity++
    const n = (this.counts.get(frame.path) ?? 0) + 1
    this.counts.set(frame.path, n)
    const path = `${frame.path === "" ? "" : `${frame.path}/`}sleep${n === 1 ? "" : `#${n}`}`
    const known = journal.recorded.timer(path)
    const { turns } = journal.recorded
    if (known?.state.startsWith("fired") === true) return turns.wait(`sleep ${path}`) ?? Effect.void
    if (known?.state === "cancelled") return Effect.never
    if (known === undefined && journal.frozen) return journal.stall
    const now = journal.startedAt + execution.now()
    const due = known?.due ?? now + millis
    if (known === undefined) journal.write("timer", [journal.id, journal.attempt, path, due, "pending", journal.epoch])
    this.pending.set(path, due)
    this.fibers.add(fiber)
    journal.host.waits(execution)
    const time = due > now ? execution.clock.sleep(Duration.millis(due - now)) : Effect.yieldNow
    // What is recorded of other branches comes before a sleep that nobody saw the end of.
    const wait =
      known === undefined
        ? time
        : Effect.andThen(
            time,
            Effect.suspend(() => turns.end ?? Effect.void)
          )
    return Effect.onExitPrimitive(wait, (exit) => {
      journal.activity++
      this.fibers.delete(fiber)
      if (!this.pending.delete(path) || !execution.isLive(frame)) return undefined
      const state = exit._tag === "Success" ? fired(journal.ends.told, ++this.fires) : "cancelled"
      journal.write("timerState", [state, journal.id, journal.attempt, path, journal.epoch])
      return undefined
    })
  }
}

/** The clock of a body: its sleeps are recorded. Steps have the clock of the engine. */
export class DurableClock implements Clock.Clock {
  private readonly clock: Clock.Clock
  readonly journal: DurableJournal
  readonly currentTimeMillis: Effect.Effect<number>
  readonly currentTimeNanos: Effect.Effect<bigint>
  readonly monotonicTimeNanos: Effect.Effect<bigint>

  constructor(clock: Clock.Clock, journal: DurableJournal) {
    this.clock = clock
    this.journal = journal
    this.currentTimeMillis = clock.currentTimeMillis
    this.currentTimeNanos = clock.currentTimeNanos
    this.monotonicTimeNanos = clock.monotonicTimeNanos
  }

  currentTimeMillisUnsafe(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  currentTimeNanosUnsafe(): bigint {
    return this.clock.currentTimeNanosUnsafe()
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.clock.monotonicTimeNanosUnsafe()
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis <= 0 || !Number.isFinite(millis)) return this.clock.sleep(duration)
    return Effect.withFiber((fiber) => {
      const frame = currentFrame(fiber)
      return frame === undefined || frame.execution !== this.journal.execution
        ? this.clock.sleep(duration)
        : this.journal.sleeping.sleep(fiber, frame, millis)
    })
  }
}
