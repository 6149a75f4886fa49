import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, Parallelization, PromptChaining, Routing, Step, Voting, Workflow } from "effect-baton"
import { expectTypeOf } from "vitest"
import { run } from "./observed.ts"

class Garbled extends Schema.TaggedError<Garbled>()("Garbled", { word: Schema.String }) {}

const onEngine = Effect.provide(Engine.layerMemory)
const anything = { description: "Anything", whenToUse: "Always" }

/** Routing -> parallelization -> routing -> a workflow with a step: a text, its words, long and short words. */
const nested = <R>(work: (word: string) => Effect.Effect<string, Garbled, R>) => {
  const long = Workflow.make("long", {
    error: Garbled,
    run: (word) => Step.make("work", { run: work(word) })
  })
  const short = Workflow.make("short", { run: (word) => Effect.succeed(word) })
  const word = Routing.make("word", {
    workflows: { long: { workflow: long, route: anything }, short: { workflow: short, route: anything } },
    classify: (text) => Effect.succeed(text.length > 3 ? "long" : "short")
  })
  const words = Parallelization.make("words", {
    split: (text) => Effect.succeed(text.split(" ").map((prompt, index) => ({ id: `${index + 1}`, prompt }))),
    worker: word,
    merge: (results) => Effect.succeed(results.map(({ data }) => data).join(" "))
  })
  return Routing.make("text", {
    workflows: { words: { workflow: words, route: anything } },
    classify: () => Effect.succeed("words")
  })
}

const shouting = nested((word) => Effect.succeed(word.toUpperCase()))

describe("patterns in patterns", () => {
  it.effect("give each part a place of its own in the path, and count progress each for itself", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* shouting.execute("to whom it belongs"), "to WHOM it BELONGS")
      assert.deepStrictEqual((yield* run(shouting, "a long")).sort(), [
        ":0/2",
        ":1/2",
        ":2/2",
        "classify",
        "route/words/merge",
        "route/words/split",
        "route/words/subtask/1/classify",
        "route/words/subtask/1:0/2",
        "route/words/subtask/1:1/2",
        "route/words/subtask/1:2/2",
        "route/words/subtask/2/classify",
        "route/words/subtask/2/route/long/work",
        "route/words/subtask/2:0/2",
        "route/words/subtask/2:1/2",
        "route/words/subtask/2:2/2",
        "route/words:0/0",
        "route/words:0/2",
        "route/words:1/2",
        "route/words:2/2",
        "route/words:2/2"
      ])
    }).pipe(onEngine)
  )

  it.effect("leave the execution's progress to the outermost", () =>
    Effect.gen(function* () {
      const execution = yield* (yield* shouting.run("a long text")).start
      yield* execution.result
      assert.deepStrictEqual(yield* execution.progress, { current: 2, total: 2, message: "words" })
    }).pipe(onEngine)
  )

  it("pass the errors of the deepest on, in types and at run time", () => {
    expectTypeOf<Workflow.Error<typeof shouting>>().toEqualTypeOf<
      Garbled | Routing.RouteNotFound | Parallelization.InvalidSubtasks
    >()
    assert.isTrue(Schema.is(shouting.error)(new Garbled({ word: "x" })))
  })

  it.effect("fail with the error of the deepest, which interrupts all that is beside it", () =>
    Effect.gen(function* () {
      const failing = nested((word) =>
        word === "fails" ? Effect.delay(Effect.fail(new Garbled({ word })), "1 second") : Effect.never
      )
      const fiber = yield* Effect.forkChild(run(failing, "this fails"))
      yield* TestClock.adjust("1 second")
      const story = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        story.filter((line) => line.includes("work ")),
        ["route/words/subtask/2/route/long/work Garbled", "route/words/subtask/1/route/long/work interrupted"]
      )
    }).pipe(onEngine)
  )

  it.effect("are cancelled from the top down to the deepest worker", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const waiting = nested((word) =>
        Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => interrupted.push(word))))
      )
      const execution = yield* (yield* waiting.run("these wait")).start
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* execution.cancel("enough"), "cancelled")
      assert.deepStrictEqual(interrupted.sort(), ["these", "wait"])
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "RunCancelled")
    }).pipe(onEngine)
  )

  it.effect("are cancelled from the top where they are children of a run", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const waiting = nested((word) =>
        Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => interrupted.push(word))))
      )
      const parent = Workflow.make("parent", {
        error: waiting.error,
        run: (text) => Effect.flatMap(Execution.startChild(waiting, text), (child) => child.result)
      })
      const execution = yield* (yield* parent.run("these wait")).start
      yield* TestClock.adjust(0)
      yield* execution.cancel()
      assert.deepStrictEqual(interrupted.sort(), ["these", "wait"])
    }).pipe(onEngine)
  )

  it.effect("share the budget of the run", () =>
    Effect.gen(function* () {
      // classify, split, two times classify and work, merge
      assert.strictEqual(yield* shouting.execute("many words", { budget: { steps: 7 } }), "MANY WORDS")
      const error = yield* Effect.flip(shouting.execute("many words", { budget: { steps: 5 } }))
      assert.strictEqual(error._tag, "BudgetExceeded")
    }).pipe(onEngine)
  )

  it.effect("repeat only what failed when a retry of the run resumes", () =>
    Effect.gen(function* () {
      const worked: Array<string> = []
      const flaky = nested((word) =>
        Effect.suspend(() => {
          worked.push(word)
          return word === "fails" && worked.length < 3
            ? Effect.delay(Effect.fail(new Garbled({ word })), "1 second")
            : Effect.succeed(word)
        })
      )
      const fiber = yield* Effect.forkChild(
        flaky.execute("once fails", { retry: { attempts: 1, delay: 0, mode: "resume" } })
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "once fails")
      assert.deepStrictEqual(worked, ["once", "fails", "fails"])
    }).pipe(onEngine)
  )

  it.effect("mix all four: a chain whose step votes, with voters that route", () =>
    Effect.gen(function* () {
      const verdict = Workflow.make("verdict", { run: (text) => Effect.succeed(text.includes("!") ? "loud" : "calm") })
      const judge = Routing.make("judge", {
        workflows: { a: { workflow: verdict, route: anything } },
        classify: () => Effect.succeed("a")
      })
      const vote = Voting.make("vote", { voters: { ada: judge, bob: () => Effect.succeed("calm") }, quorum: 2 })
      const chain = PromptChaining.make("chain", {
        steps: [
          { name: "shout", workflow: shouting },
          { name: "judge", workflow: vote },
          { name: "say", run: ({ decision }) => Effect.succeed(decision) }
        ]
      })
      expectTypeOf<Workflow.Error<typeof chain>>().toEqualTypeOf<
        | Garbled
        | Routing.RouteNotFound
        | Parallelization.InvalidSubtasks
        | Voting.NoQuorum
        | PromptChaining.GateRejected
      >()
      assert.strictEqual(yield* chain.execute("so calm"), "calm")
      const error = yield* Effect.flip(chain.execute("so loud!"))
      assert.strictEqual(error._tag, "NoQuorum")
      const paths = yield* run(chain, "so calm")
      assert.isTrue(paths.includes("shout/route/words/subtask/2/route/long/work"))
      assert.isTrue(paths.includes("judge/voter/ada/classify"))
    }).pipe(onEngine)
  )

  it.effect("nest a hundred deep", () =>
    Effect.gen(function* () {
      type Layer = Workflow.Workflow<string, string, Routing.RouteNotFound>
      let layer: Layer = Workflow.make("innermost", {
        error: Routing.RouteNotFound,
        run: (text) => Step.make("work", { run: Effect.succeed(text) })
      })
      for (let depth = 0; depth < 100; depth++) {
        layer = Routing.make("layer", {
          workflows: { next: { workflow: layer, route: anything } },
          classify: () => Effect.succeed("next")
        })
      }
      const execution = yield* (yield* layer.run("deep")).start
      assert.strictEqual(yield* execution.result, "deep")
      const events = yield* Stream.runCollect(execution.events)
      const deepest = events.findLast((event) => event._tag === "StepCompleted")
      assert.strictEqual(deepest?.path, `${"route/next/".repeat(100)}work`)
    }).pipe(onEngine)
  )

  it("take no type from what they are assigned to: a schema has to say it", () => {
    const one = () => Effect.succeed(1)
    type Counts<Error> = Workflow.Workflow<string, number, Error>
    const split = () => Effect.succeed([])
    // @ts-expect-error `output` is text
    const a: Counts<Parallelization.InvalidSubtasks> = Parallelization.make("a", { split, worker: one, merge: one })
    // @ts-expect-error `output` is missing
    const b: Counts<PromptChaining.GateRejected> = PromptChaining.make("b", { steps: [{ name: "one", run: one }] })
    // @ts-expect-error `output` is missing
    const c: Workflow.Workflow<string, Voting.Outcome<number>, Voting.NoQuorum> = Voting.make("c", { voters: [one] })
    assert.strictEqual([a, b, c].length, 3)
  })
})
