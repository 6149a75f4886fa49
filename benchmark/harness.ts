/**
 * What a row of the benchmark is, and how work is timed in a process of its own.
 */

import { Effect } from "effect"

/**
 * The work of every step: add one. `tick` does it one microtask later, as the async functions of the other libraries do;
 * `sync` at once, which leaves nothing but the cost of the wrapping.
 */
export const works = {
  tick: (n: number): Effect.Effect<number> => Effect.promise(async () => n + 1),
  sync: (n: number): Effect.Effect<number> => Effect.sync(() => n + 1)
}
export type Kind = keyof typeof works

/** What one process measured: metric to value. */
export type Measured = Readonly<Record<string, number>>

export interface Metric {
  readonly title: string
  /** Decimals to print. */
  readonly digits: number
  /** What Baton aims at: at most so many times the bare figure, or at most this figure. */
  readonly target?: { readonly timesBare: number } | { readonly atMost: number }
}

/** Measures one side of a row. Imports what it needs itself, so that a process loads nothing of the others. */
export type Contender = (quick: boolean) => Promise<Measured>

export interface Row {
  readonly name: string
  readonly title: string
  /** How often each contender runs, in turn with the others. The medians are reported. */
  readonly rounds: number
  readonly metrics: Readonly<Record<string, Metric>>
  /** The contender named `bare` is what the others are compared with. */
  readonly contenders: Readonly<Record<string, Contender>>
}

/** Repeats what a row is about `count` times, one after the other, and answers what that amounts to. */
export type Repeat = (count: number) => Promise<number>

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** A contender that did not do the work is no contender. */
export const verify = (actual: number, expected: number): void => {
  if (actual !== expected) throw new Error(`the work amounts to ${actual}, not to ${expected}`)
}

/** Time by the wall clock, and the processor time of the main thread, which neighbours on the machine disturb less. */
export interface Micros {
  readonly wall: number
  readonly cpu: number
}

export const stopwatch = () => {
  const start = performance.now()
  const used = process.threadCpuUsage()
  return (): Micros => {
    const wall = (performance.now() - start) * 1_000
    const { system, user } = process.threadCpuUsage(used)
    return { wall, cpu: system + user }
  }
}

/**
 * Microseconds for one repetition: the median of seven samples of at least 0.2 s, after a warm-up of as much.
 * What takes more than five seconds by itself is timed once, cold, because its warm-up would last minutes.
 */
export const microseconds = async (
  repeat: Repeat,
  expected: (count: number) => number,
  quick: boolean
): Promise<Micros> => {
  const sample = async (count: number) => {
    const elapsed = stopwatch()
    const actual = await repeat(count)
    const micros = elapsed()
    verify(actual, expected(count))
    return micros
  }
  let count = 1
  let micros = await sample(count)
  if (micros.wall > 5_000_000) return micros
  while (micros.wall < (quick ? 20_000 : 200_000)) {
    count *= micros.wall < 10_000 ? 4 : 2
    micros = await sample(count)
  }
  const samples: Array<Micros> = []
  for (let i = 0; i < (quick ? 1 : 7); i++) samples.push(await sample(count))
  const middle = (clock: keyof Micros) => median(samples.map((sample) => sample[clock])) / count
  return { wall: middle("wall"), cpu: middle("cpu") }
}

/** The two metrics of something that is timed. */
export const timeMetrics = (title: string, digits: number, timesBare?: number): Row["metrics"] => ({
  wall: { title: `µs ${title}`, digits, ...(timesBare === undefined ? {} : { target: { timesBare } }) },
  cpu: { title: "CPU µs", digits }
})

/** A contender that repeats something of `parts` equal parts, and is timed by the part. */
export const timed =
  (parts: number, expected: (count: number) => number, prepare: () => Promise<Repeat>): Contender =>
  async (quick) => {
    const { cpu, wall } = await microseconds(await prepare(), expected, quick)
    return { wall: wall / parts, cpu: cpu / parts }
  }

/** The heap in use once everything that can be collected is gone. */
export const heapBytes = async (): Promise<number> => {
  if (globalThis.gc === undefined) throw new Error("run Node with --expose-gc")
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc()
  }
  return process.memoryUsage().heapUsed
}

/** The sum of `1 .. count`: what runs that add one to `0 .. count - 1` amount to. */
export const sumTo = (count: number): number => (count * (count + 1)) / 2
