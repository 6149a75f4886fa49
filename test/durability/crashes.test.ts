// Each workflow is killed before and after every write it makes, and must come to what an undisturbed run comes to.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import {
  type Engine,
  EvaluatorOptimizer,
  Execution,
  OrchestratorWorkers,
  Parallelization,
  Routing,
  Step,
  Workflow
} from "effect-baton"
import { CrashHarness } from "effect-baton/testing"
import { currentFrame } from "../../src/internal/frame.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { part: Schema.String, at: Schema.Date }) {}

/** The number of the attempt, as a step of tests may know it. */
const attempt = Effect.withFiber((fiber) => Effect.succeed(currentFrame(fiber)!.execution.attempt))

const step = (name: string, key?: string) => Step.make(name, { key, run: Effect.succeed(`did ${name}`) })

/** Answers every request as it comes up: approvals by two people, inputs with a number. */
const answering = (execution: Execution.Execution<unknown, unknown>) =>
  execution.events.pipe(
    Stream.filter((event) => event._tag === "RequestOpened"),
    Stream.runForEach((event) =>
      event.kind === "Input"
        ? Effect.ignore(execution.answer(event.requestId, 42, { by: "ada" }))
        : Effect.forEach(["ada", "bob"], (by) => Effect.ignore(execution.approve(event.requestId, { by })))
    )
  )

const survives = (
  name: string,
  workflow: Workflow.Workflow<any, any, any, Engine.Engine>,
  input: unknown,
  options: CrashHarness.Options<any, any, never> = {}
) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        const report = yield* CrashHarness.check(workflow, input, options)
        // What is written together depends on the moment, so a life may end before its crash.
        assert.isAtLeast(report.crashes, report.writes)
        const again = yield* CrashHarness.check(workflow, input, { ...options, again: 2, at: (n) => n % 3 === 0 })
        assert.isAtLeast(again.crashes, 1)
      }),
    60_000
  )

describe("a run that crashes at every write comes to the same end (D1, D2, D5)", () => {
  survives(
    "steps one after the other",
    Workflow.make("sequence", {
      run: Effect.fnUntraced(function* (input) {
        yield* step("a")
        yield* Effect.logInfo("between")
        yield* Execution.progress({ current: 1, total: 2 })
        for (let i = 0; i < 2; i++) yield* step("again")
        return yield* step(input)
      })
    }),
    "last"
  )

  survives(
    "steps side by side, and steps in steps",
    Workflow.make("parallel", {
      output: Schema.Array(Schema.String),
      run: () =>
        Effect.forEach(["x", "y", "z"], (key) => Step.make("outer", { key, run: step("inner") }), {
          concurrency: "unbounded"
        })
    }),
    "",
    { ordered: false }
  )

  survives(
    "a step that fails with a typed error",
    Workflow.make("failing", {
      error: Broken,
      run: Effect.fnUntraced(function* () {
        yield* step("before")
        return yield* Step.make("fail", { error: Broken, run: new Broken({ part: "x", at: new Date(7) }) })
      })
    }),
    ""
  )

  survives(
    "attempts that are retried, each with steps of its own",
    Workflow.make("retrying", {
      error: Broken,
      run: Effect.fnUntraced(function* () {
        yield* step("prepare")
        const n = yield* Step.make("count", { run: attempt })
        if (n < 3) return yield* new Broken({ part: `try ${n}`, at: new Date(7) })
        return "done"
      })
    }),
    "",
    { options: { retry: { attempts: 3, delay: "2 millis", backoff: "exponential" } } }
  )

  survives(
    "attempts that resume where the last one failed",
    Workflow.make("resuming", {
      error: Broken,
      run: Effect.fnUntraced(function* () {
        yield* step("prepare")
        yield* Execution.waitForApproval("go?")
        return yield* Step.make("try", {
          error: Broken,
          run: Effect.flatMap(attempt, (n) =>
            n < 3 ? Effect.fail(new Broken({ part: `try ${n}`, at: new Date(7) })) : Effect.succeed("done")
          )
        })
      })
    }),
    "",
    { options: { retry: { attempts: 3, delay: "2 millis", mode: "resume" } }, during: answering }
  )

  survives(
    "timeouts of attempts that are retried, and of steps",
    Workflow.make("timingRetried", {
      run: Effect.fnUntraced(function* () {
        const late = Step.make("slow", { timeout: "5 millis", run: Effect.as(Effect.never, "") })
        yield* Effect.catchTag(late, "StepTimedOut", () => Effect.succeed(""))
        const n = yield* Step.make("count", { run: attempt })
        return n < 2 ? yield* Step.make("hang", { run: Effect.as(Effect.never, "") }) : "done"
      })
    }),
    "",
    { options: { timeout: "400 millis", retry: { attempts: 2, delay: "1 millis" } } }
  )

  survives(
    "approvals with a quorum, and inputs",
    Workflow.make("asking", {
      run: Effect.fnUntraced(function* () {
        yield* step("before")
        const { approvedBy } = yield* Execution.waitForApproval("ok?", {
          requiredApprovals: 2,
          approvers: ["ada", "bob"]
        })
        const n = yield* Execution.waitForInput("how many?", Schema.Int)
        return `${yield* step("after")} ${approvedBy} ${n}`
      })
    }),
    "",
    { during: answering }
  )

  survives(
    "sleeps and timeouts in the body",
    Workflow.make("sleeping", {
      run: Effect.fnUntraced(function* () {
        yield* step("before")
        yield* Effect.sleep("5 millis")
        const late = yield* Step.make("slow", { run: Effect.as(Effect.never, "") }).pipe(
          Effect.timeoutOption("5 millis")
        )
        return `${yield* step("after")} ${late._tag}`
      })
    }),
    ""
  )

  const child = Workflow.make("child", {
    run: Effect.fnUntraced(function* (input) {
      yield* step("one")
      return `${yield* step("two")} ${input}`
    })
  })
  survives(
    "children, inline and on their own",
    Workflow.make("parent", {
      run: Effect.fnUntraced(function* () {
        const inline = yield* child.call("inline")
        const execution = yield* Execution.startChild(child, "apart")
        return `${inline} ${yield* execution.result}`
      })
    }),
    ""
  )

  survives(
    "a timeout of the attempt",
    Workflow.make("timing", {
      run: Effect.fnUntraced(function* () {
        yield* step("before")
        return yield* Step.make("slow", { run: Effect.as(Effect.never, "") })
      })
    }),
    "",
    { options: { timeout: "150 millis" } }
  )

  survives(
    "a cancel that compensates (D9)",
    Workflow.make("cancelling", {
      run: Effect.fnUntraced(function* () {
        yield* step("book")
        return yield* Step.make("wait", { run: Effect.as(Effect.never, "") }).pipe(
          Effect.onInterrupt(() => Effect.asVoid(Effect.orDie(Effect.andThen(step("unbook"), step("refund")))))
        )
      })
    }),
    "",
    {
      options: { cancel: { graceful: true } },
      during: (execution) =>
        execution.events.pipe(
          Stream.filter((event) => event._tag === "StepStarted" && event.path === "wait"),
          Stream.take(1),
          Stream.runForEach(() => execution.cancel("enough"))
        )
    }
  )
})

describe("every pattern survives a crash at every write", () => {
  const words = (text: string) => Effect.succeed(text.toUpperCase())
  const shout = Workflow.make("shout", { run: (text) => Step.make("say", { run: words(text) }) })
  const whisper = Workflow.make("whisper", { run: (text) => Step.make("say", { run: Effect.succeed(text) }) })

  survives(
    "routing",
    Routing.make("route", {
      classify: () => Effect.succeed("shout" as const),
      workflows: {
        shout: { workflow: shout, route: { description: "loud", whenToUse: "far away" } },
        whisper: { workflow: whisper, route: { description: "quiet", whenToUse: "close" } }
      }
    }),
    "hello"
  )

  survives(
    "orchestrator and workers",
    OrchestratorWorkers.make("orchestrate", {
      workers: [
        { name: "shout", description: "loud", workflow: shout, capabilities: ["loud"] },
        { name: "whisper", description: "quiet", workflow: whisper, capabilities: ["quiet"] }
      ],
      plan: (input: string) =>
        Effect.succeed({
          goal: input,
          steps: [
            { id: "a", description: "first", worker: "shout", input },
            { id: "b", description: "second", worker: "whisper", input, dependsOn: ["a"] },
            { id: "c", description: "third", worker: "whisper", input }
          ]
        }),
      synthesize: (results) => Effect.succeed(results.map((result) => String(result.data)).join(" "))
    }),
    "hello",
    { ordered: false }
  )

  survives(
    "parallelization",
    Parallelization.make("parallelize", {
      split: (input: string) => Effect.succeed(["a", "b", "c"].map((id) => ({ id, prompt: `${input} ${id}` }))),
      worker: shout,
      merge: (results) => Effect.succeed(results.map((result) => String(result.data)).join(" "))
    }),
    "hello",
    { ordered: false }
  )

  survives(
    "evaluator and optimizer",
    EvaluatorOptimizer.make("evaluate", {
      generate: (input: string) => Effect.succeed(input),
      evaluate: (draft: string) => Effect.succeed({ score: Math.min(1, draft.length / 10), feedback: "longer" }),
      optimize: (draft: string) => Effect.succeed(`${draft}!!`)
    }),
    "hello"
  )
})
