/**
 * How runs leave a process that lives: they begin nothing new, what is in flight gets its time to end and to be recorded,
 * and then another process takes them up where they are (D13).
 */
import * as Effect from "effect/Effect"
import type { ExecutionImpl } from "../../internal/execution.ts"
import type { DurableEngine } from "./engine.ts"
import type { DurableJournal } from "./journal.ts"
import { atOnce } from "./rows.ts"
import { realSleep } from "./writer.ts"

const journalOf = (execution: ExecutionImpl): DurableJournal => execution.journal as DurableJournal

export class Handover {
  private readonly engine: DurableEngine
  /** How often was looked at trees that are to leave and still work, by the id of their root. */
  private looks = new Map<string, number>()

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  /** Looks at what is not this process's any more; done every `pollInterval`. */
  look(): void {
    const { graceMillis, pollMillis } = this.engine
    const looks = new Map<string, number>()
    this.leave(
      () => true,
      (rootId) => {
        const n = (this.looks.get(rootId) ?? 0) + 1
        looks.set(rootId, n)
        return n * pollMillis > graceMillis
      }
    )
    this.looks = looks
  }

  /** Ends when a part of the runs has left this process, and that is on disk: then another may have it. */
  part(isPart: (rootId: string) => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { graceMillis, recovery, writer } = this.engine
      // What was on its way into the memory arrives first.
      const loading = [...recovery.loading]
      const arrived = () => loading.every(([id, waiting]) => recovery.loading.get(id) !== waiting)
      const turn = (left: number): Effect.Effect<void> =>
        Effect.suspend(() => {
          const isUp = left === 0 || writer.crashed
          if ((this.leave(isPart, () => isUp) && arrived()) || isUp) return writer.drained
          return Effect.andThen(realSleep(10), turn(left - 1))
        })
      return turn(Math.ceil(graceMillis / 10))
    })
  }

  /** Lets go of what is not this process's any more and works no more, or whose time is up; whether all of it has left. */
  private leave(isPart: (rootId: string) => boolean, isUp: (rootId: string) => boolean): boolean {
    const { parking, placement, residents } = this.engine
    const isMoving = ({ isMoving, rootId }: DurableJournal) => isPart(rootId) && (isMoving || !placement.owns(rootId))
    // What has settled leaves by itself, once that is on disk.
    const moving = [...residents.values()].filter(
      (execution) => execution.outcome === undefined && isMoving(journalOf(execution))
    )
    const trees = Map.groupBy(moving, (execution) => journalOf(execution).rootId)
    for (const [rootId, tree] of trees) {
      for (const execution of tree) journalOf(execution).isMoving = true
      const isBusy = tree.some((execution) => journalOf(execution).inFlight > 0)
      if (isBusy && !isUp(rootId)) continue
      for (const execution of tree) parking.leave(execution, atOnce)
      trees.delete(rootId)
    }
    return trees.size === 0
  }
}
