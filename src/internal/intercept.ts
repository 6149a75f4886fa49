/**
 * What may stand between a step and its work: nothing, except in tests that inject faults.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Frame } from "./frame.ts"

/** Puts something around each try of a step. */
export type Interceptor = <A, E, R>(run: Effect.Effect<A, E, R>, frame: Frame) => Effect.Effect<A, E, R>

/** Read once, when an execution is made. */
export const Interceptor = Context.Reference<Interceptor | undefined>("effect-baton/internal/Interceptor", {
  defaultValue: () => undefined
})
