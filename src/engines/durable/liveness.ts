/**
 * Which processes are gone: each holds a lock in PostgreSQL for as long as its connection lives, and whoever sees a
 * registered process without one signs it off, so that its shards are given to others at once and not when its last
 * heartbeat has become too old. Who gets them is `effect/cluster`'s to say.
 */
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { realSleep } from "./writer.ts"

/** Marks our locks among those of a database; `BATN` in ASCII. */
const namespace = 0x4241544e

/** The number of a process's lock: FNV-1a of its address, without the sign. Stored nowhere, shared by all processes. */
export const lockNumber = (address: string): number => {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(address)) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash & 0x7fffffff
}

/** How long after the first look that missed a process comes the second. */
const againMillis = 200

const held = `SELECT objid::text FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = ${namespace} AND
  database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/**
 * Holds the lock of this process, and signs off those that have none, twice in a row: one that has just lost its
 * connection gets a new one meanwhile.
 */
export const layer = (
  address: string,
  everyMillis: number
): Layer.Layer<never, never, SqlClient.SqlClient | RunnerStorage.RunnerStorage> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const storage = yield* RunnerStorage.RunnerStorage
      const n = lockNumber(address)
      let missing = new Set<string>()
      const look = Effect.gen(function* () {
        const alive = new Set(
          (yield* sql.unsafe<{ objid: string }>(held).withoutTransform).map(({ objid }) => Number(objid))
        )
        const gone = new Set<string>()
        for (const [runner] of yield* storage.getRunners) {
          const { host, port } = runner.address
          const at = `${host}:${port}`
          if (at === address || alive.has(lockNumber(at))) continue
          if (missing.has(at)) yield* storage.unregister(runner.address)
          else gone.add(at)
        }
        missing = gone
      })
      const first = Latch.makeUnsafe(false)
      const watch = Effect.gen(function* () {
        const connection = yield* sql.reserve
        const ask = (text: string) => connection.execute(text, [], undefined)
        yield* Effect.addFinalizer(() => Effect.ignore(ask(`SELECT pg_advisory_unlock(${namespace}, ${n})`)))
        // The connection of a process that had this address before may take a moment to end.
        while (!(yield* ask(`SELECT pg_try_advisory_lock(${namespace}, ${n}) AS held`))[0].held) yield* realSleep(100)
        // A process that takes the place of one that was killed gets all of its shards at once: the cluster gives them out again
        // only a second after it did.
        yield* Effect.ignore(look)
        if (missing.size > 0) yield* Effect.andThen(realSleep(againMillis), Effect.ignore(look))
        yield* first.open
        // Asking keeps the connection in use: one that broke is found out.
        const turn = Effect.andThen(ask(`SELECT 1`), Effect.ignore(look))
        yield* Effect.forever(
          Effect.andThen(
            turn,
            Effect.suspend(() => realSleep(missing.size === 0 ? everyMillis : againMillis))
          )
        )
      }).pipe(Effect.scoped)
      const forever = Effect.forever(
        Effect.andThen(
          Effect.catchCause(watch, (cause) =>
            Effect.logWarning("The lock of this process was lost; taking it again", cause)
          ),
          realSleep(againMillis / 2)
        )
      )
      yield* Effect.forkScoped(forever)
      // Nobody is to see this process registered and without its lock.
      yield* Effect.timeoutOption(first.await, "5 seconds")
    })
  )
