/**
 * The documents on the desk: Markdown and text files, read from files and folders and cut into sections.
 */
import { Array, Effect, FileSystem, Path, type PlatformError, Schema } from "effect"
import * as Markdown from "./extractive/Markdown.ts"
import { countWords } from "./extractive/Terms.ts"

/** What stands under one heading, up to the next heading of any level. */
export const Section = Schema.Struct({
  /** The heading as read, without markup; the document's title for what stands before the first one. */
  heading: Schema.String,
  /** 1 to 6; 0 for what stands before the first heading. */
  level: Schema.Int,
  /** The Markdown under the heading, without the heading. */
  text: Schema.String,
  words: Schema.Int
})
export type Section = typeof Section.Type

export const Document = Schema.Struct({
  /** The path as found, from the path that was asked for; names the document everywhere else. */
  name: Schema.String,
  /** The first heading, or the file's name. */
  title: Schema.String,
  text: Schema.String,
  words: Schema.Int,
  /** In order; headings with nothing under them are left out. */
  sections: Schema.Array(Section)
})
export type Document = typeof Document.Type

/** Nothing to read at a path: it does not exist, or holds no Markdown or text file with words in it. */
export class NoDocuments extends Schema.TaggedError<NoDocuments>()("NoDocuments", { path: Schema.String }) {
  override get message() {
    return `No Markdown or text documents at ${this.path}: give a .md or .txt file, or a folder that has some`
  }
}

/** A document from its text. */
export const fromText = (name: string, text: string): Document => {
  const lines = text.split(/\r?\n/)
  const headings = Markdown.parse(text).filter((block) => block._tag === "Heading")
  const title = headings.find(({ level }) => level === 1)?.text ?? headings[0]?.text ?? name
  const starts = [{ level: 0, line: -1, text: title }, ...headings]
  const sections = starts.flatMap(({ level, line, text: heading }, index): ReadonlyArray<Section> => {
    const under = lines.slice(line + 1, starts[index + 1]?.line)
    const text = (/^ {0,3}[=-]{2,}\s*$/.test(under[0] ?? "") && level > 0 ? under.slice(1) : under).join("\n").trim()
    return text === "" ? [] : [{ heading, level, text, words: countWords(text) }]
  })
  return { name, title, text, words: countWords(text), sections }
}

/**
 * Sections as parts of at most `words` words, for a model to read one by one: short neighbours share a part, a section
 * that is longer is cut between its paragraphs.
 */
export const parts = (document: Document, words: number): ReadonlyArray<Section> => {
  const parts: Array<Section> = []
  for (const piece of document.sections.flatMap((section) => cut(section, words))) {
    const last = parts.at(-1)
    const heading = `${"#".repeat(Math.max(1, piece.level))} ${piece.heading}`
    const text = `${last?.text}\n\n${heading}\n\n${piece.text}`
    if (last !== undefined && piece.level > last.level && countWords(text) <= words) {
      parts[parts.length - 1] = { ...last, text, words: countWords(text) }
    } else parts.push(piece)
  }
  return parts
}

/** Blocks packed up to the limit. No block is cut: a single one may be longer. */
const cut = (section: Section, words: number): ReadonlyArray<Section> => {
  if (section.words <= words) return [section]
  const lines = section.text.split("\n")
  const starts = Markdown.parse(section.text).map(({ line }) => line)
  const packed: Array<string> = []
  for (const [index, start] of starts.entries()) {
    const block = lines.slice(index === 0 ? 0 : start, starts[index + 1]).join("\n")
    const last = packed.at(-1)
    if (last !== undefined && countWords(last) + countWords(block) <= words) {
      packed[packed.length - 1] = `${last}\n${block}`
    } else packed.push(block)
  }
  return packed.map((text) => ({ ...section, text: text.trim(), words: countWords(text) }))
}

/** Reads files and folders, each document once, in the order of the paths and of the names below them. */
export const read: (
  paths: ReadonlyArray<string>
) => Effect.Effect<
  ReadonlyArray<Document>,
  NoDocuments | PlatformError.PlatformError,
  FileSystem.FileSystem | Path.Path
> = Effect.fn("Documents.read")(function* (paths) {
  const found = yield* Effect.forEach(paths, find)
  const names = Array.dedupe(found.flat())
  return yield* Effect.forEach(names, readDocument, { concurrency: 8 })
})

const readDocument = Effect.fnUntraced(function* (name: string) {
  const fs = yield* FileSystem.FileSystem
  return fromText(name, yield* fs.readFileString(name))
})

const readable = /\.(md|markdown|txt)$/i
/** Folders that hold other people's or generated text. */
const skipped = /^(\..*|node_modules|dist|out)$/

const find = Effect.fnUntraced(function* (start: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const walk: (at: string) => Effect.Effect<ReadonlyArray<string>, PlatformError.PlatformError> = Effect.fnUntraced(
    function* (at) {
      const info = yield* fs.stat(at)
      if (info.type === "File") return at === start || readable.test(at) ? [at] : []
      if (info.type !== "Directory") return []
      const names = (yield* fs.readDirectory(at)).filter((name) => !skipped.test(name)).toSorted()
      return (yield* Effect.forEach(names, (name) => walk(path.join(at, name)))).flat()
    }
  )
  const names = (yield* fs.exists(start)) ? yield* walk(start) : []
  return names.length > 0 ? names : yield* new NoDocuments({ path: start })
})
