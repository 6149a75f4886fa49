// What attempts that resume, retried runs and forks use of the children there were.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { CrashHarness } from "effect-baton/testing"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"
import { currentFrame } from "../../src/internal/frame.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

const attempt = Effect.withFiber((fiber) => Effect.succeed(currentFrame(fiber)!.execution.attempt))

const step = (name: string) => Step.make(name, { run: Effect.succeed(name) })

/** Fails in the first attempt. */
const second = Step.make("second", {
  error: Broken,
  run: Effect.flatMap(attempt, (n) => (n === 1 ? Effect.fail(new Broken()) : Effect.succeed("done")))
})

const leaf = Workflow.make("leaf", { run: (input) => Effect.map(step("one"), (one) => `${one} ${input}`) })

const nested = Workflow.make("nested", {
  run: (input) =>
    Effect.gen(function* () {
      const child = yield* Execution.startChild(leaf, input)
      return `${yield* step("two")} ${yield* child.result}`
    })
})

const failing = Workflow.make("failing", {
  error: Broken,
  run: () => Effect.andThen(step("before"), Effect.fail(new Broken()))
})

const asking = Workflow.make("asking", {
  run: () => Effect.map(Execution.waitForApproval("ok?"), ({ approvedBy }) => `${approvedBy}`)
})

const resumes = { retry: { attempts: 1, delay: 0, mode: "resume" } } as const

const approving = (execution: Execution.Execution<unknown, unknown>) =>
  Effect.gen(function* () {
    for (const { id } of yield* Engine.list({ parentId: execution.id })) {
      const child = yield* Engine.get(id)
      for (const request of yield* child.requests) yield* Effect.ignore(child.approve(request.id, { by: "ada" }))
    }
    yield* Effect.sleep("2 millis")
  }).pipe(Effect.ignore, Effect.forever)

/** Crashes a run of two attempts at every write, and says how many children there were in all. */
const survives = (
  name: string,
  children: number,
  run: () => ReturnType<Workflow.Workflow<string, string, Broken>["~inner"]["body"]>,
  during?: typeof approving
) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("parent", { error: Broken, run })
        const report = yield* CrashHarness.check(workflow, "", { options: resumes, ordered: false, during, again: 1 })
        assert.strictEqual(report.events.filter((event) => event._tag === "ChildStarted").length, children)
      }),
    30_000
  )

describe("an attempt that resumes, with a crash at every write", () => {
  survives("takes what a child came to, and what is below it", 1, () =>
    Effect.gen(function* () {
      const child = yield* Execution.startChild(nested, "x")
      const said = yield* Effect.orDie(child.result)
      return `${yield* second} ${said}`
    })
  )

  survives("takes what a child came to that nobody waits for", 1, () =>
    Effect.gen(function* () {
      const child = yield* Execution.startChild(leaf, "x")
      yield* Effect.orDie(child.result)
      const before = yield* second
      return `${before} ${yield* Effect.orDie(child.result)}`
    })
  )

  survives(
    "takes what a child came to that asked people",
    1,
    () =>
      Effect.gen(function* () {
        const child = yield* Execution.startChild(asking, "")
        const said = yield* Effect.orDie(child.result)
        return `${yield* second} ${said}`
      }),
    approving
  )

  survives("starts a child anew that failed", 2, () =>
    Effect.gen(function* () {
      const child = yield* Execution.startChild(failing, "")
      const exit = yield* child.exit
      return `${yield* second} ${exit._tag}`
    })
  )

  survives("meets the same conflict of ids", 3, () =>
    Effect.gen(function* () {
      const one = yield* Execution.startChild(leaf, "x", { id: "taken" })
      const said = yield* Effect.orDie(one.result)
      const other = yield* Execution.startChild(leaf, "y", { id: "taken", key: "other" })
      const error = yield* Effect.flip(other.result)
      return `${yield* second} ${said} ${error._tag}`
    })
  )

  survives("starts a child anew that was cancelled with its attempt", 2, () =>
    Effect.gen(function* () {
      yield* Execution.startChild(asking, "")
      return yield* second
    })
  )
})

const onFile = Layer.unwrap(Effect.map(temporaryFile, (filename) => layerSqlite({ filename, idle: "1 hour" })))

describe("children of a run that is begun again", () => {
  /** A child before and after a step; the last step fails until it is up. */
  const make = () => {
    const log: Array<string> = []
    const state = { isUp: false }
    const works = Workflow.make("works", {
      run: (name) => Step.make("work", { run: Effect.sync(() => `${name}${log.push(name)}`) })
    })
    const parent = Workflow.make("parent", {
      error: Broken,
      run: () =>
        Effect.gen(function* () {
          const child = (name: string) =>
            Effect.flatMap(Execution.startChild(works, name, { key: name }), (child) => Effect.orDie(child.result))
          const a = yield* child("a")
          const b = yield* Step.make("b", { run: Effect.sync(() => `b${log.push("b")}`) })
          const c = yield* child("c")
          const d = yield* Step.make("d", {
            error: Broken,
            run: Effect.suspend(() => (state.isUp ? Effect.succeed("d") : Effect.fail(new Broken())))
          })
          return [a, b, c, d].join(" ")
        })
    })
    return { log, parent, state }
  }

  for (const options of [{}, resumes]) {
    const after = "retry" in options ? ", also after an attempt that resumed" : ""
    it.effect(`a retried run takes what the children that completed came to${after}`, () =>
      Effect.gen(function* () {
        const { log, parent, state } = make()
        yield* Effect.exit(parent.execute("", { id: "p", ...options }))
        state.isUp = true
        const again = yield* Engine.retry("p")
        assert.strictEqual(yield* again.result, "a1 b2 c3 d")
        assert.deepStrictEqual(log, ["a", "b", "c"])
        assert.deepStrictEqual(yield* Engine.list({ parentId: again.id }), [])
      }).pipe(Effect.provide(onFile))
    )

    it.effect(`a fork takes the children before its step, and no others${after}`, () =>
      Effect.gen(function* () {
        const { parent, state } = make()
        yield* Effect.exit(parent.execute("", { id: "p", ...options }))
        state.isUp = true
        const fork = yield* Engine.fork("p", { fromStep: "b" })
        assert.strictEqual(yield* fork.result, "a1 b4 c5 d")
        assert.strictEqual((yield* Engine.list({ parentId: fork.id })).length, 1)
        // Of what a fork began with nobody knows where it was used.
        const second = yield* Engine.fork(fork.id, { fromStep: "b" })
        assert.strictEqual(yield* second.result, "a6 b7 c8 d")
      }).pipe(Effect.provide(onFile))
    )
  }

  it.live("a child that was pruned since is started anew", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const { parent, state } = make()
      const registered = Effect.flatMap(Engine.Engine, (engine) => engine.register(parent))
      yield* live(filename, {}, undefined, Effect.exit(parent.execute("", { id: "p" })))
      state.isUp = true
      const retried = yield* live(
        filename,
        { runs: false },
        undefined,
        Effect.gen(function* () {
          yield* registered
          const { id } = yield* Engine.retry("p")
          assert.strictEqual(yield* Engine.prune({ olderThan: 0 }), 3)
          return id
        })
      )
      const done = yield* live(
        filename,
        {},
        undefined,
        Effect.andThen(
          registered,
          Effect.flatMap(Engine.get(retried.result!), ({ result }) => result)
        )
      )
      assert.strictEqual(done.result, "a4 b2 c5 d")
    }).pipe(Effect.scoped)
  )

  it.effect("pruning a run takes all below it along", () =>
    Effect.gen(function* () {
      const top = Workflow.make("top", {
        run: (input) => Effect.flatMap(Execution.startChild(nested, input), (child) => Effect.orDie(child.result))
      })
      yield* top.execute("x", { id: "top" })
      assert.strictEqual((yield* Engine.list()).length, 3)
      assert.strictEqual(yield* Engine.prune({ olderThan: 0 }), 3)
      assert.deepStrictEqual(yield* Engine.list(), [])
      const engine = yield* Durable
      for (const table of ["runs", "events", "timers", "seeds", "tags", "requests", "answers", "signals"]) {
        assert.deepStrictEqual(yield* engine.query(`SELECT * FROM baton_${table}`), [])
      }
    }).pipe(Effect.provide(onFile))
  )
})
