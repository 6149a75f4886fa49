/**
 * The engine that keeps executions in the memory of one process.
 *
 * E1  An execution has exactly one outcome; status, result, exit and events agree on it.
 * E2  Exactly one terminal event ends its events; nothing is appended after it.
 * E3  Every status change goes through `Run.transition`; `onStatusChange` sees each, once, in order.
 * E4  An answer is delivered once: one request, one settlement, one resumption of the asker.
 * E5  Once a cancel is accepted the outcome is `cancelled`, whatever the body does afterwards; `afterCancel` runs once.
 * E6  Children are settled before their parent is.
 * E7  A settled execution holds no fiber, timer or subscription of its own; callbacks and finalizers past a cancel are
 *     the engine's, and end with it.
 * E8  An attempt's fibers have ended and its finalizers have run before the next attempt begins.
 * E9  Work of an attempt that is over, or of a settled execution, goes no further than its next step, wait or child.
 * E10 One id is one execution for as long as the engine keeps it.
 * E11 The engine keeps all live executions and a bounded number of settled ones, for a bounded time.
 * E12 After a shutdown nothing starts, and everything that lived is cancelled with reason `"shutdown"`.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as cancelling from "../internal/cancelling.ts"
import { ExecutionImpl } from "../internal/execution.ts"
import { hookTimeout } from "../internal/hooks.ts"
import type { Host } from "../internal/host.ts"
import { randomOf } from "../internal/id.ts"
import { fits } from "../internal/memoryStore.ts"
import type { Pending } from "../internal/request.ts"
import type { RunImpl } from "../internal/run.ts"
import { Count, DurationInput } from "../internal/schema.ts"
import { settings } from "../internal/settings.ts"
import { isSettled } from "../Run.ts"
import { IdConflict } from "../RunError.ts"
import {
  Engine,
  EngineShutdown,
  ExecutionNotFound,
  type ListOptions,
  WorkflowNotRegistered
} from "../services/Engine.ts"
import { HumanChannel, inbox } from "../services/HumanChannel.ts"
import * as RunStore from "../services/RunStore.ts"
import type { Any } from "../Workflow.ts"
import { BodyContexts } from "./bodyContexts.ts"

/** Settings of the memory engine. */
export interface MemoryOptions {
  /** How many settled executions are kept. Default: 1000. */
  readonly keepSettled?: number | undefined
  /** How long they are kept at most. Default: `"1 hour"`. */
  readonly keepSettledFor?: Duration.Input | undefined
  /** How many events an execution keeps. Default: 10000. */
  readonly keepEvents?: number | undefined
  /** How many events settled executions keep together; the oldest leave when there are more. Default: 100000. */
  readonly keepSettledEvents?: number | undefined
}

/** How many names of workflows are remembered. */
const maxNames = 10_000

/** Stands for the definition of a name that was warned of. */
const warned = Symbol()

class MemoryEngine implements Host {
  readonly eventLimit: number
  depth = 0
  private readonly keepSettled: number
  private readonly keepSettledMillis: number
  private readonly keepSettledEvents: number
  private readonly store: (typeof RunStore.RunStore)["Service"] | undefined
  /** By the random part of the id: numbers hash faster than text, and most ids are never read. */
  private readonly byNumber = new Map<number, ExecutionImpl>()
  private readonly byId = new Map<string, ExecutionImpl>()
  private readonly live = new Set<ExecutionImpl>()
  /** Settled executions, oldest first from `head` on. */
  private settled: Array<{ readonly execution: ExecutionImpl; readonly millis: number } | undefined> = []
  private head = 0
  /** How many events they keep. */
  private settledEvents = 0
  /** What registered workflows run with. */
  private readonly registered = new Map<string, Context.Context<never>>()
  private readonly adopted = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly definitions = new Map<string, unknown>()
  private readonly clock: Clock.Clock
  private readonly contexts = new BodyContexts()
  /** Executions that changed since the run store was told. */
  private readonly unwritten = new Set<ExecutionImpl>()
  private isMirroring = false
  private isShutDown = false
  private readonly context: Context.Context<never>

  constructor(options: MemoryOptions, context: Context.Context<never>) {
    this.context = context
    this.clock = Context.get(context, Clock.Clock)
    this.eventLimit = options.keepEvents ?? 10_000
    this.keepSettled = options.keepSettled ?? 1000
    this.keepSettledMillis = Duration.toMillis(options.keepSettledFor ?? "1 hour")
    this.keepSettledEvents = options.keepSettledEvents ?? 100_000
    this.store = Context.getOrUndefined(context as Context.Context<any>, RunStore.RunStore)
  }

  // -- starts ---------------------------------------------------------------

  launch(run: RunImpl): Effect.Effect<ExecutionImpl> {
    return Effect.withFiber((fiber) => {
      if (run.execution instanceof ExecutionImpl) return Effect.succeed(run.execution)
      if (this.isShutDown) return Effect.die(new EngineShutdown({ workflow: run.workflow.name }))
      return Effect.succeed(this.begin(run, fiber, undefined))
    })
  }

  makeKnown(workflow: Any, context: Context.Context<any>): void {
    this.registered.set(`${workflow.name}@${workflow.version ?? ""}`, context as Context.Context<never>)
  }

  submit(run: RunImpl): Effect.Effect<ExecutionImpl, WorkflowNotRegistered> {
    return Effect.suspend(() => {
      const { name, version } = run.workflow
      const context = this.registered.get(`${name}@${version ?? ""}`)
      if (context !== undefined) return Effect.setContext(this.launch(run), context)
      return Effect.fail(new WorkflowNotRegistered({ workflow: name, ...(version === undefined ? {} : { version }) }))
    })
  }

  start(run: RunImpl, fiber: Fiber.Fiber<unknown, unknown>, parent: ExecutionImpl): ExecutionImpl {
    return this.begin(run, fiber, parent)
  }

  private begin(run: RunImpl, fiber: Fiber.Fiber<unknown, unknown>, parent: ExecutionImpl | undefined): ExecutionImpl {
    const existing = this.lookup(run)
    if (existing !== undefined && this.differs(existing, run) === undefined) {
      run.execution = existing
      return existing
    }
    const execution = new ExecutionImpl(run, this, this.contexts.prepare(fiber.context), parent)
    run.execution = execution
    if (existing !== undefined) {
      // The id stays with the run that has it: this one fails without being registered.
      execution.conflict = new IdConflict({
        id: run.id,
        workflow: run.workflow.name,
        existing: existing.workflow,
        differs: this.differs(existing, run)!
      })
    } else {
      this.register(execution)
    }
    execution.begin(fiber.cache)
    return execution
  }

  private lookup(run: RunImpl): ExecutionImpl | undefined {
    const id = run.givenId
    if (id !== undefined) return this.find(id)
    const execution = this.byNumber.get(run.random)
    return execution === undefined || execution.run.millis === run.millis ? execution : this.byId.get(run.id)
  }

  private differs(existing: ExecutionImpl, run: RunImpl): "workflow" | "input" | undefined {
    if (existing.workflow !== run.workflow.name) return "workflow"
    return Equal.equals(existing.run.input, run.input) ? undefined : "input"
  }

  private register(execution: ExecutionImpl): void {
    const { run } = execution
    if (run.givenId === undefined && !this.byNumber.has(run.random)) this.byNumber.set(run.random, execution)
    else this.byId.set(run.id, execution)
    this.live.add(execution)
    this.warnOfNamesake(execution)
  }

  /** One name stands for one definition: a second one is most likely a mistake. */
  private warnOfNamesake(execution: ExecutionImpl): void {
    const known = this.definitions.get(execution.workflow)
    if (known === execution.definition || known === warned) return
    if (this.definitions.size >= maxNames) this.definitions.clear()
    this.definitions.set(execution.workflow, known === undefined ? execution.definition : warned)
    if (known === undefined) return
    execution.fork(
      Effect.logWarning(
        `Two workflows named "${execution.workflow}" run in one engine: rename one, so that lists, events and durable runs can tell them apart`
      )
    )
  }

  // -- what executions tell -------------------------------------------------

  changed(execution: ExecutionImpl): void {
    if (this.store !== undefined) this.mirror(execution)
    if (!isSettled(execution.state) || !this.live.delete(execution)) return
    const now = execution.startedAt + execution.now()
    this.settled.push({ execution, millis: now })
    this.settledEvents += execution.log.kept
    this.evict(now)
  }

  private evict(now: number): void {
    while (this.head < this.settled.length) {
      const oldest = this.settled[this.head]!
      const surplus = this.settled.length - this.head > this.keepSettled || this.settledEvents > this.keepSettledEvents
      if (!surplus && now - oldest.millis <= this.keepSettledMillis) break
      this.settled[this.head++] = undefined
      this.settledEvents -= oldest.execution.log.kept
      this.forget(oldest.execution)
    }
    if (this.head > 1024 && this.head * 2 > this.settled.length) {
      this.settled = this.settled.slice(this.head)
      this.head = 0
    }
  }

  private forget(execution: ExecutionImpl): void {
    const { run } = execution
    if (this.byNumber.get(run.random) === execution) this.byNumber.delete(run.random)
    else this.byId.delete(run.id)
  }

  adopt(fiber: Fiber.Fiber<unknown, unknown>): void {
    if (fiber.pollUnsafe() !== undefined) return
    this.adopted.add(fiber)
    fiber.addObserver(() => this.adopted.delete(fiber))
  }

  opened(execution: ExecutionImpl, request: Pending): void {
    const channel = Context.get(execution.context, HumanChannel)
    if (channel === inbox) return
    const id = request.id
    const deliver = Effect.suspend(() =>
      channel.deliver(request.toRequest(), {
        approve: (options) => execution.approve(id, options),
        reject: (options) => execution.reject(id, options),
        answer: (value, options) => execution.answer(id, value, options)
      })
    )
    // Delivery begins after the request is fully open: an answer may come at once.
    const fiber = execution.fork(
      Effect.catchCause(Effect.andThen(Effect.yieldNow, deliver), (cause) =>
        Effect.logWarning(`The human channel failed to deliver "${id}"; the request stays open`, cause)
      )
    )
    request.stopDelivery = () => fiber.interruptUnsafe()
  }

  // -- the run store --------------------------------------------------------

  /** Writes what changed to the run store: the newest record of each execution, then its new events. */
  private mirror(execution: ExecutionImpl): void {
    this.unwritten.add(execution)
    if (this.isMirroring) return
    this.isMirroring = true
    const next: Effect.Effect<void> = Effect.suspend(() => {
      for (const execution of this.unwritten) {
        this.unwritten.delete(execution)
        return Effect.andThen(this.write(execution), next)
      }
      this.isMirroring = false
      return Effect.void
    })
    // At once, so that a store in memory has the outcome before `result` tells it.
    this.adopt(Effect.runForkWith(this.context)(next))
  }

  private write(execution: ExecutionImpl): Effect.Effect<void> {
    const store = this.store!
    return Effect.gen({ self: this }, function* () {
      yield* store.put(this.record(execution))
      const events = execution.log.read(execution.mirrored + 1, execution.startedAt, Number.POSITIVE_INFINITY)
      if (events.length === 0) return
      execution.mirrored = events[events.length - 1].sequence
      yield* store.append(execution.id, events)
    }).pipe(Effect.catchCause((cause) => Effect.logWarning(`The run store missed a change of ${execution.id}`, cause)))
  }

  // -- what the engine tells ------------------------------------------------

  private findNumbered(id: string): ExecutionImpl | undefined {
    const random = randomOf(id)
    const execution = random === undefined ? undefined : this.byNumber.get(random)
    return execution?.id === id ? execution : undefined
  }

  find(id: string): ExecutionImpl | undefined {
    this.evict(this.clock.currentTimeMillisUnsafe())
    return this.byId.get(id) ?? this.findNumbered(id)
  }

  record(execution: ExecutionImpl): RunStore.RunRecord {
    const settledAt = execution.settledAt
    return {
      id: execution.id,
      workflow: execution.workflow,
      status: execution.state,
      tags: execution.options.tags ?? [],
      ...(execution.parent === undefined ? {} : { parentId: execution.parent.id }),
      startedAt: new Date(execution.startedAt),
      ...(settledAt === undefined ? {} : { settledAt: new Date(settledAt) })
    }
  }

  list({ limit, ...filter }: ListOptions): ReadonlyArray<RunStore.RunRecord> {
    this.evict(this.clock.currentTimeMillisUnsafe())
    return [...this.settled.slice(this.head).map((entry) => entry!.execution), ...this.live]
      .map((execution) => this.record(execution))
      .filter(fits(filter))
      .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime())
      .slice(limit === undefined ? 0 : -limit)
  }

  get shutdown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.isShutDown = true
      const executions = [...this.live].filter((execution) => execution.parent === undefined)
      for (const execution of executions) cancelling.accept(execution, "shutdown")
      return Effect.forEach(executions, (execution) => execution.exit, { discard: true }).pipe(
        Effect.andThen(this.drained)
      )
    })
  }

  /** Callbacks and finalizers get as long as a callback may take. */
  private get drained(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.adopted.size === 0) return Effect.void
      return Effect.timeoutOrElse(Effect.asVoid(Fiber.awaitAll([...this.adopted])), {
        duration: hookTimeout,
        orElse: () => {
          const left = [...this.adopted]
          for (const fiber of left) fiber.interruptUnsafe()
          return Effect.logWarning(`The engine ends although ${left.length} callbacks or finalizers still run`)
        }
      })
    })
  }
}

const checkOptions = settings(
  "the memory engine",
  Schema.Struct({
    keepSettled: Schema.optional(Count(0)),
    keepSettledFor: Schema.optional(DurationInput),
    keepEvents: Schema.optional(Count(1)),
    keepSettledEvents: Schema.optional(Count(0))
  })
)

/** Makes a memory engine; it is shut down when the scope ends. */
const make = (options: MemoryOptions) =>
  Effect.gen(function* () {
    yield* checkOptions(options)
    const engine = new MemoryEngine(options, yield* Effect.context<never>())
    const find = (id: string) =>
      Effect.suspend(() => {
        const execution = engine.find(id)
        return execution === undefined ? Effect.fail(new ExecutionNotFound({ id })) : Effect.succeed(execution)
      })
    yield* Effect.addFinalizer(() => engine.shutdown)
    return Engine.of({
      start: (run) => engine.launch(run as unknown as RunImpl) as Effect.Effect<any>,
      register: (workflow) => Effect.contextWith((context) => Effect.sync(() => engine.makeKnown(workflow, context))),
      submit: (run) => engine.submit(run as unknown as RunImpl),
      get: (id) => find(id),
      list: (options) => Effect.sync(() => engine.list(options ?? {})),
      interrupt: (id) =>
        Effect.suspend(() => {
          const execution = engine.find(id)
          if (execution === undefined) return Effect.void
          cancelling.accept(execution, "interrupted")
          return Effect.asVoid(execution.exit)
        }),
      shutdown: engine.shutdown
    })
  })

/**
 * The memory engine with settings.
 *
 * **Example** (A small memory)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * const program = Effect.gen(function*() {
 *   yield* echo.execute("one")
 *   yield* echo.execute("two")
 *   return (yield* Engine.list()).length
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemoryWith({ keepSettled: 1 })))) // => 1
 * ```
 */
export const layerMemoryWith = (options: MemoryOptions): Layer.Layer<Engine> => Layer.effect(Engine, make(options))

/**
 * The memory engine: executions live in this process and end with it.
 *
 * **Details**
 *
 * It keeps the newest 1000 settled executions for an hour, the newest 10000 events of each, and no more than
 * 100000 events of settled ones. When its scope ends it is shut down: nothing starts any more, and what lives is cancelled
 * with reason `"shutdown"`. Where a `RunStore` is provided to it, records and events are mirrored there.
 *
 * **Example** (Running a workflow)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * await Effect.runPromise(echo.execute("hi").pipe(Effect.provide(Engine.layerMemory))) // => "hi"
 * ```
 */
export const layerMemory: Layer.Layer<Engine> = layerMemoryWith({})
