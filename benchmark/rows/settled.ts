/**
 * A million settled runs: one-step runs, started and awaited one after the other in one engine with its defaults.
 *
 * Measures the heap in use, after garbage collection, after every 200,000 runs: an engine that forgets what is settled has a flat
 * line. It does not measure resident memory or a retention other than the default. The first 20,000 runs fill what the engine
 * keeps on purpose and are not counted. Baton only.
 */
import { Effect, ManagedRuntime, Schema } from "effect"
import { heapBytes, type Measured, type Metric, type Row, sumTo, verify } from "../harness.ts"

const marks = [200, 400, 600, 800, 1_000]

const baton = async (quick: boolean): Promise<Measured> => {
  const { Engine, Step, Workflow } = await import("effect-baton")
  const increment = Workflow.make("increment", {
    input: Schema.Number,
    output: Schema.Number,
    run: Effect.fnUntraced(function* (n) {
      return yield* Step.make("add", { run: Effect.sync(() => n + 1) })
    })
  })
  const runtime = ManagedRuntime.make(Engine.layerMemory)
  const settle = async (count: number) => {
    const sum = await Effect.gen(function* () {
      let sum = 0
      for (let i = 0; i < count; i++) {
        const run = yield* increment.run(i)
        const execution = yield* run.start
        sum += yield* execution.result
      }
      return sum
    }).pipe(runtime.runPromise)
    verify(sum, sumTo(count))
  }
  await settle(20_000)
  const measured: Record<string, number> = {}
  const between = quick ? 2_000 : 200_000
  for (const mark of marks) {
    await settle(between)
    measured[mark] = (await heapBytes()) / 1e6
  }
  measured["growth"] = ((measured[1_000]! - measured[200]!) * 1e6) / (4 * between)
  return measured
}

export const settledRuns: Row = {
  name: "settled",
  title: "Heap after settled runs",
  rounds: 1,
  metrics: {
    ...Object.fromEntries(
      marks.map((mark): [string, Metric] => [`${mark}`, { title: `MB after ${mark}k`, digits: 2 }])
    ),
    growth: { title: "B a run, 200k to 1000k", digits: 2, target: { atMost: 1 } }
  },
  contenders: { baton }
}
