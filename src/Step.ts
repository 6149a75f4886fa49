/**
 * A named unit of work inside a body: traced, counted, and journaled when the engine is durable.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { BudgetExceeded } from "./Budget.ts"
import { InvalidDefinition } from "./InvalidDefinition.ts"
import { isRetryable, nextDelay, type ScheduleState } from "./internal/attempts.ts"
import { Tag } from "./internal/eventLog.ts"
import { describe, mainError } from "./internal/failure.ts"
import { bodyFrame, type Current, currentFrame } from "./internal/frame.ts"
import { checker, DurationInput } from "./internal/schema.ts"
import { type Retry, Retry as RetrySchema } from "./Retry.ts"
import type { Boundary } from "./Workflow.ts"

/** What makes a step. */
export interface Options<
  A,
  E,
  R,
  T extends Duration.Input | undefined = undefined,
  Out extends Boundary<any> = Boundary<A>
> {
  /** Schema of the result, for durable engines. Default: the result must be plain JSON. */
  readonly output?: Out | undefined
  /** Schema of the errors, for durable engines. Default: see the details of `make`. */
  readonly error?: Boundary<E> | undefined
  /** Tells steps of one name apart that run at the same time; stands in the path as `name/key`. Default: none. */
  readonly key?: string | undefined
  /** Whether and when the step is tried again. `mode` means nothing here. Default: never. */
  readonly retry?: Retry | undefined
  /** How long each try may take; then it fails with `StepTimedOut`. Default: for ever. */
  readonly timeout?: T
  /** The work. */
  readonly run: Effect.Effect<A, E, R>
}

/**
 * A step took longer than its timeout.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Step } from "effect-baton"
 *
 * new Step.StepTimedOut({ executionId: "run_1", path: "fetch", afterMillis: 500 }).message // => 'The step "fetch" of run_1 timed out after 500 ms: raise its timeout, or give it a retry'
 * ```
 */
export class StepTimedOut extends Schema.TaggedError<StepTimedOut>("effect-baton/Step/StepTimedOut")("StepTimedOut", {
  executionId: Schema.String,
  path: Schema.String,
  afterMillis: Schema.Finite
}) {
  override get message(): string {
    return `The step "${this.path}" of ${this.executionId} timed out after ${this.afterMillis} ms: raise its timeout, or give it a retry`
  }
}

/**
 * A named unit of work.
 *
 * **Details**
 *
 * Its identity is its path: the names of the scopes around it and its own; later uses of a path are numbered `#2`, `#3`.
 * A paused execution holds its body here. Where the engine is durable, a result that was recorded is not computed again.
 * Fails with `BudgetExceeded` when the run may start no more steps.
 *
 * What a body sees of an error on a durable engine is what it sees of it after a restart. An error that the step's `error`
 * schema describes, or the one of a workflow around it, is what it was; so are plain JSON and the errors of JavaScript
 * (`TypeError`) and of Effect (`Cause.TimeoutError`). Of any other, such as an undeclared `Data.TaggedError`, the body sees
 * its tag, name, message and those fields that are plain JSON, but not its class: `Effect.catchTag` finds it, `instanceof`
 * does not, and a warning says what is left out. Declare it with `error`, or handle it inside of the step.
 *
 * **Gotchas**
 *
 * Two steps of one name that run at the same time in one place are a defect: give each a `key`. So is a `retry` or a
 * `timeout` that makes no sense: the step dies with `InvalidDefinition`.
 *
 * **Example** (Two steps)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 *
 * const deploy = Workflow.make("deploy", {
 *   run: Effect.fnUntraced(function*(service) {
 *     const plan = yield* Step.make("plan", { output: Schema.String, run: Effect.succeed(`plan for ${service}`) })
 *     return yield* Step.make("apply", { run: Effect.succeed(`${plan}, applied`), timeout: "1 minute" }).pipe(
 *       Effect.catchTag("StepTimedOut", () => Effect.succeed("too slow"))
 *     )
 *   })
 * })
 *
 * await Effect.runPromise(deploy.execute("api").pipe(Effect.provide(Engine.layerMemory))) // => "plan for api, applied"
 * ```
 */
export const make = <
  A extends Out["Type"],
  E = never,
  R = never,
  const T extends Duration.Input | undefined = undefined,
  Out extends Boundary<any> = Boundary<A>
>(
  name: string,
  options: Options<A, E, R, T, Out>
): Effect.Effect<Out["Type"], E | BudgetExceeded | (T extends undefined ? never : StepTimedOut), R | Current> => {
  const { key, run } = options
  const control =
    options.retry === undefined && options.timeout === undefined
      ? undefined
      : (run: Effect.Effect<A, any, R>) => controlled(name, run, options)
  return Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) => {
    const frame = bodyFrame(fiber, "step", name)
    return frame.execution.step<A, any, R>(frame, name, key, run, control, options)
  }) as Effect.Effect<A, any, R | Current>
}

/**
 * A key that is the same whenever this very piece of work is done again, for services that take an idempotency key.
 *
 * **Details**
 *
 * On a durable engine a step that was cut off by a crash runs again, and so does each try of a step's own retry: they
 * have one key. Another attempt of the run (`options.retry`) has another key, since it is meant to do the work anew.
 *
 * **Example** (Charging once)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 *
 * const charge = (amount: number) => Effect.map(Step.idempotencyKey, (key) => `charged ${amount} under ${key}`)
 *
 * const order = Workflow.make("order", { run: () => Step.make("charge", { run: charge(20) }) })
 *
 * await Effect.runPromise(order.execute("", { id: "order-7" }).pipe(Effect.provide(Engine.layerMemory))) // => "charged 20 under order-7:charge"
 * ```
 */
export const idempotencyKey: Effect.Effect<string, never, Current> = Effect.withFiber((fiber) => {
  const { execution, path } = bodyFrame(fiber, "effect", "Step.idempotencyKey")
  return Effect.succeed(`${execution.id}:${path}${execution.attempt > 1 ? `@${execution.attempt}` : ""}`)
})

const checkControls = checker(
  Schema.Struct({ retry: Schema.optional(RetrySchema), timeout: Schema.optional(DurationInput) })
)

/** A body with the step's own timeout and retries. */
const controlled = <A, E, R>(
  name: string,
  run: Effect.Effect<A, E, R>,
  options: Options<A, E, R, Duration.Input | undefined>
): Effect.Effect<A, E | StepTimedOut, R> => {
  const { retry, timeout } = options
  const invalid = checkControls(options)
  if (invalid !== undefined) {
    const { message, path, value } = invalid
    return Effect.die(new InvalidDefinition({ workflow: `step "${name}"`, field: path, value, problem: message }))
  }
  const once: Effect.Effect<A, E | StepTimedOut, R> =
    timeout === undefined
      ? run
      : Effect.timeoutOrElse(run, {
          duration: timeout,
          orElse: () =>
            Effect.withFiber((fiber) => {
              const frame = currentFrame(fiber)!
              const executionId = frame.execution.id
              return Effect.fail(
                new StepTimedOut({ executionId, path: frame.path, afterMillis: Duration.toMillis(timeout) })
              )
            })
        })
  return retry === undefined ? once : Effect.suspend(() => retried(once, retry, { scheduleStep: undefined }, 1))
}

const retried = <A, E, R>(
  run: Effect.Effect<A, E, R>,
  policy: Retry,
  state: ScheduleState,
  n: number
): Effect.Effect<A, E, R> =>
  Effect.catchCause(run, (cause) =>
    Effect.withFiber((fiber) => {
      const error = Cause.findErrorOption(cause)
      const again =
        Option.isNone(error) || Cause.hasDies(cause)
          ? Effect.succeed(undefined)
          : Effect.flatMap(isRetryable(policy, error.value), (retryable) =>
              retryable ? nextDelay(policy, state, n, error.value) : Effect.succeed(undefined)
            )
      return Effect.flatMap(again, (delayMillis) => {
        if (delayMillis === undefined) return Effect.failCause(cause)
        const frame = currentFrame(fiber)!
        const { execution } = frame
        if (!execution.isLive(frame)) return Effect.interrupt
        execution.append(Tag.StepRetried, frame, { attempt: n, delayMillis, ...describe(mainError(cause)) })
        if (policy.onRetry !== undefined) {
          execution.hook("retry.onRetry", policy.onRetry, { attempt: n, error: mainError(cause), delayMillis })
          execution.flushHooks()
        }
        return Effect.sleep(delayMillis).pipe(
          Effect.andThen(execution.gate),
          Effect.andThen(retried(run, policy, state, n + 1))
        )
      })
    })
  )
