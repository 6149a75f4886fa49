/**
 * Sentences that can stand alone in somebody else's text.
 *
 * Code, tables, badges and headings never become sentences. What is left is split by `Intl.Segmenter`, mended where it
 * takes an abbreviation or a parenthesis for an end, and kept only when it reads as a whole sentence. The rules are those
 * of English: other languages yield less, some scripts nothing.
 */
import * as Markdown from "./Markdown.ts"
import { countWords, terms } from "./Terms.ts"

export interface Sentence {
  /** As a reader sees it: inline Markdown resolved, `code` kept. */
  readonly text: string
  readonly words: number
  readonly terms: ReadonlyArray<string>
  /** The headings it stands under, as in `Install > Linux`; the text's title where there are none below level 1. */
  readonly heading: string
  /** Its place in the text, from 0. */
  readonly position: number
  /** What it stood in. */
  readonly place: "paragraph" | "quote" | "item" | "open task"
  /** Whether it is a whole sentence; the rest are fragments such as short list items. */
  readonly whole: boolean
}

/** Every sentence of a Markdown text, in order, without repetitions. */
export const parse = (source: string, title: string): ReadonlyArray<Sentence> => {
  const sentences = new Map<string, Sentence>()
  const trail: Array<string | undefined> = []
  let heading = title
  for (const block of Markdown.parse(source)) {
    if (block._tag === "Heading" && block.level > 1) {
      trail.length = block.level - 1
      trail[block.level - 2] = block.text
      heading = trail.filter((heading) => heading !== undefined).join(" > ")
    } else if (block._tag === "Heading") {
      trail.length = 0
      heading = block.text
    }
    if (block._tag !== "Paragraph" && block._tag !== "Item") continue
    const place = block._tag === "Item" ? (block.open ? "open task" : "item") : block.quoted ? "quote" : "paragraph"
    for (const [index, text] of split(block.text).entries()) {
      const key = terms(text).join(" ")
      if (key === "" || sentences.has(key)) continue
      sentences.set(key, {
        text,
        words: countWords(text),
        terms: terms(text),
        heading,
        position: sentences.size,
        place,
        whole: isWhole(text, place === "paragraph" && index === 0)
      })
    }
  }
  return [...sentences.values()]
}

/** Headings, paragraphs and list items, without what is no prose. */
export const prose = (source: string): string =>
  Markdown.parse(source)
    .flatMap((block) => (block._tag === "Other" ? [] : [Markdown.plain(block.text)]))
    .join("\n")

/** Where `Markdown.shieldCode` left its marks. */
const code = /[\ue000-\uf8ff]/g
const segmenter = new Intl.Segmenter("en", { granularity: "sentence" })
const abbreviation =
  /(?:^|[\s(])(?:[eE]\.g|[iI]\.e|cf|vs|approx|incl|resp|a\.k\.a|No|[fF]ig|[sS]ec|[cC]h|Dr|Mr|Mrs|Ms|Prof|St|\p{Lu})\.\s*$/u

/** Splits inline Markdown into sentences. */
export const split = (text: string): ReadonlyArray<string> => {
  const [shielded, restore] = Markdown.shieldCode(Markdown.plain(text))
  const sentences: Array<string> = []
  let pending = ""
  // To the segmenter a code span is a capital letter: a sentence may begin with it.
  for (const { index, segment } of segmenter.segment(shielded.replace(code, "C"))) {
    pending += shielded.slice(index, index + segment.length)
    if (abbreviation.test(pending) || isInsideParenthesis(pending)) continue
    sentences.push(restore(pending.trim()))
    pending = ""
  }
  if (pending.trim() !== "") sentences.push(restore(pending.trim()))
  return sentences
}

const isInsideParenthesis = (text: string): boolean =>
  text.split("(").length > text.split(")").length && countWords(text) < 50

/** A start, an end, a sensible length, and mostly words: signatures, arrows and equations are no prose. */
const isWhole = (text: string, opensParagraph: boolean): boolean => {
  const [prose] = Markdown.shieldCode(text)
  const words = countWords(prose)
  const start = opensParagraph ? prose.charAt(0).toUpperCase() + prose.slice(1) : prose
  return (
    /^["'“(]?[\p{Lu}\p{N}\ue000-\uf8ff]/u.test(start) &&
    (prose.startsWith("(") ? /[.!?…]["'”’]?\)$/ : /[.!?…]["'”’]?$/).test(prose) &&
    words >= 5 &&
    words <= 50 &&
    count(prose, /[\p{L}\s\ue000-\uf8ff]/gu) / prose.length >= 0.8 &&
    count(prose, code) / words <= 0.3 &&
    count(prose, /\(/g) === count(prose, /\)/g) &&
    !/^[\p{N}.]+:|[{}|<>=·→•]|->|\]\(|\w\((?!s\))|https?:\/\/\S+$/u.test(prose) &&
    !/`[^`]{50,}`/.test(text)
  )
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0
