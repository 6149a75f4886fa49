/**
 * The one-step run and the 1000-step run again, with spans and a tracer that makes, ends and counts every span.
 *
 * Measures what Baton costs when somebody traces, against bare Effect with the same spans: one for the run, one for its only
 * attempt, one around each step, none of them with a stack trace, which would double their cost. The tracer keeps nothing and
 * exports nothing: it reads the ids, as an exporter has to, and counts. The spans of one repetition are reported, so that a
 * difference in number can be seen. It does not measure an exporter.
 */
import { Effect, Fiber, Layer, ManagedRuntime, Schema, Tracer } from "effect"
import { type Contender, microseconds, type Repeat, type Row, sumTo, timeMetrics, works } from "../harness.ts"

let ended = 0

class CountedSpan extends Tracer.NativeSpan {
  override end(...args: Parameters<Tracer.NativeSpan["end"]>): void {
    super.end(...args)
    if (this.traceId.length === 32 && this.spanId.length === 16) ended++
  }
}

const tracer = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new CountedSpan(options) }))

const traced =
  (steps: number, prepare: () => Promise<Repeat>): Contender =>
  async (quick) => {
    const repeat = await prepare()
    await repeat(1)
    // Spans that end after the result is there are counted too.
    await new Promise((resolve) => setImmediate(resolve))
    const spans = ended
    const expected = steps === 1 ? sumTo : (count: number) => count * steps
    const { cpu, wall } = await microseconds(repeat, expected, quick)
    return { wall: wall / steps, cpu: cpu / steps, spans }
  }

const bare = (steps: number) =>
  traced(steps, async () => {
    const add = (n: number) => Effect.withSpan(works.tick(n), "add", { captureStackTrace: false })
    const body = Effect.fnUntraced(function* (n: number) {
      for (let i = 0; i < steps; i++) n = yield* add(n)
      return n
    })
    const runtime = ManagedRuntime.make(tracer)
    return (count) =>
      Effect.gen(function* () {
        let sum = 0
        for (let i = 0; i < count; i++) {
          const attempt = Effect.withSpan(body(steps === 1 ? i : 0), "attempt", { captureStackTrace: false })
          const run = Effect.withSpan(attempt, "increment", { captureStackTrace: false })
          sum += yield* Fiber.join(yield* Effect.forkDetach(run))
        }
        return sum
      }).pipe(runtime.runPromise)
  })

const baton = (steps: number) =>
  traced(steps, async () => {
    const { Engine, Step, Workflow } = await import("effect-baton")
    const increment = Workflow.make("increment", {
      input: Schema.Number,
      output: Schema.Number,
      run: Effect.fnUntraced(function* (n) {
        for (let i = 0; i < steps; i++) n = yield* Step.make("add", { run: works.tick(n) })
        return n
      })
    })
    const runtime = ManagedRuntime.make(Layer.provideMerge(Engine.layerMemory, tracer))
    return (count) =>
      Effect.gen(function* () {
        let sum = 0
        for (let i = 0; i < count; i++) {
          const run = yield* increment.run(steps === 1 ? i : 0)
          const execution = yield* run.start
          sum += yield* execution.result
        }
        return sum
      }).pipe(runtime.runPromise)
  })

const spans = { title: "spans a run", digits: 0 }

export const tracedRun: Row = {
  name: "traced-run",
  title: "One-step run with spans and a tracer",
  rounds: 5,
  metrics: { ...timeMetrics("a run", 1, 1.5), spans },
  contenders: { bare: bare(1), baton: baton(1) }
}

export const tracedStep: Row = {
  name: "traced-step",
  title: "One step in a 1000-step run with spans and a tracer",
  rounds: 5,
  metrics: { ...timeMetrics("a step", 2, 1.5), spans },
  contenders: { bare: bare(1_000), baton: baton(1_000) }
}
