/**
 * How runs begin: their row is written before anybody is told, by whoever is to go on with them or for whoever is.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Execution } from "../../Execution.ts"
import { Tag } from "../../internal/eventLog.ts"
import { ExecutionImpl } from "../../internal/execution.ts"
import type { Frame } from "../../internal/frame.ts"
import { RunImpl } from "../../internal/run.ts"
import { isStorable } from "../../internal/schema.ts"
import type { RunOptions } from "../../Run.ts"
import { IdConflict, InvalidInput } from "../../RunError.ts"
import { EngineShutdown, WorkflowNotRegistered } from "../../services/Engine.ts"
import { encode } from "./codec.ts"
import type { DurableEngine } from "./engine.ts"
import { DurableHandle } from "./handle.ts"
import { DurableJournal } from "./journal.ts"
import { hasCode, toStored } from "./options.ts"
import { NotStorable } from "./plain.ts"
import { restarter } from "./recovery.ts"
import { atOnce, columns, type RunRow, resident } from "./rows.ts"
import { orUnavailable } from "./unavailable.ts"
import { refuseUnstorable } from "./unstorable.ts"
import { ifOwned } from "./writer.ts"

const ofRun = `INSERT INTO baton_runs (${columns.join(", ")})`
const values = columns.map(() => "?").join(", ")
const insertRun = `${ofRun} VALUES (${values}) ON CONFLICT DO NOTHING RETURNING id`

/** The same for a child: only who has its parent starts it (D4). */
const insertChild = (isPg: boolean): string =>
  `${ofRun} SELECT ${values} WHERE ${ifOwned(isPg, "1", "?", "?")} = 1 ON CONFLICT DO NOTHING RETURNING id`

/** An id that no database takes, of which the options are told. */
const isRefused = ({ givenId }: RunImpl): boolean => givenId !== undefined && !isStorable(givenId)

const storableTags = ({ tags = [] }: RunOptions): ReadonlyArray<string> => tags.filter(isStorable)

export class Starts {
  private readonly engine: DurableEngine
  /** Options with code, of runs that were started here. */
  readonly given = new Map<string, RunOptions>()

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  launch(run: RunImpl): Effect.Effect<Execution<any, any>> {
    return Effect.withFiber((fiber) => {
      if (run.execution !== undefined) return this.known(run.id, run.execution)
      if (this.engine.isDraining) return Effect.die(new EngineShutdown({ workflow: run.workflow.name }))
      if (!this.engine.runs)
        return Effect.die(new Error(`This process runs nothing: start ${run.workflow.name} with run.submit`))
      this.engine.registry.register(run.workflow, fiber.context)
      if (isRefused(run)) return Effect.succeed(this.without(run, fiber.context, fiber.cache))
      if (run.givenId !== undefined) return this.startNamed(run, fiber, undefined)
      if (!this.engine.placement.owns(run.id)) return this.leaveToOwner(run, fiber)
      return this.flushed(this.create(run, fiber.context, undefined, undefined, fiber.cache))
    })
  }

  /** Starts a run of a registered workflow; a process that runs nothing leaves it to one that does. */
  submit(run: RunImpl): Effect.Effect<Execution<any, any>, WorkflowNotRegistered> {
    return Effect.withFiber((fiber) => {
      if (run.execution !== undefined) return this.known(run.id, run.execution)
      const { name, version } = run.workflow
      const registration = this.engine.registry.find(name, version)
      if (this.engine.runs && registration !== undefined)
        return Effect.setContext(this.launch(run), registration.context)
      if (this.engine.runs) {
        return Effect.fail(new WorkflowNotRegistered({ workflow: name, ...(version === undefined ? {} : { version }) }))
      }
      refuseUnstorable(run.workflow)
      if (isRefused(run)) return Effect.succeed(this.without(run, fiber.context, fiber.cache))
      return this.leaveToOwner(run, fiber)
    })
  }

  /** An execution that fails with what is wrong, and without a row. */
  private without(
    run: RunImpl,
    context: Context.Context<never>,
    cache: Fiber.Fiber.Cache,
    conflict?: IdConflict
  ): Execution<any, any> {
    const execution = new ExecutionImpl(run, this.engine, this.engine.registry.prepare(context), undefined)
    execution.conflict = conflict
    run.execution = execution
    execution.begin(cache)
    return execution
  }

  /** Writes a run down for whoever has its shard. */
  private leaveToOwner(run: RunImpl, fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<Execution<any, any>> {
    const journal = new DurableJournal(this.engine, run.id, this.engine.nextEpoch(), this.engine.now())
    const draft = new ExecutionImpl(run, this.engine, this.engine.registry.prepare(fiber.context), undefined, journal)
    if (hasCode(draft.options)) this.given.set(run.id, draft.options)
    // Who starts it is told what is wrong with it; whoever runs it could not even read it.
    const invalid =
      run.workflow["~inner"].checkInput(run.input) !== undefined ||
      encode(run.workflow.input, run.input) instanceof NotStorable
    return invalid
      ? this.flushed(this.create(run, fiber.context, undefined, undefined, fiber.cache))
      : this.insert(draft, journal, fiber.cache, [])
  }

  /** Writes the row of a run that goes on at once, here or elsewhere. */
  insert(
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
      const inserted = yield* this.engine.query<{ id: string }>(insertRun, row)
      if (inserted.length === 0) return false
      for (const tag of storableTags(draft.options)) {
        yield* this.engine.query(`INSERT INTO baton_tags (tag, started_at, execution_id) VALUES (?, ?, ?)`, [
          tag,
          row[columns.indexOf("started_at")],
          run.id
        ])
      }
      for (const [path, result] of seeds) {
        yield* this.engine.query(`INSERT INTO baton_seeds (execution_id, path, result) VALUES (?, ?, ?)`, [
          run.id,
          path,
          JSON.stringify(result)
        ])
      }
      yield* this.engine.query(`INSERT INTO baton_signals (execution_id, kind) VALUES (?, 'look')`, [run.id])
      return true
    })
    const begin = Effect.gen({ self: this }, function* () {
      const isNew = yield* this.engine.writer.exposed(orUnavailable(this.engine.sql.withTransaction(write)))
      if (!isNew) return yield* this.join(run, draft, cache)
      const handle = new DurableHandle(this.engine, run.id, run.workflow.name, run.workflow)
      run.execution = handle
      if (this.engine.runs) yield* this.engine.recovery.activate(run.id)
      yield* this.engine.signals.tellOwner(run.id)
      return handle
    })
    return this.engine.whole(begin)
  }

  private flushed(execution: ExecutionImpl): Effect.Effect<Execution<any, any>> {
    const { run } = execution
    const handle = new DurableHandle(this.engine, run.id, run.workflow.name, run.workflow)
    run.execution = handle
    return Effect.as((execution.journal as DurableJournal).flush, handle)
  }

  /** A run that was started before: nobody is told of it until it is on disk (D2). */
  private known(id: string, execution: Execution<any, any>): Effect.Effect<Execution<any, any>> {
    const journal = this.engine.residents.get(id)?.journal
    return journal === undefined ? Effect.succeed(execution) : Effect.as(journal.flush, execution)
  }

  private create(
    run: RunImpl,
    context: Context.Context<never>,
    parent: ExecutionImpl | undefined,
    written: DurableJournal | undefined,
    cache: Fiber.Fiber.Cache
  ): ExecutionImpl {
    const { epoch, startedAt } = written ?? { epoch: this.engine.nextEpoch(), startedAt: this.engine.now() }
    const journal = new DurableJournal(this.engine, run.id, epoch, startedAt)
    if (parent !== undefined) journal.rootId = (parent.journal as DurableJournal).rootId
    const execution = new ExecutionImpl(run, this.engine, this.engine.registry.prepare(context), parent, journal)
    journal.execution = execution
    this.engine.residents.set(run.id, execution)
    if (hasCode(execution.options)) this.given.set(run.id, execution.options)
    const input = encode(run.workflow.input, run.input)
    if (input instanceof NotStorable && run.workflow["~inner"].checkInput(run.input) === undefined) {
      const { at, problem, value } = input
      execution.conflict = new InvalidInput({ workflow: run.workflow.name, field: at, value, problem })
    }
    if (written === undefined) {
      const row = this.toRow(execution, journal)
      if (journal.above === undefined) journal.write("run", row)
      else journal.write("child", [...row, journal.above.epoch])
    }
    for (const tag of storableTags(execution.options)) journal.write("tag", [tag, startedAt, run.id])
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
    if (parent === undefined && !this.engine.placement.owns(run.id)) return this.leaveToOwner(run, fiber)
    return Effect.gen({ self: this }, function* () {
      const journal = new DurableJournal(this.engine, run.id, this.engine.nextEpoch(), this.engine.now())
      if (parent !== undefined) journal.rootId = (parent.journal as DurableJournal).rootId
      const draft = new ExecutionImpl(run, this.engine, this.engine.registry.prepare(context), parent, journal)
      // Nobody takes it up between its row and its start.
      while (this.engine.recovery.loading.has(run.id)) yield* this.engine.recovery.loaded(run.id)
      // A child is fenced by the row of its parent, which may not be there yet.
      if (parent !== undefined) yield* (parent.journal as DurableJournal).flush
      // A row without its start would be nobody's.
      const begun = yield* this.engine.whole(
        Effect.suspend(() => {
          this.engine.recovery.loading.set(run.id, [])
          const row = this.toRow(draft, journal)
          const [text, params] =
            parent === undefined
              ? [insertRun, row]
              : [insertChild(this.engine.isPg), [...row, parent.id, (parent.journal as DurableJournal).epoch]]
          return Effect.map(
            this.engine.command<{ id: string }>(text, params),
            (inserted) => inserted.length > 0 && this.create(run, context, parent, journal, cache)
          )
        }).pipe(Effect.ensuring(Effect.sync(() => this.engine.recovery.loadEnded(run.id))))
      )
      return yield* begun === false ? this.join(run, draft, cache) : this.flushed(begun)
    })
  }

  /** The execution that an id has already, or the conflict. */
  private join(run: RunImpl, draft: ExecutionImpl, cache: Fiber.Fiber.Cache): Effect.Effect<Execution<any, any>> {
    return Effect.gen({ self: this }, function* () {
      const [row] = yield* this.engine.query<RunRow>(`SELECT * FROM baton_runs WHERE id = ?`, [run.id])
      // Somebody else has its parent, and starts it there.
      if (row === undefined && draft.parent !== undefined) return yield* Effect.never
      if (isSame(run, row)) {
        const handle = new DurableHandle(this.engine, run.id, run.workflow.name, run.workflow)
        run.execution = handle
        return handle
      }
      // The id stays with the run that has it: this one fails without a row.
      const differs = row.workflow === run.workflow.name ? "input" : "workflow"
      const conflict = new IdConflict({ id: run.id, workflow: run.workflow.name, existing: row.workflow, differs })
      return this.without(run, draft.context, cache, conflict)
    })
  }

  startChild(
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl,
    childId: string | undefined
  ): Effect.Effect<Execution<any, any>> {
    this.engine.registry.register(run.workflow, fiber.context)
    const leave = () => frame.parent?.leave(frame)
    const follow = (child: ExecutionImpl | undefined, handle: Execution<any, any>): Execution<any, any> => {
      if (child !== undefined && child.parent === parent) child.observe(leave)
      else leave()
      return handle
    }
    const startNamed = (run: RunImpl) =>
      Effect.map(this.startNamed(run, fiber, parent), (handle) => follow(this.engine.residents.get(handle.id), handle))
    if (childId !== undefined) {
      const handle = new DurableHandle(this.engine, childId, run.workflow.name, run.workflow)
      return Effect.gen({ self: this }, function* () {
        const child = yield* this.engine.recovery.activate(childId, parent)
        if (child?.parent === parent) return follow(child, handle)
        const isThere = child !== undefined || (yield* this.engine.reads.run(childId)) !== undefined
        // An id that was given may be somebody else's.
        if (isThere) return run.givenId === undefined ? follow(undefined, handle) : yield* startNamed(run)
        // Whoever began it ended, or lost the parent, after that was written and before the child was.
        if ((parent.journal as DurableJournal).frozen) return yield* Effect.never
        return yield* startNamed(new RunImpl(0, 0, run.workflow, run.input, { ...run.options, id: childId }, restarter))
      })
    }
    if (isRefused(run)) {
      frame.parent?.leave(frame)
      return Effect.succeed(this.without(run, fiber.context, fiber.cache))
    }
    parent.append(Tag.ChildStarted, frame, { childId: run.id, workflow: run.workflow.name })
    if (run.givenId !== undefined) return startNamed(run)
    const child = this.create(run, fiber.context, parent, undefined, fiber.cache)
    const handle = new DurableHandle(this.engine, run.id, run.workflow.name, run.workflow)
    run.execution = handle
    return Effect.succeed(follow(child, handle))
  }

  /** A child of an earlier attempt, or of the run that this one was made from, if it has completed and was not pruned. */
  completed(childId: string, run: RunImpl): Effect.Effect<Execution<any, any> | undefined> {
    return Effect.map(this.engine.reads.run(childId), (row) => {
      const status = this.engine.residents.get(childId)?.state ?? row?.status
      const isIts = row !== undefined && (run.givenId === undefined || isSame(run, row))
      return isIts && status === "completed"
        ? new DurableHandle(this.engine, childId, run.workflow.name, run.workflow)
        : undefined
    })
  }
}

/** Whether a run whose id was given is the one in a row. */
const isSame = (run: RunImpl, row: RunRow): boolean => {
  const input = encode(run.workflow.input, run.input)
  return (
    row.workflow === run.workflow.name && !(input instanceof NotStorable) && JSON.stringify(input.json) === row.input
  )
}
