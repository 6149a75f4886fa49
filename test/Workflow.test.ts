import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Schema } from "effect"
import { Engine, Execution, Run, Step, Workflow } from "effect-baton"
import { consistent, history, settle, start, statuses } from "./support/executions.ts"

class Boom extends Schema.TaggedError<Boom>()("Boom", { n: Schema.Number }) {}
class Other extends Schema.TaggedError<Other>()("Other", {}) {}

const memory = Effect.provide(Engine.layerMemory)

const size = Workflow.make("size", { output: Schema.Number, run: (text) => Effect.succeed(text.length) })
const double = Workflow.make("double", {
  input: Schema.Number,
  output: Schema.Number,
  run: (n) => Effect.succeed(n * 2)
})
const fails = Workflow.make("fails", { error: Boom, run: () => Effect.fail(new Boom({ n: 1 })) })

describe("Workflow", () => {
  it.effect("input and output default to text, and error to none", () =>
    Effect.gen(function* () {
      const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
      assert.strictEqual(yield* echo.execute("hi"), "hi")
      assert.strictEqual((yield* Effect.flip(echo.execute(1 as never)))._tag, "InvalidInput")
      const number = Workflow.make("number", { run: () => Effect.succeed(1 as never) })
      assert.strictEqual((yield* Effect.flip(number.execute("")))._tag, "InvalidOutput")
      const undeclared = Workflow.make("undeclared", { run: () => Effect.fail(new Boom({ n: 1 }) as never) })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(undeclared.execute(""))))
    }).pipe(memory)
  )

  it.effect("an error of the schema, as a class or as data, is the run's error as typed", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(fails.execute(""))
      assert.instanceOf(error, Boom)
      const data = Workflow.make("data", {
        error: Schema.Struct({ code: Schema.Number }),
        run: () => Effect.fail({ code: 7 })
      })
      assert.deepStrictEqual(yield* Effect.flip(data.execute("")), { code: 7 })
    }).pipe(memory)
  )

  it.effect("map, mapError, contramap and andThen compose, data first and data last", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Workflow.map(size, (n) => `${n}`).execute("abc"), "3")
      assert.strictEqual(yield* size.pipe(Workflow.map((n) => n + 1, Schema.Number)).execute("abc"), 4)
      const mapped = fails.pipe(Workflow.mapError(() => new Other(), Other))
      assert.strictEqual((yield* Effect.flip(mapped.execute("")))._tag, "Other")
      const Word = Schema.Struct({ word: Schema.String })
      assert.strictEqual(
        yield* size.pipe(Workflow.contramap((input: typeof Word.Type) => input.word, Word)).execute({ word: "four" }),
        4
      )
      const both = Workflow.andThen(size, double)
      const execution = yield* start(both, "abc")
      assert.strictEqual(yield* execution.result, 6)
      assert.strictEqual(yield* size.pipe(Workflow.andThen(double)).execute("abcd"), 8)
    }).pipe(memory)
  )

  it.effect("what a mapping breaks is an error of the composed workflow's boundary", () =>
    Effect.gen(function* () {
      const output = Workflow.map(size, () => 5 as never)
      assert.strictEqual((yield* Effect.flip(output.execute("")))._tag, "InvalidOutput")
      const input = Workflow.contramap(size, () => 5 as never)
      assert.strictEqual((yield* Effect.flip(input.execute("")))._tag, "InvalidInput")
      const defect = Workflow.map(size, (): string => {
        throw new Error("bug")
      })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(defect.execute(""))))
    }).pipe(memory)
  )

  it.effect("mapError leaves what every run can fail with as it is", () =>
    Effect.gen(function* () {
      const inner = Workflow.make("inner", { run: () => Effect.as(Step.make("s", { run: Effect.void }), "") })
      const outer = Workflow.make("outer", { run: () => inner.call(3 as never) }).pipe(
        Workflow.mapError(() => new Other(), Other)
      )
      assert.strictEqual((yield* Effect.flip(outer.execute("")))._tag, "InvalidInput")
    }).pipe(memory)
  )

  it.effect("provide gives the body what it needs, for each attempt", () =>
    Effect.gen(function* () {
      class Greeting extends Context.Service<Greeting, string>()("test/Greeting") {}
      let built = 0
      const layer = Layer.effect(
        Greeting,
        Effect.sync(() => `hello ${++built}`)
      )
      let tries = 0
      const greet = Workflow.make("greet", {
        error: Boom,
        run: () =>
          Effect.flatMap(Greeting, (greeting) =>
            ++tries < 2 ? Effect.fail(new Boom({ n: tries })) : Effect.succeed(greeting)
          )
      })
      assert.strictEqual(
        yield* greet.pipe(Workflow.provide(layer)).execute("", { retry: { attempts: 1, delay: 0 } }),
        "hello 2"
      )
    }).pipe(memory)
  )

  it.effect("defaults apply to runs and children, and not to inline calls", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const inner = Workflow.make("inner", {
        defaults: { tags: ["inner"], onComplete: () => Effect.sync(() => void heard.push("inner")) },
        run: () => Effect.succeed("")
      })
      const outer = Workflow.make("outer", {
        run: () =>
          Effect.andThen(
            inner.call(""),
            Effect.flatMap(Execution.startChild(inner, ""), (child) => child.result)
          )
      })
      yield* (yield* start(outer, "")).result
      assert.deepStrictEqual(heard, ["inner"])
      assert.strictEqual((yield* Engine.list({ tag: "inner" })).length, 1)
      const run = yield* Workflow.withDefaults(inner, { timeout: 5 }).run("", { tags: ["mine"] })
      assert.deepInclude(run.options, { tags: ["mine"], timeout: 5 })
    }).pipe(memory)
  )

  it.effect("an inline call checks its input and output, and its steps stand under its name and key", () =>
    Effect.gen(function* () {
      const inner = Workflow.make("inner", {
        input: Schema.Number,
        output: Schema.Number,
        run: (n) => Step.make("work", { run: Effect.succeed(n === 0 ? ("zero" as never) : n) })
      })
      const outer = Workflow.make("outer", {
        output: Schema.Unknown,
        run: () =>
          Effect.all([
            inner.call(1),
            inner.call(2, { key: "two" }),
            Effect.orDie(Effect.flip(inner.call("x" as never))),
            Effect.orDie(Effect.flip(inner.call(0)))
          ])
      })
      const execution = yield* start(outer, "")
      const [one, two, badInput, badOutput] = (yield* execution.result) as [
        number,
        number,
        { _tag: string },
        { _tag: string; workflow: string }
      ]
      assert.deepStrictEqual(
        [one, two, badInput._tag, badOutput._tag, badOutput.workflow],
        [1, 2, "InvalidInput", "InvalidOutput", "inner"]
      )
      assert.deepStrictEqual(
        history(execution).flatMap((event) => (event._tag === "StepStarted" ? [event.path] : [])),
        ["inner/work", "inner/two/work", "inner#2/work"]
      )
    }).pipe(memory)
  )

  it.effect("what an inner call fails with as a run passes through the outer body", () =>
    Effect.gen(function* () {
      const inner = Workflow.make("inner", { run: () => Effect.as(Step.make("s", { run: Effect.void }), "") })
      const outer = Workflow.make("outer", { run: () => inner.call("") })
      const error = yield* Effect.flip(outer.execute("", { budget: { steps: 0 } }))
      assert.deepInclude(error, { _tag: "BudgetExceeded", limit: "steps" })
    }).pipe(memory)
  )

  it.effect("execute is run, start and result, and starts anew each time", () =>
    Effect.gen(function* () {
      let n = 0
      const counter = Workflow.make("counter", { run: () => Effect.sync(() => String(++n)) })
      const execute = counter.execute("")
      assert.deepStrictEqual([yield* execute, yield* execute], ["1", "2"])
      assert.strictEqual((yield* Engine.list()).length, 2)
    }).pipe(memory)
  )

  it.effect("start is run and its start: the execution, whose failures are its own", () =>
    Effect.gen(function* () {
      const execution = yield* size.start("four", { id: "s", tags: ["x"] })
      assert.strictEqual(yield* execution.result, 4)
      assert.strictEqual(yield* size.start("four", { id: "s" }), execution)
      const refused = yield* size.start("four", { timeout: -1 })
      assert.strictEqual((yield* Effect.flip(refused.result))._tag, "InvalidOptions")
    }).pipe(memory)
  )

  it.effect("three workflows inside of one another cancel from the top", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const watch = (name: string) =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted.push(name)))
      const bottom = Workflow.make("bottom", { run: () => watch("bottom") })
      const middle = Workflow.make("middle", {
        run: () =>
          Effect.race(
            watch("middle"),
            Effect.flatMap(Execution.startChild(bottom, ""), (child) => Effect.orDie(child.result))
          )
      })
      const top = Workflow.make("top", { run: () => Effect.race(watch("top"), middle.call("")) })
      const execution = yield* start(top, "")
      yield* settle
      assert.strictEqual(yield* execution.cancel(), "cancelled")
      assert.deepStrictEqual(interrupted.toSorted(), ["bottom", "middle", "top"])
      assert.strictEqual(interrupted[0], "bottom", "children first")
      assert.deepStrictEqual(statuses(execution), ["in-progress", "cancelled"])
      yield* consistent(execution)
    }).pipe(memory)
  )

  it("a workflow says what it is", () => {
    const workflow = Workflow.make("w", { description: "does", version: "1", run: () => Effect.succeed("") })
    assert.deepInclude(workflow, {
      name: "w",
      description: "does",
      version: "1",
      input: Schema.String,
      output: Schema.String,
      error: Schema.Never
    })
    assert.isTrue(Workflow.isWorkflow(workflow))
    for (const other of [null, {}, "w", Run.RunStatus]) assert.isFalse(Workflow.isWorkflow(other))
  })
})
