/**
 * A `SqlClient` over Node's own `node:sqlite`: no native addon, no install step.
 *
 * **Details**
 *
 * No release of `@effect/sql-sqlite-node` loads on effect 4.1. This module has the same options, driver name and errors
 * for what Baton uses of it, imports nothing of Baton, and goes away on the day that package has a 4.1.
 *
 * What holds, each guarded by a test that carries its number:
 *
 * - `S1` one connection: a statement of another fiber never runs inside an open transaction, and a statement of a
 *   transaction never runs outside of it, also when its fiber outlives it or SQLite ended it early.
 * - `S2` a transaction that fails or is interrupted at any point leaves no trace, and the connection is usable after.
 * - `S3` several processes write to one file without losing a write; who waits for a lock does not hold the event loop.
 * - `S4` an integer is read back exactly: a number up to 2^53 - 1, a bigint beyond, also as a primary key.
 */

import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import * as Pull from "effect/Pull"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import * as SqlError from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"

/**
 * Where the database is and how it is used.
 */
export interface Config {
  /** A path, or `":memory:"`. The folder must exist; the file is created. */
  readonly filename: string
  /**
   * What a commit waits for; default `"normal"`. See the Details of {@link layer} for what each costs and risks.
   */
  readonly synchronous?: "off" | "normal" | "full" | undefined
  /** How long a statement waits for the lock of another process before it fails; default 5 seconds. */
  readonly busyTimeout?: Duration.Input | undefined
  /** How many prepared statements are kept, least recently used first out; default 256, 0 keeps none. */
  readonly cacheStatements?: number | undefined
  /** Added to every span; default none besides `db.system.name`. */
  readonly spanAttributes?: Record<string, unknown> | undefined
  /** Applied to the names of columns read, as in `snake_case` to `camelCase`; default none. */
  readonly transformResultNames?: ((name: string) => string) | undefined
  /** Applied to identifiers written with `sql("name")`, as in `camelCase` to `snake_case`; default none. */
  readonly transformQueryNames?: ((name: string) => string) | undefined
}

/**
 * Opens a database and makes a `SqlClient` of it; the scope closes it.
 *
 * **Details**
 *
 * See {@link layer}. Needs `Reactivity`, so that several clients can share one.
 *
 * **Gotchas**
 *
 * Closing does not wait: a transaction still open in another fiber is rolled back. The last connection to close a file
 * folds its write-ahead log into it.
 *
 * **Example** (A client for as long as a scope)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Reactivity } from "effect/reactivity"
 * import * as NodeSqlite from "effect-baton/stores/NodeSqlite"
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* NodeSqlite.make({ filename: ":memory:" })
 *   return yield* sql`SELECT 1 + 1 AS two`
 * }).pipe(Effect.scoped, Effect.provide(Reactivity.layer))
 *
 * await Effect.runPromise(program) // => [{ two: 2 }]
 * ```
 */
export const make = Effect.fnUntraced(function* (
  config: Config
): Effect.fn.Return<SqlClient.SqlClient, SqlError.SqlError, Scope.Scope | Reactivity.Reactivity> {
  const db = yield* open(config.filename)
  const isTransaction = () => db.isOpen && db.isTransaction
  const retryBusy = makeRetryBusy(config, isTransaction)
  const session: Session = { db, statement: makeStatementCache(db, config.cacheStatements ?? 256), retryBusy }

  const shared = makeConnection(session, () => {})
  yield* shared.executeUnprepared("PRAGMA journal_mode = WAL", [], undefined)
  yield* shared.executeUnprepared(`PRAGMA synchronous = ${config.synchronous ?? "normal"}`, [], undefined)

  const acquirers = SqlClient.makeSqliteAcquirers({
    connection: Effect.succeed(shared),
    semaphore: yield* Semaphore.make(1),
    isTransaction
  })
  const spanAttributes: ReadonlyArray<readonly [string, unknown]> = [
    ...Object.entries(config.spanAttributes ?? {}),
    ["db.system.name", "sqlite"]
  ]
  const client = yield* SqlClient.make({
    ...acquirers,
    driver: "sqlite-node",
    compiler: Statement.makeCompilerSqlite(config.transformQueryNames),
    ...(config.transformResultNames === undefined
      ? {}
      : { transformRows: Statement.defaultTransforms(config.transformResultNames).array }),
    spanAttributes
  })

  const unlessEnded = (conn: SqlConnection.Connection, sql: string): Effect.Effect<void, SqlError.SqlError> =>
    isTransaction() ? conn.execute(sql, [], undefined) : Effect.void
  // The client's own `withTransaction` begins where nothing can interrupt it, so that the wait for another process's
  // lock could not be interrupted either: here the wait is restored and only the attempts are not.
  const withTransaction = SqlClient.makeWithTransaction<SqlClient.TransactionConnection, SqlConnection.Connection>({
    transactionService: client.transactionService,
    spanAttributes,
    acquireConnection: Effect.fnUntraced(function* (restore) {
      yield* restore(acquirers.transactionAcquirer)
      const begin = (yield* SqlClient.BeginTransaction) ?? "BEGIN IMMEDIATE"
      let ended = false
      const connection = makeConnection(session, () => {
        if (ended || !isTransaction()) throw new Error(transactionEnded(ended))
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => (ended = true)))
      yield* retryBusy(
        attempt("begin", () => session.statement(begin, true).all()),
        restore
      )
      return connection
    }),
    begin: () => Effect.void,
    commit: (conn) => conn.execute("COMMIT", [], undefined),
    onCommitFailure: acquirers.onCommitFailure,
    rollback: (conn) => unlessEnded(conn, "ROLLBACK"),
    savepoint: (conn, id) => conn.execute(`SAVEPOINT effect_sql_${id}`, [], undefined),
    rollbackSavepoint: (conn, id) => unlessEnded(conn, `ROLLBACK TO SAVEPOINT effect_sql_${id}`),
    releaseSavepoint: (conn, id) => unlessEnded(conn, `RELEASE SAVEPOINT effect_sql_${id}`)
  })
  return Object.assign(client, { withTransaction })
})

/**
 * A `SqlClient` on one SQLite file, or in memory.
 *
 * **Details**
 *
 * The file is in WAL mode: readers of other processes never wait, writers take turns. Transactions begin with
 * `BEGIN IMMEDIATE`, so one that has begun does not meet a lock later. Waiting for another process is a few milliseconds
 * in SQLite, then a sleeping fiber, up to `busyTimeout`, then `SqlError` with reason `LockTimeoutError`. The wait is real
 * time also under a `TestClock`.
 *
 * `synchronous`, and what a commit costs:
 * - `"normal"` (default): written to the log, synced at checkpoints. Survives the process dying in any way, `SIGKILL`
 *   included. A power cut or an operating system crash can lose the newest commits, never damage the file.
 * - `"full"`: one `fsync` each commit. Survives the power cut too, and is slower by what the disk's `fsync` takes:
 *   where it was measured, about a tenth of the single inserts a second; in transactions of 100 no difference showed.
 * - `"off"`: no sync at all. A power cut can damage the file.
 *
 * Values: `boolean` is stored as 0 or 1, `Date` as its ISO text, `undefined` as null, `Uint8Array` as a blob, which comes
 * back as `Uint8Array`; any other object fails. Integers come back as numbers up to 2^53 - 1 and as bigints beyond, or
 * always as bigints under `SqlClient.SafeIntegers`. `sql.raw` gives `{ changes, lastInsertRowid }` for what has no rows.
 *
 * A duplicate key is `SqlError` with reason `UniqueViolation`, for a primary key as for a unique index: SQLite names
 * both "UNIQUE constraint failed". A missing `node:sqlite` (Node before 22.16) is a `ConnectionError` that says so, when
 * the layer is built; importing this module never fails.
 *
 * **Gotchas**
 *
 * - Statements run on the event loop's thread, one at a time: a slow query stops everything else in the process.
 * - Inside `withTransaction` every other fiber's statement waits: do no other waiting there. A stream of rows holds the
 *   connection too, until it ends.
 * - `node:sqlite` binds a number as `REAL`: in a `TEXT` column 1 becomes `"1.0"`. Pass a bigint or a string there.
 *   `INTEGER` columns turn it back.
 * - One statement at a time: text with a second one fails rather than being cut off.
 *
 * **Example** (A table in memory)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SqlClient } from "effect/sql"
 * import * as NodeSqlite from "effect-baton/stores/NodeSqlite"
 *
 * const program = Effect.gen(function* () {
 *   const sql = yield* SqlClient.SqlClient
 *   yield* sql`CREATE TABLE runs (id INTEGER PRIMARY KEY, name TEXT NOT NULL, done INTEGER NOT NULL)`
 *   yield* sql.withTransaction(sql`INSERT INTO runs ${sql.insert({ id: 2n ** 60n, name: "deploy", done: true })}`)
 *   return yield* sql`SELECT * FROM runs`
 * }).pipe(Effect.provide(NodeSqlite.layer({ filename: ":memory:" })))
 *
 * await Effect.runPromise(program) // => [{ id: 1152921504606846976n, name: "deploy", done: 1 }]
 * ```
 */
export const layer = (config: Config): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effect(SqlClient.SqlClient, make(config)).pipe(Layer.provide(Reactivity.layer))

// ---------------------------------------------------------------------------------------------------------------------

/** What every connection object of one database shares. */
interface Session {
  readonly db: DatabaseSync
  readonly statement: (sql: string, cached: boolean) => StatementSync
  readonly retryBusy: RetryBusy
}

type RetryBusy = <A>(
  attempt: Effect.Effect<A, SqlError.SqlError>,
  restore: <B, E, R>(wait: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>
) => Effect.Effect<A, SqlError.SqlError>

/** How long SQLite itself waits for a lock, holding the event loop, before a fiber's sleep takes over. */
const nativeBusyTimeoutMillis = 5

const open = Effect.fnUntraced(function* (filename: string) {
  const { DatabaseSync } = yield* Effect.tryPromise({
    try: () => import("node:sqlite"),
    catch: unavailable
  })
  const db = yield* Effect.acquireRelease(
    Effect.try({
      try: () => new DatabaseSync(filename, { timeout: nativeBusyTimeoutMillis }),
      catch: (cause) => toSqlError(cause, "connect", `Cannot open the SQLite database "${filename}"`)
    }),
    (db) => Effect.sync(() => db.close())
  )
  // `isTransaction` is the newest of what this module needs.
  if (typeof db.isTransaction !== "boolean") return yield* Effect.fail(unavailable(undefined))
  return db
})

const unavailable = (cause: unknown) =>
  new SqlError.SqlError({
    reason: new SqlError.ConnectionError({
      cause,
      operation: "connect",
      message: `node:sqlite is missing or too old in ${globalThis.process?.version ?? "this runtime"}: use Node 22.16 or newer`
    })
  })

/** One way to talk to the database; `guard` throws when this way is closed. */
const makeConnection = (session: Session, guard: () => void): SqlConnection.Connection => {
  const run = <A>(
    sql: string,
    cached: boolean,
    use: (statement: StatementSync, safeIntegers: boolean) => A
  ): Effect.Effect<A, SqlError.SqlError> =>
    Effect.withFiber((fiber) =>
      session.retryBusy(
        attempt("execute", () => {
          guard()
          return use(session.statement(sql, cached), fiber.getRef(SqlClient.SafeIntegers))
        }),
        identity
      )
    )

  const objects = (
    sql: string,
    params: ReadonlyArray<unknown>,
    transformRows: TransformRows | undefined,
    cached: boolean
  ) => {
    const rows = run(sql, cached, (statement, safeIntegers) => all(statement, params, safeIntegers))
    return transformRows === undefined ? rows : Effect.map(rows, transformRows)
  }

  const arrays = (sql: string, params: ReadonlyArray<unknown>, cached: boolean) =>
    run(sql, cached, (statement, safeIntegers) => {
      statement.setReturnArrays(true)
      // With `setReturnArrays` a row is an array, which the types of `node:sqlite` do not follow.
      const rows = statement.all(...params.map(toInput)) as unknown as Array<Array<unknown>>
      return safeIntegers ? rows : rows.map((row) => row.map(narrow))
    })

  return {
    execute: (sql, params, transformRows) => objects(sql, params, transformRows, true),
    executeUnprepared: (sql, params, transformRows) => objects(sql, params, transformRows, false),
    executeValues: (sql, params) => arrays(sql, params, true),
    executeValuesUnprepared: (sql, params) => arrays(sql, params, false),
    executeRaw: (sql, params) =>
      run(sql, true, (statement, safeIntegers) => {
        if (statement.columns().length > 0) return all(statement, params, safeIntegers)
        const { changes, lastInsertRowid } = statement.run(...params.map(toInput))
        return { changes: Number(changes), lastInsertRowid: narrow(lastInsertRowid) }
      }),
    executeStream: (sql, params, transformRows) =>
      Stream.unwrap(
        Effect.gen(function* () {
          const safeIntegers = yield* SqlClient.SafeIntegers
          // Not from the cache: running a statement again ends its iterators.
          const iterator = yield* Effect.acquireRelease(
            run(sql, false, (statement) => statement.iterate(...params.map(toInput))),
            (iterator) => Effect.sync(() => session.db.isOpen && iterator.return?.())
          )
          const chunk = attempt("stream", () => {
            guard()
            const rows: Array<Row> = []
            while (rows.length < streamChunkSize) {
              const next = iterator.next()
              if (next.done) break
              rows.push(toRow(next.value, safeIntegers))
            }
            return transformRows === undefined ? rows : transformRows(rows)
          })
          return Stream.fromPull(
            Effect.succeed(
              Effect.flatMap(chunk, (rows) => (isNonEmpty(rows) ? Effect.succeed(rows) : Cause.done<void>()))
            )
          )
        })
      )
  }
}

type Row = Record<string, unknown>
type TransformRows = NonNullable<Parameters<SqlConnection.Connection["execute"]>[2]>

const streamChunkSize = 128

const isNonEmpty = <A>(rows: ReadonlyArray<A>): rows is readonly [A, ...Array<A>] => rows.length > 0

const all = (statement: StatementSync, params: ReadonlyArray<unknown>, safeIntegers: boolean): Array<Row> => {
  statement.setReturnArrays(false)
  return statement.all(...params.map(toInput)).map((row) => toRow(row, safeIntegers))
}

/** A copy with the usual prototype, which rows of `node:sqlite` do not have. */
const toRow = (row: Row, safeIntegers: boolean): Row => {
  const copy: Row = {}
  for (const column in row) copy[column] = safeIntegers ? row[column] : narrow(row[column])
  return copy
}

const narrow = (value: unknown): unknown =>
  typeof value === "bigint" && value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
    ? Number(value)
    : value

const toInput = (value: unknown, index: number): SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return value
    case "boolean":
      return value ? 1 : 0
    case "undefined":
      return null
  }
  if (value === null || ArrayBuffer.isView(value)) return value as SQLInputValue
  if (value instanceof Date) return value.toISOString()
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  // `node:sqlite` would take a plain object in the first place for a set of named parameters.
  throw new TypeError(
    `Parameter ${index + 1} is ${typeof value === "object" ? "an object" : `a ${typeof value}`}, which SQLite cannot store: ` +
      "pass a string, number, bigint, boolean, Date, Uint8Array or null, for instance JSON.stringify of it"
  )
}

const makeStatementCache = (db: DatabaseSync, capacity: number): Session["statement"] => {
  const cache = new Map<string, StatementSync>()
  const prepare = (sql: string) => {
    const statement = db.prepare(sql)
    // SQLite stops at the first statement and says nothing of the rest.
    if (sql.slice(statement.sourceSQL.length).replace(blank, "") !== "") {
      throw new Error("the text holds more than one statement: run them one by one")
    }
    // Always: `run()` and reads throw on integers beyond 2^53 otherwise, and after the statement took effect.
    statement.setReadBigInts(true)
    return statement
  }
  return (sql, cached) => {
    const known = cache.get(sql)
    if (known !== undefined) {
      // A Map keeps the order of insertion: the first key is the least recently used.
      cache.delete(sql)
      cache.set(sql, known)
      return known
    }
    const statement = prepare(sql)
    if (cached && capacity > 0) {
      if (cache.size >= capacity) cache.delete(cache.keys().next().value!)
      cache.set(sql, statement)
    }
    return statement
  }
}

const blank = /[\s;]+|--[^\n]*|\/\*[\s\S]*?\*\//g

const attempt = <A>(operation: string, run: () => A): Effect.Effect<A, SqlError.SqlError> =>
  Effect.try({ try: run, catch: (cause) => toSqlError(cause, operation, `Failed to ${operation}`) })

// The lock is another process's, so virtual time would wait for it forever.
const inRealTime = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

const makeRetryBusy = (config: Config, isTransaction: () => boolean): RetryBusy => {
  const busyTimeout = config.busyTimeout ?? "5 seconds"
  const schedule = Schedule.min([Schedule.exponential("1 millis"), Schedule.spaced("25 millis")]).pipe(
    Schedule.upTo({ duration: busyTimeout })
  )
  // A transaction that read an outdated snapshot can never write: waiting does not help it.
  const isBusy = (error: SqlError.SqlError) => {
    const code = errcode(error.reason.cause)
    return code !== undefined && (code & 0xff) === SQLITE_BUSY && !(code === SQLITE_BUSY_SNAPSHOT && isTransaction())
  }
  return (attempt, restore) =>
    Effect.catchIf(attempt, isBusy, (first) =>
      Effect.flatMap(inRealTime(Schedule.toStepWithSleep(schedule)), (step) => {
        const again = (error: SqlError.SqlError): typeof attempt =>
          restore(inRealTime(step(error))).pipe(
            Pull.catchDone(() => Effect.fail(lockTimeout(error, config.filename))),
            Effect.andThen(Effect.catchIf(attempt, isBusy, again))
          )
        return again(first)
      })
    )
}

const lockTimeout = (error: SqlError.SqlError, filename: string) =>
  new SqlError.SqlError({
    reason: new SqlError.LockTimeoutError({
      cause: error.reason.cause,
      operation: error.reason.operation,
      message: `Another connection held the lock of "${filename}" for longer than busyTimeout: shorten its transactions or raise busyTimeout`
    })
  })

const transactionEnded = (released: boolean) =>
  released
    ? "the transaction of this fiber has ended: a fiber that outlives its transaction must not use its connection"
    : "the transaction is no longer open, SQLite rolled it back after an earlier error: nothing of it was kept"

const SQLITE_BUSY = 5
const SQLITE_BUSY_SNAPSHOT = 517
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555
const SQLITE_CONSTRAINT_ROWID = 2579

const errcode = (cause: unknown): number | undefined =>
  hasProperty(cause, "errcode") && typeof cause.errcode === "number" ? cause.errcode : undefined

const toSqlError = (cause: unknown, operation: string, what: string): SqlError.SqlError => {
  const message = `${what}: ${cause instanceof Error ? cause.message : String(cause)}`
  const code = errcode(cause)
  // `classifySqliteError` reads the code where other drivers leave it.
  if (code !== undefined) Object.assign(cause as object, { errno: code })
  const unique = /^UNIQUE constraint failed: (.+)$/.exec(cause instanceof Error ? cause.message : "")
  return new SqlError.SqlError({
    reason:
      unique !== null && (code === SQLITE_CONSTRAINT_PRIMARYKEY || code === SQLITE_CONSTRAINT_ROWID)
        ? new SqlError.UniqueViolation({ cause, message, operation, constraint: unique[1]! })
        : SqlError.classifySqliteError(cause, { message, operation })
  })
}
