import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Scheduler, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Cancel, Engine, Execution, HumanChannel, type Run, Step, Workflow } from "effect-baton"
import {
  consistent,
  count,
  counted,
  firstSleep,
  history,
  onlyRequest,
  scheduler,
  settle,
  start,
  statuses,
  tags
} from "./support/executions.ts"

class Boom extends Schema.TaggedError<Boom>()("Boom", {}) {}

const forever = Workflow.make("forever", { run: () => Effect.never })
const memory = Effect.provide(Engine.layerMemory)

const reasonOf = (exit: Exit.Exit<unknown, unknown>) => {
  assert.isTrue(Exit.isFailure(exit))
  const error = Cause.squash((exit as Exit.Failure<unknown, unknown>).cause)
  assert.instanceOf(error, Cancel.RunCancelled)
  return (error as Cancel.RunCancelled).reason
}

describe("Cancel", () => {
  it.effect("a cancel interrupts the body, settles at once and names its reason", () =>
    Effect.gen(function* () {
      let interrupted = false
      const workflow = Workflow.make("w", {
        run: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true)))
      })
      const execution = yield* start(workflow, "")
      assert.strictEqual(yield* execution.cancel("enough"), "cancelled")
      assert.isTrue(interrupted)
      assert.strictEqual(yield* execution.status, "cancelled")
      assert.strictEqual(reasonOf(yield* consistent(execution)), "enough")
    }).pipe(memory)
  )

  it.effect("without a reason of the canceller the option's reason stands, and without either there is none", () =>
    Effect.gen(function* () {
      const one = yield* start(forever, "", { cancel: { reason: "default" } })
      yield* one.cancel()
      assert.strictEqual(reasonOf(yield* one.exit), "default")
      const two = yield* start(forever, "", { cancel: { reason: "default" } })
      yield* two.cancel("given")
      assert.strictEqual(reasonOf(yield* two.exit), "given")
      const three = yield* start(forever, "")
      yield* three.cancel()
      assert.isUndefined(reasonOf(yield* three.exit))
    }).pipe(memory)
  )

  it.effect("a cancel of a settled execution answers already-settled and changes nothing", () =>
    Effect.gen(function* () {
      const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
      const execution = yield* start(echo, "hi")
      const before = history(execution)
      assert.strictEqual(yield* execution.cancel(), "already-settled")
      assert.deepStrictEqual(history(execution), before)
      assert.strictEqual(yield* execution.result, "hi")
    }).pipe(memory)
  )

  it.effect("beforeCancel returning false prevents the cancel and nothing changes", () =>
    Effect.gen(function* () {
      const asked: Array<string | undefined> = []
      const ask = Workflow.make("ask", { run: () => Effect.as(Execution.waitForApproval("ok?"), "done") })
      const execution = yield* start(ask, "", {
        cancel: {
          beforeCancel: (reason) =>
            Effect.sync(() => {
              asked.push(reason)
              return false
            })
        }
      })
      assert.strictEqual(yield* execution.cancel("please"), "prevented")
      assert.deepStrictEqual(asked, ["please"])
      assert.strictEqual(yield* execution.status, "awaiting")
      assert.strictEqual(count(execution, "CancelPrevented"), 1)
      assert.strictEqual(count(execution, "CancelRequested"), 0)
      yield* execution.approve((yield* onlyRequest(execution)).id)
      assert.strictEqual(yield* execution.result, "done")
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("a prevented cancel can be asked for again and is then decided anew", () =>
    Effect.gen(function* () {
      let asked = 0
      const execution = yield* start(forever, "", {
        cancel: { beforeCancel: Effect.sync(() => ++asked > 1) }
      })
      assert.strictEqual(yield* execution.cancel(), "prevented")
      assert.strictEqual(yield* execution.cancel(), "cancelled")
      assert.strictEqual(asked, 2)
    }).pipe(memory)
  )

  it.effect("if beforeCancel fails or dies, the cancel goes on and the failure is in the logs", () =>
    Effect.gen(function* () {
      for (const beforeCancel of [
        Effect.fail("no line"),
        Effect.die("boom"),
        Effect.interrupt,
        () => {
          throw new Error("sync")
        }
      ]) {
        const execution = yield* start(forever, "", { cancel: { beforeCancel } })
        assert.strictEqual(yield* execution.cancel(), "cancelled")
        yield* consistent(execution)
        const logs = yield* execution.logs
        assert.include(logs.map((entry) => entry.message).join("\n"), "cancel.beforeCancel failed")
      }
    }).pipe(memory)
  )

  it.effect("a beforeCancel that never returns is given up after 30 seconds and the cancel goes on", () =>
    Effect.gen(function* () {
      const execution = yield* start(forever, "", { cancel: { beforeCancel: Effect.never } })
      const fiber = yield* Effect.forkChild(execution.cancel("late"))
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "cancelled")
      assert.strictEqual(reasonOf(yield* consistent(execution)), "late")
    }).pipe(memory)
  )

  it.effect("concurrent cancels agree, ask beforeCancel once, and the first reason counts", () =>
    Effect.gen(function* () {
      for (const answer of [true, false]) {
        let asked = 0
        const gate = yield* Deferred.make<boolean>()
        const execution = yield* start(forever, "", {
          cancel: {
            beforeCancel: Effect.suspend(() => {
              asked++
              return Deferred.await(gate)
            })
          }
        })
        const fibers = yield* Effect.forEach(["a", "b", "c", "d"], (reason) =>
          Effect.forkChild(execution.cancel(reason))
        )
        yield* settle
        yield* Deferred.succeed(gate, answer)
        const answers = yield* Fiber.joinAll(fibers)
        assert.deepStrictEqual([...new Set(answers)], [answer ? "cancelled" : "prevented"])
        assert.strictEqual(asked, 1)
        if (answer) assert.strictEqual(reasonOf(yield* consistent(execution)), "a")
        else yield* execution.cancel().pipe(Effect.forkChild)
      }
    }).pipe(memory)
  )

  it.effect("concurrent cancels of a graceful end agree and return when it has settled", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("slow end", {
        run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("5 seconds"))
      })
      const execution = yield* start(workflow, "", { cancel: { graceful: true } })
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(execution.cancel()))
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(
        fibers.map((fiber) => fiber.pollUnsafe()),
        [undefined, undefined, undefined]
      )
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.joinAll(fibers), ["cancelled", "cancelled", "cancelled"])
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("E5 once a cancel is accepted, a late success or failure of the body does not change the outcome", () =>
    Effect.gen(function* () {
      for (const end of [Effect.succeed("late"), Effect.fail(new Boom()), Effect.die("late")]) {
        for (const graceful of [true, false]) {
          const gate = yield* Deferred.make<void>()
          let after = 0
          const workflow = Workflow.make("late", {
            error: Boom,
            run: () => Effect.uninterruptible(Effect.andThen(Deferred.await(gate), end))
          })
          const execution = yield* start(workflow, "", {
            retry: { attempts: 3, delay: 0 },
            cancel: { graceful, afterCancel: Effect.sync(() => void after++) }
          })
          const fiber = yield* Effect.forkChild(execution.cancel("now"))
          yield* settle
          yield* Deferred.succeed(gate, undefined)
          assert.strictEqual(yield* Fiber.join(fiber), "cancelled")
          assert.strictEqual(reasonOf(yield* consistent(execution)), "now")
          yield* settle
          assert.strictEqual(after, 1)
          assert.strictEqual(count(execution, "AttemptStarted"), 1)
        }
      }
    }).pipe(memory)
  )

  it.effect(
    "a graceful cancel waits for finalizers, at most gracefulTimeout, then settles anyway and says so in the log",
    () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("hanging", {
          run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("1 hour"))
        })
        const execution = yield* start(workflow, "", { cancel: { graceful: true, gracefulTimeout: "5 seconds" } })
        const fiber = yield* Effect.forkChild(execution.cancel())
        yield* TestClock.adjust("4999 millis")
        assert.strictEqual(yield* execution.status, "in-progress")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* Fiber.join(fiber), "cancelled")
        yield* consistent(execution)
        const logs = yield* execution.logs
        assert.strictEqual(logs.length, 1)
        assert.include(logs[0].message, "still run")
        yield* TestClock.adjust("1 hour")
      }).pipe(memory)
  )

  it.effect("a graceful timeout of nothing still lets finalizers that do not wait run first, and says nothing", () =>
    Effect.gen(function* () {
      let done = false
      const workflow = Workflow.make("quick", {
        run: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (done = true)))
      })
      const execution = yield* start(workflow, "", { cancel: { graceful: true, gracefulTimeout: 0 } })
      yield* execution.cancel()
      assert.isTrue(done)
      assert.deepStrictEqual(yield* execution.logs, [])
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("what finalizers emit after the end is dropped (E2, L3)", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const late: Array<string> = []
      const workflow = Workflow.make("late emit", {
        run: () =>
          Effect.onInterrupt(Effect.never, () =>
            Effect.gen(function* () {
              yield* Deferred.await(gate)
              yield* Execution.progress({ current: 1, total: 1 })
              yield* Effect.logInfo("too late")
              late.push("before")
              yield* Step.make("too late", { run: Effect.sync(() => void late.push("step")) })
              late.push("after")
            })
          )
      })
      const execution = yield* start(workflow, "")
      yield* execution.cancel()
      const before = history(execution)
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      assert.deepStrictEqual(history(execution), before)
      // E9: the finalizer goes no further than its next step.
      assert.deepStrictEqual(late, ["before"])
    }).pipe(memory)
  )

  it.effect("afterCancel runs once, after the status is cancelled, and hears the reason", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const run: Run.Run<string> = yield* forever.run("", {
        cancel: {
          afterCancel: (reason) => Effect.flatMap(run.status, (status) => Effect.sync(() => seen.push(status, reason)))
        }
      })
      const execution = yield* run.start
      yield* Effect.all([execution.cancel("a"), execution.cancel("b")], { concurrency: "unbounded" })
      yield* settle
      assert.deepStrictEqual(seen, ["cancelled", "a"])
    }).pipe(memory)
  )

  it.effect("children are cancelled first, and parents before them are asked nothing of theirs", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const note = (name: string): { readonly cancel: Cancel.Cancel } => ({
        cancel: {
          beforeCancel: Effect.sync(() => {
            order.push(`asked ${name}`)
            return false
          }),
          afterCancel: Effect.sync(() => void order.push(name))
        }
      })
      const grandchild = Workflow.make("grandchild", { run: () => Effect.never })
      const child = Workflow.make("child", {
        run: () => Effect.flatMap(Execution.startChild(grandchild, "", note("grandchild")), (e) => e.result)
      })
      const parent = Workflow.make("parent", {
        run: () => Effect.flatMap(Execution.startChild(child, "", note("child")), (e) => e.result)
      })
      const execution = yield* start(parent, "", {
        cancel: { afterCancel: Effect.sync(() => void order.push("parent")) }
      })
      assert.strictEqual(yield* execution.cancel(), "cancelled")
      yield* settle
      assert.deepStrictEqual(order, ["grandchild", "child", "parent"])
      const all = yield* Engine.list()
      assert.deepStrictEqual(
        all.map((summary) => summary.status),
        ["cancelled", "cancelled", "cancelled"]
      )
    }).pipe(memory)
  )

  it.effect("E6 a parent's cancel waits for the graceful end of its children", () =>
    Effect.gen(function* () {
      const child = Workflow.make("child", {
        defaults: { cancel: { graceful: true } },
        run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("3 seconds"))
      })
      const parent = Workflow.make("parent", {
        run: () => Effect.flatMap(Execution.startChild(child, ""), (e) => e.result)
      })
      const execution = yield* start(parent, "")
      const fiber = yield* Effect.forkChild(execution.cancel())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "cancelled")
      const all = yield* Engine.list()
      assert.isTrue(all.every((summary) => summary.settledAt?.getTime() === 3000))
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect(
    "a cancel before the start answers cancelled, and the start then gives a cancelled execution without work",
    () =>
      Effect.gen(function* () {
        let worked = false
        let after = 0
        const seen: Array<Run.RunStatus> = []
        const workflow = Workflow.make("never begun", {
          run: () =>
            Effect.sync(() => {
              worked = true
              return ""
            })
        })
        const run = yield* workflow.run("", {
          cancel: { afterCancel: Effect.sync(() => void after++) },
          onStatusChange: (status) => Effect.sync(() => void seen.push(status))
        })
        assert.strictEqual(yield* run.cancel("not now"), "cancelled")
        assert.strictEqual(yield* run.cancel(), "already-settled")
        assert.strictEqual(yield* run.status, "cancelled")
        const execution = yield* run.start
        assert.strictEqual(reasonOf(yield* consistent(execution)), "not now")
        assert.isFalse(worked)
        assert.strictEqual(after, 1)
        assert.deepStrictEqual(seen, ["cancelled"])
        assert.deepStrictEqual(statuses(execution), ["cancelled"])
      }).pipe(memory)
  )

  it.effect("a cancel before the start holds for every configuration of the run", () =>
    Effect.gen(function* () {
      const run: Run.Run<string> = yield* forever.run("")
      const before = run.configure({ tags: ["a"] })
      yield* run.cancel("no")
      const after = run.configure({ tags: ["b"] })
      assert.strictEqual(yield* before.status, "cancelled")
      assert.strictEqual(yield* after.status, "cancelled")
      assert.strictEqual(yield* (yield* before.start).status, "cancelled")
    }).pipe(memory)
  )

  it.effect("a body that interrupts itself is cancelled with reason interrupted and never retried", () =>
    Effect.gen(function* () {
      let after = 0
      const workflow = Workflow.make("self", { run: () => Effect.interrupt })
      const execution = yield* start(workflow, "", {
        retry: { attempts: 3, delay: 0 },
        cancel: { afterCancel: Effect.sync(() => void after++) }
      })
      assert.strictEqual(reasonOf(yield* consistent(execution)), "interrupted")
      assert.strictEqual(count(execution, "AttemptStarted"), 1)
      assert.strictEqual(after, 1)
    }).pipe(memory)
  )

  it.effect("interrupting the caller of execute cancels the run, asks nobody, and tells its reason", () =>
    Effect.gen(function* () {
      let asked = 0
      const fiber = yield* Effect.forkChild(
        forever.execute("", {
          id: "run",
          cancel: {
            beforeCancel: Effect.sync(() => {
              asked++
              return false
            })
          }
        })
      )
      yield* settle
      yield* Fiber.interrupt(fiber)
      const execution = yield* Engine.get("run")
      assert.strictEqual(reasonOf(yield* consistent(execution)), "interrupted")
      assert.strictEqual(asked, 0)
    }).pipe(memory)
  )

  it.effect("an interrupted execute waits for the graceful end", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("slow end", {
        run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("5 seconds"))
      })
      const fiber = yield* Effect.forkChild(workflow.execute("", { cancel: { graceful: true } }))
      yield* settle
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("4 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interrupting)
      assert.isTrue(Cause.hasInterruptsOnly((fiber.pollUnsafe() as Exit.Failure<unknown, unknown>).cause))
    }).pipe(memory)
  )

  it.effect("interrupting a fiber that waits for the result changes nothing", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      const workflow = Workflow.make("w", { run: () => Deferred.await(gate) })
      const execution = yield* start(workflow, "")
      const fiber = yield* Effect.forkChild(execution.result)
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* Deferred.succeed(gate, "fine")
      assert.strictEqual(yield* execution.result, "fine")
    }).pipe(memory)
  )

  describe("races", () => {
    const gated = (gate: Deferred.Deferred<string, Boom>) =>
      Workflow.make("gated", { error: Boom, run: () => Deferred.await(gate) })

    it.effect("a cancel and a completion in either order end in one consistent state", () =>
      Effect.gen(function* () {
        for (const end of [Exit.succeed("done"), Exit.fail(new Boom())]) {
          for (const first of ["cancel", "end"]) {
            for (const graceful of [false, true]) {
              const gate = yield* Deferred.make<string, Boom>()
              const execution = yield* start(gated(gate), "", { cancel: { graceful } })
              const cancel = execution.cancel("race")
              const finish = Deferred.done(gate, end)
              const [a] = yield* Effect.all(
                first === "cancel" ? [cancel, finish] : [Effect.andThen(finish, cancel), Effect.void],
                { concurrency: "unbounded" }
              )
              const exit = yield* consistent(execution)
              assert.strictEqual(a, first === "cancel" ? "cancelled" : "already-settled")
              assert.strictEqual(Exit.isSuccess(exit), first === "end" && Exit.isSuccess(end))
            }
          }
        }
      }).pipe(memory)
    )

    it.effect("a completion while beforeCancel is asked wins, and the canceller hears already-settled", () =>
      Effect.gen(function* () {
        for (const answer of [true, false]) {
          const gate = yield* Deferred.make<string, Boom>()
          const asked = yield* Deferred.make<boolean>()
          const execution = yield* start(gated(gate), "", { cancel: { beforeCancel: Deferred.await(asked) } })
          const fiber = yield* Effect.forkChild(execution.cancel())
          yield* settle
          yield* Deferred.succeed(gate, "done")
          assert.strictEqual(yield* execution.result, "done")
          yield* Deferred.succeed(asked, answer)
          assert.strictEqual(yield* Fiber.join(fiber), "already-settled")
          yield* consistent(execution)
        }
      }).pipe(memory)
    )

    it.effect("a cancel that nobody is asked about overtakes a beforeCancel that says no", () =>
      Effect.gen(function* () {
        const asked = yield* Deferred.make<boolean>()
        const workflow = Workflow.make("slow end", {
          run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("5 seconds"))
        })
        const execution = yield* start(workflow, "", {
          id: "overtaken",
          cancel: { beforeCancel: Deferred.await(asked), graceful: true }
        })
        const polite = yield* Effect.forkChild(execution.cancel("polite"))
        yield* settle
        const engine = yield* Engine.Engine
        const blunt = yield* Effect.forkChild(engine.interrupt("overtaken"))
        yield* settle
        yield* Deferred.succeed(asked, false)
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(blunt)
        assert.strictEqual(yield* Fiber.join(polite), "cancelled")
        assert.strictEqual(count(execution, "CancelPrevented"), 0)
        yield* consistent(execution)
      }).pipe(memory)
    )

    for (const onTimeout of ["fail", "cancel", "continue"] as const) {
      it.effect(`a cancel at the moment of a timeout "${onTimeout}" ends in one consistent state`, () =>
        Effect.gen(function* () {
          for (const first of ["cancel", "timeout"]) {
            const canceller = Workflow.make("w", { run: () => Effect.never })
            const execution = yield* start(canceller, "", {
              timeout: { duration: "1 second", onTimeout },
              retry: { attempts: 1, delay: "1 second" }
            })
            if (first === "cancel") {
              const fiber = yield* Effect.forkChild(
                Effect.andThen(Effect.sleep("999 millis"), execution.cancel("race"))
              )
              yield* TestClock.adjust("2 seconds")
              assert.strictEqual(yield* Fiber.join(fiber), "cancelled")
              assert.strictEqual(reasonOf(yield* consistent(execution)), "race")
            } else {
              yield* TestClock.adjust("1 second")
              const answer = yield* execution.cancel("race")
              assert.strictEqual(answer, onTimeout === "cancel" ? "already-settled" : "cancelled")
              assert.strictEqual(reasonOf(yield* consistent(execution)), onTimeout === "cancel" ? "timeout" : "race")
            }
            const before = history(execution)
            yield* TestClock.adjust("1 minute")
            assert.deepStrictEqual(history(execution), before)
          }
        }).pipe(memory)
      )

      it.effect(`a cancel from the callback of a timeout "${onTimeout}" ends in one consistent state`, () =>
        Effect.gen(function* () {
          const answers: Array<Cancel.CancelResult> = []
          const run: Run.Run<string> = yield* forever.run("", {
            id: `callback ${onTimeout}`,
            timeout: {
              duration: "1 second",
              onTimeout,
              onTimeoutCallback: Effect.suspend(() =>
                Effect.map(run.cancel("callback"), (answer) => answers.push(answer))
              )
            },
            retry: { attempts: 3, delay: "1 second" }
          })
          const execution = yield* run.start
          yield* TestClock.adjust("1 minute")
          yield* settle
          assert.deepStrictEqual(answers, ["cancelled"])
          assert.strictEqual(reasonOf(yield* consistent(execution)), "callback")
        }).pipe(memory)
      )
    }

    it.effect("a cancel during a timed-out attempt's finalizers is not graceful about them unless told so", () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("1 hour"))
        })
        const execution = yield* start(workflow, "", {
          timeout: "1 second",
          retry: { attempts: 1, delay: 0 }
        })
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* execution.status, "in-progress")
        assert.strictEqual(yield* execution.cancel(), "cancelled")
        yield* consistent(execution)
        yield* TestClock.adjust("2 hours")
      }).pipe(memory)
    )

    it.effect("a cancel ends a pending retry delay at once", () =>
      counted((counter) =>
        Effect.gen(function* () {
          const failing = Workflow.make("failing", { error: Boom, run: () => Effect.fail(new Boom()) })
          const base = { ...counter }
          const execution = yield* start(failing, "", { retry: { attempts: 3, delay: "1 hour" } })
          assert.strictEqual(counter.sleeps, 1)
          assert.strictEqual(yield* execution.cancel("stop"), "cancelled")
          assert.strictEqual(reasonOf(yield* consistent(execution)), "stop")
          assert.strictEqual(counter.sleeps, 0)
          assert.strictEqual(counter.fibers, base.fibers)
        }).pipe(memory)
      )
    )

    it.effect("a cancel from onRetry ends the run before the delay, and leaves no timer", () =>
      counted((counter) =>
        Effect.gen(function* () {
          const failing = Workflow.make("failing", { error: Boom, run: () => Effect.fail(new Boom()) })
          const run: Run.Run<string, Boom> = yield* failing.run("", {
            retry: { attempts: 3, delay: "1 hour", onRetry: () => run.cancel("from the callback") }
          })
          const execution = yield* run.start
          yield* settle
          assert.strictEqual(reasonOf(yield* consistent(execution)), "from the callback")
          assert.strictEqual(counter.sleeps, 0)
        }).pipe(memory)
      )
    )

    it.effect("a cancel and an answer at the same moment end in one consistent state", () =>
      Effect.gen(function* () {
        const ask = Workflow.make("ask", { run: () => Effect.as(Execution.waitForApproval("ok?"), "approved") })
        for (const first of ["cancel", "answer"]) {
          const execution = yield* start(ask, "")
          const request = yield* onlyRequest(execution)
          if (first === "answer") {
            yield* execution.approve(request.id)
            assert.strictEqual(yield* execution.cancel(), "already-settled")
            assert.strictEqual(yield* execution.result, "approved")
          } else {
            assert.strictEqual(yield* execution.cancel("race"), "cancelled")
            const error = yield* Effect.flip(execution.approve(request.id))
            assert.strictEqual(error._tag, "RequestSettled")
          }
          yield* consistent(execution)
        }
      }).pipe(memory)
    )

    for (const graceful of [false, true]) {
      const options = { cancel: { graceful, gracefulTimeout: "5 seconds" } } as const
      const how = graceful ? "graceful " : ""

      it.effect(`a ${how}cancel from inside the body settles the run at once`, () =>
        Effect.gen(function* () {
          let beyond = false
          const workflow = Workflow.make("inside", {
            run: () =>
              Effect.gen(function* () {
                const self = yield* Effect.orDie(Engine.get(yield* Execution.id))
                yield* self.cancel("myself")
                yield* Step.make("next", { run: Effect.sync(() => void (beyond = true)) })
                return "beyond"
              })
          })
          const execution = yield* start(workflow, "", options)
          yield* settle
          assert.strictEqual(reasonOf(yield* consistent(execution)), "myself")
          assert.isFalse(beyond)
        }).pipe(memory)
      )

      it.effect(`a ${how}cancel from a finalizer of the body settles the run without waiting for itself`, () =>
        Effect.gen(function* () {
          const answers: Array<Cancel.CancelResult> = []
          const workflow = Workflow.make("finalizer", {
            run: () =>
              Effect.ensuring(
                Effect.succeed("done"),
                Effect.gen(function* () {
                  const self = yield* Effect.orDie(Engine.get(yield* Execution.id))
                  answers.push(yield* self.cancel("finalizer"))
                })
              )
          })
          const execution = yield* start(workflow, "", options)
          yield* settle
          assert.strictEqual(yield* execution.status, "cancelled")
          assert.strictEqual(reasonOf(yield* consistent(execution)), "finalizer")
          assert.deepStrictEqual(answers, ["cancelled"])
        }).pipe(memory)
      )

      it.effect(`a ${how}cancel from a finalizer of a cancelled body agrees with the first`, () =>
        Effect.gen(function* () {
          const answers: Array<Cancel.CancelResult> = []
          const workflow = Workflow.make("finalizer", {
            run: () =>
              Effect.onInterrupt(Effect.never, () =>
                Effect.gen(function* () {
                  const self = yield* Effect.orDie(Engine.get(yield* Execution.id))
                  answers.push(yield* self.cancel("second"))
                })
              )
          })
          const execution = yield* start(workflow, "", options)
          const fiber = yield* Effect.forkChild(execution.cancel("first"))
          yield* settle
          assert.strictEqual(yield* execution.status, "cancelled")
          assert.strictEqual(yield* Fiber.join(fiber), "cancelled")
          assert.deepStrictEqual(answers, ["cancelled"])
          assert.strictEqual(reasonOf(yield* consistent(execution)), "first")
        }).pipe(memory)
      )

      it.effect(`a ${how}cancel of the parent from inside a child settles both`, () =>
        Effect.gen(function* () {
          const child = Workflow.make("child", {
            run: (parentId) =>
              Effect.gen(function* () {
                const parent = yield* Effect.orDie(Engine.get(parentId))
                yield* parent.cancel("from below")
                return yield* Effect.never
              })
          })
          const parent = Workflow.make("parent", {
            run: () =>
              Effect.gen(function* () {
                const execution = yield* Execution.startChild(child, yield* Execution.id)
                return yield* execution.result
              })
          })
          const execution = yield* start(parent, "", options)
          yield* settle
          assert.strictEqual(yield* execution.status, "cancelled")
          yield* consistent(execution)
          const all = yield* Engine.list()
          assert.deepStrictEqual(
            all.map((summary) => summary.status),
            ["cancelled", "cancelled"]
          )
        }).pipe(memory)
      )
    }

    it.effect("a cancel from onStatusChange, at any change, ends in one consistent state", () =>
      Effect.gen(function* () {
        const ask = Workflow.make("ask", {
          run: () =>
            Effect.gen(function* () {
              yield* Execution.waitForApproval("one?")
              yield* Execution.waitForApproval("two?", { key: "two" })
              return "done"
            })
        })
        for (const at of ["in-progress", "awaiting", "completed"] as const) {
          for (const nth of [1, 2]) {
            let seen = 0
            const heard: Array<Run.RunStatus> = []
            const run: Run.Run<string> = yield* ask.run("", {
              onStatusChange: (status) =>
                Effect.suspend(() => {
                  heard.push(status)
                  return status === at && ++seen === nth ? run.cancel(`at ${at} ${nth}`) : Effect.void
                })
            })
            const execution = yield* run.start
            for (let i = 0; i < 2; i++) {
              for (const request of yield* execution.requests) yield* execution.approve(request.id)
              yield* settle
            }
            const exit = yield* consistent(execution)
            assert.strictEqual(Exit.isSuccess(exit), at === "completed")
            yield* settle
            assert.deepStrictEqual(heard, statuses(execution))
          }
        }
      }).pipe(memory)
    )

    it.effect("a channel that cancels when its request is withdrawn does not settle the run twice", () =>
      Effect.gen(function* () {
        const ask = Workflow.make("ask", { run: () => Effect.as(Execution.waitForApproval("ok?"), "done") })
        const run: Run.Run<string> = yield* ask.run("")
        const channel: HumanChannel.HumanChannel = {
          deliver: () => Effect.onInterrupt(Effect.never, () => run.cancel("from the channel"))
        }
        const execution = yield* Effect.provideService(run.start, HumanChannel.HumanChannel, channel)
        yield* settle
        assert.strictEqual(yield* execution.cancel("first"), "cancelled")
        assert.strictEqual(reasonOf(yield* consistent(execution)), "first")
        assert.strictEqual(count(execution, "CancelRequested"), 1)
      }).pipe(memory)
    )

    it.effect("a channel that cancels when a completion withdraws its request comes too late", () =>
      Effect.gen(function* () {
        const answers: Array<Cancel.CancelResult> = []
        const run = yield* Workflow.make("w", { run: () => Effect.as(Effect.sleep("1 second"), "done") }).run("")
        const channel: HumanChannel.HumanChannel = {
          deliver: () =>
            Effect.onInterrupt(Effect.never, () =>
              Effect.map(run.cancel("too late"), (answer) => void answers.push(answer))
            )
        }
        const execution = yield* Effect.provideService(run.start, HumanChannel.HumanChannel, channel)
        const asking = yield* Effect.forkChild(Effect.exit(execution.waitForApproval("?")))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(asking)
        assert.strictEqual(yield* execution.result, "done")
        assert.deepStrictEqual(answers, ["already-settled"])
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("the first accepted cancel counts, whoever cancels after it", () =>
      Effect.gen(function* () {
        yield* firstSleep
        const slow = Workflow.make("slow end", {
          run: () => Effect.onInterrupt(Effect.never, () => Effect.sleep("5 seconds"))
        })
        const execution = yield* start(slow, "", { id: "first", cancel: { graceful: true } })
        const first = yield* Effect.forkChild(execution.cancel("first"))
        yield* settle
        const engine = yield* Engine.Engine
        const second = yield* Effect.forkChild(engine.interrupt("first"))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(second)
        assert.strictEqual(yield* Fiber.join(first), "cancelled")
        assert.strictEqual(reasonOf(yield* consistent(execution)), "first")
        assert.strictEqual(count(execution, "CancelRequested"), 1)
      }).pipe(memory)
    )

    it.effect("a cancel before the body's first operation leaves the body out", () =>
      Effect.gen(function* () {
        let ran = false
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.sync(() => {
              ran = true
              return "ran"
            })
        })
        // Every fiber lets others run before it begins.
        const seen = new Set<unknown>()
        const late = scheduler((fiber) => !seen.has(fiber) && seen.add(fiber).size > 0)
        const run = yield* workflow.run("")
        const execution = yield* Effect.provideService(run.start, Scheduler.Scheduler, late)
        assert.strictEqual(yield* execution.status, "in-progress")
        assert.strictEqual(yield* execution.cancel("at once"), "cancelled")
        yield* settle
        assert.isFalse(ran)
        assert.strictEqual(reasonOf(yield* consistent(execution)), "at once")
      }).pipe(memory)
    )

    it.effect("a paused run with a graceful cancel lets the steps of its finalizers run", () =>
      Effect.gen(function* () {
        const done: Array<string> = []
        const workflow = Workflow.make("paused", {
          run: () =>
            Effect.onInterrupt(Effect.never, () =>
              Effect.orDie(Step.make("undo", { run: Effect.sync(() => void done.push("undo")) }))
            )
        })
        const execution = yield* start(workflow, "", { cancel: { graceful: true } })
        yield* execution.pause
        const fiber = yield* Effect.forkChild(execution.cancel())
        yield* settle
        assert.strictEqual(yield* execution.status, "cancelled")
        assert.deepStrictEqual(done, ["undo"])
        yield* Fiber.join(fiber)
        yield* consistent(execution)
        assert.include(tags(execution), "StepCompleted")
      }).pipe(memory)
    )

    it.effect("a beforeCancel that cancels by itself does not hang the run", () =>
      Effect.gen(function* () {
        const run: Run.Run<string> = yield* forever.run("", {
          cancel: { beforeCancel: Effect.suspend(() => Effect.as(run.cancel("inner"), true)) }
        })
        const execution = yield* run.start
        const fiber = yield* Effect.forkChild(execution.cancel("outer"))
        yield* TestClock.adjust("31 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "cancelled")
        assert.strictEqual(reasonOf(yield* consistent(execution)), "outer")
      }).pipe(memory)
    )
  })
})
