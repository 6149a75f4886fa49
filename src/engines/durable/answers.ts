/**
 * What people say to requests: whoever writes first decides, and the owner takes it up in order (D8).
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type AnswerError, RequestNotFound, RequestSettled } from "../../HumanRequest.ts"
import { abandoned, type ExecutionImpl } from "../../internal/execution.ts"
import * as people from "../../internal/people.ts"
import { type Answer, type Pending, PendingApproval } from "../../internal/request.ts"
import type { DurableEngine } from "./engine.ts"
import type { AnswerRow, RequestRow } from "./history.ts"
import type { DurableJournal } from "./journal.ts"
import { detached, toAnswer, toResponses } from "./requests.ts"
import { orUnavailable } from "./unavailable.ts"

export class Answers {
  private readonly engine: DurableEngine
  /** Executions that look for answers, and whether they must look again. */
  readonly reopening = new Map<ExecutionImpl, boolean>()

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  /** Takes an answer: whoever writes first decides, in whichever process (D8). */
  answer(id: string, requestId: string, said: Answer): Effect.Effect<void, AnswerError> {
    return this.engine.parking.pinned(id, this.takeAnswer(id, requestId, said))
  }

  private takeAnswer(id: string, requestId: string, said: Answer): Effect.Effect<void, AnswerError> {
    return Effect.gen({ self: this }, function* () {
      const execution = yield* this.engine.recovery.activate(id)
      if (execution !== undefined) yield* (execution.journal as DurableJournal).flush
      const decide = this.engine.sql
        .withTransaction(
          Effect.gen({ self: this }, function* () {
            const [row] = yield* this.engine.query<RequestRow>(
              `SELECT * FROM baton_requests WHERE id = ? AND execution_id = ?${this.engine.isPg ? " FOR UPDATE" : ""}`,
              [requestId, id]
            )
            if (row === undefined) return yield* new RequestNotFound({ executionId: id, requestId })
            if (row.outcome !== null) return yield* new RequestSettled({ requestId, outcome: row.outcome })
            const answers = yield* this.engine.query<AnswerRow>(
              `SELECT * FROM baton_answers WHERE request_id = ? ORDER BY n`,
              [requestId]
            )
            const live = execution === undefined ? undefined : people.find(execution, requestId)
            const request =
              live === undefined || live.kind === "Approval" ? detached(row, execution?.workflow ?? "") : live
            if (request instanceof PendingApproval) request.restore(toResponses(answers))
            const result = request.respond(said, this.engine.now())
            if (Result.isFailure(result)) return yield* Effect.fail(result.failure)
            const by = said._tag === "Verdict" ? said.options?.by : said.by
            yield* this.engine.query(
              `INSERT INTO baton_answers (request_id, n, execution_id, by_whom, said, time) VALUES (?, ?, ?, ?, ?, ?)`,
              [
                requestId,
                answers.length + 1,
                id,
                by === undefined ? "" : `@${by}`,
                JSON.stringify(said),
                this.engine.now()
              ]
            )
            if (result.success !== undefined) {
              yield* this.engine.query(`UPDATE baton_requests SET outcome = ?, decided_at = ? WHERE id = ?`, [
                result.success.outcome,
                this.engine.now(),
                requestId
              ])
            }
            if (execution !== undefined) return
            yield* this.engine.query(`INSERT INTO baton_signals (execution_id, kind) VALUES (?, 'look')`, [id])
          })
        )
        .pipe(orUnavailable)
      yield* this.engine.writer.exposed(decide)
      if (execution === undefined) return yield* this.engine.signals.tellOwner(id)
      yield* this.look(execution)
      yield* (execution.journal as DurableJournal).flush
    })
  }

  /** Takes up what people said; one that left the memory meanwhile is brought back for it (D6). */
  look(execution: ExecutionImpl): Effect.Effect<void> {
    return Effect.andThen(
      this.refresh(execution),
      Effect.suspend(() =>
        execution.outcome === abandoned ? Effect.asVoid(this.engine.recovery.activate(execution.id)) : Effect.void
      )
    )
  }

  expire(execution: ExecutionImpl, request: Pending, now: number): void {
    const journal = execution.journal as DurableJournal
    const expire = this.engine.parking.pinned(
      execution.id,
      Effect.gen({ self: this }, function* () {
        yield* journal.flush
        yield* this.engine.command(
          `UPDATE baton_requests SET outcome = 'timed-out', decided_at = ? WHERE id = ? AND outcome IS NULL`,
          [now, request.id]
        )
        yield* this.refresh(execution)
      })
    )
    this.engine.fork(expire)
  }

  /** Requests that a replay opens again may have been answered before it got there, or while it did. */
  reopened(execution: ExecutionImpl): void {
    const isLooking = this.reopening.has(execution)
    this.reopening.set(execution, isLooking)
    if (isLooking) return
    const look: Effect.Effect<void> = Effect.suspend(() => {
      this.reopening.set(execution, false)
      return Effect.andThen(
        this.refresh(execution),
        Effect.suspend(() => (this.reopening.get(execution) === true ? look : Effect.void))
      )
    })
    this.engine.fork(
      Effect.ensuring(
        look,
        Effect.sync(() => this.reopening.delete(execution))
      )
    )
  }

  /** Takes up what people said that the execution does not know of yet. */
  refresh(execution: ExecutionImpl): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (people.list(execution).length === 0) return Effect.void
      const { id } = execution
      return Effect.map(
        Effect.all([
          this.engine.query<AnswerRow>(`SELECT * FROM baton_answers WHERE execution_id = ? ORDER BY time, n`, [id]),
          this.engine.query<RequestRow>(
            `SELECT * FROM baton_requests WHERE execution_id = ? AND outcome = 'timed-out'`,
            [id]
          )
        ]),
        ([answers, timedOut]) => this.takeUp(execution, answers, timedOut)
      )
    })
  }

  private takeUp(
    execution: ExecutionImpl,
    answers: ReadonlyArray<AnswerRow>,
    timedOut: ReadonlyArray<RequestRow>
  ): void {
    const journal = execution.journal as DurableJournal
    for (const row of answers) {
      if (execution.outcome !== undefined) return
      const request = people.find(execution, row.request_id)
      const known = journal.answered.get(row.request_id)
      if (request === undefined || known === undefined || row.n !== known + 1) continue
      journal.answered.set(row.request_id, row.n)
      const said = toAnswer(row)
      const result = request.respond(said, Number(row.time))
      if (Result.isSuccess(result)) people.answered(request, said, result.success)
    }
    for (const row of timedOut) {
      const request = people.find(execution, row.id)
      if (request !== undefined && execution.outcome === undefined) people.expire(request, Number(row.decided_at))
    }
  }
}
