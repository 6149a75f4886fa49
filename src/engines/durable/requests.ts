/**
 * Human requests and answers as rows, and back: for replays, and for processes that do not have the execution in memory.
 */
import * as Duration from "effect/Duration"
import type * as JsonSchema from "effect/JsonSchema"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import type { Approval } from "../../Approval.ts"
import type { Frame } from "../../internal/frame.ts"
import { type Answer, type Pending, PendingApproval, PendingInput, type Settlement } from "../../internal/request.ts"
import { parse } from "./codec.ts"
import type { AnswerRow, KnownRequest, RequestRow } from "./history.ts"

/** Where a request stands that stands in no body. */
type Place = Pick<RequestRow, "id" | "execution_id" | "path" | "attempt" | "created_at">

/** Gives a request its place. */
export const placed = (request: Pending, { attempt, created_at, execution_id, id, path }: Place, workflow: string) => {
  const created = Number(created_at)
  const execution = { id: execution_id, workflow, startedAt: 0, attempt, now: () => created }
  // All that a request reads of its frame.
  request.open({ execution, path, startedAt: created } as unknown as Frame)
  request.known(id)
  return request
}

/**
 * A request that stands in no body; an input is checked by the JSON Schema it was stored with, where its schema is not
 * known here.
 */
export const detached = (row: RequestRow, workflow: string, schema?: Schema.Codec<any, any>): Pending => {
  const { jsonSchema, message = row.message, ...rules } = parse(row.rules)
  const timeout = row.expires_at === null ? undefined : Duration.millis(Number(row.expires_at) - Number(row.created_at))
  const request =
    row.kind === "Approval"
      ? new PendingApproval(message, timeout === undefined ? rules : { ...rules, timeout })
      : new PendingInput(message, schema ?? fromJsonSchema(jsonSchema), timeout, jsonSchema)
  return placed(request, row, workflow)
}

/** Where the JSON Schema can not be read back, anything goes: whoever runs the body checks it by the schema itself. */
const fromJsonSchema = (schema: JsonSchema.JsonSchema): Schema.Codec<any, any> => {
  const definitions = (schema["$defs"] as JsonSchema.Definitions | undefined) ?? {}
  const read = Result.try(() =>
    SchemaRepresentation.fromJsonSchemaDocument(
      { dialect: "draft-2020-12", schema, definitions },
      { patterns: "ignore" }
    )
  )
  return Result.getOrElse(read, () => Schema.Unknown) as Schema.Codec<any, any>
}

/** A text as every database takes it. */
export const readable = (text: string): string => text.replace(/[\0\p{Surrogate}]/gu, "\uFFFD")

/** A message that is not the same as it is readable is kept as JSON. */
const exact = (message: string) => (readable(message) === message ? undefined : { message })

/** What is stored of a request, besides its place. */
export const toStoredRequest = (request: Pending) => {
  const shown = request.toRequest()
  return {
    created_at: shown.createdAt.getTime(),
    expires_at: shown.expiresAt === undefined ? null : shown.expiresAt.getTime(),
    message: readable(request.message),
    rules:
      shown._tag === "Approval"
        ? {
            ...exact(request.message),
            approvers: shown.approvers,
            requiredApprovals: shown.requiredApprovals,
            reasons: shown.reasons,
            autoApproveOnTimeout: (request as PendingApproval).options.autoApproveOnTimeout
          }
        : { ...exact(request.message), jsonSchema: shown.jsonSchema }
  }
}

/** What a person said, from its row. */
export const toAnswer = (row: AnswerRow): Answer => {
  const said = parse(row.said)
  return said._tag === "Verdict"
    ? { _tag: "Verdict", approved: said.approved, options: said.options }
    : { _tag: "Value", value: said.value, by: said.by }
}

/** The responses that answers to an approval make. */
export const toResponses = (rows: ReadonlyArray<AnswerRow>): ReadonlyArray<Approval> =>
  rows.flatMap((row) => {
    const said = toAnswer(row)
    if (said._tag !== "Verdict") return []
    const { by, reason } = said.options ?? {}
    return [
      {
        approved: said.approved,
        ...(reason === undefined ? {} : { reason }),
        ...(by === undefined ? {} : { approvedBy: by }),
        timestamp: new Date(row.time)
      }
    ]
  })

/** How a request was settled, by what people said to it. */
export const settlementOf = (request: Pending, { answers, row, settled }: KnownRequest): Settlement | undefined => {
  if (settled?.outcome === "timed-out") return request.expire(Number(row.decided_at ?? settled.time)).settlement
  for (const answer of answers) {
    const result = request.respond(toAnswer(answer), Number(answer.time))
    if (Result.isSuccess(result) && result.success !== undefined) return result.success.settlement
  }
  return undefined
}
