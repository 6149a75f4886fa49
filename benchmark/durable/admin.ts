/**
 * What is asked of the PostgreSQL server beside the contenders: how much it has written, and to log every statement. All
 * sessions of the benchmark itself are named, so that what they do does not count.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, ManagedRuntime, Redacted } from "effect"
import { SqlClient } from "effect/sql"

export const adminName = "benchmark-admin"

/** Write-ahead log and transactions that wrote, so far. */
export interface Written {
  readonly walBytes: number
  readonly writeTransactions: number
}

/** A database as it is watched while somebody works on it. */
export interface Server {
  /** Says in the log what comes next. */
  readonly mark: (name: string) => Promise<unknown>
  readonly logStatements: (on: boolean) => Promise<void>
  readonly written: () => Promise<Written>
  /** The statements under each mark, where they are not in the log of a server. */
  readonly log: () => ReadonlyMap<string, ReadonlyArray<string>>
}

export const connect = (url: string) => {
  const runtime = ManagedRuntime.make(
    PgClient.layer({ url: Redacted.make(url), maxConnections: 1, applicationName: adminName })
  )
  const query = <A extends object>(text: string): Promise<ReadonlyArray<A>> =>
    runtime.runPromise(Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe<A>(text)))
  const server: Server = {
    mark: (name: string) => query(`SELECT 'mark ${name}'`),
    logStatements: async (on: boolean) => {
      await query(`ALTER SYSTEM SET log_statement = '${on ? "all" : "none"}'`)
      await query("SELECT pg_reload_conf()")
      // Sessions hear of it with their next statement.
      await new Promise((resolve) => setTimeout(resolve, 300))
    },
    written: async (): Promise<Written> => {
      const [row] = await query<{ wal: string; xids: string }>(
        // A transaction gets a number with its first write.
        "SELECT pg_current_wal_insert_lsn() - '0/0' AS wal, pg_snapshot_xmax(pg_current_snapshot())::text AS xids"
      )
      return { walBytes: Number(row!.wal), writeTransactions: Number(row!.xids) }
    },
    log: () => new Map()
  }
  return { ...server, query: (text: string) => query<Record<string, unknown>>(text) }
}

const prefix = "baton-log"

/** How the server is to log, so that `readLog` can read it. */
export const logSettings = [`log_line_prefix=${prefix} %a|`, "log_parameter_max_length=0", "log_min_messages=log"]

/** The statements of everybody but the benchmark itself, under the marks that came before them. */
export const readLog = (log: string): ReadonlyMap<string, ReadonlyArray<string>> => {
  const found = new Map<string, Array<string>>()
  let current: Array<string> | undefined
  for (const entry of log.split(`${prefix} `).slice(1)) {
    const [, application, text] = /^(.*?)\|LOG: {2}(?:statement|execute [^:]*): ([\s\S]*)$/.exec(entry) ?? []
    if (text === undefined) continue
    const mark = /^SELECT 'mark (.*)'/.exec(text)?.[1]
    if (mark !== undefined) found.set(mark, (current = found.get(mark) ?? []))
    else if (application !== adminName) current?.push(text)
  }
  return found
}

/** A statement without what differs from one use to the next, so that equal ones can be counted. */
export const normal = (statement: string): string =>
  statement
    .replace(/\s+/g, " ")
    .replace(/(\([$?\d, ]+\))(, \([$?\d, ]+\))+/g, "$1, ...")
    .replace(/\$\d+/g, "?")
    .trim()
