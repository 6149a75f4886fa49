// The workflow of the cluster tests: every step is written down in a table of its own, outside of the engine.
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { Execution, Step, Workflow } from "effect-baton"

export type Note = (run: string, step: string) => Effect.Effect<void>

/** Writes into the ledger who did what. */
export const noted =
  (url: string, name: string): Note =>
  (run, step) =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql.unsafe(`INSERT INTO ledger (run, step, runner) VALUES ($1, $2, $3)`, [run, step, name])
    }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })), Effect.orDie)

export const ledger = (note: Note) =>
  Workflow.make("ledger", {
    run: Effect.fnUntraced(function* (input) {
      const id = yield* Execution.id
      for (const step of ["one", "two"]) yield* Step.make(step, { run: note(id, step) })
      yield* Effect.sleep("300 millis")
      yield* Step.make("three", { run: note(id, "three") })
      const { approvedBy } = yield* Execution.waitForApproval("go on?")
      yield* Step.make("four", { run: note(id, "four") })
      return `${input} ${approvedBy}`
    })
  })
