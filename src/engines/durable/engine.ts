/**
 * The durable engine: executions are driven where their rows say, and everything that happens to them is on disk before
 * anybody is told.
 *
 * D1  A step or model call whose end is recorded never runs again in that attempt; one that was cut off may run twice.
 * D2  Nobody is told of a step's end, an answer or an outcome before it is on disk.
 * D3  One log: the row of a finished step is its event and the result that a replay reads.
 * D4  An owner that lost an execution writes nothing more of it: the first to write a sequence number has it.
 * D5  A replay writes down nothing that is written down already.
 * D6  Parking loses no wake-up: what comes while an execution leaves brings it back.
 * D7  Timeouts, retry delays, expiries and sleeps end at the time they were to end when they began; no time lies between
 *     what has been looked at as due and what the alarm is set for.
 * D8  A request is decided once, by whoever writes first, in whichever process.
 * D9  A cancel that was accepted is carried out after a crash, with no new work before the finalizers.
 * D10 What the processes that are up can not go on with is kept as it is, and goes on when one can.
 * D11 What a body is told of a step's error is what a replay tells it, so it never goes another way after a crash.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Usage } from "../../Budget.ts"
import type { Execution, Progress } from "../../Execution.ts"
import { type AnswerError, RequestNotFound, RequestSettled } from "../../HumanRequest.ts"
import { InvalidDefinition } from "../../InvalidDefinition.ts"
import * as attempts from "../../internal/attempts.ts"
import * as cancelling from "../../internal/cancelling.ts"
import { Tag } from "../../internal/eventLog.ts"
import { abandoned, ExecutionImpl } from "../../internal/execution.ts"
import type { Frame } from "../../internal/frame.ts"
import type { Host } from "../../internal/host.ts"
import { capture } from "../../internal/logging.ts"
import * as people from "../../internal/people.ts"
import { type Answer, type Pending, PendingApproval } from "../../internal/request.ts"
import { RunImpl, type Starter } from "../../internal/run.ts"
import { isSettled, type RunOptions } from "../../Run.ts"
import { IdConflict, InvalidInput } from "../../RunError.ts"
import {
  EngineShutdown,
  ExecutionNotFound,
  type History,
  NotResumable,
  WorkflowNotRegistered
} from "../../services/Engine.ts"
import { HumanChannel, inbox } from "../../services/HumanChannel.ts"
import { loadJournaling } from "../../services/ModelCall.ts"
import { instrumentServices } from "../../services/ModelServices.ts"
import { toConfig } from "../../Timeout.ts"
import type { Any } from "../../Workflow.ts"
import { decode, encode, hasSecret, parse } from "./codec.ts"
import { DurableHandle } from "./handle.ts"
import { type AnswerRow, type EventRow, hasAnswers, type RequestRow, seedsOf } from "./history.ts"
import { DurableJournal, type JournalHost } from "./journal.ts"
import { fromStored, hasCode, toStored } from "./options.ts"
import type { Placement } from "./placement.ts"
import { NotStorable } from "./plain.ts"
import { detached, toAnswer, toResponses } from "./requests.ts"
import { realSleep, Writer } from "./writer.ts"

/** Settings of a durable engine. */
export interface Settings {
  /** How long an execution that only waits stays in memory. Default: `"10 seconds"`. */
  readonly idle?: Duration.Input | undefined
  /** How often is looked for what other processes wrote. Default: `"100 millis"`. */
  readonly pollInterval?: Duration.Input | undefined
  /** How long a shutdown lets running steps go on. Default: `"15 seconds"`. */
  readonly grace?: Duration.Input | undefined
  /** How often a run may take the process down, without getting any further, before it is failed. Default: 10. */
  readonly maxCrashes?: number | undefined
  /** Whether this process runs anything; one that does not starts, watches, answers and cancels. Default: `true`. */
  readonly runs?: boolean | undefined
}

interface Registration {
  readonly workflow: Any
  readonly context: Context.Context<never>
}

/** A run as it is stored. */
export interface RunRow {
  readonly id: string
  readonly workflow: string
  readonly version: string | null
  readonly status: "pending" | "in-progress" | "awaiting" | "completed" | "failed" | "cancelled"
  readonly tags: string
  readonly parent_id: string | null
  readonly root_id: string
  readonly source_id: string | null
  readonly input: string
  readonly options: string
  readonly started_at: number
  readonly settled_at: number | null
  readonly wake_at: number | null
  readonly epoch: string
  readonly paused: number
  readonly held: string | null
  readonly crashes: number
  readonly crash_sequence: number
  readonly usage_total: string | null
  readonly outcome: string | null
}

/** `wake_at` of an execution that is in the memory of its owner: when nobody has it, it must be taken up. */
const resident = 0
/** `wake_at` of one that was let go in the middle of its work. */
const atOnce = 1

/** A run that may be due. */
interface DueRow {
  readonly id: string
  readonly root_id: string
  readonly workflow: string
  readonly version: string | null
  readonly wake_at: number
}

/** How many of them are read at once. */
const duePage = 1000

/** `paused` of an execution that another process wants to be. */
const pauseWanted = 2

const restarter: Starter = {
  start: (run) => Effect.succeed(run.execution!),
  submit: (run) => Effect.succeed(run.execution!)
}

const columns = [
  "id",
  "workflow",
  "version",
  "status",
  "tags",
  "parent_id",
  "root_id",
  "source_id",
  "input",
  "options",
  "started_at",
  "wake_at",
  "epoch"
]

const insertRun = `INSERT INTO baton_runs (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")}) ON CONFLICT DO NOTHING RETURNING id`

/** What is stored is not encrypted: a workflow whose input or output holds secrets is not for this engine. */
const refuseSecrets = (workflow: Any): void => {
  for (const field of ["input", "output"] as const) {
    if (!hasSecret(workflow[field])) continue
    throw new InvalidDefinition({
      workflow: workflow.name,
      field,
      value: "a schema with Redacted in it",
      problem: "Expected a schema without secrets, since a durable engine would store them in clear; pass a reference"
    })
  }
}

const key = (workflow: string, version: string | null | undefined) => `${workflow}@${version ?? ""}`

export class DurableEngine implements Host, JournalHost {
  readonly eventLimit = 1
  depth = 0
  readonly sql: SqlClient.SqlClient
  readonly writer: Writer
  readonly isPg: boolean
  isDraining = false
  private readonly context: Context.Context<never>
  readonly clock: Clock.Clock
  private readonly name: string
  private epochs = 0
  private readonly idleMillis: number
  private readonly pollMillis: number
  private readonly graceMillis: number
  private readonly maxCrashes: number
  readonly runs: boolean
  private readonly placement: Placement
  private readonly registrations = new Map<string, Registration>()
  readonly residents = new Map<string, ExecutionImpl>()
  private readonly pins = new Map<string, number>()
  private readonly loading = new Map<string, Array<() => void>>()
  private readonly watchers = new Map<string, Set<() => void>>()
  private readonly exitWatchers = new Map<string, Set<(exit: Exit.Exit<any, any> | undefined) => void>>()
  private readonly adopted = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly prepared = new WeakMap<Context.Context<never>, Context.Context<never>>()
  /** Executions that only wait, and since when. */
  private readonly idle = new Map<ExecutionImpl, number>()
  /** Executions that look for answers, and whether they must look again. */
  private readonly reopening = new Map<ExecutionImpl, boolean>()
  /** Executions that the code here can not go on with: what is wanted of them waits for code that can. */
  private readonly held = new Set<string>()
  /** Cancels that other processes asked for and that have no answer yet, by signal. */
  private readonly cancelling = new Map<number, ExecutionImpl>()
  /** Options with code, of runs that were started here. */
  private readonly given = new Map<string, RunOptions>()
  private sleeper: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private readonly oneAtATime = Semaphore.makeUnsafe(1).withPermits(1)
  private wakeAt = Number.POSITIVE_INFINITY

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

  query<A extends object>(text: string, params: ReadonlyArray<unknown> = []): Effect.Effect<ReadonlyArray<A>> {
    const rows = Effect.orDie(this.sql.unsafe<A>(this.writer.text(text), params))
    return this.isPg ? Effect.map(rows, withNumbers) : rows
  }

  /** A write that is not of the journal. */
  private command<A extends object>(text: string, params: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<A>> {
    return this.writer.exposed(this.query<A>(text, params))
  }

  now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  private nextEpoch(): string {
    return `${this.name}-${(++this.epochs).toString(36)}`
  }

  private fork(effect: Effect.Effect<unknown>): Fiber.Fiber<unknown, unknown> {
    const logged = Effect.catchCause(effect, (cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("The durable engine met an error", cause)
    )
    const fiber = Effect.runForkWith(this.context)(logged)
    this.adopt(fiber)
    return fiber
  }

  // -- definitions ----------------------------------------------------------

  definition(workflow: string, version: string | null | undefined): Any | undefined {
    return this.registrations.get(key(workflow, version))?.workflow
  }

  /** Makes a workflow known here; runs of it that nobody goes on with are taken up. */
  register(workflow: Any, context: Context.Context<never>): void {
    const name = key(workflow.name, workflow.version)
    const known = this.registrations.get(name)
    if (known?.workflow !== workflow) refuseSecrets(workflow)
    this.registrations.set(name, { workflow, context: this.prepare(context) })
    if (known === undefined && this.runs) this.fork(this.recover(workflow))
  }

  private recover(workflow: Any): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const now = this.dueBy()
      const rows = yield* this.query<{ id: string }>(
        `SELECT id FROM baton_runs WHERE (wake_at <= ? OR held IS NOT NULL) AND settled_at IS NULL AND workflow = ? AND ` +
          (workflow.version === undefined ? `version IS NULL` : `version = ?`) +
          ` ORDER BY started_at, id`,
        [now, workflow.name, ...(workflow.version === undefined ? [] : [workflow.version])]
      )
      for (const { id } of rows) this.held.delete(id)
      yield* Effect.forEach(rows, ({ id }) => this.activate(id), { concurrency: 16, discard: true })
      yield* this.handleSignals
      yield* this.watchTimers(now)
    })
  }

  private prepare(context: Context.Context<never>): Context.Context<never> {
    const known = this.prepared.get(context)
    if (known !== undefined) return known
    const services = new Map(context.mapUnsafe)
    services.set(References.CurrentLoggers.key, capture(Context.get(context, References.CurrentLoggers)))
    instrumentServices(services)
    const prepared = Context.makeUnsafe<never>(services)
    this.prepared.set(context, prepared)
    return prepared
  }

  // -- starts ---------------------------------------------------------------

  launch(run: RunImpl): Effect.Effect<Execution<any, any>> {
    return Effect.withFiber((fiber) => {
      if (run.execution !== undefined) return Effect.succeed(run.execution)
      if (this.isDraining) return Effect.die(new EngineShutdown({ workflow: run.workflow.name }))
      if (!this.runs)
        return Effect.die(new Error(`This process runs nothing: start ${run.workflow.name} with run.submit`))
      this.register(run.workflow, fiber.context)
      if (run.givenId !== undefined) return this.startNamed(run, fiber, undefined)
      if (!this.placement.owns(run.id)) return this.leaveToOwner(run, fiber)
      return this.flushed(this.create(run, fiber.context, undefined, undefined, fiber.cache))
    })
  }

  /** Writes a run down for whoever has its shard. */
  private leaveToOwner(run: RunImpl, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<Execution<any, any>> {
    const journal = new DurableJournal(this, run.id, this.nextEpoch(), this.now())
    const draft = new ExecutionImpl(run, this, this.prepare(fiber.context), undefined, journal)
    if (hasCode(draft.options)) this.given.set(run.id, draft.options)
    // Who starts it is told what is wrong with it; whoever runs it could not even read it.
    const invalid = run.workflow.checkInput(run.input) !== undefined
    return invalid
      ? this.flushed(this.create(run, fiber.context, undefined, undefined, fiber.cache))
      : this.insert(draft, journal, fiber.cache, [])
  }

  /** Starts a run of a registered workflow; a process that runs nothing leaves it to one that does. */
  submit(run: RunImpl): Effect.Effect<Execution<any, any>, WorkflowNotRegistered> {
    return Effect.withFiber((fiber) => {
      if (run.execution !== undefined) return Effect.succeed(run.execution)
      const { name, version } = run.workflow
      const registration = this.registrations.get(key(name, version))
      if (this.runs && registration !== undefined) return Effect.setContext(this.launch(run), registration.context)
      if (this.runs) {
        return Effect.fail(new WorkflowNotRegistered({ workflow: name, ...(version === undefined ? {} : { version }) }))
      }
      refuseSecrets(run.workflow)
      return this.leaveToOwner(run, fiber)
    })
  }

  /** Writes the row of a run that goes on at once, here or elsewhere. */
  private insert(
    draft: ExecutionImpl,
    journal: DurableJournal,
    cache: Fiber.Fiber.Cache,
    seeds: ReadonlyArray<readonly [path: string, result: unknown]>,
    sourceId: string | null = null
  ): Effect.Effect<Execution<any, any>> {
    const { run } = draft
    const row = [...this.toRow(draft, journal)]
    row[columns.indexOf("source_id")] = sourceId
    row[columns.indexOf("wake_at")] = atOnce
    const write = Effect.gen({ self: this }, function* () {
      const inserted = yield* this.query<{ id: string }>(insertRun, row)
      if (inserted.length === 0) return false
      for (const tag of draft.options.tags ?? []) {
        yield* this.query(`INSERT INTO baton_tags (tag, execution_id) VALUES (?, ?)`, [tag, run.id])
      }
      for (const [path, result] of seeds) {
        yield* this.query(`INSERT INTO baton_seeds (execution_id, path, result) VALUES (?, ?, ?)`, [
          run.id,
          path,
          JSON.stringify(result)
        ])
      }
      yield* this.query(`INSERT INTO baton_signals (execution_id, kind) VALUES (?, 'look')`, [run.id])
      return true
    })
    return Effect.gen({ self: this }, function* () {
      const isNew = yield* this.writer.exposed(Effect.orDie(this.sql.withTransaction(write)))
      if (!isNew) return yield* this.join(run, draft, cache)
      const handle = new DurableHandle(this, run.id, run.workflow.name, run.workflow)
      run.execution = handle
      if (this.runs) yield* this.activate(run.id)
      yield* this.tellOwner(run.id)
      return handle
    })
  }

  // -- beginning again ------------------------------------------------------

  private source(
    id: string
  ): Effect.Effect<
    { readonly row: RunRow; readonly registration: Registration },
    ExecutionNotFound | WorkflowNotRegistered
  > {
    return Effect.gen({ self: this }, function* () {
      yield* this.writer.drained
      const [row] = yield* this.query<RunRow>(`SELECT * FROM baton_runs WHERE id = ?`, [id])
      if (row === undefined) return yield* new ExecutionNotFound({ id })
      const registration = this.registrations.get(key(row.workflow, row.version))
      if (registration !== undefined) return { row, registration }
      return yield* new WorkflowNotRegistered({
        workflow: row.workflow,
        ...(row.version === null ? {} : { version: row.version })
      })
    })
  }

  /** A new run that begins with what another had before a sequence number. */
  private again(
    row: RunRow,
    { context, workflow }: Registration,
    input: unknown,
    events: ReadonlyArray<EventRow>,
    before: number
  ): Effect.Effect<Execution<any, any>> {
    return Effect.gen({ self: this }, function* () {
      const history = yield* this.history(row.id)
      const options = { ...fromStored(parse(row.options), workflow.defaults), id: undefined } as RunOptions
      const run = new RunImpl(this.now(), Math.abs(yield* Random.nextInt), workflow, input, options, restarter)
      const journal = new DurableJournal(this, run.id, this.nextEpoch(), this.now())
      const draft = new ExecutionImpl(run, this, context, undefined, journal)
      return yield* this.insert(draft, journal, fiberCache, seedsOf(history, events, before), row.id)
    })
  }

  retry(id: string): ReturnType<History["retry"]> {
    return Effect.gen({ self: this }, function* () {
      const { registration, row } = yield* this.source(id)
      if (row.status !== "failed" && row.status !== "cancelled") {
        return yield* new NotResumable({
          id,
          problem: `it is ${row.status}: only failed and cancelled runs are retried`
        })
      }
      const input = decode(registration.workflow.input, parse(row.input))
      if (input === undefined) return yield* new NotResumable({ id, problem: "its input does not fit the workflow" })
      const { events } = yield* this.history(id)
      return yield* this.again(row, registration, input.value, events, Number.POSITIVE_INFINITY)
    })
  }

  forkRun(id: string, options: { readonly fromStep: string; readonly input?: unknown }): ReturnType<History["fork"]> {
    return Effect.gen({ self: this }, function* () {
      const { registration, row } = yield* this.source(id)
      const { events } = yield* this.history(id)
      const last = lastAttempt(events)
      const steps = events.filter((event) => event.tag === "StepStarted" && event.attempt === last)
      const from = steps.find((event) => event.path === options.fromStep)
      if (from === undefined) {
        const known = steps.map((event) => `"${event.path}"`).join(", ")
        return yield* new NotResumable({ id, problem: `it has no step "${options.fromStep}"; its steps are: ${known}` })
      }
      const input =
        "input" in options ? { value: options.input } : decode(registration.workflow.input, parse(row.input))
      if (input === undefined) return yield* new NotResumable({ id, problem: "its input does not fit the workflow" })
      return yield* this.again(row, registration, input.value, events, Number(from.sequence))
    })
  }

  prune(options: { readonly olderThan: Duration.Input; readonly keep?: number | undefined }): Effect.Effect<number> {
    return Effect.gen({ self: this }, function* () {
      yield* this.writer.drained
      const before = this.now() - Duration.toMillis(options.olderThan)
      let pruned = 0
      for (;;) {
        const roots = yield* this.query<{ id: string }>(
          `SELECT id FROM baton_runs WHERE parent_id IS NULL AND settled_at IS NOT NULL AND settled_at <= ?
           ORDER BY settled_at DESC, id LIMIT 200 OFFSET ${Math.max(0, Math.floor(options.keep ?? 0))}`,
          [before]
        )
        if (roots.length === 0) return pruned
        for (const { id } of roots) pruned += yield* this.remove(id)
      }
    })
  }

  private remove(rootId: string): Effect.Effect<number> {
    const tables = ["baton_events", "baton_requests", "baton_answers", "baton_timers", "baton_seeds", "baton_tags"]
    const remove = Effect.gen({ self: this }, function* () {
      const rows = yield* this.query<{ id: string }>(`SELECT id FROM baton_runs WHERE root_id = ?`, [rootId])
      for (const { id } of rows) {
        for (const table of tables) yield* this.query(`DELETE FROM ${table} WHERE execution_id = ?`, [id])
        yield* this.query(`DELETE FROM baton_runs WHERE id = ?`, [id])
      }
      return rows.length
    })
    return this.writer.exposed(Effect.orDie(this.sql.withTransaction(remove)))
  }

  private flushed(execution: ExecutionImpl): Effect.Effect<Execution<any, any>> {
    const { run } = execution
    const handle = new DurableHandle(this, run.id, run.workflow.name, run.workflow)
    run.execution = handle
    return Effect.as((execution.journal as DurableJournal).flush, handle)
  }

  private create(
    run: RunImpl,
    context: Context.Context<never>,
    parent: ExecutionImpl | undefined,
    epoch: string | undefined,
    cache: Fiber.Fiber.Cache
  ): ExecutionImpl {
    const journal = new DurableJournal(this, run.id, epoch ?? this.nextEpoch(), this.now())
    if (parent !== undefined) journal.rootId = (parent.journal as DurableJournal).rootId
    const execution = new ExecutionImpl(run, this, this.prepare(context), parent, journal)
    journal.execution = execution
    this.residents.set(run.id, execution)
    if (hasCode(execution.options)) this.given.set(run.id, execution.options)
    const input = encode(run.workflow.input, run.input)
    if (input instanceof NotStorable && run.workflow.checkInput(run.input) === undefined) {
      const { at, problem, value } = input
      execution.conflict = new InvalidInput({ workflow: run.workflow.name, field: at, value, problem })
    }
    if (epoch === undefined) journal.write("run", this.toRow(execution, journal))
    for (const tag of execution.options.tags ?? []) journal.write("tag", [tag, run.id])
    execution.begin(cache)
    return execution
  }

  private toRow(execution: ExecutionImpl, journal: DurableJournal): ReadonlyArray<unknown> {
    const { options, parent, run } = execution
    const input = encode(run.workflow.input, run.input)
    return [
      run.id,
      run.workflow.name,
      run.workflow.version ?? null,
      "in-progress",
      JSON.stringify(options.tags ?? []),
      parent?.id ?? null,
      journal.rootId,
      null,
      input instanceof NotStorable ? "null" : JSON.stringify(input.json),
      JSON.stringify(toStored(options)),
      journal.startedAt,
      resident,
      journal.epoch
    ]
  }

  /** Starts a run whose id was given: whoever writes its row first has started it. */
  private startNamed(
    run: RunImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    parent: ExecutionImpl | undefined
  ): Effect.Effect<Execution<any, any>> {
    const { context } = fiber
    const { cache } = fiber
    if (parent === undefined && !this.placement.owns(run.id)) return this.leaveToOwner(run, fiber)
    return Effect.gen({ self: this }, function* () {
      const epoch = this.nextEpoch()
      const journal = new DurableJournal(this, run.id, epoch, this.now())
      if (parent !== undefined) journal.rootId = (parent.journal as DurableJournal).rootId
      const draft = new ExecutionImpl(run, this, this.prepare(context), parent, journal)
      // Nobody takes it up between its row and its start.
      while (this.loading.has(run.id)) yield* this.loaded(run.id)
      this.loading.set(run.id, [])
      return yield* Effect.gen({ self: this }, function* () {
        const inserted = yield* this.command<{ id: string }>(insertRun, this.toRow(draft, journal))
        if (inserted.length > 0) return yield* this.flushed(this.create(run, context, parent, epoch, cache))
        return yield* this.join(run, draft, cache)
      }).pipe(Effect.ensuring(Effect.sync(() => this.loadEnded(run.id))))
    })
  }

  /** The execution that an id has already, or the conflict. */
  private join(run: RunImpl, draft: ExecutionImpl, cache: Fiber.Fiber.Cache): Effect.Effect<Execution<any, any>> {
    return Effect.gen({ self: this }, function* () {
      const [row] = yield* this.query<RunRow>(`SELECT * FROM baton_runs WHERE id = ?`, [run.id])
      const input = encode(run.workflow.input, run.input)
      const same = !(input instanceof NotStorable) && JSON.stringify(input.json) === row.input
      if (row.workflow === run.workflow.name && same) {
        const handle = new DurableHandle(this, run.id, run.workflow.name, run.workflow)
        run.execution = handle
        return handle
      }
      // The id stays with the run that has it: this one fails without a row.
      const execution = new ExecutionImpl(run, this, draft.context, undefined)
      execution.conflict = new IdConflict({
        id: run.id,
        workflow: run.workflow.name,
        existing: row.workflow,
        differs: row.workflow === run.workflow.name ? "input" : "workflow"
      })
      run.execution = execution
      execution.begin(cache)
      return execution
    })
  }

  start(): ExecutionImpl {
    throw new Error("Children of durable executions start through the journal")
  }

  startChild(
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl,
    childId: string | undefined
  ): Effect.Effect<Execution<any, any>> {
    this.register(run.workflow, fiber.context)
    const follow = (handle: Execution<any, any>): Execution<any, any> => {
      const child = this.residents.get(handle.id)
      const ended = (exit: Exit.Exit<any, any>) => {
        frame.parent?.leave(frame)
        if (exit._tag === "Success") parent.recorded?.set(frame.path, handle)
      }
      if (child !== undefined && child.parent === parent) child.observe(ended)
      else frame.parent?.leave(frame)
      return handle
    }
    if (childId !== undefined) {
      const handle = new DurableHandle(this, childId, run.workflow.name, run.workflow)
      return Effect.gen({ self: this }, function* () {
        const child = yield* this.activate(childId, parent)
        if (child === undefined && parent.recorded !== undefined && (yield* handle.status) === "completed") {
          parent.recorded.set(frame.path, handle)
        }
        return follow(handle)
      })
    }
    parent.append(Tag.ChildStarted, frame, { childId: run.id, workflow: run.workflow.name })
    if (run.givenId !== undefined) return Effect.map(this.startNamed(run, fiber, parent), follow)
    this.create(run, fiber.context, parent, undefined, fiber.cache)
    const handle = new DurableHandle(this, run.id, run.workflow.name, run.workflow)
    run.execution = handle
    return Effect.succeed(follow(handle))
  }

  // -- taking up ------------------------------------------------------------

  private loaded(id: string): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const waiting = this.loading.get(id)
      if (waiting === undefined) return resume(Effect.void)
      waiting.push(() => resume(Effect.void))
    })
  }

  private loadEnded(id: string): void {
    const waiting = this.loading.get(id)
    this.loading.delete(id)
    for (const resume of waiting ?? []) resume()
  }

  /** The execution in memory: as it is, or taken up from its rows; nothing if it has settled or can not go on here. */
  activate(id: string, parent?: ExecutionImpl): Effect.Effect<ExecutionImpl | undefined> {
    return Effect.suspend((): Effect.Effect<ExecutionImpl | undefined> => {
      const known = this.residents.get(id)
      if (known !== undefined) return Effect.succeed(known)
      if (this.isDraining || !this.runs) return Effect.succeed(undefined)
      if (this.loading.has(id)) return Effect.andThen(this.loaded(id), this.activate(id, parent))
      this.loading.set(id, [])
      return Effect.ensuring(
        this.load(id, parent),
        Effect.sync(() => this.loadEnded(id))
      )
    })
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

  private load(id: string, known: ExecutionImpl | undefined): Effect.Effect<ExecutionImpl | undefined> {
    return Effect.gen({ self: this }, function* () {
      const [row] = yield* this.query<RunRow>(`SELECT * FROM baton_runs WHERE id = ?`, [id])
      if (row === undefined || row.settled_at !== null || !this.placement.owns(row.root_id)) return undefined
      const registration = this.registrations.get(key(row.workflow, row.version))
      if (registration === undefined) return undefined
      let parent = known
      if (parent === undefined && row.parent_id !== null) {
        // A child goes on under its parent, which takes it up.
        this.loadEnded(id)
        parent = yield* this.activate(row.parent_id)
        const taken = this.residents.get(id)
        if (taken !== undefined) return taken
        if (parent === undefined) return undefined
        this.loading.set(id, [])
      }
      const [last] = yield* this.query<{ n: number | null }>(
        `SELECT MAX(sequence) AS n FROM baton_events WHERE execution_id = ?`,
        [id]
      )
      const sequence = Number(last?.n ?? 0)
      const crashed = row.wake_at !== null && Number(row.wake_at) === resident
      const crashes = !crashed ? row.crashes : sequence > row.crash_sequence ? 1 : row.crashes + 1
      const epoch = this.nextEpoch()
      const claimed = yield* this.command<{ id: string }>(
        `UPDATE baton_runs SET epoch = ?, wake_at = ?, held = NULL, crashes = ?, crash_sequence = ? WHERE id = ? AND epoch = ? RETURNING id`,
        [epoch, resident, crashes, sequence, id, row.epoch]
      )
      if (claimed.length === 0) return undefined
      const history = yield* this.history(id)
      const { children, events, seeds } = history
      if (hasAnswers(history)) yield* loadJournaling
      const execution = this.construct(row, registration, epoch, parent)
      const journal = execution.journal as DurableJournal
      if (crashes > this.maxCrashes) {
        journal.load(history, lastAttempt(events))
        execution.restore(restored(row, events, children))
        execution.settle("fail", Exit.die(poisoned(row, crashes, events)))
        return execution
      }
      if (events.length === 0) {
        for (const { path, result } of seeds) journal.recorded.seed(path, parse(result))
        execution.begin(fiberCache)
        return execution
      }
      journal.load(history, lastAttempt(events))
      execution.restore(restored(row, events, children))
      if (row.paused === pauseWanted) yield* Effect.ignore(execution.pause)
      // An owner that had lost it may have written the event and not the row.
      if (execution.state !== row.status || execution.paused !== (row.paused !== 0)) journal.status()
      if (parent !== undefined) (parent.children ??= new Set()).add(execution)
      for (const child of children) if (child.settled_at === null) yield* this.activate(child.id, execution)
      this.resume(execution, journal, events)
      this.notify(id)
      yield* this.refresh(execution)
      return execution
    })
  }

  /** All that is stored of an execution. */
  private history(id: string) {
    return Effect.map(
      Effect.all([
        this.query<EventRow>(`SELECT * FROM baton_events WHERE execution_id = ? ORDER BY sequence`, [id]),
        this.query<RequestRow>(`SELECT * FROM baton_requests WHERE execution_id = ?`, [id]),
        this.query<AnswerRow>(`SELECT * FROM baton_answers WHERE execution_id = ? ORDER BY request_id, n`, [id]),
        this.query<{ attempt: number; path: string; due: number; state: string }>(
          `SELECT attempt, path, due, state FROM baton_timers WHERE execution_id = ?`,
          [id]
        ),
        this.query<{ path: string; result: string }>(`SELECT path, result FROM baton_seeds WHERE execution_id = ?`, [
          id
        ]),
        this.query<{ id: string; status: string; settled_at: number | null; usage_total: string | null }>(
          `SELECT id, status, settled_at, usage_total FROM baton_runs WHERE parent_id = ?`,
          [id]
        )
      ]),
      ([events, requests, answers, timers, seeds, children]) => ({ events, requests, answers, timers, seeds, children })
    )
  }

  private construct(
    row: RunRow,
    { context, workflow }: Registration,
    epoch: string,
    parent: ExecutionImpl | undefined
  ): ExecutionImpl {
    const decoded = decode(workflow.input, parse(row.input))
    const options = this.given.get(row.id) ?? fromStored(parse(row.options), workflow.defaults)
    const run = new RunImpl(0, 0, workflow, decoded?.value, { ...options, id: row.id }, restarter)
    run.execution = new DurableHandle(this, row.id, row.workflow, workflow)
    const journal = new DurableJournal(this, row.id, epoch, Number(row.started_at))
    journal.rootId = row.root_id
    const execution = new ExecutionImpl(run, this, context, parent, journal)
    journal.execution = execution
    this.residents.set(row.id, execution)
    if (decoded === undefined) this.mismatch(journal, "", "an input that fits the workflow's schema", row.input)
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
    for (const known of journal.recorded.outside) {
      const request = detached(known.row, execution.workflow)
      const [, name, n] = known.row.path.split("/")
      journal.restoreAnswers(request, known)
      people.reopenOutside(
        execution,
        request,
        name as "approval" | "input",
        Number(n),
        known.row.created_at - journal.startedAt
      )
    }
    const retry = of("RetryScheduled")[0]
    if (retry !== undefined) {
      journal.retryAt = Number(retry.time) + parse(retry.fields).delayMillis
      if (execution.cancelled !== undefined) return cancelling.finish(execution)
      attempts.restoreRetry(execution, Math.max(0, journal.retryAt! - this.now()))
      return this.watchIdle(execution)
    }
    const timeout = execution.options.timeout
    const isActive = timeout !== undefined && toConfig(timeout).clock === "active"
    const fails = timedOut?.onTimeout === "fail"
    if (fails) execution.timedOut = timedOut.afterMillis
    if (fails || execution.cancelled !== undefined) journal.isFrozen = true
    attempts.restore(execution, timedOut !== undefined ? undefined : journal.spent(events, isActive, this.now()))
    if (journal.isFrozen) this.whenQuiet(execution, journal)
    else if (timedOut?.onTimeout === "cancel" && !events.some((event) => event.tag === "CancelPrevented")) {
      execution.fork(cancelling.request(execution, "timeout"))
    }
    this.watchIdle(execution)
  }

  /** Interrupts a body where it was interrupted before, once it has got there. */
  private whenQuiet(execution: ExecutionImpl, journal: DurableJournal): void {
    let quiet = 0
    let seen = -1
    const turn: Effect.Effect<void> = Effect.suspend(() => {
      if (execution.outcome !== undefined || !journal.isFrozen) return Effect.void
      quiet = journal.activity === seen ? quiet + 1 : 0
      seen = journal.activity
      if (quiet < 20) return Effect.andThen(Effect.yieldNow, turn)
      journal.isFrozen = false
      if (execution.cancelled !== undefined) cancelling.goOn(execution)
      else execution.fiber?.interruptUnsafe()
      return Effect.void
    })
    this.fork(turn)
  }

  /** The handle of an execution that is known here or stored; `expected` reads its outcome where nothing registered does. */
  find(id: string, expected?: Any): Effect.Effect<Execution<any, any>, ExecutionNotFound> {
    return Effect.gen({ self: this }, function* () {
      while (this.loading.has(id)) yield* this.loaded(id)
      const known = this.residents.get(id)
      if (known !== undefined) return new DurableHandle(this, id, known.workflow, known.definition)
      yield* this.writer.drained
      const [row] = yield* this.query<RunRow>(`SELECT * FROM baton_runs WHERE id = ?`, [id])
      if (row === undefined) return yield* new ExecutionNotFound({ id })
      const given = expected?.name === row.workflow ? expected : undefined
      return new DurableHandle(this, id, row.workflow, this.definition(row.workflow, row.version) ?? given)
    })
  }

  // -- leaving --------------------------------------------------------------

  private watchIdle(execution: ExecutionImpl): void {
    if (execution.outcome !== undefined || this.idle.has(execution)) return
    this.idle.set(execution, this.now())
  }

  /** Whether an execution and all below it only wait for people, pauses or time. */
  private canLeave(execution: ExecutionImpl): boolean {
    const journal = execution.journal as DurableJournal
    if (execution.outcome !== undefined || execution.cancelled !== undefined || execution.decision !== undefined)
      return false
    if (journal.inFlight > 0 || journal.isFrozen || !journal.isIdle || execution.timedOut !== undefined) return false
    if (this.reopening.has(execution)) return false
    if (this.pins.has(execution.id)) return false
    // Somebody outside waits for an answer.
    if (execution.holds > (execution.paused ? 1 : 0)) return false
    for (const child of execution.children ?? []) if (!this.canLeave(child)) return false
    return (
      execution.state === "awaiting" ||
      execution.betweenAttempts !== undefined ||
      journal.sleeping.size > 0 ||
      (execution.children?.size ?? 0) > 0
    )
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

  /** Lets an execution go that only waits; `true` when it went. */
  park(execution: ExecutionImpl): boolean {
    if (execution.parent !== undefined || !this.canLeave(execution)) return false
    const tree = [execution]
    for (let i = 0; i < tree.length; i++) for (const child of tree[i].children ?? []) tree.push(child)
    for (const each of tree.reverse()) {
      const at = this.deadline(each)
      this.leave(each, Number.isFinite(at) ? Math.max(at, atOnce) : null)
      if (Number.isFinite(at)) this.wakeUpAt(at)
    }
    return true
  }

  /** From here on the execution is nobody's, until `wakeAt` or a signal. */
  private leave(execution: ExecutionImpl, wakeAt: number | null): void {
    const journal = execution.journal as DurableJournal
    journal.write("parked", [wakeAt, JSON.stringify(execution.used), execution.id, journal.epoch])
    this.drop(execution)
  }

  private drop(execution: ExecutionImpl): void {
    const journal = execution.journal as DurableJournal
    if (this.residents.get(execution.id) === execution) this.residents.delete(execution.id)
    this.idle.delete(execution)
    // Who waits for the disk finds the execution gone.
    execution.abandon()
    journal.close()
    this.tellExit(execution.id, undefined)
  }

  lost(journal: DurableJournal): void {
    this.drop(journal.execution)
    this.fork(Effect.andThen(realSleep(this.pollMillis), this.activate(journal.id)))
  }

  mismatch(journal: DurableJournal, path: string, expected: string, found: string): void {
    if (journal.isClosed) return
    const { execution } = journal
    this.held.add(journal.id)
    const held = JSON.stringify({ path, expected, found })
    this.fork(
      Effect.gen({ self: this }, function* () {
        yield* journal.flush
        this.drop(execution)
        yield* this.command(`UPDATE baton_runs SET held = ?, wake_at = NULL WHERE id = ? AND epoch = ?`, [
          held,
          journal.id,
          journal.epoch
        ])
        yield* Effect.logError(
          `The journal of ${journal.id} does not fit the code of ${execution.workflow} at "${path}": ` +
            `expected ${expected}, found ${found}; it is held until a version that fits is registered`
        )
        this.notify(journal.id)
      })
    )
  }

  // -- what executions tell -------------------------------------------------

  changed(execution: ExecutionImpl): void {
    if (isSettled(execution.state)) this.idle.delete(execution)
    else if (execution.state === "awaiting") this.watchIdle(execution)
  }

  opened(execution: ExecutionImpl, request: Pending): void {
    const channel = Context.get(execution.context, HumanChannel)
    if (channel === inbox) return
    const { id } = request
    const deliver = Effect.suspend(() =>
      channel.deliver(request.toRequest(), {
        approve: (options) => this.answer(execution.id, id, { _tag: "Verdict", approved: true, options }),
        reject: (options) => this.answer(execution.id, id, { _tag: "Verdict", approved: false, options }),
        answer: (value, options) => this.answer(execution.id, id, { _tag: "Value", value, by: options?.by })
      })
    )
    const fiber = execution.fork(
      Effect.catchCause(Effect.andThen(Effect.yieldNow, deliver), (cause) =>
        Effect.logWarning(`The human channel failed to deliver "${id}"; the request stays open`, cause)
      )
    )
    request.stopDelivery = () => fiber.interruptUnsafe()
  }

  readonly adopt = (fiber: Fiber.Fiber<unknown, unknown>): void => {
    if (fiber.pollUnsafe() !== undefined) return
    this.adopted.add(fiber)
    fiber.addObserver(() => this.adopted.delete(fiber))
  }

  written(journal: DurableJournal): void {
    this.notify(journal.id)
  }

  settled(journal: DurableJournal, exit: Exit.Exit<any, any>): void {
    this.residents.delete(journal.id)
    this.idle.delete(journal.execution)
    this.given.delete(journal.id)
    this.tellExit(journal.id, exit)
    this.notify(journal.id)
  }

  // -- who waits ------------------------------------------------------------

  private notify(id: string): void {
    const watchers = this.watchers.get(id)
    if (watchers !== undefined) for (const watcher of [...watchers]) watcher()
  }

  /** Whoever waits for what other processes do looks again. */
  private notifyOthers(): void {
    for (const id of [...this.watchers.keys()]) if (!this.residents.has(id)) this.notify(id)
  }

  /** Calls back when something of an execution is on disk; returns how to stop. */
  watch(id: string, watcher: () => void): () => void {
    const watchers = this.watchers.get(id) ?? new Set()
    this.watchers.set(id, watchers.add(watcher))
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.watchers.get(id) === watchers) this.watchers.delete(id)
    }
  }

  private tellExit(id: string, exit: Exit.Exit<any, any> | undefined): void {
    const watchers = this.exitWatchers.get(id)
    if (watchers === undefined) return
    this.exitWatchers.delete(id)
    for (const watcher of watchers) watcher(exit)
  }

  /** Calls back with the outcome once it is on disk, or with nothing when the execution leaves this process. */
  watchExit(id: string, watcher: (exit: Exit.Exit<any, any> | undefined) => void): () => void {
    const watchers = this.exitWatchers.get(id) ?? new Set()
    this.exitWatchers.set(id, watchers.add(watcher))
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.exitWatchers.get(id) === watchers) this.exitWatchers.delete(id)
    }
  }

  // -- people ---------------------------------------------------------------

  /** Takes an answer: whoever writes first decides, in whichever process (D8). */
  answer(id: string, requestId: string, said: Answer): Effect.Effect<void, AnswerError> {
    return this.pinned(id, this.takeAnswer(id, requestId, said))
  }

  private takeAnswer(id: string, requestId: string, said: Answer): Effect.Effect<void, AnswerError> {
    return Effect.gen({ self: this }, function* () {
      const execution = yield* this.activate(id)
      if (execution !== undefined) yield* (execution.journal as DurableJournal).flush
      const decide = this.sql
        .withTransaction(
          Effect.gen({ self: this }, function* () {
            const [row] = yield* this.query<RequestRow>(
              `SELECT * FROM baton_requests WHERE id = ? AND execution_id = ?${this.isPg ? " FOR UPDATE" : ""}`,
              [requestId, id]
            )
            if (row === undefined) return yield* new RequestNotFound({ executionId: id, requestId })
            if (row.outcome !== null) return yield* new RequestSettled({ requestId, outcome: row.outcome })
            const answers = yield* this.query<AnswerRow>(
              `SELECT * FROM baton_answers WHERE request_id = ? ORDER BY n`,
              [requestId]
            )
            const live = execution === undefined ? undefined : people.find(execution, requestId)
            const request =
              live === undefined || live.kind === "Approval" ? detached(row, execution?.workflow ?? "") : live
            if (request instanceof PendingApproval) request.restore(toResponses(answers))
            const result = request.respond(said, this.now())
            if (Result.isFailure(result)) return yield* Effect.fail(result.failure)
            const by = said._tag === "Verdict" ? said.options?.by : said.by
            yield* this.query(
              `INSERT INTO baton_answers (request_id, n, execution_id, by_whom, said, time) VALUES (?, ?, ?, ?, ?, ?)`,
              [requestId, answers.length + 1, id, by === undefined ? "" : `@${by}`, JSON.stringify(said), this.now()]
            )
            if (result.success !== undefined) {
              yield* this.query(`UPDATE baton_requests SET outcome = ?, decided_at = ? WHERE id = ?`, [
                result.success.outcome,
                this.now(),
                requestId
              ])
            }
            if (execution !== undefined) return
            yield* this.query(`INSERT INTO baton_signals (execution_id, kind) VALUES (?, 'look')`, [id])
          })
        )
        .pipe(Effect.catchTag("SqlError", (error) => Effect.die(error)))
      yield* this.writer.exposed(decide)
      if (execution === undefined) return yield* this.tellOwner(id)
      yield* this.look(execution)
      yield* (execution.journal as DurableJournal).flush
    })
  }

  /** Takes up what people said; one that left the memory meanwhile is brought back for it (D6). */
  private look(execution: ExecutionImpl): Effect.Effect<void> {
    return Effect.andThen(
      this.refresh(execution),
      Effect.suspend(() => (execution.outcome === abandoned ? Effect.asVoid(this.activate(execution.id)) : Effect.void))
    )
  }

  /** Tells the owner of an execution that there is something to do. */
  signal(id: string, kind: string, payload: string | null): Effect.Effect<void> {
    const insert = this.command(`INSERT INTO baton_signals (execution_id, kind, payload) VALUES (?, ?, ?)`, [
      id,
      kind,
      payload
    ])
    // An answer that comes after a pause must not let the run go on before it.
    const mark = (paused: string) => this.command(`UPDATE baton_runs SET paused = ${paused} WHERE id = ?`, [id])
    const before =
      kind === "pause"
        ? mark(`${pauseWanted}`)
        : kind === "resume"
          ? mark(`CASE WHEN paused = ${pauseWanted} THEN 0 ELSE paused END`)
          : Effect.void
    return Effect.andThen(before, Effect.andThen(insert, this.tellOwner(id)))
  }

  /** Nobody waits for it: who does not hear looks on their own. */
  private tellOwner(id: string): Effect.Effect<void> {
    const { tell } = this.placement
    if (tell === undefined || this.residents.has(id)) return Effect.void
    const root = this.query<{ root_id: string }>(`SELECT root_id FROM baton_runs WHERE id = ?`, [id])
    const told = Effect.flatMap(root, ([row]) => (row === undefined ? Effect.void : tell(row.root_id)))
    return Effect.sync(() => void this.fork(told))
  }

  expire(execution: ExecutionImpl, request: Pending, now: number): void {
    const journal = execution.journal as DurableJournal
    const expire = this.pinned(
      execution.id,
      Effect.gen({ self: this }, function* () {
        yield* journal.flush
        yield* this.command(
          `UPDATE baton_requests SET outcome = 'timed-out', decided_at = ? WHERE id = ? AND outcome IS NULL`,
          [now, request.id]
        )
        yield* this.refresh(execution)
      })
    )
    this.fork(expire)
  }

  /** Requests that a replay opens again may have been answered before it got there, or while it did. */
  reopened(execution: ExecutionImpl): void {
    const isLooking = this.reopening.has(execution)
    this.reopening.set(execution, isLooking)
    if (isLooking) return
    const look: Effect.Effect<void> = Effect.suspend(() => {
      this.reopening.set(execution, false)
      return Effect.andThen(
        this.refresh(execution),
        Effect.suspend(() => (this.reopening.get(execution) === true ? look : Effect.void))
      )
    })
    this.fork(
      Effect.ensuring(
        look,
        Effect.sync(() => this.reopening.delete(execution))
      )
    )
  }

  /** Takes up what people said that the execution does not know of yet. */
  refresh(execution: ExecutionImpl): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (people.list(execution).length === 0) return Effect.void
      const { id } = execution
      return Effect.map(
        Effect.all([
          this.query<AnswerRow>(`SELECT * FROM baton_answers WHERE execution_id = ? ORDER BY time, n`, [id]),
          this.query<RequestRow>(`SELECT * FROM baton_requests WHERE execution_id = ? AND outcome = 'timed-out'`, [id])
        ]),
        ([answers, timedOut]) => this.takeUp(execution, answers, timedOut)
      )
    })
  }

  private takeUp(
    execution: ExecutionImpl,
    answers: ReadonlyArray<AnswerRow>,
    timedOut: ReadonlyArray<RequestRow>
  ): void {
    const journal = execution.journal as DurableJournal
    for (const row of answers) {
      if (execution.outcome !== undefined) return
      const request = people.find(execution, row.request_id)
      const known = journal.answered.get(row.request_id)
      if (request === undefined || known === undefined || row.n !== known + 1) continue
      journal.answered.set(row.request_id, row.n)
      const said = toAnswer(row)
      const result = request.respond(said, Number(row.time))
      if (Result.isSuccess(result)) people.answered(request, said, result.success)
    }
    for (const row of timedOut) {
      const request = people.find(execution, row.id)
      if (request !== undefined && execution.outcome === undefined) people.expire(request, Number(row.decided_at))
    }
  }

  // -- other processes and time ---------------------------------------------

  /** Does what other processes asked for. */
  readonly handleSignals: Effect.Effect<void> = this.oneAtATime(
    Effect.gen({ self: this }, function* () {
      if (!this.runs) return
      // What nobody here can do must not stand in the way of the rest, but what is wanted of one run is done in order.
      const left = new Set<string>()
      for (let after = 0, more = true; more; ) {
        const signals = yield* this.query<{ id: number; execution_id: string; kind: string; payload: string | null }>(
          `SELECT id, execution_id, kind, payload FROM baton_signals WHERE id > ? ORDER BY id LIMIT 1000`,
          [after]
        )
        for (const signal of signals) {
          if (left.has(signal.execution_id)) continue
          if (!(yield* this.handleSignal(signal))) left.add(signal.execution_id)
        }
        more = signals.length === 1000
        if (more) after = Number(signals[999].id)
      }
    })
  )

  /** Another process has written something for this one, and says so. */
  readonly hear: Effect.Effect<void> = Effect.sync(() => void this.fork(this.handleSignals))

  private handleSignal(signal: { id: number; execution_id: string; kind: string; payload: string | null }) {
    return this.pinned(signal.execution_id, this.doSignal(signal))
  }

  /** Whether it was done, or need not be. */
  private doSignal(signal: { id: number; execution_id: string; kind: string; payload: string | null }) {
    return Effect.gen({ self: this }, function* () {
      const asked = this.cancelling.get(signal.id)
      if (this.held.has(signal.execution_id) || (asked !== undefined && asked.outcome === undefined)) return false
      const done = Effect.as(this.command(`DELETE FROM baton_signals WHERE id = ?`, [signal.id]), true)
      const execution = yield* this.activate(signal.execution_id)
      if (execution === undefined) {
        const rows = yield* this.query<{ id: string }>(
          `SELECT id FROM baton_runs WHERE id = ? AND settled_at IS NULL`,
          [signal.execution_id]
        )
        // Nobody here can go on with it: whoever can does it.
        return rows.length > 0 ? false : yield* done
      }
      const journal = execution.journal as DurableJournal
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
      yield* this.obey(execution, signal.kind)
      yield* journal.flush
      // It was taken away in the middle: whoever has it now does it.
      return journal.isClosed ? false : yield* done
    })
  }

  private obey(execution: ExecutionImpl, kind: string): Effect.Effect<void> {
    switch (kind) {
      case "look":
        return this.look(execution)
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
  private owned = ""
  private get keepUp(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.runs) return Effect.void
      for (const execution of [...this.residents.values()]) {
        const { rootId } = execution.journal as DurableJournal
        // Whoever takes it up before this is written finds it in the memory of another, which it may take for a crash.
        if (!this.placement.owns(rootId)) this.leave(execution, atOnce)
      }
      const owned = this.placement.version()
      const from = owned === this.owned ? atOnce : resident
      this.owned = owned
      return this.takeUpDue(from, this.dueBy())
    })
  }

  /** Looks for what other processes wrote. */
  get poll(): Effect.Effect<void> {
    let seen: unknown
    const hasChanged = this.isPg
      ? Effect.as(this.keepUp, true)
      : Effect.map(this.query<Record<string, unknown>>("PRAGMA data_version"), ([row]) => {
          const version = Object.values(row)[0]
          const changed = version !== seen
          seen = version
          return changed
        })
    const look = Effect.flatMap(hasChanged, (changed) => {
      if (!changed) return Effect.void
      this.notifyOthers()
      return this.handleSignals
    })
    return Effect.forever(
      Effect.andThen(
        Effect.catchCause(look, (cause) => Effect.logWarning("Other processes could not be heard", cause)),
        realSleep(this.pollMillis)
      )
    )
  }

  /** Lets go of what has waited long enough. */
  get sweep(): Effect.Effect<void> {
    const turn = Effect.sync(() => {
      const now = this.now()
      for (const [execution, since] of this.idle) if (now - since >= this.idleMillis) this.park(execution)
    })
    const pause = Math.min(1000, Math.max(10, this.idleMillis / 4))
    return Effect.forever(Effect.andThen(realSleep(pause), turn))
  }

  private wakeUpAt(at: number): void {
    if (at >= this.wakeAt || this.isDraining) return
    this.wakeAt = at
    this.sleeper?.interruptUnsafe()
    this.sleeper = this.fork(
      Effect.andThen(
        this.clock.sleep(Duration.millis(Math.max(0, at - this.now()))),
        Effect.suspend(() => {
          this.wakeAt = Number.POSITIVE_INFINITY
          this.sleeper = undefined
          return this.wakeDue
        })
      )
    )
  }

  /** What is due counts as due up to here; what was let go in the middle of its work always is, whatever the clock says. */
  private dueBy(): number {
    return Math.max(atOnce, this.now())
  }

  private get wakeDue(): Effect.Effect<void> {
    const look = Effect.gen({ self: this }, function* () {
      yield* this.writer.drained
      const now = this.dueBy()
      yield* this.takeUpDue(atOnce, now)
      // What falls due from here on has an alarm: nothing lies between the two looks.
      yield* this.watchTimers(now)
    })
    const again: Effect.Effect<void> = Effect.catchCause(look, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause)
        : Effect.logWarning("What is due could not be looked up; trying again", cause).pipe(
            Effect.andThen(realSleep(this.pollMillis)),
            Effect.andThen(again)
          )
    )
    return again
  }

  /** Takes up what is this process's and due between two times, earliest first, as far as it is known here. */
  private takeUpDue(from: number, to: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      let after = { id: "", wake_at: from }
      for (;;) {
        const rows = yield* this.query<DueRow>(
          `SELECT id, root_id, workflow, version, wake_at FROM baton_runs
           WHERE wake_at >= ? AND wake_at <= ? AND (wake_at > ? OR id > ?) ORDER BY wake_at, id LIMIT ${duePage}`,
          [after.wake_at, to, after.wake_at, after.id]
        )
        const mine = rows.filter(
          ({ id, root_id, version, workflow }) =>
            !this.residents.has(id) && this.placement.owns(root_id) && this.registrations.has(key(workflow, version))
        )
        yield* Effect.forEach(mine, ({ id }) => this.activate(id), { concurrency: 16, discard: true })
        if (rows.length < duePage) return
        after = rows[duePage - 1]
      }
    })
  }

  /** Sets the alarm for whatever is due next after a time; what was due then has been looked at. */
  private watchTimers(after: number): Effect.Effect<void> {
    return Effect.map(
      this.query<{ at: number | null }>(`SELECT MIN(wake_at) AS at FROM baton_runs WHERE wake_at > ?`, [after]),
      ([row]) => {
        if (row?.at != null) this.wakeUpAt(Number(row.at))
      }
    )
  }

  // -- the end --------------------------------------------------------------

  /** No new work; what runs gets its time; what is left goes on elsewhere, or here after the next start. */
  get shutdown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isDraining = true
      this.sleeper?.interruptUnsafe()
      const busy = () => [...this.residents.values()].some((execution) => execution.journal!.inFlight > 0)
      const turns = Math.ceil(this.graceMillis / 10)
      const settle = (left: number): Effect.Effect<void> =>
        Effect.suspend(() => (left > 0 && busy() ? Effect.andThen(realSleep(10), settle(left - 1)) : Effect.void))
      return settle(turns).pipe(
        Effect.andThen(this.writer.drained),
        Effect.andThen(
          Effect.sync(() => {
            for (const execution of [...this.residents.values()]) {
              if (execution.outcome === undefined) this.leave(execution, atOnce)
            }
          })
        ),
        Effect.andThen(this.writer.drained),
        Effect.andThen(Effect.suspend(() => Fiber.interruptAll([...this.adopted])))
      )
    })
  }

  /** Everything is dropped as a crash would drop it; only crash tests do this. */
  crash(): void {
    this.writer.crashed = true
    this.isDraining = true
    this.sleeper?.interruptUnsafe()
    for (const execution of [...this.residents.values()]) this.drop(execution)
    for (const fiber of [...this.adopted]) fiber.interruptUnsafe()
  }
}

const numbers = new Set([
  "sequence",
  "time",
  "attempt",
  "started_at",
  "settled_at",
  "wake_at",
  "paused",
  "crashes",
  "crash_sequence",
  "created_at",
  "expires_at",
  "decided_at",
  "due",
  "n",
  "at"
])

/** PostgreSQL gives big integers as text. */
const withNumbers = <A extends object>(rows: ReadonlyArray<A>): ReadonlyArray<A> =>
  rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([column, value]) => [
        column,
        value !== null && numbers.has(column) ? Number(value) : value
      ])
    )
  ) as unknown as ReadonlyArray<A>

/** Only its tracer is asked for, and a run that goes on after a crash has no span to go on with. */
const fiberCache = { tracer: undefined, tracerEnabled: false } as unknown as Fiber.Fiber.Cache

const lastAttempt = (events: ReadonlyArray<EventRow>): number => events[events.length - 1]?.attempt ?? 0

const noUsage: Usage = { modelCalls: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, steps: 0 }

const addUsage = (a: Usage, b: Partial<Usage>): Usage => ({
  modelCalls: a.modelCalls + (b.modelCalls ?? 0),
  inputTokens: a.inputTokens + (b.inputTokens ?? 0),
  outputTokens: a.outputTokens + (b.outputTokens ?? 0),
  costUsd: a.costUsd + (b.costUsd ?? 0),
  steps: a.steps + (b.steps ?? 0)
})

/** What events say was used. */
export const usageOf = (events: ReadonlyArray<EventRow>): Usage => {
  const reused = new Set(
    events.flatMap((event) =>
      event.tag === "StepCompleted" && parse(event.fields).reused === true ? [`${event.attempt} ${event.path}`] : []
    )
  )
  let usage = noUsage
  for (const event of events) {
    if (event.tag === "ModelCalled") usage = addUsage(usage, { ...parse(event.fields), modelCalls: 1 })
    else if (event.tag === "StepStarted" && !reused.has(`${event.attempt} ${event.path}`)) {
      usage = addUsage(usage, { steps: 1 })
    }
  }
  return usage
}

/** The newest progress that counts. */
export const progressOf = (
  events: ReadonlyArray<EventRow>
): { readonly newest: Progress; readonly depth: number } | undefined => {
  let found: { readonly newest: Progress; readonly depth: number } | undefined
  for (const event of events) {
    if (event.tag !== "Progressed") continue
    const { depth, ...newest } = parse(event.fields)
    if (found === undefined || depth <= found.depth) found = { newest, depth }
  }
  return found
}

const restored = (
  row: RunRow,
  events: ReadonlyArray<EventRow>,
  children: ReadonlyArray<{ readonly settled_at: number | null; readonly usage_total: string | null }>
) => {
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
    outsideRequests: events.filter((event) => event.tag === "RequestOpened" && event.path.startsWith("handle/")).length,
    progress: progressOf(events),
    usage
  }
}

const poisoned = (row: RunRow, crashes: number, events: ReadonlyArray<EventRow>): Error => {
  const begun = events.findLast((event) => event.tag === "StepStarted")
  const where = begun === undefined ? "before its first step" : `in or after step "${begun.path}"`
  return new Error(
    `${row.workflow} (${row.id}) took its process down ${crashes} times without getting any further, ${where}: ` +
      "it was failed so that others go on; mend the body and start it again with Engine.retry"
  )
}
