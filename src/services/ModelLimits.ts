/**
 * Limits of a model that all runs share, and retries.
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as RateLimiter from "effect/persistence/RateLimiter"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { nextDelay } from "../internal/attempts.ts"
import { currentFrame } from "../internal/frame.ts"
import type { RetryConfig } from "../Retry.ts"
import { passesOn, refused } from "./ModelCall.ts"
import { type CallOptions, generate, stream, wrap } from "./ModelWrapper.ts"

/** How often a model may be called. */
export interface RateLimit {
  /** Most calls in a window. */
  readonly limit: number
  readonly window: Duration.Input
  /** Whether calls come in bursts, a window at a time, or evenly. Default: `"fixed-window"`. */
  readonly algorithm?: "fixed-window" | "token-bucket" | undefined
}

/** Whether and when a failed call is made again. */
export type CallRetry = Pick<RetryConfig, "attempts" | "delay" | "backoff" | "maxDelay" | "jitter">

/** What keeps a model's calls apart, and what is done about those that fail. */
export interface Limits {
  readonly concurrency?: number | undefined
  readonly rateLimit?: RateLimit | undefined
  readonly retry?: CallRetry | undefined
}

/** The permit that a call runs under. Calls that its tools make of the same model share it, one at a time. */
interface Permit {
  readonly limiter: object
  readonly shared: Semaphore.Semaphore
  readonly outer: Permit | undefined
}

const CurrentPermit = Context.Reference<Permit | undefined>("effect-baton/services/ModelLimits/Permit", {
  defaultValue: () => undefined
})

/** Fails where the execution may make no call: there is nothing to wait for. */
const notRefused: Effect.Effect<void, any> = Effect.withFiber((fiber) => {
  const frame = currentFrame(fiber)
  return (frame === undefined ? undefined : refused(frame)) ?? Effect.void
})

/** The model within its limits. */
export const limit = (
  model: LanguageModel.LanguageModel,
  id: string,
  limits: Limits,
  rateLimiter: RateLimiter.RateLimiter
): LanguageModel.LanguageModel => {
  const { concurrency, rateLimit, retry } = limits
  const rated = rateLimit === undefined ? model : withRateLimit(model, id, rateLimit, rateLimiter)
  const limited = concurrency === undefined ? rated : withConcurrency(rated, concurrency)
  return passesOn(retry === undefined ? limited : withRetry(limited, retry))
}

const withRateLimit = (
  model: LanguageModel.LanguageModel,
  id: string,
  { algorithm, limit, window }: RateLimit,
  rateLimiter: RateLimiter.RateLimiter
): LanguageModel.LanguageModel => {
  const turn = Effect.andThen(
    notRefused,
    Effect.mapError(
      Effect.suspend(() =>
        RateLimiter.sleep(rateLimiter, { key: `effect-baton/model/${id}`, limit, window, algorithm })
      ),
      (error) =>
        AiError.make({
          module: "Models",
          method: "rateLimit",
          reason: new AiError.UnknownError({ description: `The rate limiter failed: ${error.message}` })
        })
    )
  )
  return wrap(model, {
    generate: (method, options) =>
      Effect.andThen(
        turn,
        Effect.suspend(() => generate(model, method, options))
      ),
    stream: (options) => Stream.unwrap(Effect.map(turn, () => stream(model, options)))
  })
}

const withConcurrency = (model: LanguageModel.LanguageModel, permits: number): LanguageModel.LanguageModel => {
  const all = Semaphore.makeUnsafe(permits)
  const limiter = {}

  /** Waits for a permit, which is given back with the scope. */
  const permit: Effect.Effect<Permit, any, Scope.Scope> = Effect.flatMap(CurrentPermit, (outer) => {
    let held = outer
    while (held !== undefined && held.limiter !== limiter) held = held.outer
    const semaphore = held === undefined ? all : held.shared
    return Effect.andThen(
      notRefused,
      Effect.as(
        Effect.acquireRelease(semaphore.take(1), () => semaphore.release(1), { interruptible: true }),
        { limiter, shared: Semaphore.makeUnsafe(1), outer }
      )
    )
  })

  return wrap(model, {
    generate: (method, options) =>
      Effect.scoped(
        Effect.flatMap(permit, (held) => Effect.provideService(generate(model, method, options), CurrentPermit, held))
      ),
    stream: (options) =>
      Stream.unwrap(Effect.map(permit, (held) => Stream.provideService(stream(model, options), CurrentPermit, held)))
  })
}

// -----------------------------------------------------------------------------
// Calls that may be made again
// -----------------------------------------------------------------------------

/** Whether a call went so far that making it again would repeat more than the call. */
export interface Progress {
  begun: boolean
}

/** The options with a toolkit that tells when the first of its tools runs. */
export const watchTools = (options: CallOptions, progress: Progress): CallOptions => {
  const { toolkit } = options
  if (toolkit === undefined) return options
  // `any`: a toolkit of whatever tools, with its handlers.
  const watch = (toolkit: any): any => ({
    ...toolkit,
    handle: (...args: ReadonlyArray<unknown>) => {
      progress.begun = true
      return toolkit.handle(...args)
    }
  })
  return { ...options, toolkit: Effect.isEffect(toolkit) ? Effect.map(toolkit, watch) : watch(toolkit) }
}

/** The stream, which tells when its first part comes out. */
export const watchParts = <A, E, R>(parts: Stream.Stream<A, E, R>, progress: Progress): Stream.Stream<A, E, R> =>
  Stream.mapArray(parts, (chunk) => {
    progress.begun = true
    return chunk
  })

const withRetry = (model: LanguageModel.LanguageModel, retry: CallRetry): LanguageModel.LanguageModel => {
  /** The delay before the next try, in milliseconds; `undefined` where there is none. */
  const delayMillis = (error: unknown, n: number, progress: Progress): Effect.Effect<number | undefined> => {
    if (progress.begun || !AiError.isAiError(error) || !error.isRetryable) return Effect.succeed(undefined)
    const after = error.retryAfter === undefined ? 0 : Duration.toMillis(error.retryAfter)
    return Effect.map(nextDelay(retry, { scheduleStep: undefined }, n, error), (delay) =>
      delay === undefined ? undefined : Math.max(delay, after)
    )
  }
  // `any`: what comes out depends on the method and the caller's tools, and is passed on as it is.
  const generateFrom = (method: Parameters<typeof generate>[1], options: CallOptions, n: number): any => {
    const progress = { begun: false }
    return Effect.catch(generate(model, method, watchTools(options, progress)), (error) =>
      Effect.flatMap(delayMillis(error, n, progress), (millis) =>
        millis === undefined
          ? Effect.fail(error)
          : Effect.andThen(
              Effect.sleep(millis),
              Effect.suspend(() => generateFrom(method, options, n + 1))
            )
      )
    )
  }
  const streamFrom = (options: CallOptions, n: number): Stream.Stream<any, any, any> => {
    const progress = { begun: false }
    return Stream.catch(watchParts(stream(model, watchTools(options, progress)), progress), (error) =>
      Stream.unwrap(
        Effect.map(delayMillis(error, n, progress), (millis) =>
          millis === undefined
            ? Stream.fail(error)
            : Stream.unwrap(
                Effect.as(
                  Effect.sleep(millis),
                  Stream.suspend(() => streamFrom(options, n + 1))
                )
              )
        )
      )
    )
  }
  return wrap(model, {
    generate: (method, options) => Effect.suspend(() => generateFrom(method, options, 1)),
    stream: (options) => Stream.suspend(() => streamFrom(options, 1))
  })
}
