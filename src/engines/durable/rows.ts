/**
 * The rows of runs, as the engine reads and writes them.
 */

/** A run as it is stored. */
export interface RunRow {
  readonly id: string
  readonly workflow: string
  readonly version: string | null
  readonly status: "pending" | "in-progress" | "awaiting" | "completed" | "failed" | "cancelled"
  readonly tags: string
  readonly parent_id: string | null
  readonly root_id: string
  readonly source_id: string | null
  readonly input: string
  readonly options: string
  readonly started_at: number
  readonly settled_at: number | null
  readonly wake_at: number | null
  readonly epoch: string
  readonly paused: number
  readonly held: string | null
  readonly crashes: number
  readonly crash_sequence: number
  readonly usage_total: string | null
  readonly outcome: string | null
}

/** `wake_at` of an execution that is in the memory of its owner: when nobody has it, it must be taken up. */
export const resident = 0
/** `wake_at` of one that was let go in the middle of its work. */
export const atOnce = 1

/** `paused` of an execution that another process wants to be. */
export const pauseWanted = 2

export const columns = [
  "id",
  "workflow",
  "version",
  "status",
  "tags",
  "parent_id",
  "root_id",
  "source_id",
  "input",
  "options",
  "started_at",
  "wake_at",
  "epoch"
]

const numbers = new Set([
  "sequence",
  "time",
  "attempt",
  "started_at",
  "settled_at",
  "wake_at",
  "paused",
  "crashes",
  "crash_sequence",
  "created_at",
  "expires_at",
  "decided_at",
  "due",
  "n",
  "at"
])

/** PostgreSQL gives big integers as text. */
export const withNumbers = <A extends object>(rows: ReadonlyArray<A>): ReadonlyArray<A> => {
  for (const row of rows as ReadonlyArray<Record<string, unknown>>) {
    for (const column in row) if (row[column] !== null && numbers.has(column)) row[column] = Number(row[column])
  }
  return rows
}
