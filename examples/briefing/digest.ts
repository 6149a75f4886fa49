/** What is left of a document once it is read. */
import { Schema } from "effect"
import { Kind } from "./prompts.ts"

/** A part of a document, and what it says; never empty. */
export const Part = Schema.Struct({ heading: Schema.String, summary: Schema.NonEmptyString })
export type Part = typeof Part.Type

export const Digest = Schema.Struct({
  /** The document's name. */
  name: Schema.String,
  title: Schema.String,
  kind: Kind,
  words: Schema.Int,
  /** What it says, in a few sentences; empty when it has no prose. */
  summary: Schema.String,
  /** The parts that were read and have prose. */
  parts: Schema.Array(Part)
})
export type Digest = typeof Digest.Type

/** Parts as one text. */
export const toText = (parts: ReadonlyArray<Part>): string =>
  parts.map(({ heading, summary }) => `## ${heading}\n\n${summary}`).join("\n\n")
