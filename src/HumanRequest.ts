/**
 * What an execution asks of a person, and what can be wrong with an answer.
 */
import * as Schema from "effect/Schema"
import { Approval } from "./Approval.ts"

const common = {
  /** Unique over all executions: the execution's id and the request's path. */
  id: Schema.String,
  executionId: Schema.String,
  workflow: Schema.String,
  /** Where in the body the request stands. */
  path: Schema.String,
  message: Schema.String,
  createdAt: Schema.Date,
  expiresAt: Schema.optionalKey(Schema.Date)
}

/**
 * A request for a yes or a no.
 *
 * **Example** (Telling requests apart)
 *
 * ```ts
 * import { HumanRequest } from "effect-baton"
 *
 * const describe = (request: HumanRequest.HumanRequest) =>
 *   request._tag === "Approval" ? `${request.message} (${request.requiredApprovals} needed)` : request.message
 *
 * describe(HumanRequest.ApprovalRequest.make({
 *   id: "run_1:approval", executionId: "run_1", workflow: "deploy", path: "approval",
 *   message: "Deploy?", createdAt: new Date(0), requiredApprovals: 1, responses: []
 * })) // => "Deploy? (1 needed)"
 * ```
 */
export const ApprovalRequest = Schema.TaggedStruct("Approval", {
  ...common,
  approvers: Schema.optionalKey(Schema.Array(Schema.String)),
  requiredApprovals: Schema.Int,
  /** Reasons of an answer that do something, and what: a page can draw a button for each. */
  reasons: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  responses: Schema.Array(Approval)
})

/** A request for a yes or a no. */
export type ApprovalRequest = typeof ApprovalRequest.Type

/**
 * A request for a value; `jsonSchema` says which, so that a page can draw a form.
 *
 * **Example** (Making one)
 *
 * ```ts
 * import { HumanRequest } from "effect-baton"
 *
 * HumanRequest.InputRequest.make({
 *   id: "run_1:input", executionId: "run_1", workflow: "deploy", path: "input",
 *   message: "Which region?", createdAt: new Date(0), jsonSchema: { type: "string" }, responses: []
 * }).jsonSchema // => { type: "string" }
 * ```
 */
export const InputRequest = Schema.TaggedStruct("Input", {
  ...common,
  jsonSchema: Schema.Unknown,
  responses: Schema.Array(Schema.Struct({ by: Schema.optionalKey(Schema.String), timestamp: Schema.Date }))
})

/** A request for a value. */
export type InputRequest = typeof InputRequest.Type

/** What an execution asks of a person. */
export type HumanRequest = ApprovalRequest | InputRequest

/**
 * Schema of what an execution asks of a person.
 *
 * **Example** (Checking one)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { HumanRequest } from "effect-baton"
 *
 * Schema.is(HumanRequest.HumanRequest)({ _tag: "Approval" }) // => false
 * ```
 */
export const HumanRequest = Schema.Union([ApprovalRequest, InputRequest])

/**
 * No request has this id.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { HumanRequest } from "effect-baton"
 *
 * new HumanRequest.RequestNotFound({ executionId: "run_1", requestId: "run_1:nope" }).message // => 'run_1 has no request "run_1:nope"; execution.requests lists the open ones'
 * ```
 */
export class RequestNotFound extends Schema.TaggedError<RequestNotFound>("effect-baton/HumanRequest/RequestNotFound")(
  "RequestNotFound",
  { executionId: Schema.String, requestId: Schema.String }
) {
  override get message(): string {
    return `${this.executionId} has no request "${this.requestId}"; execution.requests lists the open ones`
  }
}

/**
 * The request was already decided, timed out or was withdrawn; the answer changed nothing.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { HumanRequest } from "effect-baton"
 *
 * new HumanRequest.RequestSettled({ requestId: "run_1:approval", outcome: "rejected" }).message // => 'The request "run_1:approval" is settled (rejected); the answer changed nothing'
 * ```
 */
export class RequestSettled extends Schema.TaggedError<RequestSettled>("effect-baton/HumanRequest/RequestSettled")(
  "RequestSettled",
  { requestId: Schema.String, outcome: Schema.Literals(["approved", "rejected", "answered", "timed-out", "withdrawn"]) }
) {
  override get message(): string {
    return `The request "${this.requestId}" is settled (${this.outcome}); the answer changed nothing`
  }
}

/** How a request ended. */
export type RequestOutcome = RequestSettled["outcome"]

/**
 * Somebody who is not on the request's list of approvers answered; the request stays open.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { HumanRequest } from "effect-baton"
 *
 * new HumanRequest.ApproverNotAllowed({ requestId: "run_1:approval", by: "eve", approvers: ["ada"] }).message // => 'eve may not answer "run_1:approval"; its approvers are: ada'
 * ```
 */
export class ApproverNotAllowed extends Schema.TaggedError<ApproverNotAllowed>(
  "effect-baton/HumanRequest/ApproverNotAllowed"
)("ApproverNotAllowed", {
  requestId: Schema.String,
  by: Schema.optionalKey(Schema.String),
  approvers: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${this.by ?? "An anonymous person"} may not answer "${this.requestId}"; its approvers are: ${this.approvers.join(", ")}`
  }
}

/**
 * The same person answered a second time; the first answer stands.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { HumanRequest } from "effect-baton"
 *
 * new HumanRequest.AlreadyAnswered({ requestId: "run_1:approval", by: "ada" }).message // => 'ada has already answered "run_1:approval"; the first answer stands'
 * ```
 */
export class AlreadyAnswered extends Schema.TaggedError<AlreadyAnswered>("effect-baton/HumanRequest/AlreadyAnswered")(
  "AlreadyAnswered",
  { requestId: Schema.String, by: Schema.optionalKey(Schema.String) }
) {
  override get message(): string {
    return `${this.by ?? "An anonymous person"} has already answered "${this.requestId}"; the first answer stands`
  }
}

/**
 * The answer is not what the request asks for; the request stays open.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { HumanRequest } from "effect-baton"
 *
 * new HumanRequest.InvalidAnswer({ requestId: "run_1:input", field: "age", value: '"old"', problem: "Expected number" }).message // => 'Invalid answer to "run_1:input" at "age": Expected number, found "old"; the request stays open'
 * ```
 */
export class InvalidAnswer extends Schema.TaggedError<InvalidAnswer>("effect-baton/HumanRequest/InvalidAnswer")(
  "InvalidAnswer",
  { requestId: Schema.String, field: Schema.String, value: Schema.String, problem: Schema.String }
) {
  override get message(): string {
    const at = this.field === "" ? "" : ` at "${this.field}"`
    return `Invalid answer to "${this.requestId}"${at}: ${this.problem}, found ${this.value}; the request stays open`
  }
}

/** What can be wrong with an answer. */
export type AnswerError = RequestNotFound | RequestSettled | ApproverNotAllowed | AlreadyAnswered | InvalidAnswer

/**
 * Schema of what can be wrong with an answer.
 *
 * **Example** (Through JSON and back)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { HumanRequest } from "effect-baton"
 *
 * const json = Schema.encodeSync(HumanRequest.AnswerError)(new HumanRequest.AlreadyAnswered({ requestId: "r" }))
 *
 * json // => { _tag: "AlreadyAnswered", requestId: "r" }
 * ```
 */
export const AnswerError = Schema.Union([
  RequestNotFound,
  RequestSettled,
  ApproverNotAllowed,
  AlreadyAnswered,
  InvalidAnswer
])

/**
 * Nobody gave the input in time.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { HumanRequest } from "effect-baton"
 *
 * new HumanRequest.InputTimedOut({ requestId: "run_1:input", afterMillis: 500 }).message // => 'Nobody answered "run_1:input" within 500 ms; raise its timeout, or go on without the answer'
 * ```
 */
export class InputTimedOut extends Schema.TaggedError<InputTimedOut>("effect-baton/HumanRequest/InputTimedOut")(
  "InputTimedOut",
  { requestId: Schema.String, afterMillis: Schema.Finite }
) {
  override get message(): string {
    return `Nobody answered "${this.requestId}" within ${this.afterMillis} ms; raise its timeout, or go on without the answer`
  }
}
