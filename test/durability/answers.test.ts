// People answer, and the process dies before the run has taken it up: the answer counts when the run goes on.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { Execution, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"

/** A body that takes a few turns of the scheduler until it asks. */
const ask = Workflow.make("ask", {
  run: Effect.fnUntraced(function* () {
    for (let i = 0; i < 10; i++) yield* Effect.yieldNow
    const { approved, approvedBy } = yield* Execution.waitForApproval("Go on?", {
      approvers: ["ada", "bob"],
      requiredApprovals: 2
    })
    return `${approved} ${approvedBy}`
  })
})

const answering = Effect.gen(function* () {
  const execution = yield* (yield* ask.run("", { id: "r1" })).start
  const answers = Effect.gen(function* () {
    for (const { id } of yield* execution.requests) {
      for (const by of ["ada", "bob"]) yield* Effect.ignore(execution.approve(id, { by }))
    }
    yield* Effect.sleep(2)
  }).pipe(Effect.forever)
  return yield* Effect.raceFirst(execution.result, answers)
})

describe("an answer that was given before a crash", () => {
  for (const idle of [0, 60_000]) {
    for (const when of ["before", "after"] as const) {
      it.live(`counts after a crash ${when} any write, where what waits stays for ${idle} ms (D6, D8)`, () =>
        Effect.gen(function* () {
          const settings = { idle, pollInterval: 5 }
          for (let n = 1, crashed = true; crashed; n++) {
            const life = yield* Effect.gen(function* () {
              const file = yield* temporaryFile
              const first = yield* live(file, settings, (write) => (write === n ? when : undefined), answering)
              const { result } = first.crashed ? yield* live(file, settings, undefined, answering) : first
              return { result, crashed: first.crashed }
            }).pipe(Effect.scoped, Effect.timeout("5 seconds"))
            assert.strictEqual(life.result, "true bob", `write ${n}`)
            crashed = life.crashed
          }
        })
      )
    }
  }
})

describe("answers that come at once", () => {
  it.live("count once a person, each for its own run, and are written together (D2, D8)", () =>
    Effect.gen(function* () {
      const { runs, settled, writes } = yield* Effect.gen(function* () {
        const engine = yield* Durable
        const runs = yield* Effect.forEach(Array.from({ length: 40 }), () =>
          Effect.flatMap(ask.run(""), (run) => run.start)
        )
        while (engine.residents.size > 0) yield* Effect.sleep(5)
        const before = engine.writer.writes
        const settled = yield* Effect.forEach(
          runs,
          Effect.fnUntraced(function* (execution) {
            const [request] = yield* execution.requests
            const saying = ["ada", "eve", "bob", "bob"].map((by) => Effect.exit(execution.approve(request.id, { by })))
            const said = yield* Effect.all(saying, { concurrency: "unbounded" })
            return { said: said.map(Exit.isSuccess), result: yield* execution.result }
          }),
          { concurrency: "unbounded" }
        )
        return { runs, settled, writes: engine.writer.writes - before }
      }).pipe(
        Effect.provide(Layer.unwrap(Effect.map(temporaryFile, (filename) => layerSqlite({ filename, idle: 0 })))),
        Effect.scoped
      )
      for (const { result, said } of settled) {
        const [ada, eve, ...bob] = said
        assert.deepStrictEqual([ada, eve, bob.filter(Boolean).length], [true, false, 1])
        assert.include(["true ada", "true bob"], result)
      }
      assert.isBelow(writes, runs.length)
    }).pipe(Effect.timeout("20 seconds"))
  )
})
