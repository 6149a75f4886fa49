/**
 * How an execution comes into the memory of this process: its rows are read, its body runs over them again.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Execution } from "../../Execution.ts"
import * as attempts from "../../internal/attempts.ts"
import * as cancelling from "../../internal/cancelling.ts"
import { ExecutionImpl } from "../../internal/execution.ts"
import * as people from "../../internal/people.ts"
import { RunImpl, type Starter } from "../../internal/run.ts"
import { loadJournaling } from "../../services/BodyModel.ts"
import { ExecutionNotFound } from "../../services/Engine.ts"
import { toConfig } from "../../Timeout.ts"
import type { Any } from "../../Workflow.ts"
import { claiming } from "./claiming.ts"
import { decode, misfit, parse } from "./codec.ts"
import type { DurableEngine } from "./engine.ts"
import { DurableHandle } from "./handle.ts"
import { type EventRow, type History, hasAnswers } from "./history.ts"
import { DurableJournal } from "./journal.ts"
import { fromStored } from "./options.ts"
import type { Registration } from "./registry.ts"
import { detached } from "./requests.ts"
import { atOnce, pauseWanted, type RunRow, resident } from "./rows.ts"
import { addUsage, progressOf, spentSince, usageOf } from "./totals.ts"
import { realSleep } from "./writer.ts"

/** A run that may be due. */
interface DueRow {
  readonly id: string
  readonly root_id: string
  readonly workflow: string
  readonly version: string | null
  readonly wake_at: number
}

/** An execution that is ours now. */
interface Taken {
  readonly row: RunRow
  readonly history: History
}

/** How many of them are read at once. */
const duePage = 1000

export class Recovery {
  private readonly engine: DurableEngine
  /** Executions that the code here can not go on with: what is wanted of them waits for code that can. */
  readonly held = new Set<string>()
  /** Those of them that are cancelled, and why: they are taken up to be undone. */
  private readonly undoing = new Map<string, { readonly reason: string | undefined; isReadable: boolean }>()
  /** How often in a row something could not be taken up. */
  private readonly failures = new Map<string, number>()
  readonly loading = new Map<string, Array<() => void>>()

  private readonly claim: ReturnType<typeof claiming>

  constructor(engine: DurableEngine) {
    this.engine = engine
    this.claim = claiming(engine)
  }

  loaded(id: string): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const waiting = this.loading.get(id)
      if (waiting === undefined) return resume(Effect.void)
      waiting.push(() => resume(Effect.void))
    })
  }

  loadEnded(id: string, waiting = this.loading.get(id)): void {
    // Another may have begun by now, which goes on.
    if (waiting === undefined || this.loading.get(id) !== waiting) return
    this.loading.delete(id)
    for (const resume of waiting) resume()
  }

  /** The execution in memory: as it is, or taken up from its rows; nothing if it has settled or can not go on here. */
  activate(id: string, parent?: ExecutionImpl): Effect.Effect<ExecutionImpl | undefined> {
    return Effect.suspend((): Effect.Effect<ExecutionImpl | undefined> => {
      const known = this.engine.residents.get(id)
      if (known !== undefined) return Effect.succeed(known)
      if (this.engine.isDraining || !this.engine.runs) return Effect.succeed(undefined)
      if (this.loading.has(id)) return Effect.andThen(this.loaded(id), this.activate(id, parent))
      const waiting: Array<() => void> = []
      this.loading.set(id, waiting)
      const load = Effect.catchCause(this.load(id, parent), (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : this.failed(id, cause)
      )
      // Whoever wants it may be interrupted; what was claimed is taken up all the same.
      const fiber = this.engine.run(
        Effect.ensuring(
          load,
          Effect.sync(() => this.loadEnded(id, waiting))
        )
      )
      return Effect.map(Fiber.await(fiber), (exit) => (exit._tag === "Success" ? exit.value : undefined))
    })
  }

  /** Cancels an execution that is held: it is undone from where the code still fits; nothing if it can not be done here. */
  undo(id: string, reason: string | undefined): Effect.Effect<ExecutionImpl | undefined> {
    return Effect.gen({ self: this }, function* () {
      // It may not have left yet.
      while (this.engine.residents.has(id)) yield* realSleep(5)
      this.undoing.set(id, { reason, isReadable: true })
      return yield* Effect.ensuring(
        this.activate(id),
        Effect.sync(() => this.undoing.delete(id))
      )
    })
  }

  /** What could not be taken up is tried again, since its row may say that it is in the memory of this process. */
  private failed(id: string, cause: Cause.Cause<unknown>): Effect.Effect<undefined> {
    return Effect.suspend(() => {
      const tries = (this.failures.get(id) ?? 0) + 1
      this.failures.set(id, tries)
      const pause = Math.min(60_000, this.engine.pollMillis * 2 ** tries)
      const again = Effect.andThen(this.activate(id), this.engine.signals.handleSignals)
      this.engine.fork(Effect.andThen(realSleep(pause), again))
      return Effect.as(Effect.logWarning(`${id} could not be taken up; trying again in ${pause} ms`, cause), undefined)
    })
  }

  /** Takes up what there is of a workflow that has become known here. */
  recover(workflow: Any): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const now = this.engine.alarm.now
      const { name, version } = workflow
      const ofWorkflow = `workflow = ? AND version ${version === undefined ? "IS NULL" : "= ?"} AND settled_at IS NULL`
      const which = version === undefined ? [name] : [name, version]
      // Two looks, each with an index of its own: most runs are neither due nor held.
      const rows = yield* this.engine.query<{ id: string }>(
        `SELECT id, started_at FROM baton_runs WHERE wake_at <= ? AND ${ofWorkflow}
         UNION SELECT id, started_at FROM baton_runs WHERE held IS NOT NULL AND ${ofWorkflow} ORDER BY started_at, id`,
        [now, ...which, ...which]
      )
      for (const { id } of rows) this.held.delete(id)
      yield* Effect.forEach(rows, ({ id }) => this.activate(id), { concurrency: 64, discard: true })
      yield* this.engine.signals.handleSignals
      yield* this.engine.alarm.setNext(now)
    })
  }

  /** Takes up what is this process's and due between two times, earliest first, as far as it is known here. */
  takeUpDue(from: number, to: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      let after = { id: "", wake_at: from }
      for (;;) {
        const rows = yield* this.engine.query<DueRow>(
          `SELECT id, root_id, workflow, version, wake_at FROM baton_runs
           WHERE wake_at >= ? AND wake_at <= ? AND (wake_at > ? OR id > ?) ORDER BY wake_at, id LIMIT ${duePage}`,
          [after.wake_at, to, after.wake_at, after.id]
        )
        const mine = rows.filter(
          ({ id, root_id, version, workflow }) =>
            !this.engine.residents.has(id) &&
            this.engine.placement.owns(root_id) &&
            this.engine.registry.find(workflow, version) !== undefined
        )
        yield* Effect.forEach(mine, ({ id }) => this.activate(id), { concurrency: 64, discard: true })
        if (rows.length < duePage) return
        after = rows[duePage - 1]
      }
    })
  }

  private load(id: string, parent: ExecutionImpl | undefined): Effect.Effect<ExecutionImpl | undefined> {
    return Effect.gen({ self: this }, function* () {
      const found = yield* this.engine.reads.run(id)
      if (found === undefined || found.settled_at !== null || !this.engine.placement.owns(found.root_id))
        return undefined
      const registration = this.engine.registry.find(found.workflow, found.version)
      if (registration === undefined) {
        this.engine.registry.miss(id, found.workflow, found.version)
        return undefined
      }
      if (parent === undefined && found.parent_id !== null) {
        // A child goes on under its parent, which takes it up, or has, or is about to.
        this.loadEnded(id)
        const above = yield* this.activate(found.parent_id)
        return above === undefined ? this.engine.residents.get(id) : yield* this.activate(id, above)
      }
      const taken = yield* this.claimed(found, parent)
      return taken === undefined ? undefined : yield* this.takeUp(taken, registration, parent)
    })
  }

  /** Claims an execution, and reads what is stored of it; nothing if it is not ours now, or has to wait for its turn. */
  private claimed(found: RunRow, parent: ExecutionImpl | undefined): Effect.Effect<Taken | undefined> {
    const { id } = found
    const left = this.engine.parking.isLeaving(id)
    const crashed = !left && found.wake_at !== null && Number(found.wake_at) === resident
    if (crashed && parent === undefined && this.engine.suspects.defer(found)) return Effect.undefined
    const epoch = this.engine.nextEpoch()
    return Effect.gen({ self: this }, function* () {
      const claimed = yield* this.claim({ id, epoch, before: found.epoch, crashed })
      if (claimed === undefined) return undefined
      const row = { ...found, ...claimed, epoch }
      // Whoever had it may have written until it was claimed, so its log is read after that (D4).
      const events = yield* this.engine.reads.events(id)
      const history = yield* this.engine.reads.history(row, events)
      if (hasAnswers(history)) yield* loadJournaling
      return { row, history }
    })
  }

  /** Makes an execution of its rows. Nobody may see one that has yet to be restored, so nothing waits until it is. */
  private takeUp(
    taken: Taken,
    registration: Registration,
    parent: ExecutionImpl | undefined
  ): Effect.Effect<ExecutionImpl | undefined> {
    const { history, row } = taken
    return Effect.gen({ self: this }, function* () {
      if (this.engine.isDraining) {
        // Too late: whoever comes next goes on with it at once.
        const release = `UPDATE baton_runs SET wake_at = ? WHERE id = ? AND epoch = ?`
        yield* this.engine.command(release, [atOnce, row.id, row.epoch])
        return undefined
      }
      this.failures.delete(row.id)
      const execution = this.construct(row, registration, parent)
      const journal = execution.journal as DurableJournal
      if (row.crashes > this.engine.maxCrashes) {
        this.restore(execution, journal, taken)
        execution.settle("fail", Exit.die(poisoned(row, history.events)))
        return execution
      }
      if (history.events.length === 0) {
        for (const { path, result } of history.seeds) journal.recorded.seed(path, parse(result))
        execution.begin(fiberCache)
        return execution
      }
      this.restore(execution, journal, taken)
      if (row.paused === pauseWanted) yield* Effect.ignore(execution.pause)
      // An owner that had lost it may have written the event and not the row.
      if (execution.state !== row.status || execution.paused !== (row.paused !== 0)) journal.status()
      if (parent !== undefined) (parent.children ??= new Set()).add(execution)
      yield* this.goOn(execution, journal, history)
      return execution
    })
  }

  /** Gives an execution and its journal what is stored of them. */
  private restore(execution: ExecutionImpl, journal: DurableJournal, { history, row }: Taken): void {
    journal.load(history, lastAttempt(history.events))
    execution.restore(restored(row, history))
  }

  /** Goes on with the children, then with the body, and with what people said meanwhile. */
  private goOn(execution: ExecutionImpl, journal: DurableJournal, history: History): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (const child of history.children) if (child.settled_at === null) yield* this.activate(child.id, execution)
      this.resume(execution, journal, history.events)
      yield* this.engine.parking.pinned(execution.id, journal.replayed)
      this.engine.watchers.notify(execution.id)
      this.engine.answers.takeUp(execution, history.answers, history.requests)
      // One that is taken up by half would be taken for one that goes on.
    }).pipe(Effect.onError(() => Effect.sync(() => this.engine.parking.dropAll(execution))))
  }

  private construct(
    row: RunRow,
    { context, workflow }: Registration,
    parent: ExecutionImpl | undefined
  ): ExecutionImpl {
    const decoded = decode(workflow.input, parse(row.input))
    const options = this.engine.starts.given.get(row.id) ?? fromStored(parse(row.options), workflow.defaults)
    const run = new RunImpl(0, 0, workflow, decoded?.value, { ...options, id: row.id }, restarter)
    run.execution = new DurableHandle(this.engine, row.id, row.workflow, workflow)
    const journal = new DurableJournal(this.engine, row.id, row.epoch, Number(row.started_at))
    journal.rootId = row.root_id
    const execution = new ExecutionImpl(run, this.engine, context, parent, journal)
    journal.execution = execution
    this.engine.residents.set(row.id, execution)
    const undoing = this.undoing.get(row.id)
    if (decoded === undefined && undoing !== undefined) undoing.isReadable = false
    else if (decoded === undefined) {
      const found = misfit("one", workflow.input, parse(row.input))
      this.engine.mismatch(journal, "", "an input that fits the workflow's schema", found)
    }
    return execution
  }

  /** Goes on where the events end. */
  private resume(execution: ExecutionImpl, journal: DurableJournal, events: ReadonlyArray<EventRow>): void {
    if (execution.outcome !== undefined) return
    const attempt = execution.attempt
    const of = (tag: string) => events.filter((event) => event.tag === tag && event.attempt === attempt)
    const timedOut = of("TimedOut").map((event) => parse(event.fields))[0]
    const cancel = events.findLast((event) => event.tag === "CancelRequested")
    if (cancel !== undefined) execution.cancelled = { reason: parse(cancel.fields).reason }
    const undoing = this.undoing.get(execution.id)
    if (undoing !== undefined) {
      this.held.delete(execution.id)
      cancelling.mark(execution, undoing.reason)
      // Without its input nothing of the body can be undone.
      if (!undoing.isReadable) return cancelling.finish(execution)
    }
    for (const known of journal.recorded.outside) {
      const request = detached(known.row, execution.workflow, this.engine.asking.schemas.get(known.row.id))
      journal.requests.restoreAnswers(request, known)
      people.openOutside(execution, request, known.row.path, known.row.created_at - journal.startedAt)
    }
    const retry = of("RetryScheduled")[0]
    if (retry !== undefined) {
      journal.retryAt = Number(retry.time) + parse(retry.fields).delayMillis
      if (execution.cancelled !== undefined) return cancelling.finish(execution)
      attempts.restoreRetry(execution, Math.max(0, journal.retryAt! - this.engine.now()))
      return this.engine.parking.watchIdle(execution)
    }
    const timeout = execution.options.timeout
    const isActive = timeout !== undefined && toConfig(timeout).clock === "active"
    const fails = timedOut?.onTimeout === "fail"
    if (fails) execution.timedOut = timedOut.afterMillis
    if (fails || execution.cancelled !== undefined) journal.isFrozen = true
    const since = journal.startedAt + journal.attemptStartedAt
    const spent = timedOut !== undefined ? undefined : spentSince(since, events, isActive, this.engine.now())
    attempts.restore(execution, spent)
    if (journal.isFrozen) this.interruptThere(journal)
    else if (timedOut?.onTimeout === "cancel" && !events.some((event) => event.tag === "CancelPrevented")) {
      execution.fork(cancelling.request(execution, "timeout"))
    }
    this.engine.parking.watchIdle(execution)
  }

  /** Interrupts a body where it was interrupted before, once it has got there. */
  interruptThere(journal: DurableJournal): void {
    const { execution } = journal
    let quiet = 0
    let seen = -1
    const turn: Effect.Effect<void> = Effect.suspend(() => {
      if (execution.outcome !== undefined || !journal.isFrozen) return Effect.void
      quiet = journal.activity === seen && journal.children.lookups === 0 ? quiet + 1 : 0
      seen = journal.activity
      if (quiet < 20) return Effect.andThen(Effect.yieldNow, turn)
      journal.isFrozen = false
      journal.hasCaughtUp = true
      if (execution.cancelled !== undefined) cancelling.goOn(execution)
      else execution.fiber?.interruptUnsafe()
      return Effect.void
    })
    this.engine.fork(turn)
  }

  /** The handle of an execution that is known here or stored; `expected` reads its outcome where nothing registered does. */
  find(id: string, expected?: Any): Effect.Effect<Execution<any, any>, ExecutionNotFound> {
    return Effect.gen({ self: this }, function* () {
      while (this.loading.has(id)) yield* this.loaded(id)
      const known = this.engine.residents.get(id)
      if (known !== undefined) return new DurableHandle(this.engine, id, known.workflow, known.definition)
      yield* this.engine.writer.drained
      const row = yield* this.engine.reads.run(id)
      if (row === undefined) return yield* new ExecutionNotFound({ id })
      const registration = this.engine.registry.find(row.workflow, row.version)
      const given = expected?.name === row.workflow ? expected : undefined
      return new DurableHandle(this.engine, id, row.workflow, registration?.workflow ?? given)
    })
  }
}

const restored = (row: RunRow, { children, events }: History) => {
  let usage = usageOf(events)
  for (const child of children) {
    // Those that go on count for themselves.
    if (child.settled_at !== null && child.usage_total !== null) usage = addUsage(usage, parse(child.usage_total))
  }
  const status = events.findLast((event) => event.tag === "StatusChanged")
  return {
    status: status === undefined ? row.status : parse(status.fields).to,
    attempt: lastAttempt(events),
    paused: events.findLast(({ tag }) => tag === "Paused" || tag === "Resumed")?.tag === "Paused",
    retriedAt: events.flatMap(({ tag, time }) => (tag === "RetryScheduled" ? [Number(time)] : [])),
    progress: progressOf(events),
    usage
  }
}

const poisoned = (row: RunRow, events: ReadonlyArray<EventRow>): Error => {
  const begun = events.findLast((event) => event.tag === "StepStarted")
  const where = begun === undefined ? "before its first step" : `in or after step "${begun.path}"`
  return new Error(
    `${row.workflow} (${row.id}) took its process down ${row.crashes} times without getting any further, ${where}: ` +
      "it was failed so that others go on; mend the body and start it again with Engine.retry"
  )
}

export const lastAttempt = (events: ReadonlyArray<EventRow>): number => events[events.length - 1]?.attempt ?? 0

/** Starts nothing: an execution that is taken up has been started. */
export const restarter: Starter = {
  start: (run) => Effect.succeed(run.execution!),
  submit: (run) => Effect.succeed(run.execution!)
}

/** Only its tracer is asked for, and a run that goes on after a crash has no span to go on with. */
export const fiberCache = { tracer: undefined, tracerEnabled: false } as unknown as Fiber.Fiber.Cache
