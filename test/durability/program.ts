// A program that the tests of real crashes kill: it writes down what its steps do, and can kill itself at a write.
import { appendFileSync } from "node:fs"
import { Context, Effect, Layer, Schema } from "effect"
import { Execution, Step, Workflow } from "effect-baton"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"

const [, , filename, notes, killAt = "0"] = process.argv

const note = (name: string) =>
  Step.make(name, {
    run: Effect.as(
      Effect.sync(() => appendFileSync(notes, `${name}\n`)),
      `did ${name}`
    )
  })

export const order = Workflow.make("order", {
  run: Effect.fnUntraced(function* () {
    yield* note("reserve")
    yield* Effect.sleep("5 millis")
    const both = yield* Effect.all([note("pack"), note("label")], { concurrency: 2 })
    const { approved } = yield* Execution.waitForApproval("Ship?")
    const n = yield* Execution.waitForInput("How many?", Schema.Int)
    return `${both.join(", ")}, ${approved}, ${n}, ${yield* note("ship")}`
  })
})

const program = Effect.gen(function* () {
  const context = yield* Layer.build(layerSqlite({ filename, grace: 0 }))
  const engine = Context.get(context, Durable)
  engine.writer.fault = (n) => {
    // No finalizer, no flush: the process is gone, as after a power cut.
    if (n === Number(killAt)) process.kill(process.pid, "SIGKILL")
    return undefined
  }
  yield* Effect.gen(function* () {
    const run = yield* order.run("", { id: "order-1" })
    const execution = yield* run.start
    const answer: Effect.Effect<void> = Effect.gen(function* () {
      for (const request of yield* execution.requests) {
        yield* Effect.ignore(
          request._tag === "Approval" ? execution.approve(request.id) : execution.answer(request.id, 3)
        )
      }
      yield* Effect.sleep("2 millis")
      return yield* answer
    })
    const output = yield* Effect.raceFirst(execution.result, answer)
    appendFileSync(notes, `output: ${output}\n`)
  }).pipe(Effect.provide(context))
  appendFileSync(notes, `writes: ${engine.writer.writes}\n`)
})

await Effect.runPromise(Effect.scoped(program))
