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
const escape = (key: string): string => (special.test(key) ? key.replace(specials, encodeURIComponent) : key)

const special = /[/#%]/
const specials = /[/#%]/g

export class Frame {
  readonly execution: ExecutionImpl
  readonly parent: Frame | undefined
  /** The frame of the body this one is in: one for each attempt. */
  readonly root: Frame
  /** Name and key, as they stand in the path. */
  readonly use: string
  /** Which use of that name and key this is, from 1. */
  readonly occurrence: number
  readonly depth: number
  /** Milliseconds after the start of the execution. */
  readonly startedAt: number
  /** What runs in it is a step: what it does is recorded as a whole. */
  isStep = false
  /** The uses of its children are known to differ: they need no book-keeping. */
  private distinct = false
  private live = true
  // The last child of each name; most frames use one name, over and over or once: a map is made for the second.
  private child: Frame | undefined = undefined
  private others: Map<string, Frame> | undefined = undefined
  private paths: Set<string> | undefined = undefined

  constructor(execution: ExecutionImpl, parent: Frame | undefined, use: string, occurrence: number, startedAt: number) {
    this.execution = execution
    this.parent = parent
    this.root = parent === undefined ? this : parent.root
    this.use = use
    this.occurrence = occurrence
    this.depth = parent === undefined ? 0 : parent.depth + 1
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
    const use = `${name}/${escape(key)}`
    return (this.child?.use === use ? this.child : this.others?.get(use))?.live === true
  }

  /** Begins a use of a name; `undefined` when one is live already (F1). */
  enter(name: string, key: string | undefined, now: number): Frame | undefined {
    if (this.distinct) return this.claimed(new Frame(this.execution, this, escape(name), 1, now))
    const use = key === undefined ? name : `${name}/${escape(key)}`
    const last = this.child?.use === use ? this.child : this.others?.get(use)
    if (last?.live === true) return undefined
    return this.claimed(
      this.keep(new Frame(this.execution, this, use, last === undefined ? 1 : last.occurrence + 1, now))
    )
  }

  /** Says that no name will be used twice in here: what a wide fan-out has checked need not be checked again. */
  assumeDistinct(): void {
    this.distinct = true
  }

  /** Ends the use that `child` began. */
  leave(child: Frame): void {
    child.live = false
  }

  /** A new place; nothing where results are recorded and another place of the attempt has its path (F3). */
  private claimed(child: Frame): Frame | undefined {
    if (!this.execution.isRecording) return child
    const path = child.path
    const paths = (this.root.paths ??= new Set())
    if (paths.has(path)) return undefined
    paths.add(path)
    return child
  }

  private keep(child: Frame): Frame {
    if (this.child === undefined || this.child.use === child.use) {
      this.child = child
    } else {
      this.others ??= new Map()
      this.others.set(child.use, child)
    }
    return child
  }
}
