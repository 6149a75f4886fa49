/**
 * The children that a body starts: one that an earlier life started goes on, one of an earlier attempt that has completed
 * is used again.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Execution } from "../../Execution.ts"
import type { ExecutionImpl } from "../../internal/execution.ts"
import type { Frame } from "../../internal/frame.ts"
import type { RunImpl } from "../../internal/run.ts"
import type { DurableJournal } from "./journal.ts"

export class Children {
  private readonly journal: DurableJournal
  /** What the body waits for that is only read: it does not stand still meanwhile. */
  lookups = 0

  constructor(journal: DurableJournal) {
    this.journal = journal
  }

  start(
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl
  ): Effect.Effect<Execution<any, any>> {
    const { journal } = this
    journal.activity++
    const start = (known: string | undefined) =>
      this.looksUp(() => journal.host.startChild(parent, fiber, frame, run, known))
    const known = journal.recorded.child(frame.path)
    if (known !== undefined) {
      journal.follow(fiber, frame)
      return start(known)
    }
    const leave = Effect.sync(() => frame.parent?.leave(frame))
    const begin = Effect.suspend(() => {
      if (!parent.isLive(frame)) return Effect.interrupt
      const wait = journal.frozen ? journal.stall : journal.follow(fiber, frame)
      const begun = Effect.suspend(() => {
        // Where an attempt resumes, the next one may use it.
        if (parent.recorded !== undefined) journal.recorded.keepChild(frame.path, run.id)
        return start(undefined)
      })
      return wait === undefined
        ? begun
        : Effect.andThen(
            Effect.onInterrupt(wait, () => leave),
            begun
          )
    })
    const earlier = journal.recorded.earlierChild(frame.path)
    if (earlier === undefined) return begin
    const completed = Effect.onInterrupt(
      this.looksUp(() => journal.host.completed(earlier, run)),
      () => leave
    )
    return Effect.flatMap(completed, (handle) => (handle === undefined ? begin : Effect.as(leave, handle)))
  }

  /** Reads what the body waits for; it does not stand still meanwhile. */
  private looksUp<A>(read: () => Effect.Effect<A>): Effect.Effect<A> {
    return Effect.suspend(() => {
      this.lookups++
      return Effect.ensuring(
        read(),
        Effect.sync(() => this.lookups--)
      )
    })
  }
}
