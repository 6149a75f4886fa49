import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Duration, Effect, type Exit, Layer, Schema, type Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  Agent,
  type Approval,
  type Budget,
  type Cancel,
  Engine,
  EvaluatorOptimizer,
  type Event,
  Execution,
  type HumanRequest,
  type InferWorkflowOutput,
  OrchestratorWorkers,
  Parallelization,
  PromptChaining,
  Routing,
  Run,
  type RunError,
  Step,
  Voting,
  Workflow
} from "effect-baton"
import * as StepModule from "effect-baton/Step"
import * as WorkflowModule from "effect-baton/Workflow"
import type { ErrorHint, InputHint, Nothing, OutputHint, Text } from "../src/internal/unsaid.ts"
import { onlyRequest } from "./support/executions.ts"

class DeployFailed extends Schema.TaggedError<DeployFailed>()("DeployFailed", { service: Schema.String }) {}
class Boom extends Schema.TaggedError<Boom>()("Boom", {}) {}
class Cloud extends Context.Service<Cloud, { readonly region: string }>()("test/Cloud") {}
class Tracker extends Context.Service<Tracker, { readonly name: string }>()("test/Tracker") {}

const Plan = Schema.Struct({ steps: Schema.Array(Schema.String) })
const makePlan = (service: string, version: string) => Effect.succeed({ steps: [`${service}@${version}`] })
const apply = (plan: typeof Plan.Type): Effect.Effect<string, DeployFailed> => Effect.succeed(plan.steps.join())

/** The one-screen example of the specification, word for word. */
const deploy = Workflow.make("deploy", {
  input: Schema.Struct({ service: Schema.String, version: Schema.String }),
  output: Schema.String,
  error: DeployFailed,
  run: Effect.fnUntraced(function* ({ service, version }) {
    const plan = yield* Step.make("plan", { output: Plan, run: makePlan(service, version) })
    const approval = yield* Execution.waitForApproval(`Deploy ${service}@${version}?`)
    if (!approval.approved) return `declined by ${approval.approvedBy}`
    return yield* Step.make("apply", { error: DeployFailed, run: apply(plan) })
  })
})

describe("the example of the specification", () => {
  it("has the types in its comments, without a type argument", () => {
    const program = Effect.gen(function* () {
      const run = yield* deploy.run(
        { service: "api", version: "1.2.0" },
        {
          timeout: { duration: "30 seconds", onTimeout: "cancel" },
          retry: { attempts: 3, delay: "1 second", backoff: "exponential" }
        }
      )
      expectTypeOf(run).toEqualTypeOf<Run.Run<string, DeployFailed, never>>()
      const execution = yield* run.start
      expectTypeOf(execution).toEqualTypeOf<Execution.Execution<string, DeployFailed>>()
      return yield* execution.result
    }).pipe(Effect.provide(Engine.layerMemory))
    expectTypeOf(program).toEqualTypeOf<Effect.Effect<string, DeployFailed | RunError.RunError>>()
  })

  it.effect("runs", () =>
    Effect.gen(function* () {
      const run = yield* deploy.run({ service: "api", version: "1.2.0" })
      const execution = yield* run.start
      yield* execution.approve((yield* onlyRequest(execution)).id, { by: "ada" })
      assert.strictEqual(yield* execution.result, "api@1.2.0")
      yield* TestClock.adjust(0)
    }).pipe(Effect.provide(Engine.layerMemory))
  )

  it("is reachable in both ways", () => {
    assert.strictEqual(WorkflowModule.make, Workflow.make)
    assert.strictEqual(StepModule.make, Step.make)
  })
})

describe("inference", () => {
  const needy = Workflow.make("needy", {
    output: Schema.Number,
    error: Boom,
    run: (prompt) =>
      Effect.gen(function* () {
        expectTypeOf(prompt).toEqualTypeOf<string>()
        const { region } = yield* Cloud
        if (region === "") return yield* new Boom()
        return region.length
      })
  })

  it("a workflow knows what it takes, gives, fails with and needs", () => {
    expectTypeOf(needy).toEqualTypeOf<Workflow.Workflow<string, number, Boom, Cloud>>()
    expectTypeOf<Workflow.Input<typeof deploy>>().toEqualTypeOf<{
      readonly service: string
      readonly version: string
    }>()
    expectTypeOf<Workflow.Output<typeof needy>>().toEqualTypeOf<number>()
    expectTypeOf<InferWorkflowOutput<typeof needy>>().toEqualTypeOf<number>()
    expectTypeOf<Workflow.InferWorkflowOutput<typeof needy>>().toEqualTypeOf<number>()
    expectTypeOf<Workflow.Error<typeof needy>>().toEqualTypeOf<Boom>()
    expectTypeOf<Workflow.Error<typeof plain>>().toEqualTypeOf<never>()
    expectTypeOf<Workflow.Services<typeof needy>>().toEqualTypeOf<Cloud>()
    expectTypeOf<Workflow.Services<typeof deploy>>().toEqualTypeOf<never>()
  })

  it("a workflow shows what its users need, and nothing of what runs it", () => {
    type Shown = Exclude<keyof typeof needy, `~${string}`>
    expectTypeOf<Shown>().toEqualTypeOf<
      | "name"
      | "description"
      | "version"
      | "input"
      | "output"
      | "error"
      | "defaults"
      | "run"
      | "start"
      | "execute"
      | "call"
      | "pipe"
    >()
    const hidden = Object.keys(needy).filter((key) => key.startsWith("~"))
    assert.deepStrictEqual(hidden.toSorted(), ["~effect-baton/Workflow", "~inner"])
    const shown: ReadonlyArray<string> = Object.keys(needy).filter((key) => !key.startsWith("~"))
    const expected = [
      "call",
      "defaults",
      "description",
      "error",
      "execute",
      "input",
      "name",
      "output",
      "run",
      "start",
      "version"
    ]
    assert.deepStrictEqual(shown.toSorted(), expected)
  })

  const plain = Workflow.make("plain", { run: (prompt) => Effect.succeed(prompt) })

  it("input and output default to text and the error to none", () => {
    expectTypeOf(plain).toEqualTypeOf<Workflow.Workflow<string, string, never, never>>()
  })

  it("what the execution and an attempt's scope provide is no requirement", () => {
    const own = Workflow.make("own", {
      run: () =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.void)
          return yield* Execution.id
        })
    })
    expectTypeOf<Workflow.Services<typeof own>>().toEqualTypeOf<never>()
  })

  it("run needs no engine, start needs the engine and what the body needs", () => {
    expectTypeOf(needy.run).returns.toEqualTypeOf<Effect.Effect<Run.Run<number, Boom, Cloud>>>()
    expectTypeOf<Run.Run<number, Boom, Cloud>["start"]>().toEqualTypeOf<
      Effect.Effect<Execution.Execution<number, Boom>, never, Cloud | Engine.Engine>
    >()
    expectTypeOf(needy.start).returns.toEqualTypeOf<
      Effect.Effect<Execution.Execution<number, Boom>, never, Cloud | Engine.Engine>
    >()
    expectTypeOf(needy.execute).returns.toEqualTypeOf<
      Effect.Effect<number, Boom | RunError.RunError, Cloud | Engine.Engine>
    >()
    expectTypeOf(needy.call).returns.toEqualTypeOf<
      Effect.Effect<number, Boom | RunError.RunError, Cloud | Execution.Current>
    >()
  })

  it("a body may fail with its errors and with a RunError, and with nothing else", () => {
    Workflow.make("passes", { error: Boom, run: () => plain.call("x") })
    Workflow.make("passes", { run: () => Effect.fail<RunError.RunError>(null as never) })
    // @ts-expect-error: Boom is not declared
    Workflow.make("undeclared", { run: () => Effect.as(Effect.fail(new Boom()), "") })
    // @ts-expect-error: Boom is not DeployFailed
    Workflow.make("undeclared", { error: DeployFailed, run: () => Effect.as(Effect.fail(new Boom()), "") })
    // @ts-expect-error: a step's timeout is an error of the body
    Workflow.make("undeclared", { run: () => Step.make("s", { timeout: 1, run: Effect.succeed("") }) })
    // @ts-expect-error: a number is no text
    Workflow.make("wrong output", { run: () => Effect.succeed(1) })
    // @ts-expect-error: text is no number
    Workflow.make("wrong input", { input: Schema.Number, run: (n: string) => Effect.succeed(n) })
  })

  it("the types are those of the schemas, not of the place where a workflow is used", () => {
    // @ts-expect-error: without a schema the output is text
    const output: Workflow.Workflow<string, number> = Workflow.make("w", { run: () => Effect.succeed("") })
    // @ts-expect-error: a number in the body is no reason for another output
    Workflow.make<Schema.String, Schema.String, Schema.Never, never>("w", { run: () => Effect.succeed(1) })
    // @ts-expect-error: without a schema the input is text
    const input: Workflow.Workflow<number, string> = Workflow.make("w", { run: () => Effect.succeed("") })
    // @ts-expect-error: types are no schemas
    Workflow.make<number, number>("w", { run: (n) => Effect.succeed(n) })
    // @ts-expect-error: a mapped output is text, unless a schema says otherwise
    Workflow.map(plain, (text) => text.length)
    // @ts-expect-error: so it is in a pipe
    plain.pipe(Workflow.map((text) => text.length))
    // @ts-expect-error: the schema describes one of the two errors only
    Workflow.mapError(plain, () => new Boom() as Boom | DeployFailed, Boom)
    // @ts-expect-error: an input is text, unless a schema says otherwise
    Workflow.contramap(plain, (n: number) => String(n))
    // @ts-expect-error: so it is in a pipe
    plain.pipe(Workflow.contramap((n: number) => String(n)))
    expectTypeOf(plain.pipe(Workflow.contramap((text) => text.trim()))).toEqualTypeOf<
      Workflow.Workflow<string, string>
    >()
    assert.isDefined([output, input])
  })

  it("the types of a pattern are not those of the place where it is used either", () => {
    const worker = { name: "a", description: "", workflow: plain }
    const steps = [{ name: "a", run: (text: string) => Effect.succeed(text) }] as const
    const route = { workflow: plain, route: { description: "", whenToUse: "" } }
    type Text = Workflow.Workflow<string, string, any, any>
    const sound: Array<Text> = [
      Routing.make("p", { workflows: { route } }),
      OrchestratorWorkers.make("p", { workers: [worker] }),
      Parallelization.make("p", { worker: plain }),
      PromptChaining.make("p", { steps }),
      EvaluatorOptimizer.make("p", {}),
      Agent.make("p", {})
    ]
    type Count = Workflow.Workflow<string, number, any, any>
    const unsound: Array<Count> = [
      // @ts-expect-error: it gives text
      Routing.make("p", { workflows: { route } }),
      // @ts-expect-error: it gives text
      OrchestratorWorkers.make("p", { workers: [worker] }),
      // @ts-expect-error: it gives text
      Parallelization.make("p", { worker: plain }),
      // @ts-expect-error: it gives text
      PromptChaining.make("p", { steps }),
      // @ts-expect-error: it gives text
      EvaluatorOptimizer.make("p", {}),
      // @ts-expect-error: it gives text
      Agent.make("p", {})
    ]
    // @ts-expect-error: it takes text
    const vote: Workflow.Workflow<number, any, any> = Voting.make("p", { voters: [(text) => Effect.succeed(text)] })
    assert.isDefined([sound, unsound, vote])
    const nullable = Schema.NullOr(Schema.Struct({ a: Schema.String }))
    const made = OrchestratorWorkers.make("p", { output: nullable, workers: [worker] })
    expectTypeOf<Exclude<Workflow.Output<typeof made>, null>>().toEqualTypeOf<{ readonly a: string }>()
  })

  it("what a body is compared with names the schemas that are missing, and no others", () => {
    type Bare = Workflow.Options<Text, Text, Nothing, never>["run"]
    expectTypeOf<InputHint<Text>>().toExtend<Bare>()
    type Result = ReturnType<Extract<Bare, (input: string) => unknown>>
    expectTypeOf<Effect.Success<Result>>().toEqualTypeOf<string | OutputHint<Text>>()
    expectTypeOf<Effect.Error<Result>>().toEqualTypeOf<RunError.RunError | ErrorHint<Nothing>>()
    type Said = Workflow.Options<typeof Schema.Number, typeof Schema.String, typeof Boom, never>["run"]
    expectTypeOf<Said>().toEqualTypeOf<(input: number) => Effect.Effect<string, Boom | RunError.RunError, never>>()
  })

  it("a body may be an arrow, a fnUntraced or a fn, with its parameter annotated or not", () => {
    const Order = Schema.Struct({ item: Schema.String, count: Schema.Number })
    const expected = expectTypeOf<Workflow.Workflow<typeof Order.Type, number>>()
    const arrow = Workflow.make("w", { input: Order, output: Schema.Number, run: ({ count }) => Effect.succeed(count) })
    expected.toEqualTypeOf<typeof arrow>()
    const untraced = Workflow.make("w", {
      input: Order,
      output: Schema.Number,
      run: Effect.fnUntraced(function* ({ count }) {
        return yield* Effect.succeed(count + 1)
      })
    })
    expected.toEqualTypeOf<typeof untraced>()
    const traced = Workflow.make("w", {
      input: Order,
      output: Schema.Number,
      run: Effect.fn("w")(function* ({ count }) {
        return yield* Effect.succeed(count + 1)
      })
    })
    expected.toEqualTypeOf<typeof traced>()
    const annotated = Workflow.make("w", {
      input: Order,
      output: Schema.Number,
      run: (order: { readonly item: string }) => Effect.succeed(order.item.length)
    })
    expected.toEqualTypeOf<typeof annotated>()
    const text = Workflow.make("w", {
      run: Effect.fnUntraced(function* (prompt) {
        return yield* Effect.succeed(prompt.trim())
      })
    })
    expectTypeOf(text).toEqualTypeOf<Workflow.Workflow<string, string>>()
    const wider = Workflow.make("w", { run: (given: string | number) => Effect.succeed(String(given)) })
    expectTypeOf(wider).toEqualTypeOf<Workflow.Workflow<string, string>>()
    // @ts-expect-error: give `input` a schema
    Workflow.make("w", { run: (n: number) => Effect.succeed(String(n)) })
    Workflow.make("w", {
      // @ts-expect-error: give `input` a schema
      run: Effect.fnUntraced(function* (n: number) {
        return yield* Effect.succeed(String(n))
      })
    })
    // @ts-expect-error: the schema has no such item
    Workflow.make("w", { input: Order, run: (order: { readonly item: number }) => Effect.succeed(`${order.item}`) })
  })

  it("a workflow made of a schema that is not known yet has its types", () => {
    const first = <A>(item: Workflow.Boundary<A>) =>
      Workflow.make("first", {
        input: Schema.NonEmptyArray(item),
        output: item,
        run: ([head]) => Effect.succeed(head)
      })
    expectTypeOf(first(Schema.Date)).toEqualTypeOf<Workflow.Workflow<readonly [Date, ...Array<Date>], Date>>()
    const same = <S extends Schema.Codec<{ readonly id: string }>>(schema: S) =>
      Workflow.make("same", { input: schema, output: schema, run: (value) => Effect.succeed(value) })
    expectTypeOf(same(Schema.Struct({ id: Schema.String, n: Schema.Number })).call)
      .parameter(0)
      .toEqualTypeOf<{
        readonly id: string
        readonly n: number
      }>()
  })

  it("callbacks of options know the output and the error", () => {
    needy.run("", {
      onComplete: (output) => {
        expectTypeOf(output).toEqualTypeOf<number>()
        return Effect.void
      },
      onFailed: (error) => {
        expectTypeOf(error).toEqualTypeOf<Boom | RunError.RunError>()
        return Effect.void
      },
      onStatusChange: (status) => {
        expectTypeOf(status).toEqualTypeOf<Run.RunStatus>()
        return Effect.void
      }
    })
    // @ts-expect-error: durations are not objects of anything
    needy.run("", { timeout: { duration: "30 parsecs" } })
    // @ts-expect-error: there is no such control
    needy.run("", { retries: 3 })
    // @ts-expect-error: the input is text
    needy.run(5)
    needy.run("", { timeout: Duration.seconds(3), retry: { attempts: 1, delay: { seconds: 3 } } })
  })

  it("map, mapError, contramap, andThen, provide and withDefaults change exactly what they say", () => {
    expectTypeOf(needy.pipe(Workflow.map((n) => `${n}`))).toEqualTypeOf<
      Workflow.Workflow<string, string, Boom, Cloud>
    >()
    expectTypeOf(Workflow.map(needy, (n) => n > 1, Schema.Boolean)).toEqualTypeOf<
      Workflow.Workflow<string, boolean, Boom, Cloud>
    >()
    expectTypeOf(needy.pipe(Workflow.mapError(() => new DeployFailed({ service: "" }), DeployFailed))).toEqualTypeOf<
      Workflow.Workflow<string, number, DeployFailed, Cloud>
    >()
    expectTypeOf(needy.pipe(Workflow.contramap((n: number) => `${n}`, Schema.Number))).toEqualTypeOf<
      Workflow.Workflow<number, number, Boom, Cloud>
    >()
    const tracked = Workflow.make("tracked", {
      input: Schema.Number,
      output: Schema.Date,
      error: DeployFailed,
      run: () => Effect.as(Tracker, new Date(0))
    })
    expectTypeOf(needy.pipe(Workflow.andThen(tracked))).toEqualTypeOf<
      Workflow.Workflow<string, Date, Boom | DeployFailed, Cloud | Tracker>
    >()
    expectTypeOf(needy.pipe(Workflow.provide(Layer.succeed(Cloud, { region: "north" })))).toEqualTypeOf<
      Workflow.Workflow<string, number, Boom, never>
    >()
    expectTypeOf(needy.pipe(Workflow.provide(Layer.effect(Cloud, Effect.as(Tracker, { region: "" }))))).toEqualTypeOf<
      Workflow.Workflow<string, number, Boom, Tracker>
    >()
    expectTypeOf(Workflow.withDefaults(needy, { timeout: 5 })).toEqualTypeOf<
      Workflow.Workflow<string, number, Boom, Cloud>
    >()
    // @ts-expect-error: a number is no input of deploy
    Workflow.andThen(needy, deploy)
  })

  it("a child has the child's types and needs", () => {
    const child = Execution.startChild(needy, "x", { key: "k", onComplete: (n) => Effect.succeed(n + 1) })
    expectTypeOf(child).toEqualTypeOf<
      Effect.Effect<Execution.Execution<number, Boom>, never, Cloud | Execution.Current>
    >()
    // @ts-expect-error: the child takes text
    Execution.startChild(needy, 5)
  })

  it("a step fails with its work, its budget, and its timeout if it has one", () => {
    const work: Effect.Effect<number, Boom, Cloud> = Effect.fail(new Boom())
    expectTypeOf(Step.make("s", { run: work })).toEqualTypeOf<
      Effect.Effect<number, Boom | Budget.BudgetExceeded, Cloud | Execution.Current>
    >()
    expectTypeOf(Step.make("s", { run: work, timeout: "1 second" })).toEqualTypeOf<
      Effect.Effect<number, Boom | Budget.BudgetExceeded | Step.StepTimedOut, Cloud | Execution.Current>
    >()
    expectTypeOf(Step.make("s", { run: work, timeout: undefined })).toEqualTypeOf<
      Effect.Effect<number, Boom | Budget.BudgetExceeded, Cloud | Execution.Current>
    >()
    expectTypeOf(
      Step.make("s", { run: work, retry: { attempts: 1, delay: 1 }, output: Schema.Number, error: Boom })
    ).toEqualTypeOf<Effect.Effect<number, Boom | Budget.BudgetExceeded, Cloud | Execution.Current>>()
    // @ts-expect-error: the work gives a number
    Step.make("s", { run: work, output: Schema.String })
    const either: Effect.Effect<number | string> = Effect.succeed("")
    // @ts-expect-error: the work may give a number too
    Step.make("s", { run: either, output: Schema.String })
    const more = Effect.succeed({ n: 1, secret: "x" })
    expectTypeOf(Step.make("s", { run: more, output: Schema.Struct({ n: Schema.Number }) })).toEqualTypeOf<
      Effect.Effect<{ readonly n: number }, Budget.BudgetExceeded, Execution.Current>
    >()
    const generic = <A>(schema: Workflow.Boundary<A>, run: Effect.Effect<A>) => Step.make("s", { run, output: schema })
    expectTypeOf(generic(Schema.Date, Effect.succeed(new Date(0)))).toEqualTypeOf<
      Effect.Effect<Date, Budget.BudgetExceeded, Execution.Current>
    >()
  })

  it("an execution that is got with its workflow has the workflow's types", () => {
    expectTypeOf(Engine.get("id", needy)).toEqualTypeOf<
      Effect.Effect<
        Execution.Execution<number, Boom>,
        Engine.ExecutionNotFound | Engine.WorkflowMismatch,
        Engine.Engine
      >
    >()
    expectTypeOf(Engine.get("id")).toEqualTypeOf<
      Effect.Effect<Execution.Execution<unknown, unknown>, Engine.ExecutionNotFound, Engine.Engine>
    >()
  })

  it("the operations of a body have the types of the specification", () => {
    expectTypeOf(Execution.id).toEqualTypeOf<Effect.Effect<string, never, Execution.Current>>()
    expectTypeOf(Execution.waitForApproval("?")).toEqualTypeOf<
      Effect.Effect<Approval.Approval, RunError.InvalidOptions, Execution.Current>
    >()
    expectTypeOf(Execution.requireApproval("?")).toEqualTypeOf<
      Effect.Effect<Approval.Approval, RunError.InvalidOptions, Execution.Current>
    >()
    expectTypeOf(Execution.waitForInput("?", Schema.DateFromString)).toEqualTypeOf<
      Effect.Effect<Date, RunError.InvalidOptions, Execution.Current>
    >()
    expectTypeOf(Execution.waitForInput("?", Schema.Int, { timeout: 5 })).toEqualTypeOf<
      Effect.Effect<number, RunError.InvalidOptions | HumanRequest.InputTimedOut, Execution.Current>
    >()
    expectTypeOf(Execution.progress({ current: 1, total: 0 })).toEqualTypeOf<
      Effect.Effect<void, never, Execution.Current>
    >()
  })

  it("what takes no argument is an Effect or a Stream of the handle, not a method", () => {
    type Handle = Execution.Execution<number, Boom>
    expectTypeOf<Handle["status"]>().toEqualTypeOf<Effect.Effect<Run.RunStatus>>()
    expectTypeOf<Handle["statusChanges"]>().toEqualTypeOf<Stream.Stream<Run.RunStatus>>()
    expectTypeOf<Handle["events"]>().toEqualTypeOf<Stream.Stream<Event.Event>>()
    expectTypeOf<Handle["requests"]>().toEqualTypeOf<Effect.Effect<ReadonlyArray<HumanRequest.HumanRequest>>>()
    expectTypeOf<Handle["usage"]>().toEqualTypeOf<Effect.Effect<Budget.Usage>>()
    expectTypeOf<Handle["pause"]>().toEqualTypeOf<Effect.Effect<void, Execution.RunSettled>>()
    expectTypeOf<Handle["resume"]>().toEqualTypeOf<Effect.Effect<void, Execution.RunSettled>>()
    expectTypeOf<Handle["result"]>().toEqualTypeOf<Effect.Effect<number, Boom | RunError.RunError>>()
    expectTypeOf<Handle["exit"]>().toEqualTypeOf<Effect.Effect<Exit.Exit<number, Boom | RunError.RunError>>>()
    expectTypeOf<ReturnType<Handle["cancel"]>>().toEqualTypeOf<Effect.Effect<Cancel.CancelResult>>()
    expectTypeOf<ReturnType<Handle["answer"]>>().toEqualTypeOf<Effect.Effect<void, HumanRequest.AnswerError>>()
  })

  it("configuring a run keeps its types", () => {
    const configured = (run: Run.Run<number, Boom, Cloud>) =>
      run.configure({ onComplete: (n) => Effect.succeed(n + 1) })
    expectTypeOf(configured).returns.toEqualTypeOf<Run.Run<number, Boom, Cloud>>()
    const piped = (run: Run.Run<number, Boom, Cloud>) => Run.withBudget(Run.withTimeout(run, 5), { cost: 1 })
    expectTypeOf(piped).returns.toEqualTypeOf<Run.Run<number, Boom, Cloud>>()
  })

  it("a run that needs more, fails with more or gives less is not one that does not", () => {
    expectTypeOf<Run.Run<string>>().toExtend<Run.Run<string, Boom, Cloud>>()
    expectTypeOf<Run.Run<string, Boom, Cloud>>().not.toExtend<Run.Run<string>>()
    expectTypeOf<Workflow.Workflow<string | number, "a">>().toExtend<Workflow.Workflow<string, string, Boom, Cloud>>()
    expectTypeOf<Workflow.Workflow<"a", string>>().not.toExtend<Workflow.Workflow<string, string>>()
    expectTypeOf(needy).toExtend<Workflow.Any>()
  })
})
