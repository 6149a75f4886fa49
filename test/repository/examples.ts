// Turns the fences of the docs into modules that a compiler and a test can run.
import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Fence } from "./docs.ts"
import { blank, lineOf, repository, spans } from "./source.ts"

/** An example as a module. `results` are the places of its `// =>` lines; `problems` says what could not be understood. */
export interface Example {
  readonly name: string
  readonly fence: Fence
  readonly module: string
  readonly results: ReadonlyArray<string>
  readonly problems: ReadonlyArray<string>
}

const header =
  'import { $logged, $result, $value } from "../../test/repository/results.ts"; void [$logged, $result, $value]; '

const closes = ")]}"
const opens = "([{"

/** Where the statement that ends at `end` begins, by JavaScript's rule that a new line ends it unless the code cannot go on. */
const statementStart = (code: string, end: number): number => {
  let depth = 0
  for (let at = end - 1; at >= 0; at--) {
    const char = code[at]!
    if (closes.includes(char)) depth++
    else if (opens.includes(char)) {
      if (depth === 0) return at + 1
      depth--
    } else if (depth === 0 && char === ";") return at + 1
    else if (depth === 0 && char === "\n") {
      const before = code.slice(0, at).trimEnd()
      const after = code.slice(at, end).trimStart()
      const goesOn = /^(?:[.)\]},?:=+\-*/%&|<>([]|instanceof\b|in\b)/.test(after)
      if (!goesOn && !/(?:[=,?:+\-*/%&|<!.]|=>|\b(?:await|return|yield|typeof|new))$/.test(before)) return at + 1
    }
  }
  return 0
}

const depthAt = (code: string, index: number): number =>
  Array.from(code.slice(0, index)).reduce(
    (depth, char) => depth + (opens.includes(char) ? 1 : closes.includes(char) ? -1 : 0),
    0
  )

const isOpen = (value: string): boolean =>
  value.trim() === "" ||
  depthAt(
    blank(value, () => "_"),
    value.length
  ) > 0

const statementWord =
  /^(?:return|if|for|while|do|switch|try|throw|import|export|type|interface|class|function|const|let|var|declare)\b/

/** Rewrites `statement // => value`, where statement is an expression, `const name = expression` or `console.log(expression)`. */
export const toExample = (fence: Fence): Example => {
  const { code: source, line, path } = fence
  // Strings and templates become words, so that they count as code; comments become blanks.
  const code = blank(source, (kind) => (kind === "comment" ? " " : "_"))
  const comments = spans(source).filter(({ kind }) => kind === "comment")
  const results: Array<string> = []
  const problems: Array<string> = []
  const edits: Array<{ readonly start: number; readonly end: number; readonly text: string }> = []
  comments.forEach((comment, index) => {
    const marker = /^\/\/\s*=>/.exec(source.slice(comment.start, comment.end))
    if (marker === null) return
    let value = source.slice(comment.start + marker[0].length, comment.end)
    // A value whose brackets are still open goes on in the comments below.
    for (let next = index + 1; isOpen(value) && next < comments.length; next++) {
      const { end, start } = comments[next]!
      if (code.slice(comment.end, start).trim() !== "" || !source.startsWith("//", start)) break
      value += ` ${source.slice(start + 2, end).trim()}`
    }
    const at = `${path}:${line + lineOf(source, comment.start) - 1}`
    const end = code.slice(0, comment.start).trimEnd().replace(/;$/, "").length
    const first = statementStart(code, end)
    const start = end - code.slice(first, end).trimStart().length
    const statement = source.slice(start, end)
    const depth = depthAt(code, start)
    const result = (expression: string) =>
      `${depth === 0 ? "await $result" : "$value"}(${expression}, (${value.trim()}), ${JSON.stringify(at)})`
    const constant = /^(?:export\s+)?(?:const|let|var)\s+([\w$]+)[^=]*=/.exec(statement)
    const logged = /^console\.log\(([\s\S]*)\)$/.exec(statement)
    if (isOpen(value)) problems.push(`${at}: what follows // => is not a value`)
    else if (statement === "") problems.push(`${at}: nothing before // => to compare`)
    else if (constant !== null) edits.push({ start: end, end, text: `; ${result(constant[1]!)}` })
    else if (logged !== null) edits.push({ start, end, text: `;${result(`$logged(${logged[1]})`)}` })
    else if (statementWord.test(statement) || /[([]$/.test(code.slice(0, start).trimEnd()))
      problems.push(`${at}: // => must follow an expression statement, \`const name = ...\` or \`console.log(...)\``)
    else edits.push({ start, end, text: `;${result(statement)}` })
    results.push(at)
  })
  const module = edits.reduceRight(
    (text, { end, start, text: by }) => text.slice(0, start) + by + text.slice(end),
    source
  )
  return { name: `${path} ${fence.symbol}`, fence, module: header + module, results, problems }
}

/** A place of examples in the repository: what imports `effect-baton` there gets src. */
export const folderOf = (process: number): string => join(repository, ".doc-examples", String(process))

/** Writes the examples to a folder two levels below the repository; gives their paths, in order. */
export const writeExamples = (folder: string, examples: ReadonlyArray<Example>): ReadonlyArray<string> => {
  mkdirSync(folder, { recursive: true })
  const tsconfig = { extends: "../../tsconfig.json", compilerOptions: { noUnusedLocals: false }, include: ["*.ts"] }
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig))
  return examples.map(({ module, name }, index) => {
    const path = join(folder, `${index + 1}-${name.replace(/[^\w]+/g, "-")}.ts`)
    writeFileSync(path, module)
    return path
  })
}

/** Compiles a folder of examples. Gives what is wrong by file, in terms of the docs; under "" what is wrong with the whole. */
export const typeProblems = (
  folder: string,
  examples: ReadonlyArray<Example>,
  paths: ReadonlyArray<string>
): ReadonlyMap<string, ReadonlyArray<string>> => {
  const tsc = spawnSync(join(repository, "node_modules/.bin/tsc"), ["-p", folder, "--pretty", "false"], {
    cwd: folder,
    encoding: "utf8"
  })
  const problems = new Map<string, Array<string>>()
  const add = (path: string, problem: string) => problems.set(path, [...(problems.get(path) ?? []), problem])
  if (tsc.error !== undefined) add("", `tsc could not be started: ${tsc.error.message}`)
  // A diagnostic starts at the left margin, what explains it is indented.
  for (const diagnostic of `${tsc.stdout ?? ""}`.split(/\n(?=\S)/).filter((text) => text.trim() !== "")) {
    const [, file, line, message] = /^(.+?)\((\d+),\d+\): ([\s\S]*)$/.exec(diagnostic) ?? []
    const index = file === undefined ? -1 : paths.indexOf(join(folder, file))
    if (index >= 0) {
      const { fence } = examples[index]!
      add(paths[index]!, `${fence.path}:${fence.line + Number(line) - 1}: ${message!.trim()}`)
    } else if (file === undefined) add("", diagnostic.trim())
    // Errors in src itself are for `npm run types` to tell.
  }
  return problems
}
