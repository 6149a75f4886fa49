/**
 * What the fibers of a body did one after the other, and whether a replay does the same. Each fiber of a body is a strand:
 * the steps, model calls, requests and children that it began, in order. A row says which strand it belongs to, unless it is the first,
 * which is the body's own fiber.
 *
 * S1  A fiber that begins something that is not recorded, where something else is recorded next in its strand that nobody
 *     has asked for, does not do what was done before.
 * S2  So does one that ends of its own accord where more is recorded of its strand that nobody has asked for.
 * S3  What does not follow from the code alone is not judged: what stands inside of a step, what cannot be interrupted (such
 *     as finalizers), the first thing of a fiber that runs in no scope of its own, and fibers that were interrupted.
 * S4  A model call stands where it began, but is only written when it ends, and some never are. What its fiber begins
 *     meanwhile, or after one that is not written, is the first of another strand.
 */
import type * as Fiber from "effect/Fiber"
import type { Frame } from "../../internal/frame.ts"
import type { Asked } from "./calls.ts"

/** Which strand a row belongs to; 0 for what is not judged, -1 for what stands in a step. */
export interface Mark {
  readonly s: number
  /** The scope that its fiber had entered, where it is the first of its strand. */
  readonly in?: string
}

interface Recorded {
  readonly path: string
  readonly strand: number
  /** What is recorded next in its strand. */
  next: Recorded | undefined
  before: Recorded | undefined
  asked: boolean
  /** What a model was asked for, and where. */
  readonly call: ExpectedCall | undefined
}

export interface ExpectedCall {
  readonly path: string
  readonly asked: Asked
}

/** Where a fiber is in its strand. */
interface Place {
  /** 0 while it is not known. */
  strand: number
  last: Recorded | undefined
  /** The scope that it entered since. */
  scope: string | undefined
  isFirst: boolean
  /** Its model calls that go on. */
  readonly open: Set<string>
}

/** What was expected of a fiber. */
export interface Expected {
  readonly path: string
  readonly asked: boolean
  readonly call: ExpectedCall | undefined
}

/** The scope of the first strand. */
const body = ""

export class Strands {
  /** Whether a strand consists of such events. */
  static has(tag: string): boolean {
    return tag === "StepStarted" || tag === "RequestOpened" || tag === "ChildStarted"
  }

  private readonly recorded = new Map<string, Recorded>()
  /** What comes first in a strand, by the scope that its fiber entered. */
  private readonly first = new Map<string, Recorded>()
  private readonly ends = new Map<number, Recorded>()
  private readonly marks = new Map<string, Mark>()
  private places = new WeakMap<Fiber.Fiber<unknown, unknown>, Place>()
  /** Whose the model calls are that go on. */
  private readonly opened = new Map<string, { readonly place: Place; readonly after: number }>()
  private count = 1

  /** Another attempt begins. */
  clear(): void {
    this.recorded.clear()
    this.first.clear()
    this.ends.clear()
    this.marks.clear()
    this.places = new WeakMap()
    this.opened.clear()
    this.count = 1
  }

  /** Takes up a row. */
  load(path: string, mark: Mark | null, call?: ExpectedCall): void {
    const strand = mark === null ? 1 : mark.s
    this.count = Math.max(this.count, strand)
    const before = strand <= 0 ? undefined : this.ends.get(strand)
    const recorded: Recorded = { path, strand, next: undefined, before, asked: false, call }
    this.recorded.set(path, recorded)
    if (strand <= 0) return
    this.ends.set(strand, recorded)
    if (before !== undefined) before.next = recorded
    else if (strand === 1) this.first.set(body, recorded)
    else if (mark?.in !== undefined) this.first.set(mark.in, recorded)
  }

  private place(fiber: Fiber.Fiber<unknown, unknown>, isBody: boolean): Place {
    const known = this.places.get(fiber)
    if (known !== undefined) return known
    const place: Place = {
      strand: isBody ? 1 : 0,
      last: undefined,
      scope: isBody ? body : undefined,
      isFirst: true,
      open: new Set()
    }
    this.places.set(fiber, place)
    return place
  }

  knows(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return this.places.has(fiber)
  }

  /** Whether something is recorded at a path. */
  knowsOf(path: string): boolean {
    return this.recorded.has(path)
  }

  /** Whether something began at a path that stands in no step. */
  isOuter(path: string): boolean {
    const known = this.recorded.get(path)
    return known !== undefined && known.strand >= 0
  }

  /** A fiber enters a scope. */
  enter(fiber: Fiber.Fiber<unknown, unknown>, frame: Frame): void {
    const place = this.place(fiber, false)
    if (place.isFirst) place.scope = frame.path
  }

  /**
   * A fiber begins something; what it should have begun instead, if there is something. `isJudged` is false where S3
   * says so.
   */
  begin(
    fiber: Fiber.Fiber<unknown, unknown>,
    path: string,
    isBody: boolean,
    { isInner, isJudged }: { readonly isInner: boolean; readonly isJudged: boolean }
  ): Expected | undefined {
    // Most bodies have one fiber.
    if (isBody && isJudged && this.recorded.size === 0 && !this.places.has(fiber)) return undefined
    const known = this.recorded.get(path)
    if (known !== undefined) known.asked = true
    if (!isJudged) {
      if (known === undefined) this.marks.set(path, { s: isInner ? -1 : 0 })
      return undefined
    }
    const place = this.place(fiber, isBody)
    if (known !== undefined && known.strand <= 0) return undefined
    if (known !== undefined) {
      // A fiber that does what another one did goes on in a strand of its own.
      place.strand = place.last === known.before ? known.strand : 0
      place.last = known
      place.isFirst = false
      return undefined
    }
    const expected = this.expected(place)
    if (expected?.asked === false) return expected
    if (expected !== undefined || place.open.size > 0) place.strand = 0
    if (place.strand === 0) {
      place.strand = ++this.count
      const mark: Mark = { s: place.strand }
      this.marks.set(path, place.isFirst && place.scope !== undefined ? { ...mark, in: place.scope } : mark)
    } else if (place.strand !== 1) this.marks.set(path, { s: place.strand })
    place.last = undefined
    place.isFirst = false
    return undefined
  }

  /** A model call goes on, which began after an event, and may never be written. */
  open(fiber: Fiber.Fiber<unknown, unknown>, path: string, isBody: boolean, after: number): void {
    const place = this.place(fiber, isBody)
    place.isFirst = false
    place.open.add(path)
    this.opened.set(path, { place, after })
  }

  /** It has ended, and is written with this beside it, or never will be. */
  close(path: string, isWritten: boolean): (Mark & { readonly after: number }) | undefined {
    const opened = this.opened.get(path)
    if (opened === undefined) return undefined
    const { after, place } = opened
    place.open.delete(path)
    if (isWritten) {
      const mark = this.marks.get(path) ?? { s: 1 }
      this.opened.delete(path)
      this.marks.delete(path)
      return { ...mark, after }
    }
    place.strand = 0
    place.last = undefined
    return undefined
  }

  private expected(place: Place): Recorded | undefined {
    if (place.last !== undefined) return place.last.next
    return place.isFirst && place.scope !== undefined ? this.first.get(place.scope) : undefined
  }

  /** A fiber has ended of its own accord; what it should have begun, if there is something. */
  end(fiber: Fiber.Fiber<unknown, unknown>, isBody: boolean): Expected | undefined {
    const place = isBody ? this.place(fiber, isBody) : this.places.get(fiber)
    const expected = place === undefined ? undefined : this.expected(place)
    return expected?.asked === false ? expected : undefined
  }

  /** Whether anything is recorded that a replay may miss. */
  get isEmpty(): boolean {
    return this.recorded.size === 0
  }

  /** What is written beside the row of something that begins. */
  markOf(path: string): string | null {
    const mark = this.marks.get(path)
    if (mark === undefined) return null
    this.marks.delete(path)
    return JSON.stringify(mark)
  }
}
