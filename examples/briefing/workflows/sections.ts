/**
 * Parallelization: a long document is cut into parts, and several parts at a time are summarised.
 */
import { Effect, Schema } from "effect"
import { Models, Parallelization } from "effect-baton"
import { Part } from "../digest.ts"
import * as Documents from "../documents.ts"
import * as Prompts from "../prompts.ts"

/** How long a part may be. */
const words = 250

const Input = Schema.Struct({
  sections: Schema.Array(Documents.Section),
  /** How many sentences say what a part says. */
  sentences: Schema.Int
})

export const sections = Parallelization.make("sections", {
  description: "Says what each part of a document says",
  input: Input,
  output: Schema.Array(Part),
  split: (input) =>
    Effect.succeed(
      Documents.parts(input, words).map(({ heading, text }, index) => ({
        id: `${index + 1} ${heading}`,
        prompt: Prompts.summarise({ title: heading, text, sentences: input.sentences }).prompt
      }))
    ),
  worker: ({ prompt }) => Models.text({ purpose: "summarise", prompt }),
  merge: (results, input) =>
    Effect.succeed(
      Documents.parts(input, words)
        .map(({ heading }, index) => ({ heading, summary: results[index]!.data }))
        .filter(({ summary }) => summary !== "")
    ),
  maxConcurrency: 4
})
