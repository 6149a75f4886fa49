/**
 * Everything the briefing desk asks a language model, each prompt next to the schema of its answer.
 *
 * Every prompt has one form, which a person, a hosted model and the local extractive model all read:
 *
 *   Task: facts                           what is asked for
 *   Limit: 5 facts                        a number and its unit
 *   Headings:                             lists, one `- entry` a line
 *   - Install
 *
 *   Instructions, in plain words.
 *
 *   <text title="README.md">              the material, never instructions
 *   ...
 *   </text>
 *
 * Each function gives what `Models.text` or `Models.object` takes, so that a phase reads
 * `Models.object(Prompts.facts({ title, text, limit: 5 }))`.
 */
import { Schema } from "effect"
import type { Document } from "./documents.ts"

/** What kinds of document there are. The descriptions carry the words such documents use. */
export const kinds = {
  guide:
    "teaches how to do something: guide, readme, install, installation, getting started, quick start, usage, tutorial, how to, walkthrough, introduction, examples, features, contributing",
  reference:
    "says what each part is: reference, api, options, parameters, methods, returns, arguments, properties, flags, commands, configuration, glossary",
  specification:
    "says what must hold: spec, specification, requirements, must, shall, invariant, lifecycle, protocol, semantics, conform, guarantee, behaves, behaviour, rules, style",
  changelog:
    "says what changed when: changelog, changes, history, release, releases, added, fixed, removed, deprecated, breaking, migration, patch, bump, minor, upgraded",
  notes:
    "records what was found or decided: notes, findings, measured, tried, verified, meeting, decision, observed, pitfall, license, copyright, policy, security, conduct, report, warranty"
} as const

export const Kind = Schema.Literals(["guide", "reference", "specification", "changelog", "notes"])
export type Kind = typeof Kind.Type

export const Classification = Schema.Struct({ kind: Kind, reason: Schema.String })

/** Something a document says or asks, in its own words, and the headings it stands under: `Install > Linux`. */
export const Finding = Schema.Struct({ text: Schema.String, source: Schema.String })
export type Finding = typeof Finding.Type

export const Facts = Schema.Struct({ facts: Schema.Array(Finding) })
export const Questions = Schema.Struct({ questions: Schema.Array(Finding) })

export const Plan = Schema.Struct({
  goal: Schema.String,
  steps: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      description: Schema.String,
      worker: Schema.String,
      input: Schema.String,
      dependsOn: Schema.optionalKey(Schema.Array(Schema.String))
    })
  )
})

/** A titled text the model is to read. */
export interface Material {
  readonly title: string
  readonly text: string
}

/** A worker as the planner needs to know it. */
export interface Worker {
  readonly name: string
  readonly description: string
  /** One step for each document, or one for all of them. */
  readonly per: "document" | "set"
  /** Only for documents of these kinds. Default: of every kind. */
  readonly kinds?: ReadonlyArray<Kind>
  /** Workers whose results it needs. Default: none. */
  readonly after?: ReadonlyArray<string>
}

/** Which kind of document this is, from its name, its headings and its first words. */
export const classify = (document: Document) => ({
  purpose: "classify",
  name: "classification",
  schema: Classification,
  prompt: write({
    task: "classify",
    lists: {
      Kinds: Object.entries(kinds).map(([kind, description]) => `${kind}: ${description}`),
      Headings: document.sections.slice(0, 40).map(({ heading }) => heading)
    },
    instructions: "Say which of these kinds the document is, and in one sentence why. Its text may be cut short.",
    material: [{ title: document.name, text: start(document.text, 600) }]
  })
})

/** A section in at most so many sentences. */
export const summarise = (options: Material & { readonly sentences: number }) => ({
  purpose: "summarise",
  prompt: write({
    task: "summarise",
    limit: `${options.sentences} sentences`,
    instructions:
      "Summarise the text in whole sentences. Answer with the sentences only; if it has no prose, answer nothing.",
    material: [options]
  })
})

/** What a document states that can be checked. */
export const facts = (options: Material & { readonly limit: number }) => ({
  purpose: "facts",
  name: "facts",
  schema: Facts,
  prompt: write({
    task: "facts",
    limit: `${options.limit} facts`,
    instructions:
      "List the most important facts the text states: figures, names, limits, defaults. Quote whole sentences, and give the headings each stands under as its source, joined by ' > '. An empty list is a good answer.",
    material: [options]
  })
})

/** What a document leaves open. */
export const questions = (options: Material & { readonly limit: number }) => ({
  purpose: "questions",
  name: "questions",
  schema: Questions,
  prompt: write({
    task: "questions",
    limit: `${options.limit} questions`,
    instructions:
      "List what the text leaves open: questions it asks without answering, tasks to do, things it calls unknown, undecided, unverified or missing. Quote whole sentences, and give the headings each stands under as its source, joined by ' > '. An empty list is a good answer.",
    material: [options]
  })
})

/** Who does what, and after whom, for a set of documents. */
export const plan = (options: {
  readonly goal: string
  readonly workers: ReadonlyArray<Worker>
  readonly documents: ReadonlyArray<{ readonly name: string; readonly kind: Kind; readonly words: number }>
}) => ({
  purpose: "plan",
  name: "plan",
  schema: Plan,
  prompt: write({
    task: "plan",
    lists: {
      Goal: [options.goal],
      Workers: options.workers.map(
        ({ after = [], description, kinds = [], name, per }) =>
          `${name}: ${description.replace(/\.$/, "")}. One step ${per === "document" ? "per document" : "for all documents"}` +
          `${kinds.length > 0 ? ` of kind ${kinds.join(", ")}` : ""}${after.length > 0 ? `, after ${after.join(", ")}` : ""}.`
      ),
      Documents: options.documents.map(({ kind, name, words }) => `${name} (${kind}, ${words} words)`)
    },
    instructions:
      "Plan the steps that reach the goal. A step's id is its worker's name, followed by a dash and the document's number in the list where there is a step per document. Its input is the document's name as listed; for a step over several documents their names, separated by a comma and a space. dependsOn lists the ids of all steps of the workers it comes after."
  })
})

/** A text over all the material, within a number of words, that covers the headings. */
export const overview = (options: {
  readonly words: number
  readonly headings: ReadonlyArray<string>
  readonly material: ReadonlyArray<Material>
}) => ({
  purpose: "overview",
  prompt: write({
    task: "overview",
    limit: `${options.words} words`,
    lists: { Headings: options.headings },
    instructions:
      "Write an overview of the texts for somebody who has read none of them: whole sentences, one paragraph, nothing said twice, each heading covered. Answer with the overview only.",
    material: options.material
  })
})

/** An overview once more, with what an evaluation found wrong put right. */
export const tighten = (options: {
  readonly draft: string
  readonly feedback: string
  readonly words: number
  readonly headings: ReadonlyArray<string>
  readonly material: ReadonlyArray<Material>
}) => ({
  purpose: "tighten",
  prompt: write({
    task: "tighten",
    limit: `${options.words} words`,
    lists: { Headings: options.headings, Feedback: options.feedback.split("\n").filter((line) => line !== "") },
    instructions:
      "Rewrite the draft so that the feedback is met; keep what is good. Take anything new from the texts. Answer with the new overview only.",
    draft: options.draft,
    material: options.material
  })
})

const write = (options: {
  readonly task: string
  readonly limit?: string
  readonly lists?: Readonly<Record<string, ReadonlyArray<string>>>
  readonly instructions: string
  readonly draft?: string
  readonly material?: ReadonlyArray<Material>
}): string =>
  [
    `Task: ${options.task}`,
    ...(options.limit === undefined ? [] : [`Limit: ${options.limit}`]),
    ...Object.entries(options.lists ?? {}).flatMap(([name, entries]) => [
      `${name}:`,
      ...entries.map((entry) => `- ${oneLine(entry)}`)
    ]),
    "",
    options.instructions,
    ...(options.draft === undefined ? [] : ["", "<draft>", enclose(options.draft), "</draft>"]),
    ...(options.material ?? []).flatMap(({ text, title }) => [
      "",
      `<text title="${oneLine(title).replaceAll('"', "'")}">`,
      enclose(text),
      "</text>"
    ])
  ].join("\n")

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim()

/** Material that itself has a line which opens or ends material cannot break out of its place. */
const enclose = (text: string): string => text.replace(/^(?=<\/?(?:text|draft)\b)/gm, " ")

/** The first words of a text, cut between lines. */
const start = (text: string, words: number): string => {
  const lines = text.split("\n")
  let count = 0
  const end = lines.findIndex((line) => {
    count += line.split(/\s+/).length
    return count > words
  })
  return end <= 0 ? text : lines.slice(0, end).join("\n")
}
