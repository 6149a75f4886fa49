/**
 * Options with plain callbacks, as options with Effects.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Predicate from "effect/Predicate"
import type { Given, RunOptions } from "../Baton.ts"
import type { RunOptions as EffectRunOptions } from "../Run.ts"

const toEffect = (result: unknown): Effect.Effect<unknown, unknown> =>
  Effect.isEffect(result)
    ? (result as Effect.Effect<unknown, unknown>)
    : Predicate.isPromiseLike(result)
      ? Effect.tryPromise({ try: () => result, catch: identity })
      : Effect.succeed(result)

/** The same options with the plain functions at these keys made into functions that return Effects. */
// Which options they are, only the caller knows.
const lift = (options: unknown, keys: ReadonlyArray<string>): any => {
  if (!Predicate.isObject(options)) return options
  const lifted = keys.flatMap((key) => {
    const callback = (options as Record<string, unknown>)[key]
    return Predicate.isFunction(callback)
      ? [[key, (argument: unknown) => Effect.suspend(() => toEffect(callback(argument)))] as const]
      : []
  })
  // What has no callbacks stays what it is, such as a Duration.
  return lifted.length === 0 ? options : { ...options, ...Object.fromEntries(lifted) }
}

/** The options that a run takes. */
export const toEffectOptions = ({ signal: _signal, ...options }: RunOptions<any, any>): EffectRunOptions<any, any> => ({
  ...lift(options, ["onComplete", "onFailed", "onStatusChange"]),
  timeout: lift(options.timeout, ["onTimeoutCallback"]),
  retry: lift(options.retry, ["while", "onRetry"]),
  cancel: lift(options.cancel, ["beforeCancel", "afterCancel"])
})

/** The options that say something. */
export const given = <Options extends object>(options: Options): Given<Options> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<Options>
