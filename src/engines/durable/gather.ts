/**
 * Work that many ask for at once, done for all of them together: what is ready in one turn of the scheduler is one piece of
 * work, and so is what comes up while that goes on. Who is alone waits for nobody.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { EngineUnavailable } from "../../services/Engine.ts"

/**
 * Rows or keys of one statement; a few sizes only, so that statements are prepared once. The small ones are what a run alone
 * writes at a time: one statement needs no transaction around it.
 */
export const sizes = [64, 16, 5, 4, 3, 2, 1]

/** How many are done together at most. */
const limit = sizes[0]

/** The smallest of the sizes that holds so many. */
export const sizeFor = (count: number): number => sizes.findLast((size) => size >= count) ?? limit

/** Rows in as few pieces as there are, each of one of the sizes. */
export const inSizes = <A>(rows: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> => {
  const pieces: Array<ReadonlyArray<A>> = []
  for (let i = 0; i < rows.length; i += pieces[pieces.length - 1].length) {
    const size = sizes.find((size) => size <= rows.length - i)!
    pieces.push(rows.slice(i, i + size))
  }
  return pieces
}

interface Waiting<A, B, E> {
  readonly item: A
  readonly resume: (effect: Effect.Effect<B, E>) => void
}

/** What whoever asks an engine that is no more is told. */
export const ended: Effect.Effect<never> = Effect.suspend(() =>
  Effect.die(
    new EngineUnavailable({ reason: "the engine has ended", isRetryable: false, next: "ask an engine that is up" })
  )
)

/** Whose work it is: that ends when its host does, and so does the wait for it. */
interface GatherHost {
  readonly context: Context.Context<never>
  readonly adopt: (fiber: Fiber.Fiber<unknown, unknown>) => void
}

/** Makes one effect for each of many items out of one for all of them, which answers in their order. */
export const gather = <A, B, E = never>(
  host: GatherHost,
  together: (items: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<Exit.Exit<B, E>>>
): ((item: A) => Effect.Effect<B, E>) => {
  let waiting: Array<Waiting<A, B, E>> = []
  let underWay: ReadonlyArray<Waiting<A, B, E>> = []
  let isRunning = false
  const attempt = (batch: ReadonlyArray<Waiting<A, B, E>>): Effect.Effect<void> =>
    Effect.matchCauseEffect(together(batch.map(({ item }) => item)), {
      onSuccess: (exits) =>
        Effect.sync(() => {
          for (const [i, { resume }] of batch.entries()) resume(exits[i])
        }),
      onFailure: (cause) =>
        batch.length === 1
          ? Effect.sync(() => batch[0].resume(Effect.failCause(cause)))
          : // One that fails must not take the others with it.
            Effect.forEach(batch, (one) => attempt([one]), { concurrency: 16, discard: true })
    })
  const next: Effect.Effect<void> = Effect.suspend(() => {
    if (waiting.length === 0) {
      isRunning = false
      return Effect.void
    }
    underWay = waiting.slice(0, limit)
    waiting = waiting.slice(limit)
    return Effect.andThen(attempt(underWay), next)
  })
  const run = () => {
    isRunning = true
    const fiber = Effect.runForkWith(host.context)(Effect.andThen(Effect.yieldNow, next))
    host.adopt(fiber)
    fiber.addObserver((exit) => {
      if (exit._tag === "Success") return
      const left = [...underWay, ...waiting]
      waiting = []
      isRunning = false
      for (const { resume } of left) resume(ended)
    })
  }
  return (item) =>
    Effect.callback((resume) => {
      waiting.push({ item, resume })
      if (!isRunning) run()
    })
}
