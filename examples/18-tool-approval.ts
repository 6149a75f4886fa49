/** A tool that needs approval waits for a person, who sees the arguments. The model sees the reason of a no. */
import { Console, Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { Agent, Engine } from "effect-baton"
import { ScriptedHuman, ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const Refund = Tool.make("refund", {
  description: "Pays money back",
  parameters: Schema.Struct({ order: Schema.String, euros: Schema.Number }),
  success: Schema.String,
  needsApproval: true
})
const toolkit = Toolkit.make(Refund)
const handlers = toolkit.toLayer({
  refund: ({ euros, order }) => Effect.as(Console.log(`paid ${euros} euros for ${order}`), "paid")
})

const clerk = Agent.make("clerk", { instructions: "You help the customers of a shop.", toolkit })

const model = modelOr([
  ScriptedModel.toolCalls([
    { name: "refund", params: { order: "o7", euros: 20 } },
    { name: "refund", params: { order: "o8", euros: 900 } }
  ]),
  ScriptedModel.text("You get 20 euros for o7. For o8 we call you.", { when: "call the customer first" })
])

// Both calls wait side by side, so people may answer in any order.
const human = Effect.runSync(
  ScriptedHuman.make([
    ScriptedHuman.reject({ when: /"euros": \d{3}/, reason: "call the customer first", times: Infinity }),
    ScriptedHuman.approve({ after: "20 millis", times: Infinity })
  ])
)

const program = Effect.gen(function* () {
  yield* Console.log(yield* clerk.execute("Refund my orders: o7 for 20 euros, and o8 for 900 euros"))
  for (const { outcome, request } of yield* human.asked) yield* Console.log(`${request.message}\n${outcome}`)
})

await program.pipe(Effect.provide([Engine.layerMemory, model, human.layer, handlers]), Effect.runPromise)

/* prints:
paid 20 euros for o7
You get 20 euros for o7. For o8 we call you.
Call the tool "refund" with these arguments?
{
  "order": "o7",
  "euros": 20
}
approved
Call the tool "refund" with these arguments?
{
  "order": "o8",
  "euros": 900
}
rejected
*/
