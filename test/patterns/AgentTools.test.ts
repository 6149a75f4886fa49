import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Layer, Schema } from "effect"
import {
  AiError,
  type LanguageModel,
  McpClient,
  McpClientError,
  McpProtocol,
  McpServer,
  Tool,
  Toolkit
} from "effect/ai"
import { FetchHttpClient, HttpRouter } from "effect/http"
import { Budget, Engine, Execution, Step, Workflow } from "effect-baton"
import * as Agent from "effect-baton/Agent"
import { ScriptedModel } from "effect-baton/testing"
import { expectTypeOf } from "vitest"
import { settle } from "../support/executions.ts"
import { story } from "./observed.ts"

const { toolCalls, text } = ScriptedModel

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

/** The results that the model saw in its last call. */
const seen = (model: ScriptedModel.ScriptedModel) =>
  Effect.map(model.calls, (calls) =>
    (calls.at(-1)!.prompt.content.at(-1)!.content as ReadonlyArray<{ result: unknown; isFailure: boolean }>).map(
      ({ isFailure, result }) => [isFailure, result]
    )
  )

const steps = (execution: Execution.Execution<any, any>) =>
  Effect.map(story(execution), (lines) => lines.filter((line) => !line.includes(":")))

describe("what a tool fails with", () => {
  class NoAccount extends Schema.TaggedError<NoAccount>()("NoAccount", { id: Schema.String }) {}
  const Open = Tool.make("open", { parameters: Schema.Struct({ id: Schema.String }), failure: NoAccount })
  const kit = Toolkit.make(Open)
  const agent = Agent.make("clerk", { toolkit: kit })
  const open = (params: unknown = { id: "7" }) => toolCalls([{ name: "open", params }])
  const failing = (fail: () => Effect.Effect<never, any>) => kit.toLayer({ open: fail as never })

  it.effect("goes to the model as its schema encodes it, and the agent goes on", () =>
    scripted([open(), "No such account."], (model) =>
      Effect.gen(function* () {
        const execution = yield* (yield* agent.run("Go")).start
        assert.strictEqual(yield* execution.result, "No such account.")
        assert.deepStrictEqual(yield* seen(model), [[true, { _tag: "NoAccount", id: "7" }]])
        assert.include(yield* steps(execution), "turn/1/tool/open/call_1")
      }).pipe(Effect.provide(failing(() => Effect.fail(new NoAccount({ id: "7" })))))
    )
  )

  it.effect("goes to the model the same where the tool returns its failures", () => {
    const Returning = Tool.make("open", {
      parameters: Schema.Struct({ id: Schema.String }),
      failure: NoAccount,
      failureMode: "return"
    })
    const kit = Toolkit.make(Returning)
    return scripted([open(), open({ id: 1 }), "Done."], (model) =>
      Effect.gen(function* () {
        yield* Agent.make("clerk", { toolkit: kit }).execute("Go")
        const [[isFailure, result]] = (yield* seen(model)) as [[boolean, { type: string }]]
        assert.deepStrictEqual([isFailure, result.type], [true, "invalid-arguments"])
        assert.include((yield* model.calls)[1]!.text, "NoAccount")
      }).pipe(Effect.provide(kit.toLayer({ open: () => Effect.fail(new NoAccount({ id: "7" })) })))
    )
  })

  it.effect("tells the model of arguments that do not decode, and of tools that do not exist", () =>
    scripted([open({ id: 7 }), toolCalls([{ name: "shut" }]), "Sorry."], (model) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* agent.execute("Go"), "Sorry.")
        const [, second, third] = yield* model.calls
        assert.match(second!.text, /invalid-arguments.*Expected string/)
        assert.include(third!.text, 'No tool \\"shut\\"; the known ones are: open')
      }).pipe(Effect.provide(failing(() => Effect.die("not reached"))))
    )
  )

  it.effect("tells the model of a tool where there are none at all", () =>
    scripted([toolCalls([{ name: "shut" }]), text("Sorry.", { when: "there are none" })], () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* Agent.make("a", {}).execute("Go"), "Sorry.")
      })
    )
  )

  it.effect("tells the model what another service's failure says", () =>
    scripted([open(), text("Later.", { when: "overloaded" })], () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* agent.execute("Go"), "Later.")
      }).pipe(
        Effect.provide(failing(() => Effect.fail(new AiError.InternalProviderError({ description: "overloaded" }))))
      )
    )
  )

  it.effect("stays a defect where it is one", () =>
    scripted([open()], () =>
      Effect.gen(function* () {
        const execution = yield* (yield* agent.run("Go")).start
        const exit = yield* execution.exit
        assert.include(String(exit), "broken")
        assert.strictEqual(yield* execution.status, "failed")
      }).pipe(Effect.provide(failing(() => Effect.die(new Error("broken")))))
    )
  )

  it.effect("is a defect where it is a failure and a defect at once", () =>
    scripted([open()], () =>
      Effect.gen(function* () {
        const execution = yield* (yield* agent.run("Go")).start
        assert.include(String(yield* execution.exit), "broken")
      }).pipe(
        Effect.provide(
          failing(() =>
            Effect.failCause(Cause.combine(Cause.fail(new NoAccount({ id: "7" })), Cause.die(new Error("broken"))))
          )
        )
      )
    )
  )

  it.effect("fails the agent where the result does not fit the tool's own schema", () => {
    const kit = Toolkit.make(Tool.make("open", { success: Schema.Number }))
    return scripted([toolCalls([{ name: "open" }])], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Agent.make("a", { toolkit: kit }).execute("Go"))
        assert.isTrue(error._tag === "AiError" && error.reason._tag === "ToolResultEncodingError")
      }).pipe(Effect.provide(kit.toLayer({ open: () => Effect.succeed("x" as never) })))
    )
  })
})

describe("asTool", () => {
  class Missing extends Schema.TaggedError<Missing>()("Missing", { city: Schema.String }) {}
  class Ledger extends Context.Service<Ledger, string>()("Ledger") {}

  const weather = Workflow.make("look up weather", {
    description: "The weather of a city",
    input: Schema.Struct({ city: Schema.String, at: Schema.Date }),
    output: Schema.Struct({ celsius: Schema.Number, at: Schema.Date }),
    error: Missing,
    run: Effect.fnUntraced(function* ({ at, city }) {
      if (city === "Atlantis") return yield* new Missing({ city })
      yield* Execution.requireApproval(`Look up ${city}?`)
      return yield* Step.make("ask", {
        output: Schema.Struct({ celsius: Schema.Number, at: Schema.Date }),
        run: Effect.map(Ledger, (ledger) => ({ celsius: ledger.length, at }))
      })
    })
  })
  const tool = Agent.asTool(weather)
  const at = "2026-01-01T00:00:00.000Z"

  it.effect("runs the workflow in the agent's own execution, with its steps and approvals under the call", () =>
    scripted([toolCalls([{ name: "look_up_weather", params: { city: "Oslo", at } }]), "Cold."], (model) =>
      Effect.gen(function* () {
        const execution = yield* (yield* Agent.make("clerk", { toolkit: tool }).run("Go")).start
        yield* settle
        const [request] = yield* execution.requests
        assert.deepStrictEqual(
          [request.message, request.path, request.executionId],
          ["Look up Oslo?", "turn/1/tool/look_up_weather/call_1/approval", execution.id]
        )
        yield* execution.approve(request.id)
        assert.strictEqual(yield* execution.result, "Cold.")
        assert.deepStrictEqual(yield* steps(execution), [
          "turn/1/model",
          "turn/1/tool/look_up_weather/call_1/ask",
          "turn/2/model"
        ])
        assert.deepStrictEqual(yield* seen(model), [[false, { celsius: 6, at }]])
      }).pipe(Effect.provideService(Ledger, "ledger"))
    )
  )

  it.effect("gives the model what the workflow fails with, and input that does not fit", () =>
    scripted(
      [
        toolCalls([
          { name: "look_up_weather", id: "c1", params: { city: "Atlantis", at } },
          { name: "look_up_weather", id: "c2", params: { city: 1 } }
        ]),
        "Nowhere."
      ],
      (model) =>
        Effect.gen(function* () {
          yield* Agent.make("clerk", { toolkit: tool }).execute("Go")
          const [[, missing], [, invalid]] = (yield* seen(model)) as Array<[boolean, any]>
          assert.deepStrictEqual(missing, { _tag: "Missing", city: "Atlantis" })
          assert.strictEqual(invalid.type, "invalid-arguments")
        }).pipe(Effect.provideService(Ledger, "ledger"))
    )
  )

  it("says of itself what the workflow says, and asks for an object whatever the input is", () => {
    assert.deepStrictEqual([tool.name, Tool.getDescription(tool)], ["look_up_weather", "The weather of a city"])
    const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
    const schema = Tool.getJsonSchema(Agent.asTool(echo, { name: "say", description: "Says it" }))
    assert.deepInclude(schema, { type: "object", required: ["input"] })
    const nested = Tool.getJsonSchema(tool) as { properties: Record<string, { type: string }> }
    assert.deepStrictEqual(Object.keys(nested.properties), ["city", "at"])
  })

  it.effect("mixes with other tools, in a toolkit or beside one, and may need a yes itself", () => {
    const Add = Tool.make("add", { success: Schema.Number })
    const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
    const kit = Toolkit.make(Add, Agent.asTool(echo, { name: "echo", needsApproval: true }))
    const agent = Agent.make("clerk", { toolkit: [kit, tool] })
    expectTypeOf<Workflow.Services<typeof agent>>().toEqualTypeOf<
      LanguageModel.LanguageModel | Tool.Handler<"add"> | Ledger
    >()
    const unnamed = Agent.make("clerk", { toolkit: Toolkit.make(Add, tool) })
    expectTypeOf<Workflow.Services<typeof unnamed>>().toEqualTypeOf<
      LanguageModel.LanguageModel | Tool.Handler<"add"> | Ledger
    >()
    const handlers = Layer.succeedContext(Context.empty()).pipe(
      Layer.merge(Toolkit.make(Add).toLayer({ add: () => Effect.succeed(3) }))
    )
    return scripted(
      [
        toolCalls([
          { name: "add", id: "c1" },
          { name: "echo", id: "c2", params: { input: "hi" } }
        ]),
        "Done."
      ],
      (model) =>
        Effect.gen(function* () {
          const execution = yield* (yield* agent.run("Go")).start
          yield* settle
          const [request] = yield* execution.requests
          assert.include(request.message, '"echo"')
          yield* execution.approve(request.id)
          yield* execution.result
          assert.deepStrictEqual(yield* seen(model), [
            [false, 3],
            [false, "hi"]
          ])
        }).pipe(Effect.provide(handlers), Effect.provideService(Ledger, "x"))
    )
  })

  it.effect("shows a sub-agent's approvals, steps and usage on the outer run", () => {
    const Buy = Tool.make("buy", { parameters: Schema.Struct({ what: Schema.String }), needsApproval: true })
    const kit = Toolkit.make(Buy)
    const buyer = Agent.make("buyer", { instructions: "You buy.", toolkit: kit })
    const boss = Agent.make("boss", { instructions: "You lead.", toolkit: Agent.asTool(buyer) })
    return scripted(
      [
        toolCalls([{ name: "buyer", params: { input: "tea" } }], { when: "You lead" }),
        toolCalls([{ name: "buy", params: { what: "tea" } }], { when: "You buy" }),
        text("Bought tea.", { when: "You buy" }),
        text("We have tea.", { when: "Bought tea." })
      ],
      () =>
        Effect.gen(function* () {
          const execution = yield* (yield* boss.run("We need tea")).start
          yield* settle
          const [request] = yield* execution.requests
          assert.strictEqual(request.path, "turn/1/tool/buyer/call_1/turn/1/approval/call_1")
          yield* execution.approve(request.id)
          assert.strictEqual(yield* execution.result, "We have tea.")
          assert.strictEqual((yield* execution.usage).modelCalls, 4)
          assert.include(yield* steps(execution), "turn/1/tool/buyer/call_1/turn/1/tool/buy/call_1")
        }).pipe(Effect.provide(kit.toLayer({ buy: () => Effect.void })))
    )
  })

  it.effect("stops the outer agent too where a sub-agent uses up the budget, with the outer conversation", () => {
    const inner = Agent.make("inner", { instructions: "You dig.", toolkit: Toolkit.make(Tool.make("dig")) })
    const outer = Agent.make("outer", { toolkit: Agent.asTool(inner) })
    return scripted(
      [toolCalls([{ name: "inner", params: { input: "dig" } }]), toolCalls([{ name: "dig" }], { when: "You dig" })],
      () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(outer.execute("Go", { budget: { modelCalls: 2 } }))
          if (error._tag !== "AgentStopped") return assert.fail(error._tag)
          assert.deepStrictEqual([error.agent, error.turns], ["outer", 1])
          assert.instanceOf(error.budget, Budget.BudgetExceeded)
          assert.deepStrictEqual(
            error.history.content.map((message) => message.role),
            ["user", "assistant", "tool"]
          )
        }).pipe(Effect.provide(Toolkit.make(Tool.make("dig")).toLayer({ dig: () => Effect.void })))
    )
  })
})

describe("mcpTools", () => {
  const Add = Tool.make("add", {
    description: "Adds two numbers",
    parameters: Schema.Struct({ a: Schema.Number, b: Schema.Number }),
    success: Schema.String,
    failure: Schema.String
  })
  const Drop = Tool.make("drop", { success: Schema.String })
  const served = Toolkit.make(Add, Drop)
  const registrations = McpServer.toolkit(served).pipe(
    Layer.provide(
      served.toLayer({
        add: ({ a, b }) => (a < 0 ? Effect.fail("no negatives") : Effect.succeed(`sum ${a + b}`)),
        drop: () => Effect.succeed("dropped")
      })
    )
  )
  /** An MCP server over HTTP, whose requests stay in this process. */
  const server = McpServer.layerHttp({
    name: "sums",
    version: "1.0.0",
    path: "/mcp",
    protocols: [McpProtocol.v2025_11_25],
    registrations
  })
  const client = Layer.unwrap(
    Effect.gen(function* () {
      const { dispose, handler } = HttpRouter.toWebHandler(server as Layer.Layer<any, any, HttpRouter.HttpRouter>, {
        disableLogger: true
      })
      yield* Effect.addFinalizer(() => Effect.promise(dispose))
      const fetch = (input: RequestInfo | URL, init?: RequestInit) =>
        handler(new Request(input, init), Context.empty() as never)
      return McpClient.layerHttp({
        name: "agent",
        version: "1.0.0",
        url: "http://localhost/mcp",
        protocol: McpProtocol.v2025_11_25
      }).pipe(
        Layer.provide(FetchHttpClient.layer),
        Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch as typeof globalThis.fetch))
      )
    })
  )

  it.live("gives an agent the tools of a server, with names and approvals of its own", () => {
    const Look = Tool.make("look", { success: Schema.String })
    const own = Toolkit.make(Look)
    const agent = Agent.make("clerk", {
      error: McpClientError.McpClientError,
      toolkit: [own, Agent.mcpTools({ prefix: "sums_", only: ["add"] })],
      approvals: ({ name }) => name === "sums_add"
    })
    expectTypeOf<Workflow.Services<typeof agent>>().toEqualTypeOf<
      LanguageModel.LanguageModel | Tool.Handler<"look"> | McpClient.McpClient
    >()
    return scripted(
      [
        toolCalls([
          { name: "look", id: "c1" },
          { name: "sums_add", id: "c2", params: { a: 1, b: 2 } },
          { name: "sums_add", id: "c3", params: { a: -1, b: 2 } },
          { name: "sums_drop", id: "c4" }
        ]),
        "It is 3."
      ],
      (model) =>
        Effect.gen(function* () {
          const execution = yield* (yield* agent.run("1 and 2?", {
            approval: { timeout: 10, autoApproveOnTimeout: true }
          })).start
          assert.strictEqual(yield* execution.result, "It is 3.")
          const [first] = yield* model.calls
          assert.deepStrictEqual(first!.tools, ["look", "sums_add"])
          assert.strictEqual(Tool.getDescription(first!.options.tools[1]!), "Adds two numbers")
          const [look, sum, negative, drop] = yield* seen(model)
          assert.deepStrictEqual(
            [look, sum],
            [
              [false, "seen"],
              [false, "sum 3"]
            ]
          )
          assert.strictEqual(negative![0], true)
          assert.include(JSON.stringify(negative![1]), "no negatives")
          assert.include(JSON.stringify(drop![1]), "unknown-tool")
        }).pipe(Effect.provide([client, own.toLayer({ look: () => Effect.succeed("seen") })]))
    )
  })
})
