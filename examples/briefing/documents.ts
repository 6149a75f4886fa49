/**
 * The documents on the desk: Markdown and text files, read from files and folders and cut into sections.
 */
import { Effect, FileSystem, Path, type PlatformError, Schema } from "effect"
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
  /** What its front matter or its first heading calls it, or the file's name. */
  title: Schema.String,
  text: Schema.String,
  words: Schema.Int,
  /** In order; headings with nothing under them are left out. */
  sections: Schema.Array(Section)
})
export type Document = typeof Document.Type

/** Nothing to read at a path: it does not exist, or holds no Markdown or text but headings. */
export class NoDocuments extends Schema.TaggedError<NoDocuments>()("NoDocuments", { path: Schema.String }) {
  override get message() {
    return `No Markdown or text to read at ${this.path}: give a .md or .txt file, or a folder that has some`
  }
}

/** A document from its text. */
export const fromText = (name: string, text: string): Document => {
  const lines = text.split(/\r?\n/)
  const headings = Markdown.parse(text).filter((block) => block._tag === "Heading")
  const frontMatter = /^---\r?\n(.*?)\r?\n---\r?\n/s.exec(text)?.[1]
  const title =
    headings.find(({ level }) => level === 1)?.text ??
    /^title: *(["']?)(.+)\1\s*$/m.exec(frontMatter ?? "")?.[2] ??
    headings[0]?.text ??
    name.slice(name.lastIndexOf("/") + 1)
  const first = frontMatter === undefined ? -1 : frontMatter.split("\n").length + 1
  const starts = [{ level: 0, line: first, text: title }, ...headings]
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
export const parts = ({ sections }: Pick<Document, "sections">, words: number): ReadonlyArray<Section> => {
  const parts: Array<Section> = []
  for (const piece of sections.flatMap((section) => cut(section, words))) {
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

/** A file or folder that is there, but can not be read. */
export class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `Cannot read ${this.path} (${this.problem}): make it readable, or leave it out`
  }

  static from(path: string) {
    return ({ reason }: PlatformError.PlatformError) => new Unreadable({ path, problem: reason._tag })
  }
}

/** Reads files and folders, each document once, in the order of the paths and of the names below them. */
export const read: (
  paths: ReadonlyArray<string>
) => Effect.Effect<ReadonlyArray<Document>, NoDocuments | Unreadable, FileSystem.FileSystem | Path.Path> =
  Effect.fnUntraced(function* (paths) {
    const seen = new Set<string>()
    const names = yield* Effect.forEach(paths, (path) => find(path, seen))
    const documents = yield* Effect.forEach(names.flat(), readDocument, { concurrency: 8 })
    const isEmpty = documents.every(({ sections }) => sections.length === 0)
    return isEmpty ? yield* new NoDocuments({ path: paths.join(", ") }) : documents
  })

const readDocument = Effect.fnUntraced(function* (name: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(fs.readFileString(name), Unreadable.from(name))
  return fromText(name, text)
})

const readable = /\.(md|markdown|txt)$/i
/** Folders that hold other people's or generated text. */
const skipped = /^(\..*|node_modules|dist|out)$/

/** The documents at a path. What was `seen` is left out: links can lead in circles, and paths into each other. */
const find = Effect.fnUntraced(function* (start: string, seen: Set<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  let found = 0
  const walk: (at: string) => Effect.Effect<ReadonlyArray<string>, Unreadable> = Effect.fnUntraced(function* (at) {
    const [real, info] = yield* Effect.all([fs.realPath(at), fs.stat(at)]).pipe(Effect.mapError(Unreadable.from(at)))
    const isDocument = info.type === "File" && (at === start || readable.test(at))
    if (isDocument || seen.has(real)) found++
    if (seen.has(real)) return []
    seen.add(real)
    if (isDocument) return [at]
    if (info.type !== "Directory") return []
    const entries = yield* Effect.mapError(fs.readDirectory(at), Unreadable.from(at))
    const names = entries.filter((name) => !skipped.test(name)).toSorted()
    return (yield* Effect.forEach(names, (name) => walkIfThere(path.join(at, name)))).flat()
  })
  /** A link that leads nowhere is nothing to read. */
  const walkIfThere = (at: string) =>
    Effect.catchIf(
      walk(at),
      ({ problem }) => problem === "NotFound",
      () => Effect.succeed([])
    )
  const names = yield* walkIfThere(start)
  return found > 0 ? names : yield* new NoDocuments({ path: start })
})
