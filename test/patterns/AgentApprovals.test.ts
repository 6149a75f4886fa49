import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { AiError, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { Engine, type HumanRequest } from "effect-baton"
import * as Agent from "effect-baton/Agent"
import { ScriptedHuman, ScriptedModel } from "effect-baton/testing"
import { settle } from "../support/executions.ts"
import { story } from "./observed.ts"

const { toolCalls, text } = ScriptedModel

const Pay = Tool.make("pay", {
  parameters: Schema.Struct({ euros: Schema.NumberFromString }),
  success: Schema.String,
  needsApproval: true
})
const Look = Tool.make("look", { parameters: Schema.Struct({ at: Schema.String }), success: Schema.String })
const toolkit = Toolkit.make(Pay, Look)
const clerk = Agent.make("clerk", { toolkit })

const handlers = (log: Array<string> = []) =>
  toolkit.toLayer({
    pay: ({ euros }) =>
      Effect.sync(() => {
        log.push(`pay ${euros}`)
        return `paid ${euros}`
      }),
    look: ({ at }) =>
      Effect.sync(() => {
        log.push(`look ${at}`)
        return `seen ${at}`
      })
  })

const pay = (euros: number, id?: string) => ({ name: "pay", params: { euros: `${euros}` }, ...(id ? { id } : {}) })
const look = (at: string, id?: string) => ({ name: "look", params: { at }, ...(id ? { id } : {}) })

const scripted = <A, E, R>(
  script: ScriptedModel.Script,
  f: (model: ScriptedModel.ScriptedModel) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const model = yield* ScriptedModel.make(script)
    const result = yield* f(model).pipe(Effect.provide([Engine.layerMemory, model.layer]))
    yield* model.assertComplete
    return result
  })

const start = Effect.fnUntraced(function* (agent: typeof clerk = clerk) {
  const execution = yield* (yield* agent.run("Go")).start
  yield* settle
  return execution
})

const paths = (requests: ReadonlyArray<HumanRequest.HumanRequest>) => requests.map((request) => request.path)

describe("tools that need approval", () => {
  it.effect("are not called before a person says yes, and show their arguments", () => {
    const log: Array<string> = []
    return scripted([toolCalls([pay(50)]), "Paid."], () =>
      Effect.gen(function* () {
        const execution = yield* start()
        assert.strictEqual(yield* execution.status, "awaiting")
        assert.deepStrictEqual(log, [])
        const [request] = yield* execution.requests
        assert.deepStrictEqual(
          [request._tag, request.path, request.message],
          ["Approval", "turn/1/approval/call_1", 'Call the tool "pay" with these arguments?\n{\n  "euros": "50"\n}']
        )
        // How the reasons are shown, and how a person gives one, is the channel's matter.
        assert.deepStrictEqual(request._tag === "Approval" && Object.keys(request.reasons ?? {}), ["always", "edit"])
        yield* execution.approve(request.id, { by: "ada" })
        assert.strictEqual(yield* execution.result, "Paid.")
        assert.deepStrictEqual(log, ["pay 50"])
      }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("give the model the reason of a no as their result", () => {
    const log: Array<string> = []
    return scripted([toolCalls([pay(50)]), text("Then not.", { when: "ask for less" })], (model) =>
      Effect.gen(function* () {
        const execution = yield* start()
        const [request] = yield* execution.requests
        yield* execution.reject(request.id, { by: "ada", reason: "ask for less" })
        assert.strictEqual(yield* execution.result, "Then not.")
        assert.deepStrictEqual(log, [])
        const results = (yield* model.calls)[1]!.prompt.content.at(-1)!.content
        assert.deepInclude(results[0], {
          isFailure: true,
          result: { type: "execution-denied", reason: "ask for less" }
        })
      }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("take other arguments from a person, which the conversation has from then on", () => {
    const log: Array<string> = []
    return scripted([toolCalls([pay(50)]), text("Paid 5.", { when: "paid 5" })], (model) =>
      Effect.gen(function* () {
        const execution = yield* start()
        const [approval] = yield* execution.requests
        yield* execution.approve(approval.id, { by: "ada", reason: "Edit" })
        yield* settle
        const [input] = yield* execution.requests
        assert.deepStrictEqual([input._tag, input.path], ["Input", "turn/1/input/call_1"])
        if (input._tag !== "Input") return
        assert.deepInclude(input.jsonSchema, { required: ["euros"] })
        const refused = yield* Effect.flip(execution.answer(input.id, { euros: true }))
        assert.strictEqual(refused._tag, "InvalidAnswer")
        yield* execution.answer(input.id, { euros: "5" })
        assert.strictEqual(yield* execution.result, "Paid 5.")
        assert.deepStrictEqual(log, ["pay 5"])
        const [, said] = (yield* model.calls)[1]!.prompt.content
        assert.deepInclude(said!.content[0], { name: "pay", params: { euros: "5" } })
      }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("are not asked about again in the run once a person said always, in this turn or a later one", () => {
    const log: Array<string> = []
    return scripted(
      [toolCalls([pay(1, "c1"), pay(2, "c2"), pay(3, "c3")]), toolCalls([pay(4)]), "Paid.", toolCalls([pay(5)])],
      () =>
        Effect.gen(function* () {
          const execution = yield* start()
          const requests = yield* execution.requests
          assert.strictEqual(requests.length, 3)
          yield* execution.approve(requests[1]!.id, { reason: Agent.always })
          assert.strictEqual(yield* execution.result, "Paid.")
          assert.deepStrictEqual(log.toSorted(), ["pay 1", "pay 2", "pay 3", "pay 4"])
          const again = yield* start()
          assert.strictEqual((yield* again.requests).length, 1)
          yield* again.cancel()
        }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("wait side by side, answered in any order, while the others go on", () => {
    const log: Array<string> = []
    return scripted(
      [toolCalls([pay(1, "c1"), look("a", "c2"), pay(2, "c3")]), text("Done.", { when: "no more" })],
      (model) =>
        Effect.gen(function* () {
          const execution = yield* start()
          assert.deepStrictEqual(log, ["look a"])
          const requests = yield* execution.requests
          assert.deepStrictEqual(paths(requests), ["turn/1/approval/c1", "turn/1/approval/c3"])
          yield* execution.approve(requests[1]!.id)
          yield* settle
          assert.deepStrictEqual(log, ["look a", "pay 2"])
          yield* execution.reject(requests[0]!.id, { reason: "no more" })
          assert.strictEqual(yield* execution.result, "Done.")
          const results = (yield* model.calls)[1]!.prompt.content.at(-1)!.content as ReadonlyArray<{ id: string }>
          assert.deepStrictEqual(
            results.map(({ id }) => id),
            ["c1", "c2", "c3"]
          )
        }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("work where a model gives two calls one id", () => {
    const log: Array<string> = []
    return scripted([toolCalls([pay(1, "c"), pay(2, "c")]), "Done."], () =>
      Effect.gen(function* () {
        const execution = yield* start()
        const requests = yield* execution.requests
        assert.deepStrictEqual(paths(requests), ["turn/1/approval/c", "turn/1/approval/c-2"])
        for (const request of requests) yield* execution.approve(request.id)
        assert.strictEqual(yield* execution.result, "Done.")
        assert.deepStrictEqual(log, ["pay 1", "pay 2"])
      }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("follow the run's rules for approvals: approvers, quorum, timeout", () =>
    scripted([toolCalls([pay(1)]), text("Nobody came.", { when: "timeout" })], () =>
      Effect.gen(function* () {
        const approval = { approvers: ["ada", "alan"], requiredApprovals: 2, timeout: "1 hour" } as const
        const execution = yield* (yield* clerk.run("Go", { approval })).start
        yield* settle
        const [request] = yield* execution.requests
        assert.strictEqual(
          (yield* Effect.flip(execution.approve(request.id, { by: "eve" })))._tag,
          "ApproverNotAllowed"
        )
        yield* execution.approve(request.id, { by: "ada" })
        assert.strictEqual((yield* execution.requests).length, 1)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(yield* execution.result, "Nobody came.")
      }).pipe(Effect.provide(handlers()))
    )
  )

  it.effect("are those that the agent names, besides those that say so", () => {
    const strict = Agent.make("clerk", { toolkit, approvals: ["look"] })
    return scripted([toolCalls([look("a", "c1"), pay(1, "c2")])], () =>
      Effect.gen(function* () {
        const execution = yield* start(strict)
        assert.deepStrictEqual(paths(yield* execution.requests), ["turn/1/approval/c1", "turn/1/approval/c2"])
        yield* execution.cancel()
      }).pipe(Effect.provide(handlers()))
    )
  })

  it.effect("may depend on the call: by a function of the agent or of the tool, whose effects are recorded", () => {
    const Spend = Tool.make("spend", {
      parameters: Schema.Struct({ euros: Schema.Number }),
      needsApproval: ({ euros }, { messages }) => euros > 100 && messages.length > 0
    })
    const kit = Toolkit.make(Spend, Look)
    const agent = Agent.make("clerk", {
      toolkit: kit,
      approvals: ({ name, params }) => Effect.succeed(name === "look" && JSON.stringify(params).includes("secret"))
    })
    const spend = (euros: number, id: string) => ({ name: "spend", id, params: { euros } })
    return scripted([toolCalls([spend(5, "c1"), spend(500, "c2"), look("x", "c3"), look("secret", "c4")])], () =>
      Effect.gen(function* () {
        const execution = yield* (yield* agent.run("Go")).start
        yield* settle
        assert.deepStrictEqual(paths(yield* execution.requests), ["turn/1/approval/c2", "turn/1/approval/c4"])
        yield* execution.cancel()
        const steps = (yield* story(execution)).filter((line) => !line.includes(":"))
        assert.includeMembers(steps, [
          "turn/1/approvals/c1",
          "turn/1/approvals/c3",
          "turn/1/approvals/c4",
          "turn/1/tool/spend/c1",
          "turn/1/tool/look/c3"
        ])
      }).pipe(Effect.provide(kit.toLayer({ spend: () => Effect.void, look: ({ at }) => Effect.succeed(at) })))
    )
  })

  it.effect("do not trouble a person with arguments that do not fit", () =>
    scripted(
      [toolCalls([{ name: "pay", params: { euros: true } }]), text("Sorry.", { when: "invalid-arguments" })],
      () =>
        Effect.gen(function* () {
          assert.strictEqual(yield* clerk.execute("Go"), "Sorry.")
        }).pipe(Effect.provide(handlers()))
    )
  )

  it.effect("take their requests back where the run is cancelled while they wait", () => {
    const log: Array<string> = []
    return scripted([toolCalls([pay(1, "c1"), pay(2, "c2")])], () =>
      Effect.gen(function* () {
        const execution = yield* start()
        const [request] = yield* execution.requests
        assert.strictEqual(yield* execution.cancel("enough"), "cancelled")
        assert.deepStrictEqual(yield* execution.requests, [])
        assert.strictEqual((yield* Effect.flip(execution.approve(request.id)))._tag, "RequestSettled")
        assert.deepStrictEqual(log, [])
      }).pipe(Effect.provide(handlers(log)))
    )
  })

  it.effect("keep their answers where a retry resumes: nobody is asked twice, and nothing is paid twice", () => {
    const log: Array<string> = []
    const down = new AiError.InternalProviderError({ description: "down" })
    return scripted([toolCalls([pay(1)]), ScriptedModel.fail(down), "Paid."], () =>
      Effect.gen(function* () {
        const human = yield* ScriptedHuman.make([ScriptedHuman.approve({ after: "1 minute" })])
        const execution = yield* (yield* clerk.run("Go", {
          retry: { attempts: 1, delay: 0, mode: "resume" }
        })).start.pipe(Effect.provide(human.layer))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* execution.result, "Paid.")
        assert.deepStrictEqual(log, ["pay 1"])
        yield* human.assertComplete
        assert.strictEqual((yield* human.asked).length, 1)
      }).pipe(Effect.provide(handlers(log)))
    )
  })
})
