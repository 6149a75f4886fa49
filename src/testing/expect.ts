/**
 * What checks say of values; they depend on no test framework.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import { show } from "../internal/schema.ts"
import { CheckFailed } from "./Check.ts"

/** Not `Equal`, which remembers what it compared: the checks compare arrays that grow. */
const same = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true
  if (!Predicate.isObjectKeyword(a) || !Predicate.isObjectKeyword(b)) return false
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  if (a instanceof Date) return a.getTime() === (b as Date).getTime()
  if (a instanceof Set)
    return a.size === (b as Set<unknown>).size && [...a].every((value) => (b as Set<unknown>).has(value))
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same(a[key as keyof typeof a], b[key as keyof typeof b]))
  )
}

/** Two values are the same, as far down as they go. */
export const equal = <A>(what: string, actual: A, expected: A): Effect.Effect<void, CheckFailed> =>
  same(actual, expected)
    ? Effect.void
    : Effect.fail(new CheckFailed({ what, expected: show(expected, 2000), actual: show(actual, 2000) }))

/** Something holds. */
export const holds = (
  what: string,
  condition: boolean,
  actual: unknown = condition
): Effect.Effect<void, CheckFailed> =>
  condition
    ? Effect.void
    : Effect.fail(new CheckFailed({ what, expected: "that it holds", actual: show(actual, 2000) }))

/** An effect fails, with this tag; gives the error. */
export const failsWith = <A, E, R, const Tag extends string>(
  what: string,
  tag: Tag,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Extract<E, { readonly _tag: Tag }>, CheckFailed, R> =>
  Effect.matchCauseEffect(effect, {
    onSuccess: (value) =>
      Effect.fail(new CheckFailed({ what, expected: `failure ${tag}`, actual: `success ${show(value)}` })),
    onFailure: (cause) => {
      const error = Cause.squash(cause)
      return (error as { readonly _tag?: unknown } | null)?._tag === tag && !Cause.hasDies(cause)
        ? Effect.succeed(error as Extract<E, { readonly _tag: Tag }>)
        : Effect.fail(new CheckFailed({ what, expected: `failure ${tag}`, actual: describe(cause) }))
    }
  })

/** What an exit is, in a few words: for comparing and for messages. */
export const describeExit = (exit: Exit.Exit<unknown, unknown>): string =>
  exit._tag === "Success" ? `success ${show(exit.value)}` : describe(exit.cause)

const describe = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  const kind = Cause.hasDies(cause) ? "defect" : Cause.hasInterruptsOnly(cause) ? "interruption" : "failure"
  const tag = (error as { readonly _tag?: unknown } | null)?._tag
  return `${kind} ${typeof tag === "string" ? tag : error instanceof Error ? error.message : show(error)}`
}
