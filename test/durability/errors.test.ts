// A body that catches an error goes the same way after a crash as before it.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Data, Effect, Exit, Layer, Logger, Schema } from "effect"
import { Step, Workflow } from "effect-baton"
import { CrashHarness } from "effect-baton/testing"
import { decodeStored, encodeStep } from "../../src/engines/durable/codec.ts"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import { layerSqlite } from "../../src/engines/durable/layer.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { part: Schema.String, at: Schema.Date }) {}

class Torn extends Data.TaggedError("Torn")<{ readonly part: string; readonly at: Date; readonly cause?: unknown }> {
  override get message() {
    return `${this.part} is torn`
  }
}

class Bent {
  readonly angle: number
  constructor(angle: number) {
    this.angle = angle
  }
}

/** Everything that a body may look at to decide how to go on. */
const seen = (error: unknown): string => {
  const { _tag, angle, at, cause, message, name, part } = (error ?? {}) as Record<string, unknown>
  const classes = { Error, TypeError, Broken, Torn, Bent, Unknown: Cause.UnknownError, Timeout: Cause.TimeoutError }
  const is = Object.entries(classes).flatMap(([name, type]) => (error instanceof type ? [name] : []))
  return JSON.stringify([typeof error, String(error), is, _tag, name, message, part, at, angle, cause && seen(cause)])
}

const failures: Record<string, unknown> = {
  nothing: undefined,
  null: null,
  text: "torn",
  number: 7,
  json: { _tag: "Torn", part: "x", more: [1, null] },
  error: new Error("torn", { cause: new TypeError("x is not a function", { cause: [1] }) }),
  typeError: Object.assign(new TypeError("torn"), { code: "E1" }),
  thrown: new Cause.UnknownError(new RangeError("too far")),
  late: new Cause.TimeoutError("late"),
  missing: new Cause.NoSuchElementError(),
  schema: new Broken({ part: "x", at: new Date(7) }),
  tagged: new Torn({ part: "x", at: new Date(7), cause: new Error("why") }),
  object: new Bent(90),
  symbol: Symbol.for("torn"),
  big: 7n
}

const catching = Workflow.make("catching", {
  input: Schema.String,
  run: (name) =>
    Step.make("fail", { run: Effect.fail(failures[name]) }).pipe(
      Effect.catch((error) =>
        Step.make("caught", { run: Effect.succeed(seen(error)) }).pipe(Effect.map((text) => `${text} ${seen(error)}`))
      )
    )
})

const inner = Workflow.make("inner", {
  error: Broken,
  run: () => Step.make("fail", { run: Effect.fail(new Broken({ part: "x", at: new Date(7) })) })
})

const onFile = Layer.unwrap(Effect.map(temporaryFile, (filename) => layerSqlite({ filename, idle: "1 hour" })))

describe("an error that a body catches is after a crash what it was before (D11)", () => {
  for (const name of Object.keys(failures)) {
    it.live(`where no schema describes it: ${name}`, () =>
      Effect.gen(function* () {
        const report = yield* CrashHarness.check(catching, name)
        assert.isAtLeast(report.crashes, report.writes)
      })
    )
  }

  it.live("where the schema of a workflow that is called describes it", () =>
    Effect.gen(function* () {
      const outer = Workflow.make("outer", {
        run: () =>
          inner
            .call("")
            .pipe(
              Effect.catchTag("Broken", (error) => Effect.succeed(`${error instanceof Broken} ${error.at.getTime()}`))
            )
      })
      yield* CrashHarness.check(outer, "")
      assert.strictEqual(yield* Effect.provide(outer.execute(""), onFile), "true 7")
    })
  )

  it.live("where a step fails in two ways at once", () =>
    Effect.gen(function* () {
      const both = Effect.failCause(
        Cause.fromReasons([Cause.makeFailReason("a"), Cause.makeFailReason("b"), Cause.makeDieReason(new Error("c"))])
      )
      const workflow = Workflow.make("both", {
        run: () =>
          Step.make("fail", { run: both }).pipe(
            Effect.catchCause((cause) =>
              Step.make("caught", { run: Effect.succeed("") }).pipe(
                Effect.as(cause.reasons.map((reason) => reason._tag).join(" "))
              )
            )
          )
      })
      yield* CrashHarness.check(workflow, "")
    })
  )
})

describe("an error that no schema describes", () => {
  it.effect("is warned of once, with what the body does not see of it", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
      const fail = Step.make("fail", { run: Effect.fail(failures.tagged) })
      const workflow = Workflow.make("warned", { run: () => Effect.as(Effect.flip(fail), "") })
      const twice = Effect.andThen(workflow.execute(""), workflow.execute(""))
      yield* Effect.provide(twice, Layer.provideMerge(onFile, logger))
      assert.deepStrictEqual(lines, [
        'Step "fail" of warned failed with Torn, which no schema describes: its body sees it without its class, ' +
          'its field "at"; give the step an `error` schema, or handle the error inside of the step'
      ])
    })
  )

  it.effect("can be yielded again, and says where it came from", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("yielding", {
        run: () =>
          Step.make("fail", { run: Effect.fail(new Torn({ part: "x", at: new Date(7) })) }).pipe(
            Effect.catchTag("Torn", (error) =>
              Effect.andThen(
                Effect.sync(() => assert.include(error.stack, "errors.test")),
                error
              )
            ),
            Effect.catchTag("Torn", (error) => Effect.succeed(error.message))
          )
      })
      assert.strictEqual(yield* workflow.execute(""), "x is torn")
    }).pipe(Effect.provide(onFile))
  )

  it.effect("is read by the schema that the step gets later, where it fits", () =>
    Effect.sync(() => {
      const definition = catching as Workflow.Any
      const Late = Schema.Struct({ _tag: Schema.tag("Torn"), part: Schema.String, message: Schema.String })
      const stored = encodeStep(Exit.fail(failures.tagged), definition, undefined)
      const read = decodeStored(JSON.parse(JSON.stringify(stored)), undefined, definition, { error: Late })
      assert.deepStrictEqual(read, Exit.fail({ _tag: "Torn", part: "x", message: "x is torn" } as const))
    })
  )

  it.effect("is a mismatch where the schema that it was stored by is gone", () =>
    Effect.sync(() => {
      const definition = catching as Workflow.Any
      const stored = encodeStep(Exit.fail(failures.schema), definition, { error: Broken })
      assert.isUndefined(decodeStored(JSON.parse(JSON.stringify(stored)), undefined, definition, undefined))
    })
  )
})

const leaf = [Schema.String, Schema.Number, Schema.Boolean, Schema.Null, Schema.Undefined, Schema.Date] as const
const values = Schema.Union([
  ...leaf,
  Schema.Array(Schema.Union(leaf)),
  Schema.Record(Schema.String, Schema.Union([...leaf, Schema.Array(Schema.Union(leaf))]))
])

describe("what is stored without a schema", () => {
  for (const [what, exitOf] of [
    ["a result", Exit.succeed],
    ["an error", Exit.fail]
  ] as const) {
    it.prop(
      `is read as it was, or refused: ${what}`,
      { value: values },
      ({ value }) => {
        const exit = exitOf(value)
        const stored = encodeStep(exit, catching as Workflow.Any, undefined)
        if ("problem" in stored || ("by" in stored && stored.by === "error")) return
        const read = decodeStored(JSON.parse(JSON.stringify(stored)), undefined, catching as Workflow.Any, undefined)!
        assert.strictEqual(read._tag, exit._tag)
        const found = Exit.isSuccess(read) ? read.value : Cause.squash(read.cause)
        assert.strictEqual(typeof found, typeof value)
        assert.deepStrictEqual(present(found), present(value))
      },
      { arbitrary: { runs: 500 } }
    )
  }
})

/** JSON leaves out what is undefined, and has no negative zero. */
const present = (value: unknown): unknown => {
  if (typeof value === "number") return value + 0
  if (Array.isArray(value)) return value.map(present)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).flatMap(([k, v]) => (v === undefined ? [] : [[k, present(v)]])))
}
