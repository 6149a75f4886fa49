/**
 * Takes executions over from whoever had them: one statement for all that are taken up at once.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { DurableEngine } from "./engine.ts"
import { gather, sizeFor } from "./gather.ts"
import { resident } from "./rows.ts"
import { isOne, valuesOf } from "./writer.ts"

/** One that is to be taken over, if nobody else has done so since its row was read. */
export interface Claim {
  readonly id: string
  readonly epoch: string
  readonly crashes: number
  readonly sequence: number
  /** The epoch of whoever had it. */
  readonly before: string
}

/** Whether it is ours now: not if somebody else has it, or it has settled. */
export const claiming = (engine: DurableEngine): ((claim: Claim) => Effect.Effect<boolean>) =>
  gather(engine, (claims) => {
    const size = sizeFor(claims.length)
    const params = Array.from({ length: size }, (_, i) => {
      const { before, crashes, epoch, id, sequence } = claims[Math.min(i, claims.length - 1)]
      return [id, epoch, crashes, sequence, before]
    })
    const claimed = engine.command<{ id: string }>(
      `UPDATE baton_runs SET epoch = v.column2, wake_at = ${resident}, held = NULL, crashes = v.column3, crash_sequence = v.column4
       FROM ${valuesOf(["TEXT", "TEXT", "INTEGER", "INTEGER", "TEXT"], size)}
       WHERE id = v.column1 AND epoch IN (v.column5, v.column2) AND settled_at IS NULL AND ${isOne(1)} RETURNING id`,
      params.flat()
    )
    return Effect.map(claimed, (rows) => {
      const ids = new Set(rows.map(({ id }) => id))
      return claims.map(({ id }) => Exit.succeed(ids.has(id)))
    })
  })
