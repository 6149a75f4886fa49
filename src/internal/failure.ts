/**
 * What is told of a failure.
 */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { show } from "./schema.ts"

/** What an error is called in events: its tag or name, and its message. */
export const describe = (error: unknown): { readonly error: string; readonly message: string } =>
  Result.getOrElse(
    Result.try(() => read(error)),
    () => ({ error: typeof error, message: show(error) })
  )

const read = (error: unknown): { readonly error: string; readonly message: string } => {
  const named = error as
    | { readonly _tag?: unknown; readonly name?: unknown; readonly message?: unknown }
    | null
    | undefined
  const tag = typeof named?._tag === "string" ? named._tag : typeof named?.name === "string" ? named.name : typeof error
  return { error: tag, message: typeof named?.message === "string" ? named.message : show(error) }
}

/** The first error of a cause, or else its defect. */
export const mainError = (cause: Cause.Cause<unknown>): unknown =>
  Option.getOrElse(Cause.findErrorOption(cause), () => Cause.squash(cause))
