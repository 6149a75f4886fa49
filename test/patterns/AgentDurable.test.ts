import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Prompt, Tool, Toolkit } from "effect/ai"
import type { Execution } from "effect-baton"
import * as Agent from "effect-baton/Agent"
import { ScriptedModel } from "effect-baton/testing"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"

const { reply, toolCalls, text } = ScriptedModel

const Pay = Tool.make("pay", {
  parameters: Schema.Struct({ euros: Schema.Number }),
  success: Schema.Struct({ euros: Schema.Number, receipt: Schema.Int }),
  needsApproval: true
})
const toolkit = Toolkit.make(Pay)
const bank = Agent.make("bank", { instructions: "You are the bank." })
const clerk = Agent.make("clerk", {
  toolkit: [toolkit, Agent.asTool(bank)],
  approvals: ({ name }) => Effect.succeed(name === "nothing")
})

const pay = (id: string, euros: number) => ({ name: "pay", id, params: { euros } })

const results = (prompt: Prompt.Prompt) =>
  prompt.content.flatMap((message) =>
    message.role === "tool" ? message.content.flatMap((part) => (part.type === "tool-result" ? [part] : [])) : []
  )

/** How the people answer: what they say to the second call, and to the others where they are asked. */
interface People {
  readonly second: string
  readonly others: boolean
}

/** One run, whose process dies at one of its writes and is started again. */
const crashing = Effect.fnUntraced(function* (fault: (n: number) => "before" | "after" | undefined, people: People) {
  const file = yield* temporaryFile
  const seen = new Map<string, Set<string>>()
  let receipts = 0
  const model = yield* ScriptedModel.make([
    reply(
      ({ prompt, text: said }) => {
        for (const { id, result } of results(prompt)) {
          const known = seen.get(id) ?? new Set()
          seen.set(id, known.add(JSON.stringify(result)))
        }
        if (said.includes("You are the bank")) return text("You have 100 euros.")
        const turns = prompt.content.filter((message) => message.role === "assistant").length
        if (turns === 0) {
          return toolCalls([pay("c1", 1), pay("c2", 2), { name: "bank", id: "c3", params: { input: "How much?" } }])
        }
        if (turns === 1) return toolCalls([pay("c4", 4)])
        return text(
          results(prompt)
            .map(({ result }) => (typeof result === "string" ? result : (result as { euros: number }).euros))
            .join("; ")
        )
      },
      { times: Infinity }
    )
  ])
  // Every payment is another one, so that a second one of a call would show.
  const handlers = toolkit.toLayer({ pay: ({ euros }) => Effect.sync(() => ({ euros, receipt: ++receipts })) })
  const answerAll = (execution: Execution.Execution<any, any>) =>
    Effect.gen(function* () {
      for (const { _tag, id, path } of yield* execution.requests) {
        if (_tag === "Input") yield* Effect.ignore(execution.answer(id, { euros: 20 }))
        else if (path.endsWith("c2")) yield* Effect.ignore(execution.approve(id, { reason: people.second }))
        else if (people.others) yield* Effect.ignore(execution.approve(id))
      }
      yield* Effect.sleep(2)
    }).pipe(Effect.forever)
  const program = Effect.gen(function* () {
    const execution = yield* (yield* clerk.run("Go", { id: "r1" })).start
    return yield* Effect.raceFirst(execution.result, answerAll(execution))
  })
  const settings = { idle: 20, pollInterval: 5 }
  const life = (strike: typeof fault | undefined) =>
    live(file, settings, strike, program).pipe(Effect.provide([model.layer, handlers]))
  const first = yield* life(fault)
  const { result } = first.crashed ? yield* life(undefined) : first
  return { result, crashed: first.crashed, seen }
}, Effect.scoped)

describe("an agent on a durable engine", () => {
  for (const when of ["before", "after"] as const) {
    const everywhere = (people: People, expected: string) =>
      Effect.gen(function* () {
        let crashed = true
        for (let n = 1; crashed; n++) {
          const life = yield* crashing((write) => (write === n ? when : undefined), people)
          assert.strictEqual(life.result, expected, `write ${n}`)
          for (const [id, values] of life.seen) assert.strictEqual(values.size, 1, `results of ${id}, write ${n}`)
          crashed = life.crashed
        }
      })

    it.live(`goes on ${when} any write, with the answers of people and the results of tools that it had`, () =>
      everywhere({ second: Agent.edit, others: true }, "1; 20; You have 100 euros.; 4")
    )

    it.live(`holds to a yes for the rest of the run ${when} any write`, () =>
      everywhere({ second: Agent.always, others: false }, "1; 2; You have 100 euros.; 4")
    )
  }
})
