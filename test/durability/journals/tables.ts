// What a journal consists of, and how a kept one comes into a database.
import { readFileSync } from "node:fs"
import { Effect } from "effect"
import { Durable } from "../../../src/engines/durable/layer.ts"

export const tables = ["baton_runs", "baton_events", "baton_requests", "baton_answers", "baton_timers", "baton_seeds"]

type Journal = Record<string, ReadonlyArray<Record<string, unknown>>>

export const read = (file: string): Journal => JSON.parse(readFileSync(file, "utf8"))

/** Writes a kept journal into the tables of an engine. */
export const refill = Effect.fnUntraced(function* (kept: Journal) {
  const engine = yield* Durable
  for (const table of tables) {
    for (const row of kept[table] ?? []) {
      const columns = Object.keys(row)
      yield* engine.query(
        `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
        Object.values(row)
      )
    }
  }
})
