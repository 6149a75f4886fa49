import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { Execution, Step, Workflow } from "effect-baton"
import { CrashHarness } from "effect-baton/testing"

const step = (name: string) => Step.make(name, { run: Effect.succeed(name) })

describe("the crash harness", () => {
  it.live("lets people be asked one after the other, wherever the crash was between them", () =>
    Effect.gen(function* () {
      const order = Workflow.make("order", {
        run: Effect.fnUntraced(function* () {
          const first = yield* Execution.waitForApproval("pay?")
          const second = yield* Execution.waitForApproval("ship?")
          return yield* step(`${first.approvedBy} ${second.approvedBy}`)
        })
      })
      const { crashes, writes } = yield* CrashHarness.check(order, "", {
        during: Effect.fnUntraced(function* (execution) {
          const answer = Effect.flatMap(Execution.nextRequest(execution), ({ id, message }) =>
            execution.approve(id, { by: message === "pay?" ? "ada" : "bob" })
          )
          yield* answer
          yield* answer
        })
      })
      assert.strictEqual(crashes, 2 * writes)
    })
  )

  it.live("finds an outcome that is not the one of the run that nobody disturbed, and says where the crash was", () =>
    Effect.gen(function* () {
      let lives = 0
      const counts = Workflow.make("counts", {
        run: Effect.fnUntraced(function* () {
          const life = ++lives
          yield* step("work")
          return `life ${life}`
        })
      })
      const mismatch = yield* Effect.flip(CrashHarness.check(counts, ""))
      assert.strictEqual(mismatch._tag, "CrashMismatch")
      assert.strictEqual(mismatch.at, "before write 1")
      assert.strictEqual(mismatch.what, "the outcome")
      assert.include(mismatch.expected, "life 1")
    })
  )

  it.live("dies with what `during` fails with, unless there is nothing left to do", () =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval("?"), "") })
      const exit = yield* Effect.exit(
        CrashHarness.check(asks, "", { during: (execution) => execution.approve("nothing", { by: "ada" }) })
      )
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.include(String(exit), "RequestNotFound")
    })
  )
})
