/**
 * Spans of runs, attempts and steps: made by hand and only where somebody traces, since they cost more than the step.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"

/** Whether a tracer was provided and is on; asked before a name or an attribute is made. */
export const isTraced = (cache: Fiber.Fiber.Cache): boolean => cache.tracer !== undefined && cache.tracerEnabled

/** Starts a span where somebody traces. */
export const startSpan = (
  cache: Fiber.Fiber.Cache,
  clock: Clock.Clock,
  name: string,
  attributes: Record<string, unknown>
): Tracer.Span => {
  const parent = Option.fromUndefinedOr(cache.span)
  const span = cache.tracer!.span({
    name,
    parent,
    annotations: Context.empty(),
    links: [],
    startTime: clock.currentTimeNanosUnsafe(),
    kind: "internal",
    root: false,
    sampled: Option.match(parent, { onNone: () => true, onSome: (span) => span.sampled })
  })
  for (const key in attributes) span.attribute(key, attributes[key])
  return span
}

/** Ends a span with an outcome. */
export const endSpan = (span: Tracer.Span, clock: Clock.Clock, exit: Exit.Exit<unknown, unknown>): void => {
  if (span.status._tag === "Started") span.end(clock.currentTimeNanosUnsafe(), exit)
}
