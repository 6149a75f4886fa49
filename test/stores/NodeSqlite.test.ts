import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Schema, type Scope, String as Str, Stream, Tracer } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import * as NodeSqlite from "../../src/stores/NodeSqlite.ts"

const memory = NodeSqlite.layer({ filename: ":memory:" })

const file = Effect.acquireRelease(
  Effect.sync(() => join(mkdtempSync(join(tmpdir(), "baton-sqlite-")), "test.db")),
  (path) => Effect.sync(() => rmSync(join(path, ".."), { recursive: true, force: true }))
)

/** Another connection, as another process would have one. */
const connect = (config: NodeSqlite.Config): Effect.Effect<SqlClient.SqlClient, SqlError.SqlError, Scope.Scope> =>
  Effect.provide(NodeSqlite.make(config), Reactivity.layer)

const keyValue = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE kv (key INTEGER PRIMARY KEY, value INTEGER)`
  return sql
})

const contents = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ key: number; value: number }>`SELECT key, value FROM kv ORDER BY key`, (rows) =>
    rows.map((row) => [row.key, row.value] as const)
  )

describe("NodeSqlite values", () => {
  it.effect("S4 integers beyond 2^53 come back as bigints and the others as numbers", () =>
    Effect.gen(function* () {
      const sql = yield* keyValue
      const snowflake = 2n ** 62n + 1n
      yield* sql`INSERT INTO kv ${sql.insert([
        { key: snowflake, value: 2 ** 53 - 1 },
        { key: -snowflake, value: -(2 ** 53 - 1) },
        { key: 7, value: 2n ** 53n }
      ])}`
      assert.deepStrictEqual(yield* contents(sql), [
        [-snowflake, -(2 ** 53 - 1)],
        [7, 2n ** 53n],
        [snowflake, 2 ** 53 - 1]
      ] as unknown as Array<readonly [number, number]>)
      assert.deepStrictEqual(yield* sql`SELECT value FROM kv WHERE key = ${snowflake}`.values, [[2 ** 53 - 1]])
      assert.deepStrictEqual(
        yield* sql`SELECT value FROM kv WHERE key = ${snowflake}`.pipe(
          Effect.provideService(SqlClient.SafeIntegers, true)
        ),
        [{ value: 2n ** 53n - 1n }]
      )
      const beyond = yield* Effect.flip(sql`INSERT INTO kv VALUES (1, ${2n ** 63n})`)
      assert.match(beyond.message, /BigInt value is too large/)
    }).pipe(Effect.provide(memory))
  )

  it.effect("booleans, dates, bytes, null and undefined are stored as SQLite stores them", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const bytes = new Uint8Array([0, 1, 255])
      const [row] = yield* sql<Record<string, unknown>>`SELECT
        ${true} AS yes, ${false} AS no, ${new Date(0)} AS date, ${bytes} AS bytes, ${bytes.buffer} AS buffer,
        ${null} AS none, ${undefined} AS missing, ${"naïve"} AS text, ${0.5} AS real, ${""} AS empty`
      assert.deepStrictEqual(row, {
        yes: 1,
        no: 0,
        date: "1970-01-01T00:00:00.000Z",
        bytes,
        buffer: bytes,
        none: null,
        missing: null,
        text: "naïve",
        real: 0.5,
        empty: ""
      })
    }).pipe(Effect.provide(memory))
  )

  it.effect("a row is an ordinary object", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const [row] = yield* sql`SELECT 1 AS one`
      assert.strictEqual(Object.getPrototypeOf(row), Object.prototype)
    }).pipe(Effect.provide(memory))
  )

  it.effect("a value SQLite cannot store is a typed error that names the parameter", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      // In the first place `node:sqlite` itself would read it as a set of named parameters.
      const error = yield* Effect.flip(sql.unsafe("SELECT ?1 AS a, ?2 AS b", [{ a: 1 }, 2]))
      assert.strictEqual(error._tag, "SqlError")
      assert.match(error.message, /Parameter 1 is an object.*JSON\.stringify/)
    }).pipe(Effect.provide(memory))
  )

  it.effect("raw gives changes and the row id of a write, and the rows of a read", () =>
    Effect.gen(function* () {
      const sql = yield* keyValue
      assert.deepStrictEqual(yield* sql`INSERT INTO kv VALUES (1, 1), (${2n ** 60n}, 2)`.raw, {
        changes: 2,
        lastInsertRowid: 2n ** 60n
      })
      assert.deepStrictEqual(yield* sql`SELECT value FROM kv WHERE key = 1`.raw, [{ value: 1 }])
      assert.deepStrictEqual(yield* sql`INSERT INTO kv VALUES (3, 3) RETURNING key`, [{ key: 3 }])
    }).pipe(Effect.provide(memory))
  )

  it.effect("names are transformed both ways, and not without transforms", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE ${sql("runSteps")} (step_name TEXT)`
      yield* sql`INSERT INTO ${sql("runSteps")} ${sql.insert({ stepName: "plan" })}`
      assert.deepStrictEqual(yield* sql`SELECT * FROM run_steps`, [{ stepName: "plan" }])
      const plain = sql.withoutTransforms()
      assert.deepStrictEqual(yield* plain.withTransaction(plain`SELECT * FROM run_steps`), [{ step_name: "plan" }])
    }).pipe(
      Effect.provide(
        NodeSqlite.layer({
          filename: ":memory:",
          transformQueryNames: Str.camelToSnake,
          transformResultNames: Str.snakeToCamel
        })
      )
    )
  )

  it.effect("a stream gives every row in order and gives the connection back when it is left early", () =>
    Effect.gen(function* () {
      const sql = yield* keyValue
      yield* sql`INSERT INTO kv WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        SELECT i, i * ${2n ** 50n} FROM n`
      const rows = yield* Stream.runCollect(sql<{ key: number }>`SELECT * FROM kv ORDER BY key`.stream)
      assert.deepStrictEqual(
        rows.map((row) => row.key),
        Array.from({ length: 1000 }, (_, index) => index + 1)
      )
      const two = yield* sql`SELECT value FROM kv ORDER BY key DESC`.stream.pipe(Stream.take(2), Stream.runCollect)
      assert.deepStrictEqual(two, [{ value: 1000n * 2n ** 50n }, { value: 999n * 2n ** 50n }])
      // A read still open would refuse this.
      yield* sql`DROP TABLE kv`
      const error = yield* Effect.flip(Stream.runDrain(sql`SELECT * FROM nowhere`.stream))
      assert.match(error.message, /no such table: nowhere/)
    }).pipe(Effect.provide(memory))
  )

  it.effect("a stream in a transaction is not disturbed by the same statement run for each of its rows", () =>
    Effect.gen(function* () {
      const sql = yield* keyValue
      yield* sql`INSERT INTO kv WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        SELECT i, i FROM n`
      const rows = sql<{ key: number }>`SELECT key FROM kv ORDER BY key`
      const seen = yield* rows.stream.pipe(
        Stream.mapEffect((row) => Effect.as(rows, row.key)),
        Stream.runCollect,
        sql.withTransaction
      )
      assert.deepStrictEqual(
        seen,
        Array.from({ length: 300 }, (_, index) => index + 1)
      )
    }).pipe(Effect.provide(memory))
  )
})

describe("NodeSqlite errors", () => {
  it.effect("a duplicate of a primary key and of a unique column are both unique violations", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT UNIQUE, size INTEGER CHECK (size > 0))`
      yield* sql`INSERT INTO t VALUES ('a', 'x', 1)`
      const reason = (statement: Effect.Effect<unknown, SqlError.SqlError>) =>
        Effect.map(Effect.flip(statement), (error) => error.reason)
      const key = yield* reason(sql`INSERT INTO t VALUES ('a', 'y', 1)`)
      const unique = yield* reason(sql`INSERT INTO t VALUES ('b', 'x', 1)`)
      const check = yield* reason(sql`INSERT INTO t VALUES ('b', 'y', 0)`)
      assert(key._tag === "UniqueViolation" && unique._tag === "UniqueViolation")
      assert.deepStrictEqual([key.constraint, unique.constraint], ["t.id", "t.name"])
      assert.strictEqual(check._tag, "ConstraintError")
    }).pipe(Effect.provide(memory))
  )

  it.effect("text with two statements fails and runs neither", () =>
    Effect.gen(function* () {
      const sql = yield* keyValue
      const error = yield* Effect.flip(sql.unsafe("INSERT INTO kv VALUES (1, 1); INSERT INTO kv VALUES (2, 2)"))
      assert.match(error.message, /more than one statement/)
      assert.deepStrictEqual(yield* contents(sql), [])
      yield* sql.unsafe("INSERT INTO kv VALUES (3, 3) ; -- the end; really\n /* ; */ ")
      assert.deepStrictEqual(yield* contents(sql), [[3, 3]])
    }).pipe(Effect.provide(memory))
  )

  it.effect("a file that cannot be opened is a typed error that names it", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(connect({ filename: "/nowhere/at/all.db" })))
      assert.strictEqual(error.reason._tag, "ConnectionError")
      assert.match(error.message, /"\/nowhere\/at\/all\.db"/)
    })
  )
})

describe("NodeSqlite settings", () => {
  it.effect("the file is in WAL mode, synchronous as asked, and folded together when the scope ends", () =>
    Effect.gen(function* () {
      const filename = yield* file
      for (const [synchronous, expected] of [
        ["off", 0],
        ["normal", 1],
        ["full", 2],
        [undefined, 1]
      ] as const) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const sql = yield* connect({ filename, synchronous })
            assert.deepStrictEqual(yield* sql`PRAGMA synchronous`, [{ synchronous: expected }])
            assert.deepStrictEqual(yield* sql`PRAGMA journal_mode`, [{ journal_mode: "wal" }])
            yield* sql`CREATE TABLE IF NOT EXISTS t (a)`
            yield* sql`INSERT INTO t VALUES (1)`
            assert.isTrue(existsSync(`${filename}-wal`))
          })
        )
        assert.isFalse(existsSync(`${filename}-wal`))
      }
      const sql = yield* connect({ filename })
      assert.deepStrictEqual(yield* sql`SELECT count(*) AS n FROM t`, [{ n: 4 }])
    })
  )

  it.effect("spans carry the system and what was asked for", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span(options) {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql.withTransaction(sql`SELECT 1`)
      }).pipe(
        Effect.provide(NodeSqlite.layer({ filename: ":memory:", spanAttributes: { "service.part": "journal" } })),
        Effect.provideService(Tracer.Tracer, tracer)
      )
      assert.deepStrictEqual(
        spans.map((span) => span.name),
        ["sql.transaction", "sqlite"]
      )
      for (const { attributes } of spans) {
        assert.strictEqual(attributes.get("db.system.name"), "sqlite")
        assert.strictEqual(attributes.get("service.part"), "journal")
      }
    })
  )

  it.effect("the statements used last stay prepared, up to the bound", () =>
    Effect.gen(function* () {
      const prepared: Array<string> = []
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const original = DatabaseSync.prototype.prepare
          DatabaseSync.prototype.prepare = function (sql) {
            prepared.push(sql)
            return original.call(this, sql)
          }
          return original
        }),
        (original) => Effect.sync(() => (DatabaseSync.prototype.prepare = original))
      )
      const sql = yield* connect({ filename: ":memory:", cacheStatements: 2 })
      prepared.length = 0
      for (const text of ["SELECT 1", "SELECT 2", "SELECT 1", "SELECT 3", "SELECT 1", "SELECT 2"]) {
        yield* sql.unsafe(text)
      }
      assert.deepStrictEqual(prepared, ["SELECT 1", "SELECT 2", "SELECT 3", "SELECT 2"])
    })
  )

  it.effect("a prepared statement follows a column that another connection renames and adds", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const sql = yield* connect({ filename })
      const other = yield* connect({ filename })
      yield* sql`CREATE TABLE t (a, b)`
      yield* sql`INSERT INTO t VALUES (1, 2)`
      assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [{ a: 1, b: 2 }])
      yield* other`ALTER TABLE t RENAME COLUMN b TO c`
      assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [{ a: 1, c: 2 }])
      yield* other`ALTER TABLE t ADD COLUMN d DEFAULT 3`
      assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [{ a: 1, c: 2, d: 3 }])
    })
  )
})

describe("NodeSqlite transactions", () => {
  it.effect("S1 no fiber sees or joins the open transaction of another", () =>
    Effect.gen(function* () {
      const sql = yield* keyValue
      yield* sql`INSERT INTO kv VALUES (0, 1000), (1, 0)`
      const move = sql.withTransaction(
        Effect.gen(function* () {
          const [row] = yield* sql<{ value: number }>`SELECT value FROM kv WHERE key = 0`
          yield* Effect.yieldNow
          yield* sql`UPDATE kv SET value = ${row!.value - 1} WHERE key = 0`
          yield* Effect.yieldNow
          yield* sql`UPDATE kv SET value = value + 1 WHERE key = 1`
        })
      )
      const look = Effect.gen(function* () {
        yield* Effect.yieldNow
        return (yield* sql<{ total: number }>`SELECT sum(value) AS total FROM kv`)[0]!.total
      })
      const [, totals] = yield* Effect.all(
        [
          Effect.all(
            Array.from({ length: 100 }, () => move),
            { concurrency: "unbounded", discard: true }
          ),
          Effect.all(
            Array.from({ length: 100 }, () => look),
            { concurrency: 10 }
          )
        ],
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(new Set(totals), new Set([1000]))
      assert.deepStrictEqual(yield* contents(sql), [
        [0, 900],
        [1, 100]
      ])
    }).pipe(Effect.provide(memory))
  )

  it.effect("S1 a fiber that outlives its transaction cannot write into the next one", () =>
    Effect.gen(function* () {
      const sql = yield* keyValue
      const go = yield* Deferred.make<void>()
      const late = yield* sql.withTransaction(
        Deferred.await(go).pipe(Effect.andThen(sql`INSERT INTO kv VALUES (1, 1)`), Effect.forkDetach)
      )
      const error = yield* sql.withTransaction(
        Effect.andThen(Deferred.succeed(go, undefined), Effect.flip(Fiber.join(late)))
      )
      assert.match(error.message, /outlives its transaction/)
      assert.deepStrictEqual(yield* contents(sql), [])
    }).pipe(Effect.provide(memory))
  )

  it.effect("S1 what follows in a transaction that SQLite itself rolled back is not written on its own", () =>
    Effect.gen(function* () {
      const sql = yield* keyValue
      const error = yield* Effect.flip(
        sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`INSERT INTO kv VALUES (1, 1)`
            yield* Effect.ignore(sql`INSERT OR ROLLBACK INTO kv VALUES (1, 2)`)
            yield* sql`INSERT INTO kv VALUES (2, 2)`
          })
        )
      )
      assert.match(error.message, /rolled it back/)
      assert.deepStrictEqual(yield* contents(sql), [])
      yield* sql.withTransaction(sql`INSERT INTO kv VALUES (3, 3)`)
      assert.deepStrictEqual(yield* contents(sql), [[3, 3]])
    }).pipe(Effect.provide(memory))
  )

  it.effect("S2 a commit that SQLite refuses leaves nothing and the connection usable", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE parent (id INTEGER PRIMARY KEY)`
      yield* sql`CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)`
      const error = yield* Effect.flip(sql.withTransaction(sql`INSERT INTO child VALUES (1)`))
      assert.strictEqual(error.reason._tag, "ConstraintError")
      yield* sql.withTransaction(sql`INSERT INTO parent VALUES (2)`)
      assert.deepStrictEqual(yield* sql`SELECT (SELECT count(*) FROM child) AS c, (SELECT count(*) FROM parent) AS p`, [
        { c: 0, p: 1 }
      ])
    }).pipe(Effect.provide(memory))
  )

  it.effect("S2 a transaction whose scope is closed under it fails and leaves nothing", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const opened = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const fiber = yield* Effect.scoped(
        Effect.gen(function* () {
          const sql = yield* connect({ filename })
          yield* sql`CREATE TABLE kv (key INTEGER PRIMARY KEY, value INTEGER)`
          const fiber = yield* sql`INSERT INTO kv VALUES (1, 1)`.pipe(
            Effect.andThen(Deferred.succeed(opened, undefined)),
            Effect.andThen(Deferred.await(go)),
            Effect.andThen(sql`INSERT INTO kv VALUES (2, 2)`),
            sql.withTransaction,
            Effect.flip,
            Effect.forkDetach
          )
          yield* Deferred.await(opened)
          return fiber
        })
      )
      yield* Deferred.succeed(go, undefined)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "SqlError")
      assert.deepStrictEqual(yield* contents(yield* connect({ filename })), [])
    })
  )

  type Ending = "succeed" | "fail" | "die" | "interrupt" | "interrupted" | "raced"
  type Op =
    | { readonly op: "put" | "insert" | "remove"; readonly key: number; readonly value: number }
    | { readonly op: "transaction"; readonly ops: ReadonlyArray<Op>; readonly ending: Ending; readonly yields: number }

  const Key = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 }))
  const Write = Schema.Struct({
    op: Schema.Literals(["put", "insert", "remove"]),
    key: Key,
    value: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 99 }))
  })
  const transactionOf = <S extends Schema.Top>(op: S) =>
    Schema.Struct({
      op: Schema.Literal("transaction"),
      ops: Schema.Array(op).check(Schema.isMaxLength(4)),
      ending: Schema.Literals(["succeed", "succeed", "fail", "die", "interrupt", "interrupted", "raced"]),
      yields: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))
    })
  const Inner = Schema.Union([Write, transactionOf(Write)])
  const Middle = Schema.Union([Write, transactionOf(Inner)])
  const Program = Schema.Array(Schema.Union([Write, transactionOf(Middle)])).check(Schema.isMaxLength(6))

  /** Runs the operations and keeps `model`, a plain map, as a correct database would be. */
  const interpret = (
    sql: SqlClient.SqlClient,
    ops: ReadonlyArray<Op>,
    model: Map<number, number>
  ): Effect.Effect<void, SqlError.SqlError> =>
    Effect.forEach(
      ops,
      (op) => {
        switch (op.op) {
          case "put":
            return Effect.tap(sql`INSERT OR REPLACE INTO kv VALUES (${op.key}, ${op.value})`, () =>
              Effect.sync(() => model.set(op.key, op.value))
            )
          case "insert":
            return Effect.matchEffect(sql`INSERT INTO kv VALUES (${op.key}, ${op.value})`, {
              onFailure: (error) =>
                Effect.sync(() => {
                  assert.strictEqual(error.reason._tag, "UniqueViolation")
                  assert.isTrue(model.has(op.key))
                }),
              onSuccess: () =>
                Effect.sync(() => {
                  assert.isFalse(model.has(op.key))
                  model.set(op.key, op.value)
                })
            })
          case "remove":
            return Effect.tap(sql`DELETE FROM kv WHERE key = ${op.key}`, () => Effect.sync(() => model.delete(op.key)))
          case "transaction":
            return transaction(sql, op, model)
        }
      },
      { discard: true }
    )

  const transaction = Effect.fnUntraced(function* (
    sql: SqlClient.SqlClient,
    op: Extract<Op, { readonly op: "transaction" }>,
    model: Map<number, number>
  ) {
    const inner = new Map(model)
    const ready = yield* Deferred.make<void>()
    const ends: Record<Ending, Effect.Effect<void, string>> = {
      succeed: Effect.void,
      fail: Effect.fail("refused"),
      die: Effect.die("broken"),
      interrupt: Effect.interrupt,
      interrupted: Effect.andThen(Deferred.succeed(ready, undefined), Effect.never),
      raced: Effect.void
    }
    const body = Effect.forEach(op.ops, (next) => Effect.andThen(Effect.yieldNow, interpret(sql, [next], inner)), {
      discard: true
    }).pipe(Effect.andThen(ends[op.ending]), sql.withTransaction)
    const fiber = yield* Effect.forkChild(body)
    if (op.ending === "interrupted") {
      yield* Deferred.await(ready)
      yield* Fiber.interrupt(fiber)
    }
    if (op.ending === "raced") {
      for (let index = 0; index < op.yields; index++) yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
    }
    const exit = yield* Fiber.await(fiber)
    // Whether a raced transaction won is for its exit to say; what it left must agree with that.
    if (op.ending !== "raced") {
      assert.strictEqual(Exit.isSuccess(exit), op.ending === "succeed")
    } else if (Exit.isFailure(exit)) assert.isTrue(Cause.hasInterruptsOnly(exit.cause))
    if (Exit.isSuccess(exit)) {
      model.clear()
      for (const [key, value] of inner) model.set(key, value)
    }
  })

  it.effect.prop(
    "S2 random nested transactions that fail, die and are interrupted leave what a plain map would hold",
    { program: Program },
    ({ program }) =>
      Effect.gen(function* () {
        const sql = yield* keyValue
        const model = new Map<number, number>()
        yield* interpret(sql, program, model)
        const expected = [...model].sort(([a], [b]) => a - b)
        assert.deepStrictEqual(yield* contents(sql), expected)
        assert.deepStrictEqual(yield* sql.withTransaction(contents(sql)), expected)
      }).pipe(Effect.provide(memory)),
    { arbitrary: { runs: 200 }, timeout: 30_000 }
  )
})

describe("NodeSqlite lock of another connection", () => {
  const setup = Effect.fnUntraced(function* (busyTimeout: NodeSqlite.Config["busyTimeout"]) {
    const filename = yield* file
    const holder = yield* connect({ filename })
    yield* holder`CREATE TABLE kv (key INTEGER PRIMARY KEY, value INTEGER)`
    const waiter = yield* connect({ filename, busyTimeout })
    const locked = yield* Deferred.make<void>()
    const release = yield* Deferred.make<void>()
    const fiber = yield* holder`INSERT INTO kv VALUES (1, 1)`.pipe(
      Effect.andThen(Deferred.succeed(locked, undefined)),
      Effect.andThen(Deferred.await(release)),
      holder.withTransaction,
      Effect.forkChild
    )
    yield* Deferred.await(locked)
    return { holder, waiter, unlock: Effect.andThen(Deferred.succeed(release, undefined), Fiber.join(fiber)) }
  })

  const milliseconds = (count: number) => TestClock.withLive(Effect.sleep(count))

  it.effect("S3 a write and a transaction wait for it without holding the event loop, under a TestClock too", () =>
    Effect.gen(function* () {
      const { holder, unlock, waiter } = yield* setup("20 seconds")
      const writes = yield* Effect.forkChild(
        Effect.andThen(
          waiter`INSERT INTO kv VALUES (2, 2)`,
          waiter.withTransaction(waiter`INSERT INTO kv VALUES (3, 3)`)
        )
      )
      // Only this loop ends the wait: were the thread held, no turn would come before the busyTimeout.
      for (let turn = 0; turn < 20; turn++) yield* milliseconds(1)
      yield* unlock
      yield* Fiber.join(writes)
      assert.deepStrictEqual(yield* contents(holder), [
        [1, 1],
        [2, 2],
        [3, 3]
      ])
    })
  )

  it.effect("S3 past the busyTimeout the statement fails, says why, and can be tried again", () =>
    Effect.gen(function* () {
      const { unlock, waiter } = yield* setup("30 millis")
      const error = yield* Effect.flip(waiter.withTransaction(waiter`INSERT INTO kv VALUES (2, 2)`))
      assert.strictEqual(error.reason._tag, "LockTimeoutError")
      assert.isTrue(error.isRetryable)
      assert.match(error.message, /longer than busyTimeout/)
      assert.deepStrictEqual(yield* contents(waiter), [])
      yield* unlock
      yield* waiter`INSERT INTO kv VALUES (2, 2)`
      assert.deepStrictEqual(yield* contents(waiter), [
        [1, 1],
        [2, 2]
      ])
    })
  )

  it.effect("S3 a deferred transaction that read an outdated snapshot fails at once: waiting cannot help it", () =>
    Effect.gen(function* () {
      const { holder, unlock, waiter } = yield* setup("20 seconds")
      const error = yield* Effect.gen(function* () {
        yield* waiter`SELECT * FROM kv`
        yield* unlock
        yield* waiter`INSERT INTO kv VALUES (2, 2)`
      }).pipe(waiter.withTransaction, Effect.provideService(SqlClient.BeginTransaction, "BEGIN DEFERRED"), Effect.flip)
      assert.strictEqual(error.reason._tag, "LockTimeoutError")
      assert.deepStrictEqual(yield* contents(holder), [[1, 1]])
    })
  )

  it.effect("S2 a transaction that waits for it is interrupted at once, unless its caller may not be", () =>
    Effect.gen(function* () {
      const { holder, unlock, waiter } = yield* setup("20 seconds")
      const insert = (key: number) => waiter.withTransaction(waiter`INSERT INTO kv VALUES (${key}, 0)`)
      const interruptible = yield* Effect.forkChild(insert(2))
      yield* milliseconds(10)
      yield* Fiber.interrupt(interruptible)
      const uninterruptible = yield* Effect.forkChild(Effect.uninterruptible(insert(3)))
      yield* milliseconds(10)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(uninterruptible))
      yield* milliseconds(10)
      assert.isUndefined(uninterruptible.pollUnsafe())
      yield* unlock
      yield* Fiber.await(interrupting)
      assert.deepStrictEqual(yield* contents(holder), [
        [1, 1],
        [3, 0]
      ])
      yield* insert(4)
    })
  )
})
