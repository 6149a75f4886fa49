/**
 * Group commit: what the executions of this process have to write, in the order in which it came up, many at a time. One
 * that is alone waits for nobody; nobody is told before it is on disk.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as SqlError from "effect/sql/SqlError"
import { inSizes } from "./gather.ts"
import { columns } from "./rows.ts"

/** One row of one statement; rows of one kind are written together. */
export interface Row {
  readonly kind: Kind
  readonly values: ReadonlyArray<unknown>
}

export type Kind =
  | "run"
  | "child"
  | "tag"
  | "event"
  | "request"
  | "timer"
  | "withdrawn"
  | "timerState"
  | "status"
  | "parked"
  | "settled"

/** Whose rows they are; told when they are on disk, or that somebody else has the execution. */
export interface Owner {
  readonly id: string
  readonly epoch: string
  /** Whose child it is: who loses that loses it too. */
  readonly above?: Pick<Owner, "id" | "epoch"> | undefined
  /** Told when so many more of its rows are on disk. */
  readonly written: (rows: number) => void
  /** Told that the database is there and does not take them. */
  readonly refused: (reason: string) => void
  /** Told that another owner wrote first. */
  readonly lost: () => void
}

interface Batch {
  readonly owner: Owner
  /** How often the database was there and did not take it. */
  refusals?: number
  readonly rows: Array<Row>
}

/** How often what is written is refused by a database that is there, five times a second, until it is given up. */
const maxRefusals = 25

const reasonOf = (exit: Exit.Exit<void, SqlError.SqlError>): string => {
  const error = exit._tag === "Failure" ? Cause.squash(exit.cause) : undefined
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}

/** Where the process dies: before a write, or after it and before anybody is told. */
export type Strike = "before" | "after" | undefined

type Type = "TEXT" | "BIGINT" | "INTEGER"

/** Some rows that a statement takes its values from: `v.column1`, `v.column2` and so on. */
export const valuesOf = (types: ReadonlyArray<Type>, rows: number): string => {
  // The others are of the types of the first one.
  const first = `(${types.map((type) => `CAST(? AS ${type})`).join(", ")})`
  const row = `(${types.map(() => "?").join(", ")})`
  return `(VALUES ${[first, ...Array.from({ length: rows - 1 }, () => row)].join(", ")}) AS v`
}

/**
 * A value, as long as the row of an execution has an epoch; nobody else takes it over before the end of the transaction.
 */
export const ifOwned = (isPg: boolean, value: string, id: string, epoch: string): string =>
  `(SELECT ${value} FROM baton_runs WHERE id = ${id} AND epoch = ${epoch}${isPg ? " FOR SHARE" : ""})`

interface Insert {
  readonly into: string
  readonly types: ReadonlyArray<Type>
  readonly after?: string
  /**
   * Which value is the id of an execution and which its epoch: without that epoch in its row, a column that must have a
   * value has none, so that the statement fails (D4). What is no column of the table comes after the columns: the epoch,
   * or whether this row is to be asked about, where one of many will do.
   */
  readonly fence?: { readonly column: number; readonly id: number; readonly epoch: number; readonly asks?: number }
  readonly more?: ReadonlyArray<Type>
}

const runs: Pick<Insert, "into" | "types"> = {
  into: `baton_runs (${columns.join(", ")})`,
  types: columns.map((column) => (column.endsWith("_at") ? "BIGINT" : "TEXT"))
}

const inserts: Partial<Record<Kind, Insert>> = {
  run: runs,
  child: { ...runs, fence: { column: 7, id: 6, epoch: 14 }, more: ["TEXT"] },
  tag: {
    into: `baton_tags (tag, started_at, execution_id)`,
    types: ["TEXT", "BIGINT", "TEXT"],
    after: `ON CONFLICT DO NOTHING`
  },
  event: {
    into: `baton_events (execution_id, sequence, time, tag, path, attempt, epoch, fields, result)`,
    types: ["TEXT", "BIGINT", "BIGINT", "TEXT", "TEXT", "INTEGER", "TEXT", "TEXT", "TEXT"],
    fence: { column: 1, id: 1, epoch: 7, asks: 10 },
    more: ["INTEGER"]
  },
  request: {
    into: `baton_requests (id, execution_id, path, attempt, kind, message, rules, sequence, created_at, expires_at)`,
    types: ["TEXT", "TEXT", "TEXT", "INTEGER", "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT"],
    after: `ON CONFLICT DO NOTHING`,
    fence: { column: 2, id: 2, epoch: 11 },
    more: ["TEXT"]
  },
  timer: {
    into: `baton_timers (execution_id, attempt, path, due, state)`,
    types: ["TEXT", "INTEGER", "TEXT", "BIGINT", "TEXT"],
    after: `ON CONFLICT DO NOTHING`,
    fence: { column: 1, id: 1, epoch: 6 },
    more: ["TEXT"]
  }
}

/**
 * Always holds for an id among those values. PostgreSQL does not know that, and expects one row to be left: so it looks
 * rows up by their key, also where it made its plan while the table was small and keeps it while the table grows.
 */
export const isOne = (column: number): string => `v.column${column} = v.column${column} || ''`

interface Update {
  readonly table: string
  /** What is set, and where: columns and their types, in the order of the values. */
  readonly set: string | ((isPg: boolean) => string)
  readonly types: ReadonlyArray<Type>
  readonly where: string
  /** Which values say whose row it is: of several updates of one row the last counts. */
  readonly key: ReadonlyArray<number>
}

/** In the order in which they are done: the end of a run comes last. */
const updates: Partial<Record<Kind, Update>> = {
  withdrawn: {
    table: "baton_requests",
    set: "outcome = 'withdrawn'",
    types: ["TEXT"],
    where: "baton_requests.id = v.column1 AND outcome IS NULL",
    key: [0]
  },
  timerState: {
    table: "baton_timers",
    set: (isPg) => `state = ${ifOwned(isPg, "v.column1", "v.column2", "v.column5")}`,
    types: ["TEXT", "TEXT", "INTEGER", "TEXT", "TEXT"],
    where: "execution_id = v.column2 AND attempt = v.column3 AND path = v.column4",
    key: [1, 2, 3]
  },
  status: {
    table: "baton_runs",
    set: "status = v.column1, paused = v.column2",
    types: ["TEXT", "INTEGER", "TEXT", "TEXT"],
    where: "id = v.column3 AND epoch = v.column4",
    key: [2, 3]
  },
  parked: {
    table: "baton_runs",
    set: "wake_at = v.column1, usage_total = v.column2",
    types: ["BIGINT", "TEXT", "TEXT", "TEXT"],
    where: "id = v.column3 AND epoch = v.column4",
    key: [2, 3]
  },
  settled: {
    table: "baton_runs",
    set: "status = v.column1, settled_at = v.column2, usage_total = v.column3, outcome = v.column4, wake_at = NULL",
    types: ["TEXT", "BIGINT", "TEXT", "TEXT", "TEXT", "TEXT"],
    where: "id = v.column5 AND epoch = v.column6",
    key: [4, 5]
  }
}

/** Inserts come first: what is updated must be there. */
const order: ReadonlyArray<Kind> = ["run", "child", "tag", "event", "request", "timer"]

interface Statement {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
  /** How many rows it must change: the end of a run stands with its last event or not at all. */
  readonly mustChange?: number
}

export class Writer {
  private readonly sql: SqlClient.SqlClient
  private readonly isPg: boolean
  private readonly context: Context.Context<never>
  private readonly texts = new Map<string, string>()
  private batches = new Map<Owner, Batch>()
  private fiber: Fiber.Fiber<void> | undefined = undefined
  /** Who waits for what is there to be written now. */
  private waiting: Array<() => void> = []
  /** How many writes there were. */
  writes = 0
  /** Stands before every write, and says where the process dies; only crash tests have one. */
  fault: ((n: number) => Strike) | undefined = undefined
  /** Told when a fault struck. */
  onCrash: (() => void) | undefined = undefined
  crashed = false
  private isOver = false

  constructor(sql: SqlClient.SqlClient, isPg: boolean, context: Context.Context<never>) {
    this.sql = sql
    this.isPg = isPg
    this.context = context
  }

  add(owner: Owner, row: Row): void {
    const batch = this.batches.get(owner)
    if (batch === undefined) this.batches.set(owner, { owner, rows: [row] })
    else batch.rows.push(row)
    if (this.fiber === undefined) this.run()
  }

  /** Whether something of an owner waits to be written; what comes up now is written with it. */
  hasPending(owner: Owner): boolean {
    return this.batches.has(owner)
  }

  private run(): void {
    const next: Effect.Effect<void> = Effect.suspend(() => {
      const waiting = this.waiting
      this.waiting = []
      const tell = Effect.sync(() => {
        for (const resume of waiting) resume()
      })
      if (this.batches.size === 0 || this.crashed || this.isOver) {
        this.fiber = undefined
        return tell
      }
      const batches = [...this.batches.values()]
      this.batches = new Map()
      return Effect.andThen(this.commit(batches), Effect.andThen(tell, Effect.andThen(Effect.yieldNow, next)))
    })
    // What is ready in this turn of the scheduler goes along.
    this.fiber = Effect.runForkWith(this.context)(Effect.andThen(Effect.yieldNow, next))
  }

  /** Ends when all that there is to write now is on disk; what comes after it does not count. */
  get drained(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (this.fiber === undefined || this.crashed || this.isOver) return resume(Effect.void)
      this.waiting.push(() => resume(Effect.void))
    })
  }

  /** Nothing more is written: what is not on disk by now is not told to anybody, as after a crash. */
  get ended(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { fiber } = this
      this.isOver = true
      this.batches = new Map()
      return fiber === undefined ? Effect.void : Fiber.interrupt(fiber)
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
    const owners = owner.above === undefined ? [owner] : [owner, owner.above]
    const among = owners.map(() => "?").join(", ")
    return this.sql
      .unsafe<{ id: string; epoch: string }>(
        this.text(`SELECT id, epoch FROM baton_runs WHERE id IN (${among})`),
        owners.map(({ id }) => id)
      )
      .pipe(
        Effect.flatMap((runs) => {
          if (runs.some(({ epoch, id }) => owners.some((owner) => owner.id === id && owner.epoch !== epoch)))
            return Effect.succeed("lost" as const)
          const event = batch.rows.find((row) => row.kind === "event")
          if (event === undefined) return Effect.succeed("refused" as const)
          return Effect.map(
            this.sql.unsafe<{ epoch: string }>(
              this.text(`SELECT epoch FROM baton_events WHERE execution_id = ? AND sequence = ?`),
              [owner.id, event.values[1]]
            ),
            (events) =>
              events.length === 0
                ? ("refused" as const)
                : events[0].epoch === owner.epoch
                  ? ("written" as const)
                  : ("lost" as const)
          )
        }),
        Effect.catchCause(() => Effect.succeed("again" as const)),
        Effect.flatMap((verdict) => {
          if (verdict === "written") return Effect.sync(() => owner.written(batch.rows.length))
          if (verdict === "lost") return Effect.sync(() => owner.lost())
          if (verdict === "refused") {
            batch.refusals = (batch.refusals ?? 0) + 1
            // A database that comes back may take it a little later.
            if (batch.refusals >= maxRefusals) return Effect.sync(() => owner.refused(reasonOf(exit)))
          }
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
      ({ mustChange, params, text }) =>
        mustChange === undefined
          ? Effect.asVoid(this.sql.unsafe(text, params).raw)
          : // Another owner may have the execution (D4).
            Effect.flatMap(this.sql.unsafe(text, params), (rows) =>
              rows.length === mustChange ? Effect.void : Effect.die(new Error("Another process has this execution"))
            ),
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

  private statements(batches: ReadonlyArray<Batch>): ReadonlyArray<Statement> {
    const byKind = new Map<Kind, Array<ReadonlyArray<unknown>>>()
    for (const { rows } of batches) {
      // They are written together or not at all, so asking about one of them is enough.
      let asked = 0
      for (const { kind, values } of rows) {
        const row = kind === "event" ? [...values, asked++ === 0 ? 1 : 0] : values
        const rows = byKind.get(kind)
        if (rows === undefined) byKind.set(kind, [row])
        else rows.push(row)
      }
    }
    const statements: Array<Statement> = []
    const add = (kind: Kind, rows: ReadonlyArray<ReadonlyArray<unknown>>, text: (rows: number) => string) => {
      for (const some of inSizes(rows)) {
        const mustChange = kind === "settled" ? { mustChange: some.length } : {}
        statements.push({ text: text(some.length), params: some.flat(), ...mustChange })
      }
    }
    for (const kind of order) add(kind, byKind.get(kind) ?? [], (rows) => this.insert(kind, rows))
    for (const kind of Object.keys(updates) as Array<Kind>) {
      const update = updates[kind]!
      const rows = byKind.get(kind)
      if (rows === undefined) continue
      const last = new Map(rows.map((values) => [JSON.stringify(update.key.map((i) => values[i])), values]))
      add(kind, [...last.values()], (rows) => this.update(kind, update, rows))
    }
    return statements
  }

  private update(kind: Kind, { key: [id], set, table, types, where }: Update, rows: number): string {
    const key = `${kind} ${rows}`
    const known = this.texts.get(key)
    if (known !== undefined) return known
    const returning = kind === "settled" ? " RETURNING id" : ""
    const what = typeof set === "string" ? set : set(this.isPg)
    const text = this.text(
      `UPDATE ${table} SET ${what} FROM ${valuesOf(types, rows)} WHERE ${where} AND ${isOne(id + 1)}${returning}`
    )
    this.texts.set(key, text)
    return text
  }

  private insert(kind: Kind, rows: number): string {
    const key = `${kind} ${rows}`
    const known = this.texts.get(key)
    if (known !== undefined) return known
    const { after = "", fence, into, more = [], types } = inserts[kind]!
    const columns = types.map((_, i) => `v.column${i + 1}`)
    if (fence !== undefined) {
      const { asks, column, epoch, id } = fence
      const owned = ifOwned(this.isPg, `v.column${column}`, `v.column${id}`, `v.column${epoch}`)
      columns[column - 1] =
        asks === undefined ? owned : `CASE WHEN v.column${asks} = 1 THEN ${owned} ELSE v.column${column} END`
    }
    // SQLite wants a condition before ON CONFLICT.
    const text = this.text(
      `INSERT INTO ${into} SELECT ${columns.join(", ")} FROM ${valuesOf([...types, ...more], rows)} WHERE true ${after}`
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
