/**
 * What a contender of the durable benchmark is, and the work that all of them do: a run of `n` and so many steps, each of
 * which adds one; or a run of one step that then waits for a number from outside, and adds it.
 */

/** A durable runtime in this process, on an empty database. */
export interface System {
  /** Runs a workflow of one or ten steps, and waits for its end. */
  readonly run: (steps: 1 | 10, n: number) => Promise<number>
  /** Starts a run that waits for a number; ends when the wait is written down, or as near to that as can be known. */
  readonly park: (n: number) => Promise<void>
  /** Ends when no parked run is in memory any more, where the runtime lets them go at all. */
  readonly left: () => Promise<void>
  /** Gives the run its number, and waits for its end. */
  readonly resume: (n: number, value: number) => Promise<number>
  /** What people look for among many runs, and the removal of about a thousandth of them. */
  readonly looks?: Readonly<Record<string, () => Promise<unknown>>>
}

export type Open = (url: string) => Promise<System>

/** Does something for 0, 1, 2, and so on, so many at once, as long as there is more. */
export const inParallel = async (
  more: number | ((i: number) => boolean),
  atOnce: number,
  f: (i: number) => Promise<void>
): Promise<void> => {
  let next = 0
  const isMore = typeof more === "number" ? (i: number) => i < more : more
  const worker = async () => {
    while (isMore(next)) await f(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
