import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, HumanChannel, Workflow } from "effect-baton"
import { ScriptedHuman } from "effect-baton/testing"

const ask = Workflow.make("ask", {
  output: Schema.Array(Schema.String),
  run: (questions) =>
    Effect.forEach(
      questions.split(","),
      (question) =>
        Effect.map(Execution.waitForApproval(question, { key: question }), (approval) =>
          [question, approval.approved ? "yes" : "no", approval.approvedBy ?? "nobody", approval.reason ?? ""].join(" ")
        ),
      { concurrency: "unbounded" }
    )
})

const start = (input: string, human: ScriptedHuman.ScriptedHuman) =>
  Effect.provide(
    Effect.flatMap(ask.run(input), (run) => run.start),
    human.layer
  )

describe("scripted people", () => {
  it.effect("answer by message, kind, path and function, after a delay and out of order", () =>
    Effect.gen(function* () {
      const human = yield* ScriptedHuman.make([
        ScriptedHuman.approve({ when: "one", after: "3 minutes" }),
        ScriptedHuman.reject({
          when: { path: /two$/, workflow: "ask", kind: "Approval" },
          after: "1 minute",
          reason: "no need"
        }),
        ScriptedHuman.approve({ when: (request) => request.message === "three", after: "2 minutes" })
      ])
      const execution = yield* start("one,two,three", human)
      const open = Effect.map(execution.requests, (requests) => requests.map((request) => request.message))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* open, ["one", "three"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* open, ["one"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* execution.result, ["one yes nobody ", "two no nobody no need", "three yes nobody "])
      yield* human.assertComplete
      assert.deepStrictEqual(
        (yield* human.asked).map((asked) => [asked.request.message, asked.outcome]),
        [
          ["one", "approved"],
          ["two", "rejected"],
          ["three", "approved"]
        ]
      )
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("make a quorum by name, and one that is not listed is refused", () =>
    Effect.gen(function* () {
      const release = Workflow.make("release", {
        run: () =>
          Effect.map(
            Execution.waitForApproval("Release?", { approvers: ["ada", "alan"], requiredApprovals: 2 }),
            (approval) => `${approval.approved} ${approval.approvedBy}`
          )
      })
      const humans = yield* ScriptedHuman.make({
        eve: [ScriptedHuman.approve()],
        ada: [ScriptedHuman.approve({ after: "2 seconds" })],
        alan: [ScriptedHuman.approve({ after: "1 second" })]
      })
      const execution = yield* Effect.provide(
        Effect.flatMap(release.run(""), (run) => run.start),
        humans.layer
      )
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* execution.result, "true ada")
      yield* humans.assertComplete
      assert.deepStrictEqual(
        (yield* humans.asked).map((asked) => [asked.person, asked.outcome, asked.refusals.map((e) => e._tag)]),
        [
          ["eve", "pending", ["ApproverNotAllowed"]],
          ["ada", "approved", []],
          ["alan", "approved", []]
        ]
      )
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("go on with their next line when an answer is refused, silence included", () =>
    Effect.gen(function* () {
      const number = Workflow.make("number", {
        output: Schema.Int,
        run: () => Execution.waitForInput("How many?", Schema.Int)
      })
      const human = yield* ScriptedHuman.make([
        ScriptedHuman.answer("many"),
        ScriptedHuman.answer(1.5, { after: "1 second" }),
        ScriptedHuman.silence()
      ])
      const execution = yield* Effect.provide(
        Effect.flatMap(number.run(""), (run) => run.start),
        human.layer
      )
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(
        (yield* human.asked).map((asked) => [asked.outcome, asked.refusals.map((e) => e._tag)]),
        [["pending", ["InvalidAnswer", "InvalidAnswer"]]]
      )
      const [request] = yield* execution.requests
      yield* execution.answer(request!.id, 4)
      assert.strictEqual(yield* execution.result, 4)
      assert.strictEqual((yield* human.asked)[0]!.outcome, "withdrawn")
      yield* human.assertComplete
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("are interrupted while they think when somebody else is faster", () =>
    Effect.gen(function* () {
      const slow = yield* ScriptedHuman.make({ slow: [ScriptedHuman.approve({ after: "1 minute" })] })
      const fast = yield* ScriptedHuman.make({ fast: [ScriptedHuman.approve({ after: "1 second" })] })
      const channel = HumanChannel.layer(HumanChannel.all([slow.channel, fast.channel]))
      const execution = yield* Effect.provide(
        Effect.flatMap(ask.run("one"), (run) => run.start),
        channel
      )
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* execution.result, ["one yes fast "])
      assert.deepStrictEqual(
        [(yield* slow.asked)[0]!.outcome, (yield* fast.asked)[0]!.outcome],
        ["withdrawn", "approved"]
      )
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("leave open what no line fits, and the script is not followed", () =>
    Effect.gen(function* () {
      const human = yield* ScriptedHuman.make([ScriptedHuman.approve({ when: "Deploy" }), ScriptedHuman.answer(1)])
      const execution = yield* start("Sure?", human)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* execution.requests).length, 1)
      const logs = yield* execution.logs
      assert.include(logs[0]!.message, `Nobody's script has an answer to approval "Sure?" at "approval/Sure?" of ask`)
      assert.include(logs[0]!.message, "still scripted: 1: yes")
      const failure = yield* Effect.flip(human.assertComplete)
      assert.deepStrictEqual(
        [failure.unused, failure.unexpected],
        [["1: yes", "2: answer 1"], [`approval "Sure?" at "approval/Sure?" of ask`]]
      )
      assert.strictEqual((yield* human.asked)[0]!.outcome, "not-scripted")
    }).pipe(Effect.provide(Engine.layerMemory))
  )
})
