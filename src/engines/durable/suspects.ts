/**
 * Runs that were there each time a process died are taken up one after the other, each with a moment for itself: the one that
 * is to blame is then alone with it, and the others are cleared instead of being failed with it.
 */
import * as Effect from "effect/Effect"
import type { ExecutionImpl } from "../../internal/execution.ts"
import type { DurableEngine } from "./engine.ts"
import type { DurableJournal } from "./journal.ts"
import type { RunRow } from "./rows.ts"
import { realSleep } from "./writer.ts"

/** How long one is watched at most: looks, and milliseconds between them. */
const looks = 20
const pauseMillis = 50

export class Suspects {
  private readonly engine: DurableEngine
  private readonly queue = new Set<string>()
  private current: string | undefined

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  /** Whether a run that was in the memory of a process that died has to wait for its turn, which comes by itself. */
  defer({ crashes, id }: RunRow): boolean {
    if (id === this.current || crashes < Math.floor(this.engine.maxCrashes / 2)) return false
    this.queue.add(id)
    if (this.current === undefined) {
      this.current = ""
      this.engine.fork(this.takeUpAll)
    }
    return true
  }

  private get takeUpAll(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      // Those that are added meanwhile are gone through as well.
      for (const id of this.queue) {
        this.queue.delete(id)
        this.current = id
        const execution = yield* this.engine.recovery.activate(id)
        if (execution === undefined) continue
        yield* this.engine.signals.handleSignals
        yield* this.watch(execution)
        // The last one stays under suspicion: nobody comes after it who could be to blame instead.
        if (this.queue.size > 0) yield* this.clear(execution)
      }
    }).pipe(Effect.ensuring(Effect.sync(() => void (this.current = undefined))))
  }

  /** Waits until a run has got further, or only waits, or has been there for a while. */
  private watch(execution: ExecutionImpl): Effect.Effect<void> {
    const journal = execution.journal as DurableJournal
    const before = journal.sequence
    const look = (left: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        const isFurther = journal.sequence > before && journal.isIdle
        return left === 0 || isFurther || journal.isClosed || this.engine.parking.onlyWaits(execution)
          ? Effect.void
          : Effect.andThen(realSleep(pauseMillis), look(left - 1))
      })
    return look(looks)
  }

  private clear({ id, journal }: ExecutionImpl): Effect.Effect<unknown> {
    const { epoch } = journal as DurableJournal
    return this.engine.command(`UPDATE baton_runs SET crashes = 0 WHERE id = ? AND epoch = ?`, [id, epoch])
  }
}
