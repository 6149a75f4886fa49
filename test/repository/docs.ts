// Doc comments: which exports have one, and the code fences inside.
import { existsSync } from "node:fs"
import { join } from "node:path/posix"
import { blank, lineOf, repository, type SourceFile, sourceFile, spans } from "./source.ts"

/** A fenced piece of TypeScript: `line` is the line of its first line of code in `path`. */
export interface Fence {
  readonly path: string
  readonly symbol: string
  readonly line: number
  readonly code: string
  /** ` ```ts no-run `: the code is type-checked and never run. */
  readonly noRun: boolean
}

interface DocComment {
  readonly start: number
  readonly end: number
  /** Without the stars; line n of it is line n of the comment. */
  readonly body: string
}

const docComments = (text: string): ReadonlyArray<DocComment> =>
  spans(text)
    .filter(({ kind, start }) => kind === "comment" && text.startsWith("/**", start))
    .map(({ end, start }) => ({
      start,
      end,
      body: text
        .slice(start + 3, end - 2)
        .split("\n")
        .map((line, index) => (index === 0 ? line : line.replace(/^\s*\*? ?/, "")))
        .join("\n")
    }))

const fencePattern = /^([ \t]*)(```+)(?:ts|typescript)\b([^\n]*)\n([\s\S]*?)^[ \t]*\2[ \t]*$/gm

const fencesOf = (body: string): ReadonlyArray<Pick<Fence, "line" | "code" | "noRun">> =>
  Array.from(body.matchAll(fencePattern), (match) => ({
    line: lineOf(body, match.index) + 1,
    code: match[4]!
      .split("\n")
      .map((line) => (line.startsWith(match[1]!) ? line.slice(match[1]!.length) : line.trimStart()))
      .join("\n"),
    noRun: /\bno-run\b/.test(match[3]!)
  }))

const declared =
  /^\s*(?:export\s+)?(?:default\s+)?(?:declare\s+)?(?:abstract\s+|async\s+)?(?:(?:const|let|function\s*\*?|class|interface|type|namespace)\s+|(?:(?:readonly|static|get)\s+)*)([\w$]+)/

const symbolAfter = (code: string, index: number): string => {
  const name = declared.exec(code.slice(index, index + 400))?.[1]
  return name === undefined || name === "import" || name === "export" ? "module" : name
}

/** The fences of all doc comments of a source file, or of a Markdown file. */
export const fences = ({ path, text }: SourceFile): ReadonlyArray<Fence> => {
  if (path.endsWith(".md")) return fencesOf(text).map((fence) => ({ ...fence, path, symbol: `line ${fence.line}` }))
  const code = blank(text)
  return docComments(text).flatMap(({ body, end, start }) =>
    fencesOf(body).map((fence) => ({
      ...fence,
      path,
      symbol: symbolAfter(code, end),
      line: fence.line + lineOf(text, start) - 1
    }))
  )
}

type Exports = Readonly<Record<string, string | null | Readonly<Record<string, string>>>>

/** The source files behind `exports` of package.json. */
export const publicModules = (exports: Exports): ReadonlyArray<string> => {
  const paths = Object.values(exports).flatMap((target) => {
    const source = typeof target === "object" && target !== null ? target["baton-source"] : undefined
    return source === undefined ? [] : [join(source)]
  })
  return Array.from(new Set(paths)).sort()
}

/** The source of a path, or undefined where there is none. */
export type Read = (path: string) => SourceFile | undefined

export const readRepository: Read = (path) => (existsSync(join(repository, path)) ? sourceFile(path) : undefined)

interface Declaration {
  readonly name: string
  readonly isValue: boolean
  readonly start: number
}

const declaration =
  /^(?:export )?(?:declare )?(?:(const|let|var|(?:async )?function\s*\*?|(?:abstract )?class)|interface|type|namespace)\s+([\w$]+)/gm

const declarations = (code: string): ReadonlyArray<Declaration> =>
  Array.from(code.matchAll(declaration), (match) => ({
    name: match[2]!,
    isValue: match[1] !== undefined,
    start: match.index
  }))

const hasExample = (body: string) =>
  body.includes("**Example**") && fencesOf(body.slice(body.indexOf("**Example**"))).length > 0

/** The names between the braces of an import or export, with their offsets. */
const listed = (names: string) =>
  Array.from(names.matchAll(/(type\s+)?([\w$]+)(?:\s+as\s+([\w$]+))?\s*(?:,|$)/g), (match) => ({
    index: match.index,
    isType: match[1] !== undefined,
    name: match[2]!,
    alias: match[3] ?? match[2]!
  }))

/**
 * What is missing in the docs of a public module, one sentence each: an exported value needs a doc comment with an
 * **Example** section that holds a TypeScript fence, an exported type needs a doc comment. Of several declarations of one
 * name (overloads) one will do. Re-exports are followed to where they are declared, except to other public modules.
 */
export const docProblems = (
  path: string,
  read: Read,
  isPublic: (path: string) => boolean,
  only?: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const file = read(path)
  if (file === undefined) return [`${path}: does not exist`]
  const { text } = file
  const code = blank(text)
  const all = declarations(code)
  const exported = new Set(only ?? all.filter(({ start }) => code.startsWith("export", start)).map(({ name }) => name))
  const problems: Array<string> = []
  const comments = docComments(text)
  const docBefore = (start: number) =>
    comments.findLast((comment) => comment.end <= start && code.slice(comment.end, start).trim() === "")?.body

  const follow = (specifier: string, line: number, names?: ReadonlyArray<string>) => {
    const target = join(path, "..", specifier)
    if (!specifier.startsWith(".")) problems.push(`${path}:${line}: re-exports from "${specifier}"`)
    else if (!isPublic(target)) problems.push(...docProblems(target, read, isPublic, names))
  }
  const quoted = (end: number, quotes: string) => text.slice(end - quotes.length + 1, end - 1)
  const imported = new Map(
    Array.from(code.matchAll(/^import (?:type )?\{([^}]*)\}\s*from\s*(["'] *["'])/gm)).flatMap((match) =>
      listed(match[1]!).map(({ alias, name }) => [
        alias,
        { name, specifier: quoted(match.index + match[0].length, match[2]!) }
      ])
    )
  )
  for (const match of code.matchAll(
    /^export (type )?(?:\{([^}]*)\}|\*(?: as ([\w$]+))?)(?:\s*from\s*(["'] *["']))?/gm
  )) {
    const end = match.index + match[0].length
    const line = lineOf(text, end)
    const specifier = match[4] === undefined ? undefined : quoted(end, match[4])
    if (match[2] === undefined) {
      if (only === undefined) follow(specifier!, line)
      continue
    }
    for (const { alias, index, isType, name } of listed(match[2])) {
      exported.delete(alias)
      if (only !== undefined && !only.includes(alias)) continue
      // A comment in the list itself is what a reader of this module sees; else the declaration's counts.
      const start = match.index + match[0].indexOf("{") + 1 + index
      const own = docBefore(start)
      const from = imported.get(name)
      if (own !== undefined) {
        if (!isType && match[1] === undefined && !hasExample(own))
          problems.push(`${path}:${lineOf(text, start)}: ${alias} has no **Example** with a \`\`\`ts fence`)
      } else if (specifier !== undefined) follow(specifier, line, [name])
      else if (from !== undefined) follow(from.specifier, line, [from.name])
      else exported.add(name)
    }
  }
  for (const match of code.matchAll(/^export (?:default\b|(?:const|let|var)\s*[{[])/gm))
    problems.push(`${path}:${lineOf(text, match.index)}: export a named declaration, so that it can have docs`)

  for (const name of exported) {
    const named = all.filter((one) => one.name === name)
    const lacks = (some: ReadonlyArray<Declaration>, what: string, has: (body: string) => boolean) => {
      if (some.length > 0 && !some.some((one) => has(docBefore(one.start) ?? "")))
        problems.push(`${path}:${lineOf(text, some[0]!.start)}: ${name} has no ${what}`)
    }
    const values = named.filter(({ isValue }) => isValue)
    const types = named.filter(({ isValue }) => !isValue)
    if (values.some((one) => docBefore(one.start) !== undefined))
      lacks(values, "**Example** with a ```ts fence", hasExample)
    else lacks(values, "doc comment", () => false)
    lacks(types, "doc comment", (body) => body.trim() !== "")
    if (named.length === 0) problems.push(`${path}: exports ${name}, whose declaration was not found`)
  }
  return problems
}
