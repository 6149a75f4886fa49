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
  {
    readonly get: (name: string) => Effect.Effect<Entry, UnknownDocument>
    /** The names in a list with a comma and a space between them; names may have those inside of them too. */
    readonly names: (list: string) => Effect.Effect<ReadonlyArray<string>, UnknownDocument>
  }
>()("briefing/Library") {
  static make(entries: ReadonlyArray<Entry>): Library["Service"] {
    const known = new Map(entries.map((entry) => [entry.document.name, entry]))
    const unknown = (name: string) => Effect.fail(new UnknownDocument({ name, known: [...known.keys()] }))
    return {
      get: (name) => {
        const entry = known.get(name)
        return entry === undefined ? unknown(name) : Effect.succeed(entry)
      },
      names: (list) => {
        const names: Array<string> = []
        let open: ReadonlyArray<string> = []
        for (const piece of list.split(", ")) {
          open = [...open, piece]
          if (!known.has(open.join(", "))) continue
          names.push(open.join(", "))
          open = []
        }
        return open.length === 0 ? Effect.succeed(names) : unknown(open.join(", "))
      }
    }
  }
}
