// A cancel is asked for when no process is up that could carry it out.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import type { RunError } from "../../src/RunError.ts"
import { engine, fresh, reached, until } from "./fleet.ts"

describe("a cancel while every process is down", () => {
  for (const where of ["in a step", "at a person"] as const) {
    it.live(`is carried out by the next one, with its finalizers and nothing else, for a run ${where} (D9)`, () =>
      Effect.gen(function* () {
        const { sql, url } = yield* fresh
        const did: Array<string> = []
        const note = (name: string) => Step.make(name, { run: Effect.sync(() => void did.push(name)) })
        const book = Workflow.make("book", {
          run: Effect.fnUntraced(function* () {
            yield* note("book")
            const wait: Effect.Effect<unknown, RunError, Execution.Current> =
              where === "in a step"
                ? Step.make("fly", {
                    run: Effect.andThen(
                      Effect.sync(() => void did.push("fly")),
                      Effect.never
                    )
                  })
                : Effect.asVoid(Execution.waitForApproval("Fly?"))
            yield* Effect.onInterrupt(wait, () => Effect.orDie(note("unbook")))
            return "home"
          })
        })
        const start = Effect.flatMap(book.run("", { id: "trip", cancel: { graceful: true } }), (run) => run.start)
        yield* Effect.gen(function* () {
          const runner = yield* engine(url)
          const execution = yield* Effect.provide(start, runner)
          if (where === "in a step") yield* reached(execution, "StepStarted", "fly")
          else yield* reached(execution, "RequestOpened")
        }).pipe(Effect.scoped)
        const before = did.length

        const client = yield* engine(url, { runs: false })
        const cancelling = yield* Effect.forkScoped(
          Effect.provide(
            Effect.flatMap(Engine.get("trip"), (execution) => execution.cancel("rain")),
            client
          )
        )
        yield* until<{ kind: string }>(sql, `SELECT kind FROM baton_signals`, (rows) =>
          rows.some(({ kind }) => kind === "cancel")
        )

        const runner = yield* engine(url)
        const execution = yield* Effect.provide(start, runner)
        assert.strictEqual(yield* Fiber.join(cancelling), "cancelled")
        assert.strictEqual(yield* execution.status, "cancelled")
        const error = yield* Effect.flip(execution.result)
        assert.deepInclude(error, { _tag: "RunCancelled", reason: "rain" })
        assert.deepStrictEqual(
          did.slice(before).filter((name) => name !== "fly"),
          ["unbook"]
        )
      }).pipe(Effect.scoped)
    )
  }
})
