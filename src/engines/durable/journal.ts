/**
 * The journal of one execution: everything that happens is appended here and written by the engine's writer; what a
 * replay repeats is recognised by its place, and not written again.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { Approval } from "../../Approval.ts"
import type { Execution } from "../../Execution.ts"
import type { RequestOutcome } from "../../HumanRequest.ts"
import { Lazy, Tag } from "../../internal/eventLog.ts"
import { describe, type ExecutionImpl, mainError } from "../../internal/execution.ts"
import { currentFrame, type Frame } from "../../internal/frame.ts"
import type { Journal, StepCodec } from "../../internal/journal.ts"
import { type Answer, type Pending, PendingApproval, type Settlement } from "../../internal/request.ts"
import type { RunImpl } from "../../internal/run.ts"
import { isSettled } from "../../Run.ts"
import { decodeStored, encodeOutcome, encodeStep, NotStorable, parse, replay, type Stored } from "./codec.ts"
import type { Kind, Owner, Writer } from "./writer.ts"

const tagNames = Object.fromEntries(Object.entries(Tag).map(([name, tag]) => [tag, name])) as Record<number, string>

/** What a body does again when it is replayed; everything else is done to it. */
const repeatable = new Set<string>([
  "StepStarted",
  "StepCompleted",
  "StepFailed",
  "StepRetried",
  "ModelCalled",
  "TextDelta",
  "RequestOpened",
  "Progressed",
  "Logged",
  "ChildStarted"
])

/** An event as it is stored. */
export interface EventRow {
  readonly sequence: number
  readonly time: number
  readonly tag: string
  readonly path: string
  readonly attempt: number
  readonly fields: string
  readonly result: string | null
}

/** A request as it is stored. */
export interface RequestRow {
  readonly id: string
  readonly execution_id: string
  readonly path: string
  readonly attempt: number
  readonly kind: "Approval" | "Input"
  readonly message: string
  readonly rules: string
  readonly created_at: number
  readonly expires_at: number | null
  readonly outcome: RequestOutcome | null
  readonly decided_at: number | null
}

/** An answer as it is stored. */
export interface AnswerRow {
  readonly request_id: string
  readonly n: number
  readonly by_whom: string
  readonly said: string
  readonly time: number
}

/** What is stored of an execution that is taken up again. */
export interface History {
  readonly events: ReadonlyArray<EventRow>
  readonly requests: ReadonlyArray<RequestRow>
  readonly answers: ReadonlyArray<AnswerRow>
  readonly timers: ReadonlyArray<{
    readonly attempt: number
    readonly path: string
    readonly due: number
    readonly state: string
  }>
  readonly seeds: ReadonlyArray<{ readonly path: string; readonly result: string }>
  readonly children: ReadonlyArray<{ readonly id: string; readonly status: string }>
}

/** What a journal needs of the engine. */
export interface JournalHost {
  /** No new work begins, since the process is about to end. */
  readonly isDraining: boolean
  readonly writer: Writer
  readonly startChild: (
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl,
    childId: string | undefined
  ) => Effect.Effect<Execution<any, any>>
  /** The time of a request is up. */
  readonly expire: (execution: ExecutionImpl, request: Pending, now: number) => void
  /** The body waits again for a request that was open: people may have answered it where no event tells of it. */
  readonly reopened: (execution: ExecutionImpl) => void
  /** The execution has settled, and that is on disk. */
  readonly settled: (journal: DurableJournal, exit: Exit.Exit<any, any>) => void
  /** Another owner wrote first. */
  readonly lost: (journal: DurableJournal) => void
  /** Something of it is on disk. */
  readonly written: (journal: DurableJournal) => void
  /** The journal is not that of this body. */
  readonly mismatch: (journal: DurableJournal, path: string, expected: string, found: string) => void
}

interface KnownRequest {
  readonly row: RequestRow
  readonly answers: ReadonlyArray<AnswerRow>
  /** How it was settled, as far as its events tell. */
  readonly settled: { readonly outcome: RequestOutcome; readonly time: number } | undefined
  /** How many of the answers its events tell of. */
  readonly answered: number
}

/** What a run begins with that was made from another: a step's end, or what people said. */
export type Seed = Stored | { readonly request: KnownRequest }

/** What the last attempt of a run had done before a sequence number. */
export const seedsOf = (
  history: History,
  events: ReadonlyArray<EventRow>,
  before: number
): ReadonlyArray<readonly [path: string, seed: Seed]> => {
  const seeds = new Map<string, Seed>(history.seeds.map(({ path, result }) => [path, parse(result)]))
  const last = events[events.length - 1]?.attempt ?? 0
  const reused = new Set(
    events.flatMap((event) =>
      event.attempt === last && event.tag === "StepCompleted" && event.result === null ? [event.path] : []
    )
  )
  for (const event of events) {
    if (Number(event.sequence) >= before) break
    if (event.tag === "StepCompleted" && event.result !== null && (event.attempt === last || reused.has(event.path))) {
      seeds.set(event.path, parse(event.result))
    }
    if (event.tag !== "RequestSettled") continue
    const { outcome, requestId } = parse(event.fields)
    const row = history.requests.find((request) => request.id === requestId)
    // A no would only be said again by a run that is to go on.
    if (row === undefined || (outcome !== "approved" && outcome !== "answered")) continue
    const answers = history.answers.filter((answer) => answer.request_id === requestId)
    const settled = { outcome, time: Number(event.time) }
    seeds.set(row.path, { request: { row, answers, settled, answered: answers.length } })
  }
  return [...seeds]
}

interface Timer {
  readonly due: number
  readonly state: string
}

export class DurableJournal implements Journal, Owner {
  readonly id: string
  readonly epoch: string
  readonly startedAt: number
  readonly host: JournalHost
  execution!: ExecutionImpl
  /** The run at the top of the tree it belongs to: who has that has them all. */
  rootId: string
  /** The body goes only as far as it went before, until it is interrupted there. */
  isFrozen = false
  inFlight = 0
  /** Counts what the body does; stands still when the body waits. */
  activity = 0
  /** When the sleeps of the body end, by path. */
  readonly sleeping = new Map<string, number>()
  /** When the wait for the next attempt ends. */
  retryAt: number | undefined = undefined
  /** How many answers of an open request have been taken up. */
  readonly answered = new Map<string, number>()
  sequence = 0
  private attempt = 0
  private attemptStartedAt = 0
  private closed = false
  private ended = false
  private appended = 0
  private onDisk = 0
  private waiting: Array<{ readonly upTo: number; readonly resume: () => void }> = []

  // What is recorded of the current attempt, each taken out when the body gets there.
  private repeats = new Map<string, number>()
  private results = new Map<string, Stored>()
  private begun = new Set<string>()
  private requests = new Map<string, KnownRequest>()
  private timers = new Map<string, Timer>()
  private children = new Map<string, string>()
  private sleeps = new Map<string, number>()
  /** Results of earlier attempts, or of the run that this one was made from. */
  private earlier = new Map<string, Stored>()
  private earlierRequests = new Map<string, KnownRequest>()
  private earlierChildren = new Map<string, string>()

  constructor(host: JournalHost, id: string, epoch: string, startedAt: number) {
    this.host = host
    this.id = id
    this.epoch = epoch
    this.startedAt = startedAt
    this.rootId = id
  }

  get frozen(): boolean {
    return this.isFrozen || this.host.isDraining
  }

  // -- writing --------------------------------------------------------------

  private add(kind: Kind, values: ReadonlyArray<unknown>): void {
    if (this.closed) return
    this.appended++
    this.host.writer.add(this, { kind, values })
  }

  /** Rows that are not events. */
  write(kind: Kind, values: ReadonlyArray<unknown>): void {
    this.add(kind, values)
  }

  written(rows: number): void {
    this.onDisk += rows
    this.host.written(this)
    if (this.waiting.length === 0) return
    const waiting = this.waiting
    this.waiting = []
    for (const wait of waiting) {
      if (wait.upTo <= this.onDisk) wait.resume()
      else this.waiting.push(wait)
    }
  }

  lost(): void {
    this.host.lost(this)
  }

  /** Nothing is written any more; who waits for the disk is let go, and finds the execution gone. */
  close(): void {
    this.closed = true
    const waiting = this.waiting
    this.waiting = []
    for (const { resume } of waiting) resume()
  }

  get isClosed(): boolean {
    return this.closed
  }

  get isIdle(): boolean {
    return this.onDisk === this.appended
  }

  readonly flush: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.closed || this.onDisk === this.appended) return resume(Effect.void)
    const wait = { upTo: this.appended, resume: () => resume(Effect.void) }
    this.waiting.push(wait)
    return Effect.sync(() => {
      this.waiting = this.waiting.filter((other) => other !== wait)
    })
  })

  append(tag: number, offsetMillis: number, frame: Frame | undefined, fields: unknown): void {
    if (this.closed || this.ended) return
    const name = tagNames[tag]
    const path = frame === undefined ? "" : frame.path
    if (tag === Tag.AttemptStarted) this.beginAttempt((fields as { readonly attempt: number }).attempt, offsetMillis)
    else if (this.isRepeated(name, path)) {
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
      null
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
        if (outcome === "withdrawn") this.add("withdrawn", [requestId])
        this.answered.delete(requestId)
        break
      }
      case Tag.RetryScheduled: {
        const { delayMillis } = fields as { readonly delayMillis: number }
        this.retryAt = this.startedAt + offsetMillis + delayMillis
        break
      }
    }
    if (tag >= Tag.RunCompleted) this.ended = true
  }

  private event(name: string, offsetMillis: number, path: string, fields: unknown, result: string | null): void {
    this.add("event", [
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

  private status(): void {
    this.add("status", [this.execution.state, this.execution.paused ? 1 : 0, this.id, this.epoch])
  }

  private opened(request: Pending): void {
    const { created_at, expires_at, rules } = toStoredRequest(request)
    this.answered.set(request.id, 0)
    this.add("request", [
      request.id,
      this.id,
      request.frame.path,
      this.attempt,
      request.kind,
      request.message,
      JSON.stringify(rules),
      this.sequence,
      created_at,
      expires_at
    ])
  }

  /** Whether a replay does again what is recorded. */
  private isRepeated(name: string, path: string): boolean {
    if (this.repeats.size === 0 || !repeatable.has(name)) return false
    const key = `${name} ${path}`
    const left = this.repeats.get(key)
    if (left === undefined) return false
    if (left === 1) this.repeats.delete(key)
    else this.repeats.set(key, left - 1)
    return true
  }

  private beginAttempt(attempt: number, offsetMillis: number): void {
    // The first attempt may begin with results of another run; later ones with those of earlier ones, if they resume.
    if (attempt > 1 && this.execution.recorded === undefined) this.earlier.clear()
    else for (const [path, stored] of this.results) if (!("i" in stored)) this.earlier.set(path, stored)
    if (attempt > 1 && this.execution.recorded === undefined) this.earlierRequests.clear()
    for (const [path, known] of this.requests) if (known.settled !== undefined) this.earlierRequests.set(path, known)
    this.attempt = attempt
    this.attemptStartedAt = offsetMillis
    this.retryAt = undefined
    this.isFrozen = false
    this.repeats.clear()
    this.results.clear()
    this.begun.clear()
    this.requests.clear()
    this.timers.clear()
    this.children.clear()
    this.sleeps.clear()
    this.sleeping.clear()
  }

  // -- reading --------------------------------------------------------------

  /** A result that the first attempt begins with. */
  seed(path: string, seed: Seed): void {
    if ("request" in seed) this.earlierRequests.set(path, seed.request)
    else this.earlier.set(path, seed)
  }

  /** Takes up what is stored of the attempt that goes on. */
  load(history: History, attempt: number): void {
    this.attempt = attempt
    const resumes = this.execution.options.retry?.mode === "resume"
    const completed = new Set(history.children.flatMap((child) => (child.status === "completed" ? [child.id] : [])))
    const settled = new Map<string, { readonly outcome: RequestOutcome; readonly time: number }>()
    const answered = new Map<string, number>()
    if (attempt === 1 || resumes) for (const { path, result } of history.seeds) this.seed(path, parse(result))
    for (const event of history.events) {
      this.sequence = event.sequence
      const { attempt: of, path, result, tag } = event
      if (tag === "RequestSettled") {
        const { outcome, requestId } = parse(event.fields)
        settled.set(requestId, { outcome, time: event.time })
      } else if (tag === "RequestAnswered") {
        const { requestId } = parse(event.fields)
        answered.set(requestId, (answered.get(requestId) ?? 0) + 1)
      }
      if (of !== attempt) {
        if (!resumes) continue
        if (result !== null && tag === "StepCompleted") this.earlier.set(path, parse(result))
        if (tag === "ChildStarted") {
          const { childId } = parse(event.fields)
          if (completed.has(childId)) this.earlierChildren.set(path, childId)
        }
        continue
      }
      if (tag === "AttemptStarted") this.attemptStartedAt = event.time - this.startedAt
      if (repeatable.has(tag)) {
        const key = `${tag} ${path}`
        this.repeats.set(key, (this.repeats.get(key) ?? 0) + 1)
      }
      if (tag === "StepStarted") this.begun.add(path)
      if (result !== null) this.results.set(path, parse(result))
      if (tag === "ChildStarted") this.children.set(path, parse(event.fields).childId)
    }
    for (const row of history.requests) {
      const known: KnownRequest = {
        row,
        answers: history.answers.filter((answer) => answer.request_id === row.id),
        settled: settled.get(row.id),
        answered: answered.get(row.id) ?? 0
      }
      if (row.attempt === attempt) this.requests.set(row.path, known)
      else if (resumes && known.settled !== undefined) this.earlierRequests.set(row.path, known)
    }
    for (const { attempt: of, due, path, state } of history.timers) {
      if (of === attempt) this.timers.set(path, { due, state })
    }
  }

  stepResult(path: string, codec: StepCodec | undefined): Effect.Effect<any, any> | undefined {
    this.activity++
    const stored = this.results.get(path)
    if (stored === undefined) return undefined
    const exit = decodeStored(stored, codec?.output, this.execution.definition, codec)
    if (exit !== undefined) return replay(stored, exit)
    this.host.mismatch(this, path, "a result that fits the step's schema", JSON.stringify(stored))
    return Effect.never
  }

  reusable(path: string, codec: StepCodec | undefined): Exit.Exit<any, any> | undefined {
    if (this.earlier.size === 0) return undefined
    const stored = this.earlier.get(path)
    if (stored === undefined || "e" in stored || "d" in stored || "i" in stored) return undefined
    return decodeStored(stored, codec?.output, this.execution.definition, codec)
  }

  hasBegun(path: string): boolean {
    return this.begun.has(path)
  }

  stepEnded(
    frame: Frame,
    exit: Exit.Exit<unknown, unknown>,
    durationMillis: number,
    codec: StepCodec | undefined
  ): Effect.Effect<void> | undefined {
    this.activity++
    if (this.closed || this.ended) return undefined
    const offset = this.execution.now()
    const { path } = frame
    const stored = encodeStep(exit, this.execution.definition, codec)
    if (stored instanceof NotStorable) {
      const error = new Error(
        `${stored.describe(`The result of step "${path}" of ${this.execution.workflow}`)}; ` +
          "give the step an `output` schema, or return plain JSON"
      )
      this.failed(path, offset, { durationMillis, interrupted: false, ...describe(error) }, { d: describeError(error) })
      return Effect.andThen(this.flush, Effect.die(error))
    }
    if (exit._tag === "Success") {
      if (!this.isRepeated("StepCompleted", path)) {
        this.event("StepCompleted", offset, path, { durationMillis }, JSON.stringify(stored))
      }
      return this.flush
    }
    const interrupted = "i" in stored
    const what = interrupted
      ? { error: "Interrupted", message: "The step was interrupted" }
      : describe(mainError(exit.cause))
    this.failed(path, offset, { durationMillis, interrupted, ...what }, stored)
    return interrupted ? undefined : this.flush
  }

  private failed(path: string, offset: number, fields: object, stored: Stored): void {
    if (this.isRepeated("StepFailed", path)) return
    this.event("StepFailed", offset, path, fields, JSON.stringify(stored))
  }

  /** The requests from outside that are open. */
  get outside(): ReadonlyArray<KnownRequest> {
    return [...this.requests.values()].filter(
      ({ row, settled }) => row.path.startsWith("handle/") && settled === undefined
    )
  }

  reopen(request: Pending, frame: Frame): Settlement | true | undefined {
    this.activity++
    const known = this.requests.get(frame.path)
    if (known === undefined)
      return undefined
      // It was opened then, whatever the time is now.
    ;(frame as { startedAt: number }).startedAt = known.row.created_at - this.startedAt
    request.open(frame)
    if (known.row.kind !== request.kind) {
      this.host.mismatch(this, frame.path, `an ${request.kind.toLowerCase()} request`, known.row.kind)
      return Effect.never
    }
    if (known.settled === undefined) {
      this.restoreAnswers(request, known)
      return true
    }
    if (known.settled.outcome === "withdrawn") return Effect.never
    const settlement = settlementOf(request, known)
    if (settlement !== undefined) return settlement
    this.host.mismatch(this, frame.path, "an answer that fits the request's schema", known.settled.outcome)
    return Effect.never
  }

  reusableAnswer(request: Pending, frame: Frame): Exit.Exit<any, any> | undefined {
    const known = this.earlierRequests.get(frame.path)
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

  readonly stall: Effect.Effect<never> = Effect.suspend(() => {
    this.activity++
    return Effect.never
  })

  startChild(
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl
  ): Effect.Effect<Execution<any, any>> {
    this.activity++
    const known = this.children.get(frame.path)
    const reused =
      known === undefined ? (parent.recorded?.get(frame.path) as Execution<any, any> | undefined) : undefined
    if (reused !== undefined) {
      frame.parent?.leave(frame)
      return Effect.succeed(reused)
    }
    const earlier = known ?? this.earlierChildren.get(frame.path)
    if (earlier === undefined && this.frozen) {
      return Effect.ensuring(
        this.stall,
        Effect.sync(() => frame.parent?.leave(frame))
      )
    }
    return this.host.startChild(parent, fiber, frame, run, earlier)
  }

  // -- time -----------------------------------------------------------------

  bodyContext(context: Context.Context<never>): Context.Context<never> {
    const clock = Context.get(context, Clock.Clock)
    return Context.add(context, Clock.Clock, new DurableClock(clock, this))
  }

  stepContext<A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.provideService(work, Clock.Clock, this.execution.clock)
  }

  /** A sleep of the body: it ends at the time it was to end when it began, however often it is replayed. */
  sleep(frame: Frame, millis: number): Effect.Effect<void> {
    const { execution } = this
    if (!execution.isLive(frame)) return Effect.interrupt
    this.activity++
    const n = (this.sleeps.get(frame.path) ?? 0) + 1
    this.sleeps.set(frame.path, n)
    const path = `${frame.path === "" ? "" : `${frame.path}/`}sleep${n === 1 ? "" : `#${n}`}`
    const known = this.timers.get(path)
    if (known?.state === "fired") return Effect.void
    if (known?.state === "cancelled") return Effect.never
    if (known === undefined && this.frozen) return this.stall
    const now = this.startedAt + execution.now()
    const due = known?.due ?? now + millis
    if (known === undefined) this.add("timer", [this.id, this.attempt, path, due, "pending"])
    this.sleeping.set(path, due)
    // What is recorded of other branches comes before a sleep that nobody saw the end of.
    const wait = due > now ? execution.clock.sleep(Duration.millis(due - now)) : Effect.yieldNow
    return Effect.onExitPrimitive(wait, (exit) => {
      this.activity++
      if (!this.sleeping.delete(path) || !execution.isLive(frame)) return undefined
      this.add("timerState", [exit._tag === "Success" ? "fired" : "cancelled", this.id, this.attempt, path])
      return undefined
    })
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
    if (this.closed) return
    const encoded = encodeOutcome(exit, execution.definition)
    const stored: Stored =
      encoded instanceof NotStorable
        ? { d: { name: "Error", message: encoded.describe(`The output of ${execution.workflow}`) } }
        : encoded
    this.add("settled", [
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
          if (this.closed) return
          this.host.settled(this, exit)
          tell(exit)
        })
      )
    )
  }
}

/** How a request was settled, by what people said to it. */
const settlementOf = (request: Pending, { answers, row, settled }: KnownRequest): Settlement | undefined => {
  if (settled?.outcome === "timed-out") return request.expire(Number(row.decided_at ?? settled.time)).settlement
  for (const answer of answers) {
    const result = request.respond(toAnswer(answer), Number(answer.time))
    if (Result.isSuccess(result) && result.success !== undefined) return result.success.settlement
  }
  return undefined
}

const describeError = (error: Error) => ({ name: error.name, message: error.message })

/** What is stored of a request, besides its place. */
export const toStoredRequest = (request: Pending) => {
  const shown = request.toRequest()
  return {
    created_at: shown.createdAt.getTime(),
    expires_at: shown.expiresAt === undefined ? null : shown.expiresAt.getTime(),
    rules:
      shown._tag === "Approval"
        ? {
            approvers: shown.approvers,
            requiredApprovals: shown.requiredApprovals,
            autoApproveOnTimeout: (request as PendingApproval).options.autoApproveOnTimeout
          }
        : { jsonSchema: shown.jsonSchema }
  }
}

/** What a person said, from its row. */
export const toAnswer = (row: AnswerRow): Answer => {
  const said = parse(row.said)
  return said._tag === "Verdict"
    ? { _tag: "Verdict", approved: said.approved, options: said.options }
    : { _tag: "Value", value: said.value, by: said.by }
}

/** The responses that answers to an approval make. */
export const toResponses = (rows: ReadonlyArray<AnswerRow>): ReadonlyArray<Approval> =>
  rows.flatMap((row) => {
    const said = toAnswer(row)
    if (said._tag !== "Verdict") return []
    const { by, reason } = said.options ?? {}
    return [
      {
        approved: said.approved,
        ...(reason === undefined ? {} : { reason }),
        ...(by === undefined ? {} : { approvedBy: by }),
        timestamp: new Date(row.time)
      }
    ]
  })

/** The clock of a body: its sleeps are recorded. Steps have the clock of the engine. */
class DurableClock implements Clock.Clock {
  private readonly clock: Clock.Clock
  private readonly journal: DurableJournal
  readonly currentTimeMillis: Effect.Effect<number>
  readonly currentTimeNanos: Effect.Effect<bigint>
  readonly monotonicTimeNanos: Effect.Effect<bigint>

  constructor(clock: Clock.Clock, journal: DurableJournal) {
    this.clock = clock
    this.journal = journal
    this.currentTimeMillis = clock.currentTimeMillis
    this.currentTimeNanos = clock.currentTimeNanos
    this.monotonicTimeNanos = clock.monotonicTimeNanos
  }

  currentTimeMillisUnsafe(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  currentTimeNanosUnsafe(): bigint {
    return this.clock.currentTimeNanosUnsafe()
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.clock.monotonicTimeNanosUnsafe()
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis <= 0 || !Number.isFinite(millis)) return this.clock.sleep(duration)
    return Effect.withFiber((fiber) => {
      const frame = currentFrame(fiber)
      return frame === undefined || frame.execution !== this.journal.execution
        ? this.clock.sleep(duration)
        : this.journal.sleep(frame, millis)
    })
  }
}
