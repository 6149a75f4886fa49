// The tables of an empty database are made by whoever begins first.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Engine, Step, Workflow } from "effect-baton"
import * as postgres from "./postgres.ts"

const echo = Workflow.make("echo", { run: (text) => Step.make("say", { run: Effect.succeed(text) }) })

describe("an empty database on which several engines begin at once", () => {
  it.live(
    "gets its tables once, and each of them runs what it is given",
    () =>
      Effect.gen(function* () {
        const url = yield* postgres.database(yield* postgres.server)
        const names = ["ada", "bob", "cyd", "dan"]
        const begin = (name: string) =>
          Effect.provide(
            echo.execute(name, { id: name }),
            Engine.layerPostgres({ url, maxConnections: 3, pollInterval: "20 millis" })
          )
        assert.deepStrictEqual(yield* Effect.forEach(names, begin, { concurrency: "unbounded" }), names)
      }).pipe(Effect.scoped),
    60_000
  )
})
