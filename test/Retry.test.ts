import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Random, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, Retry, Step, Workflow } from "effect-baton"
import { consistent, count, history, onlyRequest, settle, start, tags } from "./support/executions.ts"

class Boom extends Schema.TaggedError<Boom>()("Boom", { n: Schema.Number }) {}

const memory = Effect.provide(Engine.layerMemory)

const failing = (times: number) => {
  let n = 0
  return Workflow.make("failing", {
    error: Boom,
    run: () => Effect.suspend(() => (++n <= times ? Effect.fail(new Boom({ n })) : Effect.succeed(`after ${n}`)))
  })
}

const delays = (execution: Execution.Execution<any, any>) =>
  history(execution).flatMap((event) => (event._tag === "RetryScheduled" ? [event.delayMillis] : []))

const Policy = Schema.Struct({
  attempts: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })),
  delay: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10_000 })),
  backoff: Schema.Literals(["fixed", "linear", "exponential"]),
  maxDelay: Schema.UndefinedOr(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60_000 })))
})

describe("Retry.delayMillis", () => {
  it.prop("is d, n·d or 2^(n-1)·d, capped by maxDelay, for n up to attempts", { policy: Policy }, ({ policy }) => {
    for (let n = 1; n <= policy.attempts; n++) {
      const factor = { fixed: 1, linear: n, exponential: 2 ** (n - 1) }[policy.backoff]
      const expected = Math.min(policy.delay * factor, policy.maxDelay ?? Number.POSITIVE_INFINITY)
      assert.strictEqual(Retry.delayMillis(policy, n), expected)
    }
    assert.isUndefined(Retry.delayMillis(policy, policy.attempts + 1))
  })

  it.prop("never shrinks from retry to retry", { policy: Policy }, ({ policy }) => {
    for (let n = 2; n <= policy.attempts; n++) {
      assert.isAtLeast(Retry.delayMillis(policy, n)!, Retry.delayMillis(policy, n - 1)!)
    }
  })

  it("of an endless delay is endless, and of none is none however often", () => {
    assert.strictEqual(Retry.delayMillis({ attempts: 3, delay: Duration.infinity }, 2), Number.POSITIVE_INFINITY)
    assert.strictEqual(Retry.delayMillis({ attempts: 2000, delay: 0, backoff: "exponential" }, 2000), 0)
  })
})

describe("Retry", () => {
  it.effect.prop(
    "the delays of a run are those of its policy, and it is tried once more than it is retried",
    { policy: Policy },
    ({ policy }) =>
      Effect.gen(function* () {
        const execution = yield* start(failing(Number.POSITIVE_INFINITY), "", { retry: policy })
        yield* TestClock.adjust("30 days")
        const error = yield* Effect.flip(execution.result)
        assert.deepInclude(error, { _tag: "Boom", n: policy.attempts + 1 })
        assert.strictEqual(count(execution, "AttemptStarted"), policy.attempts + 1)
        const expected = Array.from({ length: policy.attempts }, (_, i) => Retry.delayMillis(policy, i + 1)!)
        assert.deepStrictEqual(delays(execution), expected)
        yield* consistent(execution)
      }).pipe(memory),
    { arbitrary: { runs: 30 } }
  )

  it.effect("attempts is the number of retries after the first try, and a success ends them", () =>
    Effect.gen(function* () {
      const execution = yield* start(failing(2), "", { retry: { attempts: 5, delay: "1 second" } })
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* execution.result, "after 3")
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("zero attempts is no retry", () =>
    Effect.gen(function* () {
      const execution = yield* start(failing(1), "", { retry: { attempts: 0, delay: 0 } })
      assert.deepInclude(yield* Effect.flip(execution.result), { _tag: "Boom", n: 1 })
      assert.strictEqual(count(execution, "RetryScheduled"), 0)
    }).pipe(memory)
  )

  it.effect("jitter spreads each delay between 80 % and 120 %, never past maxDelay, by Effect's Random", () =>
    Effect.gen(function* () {
      const run = Effect.gen(function* () {
        const execution = yield* start(failing(200), "", {
          retry: { attempts: 100, delay: 1000, maxDelay: 1100, jitter: true }
        })
        yield* TestClock.adjust("1 hour")
        yield* Effect.exit(execution.result)
        return delays(execution)
      }).pipe(Random.withSeed("jitter"))
      const one = yield* run
      assert.strictEqual(one.length, 100)
      assert.isTrue(one.every((delay) => delay >= 800 && delay <= 1100))
      assert.isAbove(new Set(one).size, 50)
    }).pipe(memory)
  )

  it.effect("any Schedule gives the delays, sees the errors, and ends the retries when it ends", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const schedule = Schedule.exponential("1 second").pipe(
        Schedule.upTo({ times: 3 }),
        Schedule.tap(({ input }) => Effect.sync(() => void seen.push(input)))
      )
      const execution = yield* start(failing(10), "", { retry: { schedule } })
      yield* TestClock.adjust("1 hour")
      assert.deepInclude(yield* Effect.flip(execution.result), { _tag: "Boom", n: 4 })
      assert.deepStrictEqual(delays(execution), [1000, 2000, 4000])
      assert.deepStrictEqual(
        seen.map((error) => (error as Boom).n),
        [1, 2, 3]
      )
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("two runs of one schedule do not share its state", () =>
    Effect.gen(function* () {
      const retry = { schedule: Schedule.recurs(2) }
      const one = yield* start(failing(2), "", { retry })
      const two = yield* start(failing(2), "", { retry })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* one.result, yield* two.result], ["after 3", "after 3"])
    }).pipe(memory)
  )

  it.effect("while decides what is retryable, as a boolean or an Effect; its failure or silence counts as no", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [NonNullable<Retry.Retry["while"]>, number]> = [
        [(error: Boom) => error.n < 3, 3],
        [(error: Boom) => Effect.succeed(error.n < 2), 2],
        [() => Effect.fail("unsure"), 1],
        [() => Effect.die("unsure"), 1],
        [
          () => {
            throw new Error("unsure")
          },
          1
        ],
        [() => Effect.never, 1],
        [() => false, 1]
      ]
      for (const [decide, tries] of cases) {
        const execution = yield* start(failing(10), "", { retry: { attempts: 5, delay: 0, while: decide } })
        yield* TestClock.adjust("1 minute")
        assert.deepInclude(yield* Effect.flip(execution.result), { _tag: "Boom", n: tries })
        yield* consistent(execution)
      }
    }).pipe(memory)
  )

  it.effect("a cancel while `while` is thinking ends the run", () =>
    Effect.gen(function* () {
      const execution = yield* start(failing(10), "", { retry: { attempts: 5, delay: 0, while: () => Effect.never } })
      assert.strictEqual(yield* execution.cancel(), "cancelled")
      yield* consistent(execution)
      const before = history(execution)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(history(execution), before)
    }).pipe(memory)
  )

  it.effect("onRetry hears the attempt, the error and the delay, before the delay; its failure changes nothing", () =>
    Effect.gen(function* () {
      const heard: Array<Retry.RetryInfo> = []
      const execution = yield* start(failing(2), "", {
        retry: {
          attempts: 2,
          delay: "1 second",
          backoff: "linear",
          onRetry: (retry) =>
            Effect.andThen(
              Effect.sync(() => void heard.push(retry)),
              Effect.fail("ignored")
            )
        }
      })
      assert.strictEqual(heard.length, 1)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* execution.result, "after 3")
      assert.deepStrictEqual(
        heard.map(({ attempt, delayMillis }) => [attempt, delayMillis]),
        [
          [1, 1000],
          [2, 2000]
        ]
      )
      assert.deepStrictEqual(
        heard.map(({ error }) => (error as Boom).n),
        [1, 2]
      )
    }).pipe(memory)
  )

  it.effect("defects are never retried, and show in the exit", () =>
    Effect.gen(function* () {
      const bug = new Error("bug")
      for (const run of [
        () => Effect.die(bug),
        (): Effect.Effect<string> => {
          throw bug
        }
      ]) {
        const execution = yield* start(Workflow.make("dies", { run }), "", { retry: { attempts: 3, delay: 0 } })
        const exit = yield* consistent(execution)
        assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === bug)
        assert.strictEqual(count(execution, "AttemptStarted"), 1)
        assert.strictEqual(yield* execution.status, "failed")
      }
    }).pipe(memory)
  )

  it.effect("a body that throws, or fails with, what is no error of its schema fails the run with a defect", () =>
    Effect.gen(function* () {
      const weird: ReadonlyArray<unknown> = [
        "text",
        42,
        null,
        undefined,
        Symbol("s"),
        {
          toJSON() {
            throw new Error("no")
          }
        },
        Object.create(null),
        () => 1,
        10n
      ]
      for (const value of weird) {
        for (const run of [
          () => Effect.fail(value as never),
          (): Effect.Effect<string> => {
            throw value
          }
        ]) {
          const execution = yield* start(Workflow.make("w", { run }), "", { retry: { attempts: 2, delay: 0 } })
          const exit = yield* consistent(execution)
          assert.isTrue(Exit.hasDies(exit))
          assert.strictEqual(count(execution, "AttemptStarted"), 1)
        }
      }
    }).pipe(memory)
  )

  it.effect("an error whose message throws fails the run like any other", () =>
    Effect.gen(function* () {
      class Nasty extends Schema.TaggedError<Nasty>()("Nasty", {}) {
        override get message(): string {
          throw new Error("no message for you")
        }
      }
      const execution = yield* start(Workflow.make("w", { error: Nasty, run: () => new Nasty() }), "")
      const exit = yield* consistent(execution)
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(tags(execution).at(-1), "RunFailed")
    }).pipe(memory)
  )

  it.effect("a body that is no Effect fails the run with a defect", () =>
    Effect.gen(function* () {
      for (const value of [undefined, "text", Promise.resolve("x"), null]) {
        const execution = yield* start(Workflow.make("w", { run: () => value as never }), "")
        assert.isTrue(Exit.hasDies(yield* consistent(execution)))
      }
    }).pipe(memory)
  )

  it.effect("an exceeded budget, a cancel of a child and bad options are never retried", () =>
    Effect.gen(function* () {
      const step = Workflow.make("step", { run: () => Step.make("one", { run: Effect.succeed("") }) })
      const budget = yield* start(step, "", { budget: { steps: 0 }, retry: { attempts: 3, delay: 0 } })
      assert.strictEqual((yield* Effect.flip(budget.result))._tag, "BudgetExceeded")
      assert.strictEqual(count(budget, "AttemptStarted"), 1)
      const child = Workflow.make("child", { run: () => Effect.interrupt })
      const parent = Workflow.make("parent", {
        run: () => Effect.flatMap(Execution.startChild(child, ""), (execution) => execution.result)
      })
      const cancelled = yield* start(parent, "", { retry: { attempts: 3, delay: 0 } })
      assert.strictEqual((yield* Effect.flip(cancelled.result))._tag, "RunCancelled")
      assert.strictEqual(yield* cancelled.status, "failed")
      assert.strictEqual(count(cancelled, "AttemptStarted"), 1)
      yield* consistent(cancelled)
    }).pipe(memory)
  )

  it.effect("a pause holds the next attempt, and the resume lets it begin", () =>
    Effect.gen(function* () {
      const execution = yield* start(failing(1), "", { retry: { attempts: 1, delay: "1 second" } })
      yield* execution.pause
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(count(execution, "AttemptStarted"), 1)
      assert.strictEqual(yield* execution.status, "awaiting")
      yield* execution.resume
      assert.strictEqual(yield* execution.result, "after 2")
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a request from outside holds the next attempt until its answer", () =>
    Effect.gen(function* () {
      const execution = yield* start(failing(1), "", { retry: { attempts: 1, delay: "1 second" } })
      const fiber = yield* Effect.forkChild(execution.waitForApproval("again?"))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(count(execution, "AttemptStarted"), 1)
      yield* execution.approve((yield* onlyRequest(execution)).id)
      assert.isTrue((yield* Fiber.join(fiber)).approved)
      assert.strictEqual(yield* execution.result, "after 2")
      yield* consistent(execution)
    }).pipe(memory)
  )

  describe("mode", () => {
    const work = (done: Array<string>, fails: { left: number }) =>
      Workflow.make("work", {
        error: Boom,
        run: () =>
          Effect.gen(function* () {
            const one = yield* Step.make("one", {
              run: Effect.sync(() => {
                done.push("one")
                return "1"
              })
            })
            const loop = yield* Effect.forEach([1, 2, 3], (n) =>
              Step.make("loop", {
                run: Effect.sync(() => {
                  done.push(`loop ${n}`)
                  return String(n)
                })
              })
            )
            const [a, b] = yield* Effect.all(
              ["a", "b"].map((key) =>
                Step.make("branch", {
                  key,
                  run: Effect.sync(() => {
                    done.push(`branch ${key}`)
                    return key
                  })
                })
              ),
              { concurrency: "unbounded" }
            )
            yield* Step.make("flaky", {
              error: Boom,
              run: Effect.suspend(() => (fails.left-- > 0 ? Effect.fail(new Boom({ n: fails.left })) : Effect.void))
            })
            return [one, ...loop, a, b].join(" ")
          })
      })
    const all = ["one", "loop 1", "loop 2", "loop 3", "branch a", "branch b"]

    it.effect("restart, the default, runs the body from its top", () =>
      Effect.gen(function* () {
        const done: Array<string> = []
        const execution = yield* start(work(done, { left: 1 }), "", { retry: { attempts: 1, delay: 0 } })
        assert.strictEqual(yield* execution.result, "1 1 2 3 a b")
        assert.deepStrictEqual(done, [...all, ...all])
      }).pipe(memory)
    )

    it.effect("resume reuses the results of the steps that succeeded, so only what failed runs again", () =>
      Effect.gen(function* () {
        const done: Array<string> = []
        const execution = yield* start(work(done, { left: 2 }), "", {
          retry: { attempts: 2, delay: 0, mode: "resume" }
        })
        assert.strictEqual(yield* execution.result, "1 1 2 3 a b")
        assert.deepStrictEqual(done, all)
        const reused = history(execution).filter((event) => event._tag === "StepCompleted" && event.reused)
        assert.deepStrictEqual(
          reused.slice(0, 6).map((event) => event.path),
          ["one", "loop", "loop#2", "loop#3", "branch/a", "branch/b"]
        )
        assert.strictEqual((yield* execution.usage).steps, all.length + 3)
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("resume reuses the answers of people and the results of children too", () =>
      Effect.gen(function* () {
        let asked = 0
        let tries = 0
        const child = Workflow.make("child", { run: () => Effect.sync(() => String(++asked)) })
        const parent = Workflow.make("parent", {
          error: Boom,
          run: () =>
            Effect.gen(function* () {
              const approval = yield* Execution.waitForApproval("go?")
              const name = yield* Execution.waitForInput("name?", Schema.String)
              const result = yield* Effect.flatMap(Execution.startChild(child, ""), (execution) => execution.result)
              if (++tries < 3) return yield* new Boom({ n: tries })
              return `${approval.approvedBy} ${name} ${result}`
            })
        })
        const execution = yield* start(parent, "", { retry: { attempts: 5, delay: 0, mode: "resume" } })
        yield* execution.approve((yield* onlyRequest(execution)).id, { by: "ada" })
        yield* execution.answer((yield* onlyRequest(execution)).id, "bob")
        assert.strictEqual(yield* execution.result, "ada bob 1")
        assert.strictEqual(count(execution, "RequestOpened"), 2)
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("restart asks people again, under ids that tell the attempts apart", () =>
      Effect.gen(function* () {
        let tries = 0
        const workflow = Workflow.make("w", {
          error: Boom,
          run: () =>
            Effect.flatMap(Execution.waitForApproval("go?"), () =>
              ++tries === 1 ? Effect.fail(new Boom({ n: 1 })) : Effect.succeed("done")
            )
        })
        const execution = yield* start(workflow, "", { retry: { attempts: 1, delay: 0 } })
        const first = yield* onlyRequest(execution)
        yield* execution.approve(first.id)
        const second = yield* onlyRequest(execution)
        assert.notStrictEqual(first.id, second.id)
        assert.strictEqual((yield* Effect.flip(execution.approve(first.id)))._tag, "RequestSettled")
        yield* execution.approve(second.id)
        assert.strictEqual(yield* execution.result, "done")
      }).pipe(memory)
    )
  })

  it.effect("E9 work of an attempt that is over goes no further than its next step, wait or child", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const log: Array<string> = []
      let tries = 0
      const child = Workflow.make("child", { run: () => Effect.succeed("") })
      const leak = (name: string, next: Effect.Effect<unknown, unknown, Execution.Current>) =>
        Deferred.await(gate).pipe(
          Effect.andThen(Effect.sync(() => void log.push(name))),
          Effect.andThen(next),
          Effect.andThen(Effect.sync(() => void log.push(`${name} went on`))),
          Effect.forkDetach({ startImmediately: true })
        )
      const workflow = Workflow.make("leaky", {
        error: Boom,
        run: () =>
          Effect.gen(function* () {
            if (++tries > 1) return yield* Effect.as(Deferred.await(gate), "second")
            yield* leak("step", Step.make("s", { run: Effect.void }))
            yield* leak("approval", Execution.waitForApproval("leaked?"))
            yield* leak("child", Execution.startChild(child, ""))
            yield* leak("call", child.call(""))
            yield* leak("progress", Effect.andThen(Execution.progress({ current: 9, total: 9 }), Effect.interrupt))
            yield* Effect.forkDetach(Execution.waitForApproval("open at the end"), { startImmediately: true })
            yield* Effect.forkDetach(Step.make("long", { run: Deferred.await(gate) }), { startImmediately: true })
            return yield* new Boom({ n: 1 })
          })
      })
      const execution = yield* start(workflow, "", { retry: { attempts: 1, delay: 0 } })
      assert.deepStrictEqual(yield* execution.requests, [], "what the first attempt asked is taken back")
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.strictEqual(yield* execution.result, "second")
      assert.deepStrictEqual(log.toSorted(), ["approval", "call", "child", "progress", "step"])
      assert.deepStrictEqual(yield* execution.progress, { current: 0, total: 0 })
      assert.strictEqual(count(execution, "ChildStarted"), 0)
      assert.deepStrictEqual(
        history(execution).flatMap((event) => (event._tag.startsWith("Step") ? [`${event._tag} ${event.path}`] : [])),
        ["StepStarted long"]
      )
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("E9 between two attempts, too, nothing begins that the last one left behind", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const begun: Array<string> = []
      const child = Workflow.make("child", { run: () => Effect.sync(() => String(begun.push("child"))) })
      let tries = 0
      const workflow = Workflow.make("leaky", {
        error: Boom,
        run: () =>
          Effect.gen(function* () {
            if (++tries > 1) return "second"
            const late = Step.make("late", { run: Effect.sync(() => void begun.push("step")) })
            const nexts: ReadonlyArray<Effect.Effect<unknown, unknown, Execution.Current>> = [
              late,
              Execution.startChild(child, ""),
              Execution.waitForApproval("late?")
            ]
            for (const next of nexts) {
              yield* Effect.forkDetach(Effect.andThen(Deferred.await(gate), next), { startImmediately: true })
            }
            return yield* new Boom({ n: 1 })
          })
      })
      const execution = yield* start(workflow, "", { retry: { attempts: 1, delay: "1 hour" } })
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(begun, [])
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* execution.result, "second")
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a thousand attempts without a delay neither overflow the stack nor shut others out", () =>
    Effect.gen(function* () {
      const execution = yield* start(failing(1000), "", { retry: { attempts: 1000, delay: 0 } })
      assert.strictEqual(yield* execution.result, "after 1001")
      const endless = yield* start(failing(Number.POSITIVE_INFINITY), "", { retry: { attempts: 1e9, delay: 0 } })
      yield* settle
      assert.strictEqual(yield* endless.cancel("enough"), "cancelled")
      yield* consistent(endless)
    }).pipe(memory)
  )
})
