// The program of the tests that kill a process in the middle of its model calls: an agent with tools, approvals and streams,
// and calls that the body makes itself. It can kill itself at a write.
import { appendFileSync } from "node:fs"
import { createOpenAI } from "@ai-sdk/openai"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { LanguageModel, Tool, Toolkit } from "effect/ai"
import { Agent, Execution, Models, Step, Workflow } from "effect-baton"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"

const [, , filename, notes, baseURL, killAt = "0"] = process.argv

const note = (line: string) => Effect.sync(() => appendFileSync(notes, `${line}\n`))

const Look = Tool.make("look", { parameters: Schema.Struct({ at: Schema.String }), success: Schema.String })
const Pay = Tool.make("pay", {
  parameters: Schema.Struct({ euros: Schema.Finite }),
  success: Schema.String,
  needsApproval: true
})
const Refund = Tool.make("refund", { parameters: Schema.Struct({ euros: Schema.Finite }), success: Schema.String })
const agentTools = Toolkit.make(Look, Pay)
const ownTools = Toolkit.make(Refund)

const handlers = Layer.mergeAll(
  agentTools.toLayer({
    look: ({ at }) => Effect.as(note(`look ${at}`), `${at}: 3 euros`),
    pay: ({ euros }) => Effect.as(note(`pay ${euros}`), `paid ${euros}`)
  }),
  ownTools.toLayer({
    refund: ({ euros }) =>
      Effect.gen(function* () {
        const { approved } = yield* Execution.waitForApproval(`Refund ${euros}?`)
        if (!approved) return "refused"
        return yield* Step.make("give", { run: Effect.as(note(`refund ${euros}`), `gave ${euros}`) })
      }).pipe(Effect.orDie) as Effect.Effect<string>
  })
)

const clerk = Agent.make("clerk", { toolkit: agentTools, instructions: "You are the clerk.", stream: true })

const desk = Workflow.make("desk", {
  output: Schema.Array(Schema.String),
  run: Effect.fnUntraced(function* (topic) {
    const plan = yield* LanguageModel.generateText({ prompt: `plan ${topic}` })
    const story = yield* LanguageModel.streamText({ prompt: "tell a story" }).pipe(
      Stream.flatMap((part) => (part.type === "text-delta" ? Stream.succeed(part.delta) : Stream.empty)),
      Stream.mkString
    )
    const [clerked, ...both] = yield* Effect.all(
      [
        clerk.call("Pay the bills"),
        ...["left", "right"].map((side) => Effect.map(LanguageModel.generateText({ prompt: side }), ({ text }) => text))
      ],
      { concurrency: "unbounded" }
    )
    const refunds = yield* LanguageModel.generateText({ prompt: "refund me", toolkit: ownTools })
    const last = yield* LanguageModel.generateText({ prompt: "goodbye" })
    return [plan.text, story, clerked, ...both, ...refunds.toolResults.map(({ result }) => String(result)), last.text]
  }, Effect.orDie)
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
    const execution = yield* (yield* desk.run("the day", { id: "desk-1" })).start
    const agree: Effect.Effect<never> = Effect.gen(function* () {
      for (const request of yield* execution.requests) yield* Effect.ignore(execution.approve(request.id))
      yield* Effect.sleep("2 millis")
    }).pipe(Effect.forever)
    yield* note(`output: ${JSON.stringify(yield* Effect.raceFirst(execution.result, agree))}`)
    const { modelCalls } = yield* execution.usage
    yield* note(`calls: ${modelCalls}`)
  }).pipe(
    Effect.provide(handlers),
    Effect.provide(Models.fromAiSdk(createOpenAI({ baseURL, apiKey: "sk-none" }).chat("served"))),
    Effect.provide(context)
  )
  yield* note(`writes: ${engine.writer.writes}`)
})

await Effect.runPromise(Effect.scoped(program))
