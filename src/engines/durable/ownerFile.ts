/**
 * Which process runs what is on a SQLite file: its number stands in a file beside it. A process that has ended, however,
 * is nobody, so the next one takes over at once.
 */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It exists, and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

const readOwner = (file: string): number | undefined => {
  try {
    return Number.parseInt(fs.readFileSync(file, "utf8"), 10)
  } catch {
    return undefined
  }
}

/** Takes the file, or gives the number of the process that has it; several engines of one process share it. */
const take = (file: string): number | undefined => {
  for (let tries = 0; tries < 10; tries++) {
    try {
      fs.writeFileSync(file, String(process.pid), { flag: "wx" })
      return undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
    const owner = readOwner(file)
    if (owner === process.pid) return undefined
    if (owner !== undefined && isAlive(owner)) return owner
    fs.rmSync(file, { force: true })
  }
  return readOwner(file)
}

/** Makes this process the one that runs what is on a SQLite file, until the scope ends. */
export const own = (filename: string): Effect.Effect<void, never, Scope.Scope> => {
  const file = `${filename}-owner`
  return Effect.acquireRelease(
    Effect.suspend(() => {
      const owner = take(file)
      return owner === undefined
        ? Effect.void
        : Effect.die(
            new Error(
              `The runs in ${filename} are run by process ${owner}: open the file with \`runs: false\` to start, watch, ` +
                "answer and cancel them from here, or end that process first"
            )
          )
    }),
    () =>
      Effect.sync(() => {
        if (readOwner(file) === process.pid) fs.rmSync(file, { force: true })
      })
  )
}
