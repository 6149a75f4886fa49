/**
 * What can be measured about an overview without an opinion: its length, which headings it covers, and whether it says
 * something twice. Scores are 0 to 1.
 */
import * as Rank from "./Rank.ts"
import * as Sentence from "./Sentence.ts"
import { countWords, terms } from "./Terms.ts"

export interface Measure {
  readonly name: "length" | "coverage" | "repetition"
  readonly score: number
  /** What to change; empty when the score is 1. */
  readonly feedback: string
}

export interface Options {
  /** The most words the text may have. */
  readonly words: number
  /** What it should cover. */
  readonly headings: ReadonlyArray<string>
  /** The texts it is about; the one with a heading as its title is what that heading stands for. */
  readonly material: ReadonlyArray<{ readonly title: string; readonly text: string }>
}

export const measure = (text: string, options: Options): ReadonlyArray<Measure> => [
  length(text, options.words),
  coverage(text, options),
  repetition(text)
]

/**
 * Says whether a sentence covers a heading: it has all the heading's content words, or it is about what stands under it,
 * which is so when three quarters of its own content words occur there and no other text has more of them.
 */
export const coverer = ({ headings, material }: Omit<Options, "words">) => {
  const under = new Map(material.map(({ title }) => [title, new Set<string>()]))
  for (const { text, title } of material) for (const term of terms(text)) under.get(title)!.add(term)
  const named = new Map(headings.map((heading) => [heading, terms(heading.replace(/^[\d.]+\s+/, ""))]))
  const shared = (sentence: ReadonlyArray<string>, known: ReadonlySet<string> | undefined) =>
    sentence.filter((term) => known?.has(term)).length
  return (sentence: ReadonlyArray<string>, heading: string): boolean => {
    const wanted = named.get(heading)!
    if (wanted.length > 0 && wanted.every((term) => sentence.includes(term))) return true
    const most = Math.max(3, sentence.length * 0.75, ...[...under.values()].map((known) => shared(sentence, known)))
    return shared(sentence, under.get(heading)) >= most
  }
}

/** 1 within the limit, falling with every word above it; 0 for no words at all. */
const length = (text: string, limit: number): Measure => {
  const words = countWords(text)
  const score = words === 0 ? 0 : Math.min(1, limit / words)
  const feedback = words === 0 ? "There is no text." : score < 1 ? `Too long: ${words} of at most ${limit} words.` : ""
  return { name: "length", score, feedback }
}

/** The share of the headings that is covered. */
const coverage = (text: string, options: Options): Measure => {
  const covers = coverer(options)
  const headings = [...new Set(options.headings)]
  const sentences = sentencesOf(text).map(terms)
  const missing = headings.filter((heading) => !sentences.some((sentence) => covers(sentence, heading)))
  return {
    name: "coverage",
    score: headings.length === 0 ? 1 : 1 - missing.length / headings.length,
    feedback: missing.length === 0 ? "" : `Not covered: ${missing.map((heading) => `"${heading}"`).join(", ")}.`
  }
}

/** The share of the sentences that do not say again what one before them said. */
const repetition = (text: string): Measure => {
  const sentences = sentencesOf(text)
  const seen = sentences.map(terms)
  const repeated = sentences.filter((_, at) =>
    seen.slice(0, at).some((before) => Rank.similarity(before, seen[at]!) >= Rank.tooAlike)
  )
  return {
    name: "repetition",
    score: sentences.length === 0 ? 1 : 1 - repeated.length / sentences.length,
    feedback: repeated.length === 0 ? "" : `Says twice: ${repeated.map((sentence) => `"${sentence}"`).join(" ")}`
  }
}

const sentencesOf = (text: string): ReadonlyArray<string> => text.split(/\n+/).flatMap(Sentence.split)
