/**
 * The human requests of a body: written down when they open, and what they were where a replay comes to them again.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RequestOutcome } from "../../HumanRequest.ts"
import type { Frame } from "../../internal/frame.ts"
import { type Pending, PendingApproval, type Settlement } from "../../internal/request.ts"
import type { AnswerRow, KnownRequest, RequestRow } from "./history.ts"
import type { DurableJournal } from "./journal.ts"
import { settlementOf, toResponses, toStoredRequest } from "./requests.ts"
import { secretAnswer } from "./unstorable.ts"

export class BodyRequests {
  private readonly journal: DurableJournal
  /** How many answers of an open request have been taken up. */
  readonly answered = new Map<string, number>()
  /** What people said, or did not in time, to requests that the body has yet to come to. */
  unheard: { readonly answers: Array<AnswerRow>; readonly expired: Array<RequestRow> } = { answers: [], expired: [] }

  constructor(journal: DurableJournal) {
    this.journal = journal
  }

  opened(request: Pending): void {
    const { journal } = this
    const { created_at, expires_at, message, rules } = toStoredRequest(request)
    this.answered.set(request.id, 0)
    journal.write("request", [
      request.id,
      journal.id,
      request.frame.path,
      journal.attempt,
      request.kind,
      message,
      JSON.stringify(rules),
      journal.sequence,
      created_at,
      expires_at,
      journal.epoch
    ])
  }

  settled(id: string, outcome: RequestOutcome): void {
    if (outcome === "withdrawn") this.journal.write("withdrawn", [id])
    this.answered.delete(id)
  }

  /** Withdraws one that stands in a step which was cut off. */
  cutOff({ id, path }: RequestRow, offset: number): void {
    const { journal } = this
    journal.event("RequestSettled", offset, path, { requestId: id, outcome: "withdrawn" }, null)
    journal.write("withdrawn", [id])
    journal.recorded.reopened(path)
  }

  reopen(request: Pending, frame: Frame): Settlement | true | undefined {
    const { journal } = this
    journal.activity++
    const secret = secretAnswer(request, journal.execution.workflow)
    if (secret !== undefined) return Effect.die(secret)
    const known = journal.recorded.request(frame.path)
    if (known === undefined) return undefined
    const opened: { startedAt: number } = frame
    // It was opened then, whatever the time is now.
    opened.startedAt = known.row.created_at - journal.startedAt
    request.open(frame)
    if (known.row.kind !== request.kind) {
      return journal.misfit(frame.path, `an ${request.kind.toLowerCase()} request`, known.row.kind)
    }
    if (known.settled === undefined) {
      journal.recorded.reopened(frame.path)
      this.restoreAnswers(request, known)
      return true
    }
    if (known.settled.outcome === "withdrawn") return Effect.never
    const settlement = settlementOf(request, known)
    const turn = settlement === undefined ? undefined : journal.recorded.turns.wait(`request ${frame.path}`)
    if (settlement !== undefined) return turn === undefined ? settlement : Effect.andThen(turn, settlement)
    return journal.misfit(frame.path, "an answer that fits the request's schema", known.settled.outcome)
  }

  reusableAnswer(request: Pending, frame: Frame): Exit.Exit<any, any> | undefined {
    const known = this.journal.recorded.earlierRequest(frame.path)
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
}
