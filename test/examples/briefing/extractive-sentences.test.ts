import { assert, describe, it } from "@effect/vitest"
import * as Markdown from "../../../examples/briefing/extractive/Markdown.ts"
import * as Measure from "../../../examples/briefing/extractive/Measure.ts"
import * as Sentence from "../../../examples/briefing/extractive/Sentence.ts"

const whole = (source: string) =>
  Sentence.parse(source, "title")
    .filter(({ whole }) => whole)
    .map(({ text }) => text)

describe("Markdown", () => {
  it("tells headings, prose and items from everything else", () => {
    const source = [
      "---",
      "title: front matter",
      "---",
      "Title",
      "=====",
      "[![badge](https://a.b/c.svg)](https://a.b)",
      "",
      "First line",
      "second line.",
      "",
      "```md",
      "# not a heading",
      "```",
      "- [ ] open task",
      "- [x] done task",
      "- [only a link](#there)",
      "",
      "| a | b |",
      "|---|---|",
      "| 1 | 2 |",
      "<div align=center>",
      "html text",
      "</div>",
      "",
      "### Deep `code` ###",
      "> quoted"
    ].join("\n")
    const blocks = Markdown.parse(source).map((block) => ("text" in block ? `${block._tag} ${block.text}` : block._tag))
    assert.deepStrictEqual(blocks, [
      "Other",
      "Heading Title",
      "Paragraph [![badge](https://a.b/c.svg)](https://a.b)",
      "Paragraph First line\nsecond line.",
      "Other",
      "Item open task",
      "Item done task",
      "Other",
      "Other",
      "Other",
      "Heading Deep `code`",
      "Paragraph quoted"
    ])
  })

  it("a fence ends only where its own marks end it", () => {
    const source = "````md\n```ts\ncode\n```\nstill code\n````\nProse after the fence."
    assert.deepStrictEqual(
      whole(source),
      ["Prose after the fence."].filter((text) => text.split(" ").length >= 5)
    )
    assert.deepStrictEqual(
      Markdown.parse(source).map(({ _tag }) => _tag),
      ["Other", "Paragraph"]
    )
  })

  it("inline markup is resolved and code is left as it is", () => {
    assert.strictEqual(
      Markdown.plain("**Use** [the _docs_](https://a.b/c_(d)) with `a_b_c` and snake_case, ~~not~~ <b>this</b>[^1]."),
      "Use the docs with `a_b_c` and snake_case, not this."
    )
    assert.strictEqual(
      Markdown.plain("[PostCSS] reads list[index] and `[code]`."),
      "PostCSS reads list[index] and `[code]`."
    )
  })
})

describe("Sentence", () => {
  it("abbreviations, versions, parentheses and code do not end or hide a sentence", () => {
    assert.deepStrictEqual(
      Sentence.split(
        "Use a store, e.g. SQLite or Postgres. `make` builds v1.2.0 (see below. It is quick.) at once! Is it No. 5?"
      ),
      [
        "Use a store, e.g. SQLite or Postgres.",
        "`make` builds v1.2.0 (see below. It is quick.) at once!",
        "Is it No. 5?"
      ]
    )
  })

  it("half sentences, lead-ins, code and link-only lines are not whole", () => {
    const source = [
      "The store keeps every event of a run.",
      "",
      "The following options are there:",
      "",
      "- a fragment without a start.",
      "- Another fragment without an end",
      "- A list item that is a whole sentence.",
      "",
      "Call run({ id: 1 }) and then wait for it => done.",
      "",
      "Read it at https://example.com/docs/some/page"
    ].join("\n")
    assert.deepStrictEqual(whole(source), [
      "The store keeps every event of a run.",
      "A list item that is a whole sentence."
    ])
  })

  it("a sentence said twice is kept once", () => {
    assert.strictEqual(whole("The store keeps every event.\n\nThe **store** keeps every event.").length, 1)
  })

  it("a sentence knows the headings it stands under", () => {
    const source =
      "# Title\n\n## Install\n\n#### Linux\n\nIt needs a recent kernel to run.\n\n## Use\n\nIt starts with one command."
    assert.deepStrictEqual(
      Sentence.parse(source, "file.md").map(({ heading }) => heading),
      ["Install > Linux", "Use"]
    )
  })
})

describe("Measure", () => {
  const material = [
    { title: "Storage", text: "Every event of a run is kept in the store until it is pruned." },
    { title: "Clocks", text: "Timers follow the clock service, so tests move time by hand." }
  ]
  const measure = (text: string, words = 20) =>
    Measure.measure(text, { words, headings: material.map(({ title }) => title), material })
  const scores = (text: string, words?: number) => measure(text, words).map(({ score }) => score)

  it("length falls with every word above the limit, and no text has none", () => {
    assert.deepStrictEqual(scores("One two three four.", 4)[0], 1)
    assert.deepStrictEqual(scores("One two three four.", 3)[0], 0.75)
    assert.deepStrictEqual(scores("")[0], 0)
  })

  it("a heading is covered by its own words or by what stands under it, and the feedback quotes those that are not", () => {
    assert.strictEqual(measure("Clocks matter.")[1]?.feedback, 'Not covered: "Storage".')
    assert.strictEqual(scores("Every event of a run is kept in the store. Clocks matter.")[1], 1)
    assert.strictEqual(scores("Nothing to do with either.")[1], 0)
    const two = { words: 9, headings: ["2. Lost events"], material: [] }
    assert.strictEqual(Measure.measure("Events are kept.", two)[1]?.score, 0)
    assert.strictEqual(Measure.measure("No event is lost.", two)[1]?.score, 1)
  })

  it("a sentence that says again what one before it said counts as a repetition", () => {
    assert.strictEqual(scores("Events are kept in the store. The store keeps events.")[2], 1 / 2)
    assert.strictEqual(scores("Events are kept in the store. Time moves.")[2], 1)
  })
})
