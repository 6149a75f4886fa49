/**
 * The alarm of this process: rings for whatever waits outside of the memory, when the first of it falls due (D7).
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { DurableEngine } from "./engine.ts"
import { atOnce } from "./rows.ts"
import { realSleep } from "./writer.ts"

/** How late, in milliseconds, a timer may be before it is not waited for. */
const grace = 1000

export class Alarm {
  private readonly engine: DurableEngine
  private sleeper: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private at = Number.POSITIVE_INFINITY

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  /** Rings at this time, unless it rings before. */
  set(at: number): void {
    if (at >= this.at || this.engine.isDraining) return
    this.at = at
    this.sleeper?.interruptUnsafe()
    this.sleeper = this.engine.fork(
      Effect.andThen(
        this.engine.clock.sleep(Duration.millis(Math.max(0, at - this.engine.now()))),
        Effect.suspend(() => {
          this.at = Number.POSITIVE_INFINITY
          this.sleeper = undefined
          return this.ring
        })
      )
    )
  }

  /** Rings if it is late: a machine that was suspended, or whose clock was set, does not wake sleepers in time. */
  check(): void {
    const { at } = this
    if (at + grace > this.engine.now()) return
    this.at = Number.POSITIVE_INFINITY
    this.set(at)
  }

  stop(): void {
    this.sleeper?.interruptUnsafe()
  }

  /** What is due counts as due up to here; what was let go in the middle of its work always is, whatever the clock says. */
  get now(): number {
    return Math.max(atOnce, this.engine.now())
  }

  private get ring(): Effect.Effect<void> {
    const look = Effect.gen({ self: this }, function* () {
      yield* this.engine.writer.drained
      const { now } = this
      yield* this.engine.recovery.takeUpDue(atOnce, now)
      // What falls due from here on has an alarm: nothing lies between the two looks.
      yield* this.setNext(now)
    })
    const again: Effect.Effect<void> = Effect.catchCause(look, (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause)
        : Effect.logWarning("What is due could not be looked up; trying again", cause).pipe(
            Effect.andThen(realSleep(this.engine.pollMillis)),
            Effect.andThen(again)
          )
    )
    return again
  }

  /** Rings for what is due next after a time; what was due by then has been looked at. */
  setNext(after: number): Effect.Effect<void> {
    return Effect.map(
      this.engine.query<{ at: number | null }>(`SELECT MIN(wake_at) AS at FROM baton_runs WHERE wake_at > ?`, [after]),
      ([row]) => {
        if (row?.at != null) this.set(Number(row.at))
      }
    )
  }
}
