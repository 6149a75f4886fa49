/**
 * The order in which a body was told how things ended, which decides its races: a replay tells it in the same order.
 *
 * T1  What ended later is told later, what was told at one moment is told at one moment, and new work begins only when all
 *     that ended before is told, as long as the body asks for it.
 * T2  Nobody waits for ever: what the body does not ask for while it stands still is passed over.
 * T3  What stands in a step is told at once: steps may do what they like.
 */
import * as Effect from "effect/Effect"

/** How many turns of the scheduler a body that does nothing is given, until it is told something, or it is passed over. */
const calm = 2
const still = 10

export class Turns {
  /** Counts what the body does. */
  private readonly activity: () => number
  /** Runs what tells the body, beside it. */
  private readonly fork: (effect: Effect.Effect<void>) => void
  private readonly places = new Map<string, number>()
  /** What is told at one moment, in order. */
  private readonly groups: Array<Array<string>> = []
  private next = 0
  /** Who waits for their group. */
  private readonly waiting = new Map<string, () => void>()
  /** Who waits to begin something new. */
  private readonly beginning = new Set<() => void>()
  private isRunning = false

  constructor(activity: () => number, fork: (effect: Effect.Effect<void>) => void) {
    this.activity = activity
    this.fork = fork
  }

  /** Another attempt begins. */
  clear(): void {
    this.places.clear()
    this.groups.length = 0
    this.next = 0
  }

  /** What ended next, together with what ended before it or later. */
  load(key: string, isTogether: boolean): void {
    if (!isTogether || this.groups.length === 0) this.groups.push([])
    this.places.set(key, this.groups.length - 1)
    this.groups[this.groups.length - 1].push(key)
  }

  /** Waits until it is told how something ended; `isAlone` says that nothing else of the body can be on its way there. */
  wait(key: string, isAlone = false): Effect.Effect<void> | undefined {
    const place = this.places.get(key)
    if (place === undefined || place < this.next) return undefined
    if (isAlone && place === this.next && this.groups[place].length === 1) {
      this.next++
      return Effect.yieldNow
    }
    return this.waitFor((tell) => {
      this.waiting.set(key, tell)
      return () => this.waiting.delete(key)
    })
  }

  /** Waits until all that ended is told; nothing where it is. */
  get end(): Effect.Effect<void> | undefined {
    if (this.isOver) return undefined
    return this.waitFor((tell) => {
      this.beginning.add(tell)
      return () => this.beginning.delete(tell)
    })
  }

  /** Whether all that ended is told. */
  get isOver(): boolean {
    return this.next === this.groups.length
  }

  private waitFor(join: (tell: () => void) => () => void): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const leave = join(() => resume(Effect.void))
      this.run()
      return Effect.sync(leave)
    })
  }

  private run(): void {
    if (this.isRunning) return
    this.isRunning = true
    const turn = (quiet: number, seen: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (this.waiting.size === 0 && this.beginning.size === 0) {
          this.isRunning = false
          return Effect.void
        }
        const activity = this.activity()
        const calmFor = activity === seen ? quiet + 1 : 0
        const again = (quiet: number) => Effect.andThen(Effect.yieldNow, turn(quiet, activity))
        if (calmFor < calm || (calmFor < still && !this.isReady)) return again(calmFor)
        this.tell()
        return again(0)
      })
    this.fork(
      Effect.onInterrupt(turn(0, this.activity()), () =>
        // The execution leaves this process: nobody is kept.
        Effect.sync(() => {
          while (this.waiting.size > 0 || this.beginning.size > 0) this.tell()
        })
      )
    )
  }

  /** Whether all that is to be told next is asked for. */
  private get isReady(): boolean {
    const group = this.groups[this.next]
    return group === undefined || group.every((key) => this.waiting.has(key))
  }

  /** Tells what comes next of what is asked for. */
  private tell(): void {
    while (this.next < this.groups.length) {
      const told = this.groups[this.next++].flatMap((key) => {
        const tell = this.waiting.get(key)
        this.waiting.delete(key)
        return tell ?? []
      })
      for (const tell of told) tell()
      if (told.length > 0) return
    }
    const begin = [...this.beginning, ...this.waiting.values()]
    this.beginning.clear()
    this.waiting.clear()
    for (const tell of begin) tell()
  }
}
