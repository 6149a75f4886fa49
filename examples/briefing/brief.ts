/** A brief, and the page it becomes. */
import { Schema } from "effect"
import type { Digest } from "./digest.ts"
import * as Sentence from "./extractive/Sentence.ts"
import { Finding } from "./prompts.ts"

export const Brief = Schema.Struct({
  overview: Schema.String,
  facts: Schema.Array(Finding),
  questions: Schema.Array(Finding)
})
export type Brief = typeof Brief.Type

/** A brief in which no finding says again what the overview or another finding says. */
export const distinct = (brief: Brief): Brief => {
  const said = new Set(Sentence.split(brief.overview))
  const isNew = ({ text }: Finding) => !said.has(text) && said.add(text).has(text)
  return { ...brief, facts: brief.facts.filter(isNew), questions: brief.questions.filter(isNew) }
}

/** The brief as Markdown, with a word on who wrote it. Summaries leave out what stands above them. */
export const toMarkdown = (brief: Brief, digests: ReadonlyArray<Digest>, byline: string): string => {
  const folder = commonFolder(digests.map(({ name }) => name))
  const place = (source: string) => `_(${source.startsWith(folder) ? source.slice(folder.length) : source})_`

  const said = new Set<string>()
  const say = (text: string, most?: number): string => {
    const sentences = Sentence.split(text)
      .filter((sentence) => !said.has(sentence))
      .slice(0, most)
    for (const sentence of sentences) said.add(sentence)
    return sentences.join(" ")
  }

  const list = (title: string, findings: ReadonlyArray<Finding>) =>
    findings.length === 0
      ? []
      : [`## ${title}`, findings.map(({ source, text }) => `- ${say(text)} ${place(source)}`).join("\n")]

  const document = ({ kind, name, parts, summary, title, words }: Digest): string => {
    const about = `- **${title}** ${place(`${name}, ${kind}, ${words.toLocaleString("en")} words`)}`
    const news = say(summary) || say(parts.map(({ summary }) => summary).join(" "), 2)
    return news === "" ? about : `${about}: ${news}`
  }

  return [
    `# Brief: ${digests.length === 1 ? digests[0]!.title : `${digests.length} documents`}`,
    `> ${byline}`,
    ...(brief.overview === "" ? [] : ["## Overview", say(brief.overview)]),
    ...list("Facts", brief.facts),
    ...list("Open questions", brief.questions),
    folder === "" ? "## Documents" : `## Documents in ${folder.slice(0, -1) || "/"}`,
    digests.map(document).join("\n")
  ]
    .join("\n\n")
    .concat("\n")
}

/** The folder that all names begin with, with its last slash; nothing if there is none. */
const commonFolder = (names: ReadonlyArray<string>): string => {
  const [first = "", ...others] = names
  const folders = first.split("/").slice(0, -1)
  const shared = folders.findIndex((_, depth) => {
    const folder = `${folders.slice(0, depth + 1).join("/")}/`
    return others.some((name) => !name.startsWith(folder))
  })
  const common = shared === -1 ? folders : folders.slice(0, shared)
  return common.length === 0 ? "" : `${common.join("/")}/`
}
