// Several processes answer the same requests at the same moment.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Engine, Execution, Workflow } from "effect-baton"
import { engine, fresh, reached, until } from "./fleet.ts"

const confirm = Workflow.make("confirm", {
  input: Schema.Int,
  output: Schema.Array(Schema.String),
  run: Effect.fnUntraced(function* (requiredApprovals) {
    const { approved, approvedBy = "nobody" } = yield* Execution.waitForApproval("Ship?", {
      approvers: ["ada", "bob", "eve"],
      requiredApprovals
    })
    return [String(approved), approvedBy]
  })
})

/** Three processes: one runs, two only answer. */
const office = Effect.gen(function* () {
  const { sql, url } = yield* fresh
  const runner = yield* engine(url)
  const [one, two] = [yield* engine(url, { runs: false }), yield* engine(url, { runs: false })]
  const open = (requiredApprovals: number) =>
    Effect.gen(function* () {
      const execution = yield* Effect.provide(
        Effect.flatMap(confirm.run(requiredApprovals), (run) => run.start),
        runner
      )
      yield* reached(execution, "RequestOpened")
      const [request] = yield* execution.requests
      const [atOne, atTwo] = [
        yield* Effect.provide(Engine.get(execution.id), one),
        yield* Effect.provide(Engine.get(execution.id), two)
      ]
      return { execution, id: request.id, atOne, atTwo }
    })
  const answered = (id: string) =>
    Effect.map(
      Effect.orDie(
        sql.unsafe<{ by: string }>(`SELECT by_whom AS by FROM baton_answers WHERE request_id = '${id}' ORDER BY n`)
      ),
      (rows) => rows.map(({ by }) => by.slice(1))
    )
  return { open, answered, sql }
})

const rounds = (n: number) => Array.from({ length: n }, (_, i) => i)

describe("answers of several processes on PostgreSQL", () => {
  it.live("of two at the same moment one wins, and the other is told that the request is settled (D8)", () =>
    Effect.gen(function* () {
      const { answered, open } = yield* office
      for (const _ of rounds(20)) {
        const { atOne, atTwo, execution, id } = yield* open(1)
        const [yes, no] = yield* Effect.all(
          [Effect.result(atOne.approve(id, { by: "ada" })), Effect.result(atTwo.reject(id, { by: "bob" }))],
          { concurrency: 2 }
        )
        // A no of one of three does not decide; a yes does.
        const tags = [yes, no].map((result) => (result._tag === "Success" ? "won" : result.failure._tag))
        assert.deepInclude(
          [
            ["won", "won"],
            ["won", "RequestSettled"]
          ],
          tags
        )
        assert.deepStrictEqual(yield* execution.result, ["true", "ada"])
        assert.deepStrictEqual(yield* answered(id), tags[1] === "won" ? ["bob", "ada"] : ["ada"])
      }
    }).pipe(Effect.scoped)
  )

  it.live("of two yeses at the same moment exactly one decides, and the run says whose (D8)", () =>
    Effect.gen(function* () {
      const { answered, open } = yield* office
      for (const _ of rounds(20)) {
        const { atOne, atTwo, execution, id } = yield* open(1)
        const results = yield* Effect.all(
          [Effect.result(atOne.approve(id, { by: "ada" })), Effect.result(atTwo.approve(id, { by: "bob" }))],
          { concurrency: 2 }
        )
        const tags = results.map((result) => (result._tag === "Success" ? "won" : result.failure._tag))
        assert.deepStrictEqual([...tags].sort(), ["RequestSettled", "won"])
        const winner = tags[0] === "won" ? "ada" : "bob"
        assert.deepStrictEqual(yield* execution.result, ["true", winner])
        assert.deepStrictEqual(yield* answered(id), [winner])
      }
    }).pipe(Effect.scoped)
  )

  it.live("a quorum over processes counts every voice once, whatever the order (D8)", () =>
    Effect.gen(function* () {
      const { answered, open } = yield* office
      for (const _ of rounds(10)) {
        const { atOne, atTwo, execution, id } = yield* open(3)
        const results = yield* Effect.all(
          [
            Effect.result(atOne.approve(id, { by: "ada" })),
            Effect.result(atTwo.approve(id, { by: "ada" })),
            Effect.result(atTwo.approve(id, { by: "bob" })),
            Effect.result(execution.approve(id, { by: "eve" }))
          ],
          { concurrency: "unbounded" }
        )
        const tags = results.map((result) => (result._tag === "Success" ? "counted" : result.failure._tag))
        assert.deepStrictEqual([tags[2], tags[3]], ["counted", "counted"])
        const twice = tags.slice(0, 2).sort()
        assert.strictEqual(twice[1], "counted")
        assert.include(["AlreadyAnswered", "RequestSettled"], twice[0])
        const voices = yield* answered(id)
        assert.deepStrictEqual([...voices].sort(), ["ada", "bob", "eve"])
        // Who came last decided.
        assert.deepStrictEqual(yield* execution.result, ["true", voices[2]])
      }
    }).pipe(Effect.scoped)
  )

  it.live("answers that come when nobody runs the workflow are counted when somebody does (D6, D8)", () =>
    Effect.gen(function* () {
      const { sql, url } = yield* fresh
      const [one, two] = [yield* engine(url, { runs: false }), yield* engine(url, { runs: false })]
      const id = yield* Effect.gen(function* () {
        const runner = yield* engine(url)
        const execution = yield* Effect.provide(
          Effect.flatMap(confirm.run(2, { id: "r1" }), (run) => run.start),
          runner
        )
        yield* reached(execution, "RequestOpened")
        return (yield* execution.requests)[0].id
      }).pipe(Effect.scoped)
      for (const [at, by] of [
        [one, "bob"],
        [two, "eve"]
      ] as const) {
        yield* Effect.provide(
          Effect.flatMap(Engine.get("r1"), (execution) => execution.approve(id, { by })),
          at
        )
      }
      yield* until<{ n: number }>(sql, `SELECT COUNT(*)::int AS n FROM baton_answers`, ([{ n }]) => n === 2)
      const runner = yield* engine(url)
      const execution = yield* Effect.provide(
        Effect.flatMap(confirm.run(2, { id: "r1" }), (run) => run.start),
        runner
      )
      assert.deepStrictEqual(yield* execution.result, ["true", "eve"])
    }).pipe(Effect.scoped)
  )
})
