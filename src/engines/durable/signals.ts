/**
 * What processes want of executions that another may have: written down for the owner, who looks for it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import * as cancelling from "../../internal/cancelling.ts"
import type { ExecutionImpl } from "../../internal/execution.ts"
import { parse } from "./codec.ts"
import type { DurableEngine } from "./engine.ts"
import { gather, sizeFor } from "./gather.ts"
import type { DurableJournal } from "./journal.ts"
import { atOnce, pauseWanted, resident } from "./rows.ts"
import { ifOwned, realSleep, valuesOf } from "./writer.ts"

interface SignalRow {
  readonly id: number
  readonly execution_id: string
  readonly kind: string
  readonly payload: string | null
}

/** A signal that was obeyed, and by which owner: only then is it done (D4). */
interface Done {
  readonly id: number
  readonly executionId: string | null
  readonly epoch: string | null
}

export class Signals {
  private readonly engine: DurableEngine
  /** Cancels that other processes asked for and that have no answer yet, by signal. */
  private readonly cancelling = new Map<number, ExecutionImpl>()
  private readonly oneAtATime = Semaphore.makeUnsafe(1).withPermits(1)
  /** What this process owned when it last looked for what is due. */
  private owned = ""

  /** What was wanted is done. */
  private readonly forget: (done: Done) => Effect.Effect<boolean>

  constructor(engine: DurableEngine) {
    this.engine = engine
    this.forget = gather(engine, (done) => {
      const some = Array.from({ length: sizeFor(done.length) }, (_, i) => done[Math.min(i, done.length - 1)])
      const isOwner = `(v.column2 IS NULL OR ${ifOwned(engine.isPg, "1", "v.column2", "v.column3")} = 1)`
      const forgotten = engine.command<{ id: number }>(
        `DELETE FROM baton_signals WHERE id IN (SELECT v.column1 FROM ${valuesOf(["BIGINT", "TEXT", "TEXT"], some.length)}
         WHERE ${isOwner}) RETURNING id`,
        some.flatMap(({ epoch, executionId, id }) => [id, executionId, epoch])
      )
      return Effect.map(forgotten, (rows) => {
        const ids = new Set(rows.map(({ id }) => Number(id)))
        return done.map(({ id }) => Exit.succeed(ids.has(Number(id))))
      })
    })
  }

  /** Writes down what is wanted of an execution, and gives the number of that. */
  write(id: string, kind: string, payload: string | null): Effect.Effect<number> {
    const text = `INSERT INTO baton_signals (execution_id, kind, payload) VALUES (?, ?, ?) RETURNING id`
    return Effect.map(this.engine.command<{ id: number }>(text, [id, kind, payload]), ([row]) => Number(row.id))
  }

  /** Tells the owner of an execution that there is something to do, and gives the number of that. */
  send(id: string, kind: string, payload: string | null): Effect.Effect<number> {
    const insert = this.write(id, kind, payload)
    // An answer that comes after a pause must not let the run go on before it.
    const mark = (paused: string) => this.engine.command(`UPDATE baton_runs SET paused = ${paused} WHERE id = ?`, [id])
    const before =
      kind === "pause"
        ? mark(`${pauseWanted}`)
        : kind === "resume"
          ? mark(`CASE WHEN paused = ${pauseWanted} THEN 0 ELSE paused END`)
          : Effect.void
    return Effect.andThen(before, Effect.tap(insert, this.tellOwner(id)))
  }

  /** Nobody waits for it: who does not hear looks on their own. */
  tellOwner(id: string): Effect.Effect<void> {
    const { tell } = this.engine.placement
    if (tell === undefined || this.engine.residents.has(id)) return Effect.void
    const root = this.engine.query<{ root_id: string }>(`SELECT root_id FROM baton_runs WHERE id = ?`, [id])
    const told = Effect.flatMap(root, ([row]) => (row === undefined ? Effect.void : tell(row.root_id)))
    return Effect.sync(() => void this.engine.fork(told))
  }

  /** Does what other processes asked for. */
  readonly handleSignals: Effect.Effect<void> = this.oneAtATime(
    Effect.gen({ self: this }, function* () {
      if (!this.engine.runs) return
      // What nobody here can do must not stand in the way of the rest, but what is wanted of one run is done in order.
      const left = new Set<string>()
      for (let after = 0, more = true; more; ) {
        const signals = yield* this.engine.query<SignalRow>(
          `SELECT id, execution_id, kind, payload FROM baton_signals WHERE id > ? ORDER BY id LIMIT 1000`,
          [after]
        )
        const byExecution = Map.groupBy(signals, (signal) => signal.execution_id)
        yield* Effect.forEach(byExecution.values(), (some) => this.handleInOrder(some, left), {
          concurrency: 64,
          discard: true
        })
        more = signals.length === 1000
        if (more) after = Number(signals[999].id)
      }
    })
  )

  /** Another process has written something for this one, and says so. */
  readonly hear: Effect.Effect<void> = Effect.sync(() => void this.engine.fork(this.handleSignals))

  private handleInOrder(signals: ReadonlyArray<SignalRow>, left: Set<string>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (const signal of signals) {
        // A cancel need not wait for what one that is held can not do.
        if (left.has(signal.execution_id) && !this.undoes(signal)) continue
        if (!(yield* this.handleSignal(signal))) left.add(signal.execution_id)
      }
    })
  }

  /** Whether it cancels an execution that is held. */
  private undoes({ execution_id, kind }: SignalRow): boolean {
    return this.engine.recovery.held.has(execution_id) && (kind === "cancel" || kind === "interrupt")
  }

  /** Whether it was done, or need not be. */
  private handleSignal(signal: SignalRow): Effect.Effect<boolean> {
    const handle = Effect.gen({ self: this }, function* () {
      const asked = this.cancelling.get(signal.id)
      const isHeld = this.engine.recovery.held.has(signal.execution_id)
      if (this.undoes(signal)) {
        const reason = signal.kind === "cancel" ? parse(signal.payload)?.reason : "interrupted"
        const undone = yield* this.engine.recovery.undo(signal.execution_id, reason)
        if (undone === undefined) return false
        const journal = undone.journal as DurableJournal
        yield* journal.flush
        return yield* this.done(signal, journal)
      }
      if (isHeld || (asked !== undefined && asked.outcome === undefined)) return false
      const execution = yield* this.engine.recovery.activate(signal.execution_id)
      if (execution === undefined) {
        const row = yield* this.engine.reads.run(signal.execution_id)
        // Nobody here can go on with it: whoever can does it.
        if (row !== undefined && row.settled_at === null) return false
        yield* this.forget({ id: signal.id, executionId: null, epoch: null })
        return true
      }
      const journal = execution.journal as DurableJournal
      const done = this.done(signal, journal)
      if (signal.kind === "cancel") {
        // Somebody may be asked first, and takes time: until there is an answer the signal stands for the cancel (D9).
        this.cancelling.set(signal.id, execution)
        const cancel = execution
          .cancel(parse(signal.payload)?.reason)
          .pipe(
            Effect.andThen(journal.flush),
            Effect.andThen(done),
            Effect.ensuring(Effect.sync(() => this.cancelling.delete(signal.id)))
          )
        execution.fork(cancel)
        return true
      }
      yield* this.obey(execution, signal)
      yield* journal.flush
      // It was taken away in the middle: whoever has it now does it.
      return journal.isClosed ? false : yield* done
    })
    return this.engine.parking.pinned(signal.execution_id, handle)
  }

  /** Forgets a signal that was obeyed, unless somebody else has the execution by now, who obeys it then. */
  private done({ id }: SignalRow, journal: DurableJournal): Effect.Effect<boolean> {
    return Effect.gen({ self: this }, function* () {
      const { epoch, id: executionId } = journal
      if (yield* this.forget({ id, executionId, epoch })) return true
      const row = yield* this.engine.reads.run(executionId)
      const isLost = row !== undefined && row.epoch !== epoch && !journal.isClosed
      if (isLost) this.engine.lost(journal)
      return !isLost
    })
  }

  private obey(execution: ExecutionImpl, { id, kind, payload }: SignalRow): Effect.Effect<void> {
    switch (kind) {
      case "look":
        return this.engine.answers.look(execution)
      case "ask":
        return this.engine.asking.open(execution, id, payload!)
      case "pause":
        return Effect.ignore(execution.pause)
      case "resume":
        return Effect.ignore(execution.resume)
      case "interrupt":
        return Effect.sync(() => cancelling.accept(execution, "interrupted"))
      default:
        return Effect.logWarning(`A signal "${kind}" for ${execution.id} is not known here`)
    }
  }

  /** Lets go of what is another's now, and takes up what is this process's, or due. */
  private get keepUp(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.engine.runs) return Effect.void
      this.engine.handover.look()
      const owned = this.engine.placement.version()
      const from = owned === this.owned ? atOnce : resident
      // What could not be taken up now is looked for again.
      const taken = Effect.sync(() => void (this.owned = owned))
      return Effect.andThen(this.engine.recovery.takeUpDue(from, this.engine.alarm.now), taken)
    })
  }

  /** Looks for what other processes wrote. */
  get poll(): Effect.Effect<void> {
    let seen: unknown
    const hasChanged = this.engine.isPg
      ? Effect.as(this.keepUp, true)
      : Effect.map(this.engine.query<Record<string, unknown>>("PRAGMA data_version"), ([row]) => {
          const version = Object.values(row)[0]
          const changed = version !== seen
          seen = version
          return changed
        })
    const look = Effect.flatMap(hasChanged, (changed) => {
      if (!changed) return Effect.void
      this.engine.watchers.notifyOthers()
      return this.handleSignals
    })
    return Effect.forever(
      Effect.andThen(
        Effect.catchCause(look, (cause) => {
          seen = undefined
          return Effect.logWarning("Other processes could not be heard", cause)
        }),
        realSleep(this.engine.pollMillis)
      )
    )
  }
}
