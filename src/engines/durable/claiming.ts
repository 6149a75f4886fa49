/**
 * Takes executions over from whoever had them: one statement for all that are taken up at once.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { DurableEngine } from "./engine.ts"
import { gather, sizeFor } from "./gather.ts"
import { type RunRow, resident } from "./rows.ts"
import { isOne, valuesOf } from "./writer.ts"

/** One that is to be taken over, if nobody else has done so since its row was read. */
export interface Claim {
  readonly id: string
  readonly epoch: string
  /** The epoch of whoever had it. */
  readonly before: string
  /** Whether whoever had it went without letting it go. */
  readonly crashed: boolean
}

/** What of its row may have changed since it was read. */
export type Claimed = Pick<RunRow, "id" | "status" | "paused" | "crashes">

const newest = `(SELECT COALESCE(MAX(sequence), 0) FROM baton_events WHERE execution_id = baton_runs.id)`

/**
 * Its row, if it is ours now: not if somebody else has it, or it has settled. What is read of it before is not to be relied
 * on: whoever had it may have written until now, and writes nothing from here on (D4).
 */
export const claiming = (engine: DurableEngine): ((claim: Claim) => Effect.Effect<Claimed | undefined>) =>
  gather(engine, (claims) => {
    const size = sizeFor(claims.length)
    const params = Array.from({ length: size }, (_, i) => {
      const { before, crashed, epoch, id } = claims[Math.min(i, claims.length - 1)]
      return [id, epoch, crashed ? 1 : 0, before]
    })
    // A claim that is made again, since nobody knew whether it was made, is no other crash.
    const claimed = engine.command<Claimed>(
      `UPDATE baton_runs SET epoch = v.column2, wake_at = ${resident}, held = NULL, crash_sequence = ${newest},
         crashes = CASE WHEN v.column3 = 0 OR epoch = v.column2 THEN crashes WHEN ${newest} > crash_sequence THEN 1 ELSE crashes + 1 END
       FROM ${valuesOf(["TEXT", "TEXT", "INTEGER", "TEXT"], size)}
       WHERE id = v.column1 AND epoch IN (v.column4, v.column2) AND settled_at IS NULL AND ${isOne(1)}
       RETURNING id, status, paused, crashes`,
      params.flat()
    )
    return Effect.map(claimed, (rows) => {
      const byId = new Map(rows.map((row) => [row.id, row]))
      return claims.map(({ id }) => Exit.succeed(byId.get(id)))
    })
  })
