// Texts that databases do not take as they are, on both of ours.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
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
