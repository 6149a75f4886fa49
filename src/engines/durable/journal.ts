/**
 * The journal of one execution: everything that happens is appended here and written by the engine's writer; what a
 * replay repeats is recognised by its place, and not written again.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Execution } from "../../Execution.ts"
import type { RequestOutcome } from "../../HumanRequest.ts"
import { Lazy, Tag } from "../../internal/eventLog.ts"
import type { ExecutionImpl } from "../../internal/execution.ts"
import type { Frame } from "../../internal/frame.ts"
import { Calls, type Journal, type ModelEnd, type ModelPlace, type StepCodec } from "../../internal/journal.ts"
import type { Pending, Settlement } from "../../internal/request.ts"
import type { RunImpl } from "../../internal/run.ts"
import { isSettled } from "../../Run.ts"
import { BodyRequests } from "./bodyRequests.ts"
import { Children } from "./children.ts"
import { encodeOutcome, type Stored } from "./codec.ts"
import { Ends } from "./ends.ts"
import { Follower } from "./follower.ts"
import type { History } from "./history.ts"
import { ModelCalls } from "./modelCalls.ts"
import { Outbox, type OutboxHost } from "./outbox.ts"
import { NotStorable } from "./plain.ts"
import { Recorded } from "./recorded.ts"
import { DurableClock, Sleeps } from "./sleeps.ts"
import { Steps } from "./steps.ts"
import { Strands } from "./strands.ts"
import { Turns } from "./turns.ts"

const tagNames = Object.fromEntries(Object.entries(Tag).map(([name, tag]) => [tag, name])) as Record<number, string>

/** What a journal needs of the engine. */
export interface JournalHost extends OutboxHost<DurableJournal> {
  /** No new work begins, since the process is about to end. */
  readonly isDraining: boolean
  readonly startChild: (
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl,
    childId: string | undefined
  ) => Effect.Effect<Execution<any, any>>
  /** A child of an earlier attempt, if it has completed. */
  readonly completed: (childId: string, run: RunImpl) => Effect.Effect<Execution<any, any> | undefined>
  /** The time of a request is up. */
  readonly expire: (execution: ExecutionImpl, request: Pending, now: number) => void
  /** The body waits again for a request that was open: people may have answered it where no event tells of it. */
  readonly reopened: (execution: ExecutionImpl) => void
  /** The execution waits for time. */
  readonly waits: (execution: ExecutionImpl) => void
  /** The execution has settled, and that is on disk. */
  readonly settled: (journal: DurableJournal, exit: Exit.Exit<any, any>) => void
  /** The body goes only as far as it went before, and is interrupted there. */
  readonly interruptThere: (journal: DurableJournal) => void
  /** The journal is not that of this body. */
  readonly mismatch: (journal: DurableJournal, path: string, expected: string, found: string) => void
}

export class DurableJournal extends Outbox implements Journal {
  readonly host: JournalHost
  readonly startedAt: number
  execution!: ExecutionImpl
  /** The run at the top of the tree it belongs to: who has that has them all. */
  rootId: string
  /** The body goes only as far as it went before, until it is interrupted there. */
  isFrozen = false
  /** It is to go on in another process, and begins nothing new here. */
  isMoving = false
  /** It has been there, whatever is left of what it was to do again. */
  hasCaughtUp = false
  inFlight = 0
  /** Counts what the body does; stands still when the body waits. */
  activity = 0
  readonly recorded = new Recorded(
    new Turns(
      () => this.activity,
      (effect) => this.beside(effect)
    )
  )
  readonly sleeping = new Sleeps(this)
  readonly steps = new Steps(this)
  readonly calls = new ModelCalls(this)
  readonly requests = new BodyRequests(this)
  readonly children = new Children(this)
  readonly ends = new Ends(this)
  readonly follower = new Follower(this)
  /** When the wait for the next attempt ends. */
  retryAt: number | undefined = undefined
  sequence = 0
  attempt = 0
  /** When the attempt began, in milliseconds since the execution started. */
  attemptStartedAt = 0
  private ended = false

  constructor(host: JournalHost, id: string, epoch: string, startedAt: number) {
    super(id, epoch)
    this.host = host
    this.startedAt = startedAt
    this.rootId = id
  }

  catchesUp(): boolean {
    if (!this.isFrozen) {
      if (this.hasCaughtUp || !this.recorded.isAhead) return false
      this.isFrozen = true
      this.host.interruptThere(this)
    }
    return true
  }

  get frozen(): boolean {
    return this.isFrozen || this.isMoving || this.host.isDraining
  }

  /** Nothing that the body does is written any more. */
  get isOver(): boolean {
    return this.isClosed || this.ended
  }

  // -- writing --------------------------------------------------------------

  get above(): DurableJournal | undefined {
    return this.execution.parent?.journal as DurableJournal | undefined
  }

  append(tag: number, offsetMillis: number, frame: Frame | undefined, fields: unknown): void {
    if (this.isOver) return
    const name = tagNames[tag]
    const path = frame === undefined ? "" : frame.path
    if (tag === Tag.AttemptStarted) this.beginAttempt((fields as { readonly attempt: number }).attempt, offsetMillis)
    else if (this.recorded.isRepeated(name, path)) {
      if (tag === Tag.RequestOpened) this.host.reopened(this.execution)
      return
    }
    const data =
      typeof fields === "number" ? { durationMillis: fields } : fields instanceof Lazy ? fields.fields : fields
    this.event(
      name,
      offsetMillis,
      path,
      tag === Tag.Progressed ? { ...(data as object), depth: frame!.depth } : data,
      Strands.has(name) ? this.recorded.strands.markOf(path) : tag === Tag.RequestSettled ? this.ends.toldBefore : null
    )
    switch (tag) {
      case Tag.StatusChanged: {
        const { to } = fields as { readonly to: Parameters<typeof isSettled>[0] }
        if (to !== "in-progress" || this.sequence > 2) if (!isSettled(to)) this.status()
        break
      }
      case Tag.Paused:
      case Tag.Resumed:
        this.status()
        break
      case Tag.RequestOpened:
        this.requests.opened(fields as Pending)
        break
      case Tag.RequestSettled: {
        const { outcome, requestId } = data as { readonly outcome: RequestOutcome; readonly requestId: string }
        this.requests.settled(requestId, outcome)
        break
      }
      case Tag.RetryScheduled: {
        const { delayMillis } = fields as { readonly delayMillis: number }
        this.retryAt = this.startedAt + offsetMillis + delayMillis
        this.host.waits(this.execution)
        break
      }
    }
    if (tag >= Tag.RunCompleted) this.ended = true
  }

  event(name: string, offsetMillis: number, path: string, fields: unknown, result: string | null): void {
    this.write("event", [
      this.id,
      ++this.sequence,
      this.startedAt + offsetMillis,
      name,
      path,
      this.attempt,
      this.epoch,
      fields === undefined ? "{}" : JSON.stringify(fields),
      result
    ])
  }

  /** Writes the row's status and whether it is paused. */
  status(): void {
    this.write("status", [this.execution.state, this.execution.paused ? 1 : 0, this.id, this.epoch])
  }

  private beginAttempt(attempt: number, offsetMillis: number): void {
    this.recorded.next(attempt, this.execution.recorded !== undefined)
    this.attempt = attempt
    this.attemptStartedAt = offsetMillis
    this.retryAt = undefined
    this.isFrozen = false
    this.sleeping.clear()
    this.calls.clear()
  }

  // -- reading --------------------------------------------------------------

  /** Takes up what is stored of the attempt that goes on. */
  load(history: History, attempt: number): void {
    this.attempt = attempt
    const { events } = history
    this.sequence = events[events.length - 1]?.sequence ?? 0
    this.ends.told = this.sequence
    const begun = events.find((event) => event.tag === "AttemptStarted" && event.attempt === attempt)
    if (begun !== undefined) this.attemptStartedAt = begun.time - this.startedAt
    this.recorded.load(history, attempt, this.execution.options.retry?.mode === "resume")
    this.sleeping.fires = this.recorded.timerCount
  }

  /** What is recorded does not fit; a body that is undone goes no further than here. */
  misfit(path: string, expected: string, found: string): Effect.Effect<never> {
    if (!this.isFrozen) this.host.mismatch(this, path, expected, found)
    return this.stall
  }

  readonly stall: Effect.Effect<never> = Effect.suspend(() => {
    this.activity++
    return Effect.never
  })

  // -- what a body does -----------------------------------------------------

  bodyContext(context: Context.Context<never>): Context.Context<never> {
    const clock = Context.get(context, Clock.Clock)
    // What its parent is called in is not what it is called in.
    const own = Context.add(context, Calls, undefined)
    return Context.add(own, Clock.Clock, new DurableClock(clock, this))
  }

  stepContext<A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.provideService(work, Clock.Clock, this.execution.clock)
  }

  follow(fiber: Fiber.Fiber<unknown, unknown>, frame: Frame): Effect.Effect<void> | undefined {
    return this.follower.begins(fiber, frame.path, () => `"${frame.path}"`)
  }

  entered(fiber: Fiber.Fiber<unknown, unknown>, frame: Frame): void {
    this.follower.entered(fiber, frame)
  }

  bodyEnds(fiber: Fiber.Fiber<unknown, unknown>, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    return this.follower.bodyEnds(fiber, exit)
  }

  get replayed(): Effect.Effect<void> {
    return this.follower.replayed
  }

  stepResult(
    fiber: Fiber.Fiber<unknown, unknown>,
    path: string,
    codec: StepCodec | undefined
  ): Effect.Effect<any, any> | undefined {
    return this.steps.result(fiber, path, codec)
  }

  reusable(path: string, codec: StepCodec | undefined): Exit.Exit<any, any> | undefined {
    return this.steps.reusable(path, codec)
  }

  hasBegun(path: string): boolean {
    return this.recorded.hasBegun(path)
  }

  tell(frame: Frame, cause: Cause.Cause<any>, codec: StepCodec | undefined): Effect.Effect<never, any> {
    return this.steps.tell(frame, cause, codec)
  }

  stepEnded(
    frame: Frame,
    exit: Exit.Exit<unknown, unknown>,
    durationMillis: number,
    codec: StepCodec | undefined,
    isOwn: boolean
  ): Effect.Effect<void> | undefined {
    return this.steps.ended(frame, exit, durationMillis, codec, isOwn)
  }

  cutOff(frame: Frame): void {
    this.steps.cutOff(frame)
  }

  modelPlace(frame: Frame, request: string, question: ModelPlace["request"]): ModelPlace {
    return this.calls.place(frame, request, question)
  }

  modelAnswer({ key }: ModelPlace): unknown {
    return this.recorded.answer(key)
  }

  modelBegins(
    fiber: Fiber.Fiber<unknown, unknown>,
    place: ModelPlace,
    isKnown: boolean
  ): Effect.Effect<void> | undefined {
    return this.calls.begins(fiber, place, isKnown)
  }

  modelEnded(end: ModelEnd): Effect.Effect<void> {
    return this.calls.ended(end)
  }

  modelLost(place: ModelPlace): void {
    this.calls.lost(place)
  }

  reopen(request: Pending, frame: Frame): Settlement | true | undefined {
    return this.requests.reopen(request, frame)
  }

  reusableAnswer(request: Pending, frame: Frame): Exit.Exit<any, any> | undefined {
    return this.requests.reusableAnswer(request, frame)
  }

  expire(request: Pending): void {
    const { execution } = this
    this.host.expire(execution, request, execution.startedAt + execution.now())
  }

  startChild(
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl
  ): Effect.Effect<Execution<any, any>> {
    return this.children.start(parent, fiber, frame, run)
  }

  /** Runs something beside the body. */
  beside(effect: Effect.Effect<void>): Fiber.Fiber<void> {
    const { context, host } = this.execution
    const fiber = Effect.runForkWith(context)(effect)
    host.adopt(fiber)
    return fiber
  }

  // -- the end --------------------------------------------------------------

  settled(exit: Exit.Exit<any, any>, tell: (exit: Exit.Exit<any, any>) => void): void {
    const { execution } = this
    if (this.isClosed) return
    const encoded = encodeOutcome(exit, execution.definition)
    const stored: Stored =
      encoded instanceof NotStorable
        ? { d: { name: "Error", message: encoded.describe(`The output of ${execution.workflow}`) } }
        : encoded
    this.write("settled", [
      execution.state,
      execution.settledAt,
      JSON.stringify(execution.used),
      JSON.stringify(stored),
      this.id,
      this.epoch
    ])
    Effect.runFork(
      Effect.andThen(
        this.flush,
        Effect.sync(() => {
          if (this.isClosed) return
          this.host.settled(this, exit)
          tell(exit)
        })
      )
    )
  }
}
