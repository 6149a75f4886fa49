/**
 * The durable engine: executions are driven where their rows say, and everything that happens to them is on disk before
 * anybody is told.
 *
 * D1  A step or model call whose end is recorded never runs again in that attempt; one that was cut off may run twice.
 * D2  Nobody is told of a step's end, an answer or an outcome before it is on disk.
 * D3  One log: the row of a finished step is its event and the result that a replay reads.
 * D4  An owner that lost an execution writes nothing more of it: what an owner writes stands with its epoch in the row of the
 *     execution or not at all, and whoever takes it over reads its log with an epoch of their own in that row.
 * D5  A replay writes down nothing that is written down already.
 * D6  Parking loses no wake-up: what comes while an execution leaves brings it back.
 * D7  Timeouts, retry delays, expiries and sleeps end at the time they were to end when they began; no time lies between
 *     what has been looked at as due and what the alarm is set for.
 * D8  A request is decided once, by whoever writes first, in whichever process.
 * D9  A cancel that was accepted is carried out after a crash, with no new work before the finalizers; one that somebody
 *     was being asked about is asked about again.
 * D10 What the processes that are up can not go on with is kept as it is, and goes on when one can.
 * D11 What a body is told of a step's error is what a replay tells it, so it never goes another way after a crash.
 * D12 A replay tells a body what ended in the order in which it was told before (T1), and does nothing new where the body does
 *     something else than before (S1).
 * D13 A run that moves from a process that lives to another is not taken up there before its steps in flight have ended and
 *     are recorded, or had their time.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Execution } from "../../Execution.ts"
import { StaysOpen } from "../../internal/delivery.ts"
import { abandoned, type ExecutionImpl } from "../../internal/execution.ts"
import type { Frame } from "../../internal/frame.ts"
import type { Host } from "../../internal/host.ts"
import type { Pending } from "../../internal/request.ts"
import type { RunImpl } from "../../internal/run.ts"
import { isSettled } from "../../Run.ts"
import { HumanChannel, inbox } from "../../services/HumanChannel.ts"
import { Alarm } from "./alarm.ts"
import { Answers } from "./answers.ts"
import { Asking } from "./asking.ts"
import { ended } from "./gather.ts"
import { Handover } from "./handover.ts"
import type { DurableJournal, JournalHost } from "./journal.ts"
import { Parking } from "./parking.ts"
import type { Placement } from "./placement.ts"
import { Reads } from "./reads.ts"
import { Recovery } from "./recovery.ts"
import { Registry } from "./registry.ts"
import { atOnce, withNumbers } from "./rows.ts"
import { Sequels } from "./sequels.ts"
import { Signals } from "./signals.ts"
import { Starts } from "./starts.ts"
import { Suspects } from "./suspects.ts"
import { orUnavailable, patient } from "./unavailable.ts"
import { Watchers } from "./watchers.ts"
import { realSleep, Writer } from "./writer.ts"

/** Settings of a durable engine. */
export interface Settings {
  /** How long an execution that only waits stays in memory. Default: `"10 seconds"`. */
  readonly idle?: Duration.Input | undefined
  /** How often is looked for what other processes wrote. Default: `"100 millis"`. */
  readonly pollInterval?: Duration.Input | undefined
  /** How long a shutdown, or a process that joins, lets running steps go on. Default: `"15 seconds"`. */
  readonly grace?: Duration.Input | undefined
  /** How often a run may take the process down, without getting any further, before it is failed. Default: 10. */
  readonly maxCrashes?: number | undefined
  /** Whether this process runs anything; one that does not starts, watches, answers and cancels. Default: `true`. */
  readonly runs?: boolean | undefined
}

export class DurableEngine implements Host, JournalHost {
  readonly eventLimit = 1
  depth = 0
  readonly sql: SqlClient.SqlClient
  readonly writer: Writer
  readonly isPg: boolean
  isDraining = false
  private hasEnded = false
  readonly context: Context.Context<never>
  readonly clock: Clock.Clock
  private readonly name: string
  private epochs = 0
  readonly idleMillis: number
  readonly pollMillis: number
  readonly graceMillis: number
  readonly maxCrashes: number
  readonly runs: boolean
  readonly placement: Placement
  readonly residents = new Map<string, ExecutionImpl>()
  private readonly adopted = new Set<Fiber.Fiber<unknown, unknown>>()
  readonly registry = new Registry(this)
  readonly starts = new Starts(this)
  readonly sequels = new Sequels(this)
  readonly reads = new Reads(this)
  readonly recovery = new Recovery(this)
  readonly suspects = new Suspects(this)
  readonly parking = new Parking(this)
  readonly handover = new Handover(this)
  readonly watchers = new Watchers(this)
  readonly answers = new Answers(this)
  readonly asking = new Asking(this)
  readonly signals = new Signals(this)
  readonly alarm = new Alarm(this)

  constructor(
    sql: SqlClient.SqlClient,
    isPg: boolean,
    clock: Clock.Clock,
    name: string,
    context: Context.Context<never>,
    settings: Settings,
    placement: Placement
  ) {
    this.placement = placement
    this.sql = sql
    this.isPg = isPg
    this.clock = clock
    this.name = name
    this.context = context
    this.idleMillis = Duration.toMillis(settings.idle ?? "10 seconds")
    this.pollMillis = Duration.toMillis(settings.pollInterval ?? "100 millis")
    this.graceMillis = Duration.toMillis(settings.grace ?? "15 seconds")
    this.maxCrashes = settings.maxCrashes ?? 10
    this.runs = settings.runs ?? true
    this.writer = new Writer(sql, isPg, context)
  }

  /** Reads rows, or writes where a place in the count of crash tests is not wanted. */
  query<A extends object>(text: string, params: ReadonlyArray<unknown> = []): Effect.Effect<ReadonlyArray<A>> {
    const ask = orUnavailable(this.sql.unsafe<A>(this.writer.text(text), params))
    const rows = Effect.suspend(() => (this.hasEnded ? ended : ask))
    return this.isPg ? Effect.map(rows, withNumbers) : rows
  }

  /** A write that is not of the journal. */
  command<A extends object>(text: string, params: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<A>> {
    return this.writer.exposed(this.query<A>(text, params))
  }

  now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  nextEpoch(): string {
    return `${this.name}-${(++this.epochs).toString(36)}`
  }

  /** Runs something in a fiber of the engine's own, which a shutdown ends. */
  run<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    const fiber = Effect.runForkWith(this.context)(effect)
    this.adopt(fiber)
    return fiber
  }

  /** What must not stop in the middle: whoever waits for it may be interrupted, it goes on. */
  whole<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() =>
      // After a crash nobody is told anything.
      this.hasEnded
        ? ended
        : Effect.flatMap(Fiber.await(this.run(effect)), (exit) => (this.writer.crashed ? Effect.never : exit))
    )
  }

  /** The same for what nobody waits for: its errors are logged. */
  fork(effect: Effect.Effect<unknown>): Fiber.Fiber<unknown, unknown> {
    return this.run(
      Effect.catchCause(patient(effect), (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("The durable engine met an error", cause)
      )
    )
  }

  start(): ExecutionImpl {
    throw new Error("Children of durable executions start through the journal")
  }

  lost(journal: DurableJournal): void {
    this.parking.dropAll(journal.execution)
    this.fork(Effect.andThen(realSleep(this.pollMillis), this.recovery.activate(journal.id)))
  }

  refused(journal: DurableJournal, reason: string): void {
    // Nobody waits for what can not be written.
    this.parking.drop(journal.execution)
    this.hold(journal, "", "values that the database can store", reason)
  }

  interruptThere(journal: DurableJournal): void {
    this.recovery.interruptThere(journal)
  }

  mismatch(journal: DurableJournal, path: string, expected: string, found: string): void {
    if (!journal.isClosed) this.hold(journal, path, expected, found)
  }

  private hold(journal: DurableJournal, path: string, expected: string, found: string): void {
    const { execution } = journal
    this.recovery.held.add(journal.id)
    const held = JSON.stringify({ path, expected, found })
    this.fork(
      Effect.gen({ self: this }, function* () {
        yield* journal.flush
        this.parking.drop(execution)
        yield* this.command(`UPDATE baton_runs SET held = ?, wake_at = NULL WHERE id = ? AND epoch = ?`, [
          held,
          journal.id,
          journal.epoch
        ])
        yield* Effect.logError(
          `The journal of ${journal.id} does not fit the code of ${execution.workflow} at "${path}": ` +
            `expected ${expected}, found ${found}; it is held until a version that fits is registered`
        )
        this.watchers.notify(journal.id)
      })
    )
  }

  changed(execution: ExecutionImpl): void {
    if (isSettled(execution.state)) this.parking.idle.delete(execution)
    else if (execution.state === "awaiting") this.waits(execution)
  }

  waits(execution: ExecutionImpl): void {
    this.parking.watchIdle(execution)
  }

  opened(execution: ExecutionImpl, request: Pending): void {
    const channel = Context.get(execution.context, HumanChannel)
    if (channel === inbox) return
    const { id } = request
    const deliver = Effect.suspend(() =>
      channel.deliver(request.toRequest(), {
        approve: (options) => this.answers.answer(execution.id, id, { _tag: "Verdict", approved: true, options }),
        reject: (options) => this.answers.answer(execution.id, id, { _tag: "Verdict", approved: false, options }),
        answer: (value, options) => this.answers.answer(execution.id, id, { _tag: "Value", value, by: options?.by })
      })
    )
    const fiber = execution.fork(
      Effect.catchCause(Effect.andThen(Effect.yieldNow, deliver), (cause) =>
        Effect.logWarning(`The human channel failed to deliver "${id}"; the request stays open`, cause)
      ).pipe(Effect.provideService(StaysOpen, () => execution.outcome === abandoned))
    )
    const stop = () => fiber.interruptUnsafe()
    request.stopDelivery = stop
    // Whoever is being asked right now keeps the execution in the memory; a message that was sent does not.
    fiber.addObserver(() => {
      if (request.stopDelivery === stop) request.stopDelivery = undefined
    })
  }

  readonly adopt = (fiber: Fiber.Fiber<unknown, unknown>): void => {
    if (fiber.pollUnsafe() !== undefined) return
    this.adopted.add(fiber)
    fiber.addObserver(() => this.adopted.delete(fiber))
  }

  written(journal: DurableJournal): void {
    this.parking.written(journal)
    this.watchers.notify(journal.id)
  }

  settled(journal: DurableJournal, exit: Exit.Exit<any, any>): void {
    this.residents.delete(journal.id)
    this.parking.idle.delete(journal.execution)
    this.starts.given.delete(journal.id)
    this.watchers.tellExit(journal.id, exit)
    this.watchers.notify(journal.id)
  }

  startChild(
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl,
    childId: string | undefined
  ): Effect.Effect<Execution<any, any>> {
    return this.starts.startChild(parent, fiber, frame, run, childId)
  }

  completed(childId: string, run: RunImpl): Effect.Effect<Execution<any, any> | undefined> {
    return this.starts.completed(childId, run)
  }

  expire(execution: ExecutionImpl, request: Pending, now: number): void {
    this.answers.expire(execution, request, now)
  }

  reopened(execution: ExecutionImpl): void {
    this.answers.reopened(execution)
  }

  /** No new work; what runs gets its time; what is left goes on elsewhere, or here after the next start. */
  get shutdown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isDraining = true
      this.alarm.stop()
      // What is on its way into the memory arrives first, so that it leaves again in order.
      const busy = () =>
        !this.writer.crashed &&
        (this.recovery.loading.size > 0 ||
          [...this.residents.values()].some((execution) => execution.journal!.inFlight > 0))
      const turns = Math.ceil(this.graceMillis / 10)
      const settle = (left: number): Effect.Effect<void> =>
        Effect.suspend(() => (left > 0 && busy() ? Effect.andThen(realSleep(10), settle(left - 1)) : Effect.void))
      // A database that is away must not keep the process.
      const written = Effect.raceFirst(this.writer.drained, realSleep(Math.max(1000, this.graceMillis)))
      return settle(turns).pipe(
        Effect.andThen(written),
        Effect.andThen(
          Effect.sync(() => {
            for (const execution of [...this.residents.values()]) {
              if (execution.outcome === undefined) this.parking.leave(execution, atOnce)
            }
          })
        ),
        Effect.andThen(written),
        Effect.andThen(Effect.suspend(() => Fiber.interruptAll([...this.adopted])))
      )
    })
  }

  /** The engine is no more: who waits for something of it is told so, and nothing of it goes on. */
  get end(): Effect.Effect<void> {
    const drop = Effect.sync(() => {
      this.hasEnded = true
      for (const execution of [...this.residents.values()]) this.parking.drop(execution)
      this.watchers.notifyAll()
    })
    return this.shutdown.pipe(
      Effect.andThen(this.writer.ended),
      Effect.andThen(drop),
      Effect.andThen(Effect.suspend(() => Fiber.interruptAll([...this.adopted])))
    )
  }

  /** Everything is dropped as a crash would drop it; only crash tests do this. */
  crash(): void {
    this.writer.crashed = true
    this.isDraining = true
    this.alarm.stop()
    for (const execution of [...this.residents.values()]) this.parking.drop(execution)
    for (const fiber of [...this.adopted]) fiber.interruptUnsafe()
  }
}
