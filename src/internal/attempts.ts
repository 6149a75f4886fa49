/**
 * The attempts of an execution: how one begins, times out, ends, and when there is another.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { BudgetExceeded } from "../Budget.ts"
import { RunCancelled } from "../Cancel.ts"
import * as Retry from "../Retry.ts"
import { InvalidOptions, isRunError } from "../RunError.ts"
import { RunTimedOut, type TimeoutConfig, toConfig } from "../Timeout.ts"
import * as cancelling from "./cancelling.ts"
import { Tag } from "./eventLog.ts"
import type { ExecutionImpl } from "./execution.ts"
import { describe } from "./failure.ts"
import { Current, Frame } from "./frame.ts"
import { ask } from "./hooks.ts"
import * as people from "./people.ts"
import { show } from "./schema.ts"
import { endSpan, isTraced, startSpan } from "./span.ts"

/** The clock of one attempt. */
export interface AttemptTimer {
  readonly config: TimeoutConfig
  /** Whether it stands still while the execution waits for people. */
  readonly active: boolean
  remainingMillis: number
  since: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

/** The state of a retry schedule. */
export type ScheduleStep = (now: number, error: unknown) => Pull.Pull<[unknown, Duration.Duration], unknown, unknown>

const attemptFields = [1, 2, 3, 4].map((attempt) => ({ attempt }))

/** Begins the next attempt. */
export const begin = (execution: ExecutionImpl): void => {
  const attempt = ++execution.attempt
  const root = new Frame(execution, undefined, "", 1, 0)
  execution.root = root
  execution.append(Tag.AttemptStarted, undefined, attemptFields[attempt - 1] ?? { attempt })
  const timeout = execution.options.timeout
  if (timeout !== undefined) startTimer(execution, toConfig(timeout))
  execution.shallow(launch, execution)
}

/**
 * Takes up an attempt that began before: its body runs again over what is recorded. `spentMillis` is how long its clock
 * ran, `undefined` when it struck.
 */
export const restore = (execution: ExecutionImpl, spentMillis: number | undefined): void => {
  execution.root = new Frame(execution, undefined, "", 1, 0)
  const timeout = execution.options.timeout
  if (timeout !== undefined && spentMillis !== undefined) startTimer(execution, toConfig(timeout), spentMillis)
  execution.shallow(launch, execution)
}

/** Takes up the wait for the next attempt. */
export const restoreRetry = (execution: ExecutionImpl, remainingMillis: number): void => {
  const wait = Effect.gen(function* () {
    if (remainingMillis > 0) yield* Effect.sleep(remainingMillis)
    while (execution.isHeld) yield* execution.gate
    return true
  })
  waitBetween(execution, wait, Exit.void)
}

/** Runs the body; at once, as far as it does not wait. */
const launch = (execution: ExecutionImpl): void => {
  // A cancel may come between the begin and a start over the scheduler.
  const { root } = execution
  if (root === undefined || execution.fiber !== undefined) return
  const scope = Scope.makeUnsafe()
  const { context: outer, journal } = execution
  const provided = journal === undefined ? outer : journal.bodyContext(outer)
  const context = Context.add(Context.add(provided, Current, root), Scope.Scope, scope)
  const fiber = Effect.runForkWith(context)(body(execution, root))
  watch(execution, fiber, scope)
}

const body = (execution: ExecutionImpl, root: Frame): Effect.Effect<unknown, unknown> =>
  Effect.withFiber((fiber) => {
    // A scheduler may let the run settle, or its time run out, before the first operation.
    if (execution.root !== root) return Effect.interrupt
    execution.fiber = fiber
    // Where a journal knows how far the body went before, it goes there again, and is interrupted then.
    if (execution.timedOut !== undefined && execution.journal === undefined) return Effect.interrupt
    const { journal } = execution
    const given = execution.definition["~inner"].body(execution.run.input) as Effect.Effect<unknown, unknown>
    const effect =
      journal === undefined ? given : Effect.onExitPrimitive(given, (exit) => journal.bodyEnds(fiber, exit), true)
    if (!isTraced(fiber.cache)) return effect
    const span = startSpan(fiber.cache, execution.clock, `attempt ${execution.attempt}`, {})
    fiber.setContext(Context.add(fiber.context, Tracer.ParentSpan, span))
    return Effect.onExitPrimitive(effect, (exit) => {
      endSpan(span, execution.clock, exit)
      return undefined
    })
  })

const watch = (execution: ExecutionImpl, fiber: Fiber.Fiber<any, any>, scope: Scope.Closeable): void => {
  fiber.addObserver((exit) => {
    const closing = Scope.closeUnsafe(scope, exit)
    if (closing === undefined) end(execution, fiber, exit)
    else closeScope(execution, fiber, exit, closing)
  })
}

/** Runs the finalizers of an attempt's scope before the attempt counts as ended (E8). */
const closeScope = (
  execution: ExecutionImpl,
  fiber: Fiber.Fiber<any, any>,
  exit: Exit.Exit<any, any>,
  closing: Effect.Effect<void>
): void => {
  const closer = Effect.runForkWith(Context.empty())(closing, { uninterruptible: true })
  if (execution.fiber === fiber) execution.fiber = closer
  execution.host.adopt(closer)
  closer.addObserver((closed) => end(execution, closer, closed._tag === "Failure" ? closed : exit))
}

/** The body of the current attempt has ended. */
const end = (execution: ExecutionImpl, fiber: Fiber.Fiber<any, any>, exit: Exit.Exit<any, any>): void => {
  if (execution.fiber !== fiber || execution.outcome !== undefined) return
  execution.fiber = undefined
  execution.root = undefined
  stopTimer(execution)
  if (execution.cancelled !== undefined) return cancelling.bodyEnded(execution)
  if (execution.people !== undefined) people.withdrawStale(execution)
  execution.ended = verdict(execution, exit)
  if (execution.children === undefined || execution.children.size === 0) return decide(execution)
  execution.whenChildless = () => decide(execution)
  cancelling.cancelChildren(execution, "its parent settled")
}

/** What an attempt comes to, all told: a success that came too late, or that is not an output, is none. */
const verdict = (execution: ExecutionImpl, exit: Exit.Exit<any, any>): Exit.Exit<any, any> => {
  if (execution.timedOut !== undefined) {
    const error = new RunTimedOut({
      executionId: execution.id,
      workflow: execution.workflow,
      attempt: execution.attempt,
      afterMillis: execution.timedOut
    })
    execution.timedOut = undefined
    return Exit.fail(error)
  }
  if (exit._tag === "Failure") return exit
  const invalid = execution.definition["~inner"].checkOutput(exit.value)
  return invalid === undefined ? exit : Exit.fail(invalid)
}

/** What the end of an attempt means: the end of the run, or another attempt. */
const decide = (execution: ExecutionImpl): void => {
  const exit = execution.ended
  if (exit === undefined || execution.outcome !== undefined) return
  execution.ended = undefined
  if (execution.cancelled !== undefined) return cancelling.finish(execution)
  if (exit._tag === "Success") return execution.settle("complete", exit)
  if (Cause.hasDies(exit.cause)) return execution.settle("fail", Exit.failCause(exit.cause))
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isNone(error)) {
    execution.cancelled = { reason: "interrupted" }
    execution.append(Tag.CancelRequested, undefined, execution.cancelled)
    return cancelling.finish(execution)
  }
  if (!isRunError(error.value) && !execution.definition["~inner"].acceptsError(error.value)) {
    return execution.settle("fail", Exit.die(undeclared(execution.workflow, error.value)))
  }
  retry(execution, error.value, exit.cause.reasons.length === 1 ? exit : Exit.fail(error.value))
}

const undeclared = (workflow: string, error: unknown): Error =>
  new Error(
    `The body of ${workflow} failed with something its error schema does not describe: ${show(error)}; ` +
      "declare it in the workflow's `error`, or handle it in the body"
  )

/** Whether a retry could change anything. */
const isFinal = (error: unknown): boolean =>
  error instanceof BudgetExceeded || error instanceof RunCancelled || error instanceof InvalidOptions

const retry = (execution: ExecutionImpl, error: unknown, exit: Exit.Exit<any, any>): void => {
  const policy = execution.options.retry
  if (policy === undefined || isFinal(error)) return execution.settle("fail", exit)
  const attempt = execution.attempt
  const wait = Effect.gen(function* () {
    if (!(yield* isRetryable(policy, error))) return false
    const delayMillis = yield* nextDelay(policy, execution, attempt, error)
    if (delayMillis === undefined) return false
    execution.append(Tag.RetryScheduled, undefined, { attempt, delayMillis, ...describe(error) })
    if (policy.onRetry !== undefined) {
      execution.hook("retry.onRetry", policy.onRetry, { attempt, error, delayMillis } satisfies Retry.RetryInfo)
      execution.flushHooks()
    }
    if (delayMillis > 0) yield* Effect.sleep(delayMillis)
    while (execution.isHeld) yield* execution.gate
    return true
  })
  waitBetween(execution, wait, exit)
}

/** Begins the next attempt if the wait says so; else the run ends with `exit`. */
const waitBetween = (execution: ExecutionImpl, wait: Effect.Effect<boolean>, exit: Exit.Exit<any, any>): void => {
  const fiber = Effect.runForkWith(execution.beside)(wait)
  // A callback may have cancelled the run meanwhile.
  if (execution.outcome !== undefined) return fiber.interruptUnsafe()
  execution.betweenAttempts = fiber
  fiber.addObserver((answer) => {
    if (execution.betweenAttempts !== fiber || execution.outcome !== undefined) return
    execution.betweenAttempts = undefined
    if (execution.cancelled !== undefined) return cancelling.finish(execution)
    if (answer._tag === "Success" && answer.value) return begin(execution)
    execution.settle("fail", answer._tag === "Failure" ? Exit.failCause(answer.cause) : exit)
  })
}

/** Where the delays of a schedule are kept from retry to retry. */
export interface ScheduleState {
  scheduleStep: ScheduleStep | undefined
  /** When it was asked before, in another process or life, in epoch milliseconds. */
  readonly retriedAt?: ReadonlyArray<number> | undefined
}

/** The delay before the retry that follows try `n`, in milliseconds; `undefined` when no retry is left. */
export const nextDelay = (
  policy: Retry.Retry,
  state: ScheduleState,
  n: number,
  error: unknown
): Effect.Effect<number | undefined> => {
  if ("schedule" in policy) return nextScheduled(policy.schedule, state, error)
  const delay = Retry.delayMillis(policy, n)
  if (delay === undefined || policy.jitter !== true) return Effect.succeed(delay)
  const longest = policy.maxDelay === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(policy.maxDelay)
  return Effect.map(Random.next, (random) => Math.min(longest, delay * (0.8 + 0.4 * random)))
}

const nextScheduled = (
  schedule: Schedule.Schedule<unknown, any>,
  state: ScheduleState,
  error: unknown
): Effect.Effect<number | undefined> =>
  Effect.gen(function* () {
    let step = state.scheduleStep
    if (step === undefined) {
      step = state.scheduleStep = yield* Schedule.toStep(schedule)
      // It goes on where it was; of the errors of then only descriptions are kept, so this one stands for them.
      for (const at of state.retriedAt ?? []) yield* Effect.exit(step(at, error))
    }
    return yield* step(yield* Clock.currentTimeMillis, error).pipe(
      Effect.map(([, delay]): number | undefined => Duration.toMillis(delay)),
      Pull.catchDone(() => Effect.succeed(undefined)),
      Effect.orDie
    )
  })

/** Whether an error is worth another try. */
export const isRetryable = (policy: Retry.Retry, error: unknown): Effect.Effect<boolean> =>
  policy.while === undefined
    ? Effect.succeed(true)
    : Effect.map(ask("retry.while", policy.while, error), (answer) => Option.getOrElse(answer, () => false) === true)

// -- timeouts -----------------------------------------------------------------

const startTimer = (execution: ExecutionImpl, config: TimeoutConfig, spentMillis = 0): void => {
  execution.timeout = {
    config,
    active: config.clock === "active",
    remainingMillis: Math.max(0, Duration.toMillis(config.duration) - spentMillis),
    since: 0,
    fiber: undefined
  }
  refreshTimer(execution)
}

/** Lets the attempt's clock run, or stand still while a clock of active time waits for people. */
export const refreshTimer = (execution: ExecutionImpl): void => {
  const timer = execution.timeout
  if (timer === undefined) return
  const runs = !timer.active || execution.state === "in-progress"
  if (runs && timer.fiber === undefined && Number.isFinite(timer.remainingMillis)) {
    timer.since = execution.now()
    timer.fiber = Effect.runForkWith(execution.context)(
      Effect.andThen(Effect.sleep(timer.remainingMillis), () =>
        Effect.andThen(
          execution.journal?.replayed ?? Effect.void,
          Effect.sync(() => expire(execution, timer))
        )
      )
    )
  } else if (!runs && timer.fiber !== undefined) {
    const fiber = timer.fiber
    timer.fiber = undefined
    timer.remainingMillis -= execution.now() - timer.since
    fiber.interruptUnsafe()
  }
}

const expire = (execution: ExecutionImpl, timer: AttemptTimer): void => {
  if (execution.timeout !== timer || execution.outcome !== undefined) return
  execution.timeout = undefined
  const { duration, onTimeout = "fail", onTimeoutCallback } = timer.config
  const afterMillis = Duration.toMillis(duration)
  execution.append(Tag.TimedOut, undefined, { attempt: execution.attempt, afterMillis, onTimeout })
  if (onTimeoutCallback !== undefined) execution.hook("timeout.onTimeoutCallback", onTimeoutCallback, undefined)
  execution.flushHooks()
  if (onTimeout === "cancel") {
    execution.fork(cancelling.request(execution, "timeout"))
  } else if (onTimeout === "continue") {
    execution.fork(
      Effect.logWarning(`Attempt ${execution.attempt} of ${execution.workflow} takes longer than ${afterMillis} ms`)
    )
  } else {
    execution.timedOut = afterMillis
    if (execution.journal?.catchesUp() !== true) execution.fiber?.interruptUnsafe()
  }
}

const stopTimer = (execution: ExecutionImpl): void => {
  const fiber = execution.timeout?.fiber
  execution.timeout = undefined
  fiber?.interruptUnsafe()
}

/** Ends everything that waits for time to pass. */
export const stopTimers = (execution: ExecutionImpl): void => {
  if (execution.timeout !== undefined) stopTimer(execution)
  const fiber = execution.betweenAttempts
  execution.betweenAttempts = undefined
  fiber?.interruptUnsafe()
}
