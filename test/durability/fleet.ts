// What the tests of several processes on one PostgreSQL share: a database of their own, engines, and real processes.
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { Engine, type Event, type Execution } from "effect-baton"
import type { PostgresConfig } from "../../src/engines/durable/postgres.ts"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { database, server } from "./postgres.ts"

/** A database with a table where the steps of tests write down that they ran, and a client of it. */
export const freshOn = Effect.fnUntraced(function* (server: string) {
  const url = yield* database(server)
  const context = yield* Layer.build(Layer.orDie(PgClient.layer({ url: Redacted.make(url), maxConnections: 2 })))
  const sql = Context.get(context, SqlClient.SqlClient)
  yield* Effect.orDie(sql.unsafe(`CREATE TABLE ledger (run TEXT NOT NULL, step TEXT NOT NULL, runner TEXT NOT NULL)`))
  return { url, sql }
})

/** The same on the server of all tests. */
export const fresh = Effect.flatMap(server, freshOn)

/** An engine of this process; each is to the database what a process of its own is. */
export const engine = (url: string, options: Partial<PostgresConfig> = {}) =>
  Effect.map(
    Layer.build(
      Layer.fresh(layerPostgres({ url, pollInterval: "50 millis", grace: "50 millis", maxConnections: 5, ...options }))
    ),
    (context) => Context.pick(Engine.Engine)(context)
  )

/** A folder that goes with the scope. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A process of a program in this folder; `kill` ends it and waits, the scope kills it for good. */
export const launched = (file: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, ["--conditions=baton-source", join(import.meta.dirname, file), ...args], {
        stdio: ["ignore", "ignore", "inherit"],
        // None of this may change who it is.
        env: { ...process.env, PORT: "80", HOST: "nowhere.invalid", LISTEN_PORT: "81", SHARD_GROUPS: "none" }
      })
      const kill = (signal: "SIGKILL" | "SIGTERM") =>
        Effect.callback<number | null>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.succeed(child.exitCode))
          child.on("exit", (code) => resume(Effect.succeed(code)))
          child.kill(signal)
        })
      return { kill }
    }),
    ({ kill }) => kill("SIGKILL")
  )

/** A process that runs the jobs of `job.ts`. */
export const member = (url: string, name: string) => launched("member.ts", url, name)

/** Waits for an event that may have happened already. */
export const reached = (execution: Execution.Execution<unknown, unknown>, tag: Event.Tag, path?: string) =>
  execution.events.pipe(
    Stream.filter((event) => event._tag === tag && (path === undefined || event.path === path)),
    Stream.take(1),
    Stream.runDrain
  )

/** Asks until the rows of a question are as they should be. */
export const until = <A extends object>(
  sql: SqlClient.SqlClient,
  question: string,
  isRight: (rows: ReadonlyArray<A>) => boolean
) =>
  Effect.orDie(sql.unsafe<A>(question)).pipe(
    Effect.delay("20 millis"),
    Effect.repeat({ until: isRight }),
    Effect.timeout("20 seconds"),
    Effect.orDie
  )

/** How often each step ran, such as `{ "run-1 pack": 1 }`. */
export const ran = (sql: SqlClient.SqlClient) =>
  Effect.map(
    Effect.orDie(
      sql.unsafe<{ place: string; n: number }>(
        `SELECT run || ' ' || step AS place, COUNT(*)::int AS n FROM ledger GROUP BY run, step ORDER BY 1`
      )
    ),
    (rows) => Object.fromEntries(rows.map(({ place, n }) => [place, n]))
  )
