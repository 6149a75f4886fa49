/**
 * How an execution leaves the memory: when it has only waited for a while, or when this process must let it go (D6).
 */
import * as Effect from "effect/Effect"
import type { ExecutionImpl } from "../../internal/execution.ts"
import * as people from "../../internal/people.ts"
import type { DurableEngine } from "./engine.ts"
import type { DurableJournal } from "./journal.ts"
import { atOnce } from "./rows.ts"
import { realSleep } from "./writer.ts"

/** An execution and all below it, children after their parents. */
const treeOf = (execution: ExecutionImpl): Array<ExecutionImpl> => {
  const tree = [execution]
  for (let i = 0; i < tree.length; i++) for (const child of tree[i].children ?? []) tree.push(child)
  return tree
}

export class Parking {
  private readonly engine: DurableEngine
  /** Executions at the top of their trees that wait, or did, how much had happened in the tree, and when that last changed. */
  readonly idle = new Map<ExecutionImpl, { activity: number; since: number }>()
  /** Those that left and whose rows do not say so yet. */
  private readonly leaving = new Map<string, DurableJournal>()
  private readonly pins = new Map<string, number>()

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  /** Keeps an execution from leaving the memory while something is done to it (D6). */
  pinned<A, E>(id: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      this.pins.set(id, (this.pins.get(id) ?? 0) + 1)
      const unpin = Effect.sync(() => {
        const left = (this.pins.get(id) ?? 1) - 1
        if (left === 0) this.pins.delete(id)
        else this.pins.set(id, left)
      })
      return Effect.ensuring(effect, unpin)
    })
  }

  /** Lets the tree of an execution go once it has only waited for long enough. */
  watchIdle(execution: ExecutionImpl): void {
    let top = execution
    while (top.parent !== undefined) top = top.parent
    if (top.outcome !== undefined || this.idle.has(top)) return
    this.idle.set(top, { activity: -1, since: this.engine.now() })
  }

  /** Whether an execution only waits for people, pauses, time or what is below it. */
  private canLeave(execution: ExecutionImpl): boolean {
    const journal = execution.journal as DurableJournal
    if (execution.outcome !== undefined || execution.cancelled !== undefined || execution.decision !== undefined)
      return false
    if (journal.inFlight > 0 || journal.isFrozen || !journal.isIdle || execution.timedOut !== undefined) return false
    // What people said may be for a request that its replay has yet to come to (D6).
    if (this.engine.answers.reopening.has(execution) || journal.recorded.isBehind) return false
    if (this.pins.has(execution.id)) return false
    // A person is being asked right now.
    if (people.list(execution).some(({ stopDelivery }) => stopDelivery !== undefined)) return false
    return (
      execution.state === "awaiting" ||
      execution.betweenAttempts !== undefined ||
      // What a body does beside a sleep, in a branch or within a timeout, is not known, and would be cut.
      journal.sleeping.isAllOf(execution.fiber) ||
      (execution.children?.size ?? 0) > 0
    )
  }

  /** Whether a tree only waits. */
  onlyWaits(top: ExecutionImpl): boolean {
    return treeOf(top).every((each) => this.canLeave(each))
  }

  /** When an execution must be looked at again, if nothing comes before. */
  private deadline(execution: ExecutionImpl): number {
    const journal = execution.journal as DurableJournal
    let at = journal.retryAt ?? Number.POSITIVE_INFINITY
    for (const due of journal.sleeping.ends) at = Math.min(at, due)
    for (const request of people.list(execution)) {
      if (request.timeoutMillis !== undefined) at = Math.min(at, request.createdAt + request.timeoutMillis)
    }
    const timer = execution.timeout
    if (timer?.fiber !== undefined) at = Math.min(at, execution.startedAt + timer.since + timer.remainingMillis)
    return at
  }

  /** Lets a tree go whose executions have only waited for long enough. */
  private park(top: ExecutionImpl, waiting: { activity: number; since: number }, now: number): void {
    const tree = treeOf(top)
    let activity = 0
    for (const { journal } of tree)
      activity += (journal as DurableJournal).activity + (journal as DurableJournal).sequence
    if (activity !== waiting.activity) {
      waiting.since = waiting.activity === -1 ? waiting.since : now
      waiting.activity = activity
    }
    if (now - waiting.since < this.engine.idleMillis || !tree.every((each) => this.canLeave(each))) return
    for (const each of tree.reverse()) {
      const at = this.deadline(each)
      this.leave(each, Number.isFinite(at) ? Math.max(at, atOnce) : null)
      if (Number.isFinite(at)) this.engine.alarm.set(at)
    }
  }

  /** From here on the execution is nobody's, until `wakeAt` or a signal. */
  leave(execution: ExecutionImpl, wakeAt: number | null): void {
    const journal = execution.journal as DurableJournal
    journal.write("parked", [wakeAt, JSON.stringify(execution.used), execution.id, journal.epoch])
    this.leaving.set(execution.id, journal)
    this.drop(execution)
  }

  /** Whether it has just left, in order, though its row may still say that it is in the memory. */
  isLeaving(id: string): boolean {
    return this.leaving.has(id)
  }

  /** Something of an execution is on disk. */
  written(journal: DurableJournal): void {
    if (journal.isClosed && journal.isIdle && this.leaving.get(journal.id) === journal) this.leaving.delete(journal.id)
  }

  /** From here on the execution is not in the memory; nothing more is written of it. */
  drop(execution: ExecutionImpl): void {
    const journal = execution.journal as DurableJournal
    if (this.engine.residents.get(execution.id) === execution) this.engine.residents.delete(execution.id)
    this.idle.delete(execution)
    // Who waits for the disk finds the execution gone.
    execution.abandon()
    journal.close()
    this.engine.watchers.tellExit(execution.id, undefined)
  }

  /** Drops an execution and all below it. */
  dropAll(execution: ExecutionImpl): void {
    for (const each of treeOf(execution).reverse()) this.drop(each)
  }

  /** Lets go of what has waited long enough. */
  get sweep(): Effect.Effect<void> {
    const turn = Effect.sync(() => {
      const now = this.engine.now()
      for (const [top, waiting] of this.idle) this.park(top, waiting, now)
      this.engine.alarm.check()
    })
    const pause = Math.min(1000, Math.max(10, this.engine.idleMillis / 4))
    return Effect.forever(Effect.andThen(realSleep(pause), turn))
  }
}
