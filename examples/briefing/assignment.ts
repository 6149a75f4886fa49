/** What a worker of the desk is asked for, and what it gives back. */
import { Schema } from "effect"
import { Finding } from "./prompts.ts"

export const Assignment = Schema.Struct({
  /** Names of the documents it is about. */
  documents: Schema.Array(Schema.String),
  /** What the workers before it found. */
  findings: Schema.Array(Finding)
})
export type Assignment = typeof Assignment.Type

export const Contribution = Schema.Union([
  Schema.TaggedStruct("Findings", { findings: Schema.Array(Finding) }),
  Schema.TaggedStruct("Text", { text: Schema.String })
])
export type Contribution = typeof Contribution.Type
