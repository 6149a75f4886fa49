/**
 * Who waits in this process for something of an execution to be on disk.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { DurableEngine } from "./engine.ts"
import { patient } from "./unavailable.ts"

export class Watchers {
  private readonly engine: DurableEngine
  private readonly watchers = new Map<string, Set<() => void>>()
  private readonly exitWatchers = new Map<string, Set<(exit: Exit.Exit<any, any> | undefined) => void>>()

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  notify(id: string): void {
    const watchers = this.watchers.get(id)
    if (watchers !== undefined) for (const watcher of [...watchers]) watcher()
  }

  notifyAll(): void {
    for (const id of [...this.watchers.keys()]) this.notify(id)
  }

  /** Whoever waits for what other processes do looks again. */
  notifyOthers(): void {
    for (const id of [...this.watchers.keys()]) if (!this.engine.residents.has(id)) this.notify(id)
  }

  /** Calls back when something of an execution is on disk; returns how to stop. */
  watch(id: string, watcher: () => void): () => void {
    const watchers = this.watchers.get(id) ?? new Set()
    this.watchers.set(id, watchers.add(watcher))
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.watchers.get(id) === watchers) this.watchers.delete(id)
    }
  }

  /** Asks again whenever something of the execution is on disk, until there is an answer, or nothing more can come. */
  changing<A>(
    id: string,
    ask: Effect.Effect<A | undefined>,
    isOver: () => Effect.Effect<boolean> | false
  ): Effect.Effect<A | undefined> {
    return Effect.suspend(() => {
      let changed = false
      let wake: (() => void) | undefined
      const stop = this.watch(id, () => {
        changed = true
        wake?.()
      })
      const turn: Effect.Effect<A | undefined> = Effect.suspend(() => {
        changed = false
        return Effect.flatMap(patient(ask), (answer) => {
          if (answer !== undefined) return Effect.succeed(answer)
          const over = isOver()
          return Effect.flatMap(over === false ? Effect.succeed(false) : patient(over), (over) =>
            over
              ? // What came between the two looks counts.
                patient(ask)
              : Effect.andThen(
                  Effect.callback<void>((resume) => {
                    if (changed) return resume(Effect.void)
                    wake = () => resume(Effect.void)
                  }),
                  turn
                )
          )
        })
      })
      return Effect.ensuring(turn, Effect.sync(stop))
    })
  }

  tellExit(id: string, exit: Exit.Exit<any, any> | undefined): void {
    const watchers = this.exitWatchers.get(id)
    if (watchers === undefined) return
    this.exitWatchers.delete(id)
    for (const watcher of watchers) watcher(exit)
  }

  /** Calls back with the outcome once it is on disk, or with nothing when the execution leaves this process. */
  watchExit(id: string, watcher: (exit: Exit.Exit<any, any> | undefined) => void): () => void {
    const watchers = this.exitWatchers.get(id) ?? new Set()
    this.exitWatchers.set(id, watchers.add(watcher))
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.exitWatchers.get(id) === watchers) this.exitWatchers.delete(id)
    }
  }
}
