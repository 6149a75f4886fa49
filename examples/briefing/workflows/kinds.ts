/**
 * A workflow for each kind of document: which parts are worth reading, and how closely.
 */
import { Effect, Schema } from "effect"
import { AiError, type LanguageModel } from "effect/ai"
import { type Execution, Models, Parallelization, type RunError, Step, Workflow } from "effect-baton"
import { Digest, type Part, toText } from "../digest.ts"
import { Document, type Section } from "../documents.ts"
import * as Prompts from "../prompts.ts"
import { sections } from "./sections.ts"

const ReadingError = Schema.Union([AiError.AiError, Parallelization.InvalidSubtasks])

const define = (
  kind: Prompts.Kind,
  options: {
    readonly description: string
    /** How many sentences sum the document up. */
    readonly sentences: number
    readonly read: (
      document: Document
    ) => Effect.Effect<
      ReadonlyArray<Part>,
      typeof ReadingError.Type | RunError.RunError,
      LanguageModel.LanguageModel | Execution.Current
    >
  }
) =>
  Workflow.make(kind, {
    description: options.description,
    input: Document,
    output: Digest,
    error: ReadingError,
    run: Effect.fnUntraced(function* (document) {
      const { name, title, words } = document
      const parts = yield* options.read(document)
      const summary = yield* Step.make("sum up", {
        output: Schema.String,
        error: AiError.AiError,
        run: Models.text(Prompts.summarise({ title, text: toText(parts), sentences: options.sentences }))
      })
      return { name, title, kind, words, summary, parts }
    })
  })

export const guide = define("guide", {
  description: "Reads every part of a guide",
  sentences: 3,
  read: ({ sections: all }) => sections.call({ sections: all, sentences: 2 })
})

export const specification = define("specification", {
  description: "Reads every part of a specification closely",
  sentences: 4,
  read: ({ sections: all }) => sections.call({ sections: all, sentences: 3 })
})

export const reference = define("reference", {
  description: "Reads what a reference says above its entries",
  sentences: 3,
  read: ({ sections: all }) => sections.call({ sections: above(all), sentences: 2 })
})

export const changelog = define("changelog", {
  description: "Reads the newest entries of a changelog, which stand first",
  sentences: 2,
  read: ({ sections: all }) => sections.call({ sections: start(all, 500), sentences: 2 })
})

export const notes = define("notes", {
  description: "Picks what was found from notes",
  sentences: 3,
  read: ({ text, title }) =>
    Step.make("findings", {
      output: Prompts.Facts,
      error: AiError.AiError,
      run: Models.object(Prompts.facts({ title, text, limit: 6 }))
    }).pipe(Effect.map(({ facts }) => facts.map(({ source, text }) => ({ heading: source, summary: text }))))
})

/** The sections at the highest level below the title, and what stands before them. */
const above = (sections: ReadonlyArray<Section>): ReadonlyArray<Section> => {
  const highest = Math.min(...sections.flatMap(({ level }) => (level > 1 ? [level] : [])))
  return sections.filter(({ level }) => level <= highest)
}

/** The first sections with about so many words; at least one. */
const start = (sections: ReadonlyArray<Section>, words: number): ReadonlyArray<Section> => {
  let before = 0
  return sections.filter((section) => {
    const isIn = before < words
    before += section.words
    return isIn
  })
}
