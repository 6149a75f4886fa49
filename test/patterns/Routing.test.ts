import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import type { AiError, LanguageModel } from "effect/ai"
import {
  type Budget,
  Engine,
  Execution,
  type InferWorkflowOutput,
  InvalidDefinition,
  RunError,
  Step,
  Workflow
} from "effect-baton"
import * as Routing from "effect-baton/Routing"
import { expectTypeOf } from "vitest"
import { model, run, thrown } from "./observed.ts"

class NoAccount extends Schema.TaggedError<NoAccount>()("NoAccount", { id: Schema.String }) {}
class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", {}) {}
class Ledger extends Context.Service<Ledger, string>()("Ledger") {}

const billing = Workflow.make("billing", {
  output: Schema.Number,
  error: NoAccount,
  run: Effect.fnUntraced(function* (text) {
    if (text.includes("nobody")) return yield* new NoAccount({ id: "nobody" })
    return yield* Step.make("look up", { run: Effect.map(Ledger, (ledger) => ledger.length) })
  })
})
const general = Workflow.make("general", { run: (text) => Step.make("reply", { run: Effect.succeed(`re: ${text}`) }) })
const toBilling = { workflow: billing, route: { description: "Invoices", whenToUse: "Money", examples: ["Why 9 €?"] } }
const toGeneral = { workflow: general, route: { description: "The rest", whenToUse: "Otherwise" } }

const classify = (text: string) => Effect.succeed(text.split(" ")[0]!)
const support = Routing.make("support", { workflows: { billing: toBilling, general: toGeneral }, classify })
const withDefault = Routing.make("support", {
  workflows: { billing: toBilling, general: { ...toGeneral, markAsDefault: true } },
  classify
})

const ledger = Effect.provideService(Ledger, "ledger")
const onEngine = Effect.provide(Engine.layerMemory)

describe("Routing", () => {
  it.effect("hands the input to the workflow of the key that classify gives", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* support.execute("billing please"), 6)
      assert.strictEqual(yield* support.execute("general hello"), "re: general hello")
    }).pipe(ledger, onEngine)
  )

  it.effect("shows classify as a step and the chosen workflow's steps under its route", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(support, "billing please"), [
        ":0/2",
        "classify",
        ":1/2",
        "route/billing/look up",
        ":2/2"
      ])
    }).pipe(ledger, onEngine)
  )

  it.effect("sends an unknown key to the default route", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* withDefault.execute("refunds now"), "re: refunds now")
      assert.strictEqual(yield* withDefault.execute("toString"), "re: toString")
    }).pipe(ledger, onEngine)
  )

  it.effect("fails with the key and the known ones where no route is the default", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(support.execute("refunds now"))
      assert.deepStrictEqual(error, new Routing.RouteNotFound({ key: "refunds", known: ["billing", "general"] }))
    }).pipe(ledger, onEngine)
  )

  it.effect("fails with the chosen workflow's own error, as declared", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(support.execute("billing nobody"))
      assert.deepStrictEqual(error, new NoAccount({ id: "nobody" }))
      assert.isTrue(Schema.is(support.error)(error))
    }).pipe(ledger, onEngine)
  )

  it.effect("fails with the classifier's own error, as declared", () =>
    Effect.gen(function* () {
      const unreadable = Routing.make("support", {
        workflows: { general: toGeneral },
        error: Unreadable,
        classify: () => Effect.fail(new Unreadable())
      })
      expectTypeOf<Workflow.Error<typeof unreadable>>().toEqualTypeOf<Unreadable>()
      assert.strictEqual((yield* Effect.flip(unreadable.execute("")))._tag, "Unreadable")
    }).pipe(onEngine)
  )

  it.effect("checks what the workflow of a route takes", () =>
    Effect.gen(function* () {
      let begun = false
      const picky = Workflow.make("picky", {
        input: Schema.String.check(Schema.isMinLength(3)),
        run: (text) => {
          begun = true
          return Effect.succeed(text)
        }
      })
      const routing = Routing.make("support", {
        workflows: { a: { ...toGeneral, workflow: picky } },
        classify: () => Effect.succeed("a")
      })
      const error = yield* Effect.flip(routing.execute("hi"))
      assert.instanceOf(error, RunError.InvalidInput)
      assert.strictEqual((error as RunError.InvalidInput).workflow, "picky")
      assert.isFalse(begun)
    }).pipe(onEngine)
  )

  it.effect("checks what the workflow of a route gives", () =>
    Effect.gen(function* () {
      const liar = Workflow.make("liar", { run: () => Effect.succeed(1 as never as string) })
      const routing = Routing.make("support", {
        workflows: { a: { ...toGeneral, workflow: liar } },
        classify: () => Effect.succeed("a")
      })
      const error = yield* Effect.flip(routing.execute(""))
      assert.instanceOf(error, RunError.InvalidOutput)
      assert.strictEqual((error as RunError.InvalidOutput).workflow, "liar")
    }).pipe(onEngine)
  )

  it.effect("lets its phases be called one by one in a body, where they are steps", () =>
    Effect.gen(function* () {
      const careful = Workflow.make("careful", {
        output: Schema.Union([Schema.String, Schema.Number]),
        error: Schema.Union([NoAccount, Routing.RouteNotFound]),
        run: Effect.fnUntraced(function* (text) {
          const key = yield* support.classify(text)
          yield* Execution.requireApproval(`Route to ${key}?`)
          return yield* support.route(key, text)
        })
      })
      const execution = yield* (yield* careful.run("general hello")).start
      const [request] = yield* execution.requests
      assert.strictEqual(request.message, "Route to general?")
      yield* execution.approve(request.id)
      assert.strictEqual(yield* execution.result, "re: general hello")
    }).pipe(ledger, onEngine)
  )

  it.effect("classifies outside of any execution too", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* support.classify("billing please"), "billing")
    })
  )

  it.effect("asks a model where classify is left out, with what the routes say of themselves", () => {
    const prompts: Array<string> = []
    const asking = Routing.make("support", {
      workflows: { billing: toBilling, general: { ...toGeneral, markAsDefault: true } }
    })
    expectTypeOf<Workflow.Error<typeof asking>>().toEqualTypeOf<NoAccount | AiError.AiError>()
    expectTypeOf<Workflow.Services<typeof asking>>().toEqualTypeOf<Ledger | LanguageModel.LanguageModel>()
    return Effect.gen(function* () {
      assert.strictEqual(yield* asking.execute("Why was I charged?"), 6)
      assert.strictEqual(yield* asking.classify("Why was I charged?"), "billing")
      assert.deepStrictEqual(prompts[0]!.split("\n"), [
        "Choose the one route that fits the input best, and answer with its key. If none fits, choose general.",
        "",
        "Routes:",
        "- billing: Invoices",
        "  When to use: Money",
        '  Examples: "Why 9 €?"',
        "- general: The rest",
        "  When to use: Otherwise",
        "",
        "Input:",
        "Why was I charged?"
      ])
    }).pipe(
      Effect.provide(
        model((prompt) => {
          prompts.push(prompt)
          return { route: "billing" }
        })
      ),
      ledger,
      onEngine
    )
  })

  it.effect("shows a structured input to the model as JSON, and fails with its error where it answers no key", () => {
    const prompts: Array<string> = []
    const Ticket = Schema.Struct({ subject: Schema.String })
    const read = Workflow.make("read", { input: Ticket, run: ({ subject }) => Effect.succeed(subject) })
    const asking = Routing.make("tickets", { input: Ticket, workflows: { read: { ...toGeneral, workflow: read } } })
    return Effect.gen(function* () {
      const error = yield* Effect.flip(asking.execute({ subject: "Hi" }))
      assert.strictEqual(error._tag, "AiError")
      assert.isTrue(prompts[0]!.endsWith('Input:\n{\n  "subject": "Hi"\n}'))
    }).pipe(
      Effect.provide(
        model((prompt) => {
          prompts.push(prompt)
          return { route: "nowhere" }
        })
      ),
      onEngine
    )
  })

  it("refuses two defaults, or no routes, when it is made", () => {
    const twice = { ...toGeneral, markAsDefault: true }
    assert.strictEqual(
      thrown(() => Routing.make("support", { workflows: { a: twice, b: toBilling, c: twice }, classify })),
      'Invalid definition of support at "workflows": Expected at most one default route, found ["a","c"]; correct the option'
    )
    assert.strictEqual(
      thrown(() => Routing.make("support", { workflows: {}, classify })),
      'Invalid definition of support at "workflows": Expected at least one route, found []; correct the option'
    )
  })

  it("passes name, description, version and defaults on", () => {
    const routing = Routing.make("support", {
      workflows: { general: toGeneral },
      classify,
      description: "Answers",
      version: "2",
      defaults: { timeout: "1 minute" }
    })
    assert.deepStrictEqual(
      [routing.name, routing.description, routing.version, routing.defaults],
      ["support", "Answers", "2", { timeout: "1 minute" }]
    )
  })

  it.effect("keeps its errors through JSON", () =>
    Effect.gen(function* () {
      const error = new Routing.RouteNotFound({ key: "a", known: ["b"] })
      const json = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(support.error)(error)))
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(support.error)(json), error)
      const { InvalidDefinition: Invalid } = InvalidDefinition
      const invalid = new Invalid({ workflow: "a", field: "b", value: "c", problem: "d" })
      const text = JSON.stringify(yield* Schema.encodeEffect(Invalid)(invalid))
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(Invalid)(JSON.parse(text)), invalid)
    })
  )

  it("infers output, error and services as the unions over its routes", () => {
    expectTypeOf<InferWorkflowOutput<typeof support>>().toEqualTypeOf<string | number>()
    expectTypeOf<Workflow.Input<typeof support>>().toEqualTypeOf<string>()
    expectTypeOf<Workflow.Error<typeof support>>().toEqualTypeOf<NoAccount | Routing.RouteNotFound>()
    expectTypeOf<Workflow.Services<typeof support>>().toEqualTypeOf<Ledger>()
    expectTypeOf(support.classify).returns.toEqualTypeOf<Effect.Effect<string, Budget.BudgetExceeded, never>>()
  })

  it("can miss a route only where the classifier may give another key, and there is no default", () => {
    const workflows = { billing: toBilling, general: toGeneral }
    const sure = Routing.make("r", {
      workflows,
      classify: (text) => Effect.succeed(text === "" ? "general" : "billing")
    })
    expectTypeOf<Workflow.Error<typeof sure>>().toEqualTypeOf<NoAccount>()
    expectTypeOf(sure.classify).returns.toEqualTypeOf<Effect.Effect<"billing" | "general", Budget.BudgetExceeded>>()
    const mistaken = Routing.make("r", { workflows, classify: () => Effect.succeed("biling") })
    expectTypeOf<Workflow.Error<typeof mistaken>>().toEqualTypeOf<NoAccount | Routing.RouteNotFound>()
    expectTypeOf<Workflow.Error<typeof withDefault>>().toEqualTypeOf<NoAccount>()
    const perhaps = Routing.make("r", {
      workflows: { ...workflows, general: { ...toGeneral, markAsDefault: thrown === undefined } },
      classify
    })
    expectTypeOf<Workflow.Error<typeof perhaps>>().toEqualTypeOf<NoAccount | Routing.RouteNotFound>()
    const asking = Routing.make("r", { workflows })
    expectTypeOf(asking.classify).returns.toEqualTypeOf<
      Effect.Effect<"billing" | "general", AiError.AiError | Budget.BudgetExceeded, LanguageModel.LanguageModel>
    >()
    expectTypeOf(support.route("general", "")).toEqualTypeOf<
      Effect.Effect<string | number, NoAccount | RunError.RunError, Ledger | Execution.Current>
    >()
    expectTypeOf(support.route("genral", "")).toEqualTypeOf<
      Effect.Effect<string | number, NoAccount | Routing.RouteNotFound | RunError.RunError, Ledger | Execution.Current>
    >()
  })

  it("infers the workflows that are made in place", () => {
    const routing = Routing.make("inline", {
      workflows: {
        a: {
          workflow: Workflow.make("a", { output: Schema.Number, run: (text) => Effect.succeed(text.length) }),
          route: { description: "", whenToUse: "" }
        },
        b: {
          workflow: Workflow.make("b", { run: (text) => Effect.succeed(text) }),
          route: { description: "", whenToUse: "" }
        }
      },
      classify: (text) => Effect.succeed(text.slice(0, 1))
    })
    expectTypeOf<Workflow.Output<typeof routing>>().toEqualTypeOf<string | number>()
    expectTypeOf<Workflow.Services<typeof routing>>().toEqualTypeOf<never>()
  })

  it("refuses workflows of other inputs or outputs, and errors that no schema describes", () => {
    const workflows = { general: toGeneral }
    // @ts-expect-error the workflow takes text
    Routing.make("r", { input: Schema.Number, workflows, classify: () => Effect.succeed("general") })
    // @ts-expect-error the workflow gives text
    Routing.make("r", { output: Schema.Number, workflows, classify })
    // @ts-expect-error `error` is missing
    Routing.make("r", { workflows, classify: () => Effect.fail(new Unreadable()) })
    const wider = Routing.make("r", { output: Schema.Union([Schema.String, Schema.Boolean]), workflows, classify })
    expectTypeOf<Workflow.Output<typeof wider>>().toEqualTypeOf<string | boolean>()
  })
})
