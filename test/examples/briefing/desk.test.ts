import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { AiError } from "effect/ai"
import { TestClock } from "effect/testing"
import { Engine } from "effect-baton"
import { Faults, ScriptedHuman } from "effect-baton/testing"
import * as Sentence from "../../../examples/briefing/extractive/Sentence.ts"
import * as Model from "../../../examples/briefing/model.ts"
import { draw } from "../../../examples/briefing/view/draw.ts"
import * as Tree from "../../../examples/briefing/view/Tree.ts"
import { briefing } from "../../../examples/briefing/workflows/briefing.ts"
import { changelog, desk, guide, main } from "./desk.ts"

const services = Layer.mergeAll(Engine.layerMemory, Model.extractive).pipe(Layer.provideMerge(NodeServices.layer))

/** Runs the desk with a person who follows a script. */
const run = Effect.fnUntraced(function* (
  input: { readonly paths: ReadonlyArray<string>; readonly out: string },
  script: ScriptedHuman.Script
) {
  const human = yield* ScriptedHuman.make(script)
  const run = yield* briefing.run(input)
  const execution = yield* Effect.provide(run.start, human.layer)
  yield* execution.exit
  yield* human.assertComplete
  return { execution, events: yield* Stream.runCollect(execution.events) }
})

const sections = (page: string) =>
  new Map(
    page
      .split(/^## /m)
      .slice(1)
      .map((text) => [text.split("\n")[0]!, text])
  )

describe("the briefing desk", () => {
  it.effect("an approved brief is written, with sentences of the documents, their sources, and no repetition", () =>
    Effect.gen(function* () {
      const { exists, file, out, paths, text } = yield* desk
      const { execution } = yield* run({ paths, out }, [
        ScriptedHuman.approve({ when: `Write this brief to ${file}?` })
      ])
      assert.deepStrictEqual(yield* execution.result, { _tag: "Written", file })
      assert.isTrue(yield* exists)
      const page = yield* text
      assert.include(page, "# Brief: 2 documents\n\n> Extractive: local/extractive-1")
      const { Facts, "Open questions": questions, Overview } = Object.fromEntries(sections(page))
      assert.include(Facts, "- One store holds 10,000 events by default. _(guide, short.md > Limits)_")
      assert.include(
        questions,
        "- Should we drop events or refuse them when the store is full? _(guide, short.md > Limits)_"
      )
      const known = new Set(
        [guide, changelog].flatMap((source) => Sentence.parse(source, "").map((sentence) => sentence.text))
      )
      const said = [Overview!.slice("Overview".length), ...page.split("\n").filter((line) => line.startsWith("- "))]
        .map((line) => line.replace(/^- (?:\*\*.*?\*\* _\([^)]*\)_:?)?| _\([^)]*\)_$/g, "").trim())
        .flatMap(Sentence.split)
      assert.isAbove(said.length, 5)
      for (const sentence of said) assert.isTrue(known.has(sentence), sentence)
      assert.strictEqual(new Set(said).size, said.length)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("each document goes to the workflow of its kind, and the plan's steps wait for those they depend on", () =>
    Effect.gen(function* () {
      const { out, paths } = yield* desk
      const { events } = yield* run({ paths, out }, [ScriptedHuman.approve()])
      const done = events.flatMap((event) => (event._tag === "StepCompleted" ? [event.path] : []))
      const [guide, changelog] = ["guide, short.md", "CHANGELOG.md"].map(
        (name) => `read/${encodeURIComponent(`${paths[0]}/${name}`).replaceAll("%20", " ").replaceAll("%2C", ",")}`
      )
      assert.includeMembers(done, [
        "open",
        `${guide}/classify`,
        `${guide}/route/guide/sections/split`,
        `${guide}/route/guide/sections/merge`,
        `${guide}/route/guide/sum up`,
        `${changelog}/route/changelog/sum up`,
        "write/plan",
        "write/step/overview/overview/tightened/generate",
        "write/synthesize",
        "save"
      ])
      const isBefore = (first: string, second: string) => assert.isBelow(done.indexOf(first), done.indexOf(second))
      isBefore("write/step/facts-2", "write/step/key-facts")
      isBefore("write/step/questions-1", "write/step/open-questions")
      isBefore("write/step/key-facts", "write/step/overview")
      assert.notInclude(done, "write/step/facts-1", "a changelog is not asked for facts")
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("a brief that is declined is not written, and the run completes with the reason", () =>
    Effect.gen(function* () {
      const { exists, out, paths } = yield* desk
      const { events, execution } = yield* run({ paths, out }, [ScriptedHuman.reject({ reason: "too long" })])
      assert.deepStrictEqual(yield* execution.result, { _tag: "Declined", reason: "too long" })
      assert.isFalse(yield* exists)
      assert.isFalse(events.some(({ path }) => path === "save"))
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("a run that is cancelled while it waits for the person writes nothing", () =>
    Effect.gen(function* () {
      const { exists, out, paths } = yield* desk
      const execution = yield* (yield* briefing.run({ paths, out })).start
      yield* Stream.runHead(Stream.filter(execution.events, ({ _tag }) => _tag === "RequestOpened"))
      assert.strictEqual(yield* execution.cancel("Ctrl-C"), "cancelled")
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "RunCancelled")
      assert.isFalse(yield* exists)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("a run that a busy model stopped goes on where it stopped: only the step that failed runs again", () =>
    Effect.gen(function* () {
      const { out, paths } = yield* desk
      const reason = new AiError.RateLimitError({ metadata: {} })
      const busy = AiError.make({ module: "LanguageModel", method: "generateObject", reason })
      const faults = yield* Faults.make([Faults.fail(busy, { at: "write/plan" })])
      const human = yield* ScriptedHuman.make([ScriptedHuman.approve()])
      const run = yield* briefing.run({ paths, out })
      const execution = yield* Effect.provide(run.start, Layer.merge(human.layer, faults.layer))
      yield* Stream.runHead(Stream.filter(execution.events, ({ _tag }) => _tag === "RetryScheduled"))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* execution.result)._tag, "Written")
      const events = yield* Stream.runCollect(execution.events)
      const ran = events.flatMap((event) =>
        event._tag === "StepCompleted" && event.reused !== true ? [event.path] : []
      )
      assert.strictEqual(new Set(ran).size, ran.length)
      assert.isTrue(
        events.some((event) => event._tag === "StepCompleted" && event.reused === true && event.path === "open")
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("a path without documents and a folder that can not be written are errors that say so", () =>
    Effect.gen(function* () {
      const { out, paths } = yield* desk
      const missing = yield* Effect.flip(briefing.execute({ paths: ["/nowhere"], out }))
      assert.strictEqual(missing._tag, "NoDocuments")
      const human = yield* ScriptedHuman.make([ScriptedHuman.approve()])
      const blocked = `${paths[0]}/CHANGELOG.md`
      const unwritten = yield* briefing.execute({ paths, out: blocked }).pipe(Effect.provide(human.layer), Effect.flip)
      assert.strictEqual(unwritten._tag, "NotWritten")
      assert.include(unwritten.message, `${blocked}/brief.md`)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("the tree shows what goes on, folds what is done, and keeps to the terminal", () =>
    Effect.gen(function* () {
      const { out, paths } = yield* desk
      const { events, execution } = yield* run({ paths, out }, [ScriptedHuman.approve()])
      const tree = Tree.empty("briefing")
      const space = { columns: 60, rows: 8, frame: 0, now: 0, isColored: false }
      for (const event of events) {
        Tree.update(tree, event)
        const lines = draw(tree, space)
        assert.isAtMost(lines.length, 6)
        for (const line of lines) assert.isBelow(line.length, 60)
        if (event._tag === "RequestOpened") assert.match(lines.join("\n"), /✓ write {2}3 parts.*\n {2}\? approval/)
      }
      assert.deepStrictEqual(
        draw(tree, { ...space, rows: 24 }).map((line) => line.trim().split("  ")[0]),
        ["✓ briefing", "✓ open", "✓ read", "✓ write", "✓ approval", "✓ save"]
      )
      assert.strictEqual(tree.used.calls, (yield* execution.usage).modelCalls)
      assert.strictEqual(tree.used.steps, (yield* execution.usage).steps)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("main.ts", () => {
  it.effect("with --yes it writes the brief, and ends with what the run took and where the brief is", () =>
    Effect.gen(function* () {
      const { file, out, paths, text } = yield* desk
      const { status, stdout } = yield* main([...paths, "--yes", "--out", out])
      assert.strictEqual(status, 0)
      assert.match(stdout, /^run +status +steps +model calls +tokens in +tokens out +cost, \$ +time$/m)
      assert.match(stdout, /^briefing +done +\d+ +\d+/m)
      assert.include(stdout, `The brief is in ${file}. Extractive: local/extractive-1`)
      assert.include(yield* text, "## Overview")
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("without a terminal it wants --yes or --no, and unknown flags are named", () =>
    Effect.gen(function* () {
      const silent = yield* main(["README.md"])
      assert.strictEqual(silent.status, 2)
      assert.include(silent.stderr, "give --yes or --no")
      const unknown = yield* main(["--wat"])
      assert.strictEqual(unknown.status, 2)
      assert.include(unknown.stderr, "--wat")
    })
  )
})
