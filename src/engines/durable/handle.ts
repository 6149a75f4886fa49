/**
 * The handle of a durable execution: it holds nothing but the id. What the execution does is asked of its memory, where
 * this process has it, else of its rows.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Approval, ApprovalOptions } from "../../Approval.ts"
import type { Usage } from "../../Budget.ts"
import type { CancelResult } from "../../Cancel.ts"
import { type Event, isTerminal } from "../../Event.ts"
import type { Execution, LogEntry, Progress } from "../../Execution.ts"
import type { AnswerError, HumanRequest, InputTimedOut } from "../../HumanRequest.ts"
import * as cancelling from "../../internal/cancelling.ts"
import type { ExecutionImpl } from "../../internal/execution.ts"
import * as people from "../../internal/people.ts"
import type { Answer } from "../../internal/request.ts"
import { isSettled, type RunStatus } from "../../Run.ts"
import type { InvalidOptions, RunSettled } from "../../RunError.ts"
import type { AnswerOptions } from "../../services/HumanChannel.ts"
import { toEvent } from "../../stores/SqlRunStore.ts"
import type { Any } from "../../Workflow.ts"
import { settledError } from "./asking.ts"
import { decodeStored, parse, type Stored } from "./codec.ts"
import type { DurableEngine } from "./engine.ts"
import type { AnswerRow, EventRow, RequestRow } from "./history.ts"
import type { DurableJournal } from "./journal.ts"
import { detached, toResponses } from "./requests.ts"
import { type RunRow, resident } from "./rows.ts"
import { addUsage, progressOf, usageOf } from "./totals.ts"
import { realSleep } from "./writer.ts"

const page = 256

export class DurableHandle implements Execution<any, any> {
  private readonly engine: DurableEngine
  readonly id: string
  readonly workflow: string
  private readonly known: Any | undefined

  constructor(engine: DurableEngine, id: string, workflow: string, known: Any | undefined) {
    this.engine = engine
    this.id = id
    this.workflow = workflow
    this.known = known
  }

  private get resident(): ExecutionImpl | undefined {
    return this.engine.residents.get(this.id)
  }

  private get row(): Effect.Effect<RunRow> {
    return Effect.flatMap(this.engine.reads.run(this.id), (row) =>
      row === undefined
        ? Effect.die(new Error(`${this.id} is no longer in the database: it was pruned`))
        : Effect.succeed(row)
    )
  }

  /** What the memory of this process says, or else the rows. */
  private either<A, E>(
    memory: (execution: ExecutionImpl) => Effect.Effect<A, E>,
    rows: () => Effect.Effect<A, E>
  ): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const { resident } = this
      return resident === undefined ? rows() : memory(resident)
    })
  }

  private events_(where: string): Effect.Effect<ReadonlyArray<EventRow>> {
    return this.engine.query<EventRow>(
      `SELECT * FROM baton_events WHERE execution_id = ? AND ${where} ORDER BY sequence`,
      [this.id]
    )
  }

  get status(): Effect.Effect<RunStatus> {
    return this.either(
      (execution) => execution.status,
      () => Effect.map(this.row, (row) => row.status)
    )
  }

  get statusChanges(): Stream.Stream<RunStatus> {
    return Stream.flatMap(this.events, (event) =>
      event._tag === "StatusChanged" ? Stream.succeed(event.to) : Stream.empty
    )
  }

  get progress(): Effect.Effect<Progress> {
    return this.either(
      (execution) => execution.progress,
      () =>
        Effect.map(
          this.events_(`tag = 'Progressed'`),
          (events) => progressOf(events)?.newest ?? { current: 0, total: 0 }
        )
    )
  }

  get logs(): Effect.Effect<ReadonlyArray<LogEntry>> {
    const flushed = Effect.suspend(() => (this.resident?.journal as DurableJournal | undefined)?.flush ?? Effect.void)
    return Effect.map(Effect.andThen(flushed, this.events_(`tag = 'Logged'`)), (events) =>
      events.map((row) => toEvent(row) as LogEntry)
    )
  }

  get events(): Stream.Stream<Event> {
    return this.eventsFrom(1)
  }

  eventsFrom(n: number): Stream.Stream<Event> {
    return Stream.fromPull(
      Effect.sync(() => {
        let next = Math.max(1, n)
        let ended = false
        const pull: Effect.Effect<NonEmptyReadonlyArray<Event>, Cause.Done> = Effect.suspend(() => {
          if (ended) return Cause.done()
          return this.engine.watchers.changing(
            this.id,
            Effect.map(
              this.engine.query<EventRow>(
                `SELECT * FROM baton_events WHERE execution_id = ? AND sequence >= ? ORDER BY sequence LIMIT ${page}`,
                [this.id, next]
              ),
              (rows) => (rows.length === 0 ? undefined : rows.map(toEvent))
            ),
            () => next > 1 && Effect.map(this.row, (row) => row.settled_at !== null)
          )
        }).pipe(
          Effect.flatMap((events) => {
            if (events === undefined) return Cause.done()
            const last = events[events.length - 1]
            next = last.sequence + 1
            ended = isTerminal(last)
            return Effect.succeed(events as unknown as NonEmptyReadonlyArray<Event>)
          })
        )
        return pull
      })
    )
  }

  get requests(): Effect.Effect<ReadonlyArray<HumanRequest>> {
    const stored = Effect.gen({ self: this }, function* () {
      const rows = yield* this.engine.query<RequestRow>(
        `SELECT * FROM baton_requests WHERE execution_id = ? AND outcome IS NULL ORDER BY sequence`,
        [this.id]
      )
      if (rows.length === 0) return []
      const answers = yield* this.engine.query<AnswerRow>(
        `SELECT * FROM baton_answers WHERE execution_id = ? ORDER BY request_id, n`,
        [this.id]
      )
      return rows.map((row) => {
        const shown = detached(row, this.workflow).toRequest()
        if (shown._tag === "Input") return shown
        return { ...shown, responses: toResponses(answers.filter((answer) => answer.request_id === row.id)) }
      })
    })
    // What a replay has yet to come to is open all the same.
    const known = (execution: ExecutionImpl) =>
      (execution.journal as DurableJournal).recorded.isBehind ? stored : execution.requests
    return this.either(known, () => stored)
  }

  get usage(): Effect.Effect<Usage> {
    return this.either(
      (execution) => execution.usage,
      () =>
        Effect.flatMap(this.row, (row) =>
          row.settled_at === null ? this.usedBy(this.id) : Effect.succeed(parse(row.usage_total ?? "{}"))
        )
    )
  }

  /** What an execution that goes on has used, with all that is below it. */
  private usedBy(id: string): Effect.Effect<Usage> {
    const { reads } = this.engine
    return Effect.gen({ self: this }, function* () {
      const [events, children] = yield* Effect.all([reads.events(id), reads.children(id)], { concurrency: 2 })
      const below = yield* Effect.forEach(
        children,
        (child) =>
          child.settled_at === null ? this.usedBy(child.id) : Effect.succeed(parse(child.usage_total ?? "{}")),
        { concurrency: "unbounded" }
      )
      return below.reduce(addUsage, usageOf(events))
    })
  }

  // -- steering -------------------------------------------------------------

  /** Does something to the execution here, or asks its owner to. */
  private steer<A, E>(
    here: (execution: ExecutionImpl) => Effect.Effect<A, E>,
    elsewhere: (row: RunRow) => Effect.Effect<A, E | RunSettled>
  ): Effect.Effect<A, E | RunSettled> {
    const left = Effect.callback<undefined>((resume) =>
      Effect.sync(this.engine.watchers.watchExit(this.id, (exit) => exit ?? resume(Effect.undefined)))
    )
    const steered: Effect.Effect<A, E | RunSettled> = Effect.suspend(() =>
      // What is wanted of one that is held is written down.
      this.engine.recovery.held.has(this.id) ? Effect.flatMap(this.row, elsewhere) : steeredHere
    )
    const steeredHere: Effect.Effect<A, E | RunSettled> = Effect.flatMap(
      this.engine.recovery.activate(this.id),
      (execution) => {
        if (execution === undefined) return Effect.flatMap(this.row, elsewhere)
        const journal = execution.journal as DurableJournal
        const done = Effect.tap(here(execution), () => journal.flush)
        // It may leave this process in the middle, and then nothing was done: whoever has it now does it.
        return Effect.flatMap(Effect.raceFirst(done, left), (answer) =>
          journal.isClosed ? steered : Effect.succeed(answer as A)
        )
      }
    )
    return this.engine.parking.pinned(this.id, steered)
  }

  private ask(kind: "pause" | "resume"): (row: RunRow) => Effect.Effect<void, RunSettled> {
    return (row) =>
      isSettled(row.status)
        ? Effect.fail(settledError(this.id, row.status))
        : Effect.flatMap(this.engine.signals.send(this.id, kind, null), (signal) => this.done(signal))
  }

  /** Ends when the owner has done what was asked of it, or nobody has the run: whoever takes it up does it first. */
  private done(signal: number): Effect.Effect<void> {
    const look = Effect.map(
      this.engine.query<{ wake_at: number | null }>(
        `SELECT r.wake_at FROM baton_runs r JOIN baton_signals s ON s.execution_id = r.id WHERE s.id = ?`,
        [signal]
      ),
      ([row]) => (row?.wake_at === resident ? undefined : true)
    )
    // An owner that is gone does nothing.
    return Effect.raceFirst(
      Effect.asVoid(this.engine.watchers.changing(this.id, look, () => false)),
      realSleep(Math.max(1000, 2 * this.engine.pollMillis))
    )
  }

  get pause(): Effect.Effect<void, RunSettled> {
    return this.steer((execution) => execution.pause, this.ask("pause"))
  }

  get resume(): Effect.Effect<void, RunSettled> {
    return this.steer((execution) => execution.resume, this.ask("resume"))
  }

  cancel(reason?: string): Effect.Effect<CancelResult> {
    const elsewhere = (row: RunRow): Effect.Effect<CancelResult> => {
      if (isSettled(row.status)) return Effect.succeed("already-settled")
      return Effect.gen({ self: this }, function* () {
        const [last] = yield* this.engine.query<{ n: number | null }>(
          `SELECT MAX(sequence) AS n FROM baton_events WHERE execution_id = ?`,
          [this.id]
        )
        yield* this.engine.signals.send(this.id, "cancel", JSON.stringify({ reason }))
        yield* this.engine.signals.hear
        const answer = this.eventsFrom(Number(last?.n ?? 0) + 1).pipe(
          Stream.filterMap((event) =>
            event._tag === "CancelPrevented"
              ? Result.succeed<CancelResult>("prevented")
              : event._tag === "RunCancelled"
                ? Result.succeed<CancelResult>("cancelled")
                : isTerminal(event)
                  ? Result.succeed<CancelResult>("already-settled")
                  : Result.fail(undefined)
          ),
          Stream.runHead
        )
        return Option.getOrElse(yield* answer, (): CancelResult => "already-settled")
      })
    }
    const here = (execution: ExecutionImpl): Effect.Effect<CancelResult> =>
      execution.options.cancel?.beforeCancel === undefined
        ? execution.cancel(reason)
        : // Somebody is asked first, which may take longer than this process lives: the wish is written down (D9).
          Effect.andThen((execution.journal as DurableJournal).flush, Effect.flatMap(this.row, elsewhere))
    return this.steer(here, elsewhere).pipe(
      // A row that has settled says so itself.
      Effect.catchTag("RunSettled", () => Effect.succeed<CancelResult>("already-settled"))
    )
  }

  /** Cancels without asking anybody, and waits. */
  get interrupt(): Effect.Effect<void> {
    return Effect.andThen(
      Effect.flatMap(this.engine.recovery.activate(this.id), (execution) => {
        if (execution === undefined || this.engine.recovery.held.has(this.id)) {
          return Effect.flatMap(this.row, (row) =>
            isSettled(row.status) ? Effect.void : this.engine.signals.send(this.id, "interrupt", null)
          )
        }
        return Effect.sync(() => cancelling.accept(execution, "interrupted"))
      }),
      Effect.asVoid(this.exit)
    )
  }

  waitForApproval(message?: string, options?: ApprovalOptions): Effect.Effect<Approval, InvalidOptions | RunSettled> {
    return this.engine.asking.ask(this.id, (of) => people.makeApproval(of, message, options))
  }

  waitForInput<A>(
    prompt: string,
    schema: Schema.Codec<A, any>,
    options?: { readonly timeout?: Duration.Input | undefined }
  ): Effect.Effect<A, InvalidOptions | InputTimedOut | RunSettled> {
    return this.engine.asking.ask(this.id, (of) => people.makeInput(of, prompt, schema, options?.timeout))
  }

  private say(requestId: string, said: Answer): Effect.Effect<void, AnswerError> {
    return this.engine.answers.answer(this.id, requestId, said)
  }

  approve(requestId: string, options?: AnswerOptions): Effect.Effect<void, AnswerError> {
    return this.say(requestId, { _tag: "Verdict", approved: true, options })
  }

  reject(requestId: string, options?: AnswerOptions): Effect.Effect<void, AnswerError> {
    return this.say(requestId, { _tag: "Verdict", approved: false, options })
  }

  answer(
    requestId: string,
    value: unknown,
    options?: { readonly by?: string | undefined }
  ): Effect.Effect<void, AnswerError> {
    return this.say(requestId, { _tag: "Value", value, by: options?.by })
  }

  // -- the end --------------------------------------------------------------

  get result(): Effect.Effect<any, any> {
    return Effect.suspend(() => {
      if (this.resident === undefined) return Effect.flatMap(this.stored, (exit) => exit)
      return Effect.flatMap(
        Effect.callback<Exit.Exit<any, any> | undefined>((resume) => {
          // It may leave between the look above and this.
          if (this.resident === undefined) return resume(Effect.undefined)
          return Effect.sync(this.engine.watchers.watchExit(this.id, (exit) => resume(Effect.succeed(exit))))
        }),
        // Nothing: it left this process, or its memory, and goes on without.
        (exit) => (exit === undefined ? this.result : exit)
      )
    })
  }

  /** The outcome in the row, once it is there. */
  private get stored(): Effect.Effect<Exit.Exit<any, any>> {
    const ask = Effect.flatMap(this.row, (row) => {
      if (row.outcome === null) return Effect.succeed(undefined)
      const definition = this.known ?? this.engine.registry.find(row.workflow, row.version)?.workflow
      const stored: Stored = parse(row.outcome)
      const exit = decodeStored(stored, definition?.output, definition, undefined)
      return exit === undefined
        ? Effect.die(
            new Error(`The outcome of ${this.id} does not fit the schemas of ${row.workflow} any more: ${row.outcome}`)
          )
        : Effect.succeed(exit)
    })
    return Effect.map(
      this.engine.watchers.changing(this.id, ask, () => false),
      (exit) => exit!
    )
  }

  get exit(): Effect.Effect<Exit.Exit<any, any>> {
    return Effect.exit(this.result)
  }
}
