/**
 * What is recorded of an execution's current attempt, and of what it may use again: where the body gets there in a
 * replay, it finds here how things ended.
 */
import type { RequestOutcome } from "../../HumanRequest.ts"
import { isCutOff, isReusable } from "../../internal/journal.ts"
import { isCut, parse, type Stored } from "./codec.ts"
import {
  firedAt,
  type History,
  type KnownRequest,
  type RequestRow,
  type Seed,
  type StoredCall,
  type TimerRow
} from "./history.ts"
import { Strands } from "./strands.ts"
import type { Turns } from "./turns.ts"

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

/** What a model call is called among what a body begins. */
export const callKey = (model: string): string => `model ${model}`

/** How something ended, and when the body was told. */
interface End {
  readonly key: string
  readonly told: number
  readonly n: number
  /** At the same moment as the one before it. */
  readonly isTogether: boolean
}

export class Recorded {
  /** How often an event is still to be repeated, by tag and path. */
  private readonly repeats = new Map<string, number>()
  private readonly results = new Map<string, Stored>()
  private readonly begun = new Set<string>()
  private readonly requests = new Map<string, KnownRequest>()
  /** The requests from outside that are open, whichever attempt they were opened in. */
  readonly outside: Array<KnownRequest> = []
  private readonly timers = new Map<string, TimerRow>()
  private readonly children = new Map<string, string>()
  private readonly answers = new Map<string, StoredCall>()
  /** Where the model calls were made that the body has yet to make again. */
  readonly unasked = new Map<string, string>()
  readonly strands = new Strands()
  readonly turns: Turns
  // Results of earlier attempts, or of the run that this one was made from.
  private readonly earlier = new Map<string, Stored>()
  private readonly earlierRequests = new Map<string, KnownRequest>()
  // Whatever became of them: that is known where the body comes to them again.
  private readonly earlierChildren = new Map<string, string>()
  private readonly earlierAnswers = new Map<string, unknown>()

  constructor(turns: Turns) {
    this.turns = turns
  }

  /** A result that the first attempt begins with. */
  seed(path: string, seed: Seed): void {
    if ("request" in seed) this.earlierRequests.set(path, seed.request)
    else if ("child" in seed) this.earlierChildren.set(path, seed.child)
    else if ("model" in seed) this.earlierAnswers.set(seed.model, seed.answer)
    else this.earlier.set(path, seed)
  }

  /** Takes up what is stored of an attempt; one that `resumes` uses what earlier ones had, too. */
  load(history: History, attempt: number, resumes: boolean): void {
    const settled = new Map<string, { readonly outcome: RequestOutcome; readonly time: number }>()
    const answered = new Map<string, number>()
    const begun: Array<{ readonly after: number; readonly load: () => void }> = []
    if (attempt === 1 || resumes) for (const { path, result } of history.seeds) this.seed(path, parse(result))
    for (const event of history.events) {
      const { attempt: of, path, result, tag } = event
      if (tag === "RequestSettled") {
        const { outcome, requestId } = parse(event.fields)
        settled.set(requestId, { outcome, time: event.time })
      } else if (tag === "RequestAnswered") {
        const { requestId } = parse(event.fields)
        answered.set(requestId, (answered.get(requestId) ?? 0) + 1)
      }
      if (tag === "ChildStarted") {
        const { childId } = parse(event.fields)
        if (of === attempt) this.children.set(path, childId)
        else if (resumes) this.earlierChildren.set(path, childId)
      }
      // What is asked from outside is not the body's to repeat.
      if (path.startsWith("handle/")) continue
      if (of !== attempt) {
        if (!resumes) continue
        if (result !== null && tag === "StepCompleted") this.earlier.set(path, parse(result))
        if (result !== null && tag === "ModelCalled") this.keepEarlier(parse(result))
        continue
      }
      if (result !== null && tag === "ModelCalled") {
        const call: StoredCall = parse(result)
        this.answers.set(call.model, call)
        if (!isCutOff(call.answer)) this.unasked.set(call.model, path)
        const { began } = call
        if (began !== undefined) {
          const { after, asked, ...mark } = began
          begun.push({ after, load: () => this.strands.load(callKey(call.model), mark, { path, asked }) })
        }
        // The call is not made again, nor are its events.
        for (let n = 0; n < call.tries; n++) this.isRepeated("ModelCalled", path)
        for (let n = 0; n < call.deltas; n++) this.isRepeated("TextDelta", path)
        continue
      }
      if (repeatable.has(tag)) {
        const key = `${tag} ${path}`
        this.repeats.set(key, (this.repeats.get(key) ?? 0) + 1)
      }
      if (tag === "StepStarted") this.begun.add(path)
      if (Strands.has(tag)) {
        begun.push({ after: event.sequence - 1, load: () => this.strands.load(path, parse(result)) })
      } else if (result !== null && Recorded.ends(tag)) this.results.set(path, parse(result))
    }
    for (const { load } of begun.sort((a, b) => a.after - b.after)) load()
    for (const row of history.requests) {
      const known: KnownRequest = {
        row,
        answers: history.answers.filter((answer) => answer.request_id === row.id),
        settled: settled.get(row.id),
        answered: answered.get(row.id) ?? 0
      }
      if (row.path.startsWith("handle/")) {
        if (known.settled === undefined && row.sequence > 0) this.keepOutside(known)
      } else if (row.attempt === attempt) this.requests.set(row.path, known)
      else if (resumes && known.settled !== undefined) this.earlierRequests.set(row.path, known)
    }
    for (const timer of history.timers) if (timer.attempt === attempt) this.timers.set(timer.path, timer)
    for (const { isTogether, key } of this.ends(history, attempt)) this.turns.load(key, isTogether)
  }

  private keepOutside(known: KnownRequest): void {
    this.outside.push(known)
    this.repeats.set(`RequestOpened ${known.row.path}`, 1)
  }

  /** What ended, in the order in which the body was told. */
  private ends(history: History, attempt: number): ReadonlyArray<End> {
    const ends: Array<End> = []
    for (const { attempt: of, fields, path, result, sequence, tag } of history.events) {
      if (of !== attempt) continue
      if (tag === "ModelCalled" && result !== null) {
        const { answer, model, t }: StoredCall = parse(result)
        const key = callKey(model)
        if (!this.strands.isOuter(key) || isCutOff(answer)) continue
        ends.push({ key, told: sequence, n: 0, isTogether: t === 1 })
      }
      if (!this.strands.isOuter(path)) continue
      const stored = this.results.get(path)
      if (tag === "RequestSettled" && parse(fields).outcome !== "withdrawn") {
        const told = result === null ? sequence : parse(result) + 0.5
        ends.push({ key: `request ${path}`, told, n: sequence, isTogether: false })
      } else if (Recorded.ends(tag) && result !== null && stored !== undefined && !isCut(stored)) {
        ends.push({ key: `step ${path}`, told: sequence, n: 0, isTogether: parse(result).t === 1 })
      }
    }
    for (const { path, state } of this.timers.values()) {
      const at = firedAt(state)
      if (at !== undefined) ends.push({ key: `sleep ${path}`, told: at.told + 0.5, n: at.n, isTogether: false })
    }
    return ends.sort((a, b) => a.told - b.told || a.n - b.n)
  }

  private static ends(tag: string): boolean {
    return tag === "StepCompleted" || tag === "StepFailed"
  }

  /** Begins an attempt, of which nothing is recorded yet; later ones use what was before them only if they resume. */
  next(attempt: number, resumes: boolean): void {
    // The first attempt may begin with results of another run.
    const restarts = attempt > 1 && !resumes
    if (restarts) this.earlier.clear()
    else for (const [path, stored] of this.results) if (!("i" in stored)) this.earlier.set(path, stored)
    if (restarts) this.earlierAnswers.clear()
    else for (const call of this.answers.values()) this.keepEarlier(call)
    if (restarts) this.earlierChildren.clear()
    else for (const [path, id] of this.children) this.earlierChildren.set(path, id)
    if (restarts) this.earlierRequests.clear()
    else
      for (const [path, known] of this.requests) if (known.settled !== undefined) this.earlierRequests.set(path, known)
    this.repeats.clear()
    this.results.clear()
    this.begun.clear()
    this.requests.clear()
    this.timers.clear()
    this.children.clear()
    this.answers.clear()
    this.unasked.clear()
    this.strands.clear()
    this.turns.clear()
  }

  private keepEarlier(call: StoredCall): void {
    if (isReusable(call.answer)) this.earlierAnswers.set(call.model, call.answer)
  }

  /** What a model call came to. */
  answer(model: string): unknown {
    this.unasked.delete(model)
    return this.answers.get(model)?.answer ?? this.earlierAnswers.get(model)
  }

  /** Keeps what a model call came to for the next attempt. */
  keepAnswer(call: StoredCall): void {
    this.answers.set(call.model, call)
  }

  /** Whether a replay does again what is recorded; each event is repeated once. */
  isRepeated(tag: string, path: string): boolean {
    if (this.repeats.size === 0 || !repeatable.has(tag)) return false
    const key = `${tag} ${path}`
    const left = this.repeats.get(key)
    if (left === undefined) return false
    if (left === 1) this.repeats.delete(key)
    else this.repeats.set(key, left - 1)
    return true
  }

  /** Whether something is recorded that the body has not done again. */
  get isAhead(): boolean {
    return this.repeats.size > 0
  }

  result(path: string): Stored | undefined {
    return this.results.get(path)
  }

  hasBegun(path: string): boolean {
    return this.begun.has(path)
  }

  /** What began in a step and has no end, innermost first. */
  unfinished(step: string): { readonly steps: ReadonlyArray<string>; readonly requests: ReadonlyArray<RequestRow> } {
    const isIn = (path: string) => path === step || path.startsWith(`${step}/`)
    return {
      steps: [...this.begun].filter((path) => isIn(path) && !this.results.has(path)).reverse(),
      requests: [...this.requests.values()].flatMap(({ row, settled }) =>
        settled === undefined && isIn(row.path) ? [row] : []
      )
    }
  }

  request(path: string): KnownRequest | undefined {
    return this.requests.get(path)
  }

  /** The body waits again for a request that was open. */
  reopened(path: string): void {
    this.requests.delete(path)
  }

  /** Whether there is a request that was open, or a sleep that went on, that the body has not come to again. */
  get isBehind(): boolean {
    for (const { state } of this.timers.values()) if (state === "pending") return true
    for (const { settled } of this.requests.values()) {
      if (settled === undefined) return true
    }
    return false
  }

  /** How many sleeps there were. */
  get timerCount(): number {
    return this.timers.size
  }

  /** The body comes to a sleep. */
  timer(path: string): TimerRow | undefined {
    const timer = this.timers.get(path)
    this.timers.delete(path)
    return timer
  }

  /** The id of the child that was started there. */
  child(path: string): string | undefined {
    return this.children.get(path)
  }

  /** A child is started, which the next attempt may use. */
  keepChild(path: string, id: string): void {
    this.children.set(path, id)
  }

  earlierResult(path: string): Stored | undefined {
    return this.earlier.get(path)
  }

  earlierRequest(path: string): KnownRequest | undefined {
    return this.earlierRequests.get(path)
  }

  earlierChild(path: string): string | undefined {
    return this.earlierChildren.get(path)
  }
}
