/**
 * Random schedules of what people, programs and time do to an execution, compared after every single act with a model
 * that is nothing but the rules of the lifecycle.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Scheduler, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Engine, Execution, Run, Step, Workflow } from "effect-baton"
import {
  consistent,
  count,
  counted,
  history,
  random,
  scheduler,
  settle,
  settleFor,
  start,
  statuses
} from "../support/executions.ts"

class Boom extends Schema.TaggedError<Boom>()("Boom", { attempt: Schema.Number }) {}

const slots = ["a", "b", "c"] as const
type Slot = (typeof slots)[number]

const Act = Schema.Union([
  Schema.Struct({
    act: Schema.Literals(["pause", "resume", "cancel", "succeed", "fail", "die", "interrupt", "child", "work"])
  }),
  Schema.Struct({ act: Schema.Literals(["ask", "approve", "reject", "timeout"]), slot: Schema.Literals(slots) }),
  Schema.Struct({ act: Schema.Literal("wait"), seconds: Schema.Literals([1, 5, 20]) })
])
type Act = typeof Act.Type

const Options = Schema.Struct({
  retries: Schema.Literals([0, 1, 2]),
  onTimeout: Schema.Literals(["none", "fail", "cancel", "continue"]),
  clock: Schema.Literals(["wall", "active"]),
  prevented: Schema.Boolean,
  graceful: Schema.Boolean
})
type Options = typeof Options.Type

const timeoutSeconds = 12
const retryDelay = 3

/** What the body is told to do next: it waits for one command after the other. */
type Command =
  | { readonly _tag: "ask"; readonly slot: Slot }
  | { readonly _tag: "child" }
  | { readonly _tag: "work" }
  | { readonly _tag: "end"; readonly end: "succeed" | "fail" | "die" | "interrupt" }

/** The rules, and nothing else: no fibers, no clocks, no promises. */
class Model {
  readonly options: Options
  status: Run.RunStatus = "in-progress"
  readonly seen: Array<Run.RunStatus> = ["in-progress"]
  attempt = 1
  paused = false
  readonly open = new Set<Slot>()
  /** Acts of the body that a pause holds back. */
  held: Array<Command> = []
  now = 0
  /** Seconds the attempt's clock still has. */
  remaining = timeoutSeconds
  retryAt: number | undefined = undefined
  work = 0
  children = 0
  reason: string | undefined = undefined

  constructor(options: Options) {
    this.options = options
    if (options.onTimeout === "none") this.remaining = Number.POSITIVE_INFINITY
  }

  private move(event: Run.Transition) {
    const to = Run.transition(this.status, event)
    if (to === undefined) return
    this.status = to
    this.seen.push(to)
  }

  get isLive() {
    return !Run.isSettled(this.status)
  }

  get inAttempt() {
    return this.isLive && this.retryAt === undefined
  }

  /** Nobody asks the same thing twice at a time. */
  mayAsk(slot: Slot) {
    const held = this.held.some((command) => command._tag === "ask" && command.slot === slot)
    return this.inAttempt && !this.open.has(slot) && !held
  }

  private refresh() {
    this.move(this.paused || this.open.size > 0 ? "hold" : "release")
  }

  /** What the body asked ends with the body. */
  private bodyEnds() {
    if (this.open.size === 0) return
    this.open.clear()
    this.refresh()
  }

  private end(event: "complete" | "fail" | "cancel") {
    this.open.clear()
    this.held = []
    this.retryAt = undefined
    this.move(event)
  }

  private attemptFailed() {
    this.held = []
    if (this.attempt > this.options.retries) return this.end("fail")
    this.retryAt = this.now + retryDelay
    this.beginIfDue()
  }

  private beginIfDue() {
    if (this.retryAt === undefined || this.now < this.retryAt || this.paused) return
    this.retryAt = undefined
    this.attempt++
    this.remaining = this.options.onTimeout === "none" ? Number.POSITIVE_INFINITY : timeoutSeconds
  }

  private perform(command: Command) {
    if (command._tag === "end") {
      this.bodyEnds()
      if (command.end === "succeed") return this.end("complete")
      if (command.end === "die") return this.end("fail")
      if (command.end === "interrupt") {
        this.reason = "interrupted"
        return this.end("cancel")
      }
      return this.attemptFailed()
    }
    // A pause holds steps and requests; a child may start.
    if (this.paused && command._tag !== "child") {
      this.held.push(command)
      return
    }
    if (command._tag === "work") this.work++
    else if (command._tag === "child") this.children++
    else {
      this.open.add(command.slot)
      this.refresh()
    }
  }

  private tick() {
    this.now++
    if (!this.isLive) return
    if (this.retryAt !== undefined) return this.beginIfDue()
    if (this.options.clock === "active" && this.status === "awaiting") return
    this.remaining--
    if (this.remaining !== 0) return
    if (this.options.onTimeout === "fail") {
      this.bodyEnds()
      this.attemptFailed()
    } else if (this.options.onTimeout === "cancel" && !this.options.prevented) {
      this.reason = "timeout"
      this.end("cancel")
    }
  }

  apply(act: Act): void {
    if (act.act === "wait") {
      for (let i = 0; i < act.seconds; i++) this.tick()
      return
    }
    if (!this.isLive) return
    switch (act.act) {
      case "pause":
      case "resume": {
        this.paused = act.act === "pause"
        this.refresh()
        if (this.paused) return
        const held = this.held
        this.held = []
        for (const command of held) this.perform(command)
        return this.beginIfDue()
      }
      case "cancel":
        if (this.options.prevented) return
        this.reason = "asked"
        return this.end("cancel")
      case "approve":
      case "reject":
        if (this.open.delete(act.slot)) this.refresh()
        return
      case "ask":
        if (this.mayAsk(act.slot)) this.perform({ _tag: "ask", slot: act.slot })
        return
      case "timeout":
        return
      case "work":
      case "child":
        if (this.inAttempt) this.perform({ _tag: act.act })
        return
      default:
        if (this.inAttempt) this.perform({ _tag: "end", end: act.act })
    }
  }
}

/** Plays a schedule on a real execution and on the model, and compares them after each act. */
const play = Effect.fnUntraced(function* (
  options: Options,
  acts: ReadonlyArray<Act>,
  answered: () => void = () => {},
  turns = 20
) {
  const settle = settleFor(turns)
  let command = Deferred.makeUnsafe<Command>()
  let listening = 0
  let work = 0
  const send = (next: Command) => {
    const current = command
    command = Deferred.makeUnsafe()
    return Deferred.succeed(current, next)
  }
  const child = Workflow.make("child", { run: () => Effect.never })
  let key = 0
  const workflow = Workflow.make("commanded", {
    error: Boom,
    run: () =>
      Effect.gen(function* () {
        listening++
        while (true) {
          const next = yield* Deferred.await(command)
          const k = String(++key)
          if (next._tag === "ask") {
            yield* Effect.forkChild(Execution.waitForApproval(next.slot, { key: k }), { startImmediately: true })
          } else if (next._tag === "work") {
            yield* Effect.forkChild(Step.make("work", { key: k, run: Effect.sync(() => void work++) }), {
              startImmediately: true
            })
          } else if (next._tag === "child") {
            yield* Execution.startChild(child, "", { key: k })
          } else if (next.end === "succeed") {
            return "done"
          } else {
            return yield* next.end === "fail"
              ? new Boom({ attempt: listening })
              : next.end === "die"
                ? Effect.die("bug")
                : Effect.interrupt
          }
        }
      })
  })
  let after = 0
  const told: Array<Run.RunStatus> = []
  const execution = yield* start(workflow, "", {
    ...(options.onTimeout === "none"
      ? {}
      : { timeout: { duration: `${timeoutSeconds} seconds`, onTimeout: options.onTimeout, clock: options.clock } }),
    retry: { attempts: options.retries, delay: `${retryDelay} seconds` },
    cancel: {
      graceful: options.graceful,
      beforeCancel: Effect.succeed(!options.prevented),
      afterCancel: Effect.sync(() => void after++)
    },
    onStatusChange: (status) => Effect.sync(() => void told.push(status))
  })
  const model = new Model(options)
  const followed: Array<number> = []
  yield* execution.events.pipe(
    Stream.runForEach((event) => Effect.sync(() => void followed.push(event.sequence))),
    Effect.forkScoped
  )
  const find = (slot: Slot) =>
    Effect.map(execution.requests, (requests) => requests.find((request) => request.message === slot))

  yield* settle
  for (const act of acts) {
    const before = history(execution).length
    const wasLive = model.isLive
    const inAttempt = model.inAttempt
    switch (act.act) {
      case "pause":
        yield* Effect.exit(execution.pause)
        break
      case "resume":
        yield* Effect.exit(execution.resume)
        break
      case "cancel": {
        const answer = yield* execution.cancel("asked")
        assert.strictEqual(answer, !wasLive ? "already-settled" : options.prevented ? "prevented" : "cancelled")
        break
      }
      case "approve":
      case "reject": {
        const request = yield* find(act.slot)
        assert.strictEqual(request !== undefined, model.open.has(act.slot))
        if (request === undefined) break
        yield* act.act === "approve" ? execution.approve(request.id) : execution.reject(request.id)
        const late = yield* Effect.flip(execution.approve(request.id))
        assert.strictEqual(late._tag, "RequestSettled")
        answered()
        break
      }
      case "ask":
        if (model.mayAsk(act.slot)) yield* send({ _tag: "ask", slot: act.slot })
        break
      case "work":
      case "child":
        if (inAttempt) yield* send({ _tag: act.act })
        break
      case "timeout":
        break
      case "wait":
        for (let i = 0; i < act.seconds; i++) {
          yield* TestClock.adjust("1 second")
          yield* settle
        }
        break
      default:
        if (inAttempt) yield* send({ _tag: "end", end: act.act })
    }
    yield* settle
    model.apply(act)
    assert.strictEqual(yield* execution.status, model.status, `status after ${JSON.stringify(act)}`)
    assert.deepStrictEqual(statuses(execution), model.seen)
    assert.deepStrictEqual(
      (yield* execution.requests).map((request) => request.message).toSorted(),
      [...model.open].toSorted()
    )
    assert.strictEqual(work, model.work, "steps that ran")
    assert.strictEqual(count(execution, "AttemptStarted"), model.attempt)
    assert.strictEqual(count(execution, "ChildStarted"), model.children)
    if (!wasLive) assert.strictEqual(history(execution).length, before, "nothing after the terminal event")
  }

  if (model.isLive) {
    yield* Engine.Engine.use((engine) => engine.interrupt(execution.id))
    model.reason = "interrupted"
    model.status = "cancelled"
    model.seen.push("cancelled")
  }
  yield* consistent(execution)
  assert.strictEqual(yield* execution.status, model.status)
  yield* settle
  assert.deepStrictEqual(told, model.seen)
  assert.strictEqual(after, model.status === "cancelled" ? 1 : 0)
  if (model.status === "cancelled") {
    const error = (yield* Effect.flip(execution.result)) as { readonly reason?: string }
    assert.strictEqual(error.reason, model.reason)
  }
  assert.deepStrictEqual(
    followed,
    history(execution).map((event) => event.sequence)
  )
  const children = yield* Engine.list({ parentId: execution.id })
  assert.isTrue(children.every((summary) => summary.status === "cancelled"))
  assert.strictEqual(children.length, model.children)
})

const memory = Effect.provide(Engine.layerMemory)

describe("an execution under a random schedule", () => {
  it.effect.prop(
    "does after every act what the lifecycle says, and ends in one state that status, result, exit and events agree on (E1, E2, E3)",
    { options: Options, acts: Schema.Array(Act).check(Schema.isMaxLength(25)) },
    ({ acts, options }) => Effect.scoped(play(options, acts)).pipe(memory),
    { arbitrary: { runs: 400 }, timeout: 120_000 }
  )

  const longSchedule = (seed: number): readonly [Options, ReadonlyArray<Act>] => {
    const next = random(seed)
    const pick = <A>(values: ReadonlyArray<A>): A => values[Math.floor(next() * values.length)]
    const options: Options = {
      retries: pick([0, 1, 2]),
      onTimeout: pick(["none", "fail", "cancel", "continue"]),
      clock: pick(["wall", "active"]),
      prevented: next() < 0.5,
      graceful: next() < 0.5
    }
    const acts = Array.from({ length: 40 }, (): Act => {
      const kind = next()
      // Ends are rare here, so that schedules get long.
      if (kind < 0.03) return { act: pick(["succeed", "fail", "die", "interrupt", "cancel"]) }
      if (kind < 0.3) return { act: pick(["pause", "resume"]) }
      if (kind < 0.65) return { act: pick(["ask", "approve", "reject"]), slot: pick(slots) }
      if (kind < 0.8) return { act: pick(["work", "child"]) }
      return { act: "wait", seconds: pick([1, 5]) }
    })
    return [options, acts]
  }

  it.effect("keeps to it over long schedules, and its end leaves no fiber and no timer (E7)", () =>
    Effect.gen(function* () {
      let answers = 0
      for (let seed = 1; seed <= 60; seed++) {
        const [options, acts] = longSchedule(seed)
        yield* counted((counter) =>
          Effect.gen(function* () {
            const fibers = counter.fibers
            yield* Effect.scoped(play(options, acts, () => void answers++))
            yield* settle
            assert.deepStrictEqual({ ...counter }, { fibers, sleeps: 0 }, `schedule ${seed}`)
          }).pipe(memory)
        )
      }
      assert.isAbove(answers, 50, "the schedules do something")
    })
  )

  it.effect("keeps to it when the scheduler lets others run between any two operations", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= 40; seed++) {
        const [options, acts] = longSchedule(1000 + seed)
        const next = random(seed)
        yield* Effect.scoped(play(options, acts, () => {}, 150)).pipe(
          memory,
          Effect.provideService(
            Scheduler.Scheduler,
            scheduler(() => next() < 0.2)
          )
        )
      }
    })
  )
})
