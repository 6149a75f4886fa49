/**
 * Markdown as a list of blocks: just enough structure to tell prose from everything that is not.
 *
 * Not a renderer. Plain text files go through it too: paragraphs between empty lines, underlined titles as headings.
 */

export type Block =
  /** A heading; `level` is 1 to 6. */
  | { readonly _tag: "Heading"; readonly level: number; readonly text: string; readonly line: number }
  /** Prose, its lines joined. `quoted` when it stands in a block quote. */
  | { readonly _tag: "Paragraph"; readonly text: string; readonly quoted: boolean; readonly line: number }
  /** One list item. `open` when it is an unticked task, `- [ ] write it`. */
  | { readonly _tag: "Item"; readonly text: string; readonly open: boolean; readonly line: number }
  /** Code, a table, raw HTML or front matter: kept out of every answer. */
  | { readonly _tag: "Other"; readonly line: number }

const fence = /^\s*(`{3,}|~{3,})/
const heading = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/
const htmlHeading = /^\s*<h([1-6])\b[^>]*>(.*?)<\/h\1>\s*$/i
const underline = /^ {0,3}(={2,}|-{2,})\s*$/
const rule = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/
const item = /^(\s*)([-*+•]|\d{1,9}[.)])\s+(.*)$/
const task = /^\[([ xX])\]\s+/
/** What release tools put before an entry. */
const commit = /^[0-9a-f]{7,40}:\s+/
/** An entry of a table of contents. */
const linkOnly = /^\[[^\]]*\]\([^)]*\)\s*$/
const quote = /^ {0,3}>\s?/
const tableDelimiter = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$/
const linkDefinition = /^ {0,3}\[[^\]]+\]:\s+\S+/
const html =
  /^\s*<\/?(?:a|br|center|dd|details|div|dl|dt|hr|img|li|ol|p|picture|pre|script|source|style|sub|summary|sup|svg|table|tbody|td|th|thead|tr|ul|video)\b[^>]*>/i

/** The blocks of a text, in order. Line numbers start at 0. */
export const parse = (source: string): ReadonlyArray<Block> => {
  const lines = source.split(/\r?\n/)
  const blocks: Array<Block> = []
  let open:
    | { readonly _tag: "Paragraph" | "Item"; text: string; readonly mark: boolean; readonly line: number }
    | undefined
  let inList = false

  const close = () => {
    if (open === undefined) return
    const { _tag, line, mark } = open
    const text = open.text.trim()
    if (text !== "") {
      blocks.push(_tag === "Item" ? { _tag, text, open: mark, line } : { _tag, text, quoted: mark, line })
    }
    open = undefined
  }
  /** Skips from `line` to the first line that `ends` the block, and gives the last line skipped. */
  const skip = (line: number, ends: (text: string) => boolean): number => {
    close()
    blocks.push({ _tag: "Other", line })
    let last = line
    while (last + 1 < lines.length && !ends(lines[last]!)) last++
    return last
  }

  for (let line = 0; line < lines.length; line++) {
    const quoted = quote.test(lines[line]!)
    const text = quoted ? lines[line]!.replace(quote, "") : lines[line]!
    const next = lines[line + 1] ?? ""
    const fenced = fence.exec(text)
    if (line === 0 && text === "---" && lines.indexOf("---", 1) > 0) {
      blocks.push({ _tag: "Other", line })
      line = lines.indexOf("---", 1)
    } else if (fenced !== null) {
      close()
      blocks.push({ _tag: "Other", line })
      const end = new RegExp(`^\\s*(?:>\\s?)*\\s*${fenced[1]![0]}{${fenced[1]!.length},}\\s*$`)
      do line++
      while (line < lines.length && !end.test(lines[line]!))
    } else if (text.trim() === "") {
      close()
    } else if (text.trimStart().startsWith("<!--")) {
      line = skip(line, (text) => text.includes("-->"))
    } else if (heading.test(text)) {
      close()
      inList = false
      const [, marks, title] = heading.exec(text)!
      if (title !== undefined) blocks.push({ _tag: "Heading", level: marks!.length, text: plain(title), line })
    } else if (htmlHeading.test(text)) {
      close()
      const [, level, title] = htmlHeading.exec(text)!
      blocks.push({ _tag: "Heading", level: Number(level), text: plain(title!), line })
    } else if (open?._tag === "Paragraph" && !open.mark && underline.test(text)) {
      blocks.push({ _tag: "Heading", level: text.includes("=") ? 1 : 2, text: plain(open.text), line: open.line })
      open = undefined
    } else if (rule.test(text)) {
      close()
      inList = false
    } else if (/^\s*\|/.test(text) || (text.includes("|") && tableDelimiter.test(next))) {
      close()
      blocks.push({ _tag: "Other", line })
      while (line + 1 < lines.length && lines[line + 1]!.includes("|")) line++
    } else if (linkDefinition.test(text)) {
      close()
    } else if (open === undefined && html.test(text)) {
      line = skip(line, (text) => text.trim() === "")
    } else if (open === undefined && !inList && /^(?: {4}|\t)/.test(text)) {
      blocks.push({ _tag: "Other", line })
    } else if (startsItem(text, open?._tag)) {
      close()
      const [, , , content] = item.exec(text)!
      inList = true
      const prose = content!.replace(task, "").replace(commit, "")
      if (linkOnly.test(prose)) blocks.push({ _tag: "Other", line })
      else open = { _tag: "Item", text: prose, mark: task.exec(content!)?.[1] === " ", line }
    } else if (open !== undefined) {
      open.text += `\n${text.trim()}`
    } else {
      if (!/^\s/.test(text)) inList = false
      open = { _tag: "Paragraph", text: text.replace(/^\[!\w+\]\s*/, ""), mark: quoted, line }
    }
  }
  close()
  return blocks
}

/** As in CommonMark, a number other than 1 inside a paragraph is a number, not a list. */
const startsItem = (text: string, within: Block["_tag"] | undefined): boolean => {
  const match = item.exec(text)
  return match !== null && (within !== "Paragraph" || !/^\d/.test(match[2]!) || Number.parseInt(match[2]!, 10) === 1)
}

/** Inline Markdown as a reader sees it: no images, links, emphasis or tags; `code` keeps its backticks. */
export const plain = (text: string): string => {
  const [shielded, restore] = shieldCode(text)
  return restore(
    shielded
      .replace(/\[?!\[[^\]]{0,400}\](?:\([^)]*\)|\[[^\]]*\])(?:\]\([^)]*\)|\]\[[^\]]*\])?/g, "")
      .replace(/\[\^[^\]]+\]/g, "")
      .replace(/\[([^\]]{1,400})\](?:\((?:[^()]|\([^)]{0,200}\)){0,400}\)|\[[^\]]{0,200}\])/g, "$1")
      .replace(/(?<!\w)\[(\p{L}[\p{L}\p{N} .@/-]*)\](?!:)/gu, "$1")
      .replace(/<((?:https?|mailto):[^>\s]+)>/g, "$1")
      .replace(/<!--.*?-->|<\/?[a-zA-Z][^<>]*>/gs, "")
      .replace(/(\*\*\*|\*\*|__)(?=\S)(.{0,400}?\S)\1/gs, "$2")
      .replace(/(?<![\w*\\])([*_])(?=[^\s*_])([^\n]{0,400}?[^\s*_\\])\1(?![\w*])/g, "$2")
      .replace(/~~(.*?)~~/gs, "$1")
      .replace(/\\([\\`*_{}[\]()#+.!|<>~-])/g, "$1")
      .replace(/&nbsp;/g, " ")
      .replace(/&lt;/g, "<")
      .replace(/&gt;/g, ">")
      .replace(/&quot;/g, '"')
      .replace(/&amp;/g, "&")
  )
    .replace(/\s+/g, " ")
    .trim()
}

/** Puts `code` out of reach of other rules: one private character each, and the way back. */
export const shieldCode = (text: string): readonly [shielded: string, restore: (text: string) => string] => {
  const spans: Array<string> = []
  const shielded = text.replace(/[\ue000-\uf8ff]/g, "").replace(/(`+)(?!`)(.+?)(?<!`)\1(?!`)/gs, (span) => {
    if (spans.length > 0x18ff) return span
    spans.push(span.replace(/\s+/g, " "))
    return String.fromCharCode(0xe000 + spans.length - 1)
  })
  return [shielded, (text) => text.replace(/[\ue000-\uf8ff]/g, (mark) => spans[mark.charCodeAt(0) - 0xe000]!)]
}
