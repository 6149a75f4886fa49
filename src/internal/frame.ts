/**
 * Where in a body something happens. A frame is one scope: the body, a step, an inner call, a request. Its path is the
 * names of the frames around it and its own, and is the identity of everything that is recorded.
 *
 * F1  A path is given to one live use at a time; the second one is refused.
 * F2  Later uses of a path are told apart by `#2`, `#3`, in the order in which they begin.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { ExecutionImpl } from "./execution.ts"

/** The execution, and the place in its body, that an effect runs in. */
export class Current extends Context.Service<Current, Frame>()("effect-baton/Execution/Current") {}

/** The place that a fiber is in, if it runs in a body. */
export const currentFrame = (fiber: Fiber.Fiber<unknown, unknown>): Frame | undefined =>
  Context.getOrUndefined(fiber.context as Context.Context<Current>, Current)

export class Frame {
  readonly execution: ExecutionImpl
  readonly parent: Frame | undefined
  /** The frame of the body this one is in: one for each attempt. */
  readonly root: Frame
  /** Name, key and number of this use, as they stand in the path. */
  readonly segment: string
  /** Name of this use in its parent, to be released when it ends. */
  readonly use: string
  readonly depth: number
  /** Milliseconds after the start of the execution. */
  readonly startedAt: number
  // Most frames use one name, over and over or once: a map is made for the second name.
  private name: string | undefined = undefined
  private count = 0
  private others: Map<string, number> | undefined = undefined

  constructor(execution: ExecutionImpl, parent: Frame | undefined, segment: string, use: string, startedAt: number) {
    this.execution = execution
    this.parent = parent
    this.root = parent === undefined ? this : parent.root
    this.segment = segment
    this.use = use
    this.depth = parent === undefined ? 0 : parent.depth + 1
    this.startedAt = startedAt
  }

  get path(): string {
    if (this.parent === undefined) return ""
    const segments: Array<string> = []
    for (let frame: Frame = this; frame.parent !== undefined; frame = frame.parent) segments.push(frame.segment)
    return segments.reverse().join("/")
  }

  /** Begins a use of a name; `undefined` when one is live already (F1). */
  enter(name: string, key: string | undefined, now: number): Frame | undefined {
    const use = key === undefined ? name : `${name}/${key}`
    const uses = this.uses(use)
    if (uses < 0) return undefined
    const n = uses + 1
    this.setUses(use, -n)
    return new Frame(this.execution, this, n === 1 ? use : `${use}#${n}`, use, now)
  }

  /** Ends the use that `child` began. */
  leave(child: Frame): void {
    this.setUses(child.use, Math.abs(this.uses(child.use)))
  }

  /** How often a name was used; negative while a use is live. */
  private uses(use: string): number {
    return this.name === use ? this.count : (this.others?.get(use) ?? 0)
  }

  private setUses(use: string, count: number): void {
    if (this.name === undefined || this.name === use) {
      this.name = use
      this.count = count
    } else {
      this.others ??= new Map()
      this.others.set(use, count)
    }
  }
}
