/** An agent: a model uses tools in a loop, sees what became of each call, and decides for itself when it is done. */
import { Console, Effect, Schema, Stream } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { Agent, Engine } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const FindOrders = Tool.make("find_orders", {
  description: "Finds the orders of a customer",
  parameters: Schema.Struct({ customer: Schema.String }),
  success: Schema.Array(Schema.String)
})
const TrackParcel = Tool.make("track_parcel", {
  description: "Says where the parcel of an order is",
  parameters: Schema.Struct({ order: Schema.String }),
  success: Schema.String,
  failure: Schema.String
})
const toolkit = Toolkit.make(FindOrders, TrackParcel)
const handlers = toolkit.toLayer({
  find_orders: () => Effect.succeed(["o7"]),
  track_parcel: ({ order }) => (order === "o7" ? Effect.succeed("in Oslo") : Effect.fail(`no order ${order}`))
})

const clerk = Agent.make("clerk", {
  instructions: "You help the customers of a shop. Be brief.",
  toolkit,
  maxTurns: 5
})

const model = modelOr([
  ScriptedModel.toolCalls([{ name: "track_parcel", params: { order: "ada" } }]),
  // What a tool fails with is the model's to see.
  ScriptedModel.toolCalls([{ name: "find_orders", params: { customer: "ada" } }], { when: "no order ada" }),
  ScriptedModel.toolCalls([{ name: "track_parcel", params: { order: "o7" } }]),
  ScriptedModel.text("Your parcel is in Oslo.", { when: "in Oslo" })
])

const program = Effect.gen(function* () {
  const run = yield* clerk.run("I am ada. Where is my parcel?")
  const execution = yield* run.start
  yield* execution.events.pipe(
    Stream.filter((event) => event._tag === "StepCompleted"),
    Stream.runForEach((event) => Console.log(event.path))
  )
  yield* Console.log(yield* execution.result)
})

await program.pipe(Effect.provide([Engine.layerMemory, model, handlers]), Effect.runPromise)

/* prints:
turn/1/model
turn/1/tool/track_parcel/call_1
turn/2/model
turn/2/tool/find_orders/call_1
turn/3/model
turn/3/tool/track_parcel/call_1
turn/4/model
Your parcel is in Oslo.
*/
