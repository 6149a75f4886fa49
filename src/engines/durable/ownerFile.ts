/**
 * Which process runs what is on a SQLite file: its number stands in a file beside it. A process that has ended, however,
 * is nobody, so the next one takes over at once.
 */

import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { EngineUnavailable } from "../../services/Engine.ts"

const attempt = <A>(evaluate: () => A): Result.Result<A, NodeJS.ErrnoException> =>
  Result.try({ try: evaluate, catch: (error) => error as NodeJS.ErrnoException })

const isAlive = (pid: number): boolean => {
  const asked = attempt(() => process.kill(pid, 0))
  // It may exist, and belong to somebody else.
  return Result.isSuccess(asked) || asked.failure.code === "EPERM"
}

const readOwner = (file: string): number | undefined =>
  Result.getOrUndefined(attempt(() => Number.parseInt(fs.readFileSync(file, "utf8"), 10)))

/** What a file that can not be opened is to whoever builds the engine. */
export const cannotOpen = (filename: string, why: string): EngineUnavailable =>
  new EngineUnavailable({
    reason: `"${filename}" can not be opened (${why})`,
    isRetryable: false,
    next: "create its folder, and let this process write there"
  })

/** Takes the file, or gives the number of the process that has it; several engines of one process share it. */
const take = (filename: string, file: string): Result.Result<number | undefined, EngineUnavailable> => {
  for (let tries = 0; tries < 10; tries++) {
    const written = attempt(() => fs.writeFileSync(file, String(process.pid), { flag: "wx" }))
    if (Result.isSuccess(written)) return Result.succeed(undefined)
    const { code } = written.failure
    if (code !== "EEXIST") return Result.fail(cannotOpen(filename, `${code}`))
    const owner = readOwner(file)
    if (owner === process.pid) return Result.succeed(undefined)
    if (owner !== undefined && isAlive(owner)) return Result.succeed(owner)
    fs.rmSync(file, { force: true })
  }
  return Result.succeed(readOwner(file))
}

/** Makes this process the one that runs what is on a SQLite file, until the scope ends. */
export const own = (filename: string): Effect.Effect<void, never, Scope.Scope> => {
  const file = `${filename}-owner`
  return Effect.acquireRelease(
    Effect.suspend(() => {
      const taken = take(filename, file)
      if (Result.isFailure(taken)) return Effect.die(taken.failure)
      const owner = taken.success
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
