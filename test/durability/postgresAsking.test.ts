// People are asked by a process that runs nothing, about a run of another, over PostgreSQL; its owner is killed meanwhile.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { Engine, type Execution } from "effect-baton"
import { engine, fresh, member, reached, until } from "./fleet.ts"
import { submitter } from "./job.ts"

const question = (execution: Execution.Execution<any, any>) =>
  execution.requests.pipe(
    Effect.delay("20 millis"),
    Effect.map((requests) => requests.find(({ path }) => path.startsWith("handle/"))),
    Effect.repeat({ until: (request) => request !== undefined }),
    Effect.map((request) => request!),
    Effect.timeout("20 seconds")
  )

describe("a question about a run of another process on PostgreSQL", () => {
  it.live(
    "is opened once, outlives its owner, and is answered by a third (A1, A2, A3)",
    () =>
      Effect.gen(function* () {
        const { sql, url } = yield* fresh
        const [asker, answerer] = [yield* engine(url, { runs: false }), yield* engine(url, { runs: false })]
        const first = yield* member(url, "a")
        const execution = yield* submitter(asker)("run-1", 0, true)
        yield* reached(execution, "RequestOpened")
        const there = yield* Effect.provide(Engine.get("run-1"), answerer)

        // Asked, and its owner dies at about that moment: before it has looked, or after.
        const asking = yield* Effect.forkChild(execution.waitForInput("How many?", Schema.NumberFromString))
        yield* Effect.sleep("40 millis")
        yield* first.kill("SIGKILL")
        const agreeing = yield* Effect.forkChild(execution.waitForApproval("Sure?", { approvers: ["ada"] }))
        yield* member(url, "b")
        yield* until<{ n: number }>(
          sql,
          `SELECT COUNT(*)::int AS n FROM baton_requests WHERE path LIKE 'handle/%'`,
          ([{ n }]) => n === 2
        )
        const many = yield* question(there)
        yield* there.answer(many.id, "7")
        assert.strictEqual(yield* Fiber.join(asking), 7)
        yield* there.approve("run-1:approval", { by: "bob" })
        const sure = yield* question(there)
        yield* there.approve(sure.id, { by: "ada" })
        assert.strictEqual((yield* Fiber.join(agreeing)).approvedBy, "ada")
        assert.strictEqual(yield* there.result, "shipped by bob")
        const opened = (yield* Stream.runCollect(there.events)).flatMap((event) =>
          event._tag === "RequestOpened" ? [event.message] : []
        )
        assert.deepStrictEqual(opened.sort(), ["How many?", "Ship?", "Sure?"])
        assert.strictEqual((yield* Effect.flip(execution.waitForApproval("Late?")))._tag, "RunSettled")
      }).pipe(Effect.scoped),
    60_000
  )
})
