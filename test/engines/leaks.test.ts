import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scheduler, Schema, Stream } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { Engine, Execution, HumanChannel, type Run, Step, Workflow } from "effect-baton"
import type { ExecutionImpl } from "../../src/internal/execution.ts"
import {
  type Counter,
  consistent,
  counted,
  firstSleep,
  random,
  scheduler,
  settle,
  start
} from "../support/executions.ts"

class Boom extends Schema.TaggedError<Boom>()("Boom", {}) {}

const memory = Effect.provide(Engine.layerMemory)

/** What an execution still holds of its own. */
const held = (execution: Execution.Execution<any, any>) => {
  const impl = execution as ExecutionImpl
  return {
    fiber: impl.fiber,
    root: impl.root,
    timeout: impl.timeout,
    betweenAttempts: impl.betweenAttempts,
    gated: impl.gated,
    people: impl.people,
    whenChildless: impl.whenChildless,
    recorded: impl.recorded,
    children: impl.children?.size ?? 0,
    services: impl.context.mapUnsafe.size,
    watched: impl.log.isWatched
  }
}

const nothing = {
  fiber: undefined,
  root: undefined,
  timeout: undefined,
  betweenAttempts: undefined,
  gated: undefined,
  people: undefined,
  whenChildless: undefined,
  recorded: undefined,
  children: 0,
  services: 0,
  watched: false
}

const busy = (end: Effect.Effect<string, Boom>) =>
  Workflow.make("busy", {
    error: Boom,
    run: () =>
      Effect.gen(function* () {
        const child = Workflow.make("child", { run: () => Effect.never })
        yield* Execution.startChild(child, "", { timeout: "1 hour" })
        yield* Effect.forkChild(Effect.orDie(Execution.waitForApproval("child?", { key: "a", timeout: "1 hour" })), {
          startImmediately: true
        })
        yield* Effect.forkScoped(Effect.orDie(Execution.waitForApproval("scoped?", { key: "b", timeout: "1 hour" })), {
          startImmediately: true
        })
        yield* Effect.forkChild(Effect.never, { startImmediately: true })
        yield* Effect.forkScoped(Effect.sleep("1 hour"), { startImmediately: true })
        yield* Effect.forkChild(Step.make("step", { timeout: "1 hour", run: Effect.never }), { startImmediately: true })
        yield* Effect.sleep("1 second")
        return yield* end
      })
  })

const options: Run.RunOptions<string, Boom> = {
  timeout: { duration: "10 minutes", onTimeout: "continue" },
  retry: { attempts: 1, delay: "1 hour", while: () => false, mode: "resume" },
  onStatusChange: () => Effect.void
}

describe("E7 a settled execution holds no fiber, timer or subscription", () => {
  const ends: ReadonlyArray<
    readonly [
      string,
      Effect.Effect<string, Boom>,
      (execution: Execution.Execution<string, Boom>) => Effect.Effect<unknown>
    ]
  > = [
    ["its body succeeds", Effect.succeed("done"), () => TestClock.adjust("1 second")],
    ["its body fails", Effect.fail(new Boom()), () => TestClock.adjust("1 second")],
    ["its body dies", Effect.die("bug"), () => TestClock.adjust("1 second")],
    ["its body interrupts itself", Effect.interrupt, () => TestClock.adjust("1 second")],
    ["it is cancelled", Effect.never, (execution) => execution.cancel()],
    [
      "it is cancelled while it is paused",
      Effect.never,
      (execution) => Effect.andThen(Effect.orDie(execution.pause), execution.cancel())
    ]
  ]

  for (const [when, end, act] of ends) {
    for (const graceful of [false, true]) {
      it.effect(`when ${when}${graceful ? ", gracefully" : ""}`, () =>
        counted((counter: Counter) =>
          Effect.gen(function* () {
            const fibers = counter.fibers
            const execution = yield* start(busy(end), "", { ...options, cancel: { graceful } })
            assert.isAbove(counter.fibers, fibers + 4)
            assert.isAbove(counter.sleeps, 4)
            yield* act(execution)
            yield* settle
            yield* consistent(execution)
            assert.deepStrictEqual({ ...counter }, { fibers, sleeps: 0 })
            assert.deepStrictEqual(held(execution), nothing)
          }).pipe(memory)
        )
      )
    }
  }

  it.effect("when it times out in any way", () =>
    counted((counter) =>
      Effect.gen(function* () {
        const fibers = counter.fibers
        for (const onTimeout of ["fail", "cancel"] as const) {
          const execution = yield* start(busy(Effect.succeed("done")), "", {
            timeout: { duration: "500 millis", onTimeout }
          })
          yield* TestClock.adjust("500 millis")
          yield* settle
          yield* consistent(execution)
          assert.deepStrictEqual({ ...counter }, { fibers, sleeps: 0 })
          assert.deepStrictEqual(held(execution), nothing)
        }
      }).pipe(memory)
    )
  )

  it.effect("whoever still waits is told, and whoever follows its events or statuses comes to an end", () =>
    counted((counter) =>
      Effect.gen(function* () {
        const fibers = counter.fibers
        const execution = yield* start(busy(Effect.never), "")
        const waiting = yield* Effect.forEach(
          [
            Effect.asVoid(execution.exit),
            Stream.runDrain(execution.events),
            Stream.runDrain(execution.statusChanges),
            Stream.runDrain(execution.eventsFrom(1_000_000)),
            Effect.asVoid(Effect.exit(execution.waitForApproval("outside?")))
          ],
          (effect) => Effect.forkChild(effect)
        )
        yield* settle
        yield* execution.cancel()
        yield* Fiber.joinAll(waiting)
        yield* settle
        assert.deepStrictEqual({ ...counter }, { fibers, sleeps: 0 })
      }).pipe(memory)
    )
  )

  it.effect("a reader that goes away before the end takes its subscription along", () =>
    Effect.gen(function* () {
      const execution = yield* start(busy(Effect.never), "")
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Stream.runDrain(execution.events)))
      yield* settle
      assert.isTrue((execution as ExecutionImpl).log.isWatched)
      yield* Fiber.interruptAll(fibers)
      assert.isFalse((execution as ExecutionImpl).log.isWatched)
      yield* execution.cancel()
    }).pipe(memory)
  )

  it.effect("forked children and scoped fibers that a body leaks are interrupted when it settles", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const leak = (name: string) =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted.push(name)))
      const workflow = Workflow.make("leaky", {
        run: () =>
          Effect.gen(function* () {
            yield* Effect.forkChild(leak("child"), { startImmediately: true })
            yield* Effect.forkScoped(leak("scoped"), { startImmediately: true })
            yield* Step.make("s", { run: Effect.forkChild(leak("of a step"), { startImmediately: true }) })
            return "done"
          })
      })
      assert.strictEqual(yield* workflow.execute(""), "done")
      assert.deepStrictEqual(interrupted.toSorted(), ["child", "of a step", "scoped"])
    }).pipe(memory)
  )

  it.effect("a detached fiber goes no further than its next step, wait or child, and is not left waiting (E9)", () =>
    counted((counter) =>
      Effect.gen(function* () {
        const fibers = counter.fibers
        const gate = yield* Deferred.make<void>()
        const beyond: Array<string> = []
        const child = Workflow.make("child", { run: () => Effect.succeed("") })
        const nexts: Record<string, Effect.Effect<unknown, unknown, Execution.Current>> = {
          step: Step.make("s", { run: Effect.void }),
          approval: Execution.waitForApproval("?"),
          input: Execution.waitForInput("?", Schema.String),
          child: Execution.startChild(child, ""),
          call: child.call("")
        }
        const workflow = Workflow.make("leaky", {
          run: () =>
            Effect.gen(function* () {
              for (const [name, next] of Object.entries(nexts)) {
                yield* Deferred.await(gate).pipe(
                  Effect.andThen(next),
                  Effect.andThen(Effect.sync(() => void beyond.push(name))),
                  Effect.forkDetach({ startImmediately: true })
                )
              }
              yield* Effect.forkDetach(Execution.waitForApproval("open", { key: "open" }), { startImmediately: true })
              return "done"
            })
        })
        const execution = yield* start(workflow, "")
        yield* consistent(execution)
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        assert.deepStrictEqual(beyond, [])
        assert.deepStrictEqual({ ...counter }, { fibers, sleeps: 0 })
        yield* consistent(execution)
      }).pipe(memory)
    )
  )

  it.effect("a detached fiber that a pause holds is let go at the end", () =>
    counted((counter) =>
      Effect.gen(function* () {
        const fibers = counter.fibers
        const gate = yield* Deferred.make<void>()
        const workflow = Workflow.make("leaky", {
          run: () =>
            Effect.gen(function* () {
              yield* Effect.forkDetach(Effect.andThen(Deferred.await(gate), Step.make("held", { run: Effect.void })), {
                startImmediately: true
              })
              return yield* Effect.as(Effect.sleep("1 second"), "done")
            })
        })
        const execution = yield* start(workflow, "")
        yield* execution.pause
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* execution.result, "done")
        yield* settle
        assert.deepStrictEqual({ ...counter }, { fibers, sleeps: 0 })
      }).pipe(memory)
    )
  )

  it.effect("callbacks and finalizers past a cancel are the engine's, and end with it", () =>
    counted((counter) =>
      Effect.gen(function* () {
        const fibers = counter.fibers
        const ended: Array<string> = []
        yield* firstSleep
        const scope = Effect.gen(function* () {
          const hanging = Workflow.make("hanging", {
            run: () =>
              Effect.onInterrupt(Effect.never, () =>
                Effect.andThen(
                  Effect.sleep("10 seconds"),
                  Effect.sync(() => void ended.push("finalizer"))
                )
              )
          })
          const execution = yield* start(hanging, "", {
            cancel: {
              afterCancel: Effect.andThen(
                Effect.sleep("20 seconds"),
                Effect.sync(() => void ended.push("callback"))
              )
            }
          })
          yield* execution.cancel()
          yield* consistent(execution)
          assert.deepStrictEqual(held(execution), nothing)
          assert.isAbove(counter.fibers, fibers)
        }).pipe(memory)
        const fiber = yield* Effect.forkChild(scope)
        yield* TestClock.adjust("15 seconds")
        assert.isUndefined(fiber.pollUnsafe(), "the engine waits for them")
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(ended, ["finalizer", "callback"])
        assert.deepStrictEqual({ ...counter }, { fibers, sleeps: 0 })
      })
    )
  )

  it.effect("an engine ends although a finalizer never does", () =>
    Effect.gen(function* () {
      const hanging = Workflow.make("hanging", { run: () => Effect.onInterrupt(Effect.never, () => Effect.never) })
      const fiber = yield* Effect.forkChild(
        Effect.gen(function* () {
          const execution = yield* start(hanging, "")
          yield* execution.cancel()
          yield* consistent(execution)
        }).pipe(memory)
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
    })
  )
})

describe("a path that was entered is left", () => {
  it.effect("wherever between two operations its fiber is interrupted", () =>
    Effect.gen(function* () {
      const places = ["step", "approval", "input", "call"] as const
      for (let seed = 1; seed <= 200; seed++) {
        const next = random(seed)
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.gen(function* () {
              const inner = Workflow.make("call", { run: () => Effect.never })
              const place: Record<(typeof places)[number], Effect.Effect<unknown, unknown, Execution.Current>> = {
                step: Step.make("step", { run: Effect.never }),
                approval: Execution.waitForApproval("?"),
                input: Execution.waitForInput("?", Schema.String),
                call: inner.call("")
              }
              for (const name of places) {
                for (let i = 0; i < 3; i++) {
                  const fiber = yield* Effect.forkChild(place[name], { startImmediately: true })
                  for (let n = Math.floor(next() * 4); n > 0; n--) yield* Effect.yieldNow
                  yield* Fiber.interrupt(fiber)
                  const exit = yield* Fiber.await(fiber)
                  if (Exit.hasDies(exit)) return String(exit)
                }
              }
              return "free"
            })
        })
        const result = yield* workflow.execute("").pipe(
          memory,
          Effect.provideService(
            Scheduler.Scheduler,
            scheduler(() => next() < 0.2)
          )
        )
        assert.strictEqual(result, "free")
      }
    })
  )

  it.effect("no event is missed by a reader, wherever the scheduler lets others run", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= 100; seed++) {
        const next = random(seed)
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.as(
              Effect.forEach([1, 2, 3, 4, 5], () =>
                Effect.andThen(Step.make("s", { run: Effect.void }), Effect.yieldNow)
              ),
              "done"
            )
        })
        const events = yield* Effect.gen(function* () {
          const execution = yield* start(workflow, "")
          return yield* Stream.runCollect(execution.events)
        }).pipe(
          memory,
          Effect.provideService(
            Scheduler.Scheduler,
            scheduler(() => next() < 0.2)
          )
        )
        assert.deepStrictEqual(
          events.map((event) => event.sequence),
          events.map((_, i) => i + 1)
        )
        assert.strictEqual(events.at(-1)!._tag, "RunCompleted")
      }
    })
  )
})

/** A server that never answers, and tells when it is asked and when the one who asks goes away. */
const silentServer = Effect.acquireRelease(
  Effect.callback<{
    readonly url: string
    readonly asked: Deferred.Deferred<void>
    readonly left: Deferred.Deferred<void>
  }>((resume) => {
    const asked = Deferred.makeUnsafe<void>()
    const left = Deferred.makeUnsafe<void>()
    const server = http.createServer((request, response) => {
      Deferred.doneUnsafe(asked, Effect.void)
      response.on("close", () => Deferred.doneUnsafe(left, Effect.void))
      request.resume()
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      resume(Effect.succeed({ url: `http://127.0.0.1:${port}/`, asked, left, server }))
    })
  }) as Effect.Effect<{
    readonly url: string
    readonly asked: Deferred.Deferred<void>
    readonly left: Deferred.Deferred<void>
    readonly server: http.Server
  }>,
  ({ server }) =>
    Effect.callback<void>((resume) => {
      server.closeAllConnections()
      server.close(() => resume(Effect.void))
    })
)

describe("in-flight HTTP calls see the abort", () => {
  const get = (url: string) => Step.make("get", { run: Effect.as(Effect.orDie(HttpClient.get(url)), "answered") })
  const live = Effect.provide(FetchHttpClient.layer)

  it.live("of a cancel", () =>
    Effect.gen(function* () {
      const { asked, left, url } = yield* silentServer
      const execution = yield* start(Workflow.make("call", { run: () => get(url) }), "")
      yield* Deferred.await(asked)
      assert.strictEqual(yield* execution.cancel(), "cancelled")
      yield* Deferred.await(left)
      yield* consistent(execution)
    }).pipe(memory, live)
  )

  it.live("of a cancel of the topmost of three nested runs", () =>
    Effect.gen(function* () {
      const { asked, left, url } = yield* silentServer
      const bottom = Workflow.make("bottom", { run: () => get(url) })
      const middle = Workflow.make("middle", {
        run: () => Effect.flatMap(Execution.startChild(bottom, ""), (child) => child.result)
      })
      const top = Workflow.make("top", { run: () => middle.call("") })
      const execution = yield* start(top, "")
      yield* Deferred.await(asked)
      yield* execution.cancel()
      yield* Deferred.await(left)
      yield* consistent(execution)
    }).pipe(memory, live)
  )

  it.live("of a lost race, while the run goes on", () =>
    Effect.gen(function* () {
      const { asked, left, url } = yield* silentServer
      const execution = yield* start(
        Workflow.make("race", { run: () => Effect.race(get(url), Effect.as(Deferred.await(asked), "other")) }),
        ""
      )
      assert.strictEqual(yield* execution.result, "other")
      yield* Deferred.await(left)
    }).pipe(memory, live)
  )

  it.live("of an interrupted caller of execute", () =>
    Effect.gen(function* () {
      const { asked, left, url } = yield* silentServer
      const fiber = yield* Effect.forkChild(Workflow.make("call", { run: () => get(url) }).execute(""))
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(left)
    }).pipe(memory, live)
  )
})

it.effect("a channel is gone with its run", () =>
  counted((counter) =>
    Effect.gen(function* () {
      const fibers = counter.fibers
      const ask = Workflow.make("ask", { run: () => Effect.as(Effect.orDie(Execution.waitForApproval("?")), "") })
      const execution = yield* Effect.provideService(start(ask, ""), HumanChannel.HumanChannel, {
        deliver: () => Effect.sleep("1 hour")
      })
      yield* settle
      assert.strictEqual(counter.sleeps, 1)
      yield* execution.cancel()
      yield* settle
      assert.deepStrictEqual({ ...counter }, { fibers, sleeps: 0 })
    }).pipe(memory)
  )
)
