import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Terminal } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, Workflow } from "effect-baton"
import * as HumanChannel from "effect-baton/HumanChannel"
import { HumanChannelContract } from "effect-baton/testing"
import { makeTerminal } from "./terminal.ts"

const setup = Effect.gen(function* () {
  const { terminal, type } = yield* makeTerminal
  const channel = yield* Effect.provideService(HumanChannel.makeConsole(), Terminal.Terminal, terminal)
  return {
    channel,
    approve: (_asked, reason) => type(`y ${reason}`),
    reject: (_asked, reason) => type(`No, ${reason}`),
    answer: (_asked, value) => type(JSON.stringify(value))
  } satisfies HumanChannelContract.Setup
})

const approval = Workflow.make("deploy", {
  output: Schema.String,
  run: (message) =>
    Effect.map(Execution.waitForApproval(message), (a) =>
      [a.approved ? "yes" : "no", a.approvedBy ?? "somebody", a.reason ?? "no reason"].join(", ")
    )
})

const quorum = Workflow.make("release", {
  output: Schema.String,
  run: (message) =>
    Effect.map(
      Execution.waitForApproval(message, {
        approvers: ["ada", "alan", "grace"],
        requiredApprovals: 2,
        timeout: "5 minutes"
      }),
      (a) => `${a.approved} ${a.approvedBy}`
    )
})

const start = (
  workflow: Workflow.Workflow<string, any, any>,
  input: string,
  terminal: Terminal.Terminal,
  options?: HumanChannel.ConsoleOptions
) =>
  Effect.flatMap(workflow.run(input, { id: "run_1" }), (run) => run.start).pipe(
    Effect.provide(HumanChannel.layerConsoleWith(options ?? {})),
    Effect.provideService(Terminal.Terminal, terminal)
  )

describe("the console", () => {
  for (const check of HumanChannelContract.make(setup)) it.effect(check.name, () => check.effect)

  it.effect("shows what is asked and by whom, and takes yes and no with or without a reason", () =>
    Effect.gen(function* () {
      for (const [line, expected] of [
        ["y", "yes, somebody, no reason"],
        ["YES: all green", "yes, somebody, all green"],
        ["n - not on a Friday, please", "no, somebody, not on a Friday, please"],
        ["  no   ", "no, somebody, no reason"]
      ] as const) {
        const { look, terminal, type } = yield* makeTerminal
        const execution = yield* start(approval, "Deploy api@1.2.0?\nIt is big.", terminal)
        assert.strictEqual(
          yield* look,
          "\n? Deploy api@1.2.0?\n  It is big.\n  deploy (run_1) asks at approval\n  y or n, then a reason if you like > "
        )
        yield* type("perhaps")
        assert.strictEqual(yield* look, "  Please begin with y or n.\n  y or n, then a reason if you like > ")
        yield* type(line)
        assert.strictEqual(yield* execution.result, expected)
        assert.strictEqual(yield* look, "")
      }
    }).pipe(Effect.provide(Engine.layerMemoryWith({ keepSettled: 0 })))
  )

  it.effect("says which reasons do something, and how to give one", () =>
    Effect.gen(function* () {
      const { look, terminal, type } = yield* makeTerminal
      const reasons = { always: "not be asked again" }
      const offer = Workflow.make("offer", {
        run: (message) =>
          Effect.map(Execution.waitForApproval(message, { reasons }), (a) => `${a.approved} ${a.reason}`)
      })
      const execution = yield* start(offer, "Pay?", terminal)
      assert.strictEqual(
        yield* look,
        '\n? Pay?\n  offer (run_1) asks at approval\n  "y always" to not be asked again\n  y or n, then a reason if you like > '
      )
      yield* type("y always")
      assert.strictEqual(yield* execution.result, "true always")
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("asks one person after the other for their names until there is a quorum", () =>
    Effect.gen(function* () {
      const { look, terminal, type } = yield* makeTerminal
      const execution = yield* start(quorum, "Release?", terminal)
      const head = [
        "",
        "? Release?",
        "  release (run_1) asks at approval",
        "  may answer: ada, alan, grace",
        "  2 must say yes",
        "  expires in 5m",
        ""
      ].join("\n")
      assert.strictEqual(yield* look, `${head}  who answers > `)
      for (const line of ["", "eve", "y"]) yield* type(line)
      assert.strictEqual(
        yield* look,
        "  who answers >   y or n, then a reason if you like > " +
          '  eve may not answer "run_1:approval"; its approvers are: ada, alan, grace\n  who answers > '
      )
      for (const line of ["ada", "y", "ada", "y", "alan", "y"]) yield* type(line)
      assert.strictEqual(yield* execution.result, "true alan")
      const screen = yield* look
      assert.include(screen, `ada has already answered "run_1:approval"; the first answer stands`)
      assert.notInclude(screen, "No longer open")
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("answers in the name it was given, once, and leaves the rest of a quorum to others", () =>
    Effect.gen(function* () {
      const { look, terminal, type } = yield* makeTerminal
      const execution = yield* start(quorum, "Release?", terminal, { by: "ada" })
      yield* look
      yield* type("y")
      assert.strictEqual(yield* look, "")
      const [request] = yield* execution.requests
      assert.deepStrictEqual(
        request!.responses.map((response) => ("approvedBy" in response ? response.approvedBy : "")),
        ["ada"]
      )
      yield* execution.approve(request!.id, { by: "grace" })
      assert.strictEqual(yield* execution.result, "true grace")
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("shows the shape of an input, and what is wrong with an answer", () =>
    Effect.gen(function* () {
      const { look, terminal, type } = yield* makeTerminal
      const scale = Workflow.make("scale", {
        output: Schema.Struct({ size: Schema.Int }),
        run: () => Execution.waitForInput("How big?", Schema.Struct({ size: Schema.Int }))
      })
      const execution = yield* start(scale, "", terminal)
      assert.include(
        yield* look,
        "? How big?\n  scale (run_1) asks at input\n  expects { size: whole number }\n  answer as JSON > "
      )
      yield* type('{ "size": "huge" }')
      assert.match(yield* look, /^ {2}Not accepted at "size": Expected .*, found "huge"\n {2}answer as JSON > $/)
      yield* type("huge")
      assert.match(yield* look, /^ {2}Not accepted: Expected .*, found "huge"\n {2}answer as JSON > $/)
      yield* type('{ "size": 3 }')
      assert.deepStrictEqual(yield* execution.result, { size: 3 })
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("takes text word for word, and a yes for true", () =>
    Effect.gen(function* () {
      const { look, terminal, type } = yield* makeTerminal
      const form = Workflow.make("form", {
        output: Schema.Unknown,
        run: () =>
          Effect.gen(function* () {
            const name = yield* Execution.waitForInput("Name?", Schema.NonEmptyString)
            const region = yield* Execution.waitForInput("Region?", Schema.Literals(["eu", "us"]))
            const size = yield* Execution.waitForInput("Size?", Schema.Number)
            const sure = yield* Execution.waitForInput("Sure?", Schema.Boolean)
            return [name, region, size, sure]
          })
      })
      const execution = yield* start(form, "", terminal)
      assert.include(yield* look, "expects text at least 1 long\n  answer > ")
      yield* type("42")
      assert.include(yield* look, 'expects "eu" | "us"\n  answer > ')
      yield* type("eu")
      assert.include(yield* look, "expects number\n  answer as JSON > ")
      yield* type("1.5")
      assert.include(yield* look, "expects true or false\n  answer as JSON > ")
      yield* type("Yes")
      assert.deepStrictEqual(yield* execution.result, ["42", "eu", 1.5, true])
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("says when a request is no longer open, and only if it was shown", () =>
    Effect.gen(function* () {
      const { look, terminal, type } = yield* makeTerminal
      const both = Workflow.make("both", {
        output: Schema.Array(Schema.Boolean),
        run: () =>
          Effect.forEach(
            ["one", "two", "three"],
            (key) => Effect.map(Execution.waitForApproval(`${key}?`, { key }), (a) => a.approved),
            { concurrency: "unbounded" }
          )
      })
      const execution = yield* start(both, "", terminal)
      const [one, two] = yield* execution.requests
      assert.include(yield* look, "? one?")
      yield* execution.approve(two!.id)
      assert.strictEqual(yield* look, "")
      yield* execution.reject(one!.id)
      const screen = yield* look
      assert.include(screen, "\n  No longer open: one?\n")
      assert.include(screen, "? three?")
      assert.notInclude(screen, "two?")
      yield* type("y")
      assert.deepStrictEqual(yield* execution.result, [false, true, true])
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("leaves requests open when the terminal is closed", () =>
    Effect.gen(function* () {
      const { close, look, terminal } = yield* makeTerminal
      const execution = yield* start(approval, "Deploy?", terminal)
      yield* close
      assert.include(yield* look, "The terminal is closed; this stays open: Deploy?")
      const [request] = yield* execution.requests
      yield* execution.approve(request!.id, { by: "ada" })
      assert.strictEqual(yield* execution.result, "yes, ada, no reason")
      assert.deepStrictEqual(yield* execution.logs, [])
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("shows no text that would steer the terminal", () =>
    Effect.gen(function* () {
      const { look, terminal, type } = yield* makeTerminal
      const execution = yield* start(approval, "\u001b[2JDeploy\r\u0007?\u009b1m", terminal)
      // The escape characters are gone; what followed them is harmless text.
      assert.match(yield* look, /^\n\? \[2JDeploy\?1m\n/)
      yield* type("y")
      yield* execution.result
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it.effect("shows a request that waited for its turn with the time that is left", () =>
    Effect.gen(function* () {
      const { look, terminal, type } = yield* makeTerminal
      const channel = HumanChannel.layer(
        yield* Effect.provideService(HumanChannel.makeConsole(), Terminal.Terminal, terminal)
      )
      const begin = (workflow: Workflow.Workflow<string, string>, input: string) =>
        Effect.provide(
          Effect.flatMap(workflow.run(input), (run) => run.start),
          channel
        )
      const first = yield* begin(approval, "First?")
      const second = yield* begin(quorum, "Second?")
      yield* TestClock.adjust("1 minute")
      assert.notInclude(yield* look, "Second?")
      yield* type("y")
      yield* first.result
      assert.match(yield* look, /\? Second\?[\s\S]*expires in 4m\n/)
      yield* second.cancel()
    }).pipe(Effect.provide(Engine.layerMemory))
  )
})
