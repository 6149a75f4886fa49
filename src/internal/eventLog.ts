/**
 * The events of one execution: three slots an event, made into objects when somebody reads them.
 *
 * L1  Sequence numbers are 1, 2, 3, ... without gaps; dropped events are one `EventsDropped` under the last's number.
 * L2  A reader keeps a number, not a buffer: however slow it is, it holds nothing and nobody.
 * L3  Nothing is appended after a terminal event.
 */
import type * as Event from "../Event.ts"
import type { Frame } from "./frame.ts"

const tags = [
  "RunStarted",
  "StatusChanged",
  "AttemptStarted",
  "RetryScheduled",
  "StepStarted",
  "StepCompleted",
  "StepRetried",
  "StepFailed",
  "ModelCalled",
  "TextDelta",
  "RequestOpened",
  "RequestAnswered",
  "RequestSettled",
  "Progressed",
  "Logged",
  "TimedOut",
  "Paused",
  "Resumed",
  "CancelRequested",
  "CancelPrevented",
  "ChildStarted",
  "RunCompleted",
  "RunFailed",
  "RunCancelled"
] as const satisfies ReadonlyArray<Event.Tag>

/** What an event says beyond its tag, number, time and path. */
export type Fields<T extends Event.Tag> = Omit<Event.Of<T>, "_tag" | "sequence" | "time" | "path">

/** Fields that are made when somebody reads the event. */
export abstract class Lazy {
  abstract get fields(): object
}

type Logged = (typeof tags)[number]

/** Numbers of the tags, for the slots. */
export const Tag = Object.fromEntries(tags.map((tag, n) => [tag, n])) as { readonly [T in Logged]: number }

const firstTerminal = Tag.RunCompleted
const tagBase = 32
const width = 3

export class EventLog {
  // Room for ten events: a run of a few steps, or one that asked once, never grows it.
  private slots: Array<unknown> = new Array(10 * width)
  private used = 0
  /** How many events are no longer in `slots`. */
  private dropped = 0
  private ended = false
  private waiting: Array<() => void> | undefined = undefined
  readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  /** Number of the newest event. */
  get sequence(): number {
    return this.dropped + this.used / width
  }

  /** How many events it keeps. */
  get kept(): number {
    return this.used / width
  }

  get isEnded(): boolean {
    return this.ended
  }

  append(tag: number, offsetMillis: number, frame: Frame | undefined, fields: unknown): void {
    if (this.ended) return
    const i = this.used
    // A clock may have fractions, or be put back.
    this.slots[i] = Math.max(0, Math.floor(offsetMillis)) * tagBase + tag
    this.slots[i + 1] = frame
    this.slots[i + 2] = fields
    this.used = i + width
    if (tag >= firstTerminal) this.ended = true
    // Dropping a quarter at a time keeps the cost of an append constant.
    if (this.used > this.limit * width * 1.25) {
      const surplus = this.used / width - this.limit
      this.slots.splice(0, surplus * width)
      this.used -= surplus * width
      this.dropped += surplus
    }
    if (this.waiting !== undefined) {
      const waiting = this.waiting
      this.waiting = undefined
      for (const wake of waiting) wake()
    }
  }

  /** Calls back once when there is something new; returns how to stop waiting. */
  wait(wake: () => void): () => void {
    this.waiting ??= []
    this.waiting.push(wake)
    return () => {
      if (this.waiting === undefined) return
      const rest = this.waiting.filter((other) => other !== wake)
      this.waiting = rest.length === 0 ? undefined : rest
    }
  }

  /** Whether somebody waits for events. */
  get isWatched(): boolean {
    return this.waiting !== undefined
  }

  /** The newest fields of a tag that pass a test. */
  findLast<A>(tag: number, test: (fields: unknown) => fields is A): A | undefined {
    for (let i = this.used - width; i >= 0; i -= width) {
      const fields = this.slots[i + 2]
      if ((this.slots[i] as number) % tagBase === tag && test(fields)) return fields
    }
    return undefined
  }

  /** At most `count` events from number `from` on. */
  read(from: number, startedAt: number, count: number): Array<Event.Event> {
    const newest = this.sequence
    const oldest = Math.max(this.dropped, newest - this.limit) + 1
    const events: Array<Event.Event> = []
    let next = Math.max(from, 1)
    if (next < oldest) {
      events.push({
        _tag: "EventsDropped",
        sequence: oldest - 1,
        time: new Date(startedAt + this.offset(oldest)),
        path: "",
        dropped: oldest - 1
      })
      next = oldest
    }
    for (; next <= newest && events.length < count; next++) events.push(this.event(next, startedAt))
    return events
  }

  private offset(sequence: number): number {
    return Math.floor((this.slots[(sequence - this.dropped - 1) * width] as number) / tagBase)
  }

  private event(sequence: number, startedAt: number): Event.Event {
    const i = (sequence - this.dropped - 1) * width
    const frame = this.slots[i + 1] as Frame | undefined
    const fields = this.slots[i + 2]
    return {
      _tag: tags[(this.slots[i] as number) % tagBase],
      sequence,
      time: new Date(startedAt + this.offset(sequence)),
      path: frame === undefined ? "" : frame.path,
      // A number stands for the fields of the most frequent event, and a request knows its own.
      ...(typeof fields === "number"
        ? { durationMillis: fields }
        : fields instanceof Lazy
          ? fields.fields
          : (fields as object))
    } as Event.Event
  }
}
