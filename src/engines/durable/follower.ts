/**
 * Follows the fibers of a body in a replay: one that does not do what is recorded of it (`strands.ts`) is in doubt, until
 * another one does that instead, or the body stands still; then the journal is not that of this code.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Frame } from "../../internal/frame.ts"
import { describeCall } from "./calls.ts"
import type { DurableJournal } from "./journal.ts"
import { DurableClock } from "./sleeps.ts"
import type { Expected } from "./strands.ts"

const bodyEnd = "the end of the body"
const fiberEnd = "the end of the fiber"

const isInterrupted = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Failure" && Cause.hasInterrupts(exit.cause)

/** A fiber knows it, but has no public name for it. */
const isInterruptible = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  (fiber as unknown as { readonly interruptible: boolean }).interruptible

export class Follower {
  private readonly journal: DurableJournal
  /** How often it is not clear yet whether a replay fits. */
  private doubts = 0

  constructor(journal: DurableJournal) {
    this.journal = journal
  }

  /** A fiber begins something, which is called `found` where something else is expected. */
  begins(
    fiber: Fiber.Fiber<unknown, unknown>,
    path: string,
    found: (expected: Expected) => string
  ): Effect.Effect<void> | undefined {
    const { execution, recorded } = this.journal
    const { strands, turns } = recorded
    const isInner = this.isInner(fiber)
    const isJudged = !isInner && this.isJudged(fiber)
    if (isJudged) this.watchEnd(fiber)
    const expected = strands.begin(fiber, path, fiber === execution.fiber, { isInner, isJudged })
    if (expected === undefined) return isInner ? undefined : turns.end
    return this.doubt(expected, found(expected), () => this.begins(fiber, path, found) ?? Effect.void)
  }

  entered(fiber: Fiber.Fiber<unknown, unknown>, frame: Frame): void {
    const { execution, recorded } = this.journal
    if (fiber === execution.fiber || this.isInner(fiber) || !this.isJudged(fiber)) return
    this.watchEnd(fiber)
    recorded.strands.enter(fiber, frame)
  }

  bodyEnds(fiber: Fiber.Fiber<unknown, unknown>, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    const { journal } = this
    if (journal.frozen || isInterrupted(exit)) return undefined
    const expected = journal.recorded.strands.end(fiber, true)
    if (expected !== undefined) return this.doubt(expected, bodyEnd, () => Effect.void)
    journal.calls.warnOfUnasked()
    const settled: Effect.Effect<void> = Effect.suspend(() =>
      this.doubts === 0 ? Effect.void : Effect.andThen(Effect.yieldNow, settled)
    )
    return this.doubts === 0 ? undefined : settled
  }

  /** Ends when the body has come as far as it came before, or stands still. */
  get replayed(): Effect.Effect<void> {
    const { journal } = this
    const { strands, turns } = journal.recorded
    if (strands.isEmpty) return Effect.void
    const turn = (quiet: number, seen: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (journal.isClosed || quiet >= (turns.isOver ? 2 : 15)) return Effect.void
        return Effect.andThen(Effect.yieldNow, turn(journal.activity === seen ? quiet + 1 : 0, journal.activity))
      })
    return turn(0, journal.activity)
  }

  /** Whether what a fiber does follows from the code alone (S3). */
  private isJudged(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return !this.journal.frozen && isInterruptible(fiber)
  }

  /** Whether a fiber does the work of a step, which has the engine's clock. */
  private isInner(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const clock = Context.get(fiber.context, Clock.Clock)
    return !(clock instanceof DurableClock && clock.journal === this.journal)
  }

  /** In a replay, looks whether a fiber of a body comes as far as it came before. */
  private watchEnd(fiber: Fiber.Fiber<unknown, unknown>): void {
    const { journal } = this
    const { strands } = journal.recorded
    if (strands.isEmpty || fiber === journal.execution.fiber || strands.knows(fiber)) return
    fiber.addObserver((exit) => {
      if (journal.frozen || isInterrupted(exit)) return
      const expected = strands.end(fiber, false)
      if (expected === undefined) return
      this.doubts++
      const doubt = journal.beside(this.doubt(expected, fiberEnd, () => Effect.void, Effect.void))
      doubt.addObserver(() => this.doubts--)
    })
  }

  /** Where another fiber does what was expected of this one, it may go on; else the journal is not that of this code. */
  private doubt(
    expected: Expected,
    found: string,
    goOn: () => Effect.Effect<void>,
    hold: Effect.Effect<void> = Effect.never
  ): Effect.Effect<void> {
    const { journal } = this
    const turn = (quiet: number, seen: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (expected.asked || journal.frozen || journal.isClosed) return goOn()
        if (quiet < 10)
          return Effect.andThen(Effect.yieldNow, turn(journal.activity === seen ? quiet + 1 : 0, journal.activity))
        const { call, path } = expected
        if (call === undefined) journal.host.mismatch(journal, path, `"${path}"`, found)
        else journal.host.mismatch(journal, call.path, `the recorded ${describeCall(call.asked)}`, found)
        return hold
      })
    return turn(0, journal.activity)
  }
}
