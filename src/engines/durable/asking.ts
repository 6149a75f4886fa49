/**
 * What is asked of people from outside of a body, by a handle. Whoever asks waits for rows, in whichever process, so the run
 * may leave the memory, move and die meanwhile.
 *
 * A1  A question is opened once, by the owner of the run: its id is that of the signal that asks for it, and what has a row
 *     is not opened again.
 * A2  It is decided once, in its row: by an answer, by the time, or by whoever asked and no longer wants to know (D8).
 * A3  Whoever asked is told: the decision, or that the run has settled without one.
 * A4  One that nobody waits for any more does not hold the body; one that was not opened by then never is.
 * A5  Its time begins when it is asked, whether anybody has the run or not.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { RequestOutcome } from "../../HumanRequest.ts"
import type { ExecutionImpl } from "../../internal/execution.ts"
import * as people from "../../internal/people.ts"
import { type Pending, PendingInput, type Settlement } from "../../internal/request.ts"
import { isSettled, type RunOptions, type RunStatus } from "../../Run.ts"
import { type InvalidOptions, RunSettled } from "../../RunError.ts"
import { parse } from "./codec.ts"
import type { DurableEngine } from "./engine.ts"
import type { RequestRow } from "./history.ts"
import type { DurableJournal } from "./journal.ts"
import { detached, placed, settlementOf, toStoredRequest } from "./requests.ts"
import { orUnavailable } from "./unavailable.ts"
import { secretAnswer } from "./unstorable.ts"

/** Makes a request by the rules of the run that it is for. */
export type Make = (of: {
  readonly workflow: string
  readonly options: RunOptions
}) => Result.Result<Pending, InvalidOptions>

/** A question that is on its way, or open. */
interface Question {
  readonly row: RequestRow
  /** Gives the request as it was made, to judge what people said to it. */
  readonly request: () => Pending
}

/** How a question came to its end: a settlement for whoever asked, or that what was said is no answer to it. */
type Ending = { readonly settlement: Settlement } | "unfit"

const pathOf = (kind: Pending["kind"], signal: number | string) => `handle/${kind.toLowerCase()}/s${signal}`

export const settledError = (executionId: string, status: RunStatus): RunSettled =>
  new RunSettled({ executionId, status: status as "completed" | "failed" | "cancelled" })

export class Asking {
  private readonly engine: DurableEngine
  /** What inputs are asked for that this process waits for: their rows only have the JSON Schema. */
  readonly schemas = new Map<string, Schema.Codec<any, any>>()

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  /** Asks, and waits for the decision. */
  ask(id: string, make: Make): Effect.Effect<any, any> {
    const asked = Effect.gen({ self: this }, function* () {
      const row = yield* this.engine.reads.run(id)
      if (row === undefined) return yield* pruned(id)
      if (isSettled(row.status)) return yield* settledError(id, row.status)
      const of = { workflow: row.workflow, options: parse(row.options) as RunOptions }
      const draft = yield* Effect.fromResult(make(of))
      const secret = secretAnswer(draft, row.workflow)
      if (secret !== undefined) return yield* Effect.die(secret)
      const now = this.engine.now()
      const place = { id: "", execution_id: id, path: "", attempt: 1, created_at: now }
      const stored = toStoredRequest(placed(draft, place, row.workflow))
      const payload = JSON.stringify({ kind: draft.kind, ...stored })
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(this.engine.whole(this.engine.signals.write(id, "ask", payload)), (signal) => {
          const path = pathOf(draft.kind, signal)
          const question: Question = {
            row: toRow(id, path, { kind: draft.kind, ...stored }),
            request: () => placed(Result.getOrThrow(make(of)), question.row, row.workflow)
          }
          return restore(this.wait(question, draft)).pipe(
            Effect.onInterrupt(() => this.withdraw(question)),
            Effect.ensuring(Effect.sync(() => this.schemas.delete(question.row.id)))
          )
        })
      )
    })
    return Effect.flatMap(asked, (ending: Ending) =>
      ending === "unfit"
        ? Effect.andThen(
            Effect.logWarning(
              `What was said to a question of ${id} fits its JSON Schema and not its schema: it is asked again`
            ),
            this.ask(id, make)
          )
        : ending.settlement
    )
  }

  private wait(question: Question, draft: Pending): Effect.Effect<Ending, RunSettled> {
    const { execution_id: id, expires_at } = question.row
    const ended = Effect.map(
      this.engine.watchers.changing(id, this.look(question), () => false),
      (ending) => ending!
    )
    const inTime =
      expires_at === null
        ? ended
        : Effect.raceFirst(
            ended,
            Effect.suspend(() =>
              this.engine.clock.sleep(Duration.millis(Math.max(0, expires_at - this.engine.now())))
            ).pipe(Effect.andThen(this.decide(question, "timed-out")), Effect.andThen(ended))
          )
    return Effect.suspend(() => {
      if (draft instanceof PendingInput) this.schemas.set(question.row.id, draft.schema)
      this.engine.fork(this.tell(id))
      return Effect.flatMap(inTime, (ending) => ending)
    })
  }

  /** How it ended, by its rows; nothing if it has not. */
  private look({
    request,
    row: { execution_id: id, id: requestId }
  }: Question): Effect.Effect<Effect.Effect<Ending, RunSettled> | undefined> {
    return Effect.gen({ self: this }, function* () {
      const [row] = yield* this.engine.query<
        Pick<RequestRow, "outcome" | "decided_at"> & { readonly status: RunStatus }
      >(
        `SELECT r.status, q.outcome, q.decided_at FROM baton_runs r LEFT JOIN baton_requests q ON q.id = ? WHERE r.id = ?`,
        [requestId, id]
      )
      if (row === undefined) return pruned(id)
      const { decided_at, outcome, status } = row
      if (outcome === null || outcome === "withdrawn")
        return isSettled(status) ? Effect.fail(settledError(id, status)) : undefined
      const answers = (yield* this.engine.reads.answers(id)).filter((answer) => answer.request_id === requestId)
      const settlement = settlementOf(request(), {
        row: { decided_at } as RequestRow,
        answers,
        settled: { outcome, time: Number(decided_at) },
        answered: 0
      })
      return Effect.succeed<Ending>(settlement === undefined ? "unfit" : { settlement })
    })
  }

  /** Lets the owner of a run look for what is asked of it. */
  private tell(id: string): Effect.Effect<void> {
    return Effect.flatMap(this.engine.recovery.activate(id), (execution) =>
      execution === undefined ? this.engine.signals.tellOwner(id) : this.engine.signals.handleSignals
    )
  }

  /** Ends a question that nobody has answered, whether it is open yet or not (A4). */
  private decide({ row }: Question, outcome: RequestOutcome): Effect.Effect<void> {
    const decide = Effect.gen({ self: this }, function* () {
      yield* this.engine.query(
        `INSERT INTO baton_requests (id, execution_id, path, attempt, kind, message, rules, sequence, created_at, expires_at, outcome, decided_at)
         SELECT ?, id, ?, 0, ?, ?, ?, 0, CAST(? AS BIGINT), CAST(? AS BIGINT), ?, CAST(? AS BIGINT) FROM baton_runs WHERE id = ?
         ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, decided_at = excluded.decided_at
         WHERE baton_requests.outcome IS NULL`,
        [
          row.id,
          row.path,
          row.kind,
          row.message,
          row.rules,
          row.created_at,
          row.expires_at,
          outcome,
          this.engine.now(),
          row.execution_id
        ]
      )
      yield* this.engine.query(`INSERT INTO baton_signals (execution_id, kind) VALUES (?, 'look')`, [row.execution_id])
    })
    const written = this.engine.writer.exposed(orUnavailable(this.engine.sql.withTransaction(decide)))
    return this.engine.whole(Effect.andThen(written, this.tell(row.execution_id)))
  }

  /** Whoever asked is gone; a database that is away is told when it is back. */
  private withdraw(question: Question): Effect.Effect<void> {
    const withdrawn = this.decide(question, "withdrawn")
    return Effect.catchCause(withdrawn, () => Effect.sync(() => void this.engine.fork(withdrawn)))
  }

  /** Opens a question for whoever waits for its rows, once (A1). */
  open(execution: ExecutionImpl, signal: number, payload: string): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const journal = execution.journal as DurableJournal
      const stored = parse(payload)
      const row = toRow(execution.id, pathOf(stored.kind, signal), stored)
      const known = yield* this.engine.query(`SELECT id FROM baton_requests WHERE id = ?`, [row.id])
      if (known.length > 0 || execution.outcome !== undefined || people.find(execution, row.id) !== undefined) return
      const request = detached(row, execution.workflow, this.schemas.get(row.id))
      people.openOutside(execution, request, row.path, row.created_at - journal.startedAt)
      yield* journal.flush
      // It may be decided already (A4).
      yield* this.engine.answers.refresh(execution)
    })
  }
}

const pruned = (id: string): Effect.Effect<never> =>
  Effect.die(new Error(`${id} is no longer in the database: it was pruned`))

const toRow = (
  id: string,
  path: string,
  stored: Pick<RequestRow, "kind" | "message" | "created_at" | "expires_at"> & { readonly rules: object }
): RequestRow => ({
  ...stored,
  id: `${id}:${path}`,
  execution_id: id,
  path,
  attempt: 1,
  sequence: 0,
  rules: JSON.stringify(stored.rules),
  outcome: null,
  decided_at: null
})
