// Patterns that ask models and people, and everything nested in everything, killed before and after every write; a sample
// of it on PostgreSQL.
//
// | what | where it is crashed at every write |
// |---|---|
// | steps: in sequence, side by side, in steps, failing with a typed error | crashes.test.ts |
// | attempts: retried, resumed, timed out; steps timed out | crashes.test.ts, "everything" |
// | approvals with a quorum, inputs | crashes.test.ts, "everything" |
// | sleeps, timeouts in the body | crashes.test.ts, "everything" |
// | children: inline, on their own, failing, with people of their own | crashes.test.ts, here |
// | cancel with compensation; inside of nested workflows and children | crashes.test.ts, here |
// | pause and resume | here |
// | Routing, OrchestratorWorkers, Parallelization, EvaluatorOptimizer | crashes.test.ts, "everything" |
// | PromptChaining, Voting | here, "everything" |
// | Agent: turns, tools, a tool call that people approve | here; test/patterns/AgentDurable.test.ts |
// | processes that are really killed | sigkill.test.ts, postgresKill.test.ts, postgresChaos.test.ts |
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { Tool, Toolkit } from "effect/ai"
import {
  Agent,
  type Engine,
  EvaluatorOptimizer,
  Execution,
  Parallelization,
  PromptChaining,
  Routing,
  Step,
  Voting,
  Workflow
} from "effect-baton"
import { CrashHarness, ScriptedModel } from "effect-baton/testing"
import { currentFrame } from "../../src/internal/frame.ts"
import { database, server } from "./postgres.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { part: Schema.String }) {}

const attempt = Effect.withFiber((fiber) => Effect.succeed(currentFrame(fiber)!.execution.attempt))

const step = (name: string) => Step.make(name, { run: Effect.succeed(`did ${name}`) })

/** Answers what is open, also of children, until the run has ended. */
const answering = (execution: Execution.Execution<unknown, unknown>) =>
  Effect.gen(function* () {
    const { Engine } = yield* Effect.promise(() => import("effect-baton"))
    const answer = (one: Execution.Execution<unknown, unknown>) =>
      Effect.flatMap(one.requests, (requests) =>
        Effect.forEach(requests, ({ _tag, id }) =>
          _tag === "Input"
            ? Effect.ignore(one.answer(id, 42, { by: "ada" }))
            : Effect.forEach(["ada", "bob"], (by) => Effect.ignore(one.approve(id, { by })))
        )
      )
    const children = Effect.flatMap(Engine.list({ parentId: execution.id }), (list) =>
      Effect.forEach(list, ({ id }) => Effect.ignore(Effect.flatMap(Engine.get(id), answer)))
    )
    return yield* Effect.andThen(answer(execution), children).pipe(
      Effect.andThen(Effect.sleep("3 millis")),
      Effect.forever
    )
  })

type Any = Workflow.Workflow<any, any, any, Engine.Engine>

const survives = (
  name: string,
  workflow: Any,
  input: unknown,
  options: CrashHarness.Options<any, any, Engine.Engine> = {}
) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        const report = yield* CrashHarness.check(workflow, input, { ordered: false, ...options })
        assert.isAtLeast(report.crashes, report.writes)
      }),
    60_000
  )

const child = Workflow.make("child", {
  run: Effect.fnUntraced(function* (input) {
    yield* step("one")
    return `${yield* step("two")} ${input}`
  })
})

const failing = Workflow.make("failing", {
  error: Broken,
  run: () => Effect.andThen(step("before"), Effect.fail(new Broken({ part: "child" })))
})

const asks = Workflow.make("asks", {
  run: Effect.fnUntraced(function* (input) {
    const { approvedBy } = yield* Execution.waitForApproval("ok?", {
      requiredApprovals: 2,
      approvers: ["ada", "bob"]
    })
    return `${yield* step("after")} ${approvedBy} ${input}`
  })
})

const chain = PromptChaining.make("chain", {
  steps: [
    { name: "double", run: (text: string) => Effect.succeed(`${text} ${text}`) },
    { name: "close", run: (text: string) => Effect.succeed(`${text}.`) }
  ],
  gates: [{ name: "long enough", after: "double", check: (text) => text.length > 1 || "too short" }]
})

const vote = Voting.make("vote", {
  voters: {
    a: (text: string) => Effect.succeed(text.toUpperCase()),
    b: (text: string) => Effect.succeed(text.toUpperCase()),
    c: (text: string) => Effect.succeed(text)
  },
  quorum: 2,
  earlyStop: false
})

const evaluate = EvaluatorOptimizer.make("evaluate", {
  generate: (input: string) => Effect.succeed(input),
  evaluate: (draft: string) => Effect.succeed({ score: Math.min(1, draft.length / 8), feedback: "longer" }),
  optimize: (draft: string) => Effect.succeed(`${draft}!!!`)
})

/** Everything in everything: two attempts, and what the second one reuses. */
const everything = Workflow.make("everything", {
  error: Broken,
  run: Effect.fnUntraced(function* (input) {
    const parallel = Parallelization.make("parts", {
      split: (text: string) => Effect.succeed(["a", "b"].map((id) => ({ id, prompt: `${text} ${id}` }))),
      worker: Workflow.make("part", {
        run: Effect.fnUntraced(function* (prompt) {
          const voted = yield* Effect.orDie(vote.call(prompt))
          return yield* Effect.orDie(evaluate.call(voted.decision ?? "none"))
        })
      }),
      merge: (results) => Effect.succeed(results.map((result) => String(result.data)).join(" "))
    })
    const parts = yield* Effect.orDie(parallel.call(input))
    const route = Routing.make("route", {
      classify: () => Effect.succeed("chain" as const),
      workflows: {
        chain: { workflow: chain, route: { description: "chain", whenToUse: "always" } },
        child: { workflow: child, route: { description: "child", whenToUse: "never" } }
      }
    })
    const routed = yield* Effect.orDie(route.call(parts))
    const late = Step.make("slow", { timeout: "5 millis", run: Effect.as(Effect.never, "") })
    yield* Effect.ignore(late)
    yield* Effect.sleep("3 millis")
    const n = yield* Execution.waitForInput("how many?", Schema.Int)
    const asked = yield* (yield* Execution.startChild(asks, "inside")).result
    return yield* Step.make("last", {
      error: Broken,
      run: Effect.flatMap(attempt, (tries) =>
        tries < 2 ? Effect.fail(new Broken({ part: "last" })) : Effect.succeed(`${routed} ${n} ${asked}`)
      )
    })
  })
})

const twice = { retry: { attempts: 1, delay: "2 millis", mode: "resume" }, timeout: "20 seconds" } as const

describe("patterns and controls survive a crash at every write", () => {
  survives("a chain of prompts with a gate", chain, "ha")
  survives("a vote", vote, "ha")

  survives(
    "attempts that ask again what was answered in the last one",
    Workflow.make("askingAgain", {
      error: Broken,
      run: Effect.fnUntraced(function* () {
        yield* Execution.waitForApproval("ok?")
        const n = yield* Step.make("count", { run: attempt })
        return n < 2 ? yield* new Broken({ part: "first" }) : "done"
      })
    }),
    "",
    { options: { retry: { attempts: 1, delay: "2 millis" } }, during: answering }
  )

  survives(
    "a child that fails with a typed error, and one that asks",
    Workflow.make("parent", {
      error: Broken,
      run: Effect.fnUntraced(function* () {
        const asked = yield* Execution.startChild(asks, "child")
        const failed = yield* Execution.startChild(failing, "")
        const error = yield* Effect.match(failed.result, { onFailure: (error) => error._tag, onSuccess: () => "none" })
        return `${yield* asked.result} ${error}`
      })
    }),
    "",
    { during: answering }
  )

  survives(
    "a run that is paused while it waits, answered, and resumed",
    Workflow.make("paused", {
      run: Effect.fnUntraced(function* () {
        yield* step("before")
        yield* Execution.waitForApproval("ok?")
        return yield* step("after")
      })
    }),
    "",
    {
      during: (execution) =>
        execution.events.pipe(
          Stream.filter((event) => event._tag === "RequestOpened"),
          Stream.runForEach(() =>
            Effect.gen(function* () {
              for (const { id } of yield* execution.requests) {
                yield* Effect.ignore(execution.pause)
                yield* Effect.ignore(execution.approve(id, { by: "ada" }))
              }
              yield* Effect.ignore(execution.resume)
            })
          )
        )
    }
  )

  const booked = Workflow.make("booked", {
    run: (what) =>
      Effect.gen(function* () {
        yield* step("book")
        return yield* Effect.as(Execution.waitForApproval("Go?"), what)
      }).pipe(Effect.onInterrupt(() => Effect.asVoid(Effect.orDie(step("unbook")))))
  })
  survives(
    "a cancel that compensates in nested workflows and in children (D9)",
    Workflow.make("trip", {
      run: () =>
        Effect.gen(function* () {
          yield* Execution.startChild(booked, "hotel", { cancel: { graceful: true } })
          return yield* Workflow.make("legs", { run: () => booked.call("flight") }).call("")
        }).pipe(Effect.onInterrupt(() => Effect.asVoid(Effect.orDie(step("refund")))))
    }),
    "",
    {
      options: { cancel: { graceful: true } },
      during: (execution) =>
        execution.events.pipe(
          Stream.filter((event) => event._tag === "RequestOpened"),
          Stream.take(1),
          Stream.runForEach(() => execution.cancel("enough"))
        )
    }
  )

  it.live("an agent whose tool call people approve", () =>
    Effect.gen(function* () {
      const toolkit = Toolkit.make(
        Tool.make("pay", {
          parameters: Schema.Struct({ euros: Schema.Int }),
          success: Schema.String,
          needsApproval: true
        })
      )
      const clerk = Agent.make("clerk", { toolkit })
      const { layer } = yield* ScriptedModel.make([
        ScriptedModel.reply(
          ({ prompt }) =>
            prompt.content.some((message) => message.role === "tool")
              ? ScriptedModel.text("paid")
              : ScriptedModel.toolCalls([{ name: "pay", id: "c1", params: { euros: 1 } }]),
          { times: Number.POSITIVE_INFINITY }
        )
      ])
      const check = CrashHarness.check(clerk, "Pay a euro", { ordered: false, during: answering })
      const report = yield* check.pipe(
        Effect.provide([layer, toolkit.toLayer({ pay: ({ euros }) => Effect.succeed(`receipt for ${euros}`) })])
      )
      assert.isAtLeast(report.crashes, report.writes)
    })
  )

  survives("everything in everything, in two attempts", everything, "ha", { options: twice, during: answering })

  it.live(
    "a sample of it on PostgreSQL",
    () =>
      Effect.gen(function* () {
        const url = yield* Effect.flatMap(server, database)
        const every = Number(process.env.BATON_CRASH_EVERY ?? 12)
        const report = yield* CrashHarness.check(everything, "ha", {
          options: twice,
          during: answering,
          ordered: false,
          url,
          at: (write) => write % every === 1
        })
        assert.isAtLeast(report.crashes, 3)
        yield* Effect.logInfo(`${report.crashes} crashes of a run of ${report.writes} writes`)
      }).pipe(Effect.scoped),
    120_000
  )
})
