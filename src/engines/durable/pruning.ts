/**
 * The end of runs that nobody needs any more: all that is stored of them goes.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Count, DurationInput } from "../../internal/schema.ts"
import { settings } from "../../internal/settings.ts"
import type { DurableEngine } from "./engine.ts"
import { amongIds } from "./reads.ts"
import { orUnavailable } from "./unavailable.ts"

const tables = ["baton_events", "baton_requests", "baton_answers", "baton_timers", "baton_seeds", "baton_tags"]

/** How many trees go at once. */
const page = 64

/** Removes trees of runs. */
const remove = (engine: DurableEngine, rootIds: ReadonlyArray<string>): Effect.Effect<number> => {
  const remove = Effect.gen(function* () {
    const [condition, params] = amongIds(engine, rootIds)
    const below = yield* engine.query<{ id: string }>(
      `SELECT id FROM baton_runs WHERE root_id ${condition} AND parent_id IS NOT NULL`,
      params
    )
    const ids = [...rootIds, ...below.map(({ id }) => id)]
    for (let i = 0; i < ids.length; i += page) {
      const [condition, params] = amongIds(engine, ids.slice(i, i + page))
      for (const table of tables) yield* engine.query(`DELETE FROM ${table} WHERE execution_id ${condition}`, params)
      yield* engine.query(`DELETE FROM baton_runs WHERE id ${condition}`, params)
    }
    return ids.length
  })
  return engine.writer.exposed(orUnavailable(engine.sql.withTransaction(remove)))
}

const checkOptions = settings(
  "Engine.prune",
  Schema.Struct({ olderThan: DurationInput, keep: Schema.optional(Count(0)) })
)

/** Removes settled runs, with all that is below them, and says how many. */
export const prune = (
  engine: DurableEngine,
  options: { readonly olderThan: Duration.Input; readonly keep?: number | undefined }
): Effect.Effect<number> =>
  Effect.gen(function* () {
    yield* checkOptions(options)
    yield* engine.writer.drained
    const before = engine.now() - Duration.toMillis(options.olderThan)
    let pruned = 0
    // Goes on where the last page ended: what is kept, and what is gone by now, is not read again for each of them.
    let place = [before, before + 1, "", options.keep ?? 0]
    for (;;) {
      const roots = yield* engine.query<{ id: string; settled_at: number | string }>(
        `SELECT id, settled_at FROM baton_runs
         WHERE parent_id IS NULL AND settled_at <= ? AND (settled_at < ? OR id < ?)
         ORDER BY settled_at DESC, id DESC LIMIT ${page} OFFSET ?`,
        place
      )
      if (roots.length === 0) return pruned
      const last = roots[roots.length - 1]
      place = [Number(last.settled_at), Number(last.settled_at), last.id, 0]
      pruned += yield* remove(
        engine,
        roots.map(({ id }) => id)
      )
    }
  })
