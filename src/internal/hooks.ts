/**
 * The callbacks of one execution, run one after the other in the order in which they came up.
 *
 * H1  A callback that fails, dies or takes too long is logged and changes nothing.
 * H2  Callbacks of one execution never overlap and keep their order.
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { Host } from "./host.ts"

/** How long a callback may take before it is given up. */
export const hookTimeout = Duration.seconds(30)

// Each callback has an argument of its own, which stands beside it in the call.
type Callback<A> = Effect.Effect<A, unknown> | ((argument: any) => unknown)

const toEffect = (callback: Callback<unknown>, argument: unknown): Effect.Effect<unknown, unknown> =>
  Effect.suspend(() => {
    const result = Predicate.isFunction(callback) ? callback(argument) : callback
    return Effect.isEffect(result) ? (result as Effect.Effect<unknown, unknown>) : Effect.succeed(result)
  })

/** The answer of a callback; nothing when it failed, died or took too long, which is logged. */
export const ask = (
  name: string,
  callback: Callback<unknown>,
  argument: unknown
): Effect.Effect<Option.Option<unknown>> =>
  toEffect(callback, argument).pipe(
    Effect.timeoutOption(hookTimeout),
    Effect.tap((answer) =>
      Option.isNone(answer)
        ? Effect.logWarning(`${name} did not return within ${Duration.format(hookTimeout)} and was given up`)
        : Effect.void
    ),
    Effect.catchCause((cause) => Effect.as(Effect.logWarning(`${name} failed`, cause), Option.none()))
  )

export class Hooks {
  private readonly queue: Array<Effect.Effect<unknown>> = []
  private running = false
  private readonly context: Context.Context<never>
  private readonly host: Host

  constructor(context: Context.Context<never>, host: Host) {
    this.context = context
    this.host = host
  }

  add(name: string, callback: Callback<unknown>, argument: unknown): void {
    this.queue.push(ask(name, callback, argument))
  }

  /** Runs what is queued; at once as far as it does not suspend. */
  flush(): void {
    if (this.running || this.queue.length === 0) return
    this.running = true
    const next: Effect.Effect<void> = Effect.suspend(() => {
      const hook = this.queue.shift()
      if (hook !== undefined) return Effect.andThen(hook, next)
      this.running = false
      return Effect.void
    })
    this.host.adopt(Effect.runForkWith(this.context)(next))
  }
}
