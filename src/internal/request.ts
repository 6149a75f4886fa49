/**
 * One open human request: who has answered, and when that decides it.
 *
 * Q1  A request settles once; its outcome reaches whoever asked exactly once.
 * Q2  An answer that is refused leaves the request as it was.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaParser from "effect/SchemaParser"
import type { Approval, ApprovalOptions } from "../Approval.ts"
import {
  AlreadyAnswered,
  type AnswerError,
  type ApprovalRequest,
  ApproverNotAllowed,
  type HumanRequest,
  type InputRequest,
  InputTimedOut,
  InvalidAnswer,
  type RequestOutcome
} from "../HumanRequest.ts"
import type { AnswerOptions } from "../services/HumanChannel.ts"
import { type Fields, Lazy } from "./eventLog.ts"
import type { Frame } from "./frame.ts"
import { problem, show } from "./schema.ts"

/** How a request ended, for the one who asked: an effect, so that a timeout can be a failure. */
export type Settlement = Effect.Effect<unknown, unknown>

abstract class Base extends Lazy {
  readonly message: string
  readonly timeoutMillis: number | undefined
  /** Where it stands, once it is open. */
  frame!: Frame
  private attempt = 0
  private text: string | undefined = undefined
  settlement: Settlement | undefined = undefined
  /** Tells whoever asked, once. */
  resume: ((settlement: Settlement) => void) | undefined = undefined
  /** Ends the wait for the time to be up. */
  stopTimer: (() => void) | undefined = undefined
  /** Takes the request back from the channels. */
  stopDelivery: (() => void) | undefined = undefined

  constructor(message: string, timeout: Duration.Input | undefined) {
    super()
    this.message = message
    this.timeoutMillis = timeout === undefined ? undefined : Duration.toMillis(timeout)
  }

  open(frame: Frame): void {
    this.frame = frame
    this.attempt = frame.execution.attempt
  }

  /** Says which it is, whatever place it has now. */
  known(id: string): void {
    this.text = id
  }

  /** Epoch milliseconds. */
  get createdAt(): number {
    return this.frame.execution.startedAt + this.frame.startedAt
  }

  /** How long it stays open from now on. */
  get remainingMillis(): number {
    return Math.max(0, this.timeoutMillis! - (this.frame.execution.now() - this.frame.startedAt))
  }

  /** Made when somebody reads it: most requests are answered by whoever listed them. */
  get id(): string {
    return (this.text ??= `${this.frame.execution.id}:${this.frame.path}${this.attempt > 1 ? `@${this.attempt}` : ""}`)
  }

  /** What the event of its opening says. */
  get fields(): Fields<"RequestOpened"> {
    return { requestId: this.id, kind: this.kind, message: this.message }
  }

  abstract get kind(): HumanRequest["_tag"]
  abstract toRequest(): HumanRequest
  /** Takes an answer; a settlement if it decides the request. */
  abstract respond(answer: Answer, now: number): Result.Result<Decision | undefined, AnswerError>
  abstract expire(now: number): Decision

  /** When the time is up, if it ever is. */
  protected get expiry(): { readonly expiresAt?: Date } {
    return this.timeoutMillis === undefined || !Number.isFinite(this.timeoutMillis)
      ? {}
      : { expiresAt: new Date(this.createdAt + this.timeoutMillis) }
  }
}

/** What a person said. */
export type Answer =
  | { readonly _tag: "Verdict"; readonly approved: boolean; readonly options: AnswerOptions | undefined }
  | { readonly _tag: "Value"; readonly value: unknown; readonly by: string | undefined }

/** What settles a request. */
export interface Decision {
  readonly outcome: RequestOutcome
  readonly settlement: Settlement
}

const decided = (approval: Approval): Decision => ({
  outcome: approval.approved ? "approved" : "rejected",
  settlement: Effect.succeed(approval)
})

const toApproval = (approved: boolean, options: AnswerOptions | undefined, now: number): Approval => {
  const timestamp = new Date(now)
  if (options === undefined) return { approved, timestamp }
  const { by, reason } = options
  return {
    approved,
    ...(reason === undefined ? {} : { reason }),
    ...(by === undefined ? {} : { approvedBy: by }),
    timestamp
  }
}

const none: ReadonlyArray<Approval> = []

export class PendingApproval extends Base {
  get kind() {
    return "Approval" as const
  }
  private responses: ReadonlyArray<Approval> = none
  readonly options: ApprovalOptions

  constructor(message: string, options: ApprovalOptions) {
    super(message, options.timeout)
    this.options = options
  }

  toRequest(): ApprovalRequest {
    const { approvers, reasons, requiredApprovals = 1 } = this.options
    const request: ApprovalRequest = {
      _tag: "Approval",
      id: this.id,
      executionId: this.frame.execution.id,
      workflow: this.frame.execution.workflow,
      path: this.frame.path,
      message: this.message,
      createdAt: new Date(this.createdAt),
      requiredApprovals,
      responses: this.responses
    }
    if (approvers === undefined && reasons === undefined && this.timeoutMillis === undefined) return request
    return {
      ...request,
      ...this.expiry,
      ...(approvers === undefined ? {} : { approvers }),
      ...(reasons === undefined ? {} : { reasons })
    }
  }

  /** Takes up the answers that were given before. */
  restore(responses: ReadonlyArray<Approval>): void {
    this.responses = responses
  }

  respond(answer: Answer, now: number): Result.Result<Decision | undefined, AnswerError> {
    if (answer._tag === "Value") {
      return Result.fail(
        new InvalidAnswer({
          requestId: this.id,
          field: "",
          value: show(answer.value),
          problem: "Expected a yes or a no: use approve or reject"
        })
      )
    }
    const by = answer.options?.by
    const { approvers, requiredApprovals = 1 } = this.options
    if (approvers !== undefined && (by === undefined || !approvers.includes(by))) {
      return Result.fail(new ApproverNotAllowed({ requestId: this.id, approvers, ...(by === undefined ? {} : { by }) }))
    }
    let yes = answer.approved ? 1 : 0
    for (const response of this.responses) {
      if (response.approvedBy === by) {
        return Result.fail(new AlreadyAnswered({ requestId: this.id, ...(by === undefined ? {} : { by }) }))
      }
      if (response.approved) yes++
    }
    const response = toApproval(answer.approved, answer.options, now)
    const responses = [...this.responses, response]
    this.responses = responses
    if (yes >= requiredApprovals) return Result.succeed(decided(response))
    const possible =
      approvers === undefined
        ? yes === responses.length
        : new Set(approvers).size - (responses.length - yes) >= requiredApprovals
    return Result.succeed(possible ? undefined : decided(response))
  }

  expire(now: number): Decision {
    const approved = this.options.autoApproveOnTimeout === true
    return {
      outcome: "timed-out",
      settlement: Effect.succeed<Approval>({ approved, reason: "timeout", timestamp: new Date(now) })
    }
  }
}

/** A JSON Schema that stands on its own. */
const jsonSchema = (schema: Schema.Constraint): unknown => {
  const document = Schema.toJsonSchemaDocument(schema)
  return Object.keys(document.definitions).length === 0
    ? document.schema
    : { ...document.schema, $defs: document.definitions }
}

export class PendingInput extends Base {
  get kind() {
    return "Input" as const
  }
  readonly schema: Schema.Codec<unknown, unknown>
  /** The JSON Schema as it was stored, which says more than one that was made from it. */
  private readonly stored: unknown

  constructor(message: string, schema: Schema.Codec<any, any>, timeout: Duration.Input | undefined, stored?: unknown) {
    super(message, timeout)
    this.schema = schema
    this.stored = stored
  }

  toRequest(): InputRequest {
    return {
      _tag: "Input",
      id: this.id,
      executionId: this.frame.execution.id,
      workflow: this.frame.execution.workflow,
      path: this.frame.path,
      message: this.message,
      createdAt: new Date(this.createdAt),
      ...this.expiry,
      jsonSchema: this.stored ?? jsonSchema(this.schema),
      responses: []
    }
  }

  respond(answer: Answer): Result.Result<Decision | undefined, AnswerError> {
    if (answer._tag === "Verdict") {
      return Result.fail(
        new InvalidAnswer({
          requestId: this.id,
          field: "",
          value: answer.approved ? "approve" : "reject",
          problem: "Expected a value: use answer"
        })
      )
    }
    return Result.mapBoth(SchemaParser.decodeUnknownResult(Schema.toCodecJson(this.schema))(answer.value), {
      onSuccess: (value): Decision => ({ outcome: "answered", settlement: Effect.succeed(value) }),
      onFailure: (issue) => {
        const { path, value, message } = problem(issue, answer.value)
        return new InvalidAnswer({ requestId: this.id, field: path, value, problem: message })
      }
    })
  }

  expire(now: number): Decision {
    return {
      outcome: "timed-out",
      settlement: Effect.fail(new InputTimedOut({ requestId: this.id, afterMillis: now - this.createdAt }))
    }
  }
}

export type Pending = PendingApproval | PendingInput
