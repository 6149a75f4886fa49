/**
 * What runs the effects behind the promises.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Execution as EffectExecution } from "../Execution.ts"
import { isSettled } from "../Run.ts"
import { Engine } from "../services/Engine.ts"

/**
 * The Baton was disposed: nothing new can be asked of it.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Baton } from "effect-baton"
 *
 * new Baton.BatonDisposed().message // => "This Baton was disposed: make another one with Baton.make"
 * ```
 */
export class BatonDisposed extends Schema.TaggedError<BatonDisposed>("effect-baton/Baton/BatonDisposed")(
  "BatonDisposed",
  {}
) {
  override get message(): string {
    return "This Baton was disposed: make another one with Baton.make"
  }
}

/** Runs effects with the services of a layer; it owns what still runs, and ends it when it is closed. */
export class Runner {
  private readonly runtime: ManagedRuntime.ManagedRuntime<any, unknown>
  private context: Context.Context<any> = Context.empty() as Context.Context<any>
  private isBuilt = false
  private isClosed = false
  private closing: Promise<void> | undefined = undefined
  private readonly open = new Set<() => Promise<unknown>>()

  constructor(layer: Layer.Layer<any, unknown>) {
    this.runtime = ManagedRuntime.make(layer)
  }

  /** Runs an effect that needs the layer, which the first one builds. */
  async run<A>(effect: Effect.Effect<A, unknown, any>): Promise<A> {
    if (!this.isBuilt) await this.build()
    if (this.closing !== undefined) throw new BatonDisposed()
    return this.promise(effect)
  }

  private build(): Promise<void> {
    return this.runtime.context().then(
      (context) => {
        this.context = context
        this.isBuilt = true
      },
      (error) => {
        if (this.closing === undefined) throw error
      }
    )
  }

  fork<A, E>(effect: Effect.Effect<A, E, any>, onExit: (exit: Exit.Exit<A, E>) => void): void {
    const fiber = Effect.runForkWith(this.context)(effect)
    if (fiber.pollUnsafe() === undefined) {
      const stop = () => Effect.runPromise(Fiber.interrupt(fiber))
      this.open.add(stop)
      fiber.addObserver(() => this.open.delete(stop))
      if (this.isClosed) stop()
    }
    fiber.addObserver(onExit)
  }

  promise<A>(effect: Effect.Effect<A, unknown, any>): Promise<A> {
    return new Promise((resolve, reject) =>
      this.fork(effect, (exit) => (Exit.isSuccess(exit) ? resolve(exit.value) : reject(this.reason(exit.cause))))
    )
  }

  /** What a promise is rejected with. */
  reason(cause: Cause.Cause<unknown>): unknown {
    return this.closing !== undefined && Cause.hasInterruptsOnly(cause) ? new BatonDisposed() : Cause.squash(cause)
  }

  /** Reads an effect synchronously; while that takes time, gives the value before. */
  latest<A>(effect: Effect.Effect<A>, first: A): () => A {
    let value = first
    let isReading = false
    return () => {
      if (isReading) return value
      isReading = true
      this.fork(effect, (exit) => {
        isReading = false
        if (Exit.isSuccess(exit)) value = exit.value
      })
      return value
    }
  }

  /**
   * A stream of an execution, for readers that are independent of each other. A wait for the next element ends with
   * `return`, or when this is closed; the readers of a settled execution come to their end by themselves.
   */
  iterate<A>(execution: EffectExecution<unknown, unknown>, stream: Stream.Stream<A>): AsyncIterable<A> {
    return {
      [Symbol.asyncIterator]: () => {
        const inner = Stream.toAsyncIterableWith(stream, this.context)[Symbol.asyncIterator]()
        const stop = () => inner.return!()
        const stopUnlessSettled = async () => {
          const status = await Effect.runPromiseExitWith(this.context)(execution.status)
          if (Exit.isFailure(status) || !isSettled(status.value)) await stop()
        }
        const pull = () => {
          this.open.add(stopUnlessSettled)
          if (this.isClosed) void stopUnlessSettled()
          return inner.next().finally(() => this.open.delete(stopUnlessSettled))
        }
        // Two pulls at once would read the same element.
        let last: Promise<unknown> = Promise.resolve()
        return {
          next: () => {
            const next = last.then(pull, pull)
            last = next
            return next
          },
          return: stop
        }
      }
    }
  }

  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  /** The engine drains before any service of the layer goes; what waits for neither is ended last. */
  private async end(): Promise<void> {
    const shutdown = this.isBuilt ? Context.get(this.context as Context.Context<Engine>, Engine).shutdown : Effect.void
    const exit = await Effect.runPromiseExitWith(this.context)(Effect.ensuring(shutdown, this.runtime.disposeEffect))
    this.isClosed = true
    await Promise.all(Array.from(this.open, (stop) => stop()))
    if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  }
}
