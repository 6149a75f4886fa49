/**
 * The tables of the durable engine and of the SQL run store, and how they came to be: a migration that has been released
 * is never changed.
 *
 * | table | holds |
 * |---|---|
 * | `baton_runs` | one row a run: what was asked for, who has it, when it must be looked at, how it ended |
 * | `baton_tags` | the tags of runs, to find them by, in the order in which they started |
 * | `baton_events` | everything that happened; a finished step is one row, with the result that a replay reads |
 * | `baton_requests` | human requests; `outcome` is decided by whoever sets it first |
 * | `baton_answers` | what people said, one answer a person |
 * | `baton_timers` | sleeps of bodies |
 * | `baton_signals` | what other processes want of a run, until its owner has done it; empty most of the time |
 * | `baton_seeds` | results that a retried or forked run begins with |
 */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"

const tables = (dialect: "sqlite" | "pg"): ReadonlyArray<string> => {
  const integer = dialect === "pg" ? "BIGINT" : "INTEGER"
  const serial =
    dialect === "pg" ? "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY" : "INTEGER PRIMARY KEY AUTOINCREMENT"
  // A table that is only read by its key keeps its rows in the key's order.
  const clustered = dialect === "pg" ? "" : " WITHOUT ROWID"
  return [
    `CREATE TABLE baton_runs (
      id TEXT NOT NULL PRIMARY KEY,
      workflow TEXT NOT NULL,
      version TEXT,
      status TEXT NOT NULL,
      tags TEXT NOT NULL,
      parent_id TEXT,
      root_id TEXT NOT NULL,
      source_id TEXT,
      input TEXT NOT NULL,
      options TEXT NOT NULL,
      started_at ${integer} NOT NULL,
      settled_at ${integer},
      wake_at ${integer},
      epoch TEXT NOT NULL,
      paused INTEGER NOT NULL DEFAULT 0,
      held TEXT,
      crashes INTEGER NOT NULL DEFAULT 0,
      crash_sequence INTEGER NOT NULL DEFAULT 0,
      usage_total TEXT,
      outcome TEXT
    )`,
    `CREATE INDEX baton_runs_wake ON baton_runs (wake_at, id) WHERE wake_at IS NOT NULL`,
    `CREATE INDEX baton_runs_held ON baton_runs (workflow) WHERE held IS NOT NULL`,
    `CREATE INDEX baton_runs_settled ON baton_runs (settled_at, id) WHERE settled_at IS NOT NULL AND parent_id IS NULL`,
    `CREATE INDEX baton_runs_root ON baton_runs (root_id) WHERE parent_id IS NOT NULL`,
    `CREATE INDEX baton_runs_started ON baton_runs (started_at, id)`,
    `CREATE INDEX baton_runs_workflow ON baton_runs (workflow, started_at, id)`,
    `CREATE INDEX baton_runs_status ON baton_runs (status, started_at, id)`,
    `CREATE INDEX baton_runs_parent ON baton_runs (parent_id, started_at, id) WHERE parent_id IS NOT NULL`,
    `CREATE TABLE baton_tags (
      tag TEXT NOT NULL,
      started_at ${integer} NOT NULL,
      execution_id TEXT NOT NULL,
      PRIMARY KEY (tag, started_at, execution_id)
    )${clustered}`,
    `CREATE INDEX baton_tags_execution ON baton_tags (execution_id)`,
    `CREATE TABLE baton_events (
      execution_id TEXT NOT NULL,
      sequence ${integer} NOT NULL,
      time ${integer} NOT NULL,
      tag TEXT NOT NULL,
      path TEXT NOT NULL,
      attempt INTEGER NOT NULL,
      epoch TEXT NOT NULL,
      fields TEXT NOT NULL,
      result TEXT,
      PRIMARY KEY (execution_id, sequence)
    )${clustered}`,
    `CREATE TABLE baton_requests (
      id TEXT NOT NULL PRIMARY KEY,
      execution_id TEXT NOT NULL,
      path TEXT NOT NULL,
      attempt INTEGER NOT NULL,
      kind TEXT NOT NULL,
      message TEXT NOT NULL,
      rules TEXT NOT NULL,
      sequence ${integer} NOT NULL,
      created_at ${integer} NOT NULL,
      expires_at ${integer},
      outcome TEXT,
      decided_at ${integer}
    )`,
    `CREATE INDEX baton_requests_execution ON baton_requests (execution_id)`,
    `CREATE TABLE baton_answers (
      request_id TEXT NOT NULL,
      n INTEGER NOT NULL,
      execution_id TEXT NOT NULL,
      by_whom TEXT NOT NULL,
      said TEXT NOT NULL,
      time ${integer} NOT NULL,
      PRIMARY KEY (request_id, n),
      UNIQUE (request_id, by_whom)
    )`,
    `CREATE INDEX baton_answers_execution ON baton_answers (execution_id)`,
    `CREATE TABLE baton_timers (
      execution_id TEXT NOT NULL,
      attempt INTEGER NOT NULL,
      path TEXT NOT NULL,
      due ${integer} NOT NULL,
      state TEXT NOT NULL,
      PRIMARY KEY (execution_id, attempt, path)
    )${clustered}`,
    `CREATE TABLE baton_signals (
      id ${serial},
      execution_id TEXT NOT NULL,
      kind TEXT NOT NULL,
      payload TEXT
    )`,
    `CREATE TABLE baton_seeds (
      execution_id TEXT NOT NULL,
      path TEXT NOT NULL,
      result TEXT NOT NULL,
      PRIMARY KEY (execution_id, path)
    )${clustered}`
  ]
}

const first = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const dialect = sql.onDialectOrElse({ pg: () => "pg" as const, orElse: () => "sqlite" as const })
  for (const statement of tables(dialect)) yield* sql.unsafe(statement)
})

/** Brings the tables up to date; several processes may do so at once. */
export const migrate = Migrator.make({})({
  loader: Effect.succeed([[1, "runs", Effect.succeed(first)]]),
  table: "baton_migrations"
})
