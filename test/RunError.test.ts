import { assert, describe, it } from "@effect/vitest"
import { Equal, Schema } from "effect"
import {
  Approval,
  Budget,
  Cancel,
  Engine,
  Execution,
  HumanRequest,
  Run,
  RunError,
  RunStore,
  Step,
  Timeout
} from "effect-baton"

const errors = {
  RunTimedOut: Timeout.RunTimedOut,
  RunCancelled: Cancel.RunCancelled,
  BudgetExceeded: Budget.BudgetExceeded,
  InvalidInput: RunError.InvalidInput,
  InvalidOptions: RunError.InvalidOptions,
  InvalidOutput: RunError.InvalidOutput,
  IdConflict: RunError.IdConflict,
  RunSettled: Execution.RunSettled,
  StepTimedOut: Step.StepTimedOut,
  RequestNotFound: HumanRequest.RequestNotFound,
  RequestSettled: HumanRequest.RequestSettled,
  ApproverNotAllowed: HumanRequest.ApproverNotAllowed,
  AlreadyAnswered: HumanRequest.AlreadyAnswered,
  InvalidAnswer: HumanRequest.InvalidAnswer,
  InputTimedOut: HumanRequest.InputTimedOut,
  ExecutionNotFound: Engine.ExecutionNotFound,
  EngineShutdown: Engine.EngineShutdown
} as const

const ofRuns = new Set([
  "RunTimedOut",
  "RunCancelled",
  "BudgetExceeded",
  "InvalidInput",
  "InvalidOptions",
  "InvalidOutput",
  "IdConflict"
])

const throughJson = <A>(schema: Schema.Codec<A, any>, value: A): A => {
  const codec = Schema.toCodecJson(schema) as unknown as Schema.Codec<A, unknown>
  return Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(value))))
}

describe("errors", () => {
  for (const [tag, schema] of Object.entries(errors)) {
    it.prop(
      `${tag} goes through JSON and comes back equal, with its message`,
      { error: schema as unknown as Schema.Codec<Error, any> },
      ({ error }) => {
        const back = throughJson(schema as unknown as Schema.Codec<Error, any>, error)
        assert.isTrue(Equal.equals(back, error))
        assert.strictEqual(back.constructor, schema)
        assert.strictEqual(RunError.isRunError(back), ofRuns.has(tag))
        assert.strictEqual(back.message, error.message)
        assert.isAbove(error.message.length, 10)
      }
    )
  }

  it.prop("a RunError of any kind goes through JSON as one of the union", { error: RunError.RunError }, ({ error }) => {
    const back = throughJson(RunError.RunError, error)
    assert.isTrue(RunError.isRunError(back))
    assert.isTrue(Equal.equals(back, error))
  })

  it.prop(
    "an answer's error of any kind goes through JSON as one of the union",
    { error: HumanRequest.AnswerError },
    ({ error }) => {
      assert.isTrue(Equal.equals(throughJson(HumanRequest.AnswerError, error), error))
    }
  )

  it("isRunError knows an error of a run by its class, not by its looks", () => {
    for (const other of [null, undefined, "RunCancelled", { _tag: "RunCancelled" }, new Error("x")]) {
      assert.isFalse(RunError.isRunError(other))
    }
  })
})

describe("data", () => {
  it.prop("an approval goes through JSON and comes back equal", { approval: Approval.Approval }, ({ approval }) => {
    assert.deepStrictEqual(throughJson(Approval.Approval, approval), approval)
  })

  it.prop(
    "a human request goes through JSON and comes back equal",
    { request: HumanRequest.ApprovalRequest },
    ({ request }) => {
      // JSON knows no negative zero, and Equal makes no difference.
      assert.isTrue(Equal.equals(throughJson(HumanRequest.ApprovalRequest, request), request))
    }
  )

  it.prop("a summary goes through JSON and comes back equal", { summary: RunStore.RunRecord }, ({ summary }) => {
    assert.deepStrictEqual(throughJson(RunStore.RunRecord, summary), summary)
  })

  it.prop("a status is one of the six", { status: Run.RunStatus }, ({ status }) => {
    assert.isTrue(Schema.is(Run.RunStatus)(status))
  })
})
