/**
 * Human requests as their rows tell of them, for processes that do not have the execution in memory.
 */
import * as Duration from "effect/Duration"
import type * as JsonSchema from "effect/JsonSchema"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import type { Frame } from "../../internal/frame.ts"
import { type Pending, PendingApproval, PendingInput } from "../../internal/request.ts"
import { parse } from "./codec.ts"
import type { RequestRow } from "./journal.ts"

/** A request that stands in no body; an input is checked by the JSON Schema it was stored with. */
export const detached = (row: RequestRow, workflow: string): Pending => {
  const { jsonSchema, ...rules } = parse(row.rules)
  const timeout = row.expires_at === null ? undefined : Duration.millis(Number(row.expires_at) - Number(row.created_at))
  const request =
    row.kind === "Approval"
      ? new PendingApproval(row.message, timeout === undefined ? rules : { ...rules, timeout })
      : new PendingInput(row.message, fromJsonSchema(jsonSchema), timeout)
  const created = Number(row.created_at)
  const execution = { id: row.execution_id, workflow, startedAt: 0, attempt: row.attempt, now: () => created }
  // All that a request reads of its frame.
  request.open({ execution, path: row.path, startedAt: created } as unknown as Frame)
  return request
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
