// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source texts
import { existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Option } from "effect"
import { type Fence, fences } from "./docs.ts"
import { type Example, folderOf, toExample, typeProblems, writeExamples } from "./examples.ts"
import { plain, reached } from "./results.ts"
import { repository, sourceFile, sourceFiles } from "./source.ts"

/** Imports an example and says what went wrong: an error, or a `// =>` that failed or was never reached. */
const run = async ({ results }: Example, path: string): Promise<ReadonlyArray<string>> => {
  let thrown: unknown
  try {
    await import(/* @vite-ignore */ pathToFileURL(path).href)
  } catch (error) {
    thrown = error
  }
  const message = (error: unknown) => (error instanceof Error ? error.message : String(error))
  const problems = results.flatMap((at) =>
    !reached.has(at)
      ? [`${at}: was never reached: is the program run, and awaited?`]
      : reached.get(at) === undefined
        ? []
        : [message(reached.get(at))]
  )
  const isTold = thrown === undefined || Array.from(reached.values()).includes(thrown)
  return isTold ? problems : [message(thrown), ...problems]
}

const files = [
  ...sourceFiles("src"),
  ...["README.md", "DESIGN.md"].filter((path) => existsSync(join(repository, path))).map(sourceFile)
]
const examples = files.flatMap(fences).map(toExample)
const folder = folderOf(process.pid)
const own = `${folder}-check`
// Before too, as a run that was killed leaves its own behind.
const clear = () => {
  for (const path of [folder, own]) rmSync(path, { recursive: true, force: true })
}
beforeAll(clear)
afterAll(clear)

describe("the examples of the docs", () => {
  let paths: ReadonlyArray<string> = []
  let wrong: ReturnType<typeof typeProblems> = new Map()
  beforeAll(() => {
    paths = writeExamples(folder, examples)
    wrong = typeProblems(folder, examples, paths)
  })

  it("can be given to the compiler", () => {
    assert.deepStrictEqual(examples.length === 0 ? [] : (wrong.get("") ?? []), [])
  })

  const seen = new Map<string, number>()
  for (const [index, example] of examples.entries()) {
    const count = (seen.get(example.name) ?? 0) + 1
    seen.set(example.name, count)
    const verb = example.results.length > 0 && !example.fence.noRun ? "compiles and gives what it says" : "compiles"
    it(`${example.name}${count === 1 ? "" : ` ${count}`} ${verb}`, async () => {
      assert.deepStrictEqual([...example.problems, ...(wrong.get(paths[index]!) ?? [])], [])
      if (example.results.length > 0 && !example.fence.noRun)
        assert.deepStrictEqual(await run(example, paths[index]!), [])
    })
  }
})

describe("the check of the examples", () => {
  const fence = (lines: ReadonlyArray<string>, path: string): Fence => ({
    path,
    symbol: "f",
    line: 10,
    code: lines.join("\n"),
    noRun: false
  })
  const check = async (...lines: ReadonlyArray<string>) => {
    const path = `made-up-${++made}.ts`
    const example = toExample(fence(lines, path))
    const [file] = writeExamples(join(own, String(made), ".."), [{ ...example, name: path }])
    const problems = [...example.problems, ...(await run(example, file!))]
    return problems.map((problem) => problem.replace(path, "F").split("\n")[0]!)
  }
  let made = 0

  it("compares expressions, constants, awaited promises, yields and logs with the value beside them", async () => {
    assert.deepStrictEqual(
      await check(
        'import { Effect, Option } from "effect"',
        "1 + 1 // => 2",
        'const text = `a ${"b"}` // => "a b"',
        "Promise.resolve([1]) // => [1]",
        "console.log(text.length, 1) // => [3, 1]",
        "console.log(text); // => text",
        "const program = Effect.gen(function*() {",
        "  const one = yield* Effect.succeed({",
        "    a: 1",
        "  }) // => { a: 1 }",
        "  yield* Effect.succeed(one.a)",
        "    .pipe(Effect.map((n) => n + 1)) // => 2",
        "  return Option.some(one.a)",
        "})",
        "const options = [{ a: 1, b: 2 }]",
        "await Effect.runPromise(",
        "  program",
        ')  // => { _tag: "Some", value: 1 }',
        "options",
        "// => [{ a: 1,",
        "//        b: 2 }]",
        "Effect.runSync(program) // => Option.some(1)"
      ),
      []
    )
  })

  it("fails where a value differs, in a function too", async () => {
    const differs = "Expected values to be strictly deep-equal:"
    assert.deepStrictEqual(await check("const a = 1", "a // => 2"), [`F:11: ${differs}`])
    assert.deepStrictEqual(await check("const f = () => {", "  [1] // => [2]", "}", "try { f() } catch {}"), [
      `F:11: ${differs}`
    ])
  })

  it("fails where a result is never reached, is a promise nobody awaits, or the example throws", async () => {
    assert.deepStrictEqual(await check("export const f = () => {", "  1 // => 1", "}"), [
      "F:11: was never reached: is the program run, and awaited?"
    ])
    assert.deepStrictEqual(await check("const f = () => {", "  Promise.resolve(1) // => 1", "}", "f()"), [
      "F:11: the result is a Promise: await it"
    ])
    assert.deepStrictEqual(await check("1 // => 1", 'throw new Error("boom")'), ["boom"])
  })

  it("says so where it cannot tell what is compared", () => {
    const problems = (...lines: ReadonlyArray<string>) => toExample(fence(lines, "F")).problems.length
    assert.deepStrictEqual(
      [
        problems("const f = () => {", "  return 1 // => 1", "}"),
        problems("f(", "  1 // => 1", ")"),
        problems("1 // => {"),
        problems("// => 1")
      ],
      [1, 1, 1, 1]
    )
  })

  it("reports type errors at their line in the docs, under the example they are in", () => {
    const examples = [
      toExample(fence(["const a: number = 1"], "Good")),
      toExample(fence(["// first", 'export const b: number = "b"'], "Bad"))
    ]
    const paths = writeExamples(join(own, "types", ".."), examples)
    const wrong = typeProblems(own, examples, paths)
    assert.deepStrictEqual(
      [wrong.get(""), wrong.get(paths[0]!), wrong.get(paths[1]!)],
      [undefined, undefined, ["Bad:11: error TS2322: Type 'string' is not assignable to type 'number'."]]
    )
  })

  it("compares instances by what they hold", () => {
    class Point {
      x = 1
      missing = undefined
    }
    assert.deepStrictEqual(plain([new Point(), new Map([["a", new Point()]]), Option.none(), new Error("no")]), [
      { x: 1 },
      new Map([["a", { x: 1 }]]),
      { _tag: "None" },
      { message: "no" }
    ])
    assert.deepStrictEqual(plain(Exit.succeed(1)), { _tag: "Success", value: 1 })
    assert.deepStrictEqual(plain(Effect.runSyncExit(Effect.fail("no"))), {
      _tag: "Failure",
      cause: { reasons: [{ _tag: "Fail", error: "no" }] }
    })
    assert.deepStrictEqual(plain(new Date(0)), "1970-01-01T00:00:00.000Z")
  })
})

describe("fences", () => {
  it("are found in doc comments, by line and by the symbol they document", () => {
    const text = [
      "/**",
      " * About the module.",
      " *",
      " * ```ts no-run",
      " * serve()",
      " * ```",
      " */",
      'import "a"',
      "/* ```ts",
      " not this",
      "``` */",
      "export interface I {",
      "  /**",
      "   * ```ts",
      "   * if (a) {",
      "   *   b // => 1",
      "   * }",
      "   * ```",
      "   */",
      "  readonly field: 1",
      "}",
      "/**",
      " * ```sh",
      " * npm start",
      " * ```",
      " */",
      "export const f = 1"
    ].join("\n")
    assert.deepStrictEqual(fences({ path: "src/A.ts", text }), [
      { path: "src/A.ts", symbol: "module", line: 5, code: "serve()\n", noRun: true },
      { path: "src/A.ts", symbol: "field", line: 15, code: "if (a) {\n  b // => 1\n}\n", noRun: false }
    ])
  })

  it("are found in Markdown, indented ones too", () => {
    const text = ["# Title", "```ts", "a()", "```", "- item", "  ```ts", "  b()", "  ```", "```json", "{}", "```"].join(
      "\n"
    )
    assert.deepStrictEqual(
      fences({ path: "README.md", text }).map(({ code, line }) => [line, code]),
      [
        [3, "a()\n"],
        [7, "b()\n"]
      ]
    )
  })
})
