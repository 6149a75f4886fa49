/**
 * What is stored of an execution, as its rows tell of it.
 */
import type { RequestOutcome } from "../../HumanRequest.ts"
import { isReusable } from "../../internal/journal.ts"
import type { Asked } from "./calls.ts"
import { parse, type Stored } from "./codec.ts"
import type { Mark } from "./strands.ts"

/** An event as it is stored. */
export interface EventRow {
  readonly execution_id: string
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
  /** The number of the event of its opening; 0 of one that was decided before it was opened. */
  readonly sequence: number
  readonly created_at: number
  readonly expires_at: number | null
  readonly outcome: RequestOutcome | null
  readonly decided_at: number | null
}

/** An answer as it is stored. */
export interface AnswerRow {
  readonly execution_id: string
  readonly request_id: string
  readonly n: number
  readonly by_whom: string
  readonly said: string
  readonly time: number
}

/** A sleep of a body as it is stored. */
export interface TimerRow {
  readonly execution_id: string
  readonly attempt: number
  readonly path: string
  readonly due: number
  readonly state: string
}

/** What a run begins with that was made from another, as it is stored. */
export interface SeedRow {
  readonly execution_id: string
  readonly path: string
  readonly result: string
}

/** A child as its parent needs to know it. */
export interface ChildRow {
  readonly parent_id: string
  readonly id: string
  readonly status: string
  readonly settled_at: number | null
  readonly usage_total: string | null
}

/**
 * The state of a sleep that ended: after which event the body was told, and how many had ended before. A body is told of a
 * step once that is on disk, so the number of the newest event would say too much.
 */
export const fired = (told: number, n: number): string => `fired:${told}:${n}`

/** What a state says of that. */
export const firedAt = (state: string): { readonly told: number; readonly n: number } | undefined => {
  const [what, told, n] = state.split(":")
  return what === "fired" && n !== undefined ? { told: Number(told), n: Number(n) } : undefined
}

/** What is stored of an execution that is taken up again. */
export interface History {
  readonly events: ReadonlyArray<EventRow>
  readonly requests: ReadonlyArray<RequestRow>
  readonly answers: ReadonlyArray<AnswerRow>
  readonly timers: ReadonlyArray<TimerRow>
  readonly seeds: ReadonlyArray<SeedRow>
  readonly children: ReadonlyArray<ChildRow>
}

/** A request, and how far its events tell of it. */
export interface KnownRequest {
  readonly row: RequestRow
  readonly answers: ReadonlyArray<AnswerRow>
  /** How it was settled, as far as its events tell. */
  readonly settled: { readonly outcome: RequestOutcome; readonly time: number } | undefined
  /** How many of the answers its events tell of. */
  readonly answered: number
}

/** What a model call of a body came to, as it is stored with its event. */
export interface StoredCall {
  /** Its path, what was asked, and which of equal calls it is. */
  readonly model: string
  readonly answer: unknown
  /** How many events of earlier tries, and of text, belong to it. */
  readonly tries: number
  readonly deltas: number
  /** What was asked, and where it began: after which event, and in which strand. The first journals have none. */
  readonly began?: Mark & { readonly after: number; readonly asked: Asked }
  /** It was told together with the end before it. */
  readonly t?: 1
}

/** Whether it has what model calls of the body came to. */
export const hasAnswers = ({ events, seeds }: History): boolean =>
  events.some((event) => event.tag === "ModelCalled" && event.result !== null) ||
  seeds.some((seed) => "model" in parse(seed.result))

/** What a run begins with that was made from another: a step's end, what a model or what people said, a child. */
export type Seed = Stored | StoredCall | { readonly request: KnownRequest } | { readonly child: string }

/**
 * What a run had done that another one may use: in its last attempt, or where attempts resume in all of them; of each only
 * what was before a step, if one is given.
 */
export const seedsOf = (
  history: History,
  events: ReadonlyArray<EventRow>,
  resumes: boolean,
  fromStep?: string
): ReadonlyArray<readonly [path: string, seed: Seed]> => {
  const seeds = new Map<string, Seed>()
  const last = events[events.length - 1]?.attempt ?? 0
  // Each attempt came to the step, or ended before it.
  const ends = new Map<number, number>()
  for (const { attempt, path, sequence, tag } of events) {
    if (tag === "StepStarted" && path === fromStep && !ends.has(attempt)) ends.set(attempt, Number(sequence))
  }
  const counts = ({ attempt, sequence }: EventRow): boolean =>
    (resumes || attempt === last) && Number(sequence) < (ends.get(attempt) ?? Number.POSITIVE_INFINITY)
  const begun = new Set(events.flatMap((event) => (event.tag === "StepStarted" && counts(event) ? [event.path] : [])))
  for (const { path, result } of history.seeds) {
    const seed: Seed = parse(result)
    // Of what has no event where it is used nobody knows whether it was before the step.
    const isStep = !("request" in seed || "child" in seed || "model" in seed)
    if (fromStep === undefined || "model" in seed || (isStep && begun.has(path))) seeds.set(path, seed)
  }
  for (const event of events) {
    if (!counts(event)) continue
    if (event.tag === "StepCompleted" && event.result !== null) seeds.set(event.path, parse(event.result))
    if (event.tag === "ModelCalled" && event.result !== null) {
      const call: StoredCall = parse(event.result)
      if (isReusable(call.answer)) seeds.set(call.model, call)
    }
    if (event.tag === "ChildStarted") seeds.set(event.path, { child: parse(event.fields).childId })
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
