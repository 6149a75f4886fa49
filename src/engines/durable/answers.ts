/**
 * What people say to requests: whoever writes first decides, and the owner takes it up in order (D8).
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { type AnswerError, RequestNotFound, RequestSettled } from "../../HumanRequest.ts"
import { abandoned, type ExecutionImpl } from "../../internal/execution.ts"
import * as people from "../../internal/people.ts"
import { type Answer, type Pending, PendingApproval } from "../../internal/request.ts"
import { isStorable } from "../../internal/schema.ts"
import type { DurableEngine } from "./engine.ts"
import { gather, inSizes } from "./gather.ts"
import type { AnswerRow, RequestRow } from "./history.ts"
import type { DurableJournal } from "./journal.ts"
import { amongIds } from "./reads.ts"
import { detached, readable, toAnswer, toResponses } from "./requests.ts"
import { orUnavailable } from "./unavailable.ts"
import { ifOwned, isOne, valuesOf } from "./writer.ts"

/** An answer on its way to the disk. */
interface Asked {
  readonly id: string
  readonly requestId: string
  readonly said: Answer
  /** The execution, where it is in the memory of this process. */
  readonly execution: ExecutionImpl | undefined
}

export class Answers {
  private readonly engine: DurableEngine
  /** Executions that come again to where they waited: what people said there is about to be taken up. */
  readonly reopening = new Set<ExecutionImpl>()
  private readonly decide: (asked: Asked) => Effect.Effect<void, AnswerError>

  constructor(engine: DurableEngine) {
    this.engine = engine
    this.decide = gather(engine, (asked) => this.decideAll(asked))
  }

  /** Takes an answer: whoever writes first decides, in whichever process (D8). */
  answer(id: string, requestId: string, said: Answer): Effect.Effect<void, AnswerError> {
    // Answers to others are judged at the same moment, which would be refused with it.
    if (!isStorable(requestId)) return Effect.fail(new RequestNotFound({ executionId: id, requestId }))
    return this.engine.whole(this.engine.parking.pinned(id, this.takeAnswer(id, requestId, said)))
  }

  private takeAnswer(id: string, requestId: string, said: Answer): Effect.Effect<void, AnswerError> {
    return Effect.gen({ self: this }, function* () {
      const execution = yield* this.engine.recovery.activate(id)
      if (execution !== undefined) yield* (execution.journal as DurableJournal).flush
      yield* this.decide({ id, requestId, said, execution })
      if (execution === undefined) return yield* this.engine.signals.tellOwner(id)
      if (execution.outcome === abandoned) return yield* this.bringBack(id)
      yield* (execution.journal as DurableJournal).flush
    })
  }

  /** Judges answers that come at once, in order, in one transaction; what counts is taken up once it is on disk (D2). */
  private decideAll(asked: ReadonlyArray<Asked>): Effect.Effect<ReadonlyArray<Exit.Exit<void, AnswerError>>> {
    const decide = Effect.gen({ self: this }, function* () {
      const [condition, ids] = amongIds(this.engine, [...new Set(asked.map(({ requestId }) => requestId))])
      const requests = yield* this.engine.query<RequestRow & { readonly owner: string | null }>(
        `SELECT baton_requests.*, (SELECT epoch FROM baton_runs WHERE id = execution_id) AS owner FROM baton_requests
         WHERE id ${condition} ORDER BY id${this.engine.isPg ? " FOR UPDATE" : ""}`,
        ids
      )
      const owners = new Map(requests.map(({ execution_id, owner }) => [execution_id, owner]))
      // Who has lost an execution leaves what is said to whoever has it (D4).
      const isLost = ({ execution, id }: Asked) =>
        execution !== undefined && owners.has(id) && owners.get(id) !== (execution.journal as DurableJournal).epoch
      const lost = asked.filter(isLost)
      const known = yield* this.engine.query<AnswerRow>(
        `SELECT * FROM baton_answers WHERE request_id ${condition} ORDER BY request_id, n`,
        ids
      )
      const own = asked.map((one) => (isLost(one) ? { ...one, execution: undefined } : one))
      const judged = this.judge(own, requests, known)
      const answers = judged.flatMap(({ answer }) => (answer === undefined ? [] : [answer]))
      yield* this.insert(
        "baton_answers (request_id, n, execution_id, by_whom, said, time)",
        answers.map((row) => [row.request_id, row.n, row.execution_id, row.by_whom, row.said, row.time])
      )
      const settled = judged.flatMap(({ settled }) => (settled === undefined ? [] : [settled]))
      for (const rows of inSizes(settled)) {
        yield* this.engine.query(
          `UPDATE baton_requests SET outcome = v.column2, decided_at = v.column3
           FROM ${valuesOf(["TEXT", "TEXT", "BIGINT"], rows.length)} WHERE id = v.column1 AND ${isOne(1)}`,
          rows.flat()
        )
      }
      yield* this.insert(
        "baton_signals (execution_id, kind)",
        judged.flatMap(({ answer, execution }) =>
          answer !== undefined && execution === undefined ? [[answer.execution_id, "look"]] : []
        )
      )
      return { judged, lost }
    })
    const written = this.engine.writer.exposed(orUnavailable(this.engine.sql.withTransaction(decide)))
    return Effect.map(written, ({ judged, lost }) => {
      for (const { execution } of lost) {
        const journal = execution!.journal as DurableJournal
        if (!journal.isClosed) this.engine.lost(journal)
      }
      for (const { answer, execution } of judged) {
        if (answer !== undefined && execution !== undefined) this.takeUp(execution, [answer], [])
      }
      return judged.map(({ exit }) => exit)
    })
  }

  private insert(into: string, rows: ReadonlyArray<ReadonlyArray<unknown>>): Effect.Effect<void> {
    return Effect.forEach(
      inSizes(rows),
      (some) => {
        const values = some.map((row) => `(${row.map(() => "?").join(", ")})`)
        return this.engine.query(`INSERT INTO ${into} VALUES ${values.join(", ")}`, some.flat())
      },
      { discard: true }
    )
  }

  private judge(asked: ReadonlyArray<Asked>, requests: ReadonlyArray<RequestRow>, known: ReadonlyArray<AnswerRow>) {
    const rows = new Map(requests.map((row) => [row.id, row]))
    const answers = Map.groupBy(known, (row) => row.request_id)
    const refused = (error: AnswerError) => ({
      exit: Exit.fail(error),
      answer: undefined,
      settled: undefined,
      execution: undefined
    })
    return asked.map(({ execution, id, requestId, said }) => {
      const row = rows.get(requestId)
      if (row === undefined || row.execution_id !== id) {
        return refused(new RequestNotFound({ executionId: id, requestId }))
      }
      if (row.outcome !== null) return refused(new RequestSettled({ requestId, outcome: row.outcome }))
      const before = answers.get(requestId) ?? []
      const live = execution === undefined ? undefined : people.find(execution, requestId)
      const request =
        live === undefined || live.kind === "Approval"
          ? detached(row, execution?.workflow ?? "", this.engine.asking.schemas.get(requestId))
          : live
      if (request instanceof PendingApproval) request.restore(toResponses(before))
      const time = this.engine.now()
      const result = request.respond(said, time)
      if (Result.isFailure(result)) return refused(result.failure)
      const by = said._tag === "Verdict" ? said.options?.by : said.by
      const answer: AnswerRow = {
        request_id: requestId,
        n: before.length + 1,
        execution_id: id,
        by_whom: by === undefined ? "" : `@${readable(by)}`,
        said: JSON.stringify(said),
        time
      }
      answers.set(requestId, [...before, answer])
      const outcome = result.success?.outcome
      if (outcome !== undefined) rows.set(requestId, { ...row, outcome, decided_at: time })
      return {
        exit: Exit.void,
        answer,
        settled: outcome === undefined ? undefined : [requestId, outcome, time],
        execution
      }
    })
  }

  /** What was said is on disk, but the execution has left this memory since: whoever has it now takes it up (D6). */
  private bringBack(id: string): Effect.Effect<void> {
    return Effect.flatMap(this.engine.recovery.activate(id), (execution) =>
      execution === undefined ? this.engine.signals.send(id, "look", null) : this.refresh(execution)
    )
  }

  /** Takes up what people said; one that left the memory meanwhile is brought back for it (D6). */
  look(execution: ExecutionImpl): Effect.Effect<void> {
    return Effect.andThen(
      this.refresh(execution),
      Effect.suspend(() => (execution.outcome === abandoned ? this.bringBack(execution.id) : Effect.void))
    )
  }

  expire(execution: ExecutionImpl, request: Pending, now: number): void {
    const journal = execution.journal as DurableJournal
    const expire = this.engine.parking.pinned(
      execution.id,
      Effect.gen({ self: this }, function* () {
        yield* journal.flush
        yield* this.engine.command(
          `UPDATE baton_requests SET outcome = 'timed-out', decided_at = ? WHERE id = ? AND outcome IS NULL
           AND ${ifOwned(this.engine.isPg, "1", "?", "?")} = 1`,
          [now, request.id, execution.id, journal.epoch]
        )
        yield* this.refresh(execution)
      })
    )
    this.engine.fork(expire)
  }

  /** A replay has come to a request that was open: what people said to it is known, or comes with a signal. */
  reopened(execution: ExecutionImpl): void {
    if (this.reopening.has(execution)) return
    this.reopening.add(execution)
    const takeUp = Effect.sync(() => {
      this.reopening.delete(execution)
      this.takeUp(execution, [], [])
    })
    // The body has to wait first.
    this.engine.fork(Effect.andThen(Effect.yieldNow, takeUp))
  }

  /** Takes up what people said that the execution does not know of yet. */
  refresh(execution: ExecutionImpl): Effect.Effect<void> {
    return Effect.suspend(() => {
      const journal = execution.journal as DurableJournal
      if (people.list(execution).length === 0 && !journal.recorded.isBehind) return Effect.void
      const { id } = execution
      return Effect.map(
        Effect.all([this.engine.reads.answers(id), this.engine.reads.requests(id)], { concurrency: 2 }),
        ([answers, requests]) => this.takeUp(execution, answers, requests)
      )
    })
  }

  /** What a process took that knows only the JSON Schema of a request is no answer to it: the request is open again. */
  private takeBack(journal: DurableJournal, { n, request_id, said, time }: AnswerRow, why: AnswerError): void {
    journal.requests.answered.set(request_id, n - 1)
    const answer = [request_id, n, said, time]
    const takeBack = Effect.gen({ self: this }, function* () {
      const reopened = yield* this.engine.query(
        `UPDATE baton_requests SET outcome = NULL, decided_at = NULL WHERE id = ? AND EXISTS
         (SELECT 1 FROM baton_answers WHERE request_id = ? AND n = ? AND said = ? AND time = ?) RETURNING id`,
        [request_id, ...answer]
      )
      if (reopened.length === 0) return
      yield* this.engine.query(`DELETE FROM baton_answers WHERE request_id = ? AND n = ?`, [request_id, n])
    })
    const written = this.engine.writer.exposed(orUnavailable(this.engine.sql.withTransaction(takeBack)))
    const warning = Effect.logWarning(`An answer that another process took was taken back: ${why.message}`)
    this.engine.fork(this.engine.parking.pinned(journal.id, Effect.andThen(written, warning)))
  }

  /** Gives the execution what was said, as far as its body is there to hear it; the rest is kept until it is. */
  takeUp(execution: ExecutionImpl, answers: ReadonlyArray<AnswerRow>, requests: ReadonlyArray<RequestRow>): void {
    const journal = execution.journal as DurableJournal
    const { unheard } = journal.requests
    journal.requests.unheard = { answers: [], expired: [] }
    for (const row of [...unheard.answers, ...answers]) {
      if (execution.outcome !== undefined) return
      const request = people.find(execution, row.request_id)
      const known = journal.requests.answered.get(row.request_id)
      if (request === undefined || known === undefined || row.n > known + 1) journal.requests.unheard.answers.push(row)
      if (request === undefined || known === undefined || row.n !== known + 1) continue
      journal.requests.answered.set(row.request_id, row.n)
      const said = toAnswer(row)
      const result = request.respond(said, Number(row.time))
      if (Result.isSuccess(result)) people.answered(request, said, result.success)
      else this.takeBack(journal, row, result.failure)
    }
    for (const row of [...unheard.expired, ...requests]) {
      if (execution.outcome !== undefined) return
      const request = people.find(execution, row.id)
      const isOutside = row.path.startsWith("handle/")
      if (row.outcome === "timed-out") {
        if (request !== undefined) people.expire(request, Number(row.decided_at))
        else if (!isOutside) journal.requests.unheard.expired.push(row)
      } else if (row.outcome === "withdrawn" && isOutside && request !== undefined) people.withdrawOutside(request)
    }
  }
}
