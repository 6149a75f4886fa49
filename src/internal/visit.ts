/**
 * The time that a fiber spends in a frame. A fiber may be interrupted between any two operations, and what was entered has
 * to be left: the bracket stands outermost, and the frame is entered inside of it.
 */
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import { Current, type Frame } from "./frame.ts"
import { endSpan, isTraced, startSpan } from "./span.ts"

export class Visit {
  private frame: Frame | undefined = undefined
  private fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private before: Context.Context<never> | undefined = undefined
  private span: Tracer.Span | undefined = undefined

  /** Keeps the place of a frame taken, although nothing runs in it yet. */
  take(frame: Frame): void {
    this.frame = frame
  }

  /** From here on the fiber runs in the frame. */
  enter(fiber: Fiber.Fiber<unknown, unknown>, frame: Frame, kind: "step" | undefined): void {
    const before = fiber.context
    if (kind === "step") frame.isStep = true
    let context = Context.add(before, Current, frame)
    if (isTraced(fiber.cache)) {
      const { clock, id } = frame.execution
      this.span = startSpan(fiber.cache, clock, kind === undefined ? frame.segment : `${kind} ${frame.segment}`, {
        "baton.execution.id": id,
        "baton.path": frame.path
      })
      context = Context.add(context, Tracer.ParentSpan, this.span)
    }
    this.frame = frame
    this.fiber = fiber
    this.before = before
    fiber.setContext(context)
  }

  /** Leaves the frame; gives it where something ran in it. */
  leave(exit: Exit.Exit<unknown, unknown>): Frame | undefined {
    const { frame } = this
    if (frame === undefined) return undefined
    frame.parent!.leave(frame)
    if (this.fiber === undefined) return undefined
    this.fiber.setContext(this.before!)
    if (this.span !== undefined) endSpan(this.span, frame.execution.clock, exit)
    return frame
  }
}
