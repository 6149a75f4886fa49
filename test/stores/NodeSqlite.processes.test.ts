import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { SqlClient } from "effect/sql"
import * as NodeSqlite from "../../src/stores/NodeSqlite.ts"

const file = Effect.acquireRelease(
  Effect.sync(() => join(mkdtempSync(join(tmpdir(), "baton-sqlite-")), "test.db")),
  (path) => Effect.sync(() => rmSync(join(path, ".."), { recursive: true, force: true }))
)

const moduleUrl = new URL("../../src/stores/NodeSqlite.ts", import.meta.url).href

/** A second Node process that runs `body` with `sql` on the same file; `print` writes a line to its output. */
const child = (body: string, options: { readonly filename: string; readonly flags?: ReadonlyArray<string> }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const program = `
        import { Effect } from "effect"
        import { SqlClient } from "effect/sql"
        import { writeSync } from "node:fs"
        import * as NodeSqlite from ${JSON.stringify(moduleUrl)}
        const print = (line) => Effect.sync(() => writeSync(1, line + "\\n"))
        ${writer.toString()}
        await Effect.runPromise(Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          ${body}
        }).pipe(Effect.provide(NodeSqlite.layer({ filename: ${JSON.stringify(options.filename)}, busyTimeout: "20 seconds" }))))`
      return spawn(process.execPath, [...(options.flags ?? []), "--input-type=module", "--eval", program], {
        cwd: join(import.meta.dirname, "../.."),
        stdio: ["ignore", "pipe", "pipe"]
      })
    }),
    (process) => Effect.sync(() => process.kill("SIGKILL"))
  )

const text = (stream: NodeJS.ReadableStream) =>
  Stream.fromAsyncIterable(stream as AsyncIterable<Buffer>, (cause) => cause).pipe(
    Stream.map(String),
    Stream.mkString,
    Effect.orDie
  )

const finished = (process: ChildProcess) =>
  Effect.all([Effect.promise(() => once(process, "close")), text(process.stdout!), text(process.stderr!)], {
    concurrency: "unbounded"
  }).pipe(Effect.map(([[code], out, err]) => ({ code: code as number | null, out, err })))

/** Writes `count` rows of its own and adds `count` to one shared counter that it reads first. */
function writer(Eff: typeof Effect, sql: SqlClient.SqlClient, name: string, count: number) {
  return Eff.gen(function* () {
    yield* sql`CREATE TABLE IF NOT EXISTS rows (name TEXT, n INTEGER)`
    yield* sql`CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, n INTEGER)`
    yield* sql`INSERT OR IGNORE INTO counter VALUES (1, 0)`
    for (let n = 0; n < count; n++) {
      yield* sql`INSERT INTO rows VALUES (${name}, ${n})`
      yield* sql.withTransaction(
        Eff.gen(function* () {
          const [row] = yield* sql<{ n: number }>`SELECT n FROM counter WHERE id = 1`
          yield* Eff.yieldNow
          yield* sql`UPDATE counter SET n = ${row!.n + 1} WHERE id = 1`
        })
      )
    }
  })
}

describe("NodeSqlite and other processes", () => {
  it.live("S3 three processes that write to one new file at once lose no write and none fails", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const body = (name: string) => `yield* writer(Effect, sql, ${JSON.stringify(name)}, 150)`
      const others = yield* Effect.all([child(body("b"), { filename }), child(body("c"), { filename })])
      const ends = yield* Effect.forkChild(Effect.all(others.map(finished), { concurrency: "unbounded" }))
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* writer(Effect, sql, "a", 150)
        for (const end of yield* Fiber.join(ends)) {
          assert.deepStrictEqual(end, { code: 0, out: "", err: "" })
        }
        assert.deepStrictEqual(
          yield* sql`SELECT name, count(DISTINCT n) AS written FROM rows GROUP BY name ORDER BY name`,
          ["a", "b", "c"].map((name) => ({ name, written: 150 }))
        )
        assert.deepStrictEqual(yield* sql`SELECT n FROM counter`, [{ n: 450 }])
      }).pipe(Effect.provide(NodeSqlite.layer({ filename, busyTimeout: "20 seconds" })))
    })
  )

  it.live("S3 a process killed inside a transaction leaves what it committed before, and no lock", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const other = yield* child(
        `yield* sql\`CREATE TABLE t (a)\`
         yield* sql\`INSERT INTO t VALUES ('committed')\`
         yield* sql.withTransaction(Effect.gen(function*() {
           yield* sql\`INSERT INTO t VALUES ('open')\`
           yield* print("open")
           yield* Effect.sleep("1 hour")
         }))`,
        { filename }
      )
      yield* Effect.promise(() => once(other.stdout!, "data"))
      other.kill("SIGKILL")
      yield* finished(other)
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`INSERT INTO t VALUES ('after')`
        assert.deepStrictEqual(yield* sql`SELECT a FROM t`.values, [["committed"], ["after"]])
      }).pipe(Effect.provide(NodeSqlite.layer({ filename })))
    })
  )

  it.live("without node:sqlite the module still imports, and its layer fails with what to use", () =>
    Effect.gen(function* () {
      const process = yield* child("", { filename: ":memory:", flags: ["--no-experimental-sqlite"] })
      const { code, err } = yield* finished(process)
      assert.strictEqual(code, 1)
      assert.match(err, /ConnectionError.*: node:sqlite is missing or too old in v[\d.]+: use Node 22\.16 or newer/)
    })
  )
})
