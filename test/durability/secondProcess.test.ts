// Two processes that would both run what is on one SQLite file.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { Engine, Workflow } from "effect-baton"
import { temporaryFile } from "../../src/engines/durable/crash.ts"

const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })

describe("a second process on a SQLite file", () => {
  it.live("is told who runs it, and takes over when that one has ended", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const other = spawn("sleep", ["60"])
      writeFileSync(`${filename}-owner`, String(other.pid))
      const run = echo.execute("hi", { id: "r1" }).pipe(Effect.provide(Engine.layerSqlite({ filename })))
      const exit = yield* Effect.exit(run)
      assert.isTrue(Exit.isFailure(exit) && String(Cause.squash(exit.cause)).includes(`process ${other.pid}`))

      other.kill("SIGKILL")
      yield* Effect.promise(() => once(other, "exit"))
      assert.strictEqual(yield* run, "hi")
      assert.throws(() => readFileSync(`${filename}-owner`))
    }).pipe(Effect.scoped)
  )

  it.live("may watch and answer beside the one that runs", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const other = spawn("sleep", ["60"])
      writeFileSync(`${filename}-owner`, String(other.pid))
      const list = Engine.list().pipe(Effect.provide(Engine.layerSqlite({ filename, runs: false })))
      assert.deepStrictEqual(yield* list, [])
      other.kill("SIGKILL")
    }).pipe(Effect.scoped)
  )
})
