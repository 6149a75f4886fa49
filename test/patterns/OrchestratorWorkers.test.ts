import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Fiber, Schema } from "effect"
import type { AiError, LanguageModel } from "effect/ai"
import { TestClock } from "effect/testing"
import { Budget, Engine, Execution, type RunError, Step, Workflow } from "effect-baton"
import * as OrchestratorWorkers from "effect-baton/OrchestratorWorkers"
import { expectTypeOf } from "vitest"
import { model, run, thrown } from "./observed.ts"

class NoSource extends Schema.TaggedError<NoSource>()("NoSource", { source: Schema.String }) {}
class Blocked extends Schema.TaggedError<Blocked>()("Blocked", {}) {}
class Unplannable extends Schema.TaggedError<Unplannable>()("Unplannable", {}) {}
class Library extends Context.Service<Library, string>()("Library") {}

const onEngine = Effect.provide(Engine.layerMemory)

const reader = Workflow.make("reader", {
  error: NoSource,
  run: (text) =>
    Step.make("read", { run: text === "nothing" ? new NoSource({ source: text }) : Effect.succeed(`read ${text}`) })
})
const counter = Workflow.make("counter", {
  output: Schema.Struct({ size: Schema.Number }),
  run: (text) => Effect.succeed({ size: text.length })
})
const workers = [
  { name: "reader", description: "Reads", workflow: reader, capabilities: ["PDF", "text"] },
  { name: "counter", description: "Counts", workflow: counter }
] as const

type Steps = ReadonlyArray<readonly [id: string, worker: string, input: string, dependsOn?: ReadonlyArray<string>]>
const plan = (goal: string, steps: Steps): OrchestratorWorkers.Plan => ({
  goal,
  steps: steps.map(([id, worker, input, dependsOn = []]) => ({ id, description: `do ${id}`, worker, input, dependsOn }))
})

/** What became of each step, in short. */
const outcome = (result: OrchestratorWorkers.WorkerResult<unknown, { readonly _tag: string }>) =>
  `${result.stepId} by ${result.worker}: ${result.success ? JSON.stringify(result.data) : result.error._tag}`

const orchestrate = (
  steps: Steps,
  options?: { readonly failureStrategy?: "fail-fast" | "collect-all"; readonly maxConcurrency?: number }
) =>
  OrchestratorWorkers.make("brief", {
    output: Schema.Array(Schema.String),
    workers,
    plan: (goal) => Effect.succeed(plan(goal, steps)),
    synthesize: (results) => Effect.succeed(results.map(outcome)),
    ...options
  })

describe("OrchestratorWorkers", () => {
  it.effect("gives workers their input and the results it depends on, labelled by step", () =>
    Effect.gen(function* () {
      const brief = orchestrate([
        ["all", "reader", "Use these:", ["facts", "size"]],
        ["facts", "reader", "tea"],
        ["size", "counter", "tea"]
      ])
      assert.deepStrictEqual(yield* brief.execute("a brief"), [
        'all by reader: "read Use these:\\n\\nfacts:\\nread tea\\n\\nsize:\\n{\\n  \\"size\\": 3\\n}"',
        'facts by reader: "read tea"',
        'size by counter: {"size":3}'
      ])
    }).pipe(onEngine)
  )

  it.effect("shows each phase as a step, the steps of workers under theirs, and how far it is", () =>
    Effect.gen(function* () {
      const brief = orchestrate([
        ["facts", "reader", "tea"],
        ["size", "counter", "tea", ["facts"]]
      ])
      assert.deepStrictEqual(yield* run(brief, "a brief"), [
        ":0/0",
        "plan",
        ":1/4",
        "step/facts/read",
        "step/facts",
        ":2/4",
        "step/size",
        ":3/4",
        ":3/4",
        "synthesize",
        ":4/4"
      ])
    }).pipe(onEngine)
  )

  it.effect("keeps an id that means something in a path apart from paths", () =>
    Effect.gen(function* () {
      const brief = orchestrate([["a/b#2", "counter", "tea"]])
      assert.include(yield* run(brief, "a brief"), "step/a%2Fb%232")
    }).pipe(onEngine)
  )

  it.effect("needs no step to reach its goal", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* orchestrate([]).execute("nothing to do"), [])
    }).pipe(onEngine)
  )

  it.effect("starts nothing of a plan that is wrong, and lists every problem", () =>
    Effect.gen(function* () {
      const brief = orchestrate([
        ["a", "raeder", "x"],
        ["b", "reader", "x", ["c"]],
        ["c", "reader", "x", ["b"]]
      ])
      const error = yield* Effect.flip(brief.execute("go"))
      assert.deepStrictEqual(
        error,
        new OrchestratorWorkers.InvalidPlan({
          workflow: "brief",
          workers: ["reader", "counter"],
          problems: [
            { _tag: "UnknownWorker", step: "a", worker: "raeder" },
            { _tag: "CircularDependency", steps: ["b", "c"] }
          ]
        })
      )
      assert.isTrue(Schema.is(brief.error)(error))
      assert.deepStrictEqual(yield* run(brief, "go"), [":0/0", "plan InvalidPlan"])
    }).pipe(onEngine)
  )

  describe("where a step fails", () => {
    const steps: Steps = [
      ["late", "reader", "x", ["bad"]],
      ["bad", "reader", "nothing"],
      ["later", "counter", "x", ["good", "late"]],
      ["good", "counter", "tea"]
    ]

    it.effect("fails with the worker's error, as declared", () =>
      Effect.gen(function* () {
        const brief = orchestrate(steps)
        const error = yield* Effect.flip(brief.execute("go"))
        assert.deepStrictEqual(error, new NoSource({ source: "nothing" }))
        assert.isTrue(Schema.is(brief.error)(error))
      }).pipe(onEngine)
    )

    it.effect("collects what does not depend on it, and names the failed step to the others", () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const brief = OrchestratorWorkers.make("brief", {
          output: Schema.Array(Schema.String),
          workers,
          failureStrategy: "collect-all",
          plan: (goal) => Effect.succeed(plan(goal, steps)),
          synthesize: (results) => {
            seen.push(...results.map((result) => result.error))
            return Effect.succeed(results.map(outcome))
          }
        })
        assert.deepStrictEqual(yield* brief.execute("go"), [
          "late by reader: DependencyFailed",
          "bad by reader: NoSource",
          "later by counter: DependencyFailed",
          'good by counter: {"size":3}'
        ])
        assert.deepStrictEqual(seen, [
          new OrchestratorWorkers.DependencyFailed({ stepId: "late", dependency: "bad" }),
          new NoSource({ source: "nothing" }),
          new OrchestratorWorkers.DependencyFailed({ stepId: "later", dependency: "bad" }),
          undefined
        ])
        assert.deepStrictEqual(yield* run(brief, "go"), [
          ":0/0",
          "plan",
          ":1/6",
          "step/bad/read NoSource",
          "step/bad NoSource",
          ":2/6",
          "step/good",
          ":3/6",
          ":4/6",
          ":5/6",
          ":5/6",
          "synthesize",
          ":6/6"
        ])
      }).pipe(onEngine)
    )

    it.effect("collects an input that a worker does not take", () =>
      Effect.gen(function* () {
        const numbers = Workflow.make("numbers", { input: Schema.Number, output: Schema.Number, run: Effect.succeed })
        const brief = OrchestratorWorkers.make("brief", {
          workers: [{ name: "numbers", description: "Numbers", workflow: numbers }],
          failureStrategy: "collect-all",
          plan: (goal) => Effect.succeed(plan(goal, [["a", "numbers", "x"]])),
          delegate: (step) => numbers.call(step.input as unknown as number),
          synthesize: ([result]) => Effect.succeed(outcome(result!))
        })
        assert.strictEqual(yield* brief.execute("go"), "a by numbers: InvalidInput")
      }).pipe(onEngine)
    )

    it.effect("does not collect a used-up budget or a defect", () =>
      Effect.gen(function* () {
        const spent = new Budget.BudgetExceeded({ executionId: "run_1", limit: "modelCalls", allowed: 1, used: 1 })
        const make = (worker: Workflow.Workflow<string, string>) =>
          OrchestratorWorkers.make("brief", {
            workers: [{ name: "w", description: "Works", workflow: worker }],
            failureStrategy: "collect-all",
            plan: (goal) => Effect.succeed(plan(goal, [["a", "w", "x"]])),
            synthesize: () => Effect.succeed("never")
          })
        const spender = make(Workflow.make("spender", { run: () => Effect.fail(spent) }))
        assert.strictEqual(yield* Effect.flip(spender.execute("go")), spent)
        const broken = make(Workflow.make("broken", { run: () => Effect.die("boom") }))
        assert.deepStrictEqual(yield* Effect.exit(broken.execute("go")), Exit.die("boom"))
      }).pipe(onEngine)
    )
  })

  it.effect("interrupts what runs when it is cancelled from the top, through workflows in workflows", () =>
    Effect.gen(function* () {
      const stopped: Array<string> = []
      const sleeper = Workflow.make("sleeper", {
        run: (text) =>
          Step.make("sleep", {
            run: Effect.onInterrupt(Effect.as(Effect.never, text), () => Effect.sync(() => stopped.push(text)))
          })
      })
      const make = (name: string, workflow: Workflow.Workflow<string, string>) =>
        OrchestratorWorkers.make(name, {
          workers: [{ name: "w", description: "Works", workflow }],
          plan: (goal) =>
            Effect.succeed(
              plan(goal, [
                ["a", "w", `${goal}a`],
                ["b", "w", `${goal}b`],
                ["c", "w", "never", ["a"]]
              ])
            ),
          synthesize: () => Effect.succeed("never")
        })
      const outer = make(
        "outer",
        make("inner", sleeper).pipe(Workflow.mapError(() => undefined as never, Schema.Never))
      )
      const execution = yield* (yield* outer.run("")).start
      yield* Effect.yieldNow
      assert.strictEqual(yield* execution.cancel("enough"), "cancelled")
      assert.deepStrictEqual(stopped.sort(), ["aa", "ab", "ba", "bb"])
      assert.strictEqual((yield* Effect.flip(execution.result))._tag, "RunCancelled")
    }).pipe(onEngine)
  )

  it.effect("waits for people in many steps at once, answered in any order", () =>
    Effect.gen(function* () {
      const asker = Workflow.make("asker", {
        run: (text) => Effect.map(Execution.waitForApproval(text), ({ approved }) => `${text}: ${approved}`)
      })
      const brief = OrchestratorWorkers.make("brief", {
        workers: [{ name: "asker", description: "Asks", workflow: asker }],
        plan: (goal) =>
          Effect.succeed(
            plan(goal, [
              ["a", "asker", "A?"],
              ["b", "asker", "B?"],
              ["c", "asker", "C?", ["b"]]
            ])
          ),
        synthesize: (results) => Effect.succeed(results.map(({ data }) => data).join(", "))
      })
      const execution = yield* (yield* brief.run("go")).start
      const answerOf = Effect.fnUntraced(function* (message: string, verdict: "approve" | "reject") {
        yield* Effect.yieldNow
        const request = (yield* execution.requests).find((request) => request.message.startsWith(message))!
        yield* execution[verdict](request.id)
      })
      yield* answerOf("B?", "approve")
      yield* answerOf("C?", "reject")
      yield* answerOf("A?", "approve")
      assert.strictEqual(yield* execution.result, "A?: true, B?: true, C?\n\nb:\nB?: true: false")
    }).pipe(onEngine)
  )

  it.effect("runs again only the steps that failed where retries resume", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      let broken = true
      const flaky = Workflow.make("flaky", {
        error: Blocked,
        run: (text) =>
          Effect.suspend(() => {
            ran.push(text)
            if (text !== "b" || !broken) return Effect.succeed(text)
            broken = false
            return new Blocked()
          })
      })
      const brief = OrchestratorWorkers.make("brief", {
        workers: [{ name: "flaky", description: "Fails once", workflow: flaky }],
        plan: (goal) =>
          Effect.succeed(
            plan(goal, [
              ["a", "flaky", "a"],
              ["b", "flaky", "b"]
            ])
          ),
        synthesize: (results) => Effect.succeed(results.map(({ data }) => data).join(" "))
      })
      const retry = { attempts: 1, delay: 0, mode: "resume" } as const
      assert.strictEqual(yield* brief.execute("go", { retry }), "a b")
      assert.deepStrictEqual(ran, ["a", "b", "b"])
    }).pipe(onEngine)
  )

  describe("its phases", () => {
    it.effect("can be called one by one inside of a body, and are steps there that say how far they are", () =>
      Effect.gen(function* () {
        const brief = orchestrate([["a", "counter", "tea"]])
        const own = Workflow.make("own", {
          output: Schema.Array(Schema.String),
          error: brief.error as typeof brief.error,
          run: Effect.fnUntraced(function* (goal) {
            const made = yield* brief.plan(goal)
            const [step] = made.steps
            const data = yield* brief.delegate(step!, [{ stepId: "z", worker: "reader", success: true, data: "zzz" }])
            return yield* brief.synthesize([{ stepId: step!.id, worker: step!.worker, success: true, data }], made)
          })
        })
        assert.deepStrictEqual(yield* own.execute("go"), ['a by counter: {"size":11}'])
        assert.deepStrictEqual(yield* run(own, "go"), [
          ":0/0",
          "plan",
          ":1/3",
          ":0/1",
          "step/a",
          ":1/1",
          ":2/3",
          "synthesize",
          ":3/3"
        ])
      }).pipe(onEngine)
    )

    it.effect("plan and synthesize outside of any execution", () =>
      Effect.gen(function* () {
        const made = yield* orchestrate([["a", "counter", "tea"]]).plan("go")
        assert.deepStrictEqual(made, plan("go", [["a", "counter", "tea"]]))
        assert.instanceOf(
          yield* Effect.flip(orchestrate([["a", "nobody", "tea"]]).plan("go")),
          OrchestratorWorkers.InvalidPlan
        )
        assert.deepStrictEqual(yield* orchestrate([]).synthesize([], made), [])
      })
    )

    it.effect("delegate refuses a step of a worker that there is not", () =>
      Effect.gen(function* () {
        const own = Workflow.make("own", {
          error: OrchestratorWorkers.InvalidPlan,
          run: () =>
            Effect.as(
              Effect.mapError(
                orchestrate([]).delegate({ id: "a", description: "", worker: "nobody", input: "" }, []),
                (error) =>
                  error._tag === "NoSource"
                    ? new OrchestratorWorkers.InvalidPlan({ workflow: "", workers: [], problems: [] })
                    : error
              ),
              ""
            )
        })
        const error = yield* Effect.flip(own.execute("go"))
        assert.include(error.message, 'step "a" is for the unknown worker "nobody"')
      }).pipe(onEngine)
    )
  })

  it.effect("asks a model for the plan and for the output where these phases are left out", () =>
    Effect.gen(function* () {
      const prompts: Array<string> = []
      const brief = OrchestratorWorkers.make("brief", { workers, failureStrategy: "collect-all" })
      const made = plan("know tea", [
        ["facts", "reader", "tea"],
        ["bad", "reader", "nothing"],
        ["size", "counter", "tea"]
      ])
      const answers = model((prompt, format) => {
        prompts.push(prompt)
        return format === "json" ? made : "the brief"
      })
      assert.strictEqual(yield* brief.execute("What is tea?").pipe(Effect.provide(answers)), "the brief")
      assert.include(prompts[0], "- reader: Reads\n  Capabilities: PDF, text\n- counter: Counts")
      assert.include(prompts[0], "Input:\nWhat is tea?")
      assert.include(prompts[1], "Goal:\nknow tea")
      assert.include(prompts[1], "facts (do facts):\nread tea")
      assert.include(prompts[1], "bad (do bad):\nThere is no result: ")
      assert.include(prompts[1], 'size (do size):\n{\n  "size": 3\n}')
    }).pipe(onEngine)
  )

  it.effect("asks a model again whose plan is for a worker that there is not, with the ones that there are", () =>
    Effect.gen(function* () {
      const prompts: Array<string> = []
      const brief = OrchestratorWorkers.make("brief", { workers })
      const answers = model((prompt, format) => {
        prompts.push(prompt)
        if (format === "text") return "the brief"
        return plan("know tea", [["facts", prompts.length === 1 ? "oracle" : "reader", "tea"]])
      })
      assert.strictEqual(yield* brief.execute("What is tea?").pipe(Effect.provide(answers)), "the brief")
      assert.include(prompts[1], 'Expected "reader" | "counter"')
    }).pipe(onEngine)
  )

  it.effect("asks a model for an output of any schema", () =>
    Effect.gen(function* () {
      const options = { workers, plan: (goal: string) => Effect.succeed(plan(goal, [])) }
      const asked = (answer: unknown) => Effect.provide(model(() => answer))
      const object = OrchestratorWorkers.make("brief", { ...options, output: Schema.Struct({ title: Schema.String }) })
      assert.deepStrictEqual(yield* object.execute("go").pipe(asked({ title: "Tea" })), { title: "Tea" })
      const number = OrchestratorWorkers.make("brief", { ...options, output: Schema.Number })
      assert.strictEqual(yield* number.execute("go").pipe(asked({ value: 3 })), 3)
      const error = yield* Effect.flip(number.execute("go").pipe(asked({ value: "three" })))
      assert.strictEqual(error._tag, "AiError")
      assert.isTrue(Schema.is(number.error)(error))
    }).pipe(onEngine)
  )

  it("refuses workers of one name, and room for less than one step", () => {
    const [worker] = workers
    assert.strictEqual(
      thrown(() => OrchestratorWorkers.make("brief", { workers: [worker, worker] })),
      'Invalid definition of brief at "workers": Expected different names, found ["reader","reader"]; correct the option'
    )
    for (const maxConcurrency of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      assert.strictEqual(
        thrown(() => OrchestratorWorkers.make("brief", { workers, maxConcurrency })),
        `Invalid definition of brief at "maxConcurrency": Expected a whole number, 1 or more, or "unbounded", found ${maxConcurrency}; correct the option`
      )
  })

  it.effect.prop(
    "does any plan as its dependencies and maxConcurrency allow, at the first moment they do",
    {
      steps: Schema.Array(
        Schema.Struct({
          back: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))).check(
            Schema.isMaxLength(3)
          ),
          millis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
          fails: Schema.Literals([true, false, false, false, false])
        })
      ).check(Schema.isMaxLength(12)),
      maxConcurrency: Schema.Literals([1, 2, 3, "unbounded"]),
      failureStrategy: Schema.Literals(["fail-fast", "collect-all"])
    },
    ({ failureStrategy, maxConcurrency, steps }) =>
      Effect.gen(function* () {
        const needs = steps.map(({ back }, at) => Array.from(new Set(back.map((n) => at - n).filter((n) => n >= 0))))
        const started = new Map<number, number>()
        const ended = new Map<number, number>()
        let running = 0
        const worker = Workflow.make("worker", {
          error: Blocked,
          run: Effect.fnUntraced(function* (text) {
            const at = Number.parseInt(text, 10)
            assert.isFalse(started.has(at), "runs at most once")
            started.set(at, yield* Clock.currentTimeMillis)
            for (const need of needs[at]!) assert.isTrue(ended.has(need), "runs after what it depends on")
            assert.isAtMost(++running, maxConcurrency === "unbounded" ? steps.length : maxConcurrency)
            yield* Effect.sleep(steps[at]!.millis).pipe(Effect.ensuring(Effect.sync(() => running--)))
            ended.set(at, yield* Clock.currentTimeMillis)
            return steps[at]!.fails ? yield* new Blocked() : String(at)
          })
        })
        const made = plan(
          "any",
          needs.map((of, at) => [String(at), "worker", String(at), of.map(String)] as const)
        )
        const orchestrator = OrchestratorWorkers.make("any", {
          output: Schema.Array(Schema.String),
          workers: [{ name: "worker", description: "", workflow: worker }],
          failureStrategy,
          maxConcurrency,
          plan: () => Effect.succeed(made),
          synthesize: (results) => Effect.succeed(results.map(({ data, error }) => data ?? error!._tag))
        })
        const begin = yield* Clock.currentTimeMillis
        const fiber = yield* Effect.forkChild(Effect.exit(orchestrator.execute("go")))
        yield* TestClock.adjust(1000)
        const exit = yield* Fiber.join(fiber)

        // The model: a step succeeds, fails, or is skipped because of what it depends on.
        const expected: Array<string> = []
        for (const [at, of] of needs.entries()) {
          const isSkipped = of.some((need) => expected[need] !== String(need))
          expected.push(isSkipped ? "DependencyFailed" : steps[at]!.fails ? "Blocked" : String(at))
        }
        const isCollected = failureStrategy === "collect-all" || !expected.includes("Blocked")
        assert.deepStrictEqual(exit, isCollected ? Exit.succeed(expected) : Exit.fail(new Blocked()))
        if (isCollected)
          for (const [at, result] of expected.entries())
            assert.strictEqual(started.has(at), result !== "DependencyFailed")
        else {
          const failedAt = Math.min(...[...ended].flatMap(([at, when]) => (steps[at]!.fails ? [when] : [])))
          for (const when of started.values()) assert.isAtMost(when, failedAt)
        }

        if (maxConcurrency === "unbounded")
          for (const [at, when] of started)
            assert.strictEqual(when, Math.max(begin, ...needs[at]!.map((need) => ended.get(need)!)))
        // Nothing waits while there is room: at most the work, in a row.
        const millis = steps.reduce((sum, step) => sum + step.millis, 0)
        for (const when of ended.values()) assert.isAtMost(when - begin, millis)
        assert.strictEqual(running, 0)
      }).pipe(onEngine),
    { arbitrary: { runs: 200 } }
  )

  it.effect("does a plan of ten thousand steps", () =>
    Effect.gen(function* () {
      const steps = Array.from(
        { length: 10_000 },
        (_, at) => [`s${at}`, "counter", "x", at === 0 ? [] : [`s${at - 1}`]] as const
      )
      assert.lengthOf(yield* orchestrate(steps).execute("go"), 10_000)
    }).pipe(onEngine)
  )
})

describe("the types of OrchestratorWorkers", () => {
  const given = {
    plan: (goal: string) => Effect.succeed(plan(goal, [])),
    synthesize: () => Effect.succeed("done")
  }

  it("infer error and services from workers and phases", () => {
    const lender = Workflow.make("lender", { error: Blocked, run: () => Library })
    const brief = OrchestratorWorkers.make("brief", {
      input: Schema.Struct({ topic: Schema.String }),
      error: Unplannable,
      workers: [
        { name: "reader", description: "Reads", workflow: reader },
        { name: "lender", description: "Lends", workflow: lender }
      ],
      plan: ({ topic }) => (topic === "" ? new Unplannable() : Effect.succeed(plan(topic, []))),
      synthesize: (results) => {
        expectTypeOf(results[0]!.data).toEqualTypeOf<string | undefined>()
        return Effect.succeed("")
      }
    })
    expectTypeOf<Workflow.Input<typeof brief>>().toEqualTypeOf<{ readonly topic: string }>()
    expectTypeOf<Workflow.Output<typeof brief>>().toEqualTypeOf<string>()
    expectTypeOf<Workflow.Error<typeof brief>>().toEqualTypeOf<
      Unplannable | NoSource | Blocked | OrchestratorWorkers.InvalidPlan
    >()
    expectTypeOf<Workflow.Services<typeof brief>>().toEqualTypeOf<Library>()
    expectTypeOf(brief.plan).returns.toEqualTypeOf<
      Effect.Effect<OrchestratorWorkers.Plan, Unplannable | OrchestratorWorkers.InvalidPlan | Budget.BudgetExceeded>
    >()
    expectTypeOf(brief.delegate).returns.toEqualTypeOf<
      Effect.Effect<
        string,
        NoSource | Blocked | OrchestratorWorkers.InvalidPlan | RunError.RunError,
        Library | Execution.Current
      >
    >()
    expectTypeOf(brief.synthesize).returns.toEqualTypeOf<Effect.Effect<string, Budget.BudgetExceeded>>()
  })

  it("need a model exactly where a phase is left to it", () => {
    const [one] = workers
    const none = OrchestratorWorkers.make("brief", { workers: [one], ...given })
    expectTypeOf<Workflow.Services<typeof none>>().toEqualTypeOf<never>()
    expectTypeOf<Workflow.Error<typeof none>>().toEqualTypeOf<NoSource | OrchestratorWorkers.InvalidPlan>()
    const planned = OrchestratorWorkers.make("brief", { workers: [one], synthesize: given.synthesize })
    expectTypeOf<Workflow.Services<typeof planned>>().toEqualTypeOf<LanguageModel.LanguageModel>()
    expectTypeOf<Workflow.Error<typeof planned>>().toEqualTypeOf<
      NoSource | OrchestratorWorkers.InvalidPlan | AiError.AiError
    >()
    const synthesized = OrchestratorWorkers.make("brief", { workers: [one], plan: given.plan })
    expectTypeOf<Workflow.Services<typeof synthesized>>().toEqualTypeOf<LanguageModel.LanguageModel>()
    expectTypeOf<Workflow.Error<typeof synthesized>>().toEqualTypeOf<
      NoSource | OrchestratorWorkers.InvalidPlan | AiError.AiError
    >()
    const delegated = OrchestratorWorkers.make("brief", {
      workers: [one],
      ...given,
      delegate: () => Effect.succeed("mine")
    })
    expectTypeOf<Workflow.Services<typeof delegated>>().toEqualTypeOf<never>()
    expectTypeOf(delegated.delegate).returns.toEqualTypeOf<Effect.Effect<string, Budget.BudgetExceeded>>()
  })

  it("ask for a delegate where a worker takes no text, and for a schema of other errors", () => {
    const numbers = Workflow.make("numbers", { input: Schema.Number, run: (n) => Effect.succeed(String(n)) })
    const both = [...workers, { name: "numbers", description: "Numbers", workflow: numbers }] as const
    // @ts-expect-error numbers takes no text
    OrchestratorWorkers.make("brief", { workers: both, ...given })
    const delegated = OrchestratorWorkers.make("brief", {
      workers: both,
      ...given,
      delegate: (step, dependencies) => {
        expectTypeOf(dependencies[0]!.data).toEqualTypeOf<string | { readonly size: number }>()
        return step.worker === "numbers" ? numbers.call(Number(step.input)) : Effect.succeed({ size: 1 })
      }
    })
    expectTypeOf<Workflow.Services<typeof delegated>>().toEqualTypeOf<never>()
    // @ts-expect-error no schema describes Unplannable
    OrchestratorWorkers.make("brief", { workers, ...given, plan: () => new Unplannable() })
    // @ts-expect-error the output is text
    OrchestratorWorkers.make("brief", { workers, ...given, synthesize: () => Effect.succeed(1) })
  })
})
