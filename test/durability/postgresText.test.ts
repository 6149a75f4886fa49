// Texts that databases do not take as they are, on both of ours.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Schema, Stream } from "effect"
import { Engine, Execution, type Run, Step, Workflow } from "effect-baton"
import { temporaryFile } from "../../src/engines/durable/crash.ts"
import { layerSqlite } from "../../src/engines/durable/layer.ts"
import { engine, fresh } from "./fleet.ts"

const odd = "a\0b \ud800 c\udc00 \u{1f600} %00 \ufffd"

class Odd extends Schema.TaggedError<Odd>()("Odd", { text: Schema.String }) {}

const keeps = Workflow.make("keeps", {
  output: Schema.Array(Schema.String),
  error: Odd,
  run: Effect.fnUntraced(function* (text) {
    const result = yield* Step.make("say", { key: text, run: Effect.succeed(`${text}!`) })
    yield* Effect.logInfo(text)
    const caught = yield* Effect.flip(Step.make("fail", { error: Odd, run: new Odd({ text }) }))
    const { approvedBy, reason } = yield* Execution.waitForApproval(text)
    const input = yield* Execution.waitForInput(text, Schema.String, { key: text })
    return [text, result, (caught as Odd).text, String(approvedBy), String(reason), input]
  })
})

const opened = (execution: Execution.Execution<unknown, unknown>, n: number) =>
  execution.events.pipe(
    Stream.filter((event) => event._tag === "RequestOpened"),
    Stream.take(n),
    Stream.runDrain
  )

const stores: Record<string, Effect.Effect<() => Effect.Effect<Layer.Layer<Engine.Engine>, any, any>, any, any>> = {
  SQLite: Effect.map(
    temporaryFile,
    (filename) => () => Effect.succeed(layerSqlite({ filename, grace: "10 millis" }) as Layer.Layer<Engine.Engine>)
  ),
  PostgreSQL: Effect.map(
    fresh,
    ({ url }) =>
      () =>
        Effect.map(engine(url, { grace: "10 millis" }), (context) => Layer.succeedContext(context))
  )
}

describe("a text with NUL and halves of surrogate pairs", () => {
  for (const [name, store] of Object.entries(stores)) {
    it.live(
      `is kept as it was, over a restart, on ${name}`,
      () =>
        Effect.gen(function* () {
          const open = yield* store
          const life = <A>(program: Effect.Effect<A, any, Engine.Engine>) =>
            Effect.scoped(Effect.flatMap(open(), (layer) => Effect.provide(program, layer)))
          const start = Effect.flatMap(keeps.run(odd, { id: "odd" }), (run) => run.start)
          yield* life(Effect.flatMap(start, (execution) => opened(execution, 1)))
          const output = yield* life(
            Effect.gen(function* () {
              const execution = yield* start
              const [request] = yield* execution.requests
              assert.strictEqual(request.message, odd)
              yield* execution.approve(request.id, { by: odd, reason: odd })
              yield* opened(execution, 2)
              const [input] = yield* execution.requests
              yield* execution.answer(input.id, odd)
              return yield* execution.result
            })
          )
          assert.deepStrictEqual(output, [odd, `${odd}!`, odd, odd, odd, odd])
        }).pipe(Effect.scoped) as Effect.Effect<void>
    )
  }

  for (const [name, store] of Object.entries(stores)) {
    it.live(
      `by which a run is to be found is refused with what is wrong, and no other run is, on ${name}`,
      () =>
        Effect.gen(function* () {
          const layer = yield* (yield* store)()
          const echo = Workflow.make("echo", { run: (text) => Step.make("say", { run: Effect.succeed(text) }) })
          const invalid = (start: Effect.Effect<Execution.Execution<string, never>, any, any>) =>
            Effect.gen(function* () {
              const error = yield* Effect.flip((yield* start).result)
              assert.strictEqual(error._tag, "InvalidOptions")
              return `${error}`
            }) as Effect.Effect<string, never, Engine.Engine>
          const start = (options: Run.RunOptions<string>) => Effect.flatMap(echo.run("x", options), (run) => run.start)
          yield* Effect.gen(function* () {
            yield* (yield* Engine.Engine).register(echo)
            const refused = Effect.all(
              [
                invalid(start({ id: odd })),
                invalid(Effect.flatMap(echo.run("x", { id: "a\ud800" }), (run) => run.submit)),
                invalid(start({ tags: ["fine", odd] })),
                invalid(start({ id: "given", tags: [odd] }))
              ],
              { concurrency: "unbounded" }
            )
            const others = Effect.forEach([1, 2, 3, 4, 5], (n) => echo.execute(`${n}${odd}`, { tags: ["fine"] }), {
              concurrency: "unbounded"
            })
            const lookups = Effect.all(
              [
                Effect.flip(Engine.get(odd)),
                Effect.flip(Engine.retry(odd)),
                Effect.flip(Effect.flatMap(start({}), (execution) => execution.approve(odd))),
                Engine.list({ tag: odd })
              ],
              { concurrency: "unbounded" }
            )
            const [messages, done, found] = yield* Effect.all([refused, others, lookups], { concurrency: "unbounded" })
            assert.include(messages[0], 'at "id": Expected a text without NUL and halves of surrogate pairs')
            assert.include(messages[2], 'at "tags.1"')
            assert.deepStrictEqual(
              done,
              [1, 2, 3, 4, 5].map((n) => `${n}${odd}`)
            )
            const [noRun, noSource, noRequest, none] = found
            assert.deepStrictEqual(
              [noRun._tag, noSource._tag, noRequest._tag, none],
              ["ExecutionNotFound", "ExecutionNotFound", "RequestNotFound", []]
            )
            // Those of which the options are wrong, but not the id, are there like any other.
            const failed = yield* Engine.list({ status: "failed" })
            assert.strictEqual(failed.length, 2)
            const bad = Workflow.make(`name ${odd}`, { run: (text) => Effect.succeed(text) })
            const defect = yield* Effect.flip(Effect.sandbox(bad.execute("x")))
            assert.include(String(Cause.squash(defect)), "without NUL and halves of surrogate pairs")
          }).pipe(Effect.provide(layer))
        }).pipe(Effect.scoped) as Effect.Effect<void>
    )
  }

  it.live("that the database does not take holds its run, and no other", () =>
    Effect.gen(function* () {
      const { url } = yield* fresh
      const layer = yield* engine(url)
      const names = Workflow.make("names", { run: (name) => Step.make(name, { run: Effect.succeed("done") }) })
      yield* Effect.gen(function* () {
        yield* Effect.flatMap(names.run("a\0b", { id: "bad" }), (run) => run.start)
        assert.strictEqual(yield* names.execute("good"), "done")
        let held = (yield* Engine.list()).find(({ id }) => id === "bad")?.held
        while (held === undefined) {
          yield* Effect.sleep("50 millis")
          held = (yield* Engine.list()).find(({ id }) => id === "bad")?.held
        }
        assert.include(held.message, "expected values that the database can store")
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped)
  )
})
