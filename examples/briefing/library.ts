/**
 * What is on the desk while a brief is made. Plans and their steps name documents; their texts and digests are here.
 */
import { Context, Effect, Schema } from "effect"
import type { Digest } from "./digest.ts"
import type { Document } from "./documents.ts"

/** A plan has a step for a document that nobody put on the desk. */
export class UnknownDocument extends Schema.TaggedError<UnknownDocument>()("UnknownDocument", {
  name: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    return `No document "${this.name}" is on the desk; correct the plan: there are ${this.known.join(", ")}`
  }
}

export interface Entry {
  readonly document: Document
  readonly digest: Digest
}

export class Library extends Context.Service<
  Library,
  { readonly get: (name: string) => Effect.Effect<Entry, UnknownDocument> }
>()("briefing/Library") {
  static make(entries: ReadonlyArray<Entry>): Library["Service"] {
    const known = new Map(entries.map((entry) => [entry.document.name, entry]))
    return {
      get: (name) => {
        const entry = known.get(name)
        return entry === undefined
          ? Effect.fail(new UnknownDocument({ name, known: [...known.keys()] }))
          : Effect.succeed(entry)
      }
    }
  }
}
