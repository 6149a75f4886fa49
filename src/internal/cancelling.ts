/**
 * The way an execution is cancelled: somebody may prevent it, children go first, finalizers get their time.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { CancelResult } from "../Cancel.ts"
import { Tag } from "./eventLog.ts"
import type { ExecutionImpl } from "./execution.ts"
import { currentFrame } from "./frame.ts"
import { ask } from "./hooks.ts"

/** The answer that callers who cancel at the same moment share. */
export type Decision = Deferred.Deferred<CancelResult>

const parentCancelled = "its parent was cancelled"

const defaultGrace = Duration.seconds(30)

/** Answers once the execution has settled; at once to who runs inside of it, and would wait for itself. */
const settled = (execution: ExecutionImpl, answer: CancelResult): Effect.Effect<CancelResult> =>
  Effect.withFiber((fiber) => (isInside(fiber, execution) ? Effect.succeed(answer) : Effect.as(execution.exit, answer)))

const isInside = (fiber: Fiber.Fiber<unknown, unknown>, execution: ExecutionImpl): boolean => {
  let inside = currentFrame(fiber)?.execution
  while (inside !== undefined && inside !== execution) inside = inside.parent
  return inside !== undefined
}

const fields = (reason: string | undefined) => (reason === undefined ? {} : { reason })

/** Asks whether the execution may be cancelled, and cancels it. */
export const request = (execution: ExecutionImpl, reason?: string): Effect.Effect<CancelResult> =>
  Effect.suspend(() => {
    if (execution.outcome !== undefined) return Effect.succeed<CancelResult>("already-settled")
    if (execution.cancelled !== undefined) return settled(execution, "cancelled")
    if (execution.decision !== undefined) return decided(execution, execution.decision)
    const before = execution.options.cancel?.beforeCancel
    const why = reason ?? execution.options.cancel?.reason
    if (before === undefined) return accepted(execution, why)
    const decision = Deferred.makeUnsafe<CancelResult>()
    execution.decision = decision
    execution.fork(
      ask("cancel.beforeCancel", before, why).pipe(
        Effect.flatMap((answer) => {
          execution.decision = undefined
          // Meanwhile somebody may have cancelled who asks nobody.
          const prevented = Option.contains(answer, false) && execution.cancelled === undefined
          if (!prevented || execution.outcome !== undefined) return accepted(execution, why)
          execution.append(Tag.CancelPrevented, undefined, fields(why))
          return Effect.succeed<CancelResult>("prevented")
        }),
        Effect.flatMap((answer) => Deferred.succeed(decision, answer))
      )
    )
    return decided(execution, decision)
  })

const decided = (execution: ExecutionImpl, decision: Decision): Effect.Effect<CancelResult> =>
  Effect.flatMap(Deferred.await(decision), (answer) =>
    answer === "prevented" ? Effect.succeed(answer) : settled(execution, answer)
  )

const accepted = (execution: ExecutionImpl, reason: string | undefined): Effect.Effect<CancelResult> =>
  Effect.suspend(() => {
    accept(execution, reason)
    return settled(execution, execution.cancelled === undefined ? "already-settled" : "cancelled")
  })

/** Cancels without asking: from here on the outcome is `"cancelled"`, unless the body has succeeded already. */
export const accept = (execution: ExecutionImpl, reason: string | undefined): void => {
  // All that is below, parents before children; a loop, since the nesting may be deeper than the stack.
  const tree = [execution]
  for (let i = 0; i < tree.length; i++) {
    for (const child of tree[i].children ?? []) tree.push(child)
  }
  const marked = tree.filter((each) => mark(each, each === execution ? reason : parentCancelled))
  for (let i = marked.length - 1; i >= 0; i--) stop(marked[i])
}

/** Cancels the children, without asking. */
export const cancelChildren = (execution: ExecutionImpl, reason: string): void => {
  for (const child of [...(execution.children ?? [])]) accept(child, reason)
}

/** Says that an execution is cancelled; `false` where it has ended, or is already. */
export const mark = (execution: ExecutionImpl, reason: string | undefined): boolean => {
  const done = execution.outcome !== undefined || execution.ended?._tag === "Success"
  if (done || execution.cancelled !== undefined) return false
  execution.cancelled = { reason }
  execution.append(Tag.CancelRequested, undefined, fields(reason))
  return true
}

/** Goes on with a cancel that was accepted before the process ended. */
export const goOn = (execution: ExecutionImpl): void => {
  // Some may have come up since.
  cancelChildren(execution, parentCancelled)
  stop(execution)
}

const stop = (execution: ExecutionImpl): void => {
  if (execution.outcome !== undefined) return
  if (execution.children !== undefined && execution.children.size > 0) {
    execution.whenChildless = () => stop(execution)
    return
  }
  const fiber = execution.fiber
  if (fiber === undefined) return finish(execution)
  if (execution.journal?.catchesUp() === true) return
  const { graceful = false, gracefulTimeout = defaultGrace } = execution.options.cancel ?? {}
  const leave = () => {
    if (execution.outcome !== undefined) return
    execution.host.adopt(fiber)
    finish(execution)
  }
  fiber.interruptUnsafe()
  if (!graceful) return leave()
  if (execution.outcome !== undefined) return
  const grace = Duration.fromInputUnsafe(gracefulTimeout)
  const message = `Finalizers of ${execution.workflow} (${execution.id}) still run ${Duration.format(grace)} after its cancel`
  execution.betweenAttempts = Effect.runForkWith(execution.beside)(
    Effect.sleep(grace).pipe(Effect.andThen(Effect.logWarning(message)), Effect.andThen(Effect.sync(leave)))
  )
}

/** The body of a cancelled execution has ended: so does the execution, once its children have. */
export const bodyEnded = (execution: ExecutionImpl): void => {
  if (execution.whenChildless === undefined) finish(execution)
}

/** The end of a cancel. */
export const finish = (execution: ExecutionImpl): void => execution.settle("cancel", Exit.fail(execution.cancelError()))
