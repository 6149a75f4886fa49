import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Fiber, Schema } from "effect"
import type { AiError, LanguageModel } from "effect/ai"
import { TestClock } from "effect/testing"
import { Engine, Execution, Models, Step, Workflow } from "effect-baton"
import * as Parallelization from "effect-baton/Parallelization"
import { expectTypeOf } from "vitest"
import { model, run, thrown } from "./observed.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { id: Schema.String }) {}
class Reader extends Context.Service<Reader, string>()("Reader") {}

const onEngine = Effect.provide(Engine.layerMemory)

/** Subtasks "a", "b", ... of the letters of a text. */
const split = (text: string) => Effect.succeed([...text].map((id) => ({ id, prompt: `do ${id}` })))
const merge = (results: ReadonlyArray<{ readonly id: string; readonly data: string }>) =>
  Effect.succeed(results.map(({ data, id }) => `${id}=${data}`).join(" "))
/** "a" takes 1 second, "b" 2, ...; "x" fails after 3. */
const worker = ({ id }: Parallelization.Subtask) =>
  id === "x"
    ? Effect.andThen(Effect.sleep("3 seconds"), Effect.fail(new Broken({ id })))
    : Effect.as(Effect.sleep(`${id.charCodeAt(0) - 96} seconds`), id.toUpperCase())

describe("Parallelization", () => {
  it.effect("works on all subtasks at the same time and merges in input order", () =>
    Effect.gen(function* () {
      const all = Parallelization.make("all", { error: Broken, split, worker, merge })
      const fiber = yield* Effect.forkChild(all.execute("cab"))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "c=C a=A b=B")
    }).pipe(onEngine)
  )

  it.effect("works on no more subtasks at a time than maxConcurrency says", () =>
    Effect.gen(function* () {
      let live = 0
      let most = 0
      const bounded = Parallelization.make("bounded", {
        split,
        worker: ({ id }) =>
          Effect.gen(function* () {
            most = Math.max(most, ++live)
            yield* Effect.sleep("1 second")
            live--
            return id
          }),
        merge,
        maxConcurrency: 2
      })
      const fiber = yield* Effect.forkChild(bounded.execute("abcde"))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "a=a b=b c=c d=d e=e")
      assert.strictEqual(most, 2)
    }).pipe(onEngine)
  )

  it.effect("interrupts the rest at once when a subtask fails", () =>
    Effect.gen(function* () {
      const failing = Parallelization.make("failing", { error: Broken, split, worker, merge })
      const execution = yield* (yield* failing.run("axz")).start
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* execution.status, "failed")
      assert.deepStrictEqual(yield* Effect.flip(execution.result), new Broken({ id: "x" }))
    }).pipe(onEngine)
  )

  it.effect("shows each part as a step, and counts the subtasks that have settled", () =>
    Effect.gen(function* () {
      const all = Parallelization.make("all", { split, worker: ({ id }) => Effect.succeed(id), merge })
      assert.deepStrictEqual(yield* run(all, "ab"), [
        ":0/0",
        "split",
        ":0/2",
        "subtask/a",
        ":1/2",
        "subtask/b",
        ":2/2",
        ":2/2",
        "merge"
      ])
      const failing = Parallelization.make("failing", { error: Broken, split, worker, merge })
      const fiber = yield* Effect.forkChild(run(failing, "axz"))
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [
        ":0/0",
        "split",
        ":0/3",
        "subtask/a",
        ":1/3",
        "subtask/x Broken",
        "subtask/z interrupted"
      ])
    }).pipe(onEngine)
  )

  it.effect("reports each percent of a wide fan-out, not each subtask", () =>
    Effect.gen(function* () {
      const wide = Parallelization.make("wide", {
        split: () => Effect.succeed(Array.from({ length: 1050 }, (_, index) => ({ id: `${index}`, prompt: "" }))),
        worker: ({ id }) => Effect.succeed(id),
        merge: () => Effect.succeed("")
      })
      const progress = (yield* run(wide, "")).filter((line) => line.startsWith(":"))
      assert.deepStrictEqual(progress.slice(0, 4), [":0/0", ":0/1050", ":10/1050", ":20/1050"])
      assert.deepStrictEqual([progress.length, progress.at(-1)], [108, ":1050/1050"])
    }).pipe(onEngine)
  )

  it.effect("runs a workflow for each subtask, whose steps stand under the subtask", () =>
    Effect.gen(function* () {
      const shout = Workflow.make("shout", {
        error: Broken,
        run: (text) => Step.make("raise", { run: Effect.succeed(text.toUpperCase()) })
      })
      const all = Parallelization.make("all", { split, worker: shout, merge })
      expectTypeOf<Workflow.Error<typeof all>>().toEqualTypeOf<Broken | Parallelization.InvalidSubtasks>()
      assert.strictEqual(yield* all.execute("ab"), "a=DO A b=DO B")
      assert.deepStrictEqual(
        (yield* run(all, "ab")).filter((line) => line.startsWith("subtask")),
        ["subtask/a/raise", "subtask/b/raise"]
      )
    }).pipe(onEngine)
  )

  it.effect("collects failures as results, which merge sees only where it is asked to", () =>
    Effect.gen(function* () {
      const successes = Parallelization.make("successes", { split, worker, merge, failureStrategy: "collect-all" })
      expectTypeOf<Workflow.Error<typeof successes>>().toEqualTypeOf<Parallelization.InvalidSubtasks>()
      const both = Parallelization.make("both", {
        split,
        worker,
        merge: (results) => {
          expectTypeOf(results).toEqualTypeOf<
            ReadonlyArray<Parallelization.SubtaskSuccess<string> | Parallelization.SubtaskFailure<Broken>>
          >()
          return Effect.succeed(JSON.stringify(results))
        },
        failureStrategy: "collect-all",
        includeFailures: true
      })
      const fibers = yield* Effect.all([
        Effect.forkChild(successes.execute("dxa")),
        Effect.forkChild(both.execute("dxa"))
      ])
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(fibers[0]), "d=D a=A")
      assert.deepStrictEqual(JSON.parse(yield* Fiber.join(fibers[1])), [
        { id: "d", success: true, data: "D", durationMs: 4000 },
        { id: "x", success: false, error: { _tag: "Broken", id: "x" }, durationMs: 3000 },
        { id: "a", success: true, data: "A", durationMs: 1000 }
      ])
    }).pipe(onEngine)
  )

  it.effect("collects what a workflow can not take or give, too", () =>
    Effect.gen(function* () {
      const liar = Workflow.make("liar", { run: () => Effect.succeed(1 as never as string) })
      const all = Parallelization.make("all", {
        split,
        worker: liar,
        merge: (results) => Effect.succeed(results.map(({ error }) => error?._tag).join()),
        failureStrategy: "collect-all",
        includeFailures: true
      })
      assert.strictEqual(yield* all.execute("ab"), "InvalidOutput,InvalidOutput")
    }).pipe(onEngine)
  )

  it.effect("never collects a used-up budget or a defect", () =>
    Effect.gen(function* () {
      const buggy = Parallelization.make("buggy", {
        split,
        worker: ({ id }) => Effect.failCause(Cause.combine(Cause.fail(new Broken({ id })), Cause.die("bug"))),
        merge,
        failureStrategy: "collect-all"
      })
      const exit = yield* Effect.exit(buggy.execute("ab"))
      assert.isTrue(exit._tag === "Failure" && Cause.hasDies(exit.cause))
      const asking = Parallelization.make("asking", {
        split,
        worker: ({ prompt }) => Models.text({ purpose: "work", prompt }),
        merge,
        failureStrategy: "collect-all"
      })
      const error = yield* Effect.flip(asking.execute("abc", { budget: { modelCalls: 2 } }))
      assert.strictEqual(error._tag, "BudgetExceeded")
    }).pipe(Effect.provide(model(() => "done")), onEngine)
  )

  it.effect("refuses duplicate ids before anything runs, and names them all", () =>
    Effect.gen(function* () {
      let begun = 0
      const all = Parallelization.make("all", { split, worker: () => Effect.sync(() => `${begun++}`), merge })
      const error = yield* Effect.flip(all.execute("abcabda"))
      assert.deepStrictEqual(error, new Parallelization.InvalidSubtasks({ duplicates: ["a", "b"] }))
      assert.strictEqual(begun, 0)
      const json = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(all.error)(error)))
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(all.error)(json), error)
    }).pipe(onEngine)
  )

  it.effect("merges nothing where there is nothing to do", () =>
    Effect.gen(function* () {
      const all = Parallelization.make("all", { split, worker: () => Effect.succeed(""), merge })
      assert.strictEqual(yield* all.execute(""), "")
    }).pipe(onEngine)
  )

  it("refuses a maxConcurrency that is not a whole number from 1 up, when it is made", () => {
    for (const maxConcurrency of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.strictEqual(
        thrown(() => Parallelization.make("all", { split, worker: () => Effect.succeed(""), merge, maxConcurrency })),
        `Invalid definition of all at "maxConcurrency": Expected a whole number, 1 or more, or "unbounded", found ${maxConcurrency}; correct the option`
      )
    }
  })

  it.effect("lets its phases be called one by one, outside of any execution too", () =>
    Effect.gen(function* () {
      const all = Parallelization.make("all", {
        split,
        worker: ({ id }) => Effect.succeed(id),
        merge,
        failureStrategy: "collect-all"
      })
      const subtasks = yield* all.split("ab")
      const results = yield* all.parallel(subtasks.slice(1))
      assert.deepStrictEqual(results, [{ id: "b", success: true, data: "b", durationMs: 0 }])
      assert.strictEqual(yield* all.merge(results, "ab"), "b=b")
      assert.strictEqual((yield* Effect.flip(all.parallel([...subtasks, ...subtasks])))._tag, "InvalidSubtasks")
    })
  )

  it.effect("is interrupted in all its subtasks when the run is cancelled", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const all = Parallelization.make("all", {
        split,
        worker: ({ id }) => Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => interrupted.push(id)))),
        merge
      })
      const execution = yield* (yield* all.run("abc")).start
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* execution.cancel(), "cancelled")
      assert.deepStrictEqual(interrupted.sort(), ["a", "b", "c"])
    }).pipe(onEngine)
  )

  it.effect("lets many subtasks wait for people, answered in any order", () =>
    Effect.gen(function* () {
      const ask = Workflow.make("ask", {
        run: (prompt) => Effect.map(Execution.waitForApproval(prompt), ({ approved }) => (approved ? "yes" : "no"))
      })
      const all = Parallelization.make("all", { split, worker: ask, merge })
      const execution = yield* (yield* all.run("abc")).start
      yield* TestClock.adjust(0)
      const requests = yield* execution.requests
      assert.deepStrictEqual(
        requests.map(({ message }) => message),
        ["do a", "do b", "do c"]
      )
      yield* execution.approve(requests[2]!.id)
      yield* execution.reject(requests[0]!.id)
      yield* execution.approve(requests[1]!.id)
      assert.strictEqual(yield* execution.result, "a=no b=yes c=yes")
    }).pipe(onEngine)
  )

  it.effect("runs only what failed when a retry resumes", () =>
    Effect.gen(function* () {
      const begun: Array<string> = []
      const flaky = Parallelization.make("flaky", {
        error: Broken,
        split,
        worker: ({ id }) =>
          Effect.suspend(() => {
            begun.push(id)
            return id === "b" && begun.length < 3 ? Effect.fail(new Broken({ id })) : Effect.succeed(id)
          }),
        merge,
        maxConcurrency: 1
      })
      const result = yield* flaky.execute("abc", { retry: { attempts: 1, delay: 0, mode: "resume" } })
      assert.strictEqual(result, "a=a b=b c=c")
      assert.deepStrictEqual(begun, ["a", "b", "b", "c"])
    }).pipe(onEngine)
  )

  it.effect("holds the subtasks that have not begun while it is paused", () =>
    Effect.gen(function* () {
      const first = yield* Deferred.make<void>()
      let begun = 0
      const all = Parallelization.make("all", {
        split,
        worker: ({ id }) => {
          begun++
          return Effect.as(Deferred.await(first), id)
        },
        merge,
        maxConcurrency: 1
      })
      const execution = yield* (yield* all.run("abc")).start
      yield* TestClock.adjust(0)
      yield* execution.pause
      yield* Deferred.succeed(first, undefined)
      yield* TestClock.adjust(0)
      assert.strictEqual(begun, 1)
      yield* execution.resume
      assert.strictEqual(yield* execution.result, "a=a b=b c=c")
    }).pipe(onEngine)
  )

  it.effect("asks a model to split and to merge where these are left out", () => {
    const prompts: Array<string> = []
    const asking = Parallelization.make("asking", {
      output: Schema.Struct({ verdict: Schema.String }),
      worker: ({ id }) => (id === "b" ? Effect.fail(new Broken({ id })) : Effect.succeed({ read: id })),
      failureStrategy: "collect-all",
      includeFailures: true
    })
    expectTypeOf<Workflow.Error<typeof asking>>().toEqualTypeOf<AiError.AiError | Parallelization.InvalidSubtasks>()
    expectTypeOf<Workflow.Services<typeof asking>>().toEqualTypeOf<LanguageModel.LanguageModel>()
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* asking.execute("Read the report"), { verdict: "fine" })
      assert.isTrue(prompts[0]!.endsWith("Task:\nRead the report"))
      assert.deepStrictEqual(prompts[1]!.split("\n\n").slice(1), [
        "Task:\nRead the report",
        'Result of a:\n{\n  "read": "a"\n}',
        "b failed:\n"
      ])
    }).pipe(
      Effect.provide(
        model((prompt) => {
          prompts.push(prompt)
          return prompts.length === 1 ? { subtasks: ["a", "b"].map((id) => ({ id, prompt: id })) } : { verdict: "fine" }
        })
      ),
      onEngine
    )
  })

  it.effect("takes the model's text as the output where the output is text", () => {
    const asking = Parallelization.make("asking", { split, worker: ({ id }) => Effect.succeed(id) })
    return Effect.gen(function* () {
      assert.strictEqual(yield* asking.execute("ab"), "merged by text")
    }).pipe(Effect.provide(model((_, format) => `merged by ${format}`)), onEngine)
  })

  it("infers what merge sees, and the errors and services of all parts", () => {
    const typed = Parallelization.make("typed", {
      input: Schema.Struct({ pages: Schema.Int }),
      output: Schema.Boolean,
      error: Broken,
      split: ({ pages }) => Effect.map(Reader, (reader) => [{ id: reader, prompt: `${pages}` }]),
      worker: (subtask) => Effect.fail(new Broken(subtask)).pipe(Effect.orElseSucceed(() => subtask.prompt.length)),
      merge: (results, { pages }) => {
        expectTypeOf(results).toEqualTypeOf<ReadonlyArray<Parallelization.SubtaskSuccess<number>>>()
        return Effect.succeed(results.every(({ data }) => data < pages))
      }
    })
    expectTypeOf<Workflow.Input<typeof typed>>().toEqualTypeOf<{ readonly pages: number }>()
    expectTypeOf<Workflow.Output<typeof typed>>().toEqualTypeOf<boolean>()
    expectTypeOf<Workflow.Error<typeof typed>>().toEqualTypeOf<Broken | Parallelization.InvalidSubtasks>()
    expectTypeOf<Workflow.Services<typeof typed>>().toEqualTypeOf<Reader>()
  })

  it("refuses errors that no schema describes, and workflows that take no text", () => {
    // @ts-expect-error `error` is missing
    Parallelization.make("p", { split, worker, merge })
    const count = Workflow.make("count", { input: Schema.Number, run: (n) => Effect.succeed(`${n}`) })
    // @ts-expect-error the workflow takes a number
    Parallelization.make("p", { split, worker: count, merge })
  })
})
