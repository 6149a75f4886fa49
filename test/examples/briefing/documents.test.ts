import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Path } from "effect"
import * as Documents from "../../../examples/briefing/documents.ts"

/** A folder with the given files, removed with the scope. */
const folder = Effect.fnUntraced(function* (files: Readonly<Record<string, string>>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = yield* fs.makeTempDirectoryScoped()
  for (const [name, text] of Object.entries(files)) {
    yield* fs.makeDirectory(path.dirname(path.join(root, name)), { recursive: true })
    yield* fs.writeFileString(path.join(root, name), text)
  }
  return root
})

describe("documents", () => {
  it.effect("a folder is read in the order of its names, without dependencies, hidden and generated files", () =>
    Effect.gen(function* () {
      const path = yield* Path.Path
      const root = yield* folder({
        "b.txt": "text",
        "a.md": "# A",
        "sub/c.markdown": "c",
        "code.ts": "no",
        "node_modules/x/README.md": "no",
        ".git/d.md": "no",
        "dist/e.md": "no"
      })
      const documents = yield* Documents.read([path.join(root, "b.txt"), root])
      assert.deepStrictEqual(
        documents.map(({ name }) => path.relative(root, name)),
        ["b.txt", "a.md", "sub/c.markdown"]
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("a path that has no document is an error that names it", () =>
    Effect.gen(function* () {
      const root = yield* folder({ "code.ts": "no" })
      const empty = yield* Effect.flip(Documents.read([root]))
      const missing = yield* Effect.flip(Documents.read(["/nowhere/at/all.md"]))
      assert.deepStrictEqual(empty, new Documents.NoDocuments({ path: root }))
      assert.include(missing.message, "/nowhere/at/all.md")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("links are followed once, those that lead nowhere are left out, and a path may be named twice", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const root = yield* folder({ "a.md": "Text.", "sub/b.md": "Text." })
      yield* fs.symlink(root, path.join(root, "sub", "up"))
      yield* fs.symlink(path.join(root, "a.md"), path.join(root, "same.md"))
      yield* fs.symlink("/nowhere/at/all.md", path.join(root, "lost.md"))
      const documents = yield* Documents.read([root, path.join(root, "sub"), path.join(root, "a.md")])
      assert.deepStrictEqual(
        documents.map(({ name }) => path.relative(root, name)),
        ["a.md", "sub/b.md"]
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("documents that hold nothing but headings are nothing to read", () =>
    Effect.gen(function* () {
      const root = yield* folder({ "a.md": "# A\n\n## B\n", "b.txt": "" })
      assert.strictEqual((yield* Effect.flip(Documents.read([root])))._tag, "NoDocuments")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it("front matter names the document and is none of its sections", () => {
    const document = Documents.fromText("a.md", "---\ntitle: 'npm-access'\nsection: 1\n---\n\n### Synopsis\n\nText.\n")
    assert.strictEqual(document.title, "npm-access")
    assert.deepStrictEqual(
      document.sections.map(({ heading, text }) => [heading, text]),
      [["Synopsis", "Text."]]
    )
  })

  it("sections end at the next heading of any level, and those without text are left out", () => {
    const document = Documents.fromText(
      "a.md",
      "Intro.\n\n# Title\n\n## Empty\n\nUnder\n-----\nText one.\n\n```\n# code\n```\n### Deep\nText two."
    )
    assert.strictEqual(document.title, "Title")
    assert.deepStrictEqual(
      document.sections.map(({ heading, level, text }) => [level, heading, text]),
      [
        [0, "Title", "Intro."],
        [2, "Under", "Text one.\n\n```\n# code\n```"],
        [3, "Deep", "Text two."]
      ]
    )
  })

  it("a text without headings is one section named after the file", () => {
    assert.deepStrictEqual(
      Documents.fromText("notes.txt", "One.\n\nTwo.").sections.map(({ heading, text }) => [heading, text]),
      [["notes.txt", "One.\n\nTwo."]]
    )
  })

  it("parts stay within the limit, cut no fence, and lose no line", () => {
    const paragraphs = Array.from({ length: 40 }, (_, n) => `Paragraph ${n} has exactly six words.`)
    const code = `\`\`\`ts\n${Array.from({ length: 5 }, (_, n) => `const line${n} = 1\n`).join("\n")}\`\`\``
    const text = ["# Long", ...paragraphs.slice(0, 20), code, ...paragraphs.slice(20)].join("\n\n")
    const parts = Documents.parts(Documents.fromText("a.md", text), 50)
    assert.isTrue(parts.every(({ words }) => words <= 50))
    assert.isTrue(parts.every(({ text }) => text.split("```").length % 2 === 1))
    const lines = (text: string) => text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
    assert.deepStrictEqual(
      parts.flatMap(({ text }) => lines(text)),
      lines(text)
    )
  })

  it("short sections share a part with the section they stand under, and only with it", () => {
    const text = "## A\n\none two\n\n### A1\n\nthree four\n\n## B\n\nfive six"
    assert.deepStrictEqual(
      Documents.parts(Documents.fromText("a.md", text), 100).map(({ heading, text }) => [heading, text]),
      [
        ["A", "one two\n\n### A1\n\nthree four"],
        ["B", "five six"]
      ]
    )
  })
})
