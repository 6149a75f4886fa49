// Bodies that are made up, crashed at writes that are made up, come to what they come to without a crash. A seed that
// fails is run again with BATON_SEED.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { CrashHarness } from "effect-baton/testing"
import { currentFrame } from "../../src/internal/frame.ts"
import { random } from "../support/executions.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { at: Schema.String }) {}

const attempt = Effect.withFiber((fiber) => Effect.succeed(currentFrame(fiber)!.execution.attempt))

/**
 * A body as data. What fails stands nowhere beside something else: which of its siblings it cut off would be chance. Of what
 * stands side by side one part asks people, or whether the run is released in between would be.
 */
type Node =
  | { readonly kind: "step" | "flaky" | "late" | "sleep" | "ask" | "input"; readonly name: string }
  | {
      readonly kind: "seq" | "par" | "outer" | "child" | "call"
      readonly name: string
      readonly of: ReadonlyArray<Node>
    }

const silent = ["step", "step", "step", "late", "sleep"] as const
const asking = [...silent, "ask", "input"] as const
const inner = ["seq", "seq", "par", "outer", "child", "call"] as const

const makeUp = (next: () => number) => {
  let n = 0
  const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(next() * from.length)]
  const node = (depth: number, mayFail: boolean, mayAsk: boolean): Node => {
    const name = `n${++n}`
    if (depth === 0 || next() < 0.3)
      return { kind: mayFail && next() < 0.3 ? "flaky" : pick(mayAsk ? asking : silent), name }
    const kind = pick(inner)
    const isPar = kind === "par"
    const some = Array.from({ length: 1 + Math.floor(next() * 3) }, (_, i) =>
      node(depth - 1, mayFail && !isPar, mayAsk && !(isPar && i > 0))
    )
    return { kind, name, of: some }
  }
  return node(3, true, true)
}

type Retry = { readonly attempts: number; readonly delay: "1 millis"; readonly mode: "restart" | "resume" }

// Any error: budgets and timeouts of steps are in their types, and none is met.
const run = (node: Node, retry: Retry): Effect.Effect<string, any, any> => {
  const { name } = node
  const all = (concurrency: number) =>
    "of" in node
      ? Effect.map(
          Effect.all(
            node.of.map((one) => run(one, retry)),
            { concurrency }
          ),
          (said) => `${name}(${said.join(" ")})`
        )
      : Effect.succeed("")
  switch (node.kind) {
    case "step":
      return Step.make(name, { run: Effect.succeed(name) })
    case "flaky":
      return Step.make(name, {
        error: Broken,
        run: Effect.flatMap(attempt, (n) => (n === 1 ? Effect.fail(new Broken({ at: name })) : Effect.succeed(name)))
      })
    case "late":
      return Effect.match(Step.make(name, { timeout: "3 millis", run: Effect.as(Effect.never, "") }), {
        onFailure: (error) => error._tag,
        onSuccess: () => name
      })
    case "sleep":
      return Effect.as(Effect.sleep("2 millis"), name)
    case "ask":
      return Effect.map(Execution.waitForApproval(name, { key: name }), ({ approvedBy }) => `${approvedBy}`)
    case "input":
      return Effect.map(Execution.waitForInput(name, Schema.Int, { key: name }), (answer) => `${answer}`)
    case "seq":
      return all(1)
    case "par":
      return all(10)
    case "outer":
      return Step.make(name, { error: Broken, run: all(1) })
    case "call":
      return Workflow.make(name, { error: Broken, run: () => all(1) }).call("")
    case "child":
      return Effect.flatMap(
        Execution.startChild(Workflow.make(name, { error: Broken, run: () => all(1) }), "", { retry }),
        (child) => Effect.orDie(child.result)
      )
  }
}

/** Answers everything that is open, until the run has ended. */
const answering = () =>
  Effect.gen(function* () {
    for (const { id } of yield* Engine.list()) {
      const execution = yield* Engine.get(id)
      for (const request of yield* execution.requests) {
        yield* Effect.ignore(
          request._tag === "Input"
            ? execution.answer(request.id, 42, { by: "ada" })
            : execution.approve(request.id, { by: "ada" })
        )
      }
    }
    yield* Effect.sleep("2 millis")
  }).pipe(Effect.ignore, Effect.forever)

const seeds =
  process.env.BATON_SEED === undefined
    ? Array.from({ length: Number(process.env.BATON_BODIES ?? 24) }, (_, i) => i + 1)
    : [Number(process.env.BATON_SEED)]

describe("a body that is made up survives crashes", () => {
  for (const seed of seeds) {
    it.live(
      `with seed ${seed}`,
      () =>
        Effect.gen(function* () {
          const next = random(seed)
          const body = makeUp(next)
          const mode = next() < 0.5 ? "resume" : "restart"
          const retry: Retry = { attempts: 9, delay: "1 millis", mode }
          const workflow = Workflow.make("madeUp", { error: Broken, run: () => run(body, retry) }) as any
          const every = 4
          const first = Math.floor(next() * every)
          const report = yield* CrashHarness.check(workflow, "", {
            options: { retry, timeout: "20 seconds" },
            during: answering,
            ordered: false,
            again: Math.floor(next() * 3),
            at: (write) => write % every === first
          })
          assert.isAbove(report.writes, 0)
        }) as Effect.Effect<void, unknown>,
      30_000
    )
  }
})
