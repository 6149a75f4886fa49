/**
 * Evaluator-optimizer: an overview is written, measured and tightened, until it meets the criteria or the rounds are over.
 */
import { Effect, Schema } from "effect"
import { AiError } from "effect/ai"
import { EvaluatorOptimizer, Models, Workflow } from "effect-baton"
import { Assignment, Contribution } from "../assignment.ts"
import { type Digest, toText } from "../digest.ts"
import { measure } from "../extractive/Measure.ts"
import { Library, UnknownDocument } from "../library.ts"
import * as Prompts from "../prompts.ts"

const Input = Schema.Struct({
  /** The most words it may have. */
  words: Schema.Int,
  /** What it should cover. */
  headings: Schema.Array(Schema.String),
  material: Schema.Array(Schema.Struct({ title: Schema.String, text: Schema.String }))
})

export const tightened = EvaluatorOptimizer.make("tightened", {
  description: "Writes an overview that is short, covers what it should, and says nothing twice",
  input: Input,
  criteria: [
    { name: "length", description: "Has at most the given number of words", threshold: 1 },
    { name: "coverage", description: "Says something about each heading", threshold: 0.9, weight: 2 },
    { name: "repetition", description: "Says nothing twice", threshold: 1 }
  ],
  threshold: 0.85,
  maxIterations: 4,
  generate: (input) => Models.text(Prompts.overview(input)),
  evaluate: (draft, input) =>
    Effect.sync(() => {
      const criteria = measure(draft, input)
      const feedback = criteria.flatMap(({ feedback }) => (feedback === "" ? [] : [feedback])).join("\n")
      return { score: Math.min(...criteria.map(({ score }) => score)), feedback, criteria }
    }),
  optimize: (draft, { feedback }, input) => Models.text(Prompts.tighten({ ...input, draft, feedback })),
  onExhausted: "best"
})

/** The most things that one overview can be asked to cover; of more, it is the ones that have most to say. */
const mostHeadings = 12

export const overview = Workflow.make("overview", {
  input: Assignment,
  output: Contribution,
  error: Schema.Union([UnknownDocument, EvaluatorOptimizer.InvalidEvaluation, AiError.AiError]),
  run: Effect.fnUntraced(function* ({ documents, findings }) {
    const library = yield* Library
    const digests = yield* Effect.forEach(documents, (name) => Effect.map(library.get(name), ({ digest }) => digest))
    const material =
      digests.length === 1 ? partsOf(digests[0]!) : digests.map(wholeOf(findings, digests.length <= mostHeadings))
    const text = yield* tightened.call({
      words: Math.min(180, 70 + 15 * digests.length),
      headings: headingsOf(material),
      material
    })
    return { _tag: "Text", text } as const
  })
})

const headingsOf = (material: ReadonlyArray<Prompts.Material>): ReadonlyArray<string> => {
  const longest = material.toSorted((a, b) => b.text.length - a.text.length).slice(0, mostHeadings)
  return material.filter((one) => longest.includes(one)).map(({ title }) => title)
}

const partsOf = ({ parts }: Digest): ReadonlyArray<Prompts.Material> =>
  parts.map(({ heading, summary }) => ({ title: heading, text: summary }))

/** What is known of a document: its summary, its parts where there is room for them, the facts found in it. */
const wholeOf =
  (findings: ReadonlyArray<Prompts.Finding>, hasRoom: boolean) =>
  ({ name, parts, summary, title }: Digest): Prompts.Material => ({
    title,
    text: [
      summary,
      ...(hasRoom ? [toText(parts)] : []),
      ...findings.filter(({ source }) => source.split(" > ")[0] === name).map(({ text }) => text)
    ].join("\n\n")
  })
