import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, type Retry, Step, Workflow } from "effect-baton"
import { consistent, count, history, onlyRequest, settle, start } from "./support/executions.ts"

class Boom extends Schema.TaggedError<Boom>()("Boom", { n: Schema.Number }) {}

const memory = Effect.provide(Engine.layerMemory)

/** A workflow without an output of interest. */
const make = <E, R>(run: Effect.Effect<unknown, E, R>) =>
  Workflow.make("w", {
    output: Schema.Unknown,
    error: Schema.Any as Schema.Codec<E>,
    run: () => run as Effect.Effect<unknown, never, R>
  })

const paths = (execution: Execution.Execution<any, any>) =>
  history(execution).flatMap((event) => (event._tag === "StepStarted" ? [event.path] : []))

const step = (name: string, run: Effect.Effect<unknown, any, any> = Effect.void, key?: string) =>
  Step.make(name, { run, key }) as Effect.Effect<unknown, never, Execution.Current>

const dies = Effect.fnUntraced(function* (execution: Execution.Execution<any, any>) {
  const exit = yield* consistent(execution)
  assert.isTrue(Exit.hasDies(exit))
  return String(Cause.squash((exit as Exit.Failure<unknown, unknown>).cause))
})

describe("Step", () => {
  it.effect("a step gives its result, fails with its error, and tells both in events with its path and duration", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", {
        error: Boom,
        run: () =>
          Effect.gen(function* () {
            yield* Step.make("slow", { run: Effect.sleep("3 seconds") })
            return yield* Step.make("bad", { error: Boom, run: Effect.fail(new Boom({ n: 1 })) })
          })
      })
      const execution = yield* start(workflow, "")
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(yield* Effect.flip(execution.result), { _tag: "Boom", n: 1 })
      const events = history(execution).filter((event) => event._tag.startsWith("Step"))
      assert.deepInclude(events[1], { _tag: "StepCompleted", path: "slow", durationMillis: 3000 })
      assert.deepInclude(events[3], { _tag: "StepFailed", path: "bad", error: "Boom", interrupted: false })
      assert.strictEqual((yield* execution.usage).steps, 2)
    }).pipe(memory)
  )

  it.effect("F2 later uses of a path in sequence are #2, #3, in the order in which they begin", () =>
    Effect.gen(function* () {
      const execution = yield* start(
        make(
          Effect.gen(function* () {
            for (let i = 0; i < 3; i++) yield* step("fetch", step("inner"))
            yield* step("other")
            yield* step("fetch", Effect.void, "k")
            yield* step("fetch", Effect.void, "k")
            yield* step("fetch")
          })
        ),
        ""
      )
      assert.deepStrictEqual(paths(execution), [
        "fetch",
        "fetch/inner",
        "fetch#2",
        "fetch#2/inner",
        "fetch#3",
        "fetch#3/inner",
        "other",
        "fetch/k",
        "fetch/k#2",
        "fetch#4"
      ])
    }).pipe(memory)
  )

  it.effect("F1 two live steps with one path are a defect that says to give each a key", () =>
    Effect.gen(function* () {
      const twice = Effect.all([step("a", Effect.never), step("a", Effect.never)], { concurrency: "unbounded" })
      const message = yield* dies(yield* start(make(twice), ""))
      assert.include(message, 'path "a"')
      assert.include(message, "key")
      const nested = step("outer", twice)
      assert.include(yield* dies(yield* start(make(nested), "")), 'path "outer/a"')
    }).pipe(memory)
  )

  it.effect("F1 a key tells live steps of one name apart, and one key twice does not", () =>
    Effect.gen(function* () {
      const keyed = (keys: ReadonlyArray<string>) =>
        Effect.forEach(keys, (key) => step("a", Effect.yieldNow, key), { concurrency: "unbounded" })
      const execution = yield* start(make(keyed(["x", "y", "z"])), "")
      yield* execution.result
      assert.deepStrictEqual(paths(execution), ["a/x", "a/y", "a/z"])
      assert.include(yield* dies(yield* start(make(keyed(["x", "x"])), "")), 'path "a/x"')
    }).pipe(memory)
  )

  it.effect("the idempotency key is one for all tries of a step, and another in the run's next attempt", () =>
    Effect.gen(function* () {
      const keys: Array<string> = []
      const workflow = Workflow.make("w", {
        error: Boom,
        run: () =>
          Step.make("charge", {
            retry: { attempts: 1, delay: 0 },
            run: Effect.flatMap(Step.idempotencyKey, (key) => {
              keys.push(key)
              return keys.length < 4 ? Effect.fail(new Boom({ n: keys.length })) : Effect.succeed("paid")
            })
          })
      })
      assert.strictEqual(yield* workflow.execute("", { id: "r", retry: { attempts: 1, delay: 0 } }), "paid")
      assert.deepStrictEqual(keys, ["r:charge", "r:charge", "r:charge@2", "r:charge@2"])
    }).pipe(memory)
  )

  it.effect("F1 a key from data can not be taken for another place", () =>
    Effect.gen(function* () {
      const execution = yield* start(
        make(Effect.forEach(["1", "1", "1#2", "a/b"], (key) => step("item", Effect.void, key), { discard: true })),
        ""
      )
      yield* execution.result
      assert.deepStrictEqual(paths(execution), ["item/1", "item/1#2", "item/1%232", "item/a%2Fb"])
    }).pipe(memory)
  )

  it.effect("F3 a keyed step beside a step of that name inside of a scope is refused where results are reused", () =>
    Effect.gen(function* () {
      const inner = Workflow.make("a", { run: () => Step.make("b", { run: Effect.succeed("inner") }) })
      const outer = Workflow.make("outer", {
        run: () =>
          Effect.gen(function* () {
            const first = yield* inner.call("")
            return `${first} ${yield* Step.make("a", { key: "b", run: Effect.succeed("other") })}`
          })
      })
      assert.strictEqual(yield* outer.execute(""), "inner other")
      const resuming = yield* start(
        Workflow.withDefaults(outer, { retry: { attempts: 1, delay: 0, mode: "resume" } }),
        ""
      )
      assert.include(yield* dies(resuming), 'path "a/b"')
    }).pipe(memory)
  )

  it.effect("F1 two live inline calls, children or requests with one path are a defect too", () =>
    Effect.gen(function* () {
      const inner = Workflow.make("inner", { run: () => Effect.never })
      const pairs: ReadonlyArray<Effect.Effect<unknown, any, Execution.Current>> = [
        inner.call(""),
        Effect.flatMap(Execution.startChild(inner, ""), (child) => child.result),
        Execution.waitForApproval("one?"),
        Execution.waitForInput("one?", Schema.String)
      ]
      for (const each of pairs) {
        const execution = yield* start(make(Effect.all([each, each], { concurrency: "unbounded" })), "")
        assert.include(yield* dies(execution), "Two live uses of the path")
      }
    }).pipe(memory)
  )

  it.effect("a path is free again when its use was interrupted, failed or died", () =>
    Effect.gen(function* () {
      const execution = yield* start(
        make(
          Effect.gen(function* () {
            yield* Effect.timeoutOption(step("a", Effect.never), "1 second")
            yield* Effect.exit(step("a", Effect.die("x")))
            yield* Effect.exit(step("a", Effect.fail("x")))
            yield* Effect.timeoutOption(Execution.waitForApproval("?"), "1 second")
            yield* Effect.timeoutOption(Execution.waitForApproval("?"), "1 second")
            yield* step("a")
          })
        ),
        ""
      )
      yield* TestClock.adjust("1 minute")
      yield* execution.result
      assert.deepStrictEqual(paths(execution), ["a", "a#2", "a#3", "a#4"])
      assert.strictEqual(count(execution, "RequestOpened"), 2)
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("losers of a race are interrupted at once, and say so in their event", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const loser = (key: string) =>
        step(
          "racer",
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted.push(key))),
          key
        )
      const execution = yield* start(
        make(Effect.raceAll([loser("a"), step("racer", Effect.sleep("1 second"), "b"), loser("c")])),
        ""
      )
      yield* TestClock.adjust("1 second")
      yield* execution.result
      assert.deepStrictEqual(interrupted, ["a", "c"])
      const failed = history(execution).filter((event) => event._tag === "StepFailed")
      assert.deepStrictEqual(
        failed.map((event) => [event.path, event._tag === "StepFailed" && event.interrupted]),
        [
          ["racer/a", true],
          ["racer/c", true]
        ]
      )
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a step's retries have its policy's delays and its while, tell onRetry, and share its path", () =>
    Effect.gen(function* () {
      let n = 0
      const heard: Array<Retry.RetryInfo> = []
      const retry: Retry.Retry = {
        attempts: 5,
        delay: "1 second",
        backoff: "exponential",
        while: (error: Boom) => error.n < 3,
        onRetry: (info) => Effect.sync(() => void heard.push(info))
      }
      const execution = yield* start(
        make(Step.make("flaky", { retry, error: Boom, run: Effect.suspend(() => Effect.fail(new Boom({ n: ++n }))) })),
        ""
      )
      yield* TestClock.adjust("1 hour")
      assert.deepInclude(yield* Effect.flip(execution.result), { _tag: "Boom", n: 3 })
      const retried = history(execution).flatMap((event) =>
        event._tag === "StepRetried" ? [[event.path, event.attempt, event.delayMillis]] : []
      )
      assert.deepStrictEqual(retried, [
        ["flaky", 1, 1000],
        ["flaky", 2, 2000]
      ])
      assert.deepStrictEqual(
        heard.map((info) => info.delayMillis),
        [1000, 2000]
      )
      assert.strictEqual(count(execution, "StepStarted"), 1)
      assert.strictEqual((yield* execution.usage).steps, 1)
    }).pipe(memory)
  )

  it.effect("each try of a step has its own timeout", () =>
    Effect.gen(function* () {
      let tries = 0
      const execution = yield* start(
        make(
          Step.make("slow", {
            timeout: "1 second",
            retry: { attempts: 2, delay: "1 second" },
            run: Effect.andThen(
              Effect.sync(() => void tries++),
              Effect.never
            )
          })
        ),
        ""
      )
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Effect.flip(execution.result), {
        _tag: "StepTimedOut",
        path: "slow",
        afterMillis: 1000
      })
      assert.strictEqual(tries, 3)
    }).pipe(memory)
  )

  it.effect("a cancel ends a step's retry delay, and a pause holds its next try", () =>
    Effect.gen(function* () {
      let tries = 0
      const flaky = make(
        Step.make("flaky", {
          retry: { attempts: 1, delay: "1 second" },
          run: Effect.suspend(() => (++tries % 2 === 1 ? Effect.fail(new Boom({ n: tries })) : Effect.succeed("ok")))
        })
      )
      const cancelled = yield* start(flaky, "")
      assert.strictEqual(yield* cancelled.cancel(), "cancelled")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(tries, 1)
      tries = 0
      const paused = yield* start(flaky, "")
      yield* paused.pause
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(tries, 1)
      yield* paused.resume
      assert.strictEqual(yield* paused.result, "ok")
      yield* consistent(paused)
    }).pipe(memory)
  )

  it.effect("a step with a timeout or a retry that makes no sense dies before its work, naming the field", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [object, string]> = [
        [{ timeout: Number.NaN }, 'step "s" at "timeout"'],
        [{ timeout: "-1 second" }, 'step "s" at "timeout"'],
        [{ retry: { attempts: -3, delay: 0 } }, 'step "s" at "retry.attempts"']
      ]
      for (const [options, where] of cases) {
        let worked = false
        const run = Effect.sync(() => void (worked = true))
        const execution = yield* start(make(Step.make("s", { ...options, run })), "")
        assert.include(yield* dies(execution), where)
        assert.isFalse(worked)
      }
    }).pipe(memory)
  )

  it.effect("a step or a call outside of a workflow's body says where it belongs", () =>
    Effect.gen(function* () {
      const inner = Workflow.make("stray", { run: (text) => Effect.succeed(text) })
      for (const [kind, stray] of [["step", step("stray")] as const, ["call", inner.call("")] as const]) {
        const exit = yield* Effect.exit(stray as Effect.Effect<unknown>)
        assert.isTrue(Exit.hasDies(exit))
        assert.strictEqual(
          String(Cause.squash((exit as Exit.Failure<unknown, unknown>).cause)),
          `Error: The ${kind} "stray" runs outside of a workflow's body: use it inside of \`run\``
        )
      }
    })
  )

  it.effect("a step runs anew each time its effect runs", () =>
    Effect.gen(function* () {
      let n = 0
      const one = Step.make("one", { run: Effect.sync(() => ++n) })
      const execution = yield* start(make(Effect.all([one, one, one])), "")
      assert.deepStrictEqual(yield* execution.result, [1, 2, 3])
      const again = yield* start(make(Effect.all([one, one])), "")
      assert.deepStrictEqual(yield* again.result, [4, 5])
    }).pipe(memory)
  )

  it.effect("steps nest with each other, calls, scopes and parallel branches under paths that tell them apart", () =>
    Effect.gen(function* () {
      const leaf = Workflow.make("leaf", { run: (name) => Effect.as(step("work"), name) })
      const execution = yield* start(
        make(
          Effect.gen(function* () {
            yield* step("a", Effect.all([step("b"), leaf.call("x")]))
            yield* Effect.forEach(["p", "q"], (key) => leaf.call(key, { key }), { concurrency: "unbounded" })
            yield* leaf.call("again")
            yield* leaf.call("again")
          })
        ),
        ""
      )
      yield* execution.result
      assert.deepStrictEqual(paths(execution), [
        "a",
        "a/b",
        "a/leaf/work",
        "leaf/p/work",
        "leaf/q/work",
        "leaf/work",
        "leaf#2/work"
      ])
    }).pipe(memory)
  )

  it.effect("what a step provides and what is provided around it stay where they belong", () =>
    Effect.gen(function* () {
      const ids: Array<string> = []
      const execution = yield* start(
        make(
          Effect.gen(function* () {
            const deferred = yield* Deferred.make<string>()
            const fiber = yield* Effect.forkChild(step("waits", Deferred.await(deferred), "one"))
            yield* step(
              "id",
              Effect.flatMap(Execution.id, (id) => Effect.sync(() => void ids.push(id)))
            )
            yield* Deferred.succeed(deferred, "x")
            yield* Fiber.join(fiber)
            yield* step("after")
          })
        ),
        "",
        { id: "run-1" }
      )
      yield* execution.result
      assert.deepStrictEqual(ids, ["run-1"])
      assert.deepStrictEqual(paths(execution).toSorted(), ["after", "id", "waits/one"])
    }).pipe(memory)
  )

  it.effect("a pause lets running steps finish and holds every branch at its next step", () =>
    Effect.gen(function* () {
      const done: Array<string> = []
      const branch = (key: string) =>
        Effect.gen(function* () {
          yield* step(
            "first",
            Effect.andThen(
              Effect.sleep("1 second"),
              Effect.sync(() => void done.push(`first ${key}`))
            ),
            key
          )
          yield* step(
            "second",
            Effect.sync(() => void done.push(`second ${key}`)),
            key
          )
        })
      const execution = yield* start(make(Effect.forEach(["a", "b", "c"], branch, { concurrency: "unbounded" })), "")
      yield* execution.pause
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(done, ["first a", "first b", "first c"])
      yield* execution.resume
      yield* execution.result
      assert.deepStrictEqual(done.slice(3).toSorted(), ["second a", "second b", "second c"])
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a step in a finalizer of a body that succeeds runs, and one that asks a person holds the end", () =>
    Effect.gen(function* () {
      const execution = yield* start(
        make(
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() => step("undo"))
            yield* Effect.addFinalizer(() => Effect.orDie(Execution.waitForApproval("clean up?")))
            return "done"
          })
        ),
        ""
      )
      yield* settle
      assert.strictEqual(yield* execution.status, "awaiting")
      yield* execution.approve((yield* onlyRequest(execution)).id)
      assert.strictEqual(yield* execution.result, "done")
      assert.deepStrictEqual(paths(execution), ["undo"])
      yield* consistent(execution)
    }).pipe(memory)
  )
})
