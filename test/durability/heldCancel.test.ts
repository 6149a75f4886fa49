// A run that the code here can not go on with is not beyond reach: it can be cancelled, and then retried.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Schema, Stream } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"

interface Code {
  readonly input: Schema.Codec<any>
  readonly result: Schema.Codec<any>
  readonly second: string
}

const first: Code = { input: Schema.String, result: Schema.Struct({ token: Schema.String }), second: "second" }

const trip = ({ input, result, second }: Code) =>
  Workflow.make("trip", {
    input,
    output: Schema.Unknown,
    run: () =>
      Effect.gen(function* () {
        yield* Step.make("book", { output: result, run: Effect.succeed({ token: "sesame" }) })
        yield* Effect.addFinalizer(() => Effect.orDie(Step.make("unbook", { run: Effect.void })))
        yield* Step.make(second, { run: Effect.void })
        yield* Execution.waitForApproval("go on?")
        return "arrived"
      })
  })

/** Begins with one code, is held by another, and then something is done to it; what its events are in the end. */
const held = (
  code: Code,
  steer: (execution: Execution.Execution<any, any>) => Effect.Effect<unknown, any, Engine.Engine>
) =>
  Effect.gen(function* () {
    const filename = yield* temporaryFile
    const begin = Effect.gen(function* () {
      const execution = yield* (yield* trip(first).run("open", { id: "t", cancel: { graceful: true } })).start
      yield* execution.events.pipe(
        Stream.takeUntil((event) => event._tag === "RequestOpened"),
        Stream.runDrain
      )
    })
    yield* live(filename, {}, undefined, begin)
    const logs: Array<string> = []
    const logger = Logger.make(({ message }) => void logs.push(String(message)))
    const { result } = yield* live(
      filename,
      { pollInterval: 5 },
      undefined,
      Effect.gen(function* () {
        const engine = yield* Engine.Engine
        yield* engine.register(trip(code))
        const wait: Effect.Effect<Engine.ReplayMismatch, any, Engine.Engine> = Effect.flatMap(
          Engine.list(),
          ([{ held }]) => (held === undefined ? Effect.andThen(Effect.sleep(5), wait) : Effect.succeed(held))
        )
        const mismatch = yield* wait
        const execution = yield* Engine.get("t")
        const answer = yield* steer(execution)
        const events = (yield* Stream.runCollect(execution.events)).map((event) =>
          "path" in event && event.path !== "" ? `${event._tag} ${event.path}` : event._tag
        )
        const [record] = yield* Engine.list()
        return { message: mismatch.message, answer, events, isHeld: record.held !== undefined, status: record.status }
      })
    ).pipe(Effect.provide(Logger.layer([logger])))
    return { ...result!, logs }
  }).pipe(Effect.scoped)

const changes: ReadonlyArray<readonly [name: string, code: Code, expected: string, undone: boolean]> = [
  ["another step", { ...first, second: "2nd" }, 'expected "second", found "2nd"', true],
  [
    "another schema of a result",
    { ...first, result: Schema.Struct({ token: Schema.Int }) },
    `expected a result that fits the step's schema, found one that does not, at "token"`,
    false
  ],
  [
    "another schema of the input",
    { ...first, input: Schema.Int },
    "expected an input that fits the workflow's schema, found one that does not;",
    false
  ]
]

describe("a run that is held (D9, D10)", () => {
  for (const [name, code, expected, undone] of changes) {
    it.live(`is cancelled, and undone as far as the code still fits: ${name}`, () =>
      Effect.gen(function* () {
        const { answer, events, isHeld, logs, message, status } = yield* held(code, (execution) =>
          execution.cancel("enough")
        )
        assert.include(message, expected)
        assert.notInclude(JSON.stringify([message, logs]), "sesame")
        assert.deepStrictEqual([answer, status, isHeld], ["cancelled", "cancelled", false])
        assert.strictEqual(events.at(-1), "RunCancelled")
        assert.strictEqual(events.includes("StepCompleted unbook"), undone)
        assert.strictEqual(events.filter((event) => event === "CancelRequested").length, 1)
      })
    )
  }

  it.live("takes a pause at once and stays held, and is cancelled all the same", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const changed = trip({ ...first, second: "2nd" })
      yield* live(
        filename,
        {},
        undefined,
        Effect.gen(function* () {
          const execution = yield* (yield* trip(first).run("open", { id: "t" })).start
          yield* execution.events.pipe(
            Stream.takeUntil((event) => event._tag === "RequestOpened"),
            Stream.runDrain
          )
        })
      )
      const { result } = yield* live(
        filename,
        { pollInterval: 5 },
        undefined,
        Effect.gen(function* () {
          yield* (yield* Engine.Engine).register(changed)
          const execution = yield* Engine.get("t")
          yield* execution.pause
          yield* execution.resume
          const [{ held, status }] = yield* Engine.list()
          return [held?.found, status, yield* execution.cancel()]
        })
      )
      assert.deepStrictEqual(result, ['"2nd"', "awaiting", "cancelled"])
    }).pipe(Effect.scoped)
  )
})
