/**
 * A started run: the one place where a step, a wait, a retry and an end happen. There is no driver fiber: it is a state
 * machine whose transitions are plain function calls; an attempt is one fiber with an observer, and a timer is a fiber
 * only while it is needed. The invariants (E1, E2, ...) stand in `engines/memory.ts`.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { Approval, ApprovalOptions } from "../Approval.ts"
import type { BudgetExceeded, Usage } from "../Budget.ts"
import { type CancelResult, RunCancelled } from "../Cancel.ts"
import type { Event } from "../Event.ts"
import type { Execution, LogEntry, Progress } from "../Execution.ts"
import type { AnswerError, HumanRequest, InputTimedOut } from "../HumanRequest.ts"
import * as Run from "../Run.ts"
import { type IdConflict, type InvalidInput, InvalidOptions, RunSettled } from "../RunError.ts"
import type { AnswerOptions } from "../services/HumanChannel.ts"
import type { Any } from "../Workflow.ts"
import * as attempts from "./attempts.ts"
import * as cancelling from "./cancelling.ts"
import { EventLog, Tag } from "./eventLog.ts"
import { eventStream, statusStream } from "./eventStream.ts"
import { describe, mainError } from "./failure.ts"
import { Current, Frame } from "./frame.ts"
import { Hooks } from "./hooks.ts"
import type { Host } from "./host.ts"
import { Interceptor } from "./intercept.ts"
import type { Journal, StepCodec } from "./journal.ts"
import * as journaled from "./journaled.ts"
import * as people from "./people.ts"
import type { RunImpl } from "./run.ts"
import { checker } from "./schema.ts"
import { endSpan, isTraced, startSpan } from "./span.ts"
import * as usage from "./usage.ts"
import { Visit } from "./visit.ts"

type Changes = Partial<Record<Run.RunStatus, Partial<Record<Run.RunStatus, object>>>>
const statusFields: Changes = {}

/** One object for all events of one change. */
const statusChange = (from: Run.RunStatus, to: Run.RunStatus): object => {
  const changes = (statusFields[from] ??= {})
  return (changes[to] ??= { from, to })
}

const noFields = {}

const checkOptions = checker(Run.RunOptions)

/** Deeper than any frame; a small integer, since a float would take memory of its own. */
const maxFrames = 2 ** 30

/** Starts and ends that are nested deeper than this go over the scheduler, so that the stack stays shallow. */
const maxDepth = 32

/** What a journal knows of an execution. */
export interface Restored {
  readonly status: Run.RunStatus
  readonly attempt: number
  readonly paused: boolean
  /** When each retry was scheduled, in epoch milliseconds. */
  readonly retriedAt: ReadonlyArray<number>
  readonly progress: { readonly newest: Progress; readonly depth: number } | undefined
  readonly usage: Usage
}

/** Stands where the outcome of an execution would, once it was let go. */
export const abandoned: Exit.Exit<never> = Exit.die("abandoned")

type Observer = (exit: Exit.Exit<any, any>) => void

const tell = (news: { readonly observers: ReadonlyArray<Observer>; readonly exit: Exit.Exit<any, any> }): void => {
  for (const observer of news.observers) observer(news.exit)
}

export class ExecutionImpl implements Execution<any, any> {
  readonly run: RunImpl
  readonly host: Host
  readonly parent: ExecutionImpl | undefined
  readonly options: Run.RunOptions
  readonly clock: Clock.Clock
  readonly startedAt: number
  readonly log: EventLog
  /** Where a durable engine writes down what happens. */
  readonly journal: Journal | undefined
  /** What attempts, callbacks and timers run with; let go when the execution settles. */
  context: Context.Context<never>

  state: Run.RunStatus = "pending"
  outcome: Exit.Exit<any, any> | undefined = undefined
  attempt = 0
  /** The frame of the current attempt's body; what belongs to another one is stale. */
  root: Frame | undefined = undefined
  /** The current attempt. */
  fiber: Fiber.Fiber<any, any> | undefined = undefined
  /** How the current attempt's body ended, while its children are being cancelled. */
  ended: Exit.Exit<any, any> | undefined = undefined
  /** The current attempt ran out of time, after this many milliseconds. */
  timedOut: number | undefined = undefined
  timeout: attempts.AttemptTimer | undefined = undefined
  /** What goes on between attempts, or limits a graceful cancel. */
  betweenAttempts: Fiber.Fiber<unknown, unknown> | undefined = undefined
  scheduleStep: attempts.ScheduleStep | undefined = undefined
  retriedAt: ReadonlyArray<number> | undefined = undefined
  /** The id belongs to another run, or the input can not be stored. */
  conflict: IdConflict | InvalidInput | undefined = undefined
  settledAt: number | undefined = undefined
  /** Number of the newest event that a run store has. */
  mirrored = 0
  cancelled: { readonly reason: string | undefined } | undefined = undefined
  decision: cancelling.Decision | undefined = undefined

  paused = false
  /** Pauses and requests from outside that hold the body. */
  holds = 0
  gated: Array<() => void> | undefined = undefined
  people: people.OpenRequests | undefined = undefined
  /** Where requests from outside stand, and how many there were. */
  outside: Frame | undefined = undefined
  outsideRequests = 0

  children: Set<ExecutionImpl> | undefined = undefined
  whenChildless: (() => void) | undefined = undefined
  private observers: Array<Observer> | undefined = undefined

  /** Whether it or an execution above it has a budget. */
  readonly budgeted: boolean
  /** Stands between steps and their work; only tests have one. */
  private readonly interceptor: Interceptor | undefined
  steps = 0
  models: Omit<Usage, "steps"> | undefined = undefined
  private newestProgress: Progress | undefined = undefined
  private progressDepth = maxFrames
  /** Results to be reused by the next attempt, where retries resume. */
  recorded: Map<string, unknown> | undefined = undefined
  private hooks: Hooks | undefined = undefined
  private span: Tracer.Span | undefined = undefined

  constructor(
    run: RunImpl,
    host: Host,
    context: Context.Context<never>,
    parent: ExecutionImpl | undefined,
    journal?: Journal
  ) {
    this.run = run
    this.journal = journal
    this.host = host
    this.context = context
    this.parent = parent
    this.options = run.options
    this.clock = Context.get(context, Clock.Clock)
    this.startedAt = journal === undefined ? this.clock.currentTimeMillisUnsafe() : journal.startedAt
    this.log = new EventLog(host.eventLimit)
    this.budgeted = this.options.budget !== undefined || parent?.budgeted === true
    this.interceptor = context.mapUnsafe.get(Interceptor.key) as Interceptor | undefined
  }

  get id(): string {
    return this.run.id
  }

  get workflow(): string {
    return this.run.workflow.name
  }

  get definition(): Any {
    return this.run.workflow
  }

  // -- life -----------------------------------------------------------------

  /** Begins: checks what was given, then runs the first attempt. */
  begin(cache: Fiber.Fiber.Cache): void {
    if (this.parent !== undefined) (this.parent.children ??= new Set()).add(this)
    if (this.run.cancelled !== undefined) {
      this.cancelled = this.run.cancelled
      return this.settle("cancel", Exit.fail(this.cancelError()))
    }
    this.append(Tag.RunStarted, undefined, this.run)
    if (isTraced(cache)) {
      this.span = startSpan(cache, this.clock, `run ${this.workflow}`, {
        "baton.execution.id": this.id,
        "baton.workflow": this.workflow
      })
      this.context = Context.add(this.context, Tracer.ParentSpan, this.span)
    }
    this.transition("start")
    const invalid = this.conflict ?? this.definition["~inner"].checkInput(this.run.input) ?? this.invalidOptions()
    if (invalid !== undefined) return this.settle("fail", Exit.fail(invalid))
    if (this.options.retry?.mode === "resume") this.recorded = new Map()
    attempts.begin(this)
    this.flushHooks()
  }

  private invalidOptions(): InvalidOptions | undefined {
    const options = this.options
    // Most runs have no options at all.
    for (const _ in options) return toInvalidOptions(this.workflow, checkOptions(options))
    return undefined
  }

  /** The end: the only place where an outcome is set (E1). */
  settle(transition: "complete" | "fail" | "cancel", exit: Exit.Exit<any, any>): void {
    if (this.outcome !== undefined) return
    // First of all: what follows may call back.
    this.outcome = exit
    if (this.people !== undefined) people.withdrawAll(this)
    this.settledAt = this.startedAt + this.now()
    attempts.stopTimers(this)
    this.transition(transition)
    this.endWith(transition, exit)
    if (this.span !== undefined) endSpan(this.span, this.clock, exit)
    this.fiber = undefined
    this.root = undefined
    this.ended = undefined
    this.recorded = undefined
    this.openGate()
    this.parent?.childSettled(this)
    this.host.changed(this)
    this.flushHooks()
    this.hooks = undefined
    this.context = Context.empty()
    if (this.journal === undefined) this.notify(exit)
    else this.journal.settled(exit, () => this.notify(exit))
  }

  /** Takes up what a journal knows of an execution that went on elsewhere or before. */
  restore(known: Restored): void {
    this.state = known.status
    this.attempt = known.attempt
    this.paused = known.paused
    this.retriedAt = known.retriedAt
    if (known.paused) this.holds++
    this.progressDepth = known.progress?.depth ?? maxFrames
    this.newestProgress = known.progress?.newest
    usage.count(this, known.usage)
    if (this.options.retry?.mode === "resume") this.recorded = new Map()
  }

  /** Lets go of everything without an end: somebody else goes on with it, or this process does later. */
  abandon(): void {
    if (this.outcome !== undefined) return
    this.outcome = abandoned
    attempts.stopTimers(this)
    for (const request of people.list(this)) {
      request.stopTimer?.()
      request.stopDelivery?.()
    }
    const { fiber } = this
    this.fiber = undefined
    this.root = undefined
    this.gated = undefined
    this.people = undefined
    this.observers = undefined
    this.whenChildless = undefined
    if (fiber === undefined) return
    this.host.adopt(fiber)
    fiber.interruptUnsafe()
  }

  private endWith(transition: "complete" | "fail" | "cancel", exit: Exit.Exit<any, any>): void {
    if (exit._tag === "Success") {
      this.append(Tag.RunCompleted, undefined, noFields)
      if (this.options.onComplete !== undefined) this.hook("onComplete", this.options.onComplete, exit.value)
    } else if (transition === "cancel") {
      const reason = this.cancelled?.reason
      this.append(Tag.RunCancelled, undefined, reason === undefined ? noFields : { reason })
      const after = this.options.cancel?.afterCancel
      if (after !== undefined) this.hook("cancel.afterCancel", after, reason)
    } else {
      const error = mainError(exit.cause)
      this.append(Tag.RunFailed, undefined, describe(error))
      if (this.options.onFailed !== undefined) this.hook("onFailed", this.options.onFailed, error)
    }
  }

  private notify(exit: Exit.Exit<any, any>): void {
    const observers = this.observers
    if (observers === undefined) return
    this.observers = undefined
    this.shallow(tell, { observers, exit })
  }

  /** Calls back with the outcome, at once if it is known; returns how to stop waiting. */
  observe(observer: Observer): () => void {
    if (this.outcome !== undefined) {
      observer(this.outcome)
      return () => {}
    }
    this.observers ??= []
    this.observers.push(observer)
    return () => {
      this.observers = this.observers?.filter((other) => other !== observer)
    }
  }

  /** Runs a continuation now, or over the scheduler where the stack is deep. */
  shallow<A>(continuation: (argument: A) => void, argument: A): void {
    if (this.host.depth >= maxDepth) {
      const dispatcher = Context.get(this.context, Scheduler.Scheduler).makeDispatcher()
      dispatcher.scheduleTask(() => continuation(argument), 0)
      return
    }
    this.host.depth++
    try {
      continuation(argument)
    } finally {
      this.host.depth--
    }
  }

  private childSettled(child: ExecutionImpl): void {
    this.children?.delete(child)
    if (this.children?.size === 0 && this.whenChildless !== undefined) {
      const continuation = this.whenChildless
      this.whenChildless = undefined
      this.shallow(continuation, undefined)
    }
  }

  /** Every status change goes through the state machine in `Run`. */
  transition(event: Run.Transition): boolean {
    const from = this.state
    const to = Run.transition(from, event)
    if (to === undefined) return false
    this.state = to
    this.append(Tag.StatusChanged, undefined, statusChange(from, to))
    if (this.options.onStatusChange !== undefined) this.hook("onStatusChange", this.options.onStatusChange, to)
    if (this.timeout?.active === true) attempts.refreshTimer(this)
    if (event !== "start" && !Run.isSettled(to)) this.host.changed(this)
    return true
  }

  /** Brings the status in line with pauses and open requests; what a cancel takes back does not bring the run back. */
  refreshStatus(): void {
    if (this.paused || this.people !== undefined) this.transition("hold")
    else if (this.cancelled === undefined) this.transition("release")
    this.flushHooks()
  }

  // -- what happened --------------------------------------------------------

  now(): number {
    return this.clock.currentTimeMillisUnsafe() - this.startedAt
  }

  append(tag: number, frame: Frame | undefined, fields: unknown, now: number = this.now()): void {
    if (this.journal === undefined) this.log.append(tag, now, frame, fields)
    else this.journal.append(tag, now, frame, fields)
  }

  logged(frame: Frame, level: string, message: string): void {
    if (this.outcome === undefined) this.append(Tag.Logged, frame, { level, message })
  }

  // Callbacks differ in their arguments; the one that belongs to a callback is the one beside it.
  hook(name: string, callback: any, argument: unknown): void {
    this.hooks ??= new Hooks(this.beside, this.host)
    this.hooks.add(name, callback, argument)
  }

  flushHooks(): void {
    this.hooks?.flush()
  }

  /** What runs beside the body: what it logs belongs to the execution, but it has no place for steps. */
  get beside(): Context.Context<never> {
    return Context.add(this.context, Current, new Frame(this, undefined, "", 1, 0))
  }

  /** Runs something beside the body, such as a log line, whose fiber the engine looks after. */
  fork(effect: Effect.Effect<unknown>): Fiber.Fiber<unknown> {
    const fiber = Effect.runForkWith(this.beside)(effect)
    this.host.adopt(fiber)
    return fiber
  }

  // -- the body -------------------------------------------------------------

  /** Whether results are kept by path, for another attempt or for another process. */
  get isRecording(): boolean {
    return this.recorded !== undefined || this.journal !== undefined
  }

  /** Whether work of this frame may still go on. */
  isLive(frame: Frame): boolean {
    return this.outcome === undefined && frame.root === this.root
  }

  /** Runs an effect as a step: named, counted, and reused where it is recorded; `control` puts tries around the work. */
  step<A, E, R>(
    frame: Frame,
    name: string,
    key: string | undefined,
    work: Effect.Effect<A, E, R>,
    control?: (work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>,
    codec?: StepCodec
  ): Effect.Effect<A, E | BudgetExceeded, R> {
    if (this.journal !== undefined) {
      return journaled.step(this, this.journal, frame, name, key, work, control, codec)
    }
    const visit = new Visit()
    return Effect.onExitPrimitive(
      Effect.withFiber((fiber): Effect.Effect<A, E | BudgetExceeded, R> => {
        if (!this.isLive(frame)) return Effect.interrupt
        if (this.isHeld) return Effect.flatMap(this.gate, () => this.step(frame, name, key, work, control))
        if (this.budgeted) {
          const exceeded = usage.exceeded(this, "steps")
          if (exceeded !== undefined) return Effect.fail(exceeded)
        }
        const now = this.now()
        const child = frame.enter(name, key, now)
        if (child === undefined) return duplicate("step", frame, name, key)
        this.append(Tag.StepStarted, child, undefined, now)
        const reused = this.recorded?.get(child.path)
        if (reused !== undefined) {
          frame.leave(child)
          this.append(Tag.StepCompleted, child, { durationMillis: 0, reused: true })
          return reused as Exit.Exit<A>
        }
        usage.countStep(this)
        visit.enter(fiber, child, "step")
        const run = this.intercepted(work, child)
        return control === undefined ? run : control(run)
      }),
      (exit) => {
        const child = visit.leave(exit)
        if (child !== undefined && this.isLive(child)) this.stepEnded(child, exit)
        return undefined
      }
    )
  }

  intercepted<A, E, R>(work: Effect.Effect<A, E, R>, frame: Frame): Effect.Effect<A, E, R> {
    return this.interceptor === undefined ? work : this.interceptor(work, frame)
  }

  /** Runs an effect in a scope of its own: what it does is found under the scope's name. */
  scope<A, E, R>(
    frame: Frame,
    name: string,
    key: string | undefined,
    body: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    const visit = new Visit()
    return Effect.onExitPrimitive(
      Effect.withFiber((fiber) => {
        if (!this.isLive(frame)) return Effect.interrupt
        const child = frame.enter(name, key, 0)
        if (child === undefined) return duplicate("scope", frame, name, key)
        this.journal?.entered(fiber, child)
        visit.enter(fiber, child, undefined)
        return body
      }),
      (exit) => {
        visit.leave(exit)
        return undefined
      }
    )
  }

  private stepEnded(frame: Frame, exit: Exit.Exit<unknown, unknown>): void {
    const now = this.now()
    const durationMillis = now - frame.startedAt
    if (exit._tag === "Success") {
      this.recorded?.set(frame.path, exit)
      this.append(Tag.StepCompleted, frame, durationMillis, now)
    } else {
      const interrupted = Cause.hasInterruptsOnly(exit.cause)
      const what = interrupted
        ? { error: "Interrupted", message: "The step was interrupted" }
        : describe(mainError(exit.cause))
      this.append(Tag.StepFailed, frame, { durationMillis, interrupted, ...what })
    }
  }

  /** Starts another run as a child of this one. */
  startChild(frame: Frame, run: RunImpl, key: string | undefined): Effect.Effect<Execution<any, any>> {
    return Effect.withFiber((fiber) => {
      const ends = this.cancelled !== undefined && this.journal?.catchesUp() !== true
      if (ends || !this.isLive(frame)) return Effect.interrupt
      const child = frame.enter(run.workflow.name, key, 0)
      if (child === undefined) return duplicate("child", frame, run.workflow.name, key)
      if (this.journal !== undefined) return this.journal.startChild(this, fiber, child, run)
      const recorded = this.recorded?.get(child.path) as ExecutionImpl | undefined
      if (recorded !== undefined) {
        frame.leave(child)
        return Effect.succeed(recorded)
      }
      this.append(Tag.ChildStarted, child, { childId: run.id, workflow: run.workflow.name })
      // An execution that somebody else started under this id stays theirs.
      const execution = this.host.start(run, fiber, this)
      execution.observe((exit) => {
        frame.leave(child)
        if (exit._tag === "Success") this.recorded?.set(child.path, execution)
      })
      return Effect.succeed(execution)
    })
  }

  /**
   * Whether the body waits at its next step. A cancelled one does until its children have settled; what is left of it
   * then are finalizers, and nothing holds them.
   */
  get isHeld(): boolean {
    return this.cancelled === undefined ? this.holds > 0 : this.whenChildless !== undefined
  }

  /** Waits until nothing holds the body any more. */
  get gate(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (!this.isHeld) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      this.gated ??= []
      this.gated.push(wake)
      return Effect.sync(() => {
        this.gated = this.gated?.filter((other) => other !== wake)
      })
    })
  }

  hold(by: 1 | -1): void {
    this.holds += by
    if (this.holds <= 0) this.openGate()
  }

  private openGate(): void {
    const gated = this.gated
    if (gated === undefined) return
    this.gated = undefined
    for (const wake of gated) wake()
  }

  // -- usage ----------------------------------------------------------------

  /** What it used, with all below it. */
  get used(): Usage {
    return { ...(this.models ?? { modelCalls: 0, inputTokens: 0, outputTokens: 0, costUsd: 0 }), steps: this.steps }
  }

  /** Reports progress: an event, and the newest progress if nobody further out reports any. */
  report(frame: Frame, progress: Progress): void {
    if (!this.isLive(frame)) return
    this.append(Tag.Progressed, frame, progress)
    if (frame.depth > this.progressDepth) return
    this.progressDepth = frame.depth
    this.newestProgress = progress
  }

  cancelError(): RunCancelled {
    const reason = this.cancelled?.reason
    return new RunCancelled({
      executionId: this.id,
      workflow: this.workflow,
      ...(reason === undefined ? undefined : { reason })
    })
  }

  // -- the handle -----------------------------------------------------------

  get status(): Effect.Effect<Run.RunStatus> {
    return Effect.sync(() => this.state)
  }

  get statusChanges(): Stream.Stream<Run.RunStatus> {
    return statusStream(this)
  }

  get progress(): Effect.Effect<Progress> {
    return Effect.sync(() => this.newestProgress ?? { current: 0, total: 0 })
  }

  get logs(): Effect.Effect<ReadonlyArray<LogEntry>> {
    return Effect.sync(() =>
      this.log.read(1, this.startedAt, Number.POSITIVE_INFINITY).filter((event) => event._tag === "Logged")
    )
  }

  get events(): Stream.Stream<Event> {
    return eventStream(this, 1)
  }

  eventsFrom(n: number): Stream.Stream<Event> {
    return eventStream(this, n)
  }

  get requests(): Effect.Effect<ReadonlyArray<HumanRequest>> {
    return Effect.sync(() => people.list(this).map((request) => request.toRequest()))
  }

  get usage(): Effect.Effect<Usage> {
    return Effect.sync(() => this.used)
  }

  private get settledError(): Effect.Effect<never, RunSettled> {
    return Effect.fail(
      new RunSettled({ executionId: this.id, status: this.state as "completed" | "failed" | "cancelled" })
    )
  }

  /** Runs a transition of a live execution. */
  whileLive<A, E>(f: () => Effect.Effect<A, E>): Effect.Effect<A, E | RunSettled> {
    return Effect.suspend(
      (): Effect.Effect<A, E | RunSettled> => (this.outcome === undefined ? f() : this.settledError)
    )
  }

  get pause(): Effect.Effect<void, RunSettled> {
    return this.whileLive(() => this.setPaused(true))
  }

  get resume(): Effect.Effect<void, RunSettled> {
    return this.whileLive(() => this.setPaused(false))
  }

  private setPaused(paused: boolean): Effect.Effect<void> {
    if (this.paused !== paused) {
      this.paused = paused
      this.append(paused ? Tag.Paused : Tag.Resumed, undefined, noFields)
      this.refreshStatus()
      this.hold(paused ? 1 : -1)
    }
    return Effect.void
  }

  cancel(reason?: string): Effect.Effect<CancelResult> {
    return cancelling.request(this, reason)
  }

  waitForApproval(message?: string, options?: ApprovalOptions): Effect.Effect<Approval, InvalidOptions | RunSettled> {
    return people.askFromOutside(this, "approval", () => people.makeApproval(this, message, options))
  }

  waitForInput<A>(
    prompt: string,
    schema: Schema.Codec<A, any>,
    options?: { readonly timeout?: Duration.Input | undefined }
  ): Effect.Effect<A, InvalidOptions | InputTimedOut | RunSettled> {
    return people.askFromOutside(this, "input", () => people.makeInput(this, prompt, schema, options?.timeout))
  }

  approve(requestId: string, options?: AnswerOptions): Effect.Effect<void, AnswerError> {
    return people.answer(this, requestId, { _tag: "Verdict", approved: true, options })
  }

  reject(requestId: string, options?: AnswerOptions): Effect.Effect<void, AnswerError> {
    return people.answer(this, requestId, { _tag: "Verdict", approved: false, options })
  }

  answer(
    requestId: string,
    value: unknown,
    options?: { readonly by?: string | undefined }
  ): Effect.Effect<void, AnswerError> {
    return people.answer(this, requestId, { _tag: "Value", value, by: options?.by })
  }

  get result(): Effect.Effect<any, any> {
    return Effect.suspend(
      () =>
        this.outcome ??
        Effect.callback<any, any>((resume) => {
          const stop = this.observe(resume)
          return Effect.sync(stop)
        })
    )
  }

  get exit(): Effect.Effect<Exit.Exit<any, any>> {
    return Effect.exit(this.result)
  }
}

/** What is wrong with the options of a workflow's run. */
export const toInvalidOptions = (
  workflow: string,
  problem: ReturnType<typeof checkOptions>,
  prefix = ""
): InvalidOptions | undefined =>
  problem === undefined
    ? undefined
    : new InvalidOptions({
        workflow,
        field: `${prefix}${problem.path}`,
        value: problem.value,
        problem: problem.message
      })

/** The defect of two uses of one path (F1, F3). */
export const duplicate = (what: string, frame: Frame, name: string, key: string | undefined): Effect.Effect<never> => {
  const use = key === undefined ? name : `${name}/${key}`
  const path = frame.parent === undefined ? use : `${frame.path}/${use}`
  return Effect.die(
    new Error(
      `Two live uses of the path "${path}": a ${what} of that name is already going on there, or another place has the ` +
        `same path; give each a different name, or a "key" that tells them apart`
    )
  )
}
