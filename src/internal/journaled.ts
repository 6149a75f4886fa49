/**
 * Steps, requests and children where the engine is durable: what is recorded is taken from the journal, whatever else
 * holds the body; what is not is done, and written down before the body goes on.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { BudgetExceeded } from "../Budget.ts"
import { Tag } from "./eventLog.ts"
import { duplicate, type ExecutionImpl } from "./execution.ts"
import type { Frame } from "./frame.ts"
import { Calls, type Journal, type StepCodec } from "./journal.ts"
import * as usage from "./usage.ts"
import { Visit } from "./visit.ts"

type Control = (work: Effect.Effect<any, any, any>) => Effect.Effect<any, any, any>

export const step = <A, E, R>(
  execution: ExecutionImpl,
  journal: Journal,
  frame: Frame,
  name: string,
  key: string | undefined,
  work: Effect.Effect<A, E, R>,
  control: Control | undefined,
  schemas: StepCodec | undefined
): Effect.Effect<A, E | BudgetExceeded, R> => {
  const visit = new Visit()
  let startedAt = 0
  let codec = schemas
  let runner: Fiber.Fiber<unknown, unknown> | undefined
  // It began before, and has not begun again.
  let cutOff: Frame | undefined

  const begin = (fiber: Fiber.Fiber<unknown, unknown>, child: Frame): Effect.Effect<A, E | BudgetExceeded, R> => {
    if (!execution.isLive(frame)) return Effect.interrupt
    const again = journal.hasBegun(child.path)
    const reused = (execution.recorded?.get(child.path) ?? journal.reusable(child.path, codec)) as
      | Exit.Exit<A>
      | undefined
    if (!again && reused === undefined && execution.budgeted) {
      const exceeded = usage.exceeded(execution, "steps")
      if (exceeded !== undefined) return Effect.fail(exceeded)
    }
    const doubt = journal.follow(fiber, child)
    return doubt === undefined
      ? start(fiber, child, again, reused)
      : Effect.andThen(doubt, resumed(child, again, reused))
  }

  const resumed = (child: Frame, again: boolean, reused: Exit.Exit<A> | undefined) =>
    Effect.withFiber((fiber) => (execution.isLive(frame) ? start(fiber, child, again, reused) : Effect.interrupt))

  const start = (
    fiber: Fiber.Fiber<unknown, unknown>,
    child: Frame,
    again: boolean,
    reused: Exit.Exit<A> | undefined
  ): Effect.Effect<A, E | BudgetExceeded, R> => {
    startedAt = execution.now()
    execution.append(Tag.StepStarted, child, undefined, startedAt)
    if (reused !== undefined) {
      execution.append(Tag.StepCompleted, child, { durationMillis: 0, reused: true })
      return reused
    }
    if (!again) usage.countStep(execution)
    journal.inFlight++
    visit.enter(fiber, child, "step")
    runner = fiber
    cutOff = undefined
    const tried = execution.intercepted(work, child)
    const controlled = control === undefined ? tried : (control(tried) as Effect.Effect<A, E, R>)
    return Effect.catchCause(journal.stepContext(controlled), (cause) => journal.tell(child, cause, codec))
  }

  return Effect.onExitPrimitive(
    Effect.withFiber((fiber): Effect.Effect<A, E | BudgetExceeded, R> => {
      if (!execution.isLive(frame)) return Effect.interrupt
      const child = frame.enter(name, key, execution.now())
      if (child === undefined) return duplicate("step", frame, name, key)
      visit.take(child)
      const calls = Context.get(fiber.context, Calls)
      if (calls !== undefined) codec = { output: schemas?.output, error: schemas?.error, calls }
      const known = journal.stepResult(fiber, child.path, codec)
      if (known !== undefined) {
        journal.follow(fiber, child)
        return known
      }
      if (journal.hasBegun(child.path)) cutOff = child
      if (journal.frozen) return journal.stall
      if (!execution.isHeld) return begin(fiber, child)
      return Effect.andThen(
        execution.gate,
        Effect.withFiber((fiber) => (journal.frozen ? journal.stall : begin(fiber, child)))
      )
    }),
    (exit) => {
      const child = visit.leave(exit)
      if (child === undefined) {
        const isCut = cutOff !== undefined && exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)
        if (isCut && execution.outcome === undefined) journal.cutOff(cutOff!)
        return undefined
      }
      journal.inFlight--
      if (execution.outcome !== undefined) return undefined
      if (exit._tag === "Success") execution.recorded?.set(child.path, exit)
      return journal.stepEnded(child, exit, execution.now() - startedAt, codec, !isInterrupted(runner!))
    }
  )
}

/** A fiber knows whether somebody has interrupted it, but has no public name for it. */
const isInterrupted = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  (fiber as unknown as { readonly _interruptedCause: unknown })._interruptedCause !== undefined
