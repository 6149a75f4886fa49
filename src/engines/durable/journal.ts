/**
 * The journal of one execution: everything that happens is appended here and written by the engine's writer; what a
 * replay repeats is recognised by its place, and not written again.
 */
import { hash } from "node:crypto"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Execution } from "../../Execution.ts"
import type { RequestOutcome } from "../../HumanRequest.ts"
import { Lazy, Tag } from "../../internal/eventLog.ts"
import type { ExecutionImpl } from "../../internal/execution.ts"
import { describe, mainError } from "../../internal/failure.ts"
import type { Frame } from "../../internal/frame.ts"
import {
  Calls,
  isCutOff,
  type Journal,
  type ModelEnd,
  type ModelPlace,
  type StepCodec
} from "../../internal/journal.ts"
import { type Pending, PendingApproval, type Settlement } from "../../internal/request.ts"
import type { RunImpl } from "../../internal/run.ts"
import { isSettled } from "../../Run.ts"
import type { Any } from "../../Workflow.ts"
import { askedOf, describeCall, describeOther } from "./calls.ts"
import { decodeStored, encodeOutcome, encodeStep, isCut, misfit, parse, replay, type Stored, told } from "./codec.ts"
import type { AnswerRow, EventRow, History, KnownRequest, RequestRow, StoredCall } from "./history.ts"
import { Outbox, type OutboxHost } from "./outbox.ts"
import { NotStorable } from "./plain.ts"
import { callKey, Recorded } from "./recorded.ts"
import { settlementOf, toResponses, toStoredRequest } from "./requests.ts"
import { DurableClock, Sleeps } from "./sleeps.ts"
import { type Expected, Strands } from "./strands.ts"
import { Turns } from "./turns.ts"
import { secretAnswer } from "./unstorable.ts"

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

/** Errors without a schema that were warned of. */
const warned = new WeakMap<Any, Set<string>>()

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
  /** What the body waits for that is only read: it does not stand still meanwhile. */
  lookups = 0
  /** Counts what the body does; stands still when the body waits. */
  activity = 0
  readonly recorded = new Recorded(
    new Turns(
      () => this.activity,
      (effect) => this.beside(effect)
    )
  )
  readonly sleeping = new Sleeps(this)
  /** How often each model call of the attempt was made. */
  private readonly asked = new Map<string, number>()
  /** When the wait for the next attempt ends. */
  retryAt: number | undefined = undefined
  /** How many answers of an open request have been taken up. */
  readonly answered = new Map<string, number>()
  /** What people said, or did not in time, to requests that the body has yet to come to. */
  unheard: { readonly answers: Array<AnswerRow>; readonly expired: Array<RequestRow> } = { answers: [], expired: [] }
  sequence = 0
  /** The number of the newest end of a step that the body was told. */
  told = 0
  attempt = 0
  /** The number of the newest end of a step. */
  private lastEnd = 0
  private endBatch = 0
  private attemptStartedAt = 0
  private ended = false
  /** How often it is not clear yet whether a replay fits. */
  private doubts = 0

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

  // -- writing --------------------------------------------------------------

  get above(): DurableJournal | undefined {
    return this.execution.parent?.journal as DurableJournal | undefined
  }

  append(tag: number, offsetMillis: number, frame: Frame | undefined, fields: unknown): void {
    if (this.isClosed || this.ended) return
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
      Strands.has(name) ? this.recorded.strands.markOf(path) : tag === Tag.RequestSettled ? this.toldBefore : null
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
        this.opened(fields as Pending)
        break
      case Tag.RequestSettled: {
        const { outcome, requestId } = data as { readonly outcome: RequestOutcome; readonly requestId: string }
        if (outcome === "withdrawn") this.write("withdrawn", [requestId])
        this.answered.delete(requestId)
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

  /** Steps that ended are told once that is on disk, answers at once: so which came first is written beside these. */
  private get toldBefore(): string | null {
    return this.told < this.lastEnd ? String(this.told) : null
  }

  private event(name: string, offsetMillis: number, path: string, fields: unknown, result: string | null): void {
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

  private opened(request: Pending): void {
    const { created_at, expires_at, message, rules } = toStoredRequest(request)
    this.answered.set(request.id, 0)
    this.write("request", [
      request.id,
      this.id,
      request.frame.path,
      this.attempt,
      request.kind,
      message,
      JSON.stringify(rules),
      this.sequence,
      created_at,
      expires_at,
      this.epoch
    ])
  }

  private beginAttempt(attempt: number, offsetMillis: number): void {
    this.recorded.next(attempt, this.execution.recorded !== undefined)
    this.attempt = attempt
    this.attemptStartedAt = offsetMillis
    this.retryAt = undefined
    this.isFrozen = false
    this.sleeping.clear()
    this.asked.clear()
  }

  // -- reading --------------------------------------------------------------

  /** Takes up what is stored of the attempt that goes on. */
  load(history: History, attempt: number): void {
    this.attempt = attempt
    const { events } = history
    this.sequence = events[events.length - 1]?.sequence ?? 0
    this.told = this.sequence
    const begun = events.find((event) => event.tag === "AttemptStarted" && event.attempt === attempt)
    if (begun !== undefined) this.attemptStartedAt = begun.time - this.startedAt
    this.recorded.load(history, attempt, this.execution.options.retry?.mode === "resume")
    this.sleeping.fires = this.recorded.timerCount
  }

  follow(fiber: Fiber.Fiber<unknown, unknown>, frame: Frame): Effect.Effect<void> | undefined {
    return this.goesTo(fiber, frame.path, () => `"${frame.path}"`)
  }

  /** A fiber begins something, which is called `found` where something else is expected. */
  private goesTo(
    fiber: Fiber.Fiber<unknown, unknown>,
    path: string,
    found: (expected: Expected) => string
  ): Effect.Effect<void> | undefined {
    const { strands, turns } = this.recorded
    const isInner = this.isInner(fiber)
    const isJudged = !isInner && this.isJudged(fiber)
    if (isJudged) this.watchEnd(fiber)
    const expected = strands.begin(fiber, path, fiber === this.execution.fiber, { isInner, isJudged })
    if (expected === undefined) return isInner ? undefined : turns.end
    return this.doubt(expected, found(expected), () => this.goesTo(fiber, path, found) ?? Effect.void)
  }

  /** Ends when the body has come as far as it came before, or stands still. */
  get replayed(): Effect.Effect<void> {
    const { strands, turns } = this.recorded
    if (strands.isEmpty) return Effect.void
    const turn = (quiet: number, seen: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (this.isClosed || quiet >= (turns.isOver ? 2 : 15)) return Effect.void
        return Effect.andThen(Effect.yieldNow, turn(this.activity === seen ? quiet + 1 : 0, this.activity))
      })
    return turn(0, this.activity)
  }

  /** Whether what a fiber does follows from the code alone (S3). */
  private isJudged(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return !this.frozen && isInterruptible(fiber)
  }

  /** Whether a fiber does the work of a step, which has the engine's clock. */
  private isInner(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const clock = Context.get(fiber.context, Clock.Clock)
    return !(clock instanceof DurableClock && clock.journal === this)
  }

  entered(fiber: Fiber.Fiber<unknown, unknown>, frame: Frame): void {
    if (fiber === this.execution.fiber || this.isInner(fiber) || !this.isJudged(fiber)) return
    this.watchEnd(fiber)
    this.recorded.strands.enter(fiber, frame)
  }

  /** In a replay, looks whether a fiber of a body comes as far as it came before. */
  private watchEnd(fiber: Fiber.Fiber<unknown, unknown>): void {
    const { strands } = this.recorded
    if (strands.isEmpty || fiber === this.execution.fiber || strands.knows(fiber)) return
    fiber.addObserver((exit) => {
      if (this.frozen || isInterrupted(exit)) return
      const expected = strands.end(fiber, false)
      if (expected === undefined) return
      this.doubts++
      const doubt = this.beside(this.doubt(expected, fiberEnd, () => Effect.void, Effect.void))
      doubt.addObserver(() => this.doubts--)
    })
  }

  bodyEnds(fiber: Fiber.Fiber<unknown, unknown>, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined {
    if (this.frozen || isInterrupted(exit)) return undefined
    const expected = this.recorded.strands.end(fiber, true)
    if (expected !== undefined) return this.doubt(expected, bodyEnd, () => Effect.void)
    this.warnOfUnasked()
    const settled: Effect.Effect<void> = Effect.suspend(() =>
      this.doubts === 0 ? Effect.void : Effect.andThen(Effect.yieldNow, settled)
    )
    return this.doubts === 0 ? undefined : settled
  }

  /** Where another fiber does what was expected of this one, it may go on; else the journal is not that of this code. */
  private doubt(
    expected: Expected,
    found: string,
    goOn: () => Effect.Effect<void>,
    hold: Effect.Effect<void> = Effect.never
  ): Effect.Effect<void> {
    const turn = (quiet: number, seen: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (expected.asked || this.frozen || this.isClosed) return goOn()
        if (quiet < 10)
          return Effect.andThen(Effect.yieldNow, turn(this.activity === seen ? quiet + 1 : 0, this.activity))
        const { call, path } = expected
        if (call === undefined) this.host.mismatch(this, path, `"${path}"`, found)
        else this.host.mismatch(this, call.path, `the recorded ${describeCall(call.asked)}`, found)
        return hold
      })
    return turn(0, this.activity)
  }

  stepResult(
    fiber: Fiber.Fiber<unknown, unknown>,
    path: string,
    codec: StepCodec | undefined
  ): Effect.Effect<any, any> | undefined {
    this.activity++
    const stored = this.recorded.result(path)
    if (stored === undefined) return undefined
    const exit = decodeStored(stored, codec?.output, this.execution.definition, codec)
    const isBody = fiber === this.execution.fiber
    const turn = exit === undefined || isCut(stored) ? undefined : this.recorded.turns.wait(`step ${path}`, isBody)
    if (exit !== undefined)
      return turn === undefined ? replay(stored, exit) : Effect.andThen(Effect.uninterruptible(turn), exit)
    return this.misfit(path, "a result that fits the step's schema", this.describeMisfit(stored, codec))
  }

  private describeMisfit(stored: Stored, codec: StepCodec | undefined): string {
    const isResult = "v" in stored && codec?.output !== undefined
    return isResult ? misfit("one", codec.output, stored.v) : "an error that no schema here describes"
  }

  reusable(path: string, codec: StepCodec | undefined): Exit.Exit<any, any> | undefined {
    const stored = this.recorded.earlierResult(path)
    if (stored === undefined || "by" in stored || "d" in stored || "i" in stored) return undefined
    return decodeStored(stored, codec?.output, this.execution.definition, codec)
  }

  hasBegun(path: string): boolean {
    return this.recorded.hasBegun(path)
  }

  tell(frame: Frame, cause: Cause.Cause<any>, codec: StepCodec | undefined): Effect.Effect<never, any> {
    const { definition } = this.execution
    const known = told(cause, definition, codec)
    if (known === undefined) return Effect.failCause(cause)
    if (known.lost.length > 0) this.warn(frame, mainError(cause), known.lost)
    return known.exit
  }

  /** Says once what of an error the body will not see. */
  private warn(frame: Frame, error: unknown, lost: ReadonlyArray<string>): void {
    const { definition, workflow } = this.execution
    const name = describe(error).error
    const known = warned.get(definition) ?? new Set()
    if (known.has(name)) return
    warned.set(definition, known.add(name))
    const warning = Effect.logWarning(
      `Step "${frame.path}" of ${workflow} failed with ${name}, which no schema describes: its body sees it without ` +
        `${lost.join(", ")}; give the step an \`error\` schema, or handle the error inside of the step`
    )
    this.beside(warning)
  }

  /** Says which recorded model calls the body did not make again, where that is no mismatch (S3). */
  private warnOfUnasked(): void {
    const { unasked } = this.recorded
    if (unasked.size === 0) return
    const warning = Effect.logWarning(
      `The body of ${this.execution.workflow} did not ask again for ${unasked.size} of its recorded model calls, at ` +
        `${[...new Set(unasked.values())].map((path) => `"${path}"`).join(", ")}: what it asked instead was asked anew`
    )
    this.beside(warning)
  }

  /** Runs something beside the body. */
  private beside(effect: Effect.Effect<void>): Fiber.Fiber<void> {
    const { context, host } = this.execution
    const fiber = Effect.runForkWith(context)(effect)
    host.adopt(fiber)
    return fiber
  }

  stepEnded(
    frame: Frame,
    exit: Exit.Exit<unknown, unknown>,
    durationMillis: number,
    codec: StepCodec | undefined,
    isOwn: boolean
  ): Effect.Effect<void> | undefined {
    this.activity++
    if (this.isClosed || this.ended) return undefined
    const offset = this.execution.now()
    const { path } = frame
    const encoded = encodeStep(exit, this.execution.definition, codec)
    const stored: Stored | NotStorable = isOwn && "i" in encoded ? { i: "self" } : encoded
    if (stored instanceof NotStorable) {
      const error = new Error(
        `${stored.describe(`The result of step "${path}" of ${this.execution.workflow}`)}; ` +
          "give the step an `output` schema without secrets, or return plain JSON"
      )
      this.failed(path, offset, { durationMillis, interrupted: false, ...describe(error) }, { d: describeError(error) })
      return Effect.andThen(this.flush, Effect.die(error))
    }
    if (exit._tag === "Success") {
      if (!this.recorded.isRepeated("StepCompleted", path)) {
        this.event("StepCompleted", offset, path, { durationMillis }, this.toEnd(stored))
      }
      return this.tellEnd
    }
    const interrupted = "i" in stored
    const what = interrupted ? interruption : describe(mainError(exit.cause))
    this.failed(path, offset, { durationMillis, interrupted, ...what }, stored)
    return isCut(stored) ? undefined : this.tellEnd
  }

  /** What is stored of an end: `t` where it is written, and so told, together with the one before. */
  private toEnd(stored: Stored | StoredCall): string {
    const { batch } = this
    const isTogether = batch === this.endBatch
    this.endBatch = batch
    return JSON.stringify(isTogether ? { ...stored, t: 1 } : stored)
  }

  /** Ends when the body may be told of what ended last. */
  private get tellEnd(): Effect.Effect<void> {
    const { sequence } = this
    this.lastEnd = sequence
    return Effect.map(this.flush, () => {
      this.told = Math.max(this.told, sequence)
    })
  }

  private failed(path: string, offset: number, fields: object, stored: Stored): void {
    if (this.recorded.isRepeated("StepFailed", path)) return
    this.event("StepFailed", offset, path, fields, isCut(stored) ? JSON.stringify(stored) : this.toEnd(stored))
  }

  modelPlace(frame: Frame, request: string, question: ModelPlace["request"]): ModelPlace {
    this.activity++
    const asked = `${frame.path} ${hash("sha256", request)}`
    const n = (this.asked.get(asked) ?? 0) + 1
    this.asked.set(asked, n)
    return { frame, key: n === 1 ? asked : `${asked}#${n}`, request: question }
  }

  modelAnswer({ key }: ModelPlace): unknown {
    return this.recorded.answer(key)
  }

  modelBegins(
    fiber: Fiber.Fiber<unknown, unknown>,
    place: ModelPlace,
    isKnown: boolean
  ): Effect.Effect<void> | undefined {
    const key = callKey(place.key)
    if (!isKnown) {
      const wait = this.goesTo(fiber, key, ({ call }) => describeOther(askedOf(place), call?.asked))
      const open = Effect.sync(() => {
        this.recorded.strands.open(fiber, key, fiber === this.execution.fiber, this.sequence)
      })
      return wait === undefined ? open : Effect.andThen(wait, open)
    }
    // What an earlier attempt was told is not of this one.
    if (!this.recorded.strands.knowsOf(key)) return undefined
    this.goesTo(fiber, key, () => "")
    return this.recorded.turns.wait(key, fiber === this.execution.fiber)
  }

  modelEnded({ answer, deltas, fields, place, tries }: ModelEnd): Effect.Effect<void> {
    this.activity++
    if (this.isClosed || this.ended) return Effect.void
    const began = this.recorded.strands.close(callKey(place.key), true)
    const asked = askedOf(place)
    const call: StoredCall = { model: place.key, answer, tries, deltas, ...(began && { began: { ...began, asked } }) }
    if (this.execution.recorded !== undefined) this.recorded.keepAnswer(call)
    const row = isCutOff(answer) ? JSON.stringify(call) : this.toEnd(call)
    this.event("ModelCalled", this.execution.now(), place.frame.path, fields, row)
    return isCutOff(answer) ? this.flush : this.tellEnd
  }

  modelLost({ key }: ModelPlace): void {
    this.activity++
    this.recorded.strands.close(callKey(key), false)
  }

  reopen(request: Pending, frame: Frame): Settlement | true | undefined {
    this.activity++
    const secret = secretAnswer(request, this.execution.workflow)
    if (secret !== undefined) return Effect.die(secret)
    const known = this.recorded.request(frame.path)
    if (known === undefined)
      return undefined
      // It was opened then, whatever the time is now.
    ;(frame as { startedAt: number }).startedAt = known.row.created_at - this.startedAt
    request.open(frame)
    if (known.row.kind !== request.kind) {
      return this.misfit(frame.path, `an ${request.kind.toLowerCase()} request`, known.row.kind)
    }
    if (known.settled === undefined) {
      this.recorded.reopened(frame.path)
      this.restoreAnswers(request, known)
      return true
    }
    if (known.settled.outcome === "withdrawn") return Effect.never
    const settlement = settlementOf(request, known)
    const turn = settlement === undefined ? undefined : this.recorded.turns.wait(`request ${frame.path}`)
    if (settlement !== undefined) return turn === undefined ? settlement : Effect.andThen(turn, settlement)
    return this.misfit(frame.path, "an answer that fits the request's schema", known.settled.outcome)
  }

  reusableAnswer(request: Pending, frame: Frame): Exit.Exit<any, any> | undefined {
    const known = this.recorded.earlierRequest(frame.path)
    if (known === undefined || known.row.kind !== request.kind) return undefined
    request.open(frame)
    const settlement = settlementOf(request, known)
    return settlement !== undefined && Exit.isExit(settlement) && settlement._tag === "Success" ? settlement : undefined
  }

  /** Gives a request that is still open the answers that its events tell of. */
  restoreAnswers(request: Pending, known: KnownRequest): void {
    this.answered.set(request.id, known.answered)
    if (request instanceof PendingApproval) request.restore(toResponses(known.answers.slice(0, known.answered)))
  }

  expire(request: Pending): void {
    const { execution } = this
    this.host.expire(execution, request, execution.startedAt + execution.now())
  }

  /** What is recorded does not fit; a body that is undone goes no further than here. */
  private misfit(path: string, expected: string, found: string): Effect.Effect<never> {
    if (!this.isFrozen) this.host.mismatch(this, path, expected, found)
    return this.stall
  }

  readonly stall: Effect.Effect<never> = Effect.suspend(() => {
    this.activity++
    return Effect.never
  })

  cutOff({ path: step, startedAt }: Frame): void {
    const { execution } = this
    const { requests, steps } = this.recorded.unfinished(step)
    const offset = execution.now()
    for (const { id, path } of requests) {
      this.event("RequestSettled", offset, path, { requestId: id, outcome: "withdrawn" }, null)
      this.write("withdrawn", [id])
      this.recorded.reopened(path)
    }
    if (requests.length > 0) execution.refreshStatus()
    for (const path of steps) {
      this.failed(path, offset, { durationMillis: offset - startedAt, interrupted: true, ...interruption }, { i: true })
    }
  }

  startChild(
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl
  ): Effect.Effect<Execution<any, any>> {
    this.activity++
    const start = (known: string | undefined) =>
      this.looksUp(() => this.host.startChild(parent, fiber, frame, run, known))
    const known = this.recorded.child(frame.path)
    if (known !== undefined) {
      this.follow(fiber, frame)
      return start(known)
    }
    const leave = Effect.sync(() => frame.parent?.leave(frame))
    const begin = Effect.suspend(() => {
      if (!parent.isLive(frame)) return Effect.interrupt
      const wait = this.frozen ? this.stall : this.follow(fiber, frame)
      const begun = Effect.suspend(() => {
        // Where an attempt resumes, the next one may use it.
        if (parent.recorded !== undefined) this.recorded.keepChild(frame.path, run.id)
        return start(undefined)
      })
      return wait === undefined
        ? begun
        : Effect.andThen(
            Effect.onInterrupt(wait, () => leave),
            begun
          )
    })
    const earlier = this.recorded.earlierChild(frame.path)
    if (earlier === undefined) return begin
    const completed = Effect.onInterrupt(
      this.looksUp(() => this.host.completed(earlier, run)),
      () => leave
    )
    return Effect.flatMap(completed, (handle) => (handle === undefined ? begin : Effect.as(leave, handle)))
  }

  /** Reads what the body waits for; it does not stand still meanwhile. */
  private looksUp<A>(read: () => Effect.Effect<A>): Effect.Effect<A> {
    return Effect.suspend(() => {
      this.lookups++
      return Effect.ensuring(
        read(),
        Effect.sync(() => this.lookups--)
      )
    })
  }

  // -- time -----------------------------------------------------------------

  bodyContext(context: Context.Context<never>): Context.Context<never> {
    const clock = Context.get(context, Clock.Clock)
    // What its parent is called in is not what it is called in.
    const own = Context.add(context, Calls, undefined)
    return Context.add(own, Clock.Clock, new DurableClock(clock, this))
  }

  stepContext<A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.provideService(work, Clock.Clock, this.execution.clock)
  }

  /** How long the current attempt's clock has run, in milliseconds. */
  spent(events: ReadonlyArray<EventRow>, isActive: boolean, now: number): number {
    const since = this.startedAt + this.attemptStartedAt
    if (!isActive) return now - since
    let spent = 0
    let from: number | undefined = since
    for (const event of events) {
      if (event.tag !== "StatusChanged" || event.time < since) continue
      const { to } = parse(event.fields)
      if (to === "in-progress") from = event.time
      else if (from !== undefined) {
        spent += event.time - from
        from = undefined
      }
    }
    return from === undefined ? spent : spent + now - from
  }

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

const interruption = { error: "Interrupted", message: "The step was interrupted" }

const bodyEnd = "the end of the body"
const fiberEnd = "the end of the fiber"

const isInterrupted = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Failure" && Cause.hasInterrupts(exit.cause)

/** A fiber knows it, but has no public name for it. */
const isInterruptible = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  (fiber as unknown as { readonly interruptible: boolean }).interruptible

const describeError = (error: Error) => ({ name: error.name, message: error.message })
