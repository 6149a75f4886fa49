/**
 * Everything that is logged inside an execution becomes an event of it, and carries its id to the loggers outside.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { Current } from "./frame.ts"
import { show } from "./schema.ts"

const text = (message: unknown): string =>
  (Array.isArray(message) ? message : [message])
    .map((part) => (typeof part === "string" ? part : part instanceof Error ? part.message : show(part, 2000)))
    .join(" ")

const wrap = (loggers: ReadonlySet<Logger.Logger<unknown, unknown>>): Logger.Logger<unknown, void> =>
  Logger.make((options) => {
    const frame = Context.getOrUndefined(options.fiber.context, Current)
    if (frame === undefined) {
      for (const logger of loggers) logger.log(options)
      return
    }
    const cause = options.cause.reasons.length === 0 ? "" : `\n${Cause.pretty(options.cause)}`
    frame.execution.logged(frame, options.logLevel, text(options.message) + cause)
    // The id is text only when something is logged, so it can not stand in the context from the start.
    const annotations = { ...options.fiber.getRef(References.CurrentLogAnnotations), executionId: frame.execution.id }
    const fiber = Object.create(options.fiber, {
      context: { value: Context.add(options.fiber.context, References.CurrentLogAnnotations, annotations) }
    })
    for (const logger of loggers) logger.log({ ...options, fiber })
  })

const wrapped = new WeakMap<ReadonlySet<unknown>, ReadonlySet<Logger.Logger<unknown, unknown>>>()

/** The loggers of a context, wrapped; the same set for the same loggers. */
export const capture = (
  loggers: ReadonlySet<Logger.Logger<unknown, unknown>>
): ReadonlySet<Logger.Logger<unknown, unknown>> => {
  const known = wrapped.get(loggers)
  if (known !== undefined) return known
  const set = new Set([wrap(loggers)])
  wrapped.set(loggers, set)
  // Loggers that an execution passes on to its children are wrapped already.
  wrapped.set(set, set)
  return set
}
