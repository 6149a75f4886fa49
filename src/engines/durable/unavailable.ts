/**
 * A database that is away: who asks is told so by a type of ours, who can wait waits.
 */
import * as Effect from "effect/Effect"
import type * as SqlError from "effect/sql/SqlError"
import { EngineUnavailable } from "../../services/Engine.ts"
import { realSleep } from "./writer.ts"

/** What a failed query is to whoever asked. */
export const orUnavailable = <A, E, R>(
  effect: Effect.Effect<A, E | SqlError.SqlError, R>
): Effect.Effect<A, Exclude<E, SqlError.SqlError>, R> =>
  Effect.catchTag(effect as Effect.Effect<A, SqlError.SqlError, R>, "SqlError", (error) => {
    // A server that is shut down or not up yet says so by codes that its client does not know.
    const isRetryable = error.isRetryable || error.reason._tag === "UnknownError"
    return Effect.die(new EngineUnavailable({ reason: error.message, isRetryable }))
  }) as Effect.Effect<A, Exclude<E, SqlError.SqlError>, R>

/** Does it again until the database is back. */
export const patient = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.catchDefect(effect, (defect) =>
    defect instanceof EngineUnavailable && defect.isRetryable
      ? Effect.andThen(realSleep(200), patient(effect))
      : Effect.die(defect)
  )
