/**
 * Steps, requests and children where the engine is durable: what is recorded is taken from the journal, whatever else
 * holds the body; what is not is done, and written down before the body goes on.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { BudgetExceeded } from "../Budget.ts"
import { Tag } from "./eventLog.ts"
import { duplicate, type ExecutionImpl } from "./execution.ts"
import type { Frame } from "./frame.ts"
import type { Journal, StepCodec } from "./journal.ts"

type Control = (work: Effect.Effect<any, any, any>) => Effect.Effect<any, any, any>

/** Keeps a place taken until whoever waits there is interrupted. */
const leaving = <A, E>(wait: Effect.Effect<A, E>, frame: Frame, child: Frame): Effect.Effect<A, E> =>
  Effect.onExitPrimitive(wait, () => {
    frame.leave(child)
    return undefined
  })

export const step = <A, E, R>(
  execution: ExecutionImpl,
  journal: Journal,
  fiber: Fiber.Fiber<unknown, unknown>,
  frame: Frame,
  name: string,
  key: string | undefined,
  work: Effect.Effect<A, E, R>,
  control: Control | undefined,
  codec: StepCodec | undefined
): Effect.Effect<A, E | BudgetExceeded, R> => {
  if (!execution.isLive(frame)) return Effect.interrupt
  const child = frame.enter(name, key, execution.now())
  if (child === undefined) return duplicate("step", frame, name, key)
  const known = journal.stepResult(child.path, codec)
  if (known !== undefined) return leaving(known, frame, child)
  const begin = Effect.withFiber((fiber) => begun(execution, journal, fiber, frame, child, work, control, codec))
  if (journal.frozen) return leaving(journal.stall, frame, child)
  if (!execution.isHeld) return begun(execution, journal, fiber, frame, child, work, control, codec)
  return Effect.andThen(leavingIfInterrupted(execution.gate, frame, child), begin)
}

const leavingIfInterrupted = (gate: Effect.Effect<void>, frame: Frame, child: Frame): Effect.Effect<void> =>
  Effect.onExitPrimitive(gate, (exit) => {
    if (exit._tag === "Failure") frame.leave(child)
    return undefined
  })

const begun = <A, E, R>(
  execution: ExecutionImpl,
  journal: Journal,
  fiber: Fiber.Fiber<unknown, unknown>,
  frame: Frame,
  child: Frame,
  work: Effect.Effect<A, E, R>,
  control: Control | undefined,
  codec: StepCodec | undefined
): Effect.Effect<A, E | BudgetExceeded, R> => {
  if (!execution.isLive(frame)) {
    frame.leave(child)
    return Effect.interrupt
  }
  const again = journal.hasBegun(child.path)
  const reused = (execution.recorded?.get(child.path) ?? journal.reusable(child.path, codec)) as
    | Exit.Exit<A>
    | undefined
  if (!again && reused === undefined && execution.budgeted) {
    const exceeded = execution.exceeded("steps")
    if (exceeded !== undefined) {
      frame.leave(child)
      return Effect.fail(exceeded)
    }
  }
  const now = execution.now()
  execution.append(Tag.StepStarted, child, undefined, now)
  if (reused !== undefined) {
    frame.leave(child)
    execution.append(Tag.StepCompleted, child, { durationMillis: 0, reused: true })
    return reused
  }
  if (!again) execution.countStep()
  journal.inFlight++
  const tried = execution.intercepted(work, child)
  const run = journal.stepContext(control === undefined ? tried : (control(tried) as Effect.Effect<A, E, R>))
  return execution.within(fiber, frame, child, run, "step", (exit) => {
    journal.inFlight--
    if (execution.outcome !== undefined) return undefined
    if (exit._tag === "Success") execution.recorded?.set(child.path, exit)
    return journal.stepEnded(child, exit, execution.now() - now, codec)
  })
}
