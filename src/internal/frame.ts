/**
 * Where in a body something happens. A frame is one scope: the body, a step, an inner call, a request. Its path is the
 * names of the frames around it and its own, and is the identity of everything that is recorded.
 *
 * F1  A path is given to one live use at a time; the second one is refused.
 * F2  Later uses of a path are told apart by `#2`, `#3`, in the order in which they begin.
 * F3  Where results are recorded, no two places of one attempt have one path: a keyed use `a/b` beside a use of `b` inside
 *     of `a` is refused.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { ExecutionImpl } from "./execution.ts"

/** The execution, and the place in its body, that an effect runs in. */
export class Current extends Context.Service<Current, Frame>()("effect-baton/Execution/Current") {}

/** The place that a fiber is in, if it runs in a body. */
export const currentFrame = (fiber: Fiber.Fiber<unknown, unknown>): Frame | undefined =>
  Context.getOrUndefined(fiber.context as Context.Context<Current>, Current)

/** The place in a body that a fiber is in; a defect where it is in none. */
export const bodyFrame = (fiber: Fiber.Fiber<unknown, unknown>, kind: string, name: string): Frame => {
  const frame = currentFrame(fiber)
  if (frame === undefined)
    throw new Error(`The ${kind} "${name}" runs outside of a workflow's body: use it inside of \`run\``)
  return frame
}

/** Keys come from data: what has a meaning in a path must not. */
const escape = (key: string): string => (special.test(key) ? key.replace(specials, encode) : key)

// Databases take no NUL and no half of a surrogate pair.
const special = /[/#%\0\p{Surrogate}]/u
const specials = /[/#%\0\p{Surrogate}]/gu

const encode = (character: string): string =>
  /\p{Surrogate}/u.test(character) ? `%u${character.charCodeAt(0).toString(16)}` : encodeURIComponent(character)

/** The names that were used in a frame. */
class Uses {
  /** They are known to differ, and need no book-keeping. */
  distinct = false
  // The last child of each name; most frames use one name, over and over or once: a map is made for the second.
  last: Frame | undefined = undefined
  others: Map<string, Frame> | undefined = undefined
  /** All paths of an attempt, in the frame of its body. */
  paths: Set<string> | undefined = undefined

  find(use: string): Frame | undefined {
    return this.last?.use === use ? this.last : this.others?.get(use)
  }

  keep(child: Frame): void {
    if (this.last === undefined || this.last.use === child.use) {
      this.last = child
    } else {
      this.others ??= new Map()
      this.others.set(child.use, child)
    }
  }
}

// Each event of a step holds a frame: what only few frames need is kept apart, in `Uses`.
export class Frame {
  readonly execution: ExecutionImpl
  readonly parent: Frame | undefined
  /** The frame of the body this one is in: one for each attempt. */
  readonly root: Frame
  /** Name and key, as they stand in the path. */
  readonly use: string
  /** Which use of that name and key this is, from 1. */
  readonly occurrence: number
  /** Milliseconds after the start of the execution. */
  readonly startedAt: number
  /** What runs in it is a step: what it does is recorded as a whole. */
  isStep = false
  private live = true
  private uses: Uses | undefined = undefined

  constructor(execution: ExecutionImpl, parent: Frame | undefined, use: string, occurrence: number, startedAt: number) {
    this.execution = execution
    this.parent = parent
    this.root = parent === undefined ? this : parent.root
    this.use = use
    this.occurrence = occurrence
    this.startedAt = startedAt
  }

  /** Name, key and number of this use, as they stand in the path. */
  get segment(): string {
    return this.occurrence === 1 ? this.use : `${this.use}#${this.occurrence}`
  }

  get path(): string {
    if (this.parent === undefined) return ""
    const segments: Array<string> = []
    for (let frame: Frame = this; frame.parent !== undefined; frame = frame.parent) segments.push(frame.segment)
    return segments.reverse().join("/")
  }

  /** Whether it is a step, or inside of one. */
  get inStep(): boolean {
    for (let frame: Frame | undefined = this; frame !== undefined; frame = frame.parent) if (frame.isStep) return true
    return false
  }

  /** Whether a use of a name is live. */
  hasLive(name: string, key: string): boolean {
    return this.uses?.find(`${name}/${escape(key)}`)?.live === true
  }

  /** How many frames are around it. */
  get depth(): number {
    let depth = 0
    for (let frame = this.parent; frame !== undefined; frame = frame.parent) depth++
    return depth
  }

  /** Begins a use of a name; `undefined` when one is live already (F1). */
  enter(name: string, key: string | undefined, now: number): Frame | undefined {
    const uses = (this.uses ??= new Uses())
    if (uses.distinct) return this.claimed(new Frame(this.execution, this, escape(name), 1, now))
    const use = key === undefined ? name : `${name}/${escape(key)}`
    const last = uses.find(use)
    if (last?.live === true) return undefined
    const child = new Frame(this.execution, this, use, last === undefined ? 1 : last.occurrence + 1, now)
    uses.keep(child)
    return this.claimed(child)
  }

  /** Says that no name will be used twice in here: what a wide fan-out has checked need not be checked again. */
  assumeDistinct(): void {
    const uses = (this.uses ??= new Uses())
    uses.distinct = true
  }

  /** Ends the use that `child` began. */
  leave(child: Frame): void {
    child.live = false
  }

  /** A new place; nothing where results are recorded and another place of the attempt has its path (F3). */
  private claimed(child: Frame): Frame | undefined {
    if (!this.execution.isRecording) return child
    const path = child.path
    const uses = (this.root.uses ??= new Uses())
    const paths = (uses.paths ??= new Set())
    if (paths.has(path)) return undefined
    paths.add(path)
    return child
  }
}
