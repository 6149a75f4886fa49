// What the tests of this folder need to know about TypeScript source. TypeScript 7 has no compiler API yet, so this is a
// scanner of its own: it knows comments, strings, templates and regular expressions, and nothing of the grammar.
import { readdirSync, readFileSync } from "node:fs"
import { join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"

export const repository = fileURLToPath(new URL("../..", import.meta.url)).replace(/[/\\]$/, "")

/** A source file; `path` is relative to the repository, with slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

export const sourceFile = (path: string): SourceFile => ({ path, text: readFileSync(join(repository, path), "utf8") })

/** Every `.ts` file below a folder of the repository. */
export const sourceFiles = (folder: string): ReadonlyArray<SourceFile> =>
  readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(repository, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort()
    .map(sourceFile)

export const lineOf = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** A stretch of source that is not code. Offsets include the delimiters. */
export interface Span {
  readonly kind: "comment" | "string" | "template" | "regex"
  readonly start: number
  readonly end: number
}

// After one of these a slash begins a regular expression; after anything else it divides.
const beforeRegex = /(?:^|[(,=:[!&|?{};+\-*%<>~^\n]|\b(?:return|typeof|case|in|of|do|else|yield|await|void|throw))$/

/** All comments, strings, template pieces and regular expressions, in order. Code inside `${}` is code. */
export const spans = (text: string): ReadonlyArray<Span> => {
  const out: Array<Span> = []
  // For each open `${`, the number of braces that are open inside it.
  const templates: Array<number> = []
  let lastCode = 0 // end of the last thing that is not blank or a comment
  let index = 0
  const push = (kind: Span["kind"], end: number) => {
    out.push({ kind, start: index, end })
    if (kind !== "comment") lastCode = end
    index = end
  }
  const endOf = (pattern: RegExp, from: number) => {
    pattern.lastIndex = from
    const match = pattern.exec(text)
    return match === null ? text.length : match.index + match[0].length
  }
  const templateEnd = (from: number) => {
    let at = from
    while (at < text.length) {
      if (text[at] === "\\") at += 2
      else if (text[at] === "`") return at + 1
      else if (text[at] === "$" && text[at + 1] === "{") {
        templates.push(0)
        return at + 2
      } else at++
    }
    return text.length
  }
  while (index < text.length) {
    const char = text[index]!
    if (char === "/" && text[index + 1] === "/") push("comment", endOf(/(?=\n)|$/g, index))
    else if (char === "/" && text[index + 1] === "*") push("comment", endOf(/\*\//g, index + 2))
    else if (char === '"' || char === "'")
      push("string", endOf(char === '"' ? /(?:\\[\s\S]|[^"\\\n])*"?/y : /(?:\\[\s\S]|[^'\\\n])*'?/y, index + 1))
    else if (char === "`") push("template", templateEnd(index + 1))
    else if (char === "}" && templates.at(-1) === 0) {
      templates.pop()
      push("template", templateEnd(index + 1))
    } else if (char === "/" && beforeRegex.test(text.slice(Math.max(0, lastCode - 12), lastCode)))
      push("regex", endOf(/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])*\/[a-z]*/y, index + 1))
    else {
      if (templates.length > 0 && char === "{") templates[templates.length - 1]!++
      if (templates.length > 0 && char === "}") templates[templates.length - 1]!--
      index++
      if (char.trim() !== "") lastCode = index
    }
  }
  return out
}

/** The text with everything that is not code replaced by `fill`: same length, same lines, string quotes kept. */
export const blank = (text: string, fill: (kind: Span["kind"]) => string = () => " "): string => {
  let out = ""
  let at = 0
  for (const { end, kind, start } of spans(text)) {
    const hidden = text.slice(start, end).replace(/[^\n]/g, fill(kind))
    out += text.slice(at, start)
    out += kind === "string" ? text[start] + hidden.slice(1, -1) + text[end - 1] : hidden
    at = end
  }
  return out + text.slice(at)
}

/** One `import` or `export ... from`. `isType` is true where nothing is left of it at run time. */
export interface Import {
  readonly specifier: string
  readonly isType: boolean
  readonly line: number
}

const importStatement =
  /(?:^|[;\n])[ \t]*(?:import|export)(\s+type\b(?!\s*(?:,|from\b)))?\s+[^"'`;=()]*?\bfrom\s*(["'] *["'])/g
const importForEffect = /(?:^|[;\n])[ \t]*import\s*(["'] *["'])/g
const importCall = /\bimport\s*\(\s*(["'] *["'])/g

/**
 * Every import and re-export of a module. `import { type A }` counts as a run-time import, because with
 * `verbatimModuleSyntax` the module is still loaded. `typeof import("x")` and `import("x").A` in a type count too: write `import type`.
 */
export const imports = (text: string): ReadonlyArray<Import> => {
  const code = blank(text)
  const found = (pattern: RegExp, type: number | undefined, specifier: number) =>
    Array.from(code.matchAll(pattern), (match) => {
      const end = match.index + match[0].length
      return {
        specifier: text.slice(end - match[specifier]!.length + 1, end - 1),
        isType: type !== undefined && match[type] !== undefined,
        line: lineOf(text, end)
      }
    })
  return [
    ...found(importStatement, 1, 2),
    ...found(importForEffect, undefined, 1),
    ...found(importCall, undefined, 1)
  ].sort((a, b) => a.line - b.line)
}
