/**
 * Group commit: what the executions of this process have to write, in the order in which it came up, many at a time. One
 * that is alone waits for nobody; nobody is told before it is on disk.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as SqlError from "effect/sql/SqlError"

/** One row of one statement; rows of one kind are written together. */
export interface Row {
  readonly kind: Kind
  readonly values: ReadonlyArray<unknown>
}

export type Kind =
  | "run"
  | "tag"
  | "event"
  | "request"
  | "timer"
  | "withdrawn"
  | "timerState"
  | "status"
  | "parked"
  | "settled"
  | "seed"

/** Whose rows they are; told when they are on disk, or that somebody else has the execution. */
export interface Owner {
  readonly id: string
  readonly epoch: string
  /** Told when so many more of its rows are on disk. */
  readonly written: (rows: number) => void
  /** Told that another owner wrote first. */
  readonly lost: () => void
}

interface Batch {
  readonly owner: Owner
  readonly rows: Array<Row>
}

/** Where the process dies: before a write, or after it and before anybody is told. */
export type Strike = "before" | "after" | undefined

const inserts: Partial<Record<Kind, { readonly into: string; readonly width: number; readonly after?: string }>> = {
  run: {
    into: `baton_runs (id, workflow, version, status, tags, parent_id, root_id, source_id, input, options, started_at, wake_at, epoch)`,
    width: 13
  },
  tag: { into: `baton_tags (tag, execution_id)`, width: 2, after: `ON CONFLICT DO NOTHING` },
  event: {
    into: `baton_events (execution_id, sequence, time, tag, path, attempt, epoch, fields, result)`,
    width: 9
  },
  request: {
    into: `baton_requests (id, execution_id, path, attempt, kind, message, rules, sequence, created_at, expires_at)`,
    width: 10,
    after: `ON CONFLICT DO NOTHING`
  },
  timer: {
    into: `baton_timers (execution_id, attempt, path, due, state)`,
    width: 5,
    after: `ON CONFLICT DO NOTHING`
  },
  seed: { into: `baton_seeds (execution_id, path, result)`, width: 3, after: `ON CONFLICT DO NOTHING` }
}

const updates: Partial<Record<Kind, string>> = {
  withdrawn: `UPDATE baton_requests SET outcome = 'withdrawn' WHERE id = ? AND outcome IS NULL`,
  timerState: `UPDATE baton_timers SET state = ? WHERE execution_id = ? AND attempt = ? AND path = ?`,
  status: `UPDATE baton_runs SET status = ?, paused = ? WHERE id = ? AND epoch = ?`,
  parked: `UPDATE baton_runs SET wake_at = ?, usage_total = ? WHERE id = ? AND epoch = ?`,
  settled: `UPDATE baton_runs SET status = ?, settled_at = ?, usage_total = ?, outcome = ?, wake_at = NULL WHERE id = ? AND epoch = ? RETURNING id`
}

/** Inserts come first: what is updated must be there. */
const order: ReadonlyArray<Kind> = ["run", "tag", "seed", "event", "request", "timer"]

/** Rows of one statement; a few sizes only, so that statements are prepared once. */
const sizes = [64, 16, 4, 1]

export class Writer {
  private readonly sql: SqlClient.SqlClient
  private readonly isPg: boolean
  private readonly context: Context.Context<never>
  private readonly texts = new Map<string, string>()
  private batches = new Map<Owner, Batch>()
  private running = false
  /** Who waits for what is there to be written now. */
  private waiting: Array<() => void> = []
  /** How many writes there were. */
  writes = 0
  /** Stands before every write, and says where the process dies; only crash tests have one. */
  fault: ((n: number) => Strike) | undefined = undefined
  /** Told when a fault struck. */
  onCrash: (() => void) | undefined = undefined
  crashed = false

  constructor(sql: SqlClient.SqlClient, isPg: boolean, context: Context.Context<never>) {
    this.sql = sql
    this.isPg = isPg
    this.context = context
  }

  add(owner: Owner, row: Row): void {
    const batch = this.batches.get(owner)
    if (batch === undefined) this.batches.set(owner, { owner, rows: [row] })
    else batch.rows.push(row)
    if (!this.running) this.run()
  }

  private run(): void {
    this.running = true
    const next: Effect.Effect<void> = Effect.suspend(() => {
      const waiting = this.waiting
      this.waiting = []
      const tell = Effect.sync(() => {
        for (const resume of waiting) resume()
      })
      if (this.batches.size === 0 || this.crashed) {
        this.running = false
        return tell
      }
      const batches = [...this.batches.values()]
      this.batches = new Map()
      return Effect.andThen(this.commit(batches), Effect.andThen(tell, Effect.andThen(Effect.yieldNow, next)))
    })
    // What is ready in this turn of the scheduler goes along.
    Effect.runForkWith(this.context)(Effect.andThen(Effect.yieldNow, next))
  }

  /** Ends when all that there is to write now is on disk; what comes after it does not count. */
  get drained(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (!this.running || this.crashed) return resume(Effect.void)
      this.waiting.push(() => resume(Effect.void))
    })
  }

  private commit(batches: ReadonlyArray<Batch>): Effect.Effect<void> {
    return Effect.flatMap(Effect.exit(this.write(batches)), (exit) => {
      if (Exit.isSuccess(exit)) {
        for (const { owner, rows } of batches) owner.written(rows.length)
        return Effect.void
      }
      if (batches.length > 1) {
        // Somebody's rows are refused, or the database is away: one by one, so that only whom it concerns is told.
        return Effect.forEach(batches, (batch) => this.commit([batch]), { discard: true })
      }
      return this.settle(batches[0], exit)
    })
  }

  /** What a failed write of one execution means: it is there already, it belongs to another owner, or: try again. */
  private settle(batch: Batch, exit: Exit.Exit<void, SqlError.SqlError>): Effect.Effect<void> {
    const { owner } = batch
    return this.sql.unsafe<{ epoch: string }>(this.text(`SELECT epoch FROM baton_runs WHERE id = ?`), [owner.id]).pipe(
      Effect.flatMap((runs) => {
        const foreign = runs.length > 0 && runs[0].epoch !== owner.epoch
        if (foreign) return Effect.succeed("lost" as const)
        const event = batch.rows.find((row) => row.kind === "event")
        if (event === undefined) return Effect.succeed("again" as const)
        return Effect.map(
          this.sql.unsafe<{ epoch: string }>(
            this.text(`SELECT epoch FROM baton_events WHERE execution_id = ? AND sequence = ?`),
            [owner.id, event.values[1]]
          ),
          (events) =>
            events.length === 0
              ? ("again" as const)
              : events[0].epoch === owner.epoch
                ? ("written" as const)
                : ("lost" as const)
        )
      }),
      Effect.catchCause(() => Effect.succeed("again" as const)),
      Effect.flatMap((verdict) => {
        if (verdict === "written") return Effect.sync(() => owner.written(batch.rows.length))
        if (verdict === "lost") return Effect.sync(() => owner.lost())
        return Effect.logWarning(`The journal of ${owner.id} could not be written; trying again`, exit).pipe(
          Effect.andThen(realSleep(200)),
          Effect.andThen(Effect.suspend(() => (this.crashed ? Effect.void : this.commit([batch]))))
        )
      })
    )
  }

  private write(batches: ReadonlyArray<Batch>): Effect.Effect<void, SqlError.SqlError> {
    const statements = this.statements(batches)
    const all = Effect.forEach(
      statements,
      ({ params, text }) =>
        text === this.text(updates.settled!)
          ? // The end stands with its last event or not at all: another owner may have the execution (D4).
            Effect.flatMap(this.sql.unsafe(text, params), (rows) =>
              rows.length > 0 ? Effect.void : Effect.die(new Error("Another process has this execution"))
            )
          : Effect.asVoid(this.sql.unsafe(text, params).raw),
      { discard: true }
    )
    return this.exposed(statements.length === 1 ? all : this.sql.withTransaction(all))
  }

  /** A write as crash tests see it: a place where the process may die, before it or after it. */
  exposed<A, E>(write: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      this.writes++
      if (this.crashed) return Effect.never
      const strike = this.fault?.(this.writes)
      if (strike === undefined) return write
      const crash = Effect.suspend(() => {
        this.crashed = true
        this.batches.clear()
        this.onCrash?.()
        return Effect.never
      })
      return strike === "before" ? crash : Effect.andThen(write, crash)
    })
  }

  private statements(batches: ReadonlyArray<Batch>): Array<{ readonly text: string; readonly params: Array<unknown> }> {
    const byKind = new Map<Kind, Array<ReadonlyArray<unknown>>>()
    const statements: Array<{ readonly text: string; readonly params: Array<unknown> }> = []
    const later: typeof statements = []
    for (const { rows } of batches) {
      for (const { kind, values } of rows) {
        const update = updates[kind]
        if (update !== undefined) {
          later.push({ text: this.text(update), params: [...values] })
          continue
        }
        const rows = byKind.get(kind)
        if (rows === undefined) byKind.set(kind, [values])
        else rows.push(values)
      }
    }
    for (const kind of order) {
      const rows = byKind.get(kind)
      if (rows === undefined) continue
      for (let i = 0; i < rows.length; ) {
        const size = sizes.find((size) => size <= rows.length - i)!
        const params: Array<unknown> = []
        for (let end = i + size; i < end; i++) for (const value of rows[i]) params.push(value)
        statements.push({ text: this.insert(kind, size), params })
      }
    }
    return [...statements, ...later]
  }

  private insert(kind: Kind, rows: number): string {
    const key = `${kind} ${rows}`
    const known = this.texts.get(key)
    if (known !== undefined) return known
    const { after = "", into, width } = inserts[kind]!
    const values = `(${Array.from({ length: width }, () => "?").join(", ")})`
    const text = this.text(
      `INSERT INTO ${into} VALUES ${Array.from({ length: rows }, () => values).join(", ")} ${after}`
    )
    this.texts.set(key, text)
    return text
  }

  /** A statement in the dialect's own placeholders. */
  text(statement: string): string {
    if (!this.isPg) return statement
    const known = this.texts.get(statement)
    if (known !== undefined) return known
    let n = 0
    const text = statement.replace(/\?/g, () => `$${++n}`)
    this.texts.set(statement, text)
    return text
  }
}

const realClock = Context.empty()

/** Waits in real time, whatever clock the executions go by: the database knows no other. */
export const realSleep = (millis: number): Effect.Effect<void> => Effect.setContext(Effect.sleep(millis), realClock)
