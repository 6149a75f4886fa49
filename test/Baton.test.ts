import { getEventListeners } from "node:events"
import { setImmediate } from "node:timers/promises"
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Schema, Stream } from "effect"
import {
  Baton,
  Cancel,
  Engine,
  type Event,
  Execution,
  HumanRequest,
  RunError,
  Step,
  Timeout,
  Workflow
} from "effect-baton"
import type { ExecutionImpl } from "../src/internal/execution.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", { part: Schema.String }) {}

const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })

const ask = Workflow.make("ask", {
  run: (question) =>
    Effect.map(Execution.waitForApproval(question), ({ approved, approvedBy }) => `${approved} by ${approvedBy}`)
})

const broken = new Broken({ part: "axle" })
const fails = Workflow.make("fails", { error: Broken, run: () => Effect.fail(broken) })

const defect = new Error("a bug")
const dies = Workflow.make("dies", { run: () => Effect.die(defect) })

/** Fails as often as it is told, then succeeds. */
const flaky = (failures: number) => {
  let left = failures
  return Workflow.make("flaky", {
    error: Broken,
    run: () => Effect.suspend(() => (left-- > 0 ? Effect.fail(broken) : Effect.succeed("at last")))
  })
}

const open: Array<Baton.Baton<any>> = []
const make = <R, E>(layer: Layer.Layer<R | Engine.Engine, E>) => {
  const baton = Baton.make(layer)
  open.push(baton)
  return baton
}
afterEach(() => Promise.all(open.splice(0).map((baton) => baton.dispose())))

/** A Baton, and the engine behind it. */
const inspected = () => {
  let engine: (typeof Engine.Engine)["Service"] | undefined
  const seen = Layer.effectDiscard(Effect.map(Engine.Engine, (service) => (engine = service)))
  const baton = make(Layer.provideMerge(seen, Engine.layerMemory))
  const inner = (id: string) => Effect.runSync(engine!.get(id)) as unknown as ExecutionImpl
  return { baton, inner }
}

const rejection = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    (value) => assert.fail(`Expected a rejection, got ${String(value)}`),
    (error) => error
  )

const collect = async <A>(iterable: AsyncIterable<A>): Promise<Array<A>> => {
  const all: Array<A> = []
  for await (const one of iterable) all.push(one)
  return all
}

describe("a run of promises", () => {
  it("is pending until it is started, and gives one execution however often it is started", async () => {
    const baton = make(Engine.layerMemory)
    const run = await baton.run(ask, "Sure?", { id: "ask-1", tags: ["demo"] })
    assert.strictEqual(run.id, "ask-1")
    assert.strictEqual(run.status, "pending")
    assert.deepStrictEqual(await baton.list(), [])
    const [first, second] = await Promise.all([run.start(), run.start()])
    assert.strictEqual(first, second)
    assert.strictEqual(await run.start(), first)
    assert.strictEqual(first.id, "ask-1")
    assert.strictEqual(run.status, "awaiting")
    assert.deepStrictEqual(
      (await baton.list({ tag: "demo" })).map(({ id, workflow }) => ({ id, workflow })),
      [{ id: "ask-1", workflow: "ask" }]
    )
  })

  it("shows the workflow's defaults and what it was given, as it was given", async () => {
    const baton = make(Engine.layerMemory)
    const onComplete = () => {}
    const workflow = Workflow.withDefaults(echo, { tags: ["default"], timeout: "1 minute" })
    const run = await baton.run(workflow, "hi", { onComplete, timeout: undefined, tags: ["given"] })
    assert.deepStrictEqual(run.options, { tags: ["given"], timeout: "1 minute", onComplete })
    assert.strictEqual(run.workflow.name, "echo")
    assert.strictEqual(await run.workflow.execute("again"), "again")
  })

  it("never starts once it was cancelled", async () => {
    const baton = make(Engine.layerMemory)
    let ran = false
    const workflow = Workflow.make("never", { run: () => Effect.sync(() => String((ran = true))) })
    const run = await baton.run(workflow, "")
    assert.strictEqual(await run.cancel("changed my mind"), "cancelled")
    assert.strictEqual(run.status, "cancelled")
    const error = await rejection((await run.start()).result)
    assert.instanceOf(error, Cancel.RunCancelled)
    assert.strictEqual(error.reason, "changed my mind")
    assert.isFalse(ran)
  })

  it("the methods need no this", async () => {
    const { dispose, execute, start, workflow } = Baton.make(Engine.layerMemory)
    const { execute: run } = workflow(echo)
    const { pause, cancel, resume } = await start(ask, "Sure?")
    assert.strictEqual(await execute(echo, "a"), "a")
    assert.strictEqual(await run("b"), "b")
    await pause()
    await resume()
    assert.strictEqual(await cancel(), "cancelled")
    await dispose()
  })
})

describe("a rejection", () => {
  it("is the workflow's own error, the same object", async () => {
    const baton = make(Engine.layerMemory)
    assert.strictEqual(await rejection(baton.execute(fails, "")), broken)
    const execution = await baton.start(fails, "")
    assert.strictEqual(await rejection(execution.result), broken)
    assert.strictEqual(execution.status, "failed")
    assert.deepStrictEqual(await execution.exit, Exit.fail(broken))
  })

  it("is the defect itself", async () => {
    const baton = make(Engine.layerMemory)
    assert.strictEqual(await rejection(baton.execute(dies, "")), defect)
  })

  it("of result says what is wrong with the input and the options, and the start succeeds", async () => {
    const baton = make(Engine.layerMemory)
    const input = await rejection((await baton.start(echo, 42 as unknown as string)).result)
    assert.instanceOf(input, RunError.InvalidInput)
    assert.strictEqual(input.value, "42")
    const options = await rejection((await baton.start(echo, "", { retry: { attempts: -1, delay: 0 } })).result)
    assert.instanceOf(options, RunError.InvalidOptions)
    assert.strictEqual(options.field, "retry.attempts")
    const callback = { onComplete: "tell me" } as unknown as Baton.RunOptions<string>
    assert.instanceOf(await rejection(baton.execute(echo, "", callback)), RunError.InvalidOptions)
  })

  it("is what the layer failed with", async () => {
    const failing = Layer.provideMerge(Layer.effectDiscard(Effect.fail(broken)), Engine.layerMemory)
    const baton = make(failing)
    assert.strictEqual(await rejection(baton.run(echo, "")), broken)
    assert.strictEqual(await rejection(baton.list()), broken)
  })

  it("of an unknown id is ExecutionNotFound", async () => {
    const baton = make(Engine.layerMemory)
    const error = await rejection(baton.get("run_nope"))
    assert.instanceOf(error, Engine.ExecutionNotFound)
    assert.instanceOf(await rejection(baton.cancel("run_nope")), Engine.ExecutionNotFound)
  })

  it("of a result that nobody reads is not an unhandled one", async () => {
    const baton = make(Engine.layerMemory)
    const unhandled: Array<unknown> = []
    const listener = (reason: unknown) => unhandled.push(reason)
    process.on("unhandledRejection", listener)
    const looked = await baton.start(fails, "")
    await baton.start(fails, "")
    assert.instanceOf(looked.result, Promise)
    assert.isTrue(looked.signal.aborted)
    await setImmediate()
    await setImmediate()
    process.off("unhandledRejection", listener)
    assert.deepStrictEqual(unhandled, [])
  })
})

describe("an execution of promises", () => {
  const stages = Workflow.make("stages", {
    run: Effect.fnUntraced(function* () {
      yield* Execution.progress({ current: 1, total: 2, message: "asking" })
      yield* Effect.logWarning("is anybody there")
      yield* Step.make("ask", { run: Execution.waitForApproval() })
      yield* Execution.progress({ current: 2, total: 2 })
      return yield* Step.make("say", { run: Effect.as(Effect.logInfo("somebody was"), "done") })
    })
  })

  it("keeps status, progress and logs current", async () => {
    const baton = make(Engine.layerMemory)
    const execution = await baton.start(stages, "")
    assert.strictEqual(execution.workflow, "stages")
    assert.strictEqual(execution.status, "awaiting")
    assert.deepStrictEqual(execution.progress, { current: 1, total: 2, message: "asking" })
    assert.deepStrictEqual(execution.logs, ["WARN is anybody there"])
    const [request] = await execution.requests
    await execution.approve(request.id)
    assert.strictEqual(execution.status, "completed")
    assert.deepStrictEqual(execution.progress, { current: 2, total: 2 })
    assert.deepStrictEqual(execution.logs, ["WARN is anybody there", "INFO somebody was"])
    assert.strictEqual((await execution.usage).steps, 2)
    assert.deepStrictEqual(await execution.requests, [])
  })

  it("pauses and resumes, and refuses both once it is settled", async () => {
    const baton = make(Engine.layerMemory)
    const execution = await baton.start(stages, "")
    await execution.pause()
    const [request] = await execution.requests
    await execution.approve(request.id)
    assert.strictEqual(execution.status, "awaiting")
    await execution.resume()
    assert.strictEqual(await execution.result, "done")
    assert.instanceOf(await rejection(execution.pause()), Execution.RunSettled)
    assert.strictEqual(await execution.cancel(), "already-settled")
  })

  it("is found again by its id", async () => {
    const baton = make(Engine.layerMemory)
    const { id } = await baton.start(ask, "Sure?", { id: "found" })
    const again = await baton.get(id)
    assert.strictEqual(await baton.cancel(id, "enough"), "cancelled")
    assert.strictEqual(again.status, "cancelled")
    const error = await rejection(again.result)
    assert.instanceOf(error, Cancel.RunCancelled)
    assert.strictEqual(error.reason, "enough")
  })

  it("is found again with the types of its workflow, and with no other's", async () => {
    const baton = make(Engine.layerMemory)
    const size = Workflow.make("size", { output: Schema.Number, run: (text) => Effect.succeed(text.length) })
    await baton.execute(size, "four", { id: "sized" })
    const again = await baton.get("sized", size)
    assert.strictEqual((await again.result).toFixed(1), "4.0")
    assert.instanceOf(await rejection(baton.get("sized", ask)), Engine.WorkflowMismatch)
  })

  it("is answered through the handle and through the Baton", async () => {
    const baton = make(Engine.layerMemory)
    const scale = Workflow.make("scale", {
      output: Schema.Number,
      run: () => Execution.waitForInput("How many?", Schema.FiniteFromString)
    })
    const answered = async (say: (execution: Baton.Execution<string>, requestId: string) => Promise<void>) => {
      const execution = await baton.start(ask, "Sure?", { approval: { approvers: ["ada"] } })
      const [request] = await execution.requests
      await say(execution, request.id)
      return execution.result
    }
    assert.strictEqual(await answered((execution, id) => execution.approve(id, { by: "ada" })), "true by ada")
    assert.strictEqual(await answered((execution, id) => execution.reject(id, { by: "ada" })), "false by ada")
    assert.strictEqual(await answered(({ id: on }, id) => baton.approve(on, id, { by: "ada" })), "true by ada")
    assert.strictEqual(await answered(({ id: on }, id) => baton.reject(on, id, { by: "ada" })), "false by ada")
    const refused = await rejection(answered((execution, id) => execution.approve(id, { by: "eve" })))
    assert.instanceOf(refused, HumanRequest.ApproverNotAllowed)

    const scaled = await baton.start(scale, "")
    const [request] = await scaled.requests
    assert.instanceOf(await rejection(scaled.answer(request.id, "many")), HumanRequest.InvalidAnswer)
    await baton.answer(scaled.id, request.id, "3", { by: "ada" })
    assert.strictEqual(await scaled.result, 3)
    assert.instanceOf(await rejection(scaled.answer(request.id, "4")), HumanRequest.RequestSettled)
  })

  it("asks from outside, with a schema or without", async () => {
    const baton = make(Engine.layerMemory)
    const execution = await baton.start(ask, "Sure?")
    const answers = Promise.all([
      execution.waitForApproval("Really?"),
      execution.waitForInput("Since when?", Schema.DateFromString),
      execution.waitForInput<{ readonly note: string }>("Anything else?")
    ])
    const [inside, approval, date, note] = await execution.requests
    assert.deepStrictEqual(
      [inside, approval, date, note].map(({ message }) => message),
      ["Sure?", "Really?", "Since when?", "Anything else?"]
    )
    assert.deepStrictEqual(note._tag === "Input" && note.jsonSchema, {})
    await execution.approve(approval.id, { by: "ada", reason: "why not" })
    await execution.answer(date.id, "2026-01-02T00:00:00.000Z")
    await execution.answer(note.id, { note: "no" })
    const [approved, since, said] = await answers
    assert.deepInclude(approved, { approved: true, approvedBy: "ada", reason: "why not" })
    assert.instanceOf(approved.timestamp, Date)
    assert.strictEqual(since.getUTCDate(), 2)
    assert.strictEqual(said.note, "no")
    const late = execution.waitForInput("Too late?")
    await execution.cancel()
    assert.instanceOf(await rejection(late), Execution.RunSettled)
  })
})

describe("async iterables", () => {
  it("give every event, and end with the terminal one", async () => {
    const baton = make(Engine.layerMemory)
    const execution = await baton.start(ask, "Sure?")
    const events: Array<Event.Tag> = []
    for await (const event of execution.events) {
      events.push(event._tag)
      if (event._tag === "RequestOpened") await execution.approve(event.requestId)
    }
    assert.strictEqual(events[0], "RunStarted")
    assert.strictEqual(events.at(-1), "RunCompleted")
    assert.deepStrictEqual(
      (await collect(execution.events)).map((event) => event._tag),
      events
    )
    assert.deepStrictEqual(await collect(execution.statusChanges), [
      "in-progress",
      "awaiting",
      "in-progress",
      "completed"
    ])
  })

  it("leave nothing behind when a loop is left early", async () => {
    const { baton, inner } = inspected()
    const execution = await baton.start(ask, "Sure?")
    for await (const event of execution.events) if (event._tag === "RequestOpened") break
    assert.isFalse(inner(execution.id).log.isWatched)
    assert.strictEqual(execution.status, "awaiting")
  })

  it("leave nothing behind when a wait for the next event is given up", async () => {
    const { baton, inner } = inspected()
    const execution = await baton.start(ask, "Sure?")
    const { log } = inner(execution.id)
    const iterator = execution.events[Symbol.asyncIterator]()
    for (let n = 0; n < log.sequence; n++) assert.isFalse((await iterator.next()).done)
    const waiting = iterator.next()
    while (!log.isWatched) await setImmediate()
    assert.deepStrictEqual(await iterator.return!(), { done: true, value: undefined })
    assert.deepStrictEqual(await waiting, { done: true, value: undefined })
    assert.isFalse(log.isWatched)
    assert.deepStrictEqual(await iterator.next(), { done: true, value: undefined })
  })

  it("give an event once to whoever asks for several at once", async () => {
    const baton = make(Engine.layerMemory)
    const execution = await baton.start(ask, "Sure?")
    const iterator = execution.events[Symbol.asyncIterator]()
    const asked = Array.from({ length: 20 }, () => iterator.next())
    const [request] = await execution.requests
    await execution.approve(request.id)
    const events = (await Promise.all(asked)).flatMap((result) => (result.done === true ? [] : [result.value]))
    assert.deepStrictEqual(
      events.map((event) => event.sequence),
      events.map((_, n) => n + 1)
    )
    assert.strictEqual(events.at(-1)?._tag, "RunCompleted")
  })
})

describe("an abort signal given to a run", () => {
  it("cancels the execution when it is aborted, and is let go when the execution settles", async () => {
    const baton = make(Engine.layerMemory)
    const reasons: ReadonlyArray<readonly [given: unknown, reason: string]> = [
      ["the user left", "the user left"],
      [new Error("the socket closed"), "the socket closed"],
      [undefined, "aborted"],
      [42, "aborted"]
    ]
    for (const [given, reason] of reasons) {
      const controller = new AbortController()
      const execution = await baton.start(ask, "Sure?", { signal: controller.signal })
      assert.strictEqual(getEventListeners(controller.signal, "abort").length, 1)
      controller.abort(given)
      const error = await rejection(execution.result)
      assert.instanceOf(error, Cancel.RunCancelled)
      assert.strictEqual(error.reason, reason)
      assert.strictEqual(execution.status, "cancelled")
    }
    const { signal } = new AbortController()
    const run = await baton.run(echo, "hi", { signal })
    assert.strictEqual(getEventListeners(signal, "abort").length, 0)
    assert.strictEqual(await (await run.start()).result, "hi")
    assert.strictEqual(getEventListeners(signal, "abort").length, 0)
  })

  it("that is aborted already keeps the run from starting", async () => {
    const baton = make(Engine.layerMemory)
    let ran = false
    const workflow = Workflow.make("never", { run: () => Effect.sync(() => String((ran = true))) })
    const error = await rejection(baton.execute(workflow, "", { signal: AbortSignal.abort("too late") }))
    assert.instanceOf(error, Cancel.RunCancelled)
    assert.strictEqual(error.reason, "too late")

    const controller = new AbortController()
    const run = await baton.run(workflow, "", { signal: controller.signal })
    assert.strictEqual(run.status, "pending")
    controller.abort()
    assert.strictEqual(run.status, "cancelled")
    const execution = await run.start()
    assert.deepStrictEqual(await collect(execution.statusChanges), ["cancelled"])
    assert.isFalse(ran)
  })

  it("cancels when the body itself aborts it, before there is an execution", async () => {
    const baton = make(Engine.layerMemory)
    const controller = new AbortController()
    const workflow = Workflow.make("aborts", {
      run: () =>
        Effect.andThen(
          Effect.sync(() => controller.abort()),
          Effect.never
        )
    })
    const execution = await baton.start(workflow, "", { signal: controller.signal })
    assert.instanceOf(await rejection(execution.result), Cancel.RunCancelled)
  })

  it("asks beforeCancel as a cancel does", async () => {
    const baton = make(Engine.layerMemory)
    const controller = new AbortController()
    const execution = await baton.start(ask, "Sure?", {
      signal: controller.signal,
      cancel: { beforeCancel: async () => false }
    })
    controller.abort()
    for await (const event of execution.events) if (event._tag === "CancelPrevented") break
    assert.strictEqual(execution.status, "awaiting")
  })
})

describe("the abort signal of an execution", () => {
  it("is aborted when the execution settles, with the error of its result", async () => {
    const baton = make(Engine.layerMemory)
    const execution = await baton.start(ask, "Sure?")
    const { signal } = execution
    assert.isFalse(signal.aborted)
    assert.strictEqual(execution.signal, signal)
    await execution.cancel("enough")
    assert.isTrue(signal.aborted)
    assert.strictEqual(signal.reason, await rejection(execution.result))
    assert.strictEqual((await baton.start(dies, "")).signal.reason, defect)
  })

  it("is aborted after a success too", async () => {
    const baton = make(Engine.layerMemory)
    const { signal } = await baton.start(echo, "hi")
    assert.isTrue(signal.aborted)
    assert.strictEqual(signal.reason.name, "AbortError")
  })
})

describe("callbacks", () => {
  it("may be plain, return a promise or return an Effect, and are called in order", async () => {
    const baton = make(Engine.layerMemory)
    const told: Array<unknown> = []
    const execution = await baton.start(ask, "Sure?", {
      onStatusChange: (status) => {
        told.push(status)
      },
      onComplete: async (output) => {
        await setImmediate()
        told.push(output)
      }
    })
    const [request] = await execution.requests
    await execution.approve(request.id, { by: "ada" })
    await baton.execute(fails, "", { onFailed: (error) => Effect.sync(() => told.push(error)) }).catch(() => {})
    await baton.dispose()
    assert.deepStrictEqual(told.slice(0, 4), ["in-progress", "awaiting", "in-progress", "completed"])
    assert.sameMembers(told.slice(4), ["true by ada", broken])
  })

  it("that throw or are rejected are logged, and change nothing", async () => {
    const logged: Array<unknown> = []
    const logger = Logger.make(({ message }) => logged.push(String(message)))
    const baton = make(Layer.merge(Engine.layerMemory, Logger.layer([logger])))
    const fail = () => Promise.reject(new Error("rejected"))
    const throws = () => {
      throw new Error("thrown")
    }
    assert.strictEqual(await baton.execute(echo, "hi", { onStatusChange: throws, onComplete: fail }), "hi")
    const retry = { attempts: 1, delay: 0, onRetry: fail }
    assert.strictEqual(await rejection(baton.execute(fails, "", { retry, onFailed: throws })), broken)
    const timeout = { duration: "1 millis", onTimeoutCallback: fail } as const
    assert.instanceOf(await rejection(baton.execute(ask, "", { timeout })), Timeout.RunTimedOut)
    const execution = await baton.start(ask, "", { cancel: { beforeCancel: fail, afterCancel: throws } })
    assert.strictEqual(await execution.cancel(), "cancelled")
    await baton.dispose()
    assert.sameMembers(logged, [
      "onStatusChange failed",
      "onStatusChange failed",
      "onComplete failed",
      "retry.onRetry failed",
      "onFailed failed",
      "timeout.onTimeoutCallback failed",
      "cancel.beforeCancel failed",
      "cancel.afterCancel failed"
    ])
  })

  it("of a retry decide, and are told", async () => {
    const baton = make(Engine.layerMemory)
    const told: Array<number> = []
    const retry = { attempts: 3, delay: 0, onRetry: async ({ attempt }: { attempt: number }) => told.push(attempt) }
    const output = await baton.execute(flaky(2), "", {
      retry: { ...retry, while: async (error) => error instanceof Broken }
    })
    assert.strictEqual(output, "at last")
    assert.deepStrictEqual(told, [1, 2])
    assert.strictEqual(
      await rejection(baton.execute(flaky(1), "", { retry: { ...retry, while: () => false } })),
      broken
    )
    assert.strictEqual(
      await rejection(baton.execute(flaky(1), "", { retry: { ...retry, while: () => Promise.reject("unsure") } })),
      broken
    )
  })

  it("of a cancel prevent it, and are told", async () => {
    const baton = make(Engine.layerMemory)
    const told: Array<unknown> = []
    const answers = [false, true]
    const execution = await baton.start(ask, "Sure?", {
      cancel: {
        beforeCancel: () => Promise.resolve(answers.shift()!),
        afterCancel: (reason) => told.push(reason)
      }
    })
    assert.strictEqual(await execution.cancel("no"), "prevented")
    assert.strictEqual(execution.status, "awaiting")
    assert.strictEqual(await execution.cancel("yes"), "cancelled")
    assert.deepStrictEqual(told, ["yes"])
  })

  it("of a timeout are told", async () => {
    const baton = make(Engine.layerMemory)
    let told = 0
    const error = await rejection(
      baton.execute(ask, "Sure?", { timeout: { duration: "1 millis", onTimeoutCallback: () => told++ } })
    )
    assert.instanceOf(error, Timeout.RunTimedOut)
    assert.strictEqual(told, 1)
  })
})

describe("dispose", () => {
  class Desk extends Context.Service<Desk, { readonly isOpen: () => boolean }>()("test/Baton/Desk") {}

  const desk = (story: Array<string>) =>
    Layer.effect(
      Desk,
      Effect.gen(function* () {
        let isOpen = true
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            isOpen = false
            story.push("desk closed")
          })
        )
        return { isOpen: () => isOpen }
      })
    )

  it("cancels what lives with reason shutdown, and releases the layer after its finalizers", async () => {
    const story: Array<string> = []
    const work = Workflow.make("work", {
      run: () =>
        Effect.flatMap(Desk, ({ isOpen }) =>
          Effect.onInterrupt(Effect.never, () => Effect.sync(() => story.push(`stopped, desk open: ${isOpen()}`)))
        )
    })
    const baton = make(Layer.merge(Engine.layerMemory, desk(story)))
    const execution = await baton.start(work, "", { cancel: { afterCancel: () => story.push("told") } })
    const approval = rejection(execution.waitForApproval("Go on?"))
    const events = collect(execution.events)
    await baton.dispose()
    assert.deepStrictEqual(story, ["stopped, desk open: true", "told", "desk closed"])
    assert.strictEqual(execution.status, "cancelled")
    const error = await rejection(execution.result)
    assert.instanceOf(error, Cancel.RunCancelled)
    assert.strictEqual(error.reason, "shutdown")
    assert.instanceOf(await approval, Execution.RunSettled)
    assert.strictEqual((await events).at(-1)?._tag, "RunCancelled")
  })

  it("happens once, and at the end of an await using", async () => {
    const story: Array<string> = []
    {
      await using baton = Baton.make(Layer.merge(Engine.layerMemory, desk(story)))
      assert.strictEqual(await baton.execute(echo, "hi"), "hi")
      assert.strictEqual(baton.dispose(), baton.dispose())
    }
    assert.deepStrictEqual(story, ["desk closed"])
  })

  it("refuses what comes after it, and builds nothing", async () => {
    const story: Array<string> = []
    const baton = Baton.make(Layer.merge(Engine.layerMemory, desk(story)))
    await baton.dispose()
    assert.instanceOf(await rejection(baton.run(echo, "")), Baton.BatonDisposed)
    assert.instanceOf(await rejection(baton.get("run_1")), Baton.BatonDisposed)
    assert.deepStrictEqual(story, [])

    const started = make(Engine.layerMemory)
    const run = await started.run(echo, "")
    await started.dispose()
    assert.instanceOf(await rejection(run.start()), Baton.BatonDisposed)
    assert.strictEqual(run.status, "pending")
  })

  it("while the layer is being built ends the building and the calls that wait for it", async () => {
    let interrupted = false
    const slow = Layer.effectDiscard(Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted = true))))
    const baton = Baton.make(Layer.provideMerge(slow, Engine.layerMemory))
    const call = rejection(baton.execute(echo, "hi"))
    await baton.dispose()
    assert.isTrue(interrupted)
    assert.instanceOf(await call, Baton.BatonDisposed)
  })
})

/** The memory engine, with other handles. */
const engineWith = (handle: (execution: Execution.Execution<any, any>) => PropertyDescriptorMap) =>
  Layer.effect(
    Engine.Engine,
    Effect.map(Engine.Engine, (engine) =>
      Engine.Engine.of({
        ...engine,
        start: (run) => Effect.map(engine.start(run), (execution) => Object.create(execution, handle(execution)))
      })
    )
  ).pipe(Layer.provide(Engine.layerMemory))

describe("an engine that has to fetch what it knows", () => {
  const later = <A>(effect: Effect.Effect<A>) => ({ value: Effect.andThen(Effect.yieldNow, effect) })

  it("gives the newest status that was fetched, and fetches", async () => {
    const baton = make(
      engineWith(({ logs, progress, status }) => ({
        status: later(status),
        progress: later(progress),
        logs: later(logs)
      }))
    )
    const run = await baton.run(ask, "Sure?")
    const execution = await run.start()
    assert.strictEqual(execution.status, "awaiting")
    const [request] = await execution.requests
    await execution.approve(request.id)
    assert.strictEqual(execution.status, "awaiting")
    const seen = [execution.status, run.status]
    while (seen[0] !== "completed" || seen[1] !== "completed") {
      await setImmediate()
      seen.splice(0, 2, execution.status, run.status)
    }
  })
})

describe("an engine whose executions outlive it", () => {
  const layerOutlived = engineWith(() => ({
    status: { value: Effect.succeed("in-progress") },
    events: { value: Stream.never },
    result: { value: Effect.never },
    exit: { value: Effect.never }
  }))

  it("leaves waits that end with the dispose", async () => {
    const baton = make(layerOutlived)
    const execution = await baton.start(ask, "Sure?")
    const waits = [rejection(execution.result), rejection(execution.exit)]
    const { signal } = execution
    const events = collect(execution.events)
    await baton.dispose()
    for (const error of await Promise.all(waits)) assert.instanceOf(error, Baton.BatonDisposed)
    assert.instanceOf(signal.reason, Baton.BatonDisposed)
    assert.deepStrictEqual(await events, [])
  })

  it("leaves nothing to wait for after the dispose", async () => {
    const baton = make(layerOutlived)
    const execution = await baton.start(ask, "Sure?")
    await baton.dispose()
    assert.strictEqual(execution.status, "in-progress")
    assert.instanceOf(await rejection(execution.result), Baton.BatonDisposed)
    assert.deepStrictEqual(await collect(execution.events), [])
  })
})
