/**
 * One step in a 1000-step run: a run whose body adds one to a number a thousand times, a step each time.
 *
 * Measures a whole run divided by its 1000 steps, so what a step costs when the run itself no longer shows. It does not
 * measure steps that fail, retry, run in parallel or carry large values. Bare Effect does the same effects in one generator
 * without any step. Mastra, XState and LangGraph loop over one step, which each of them offers (a chain of a thousand
 * costs Mastra ten times as much); `effect/workflow` has a thousand activities, because it runs each name once, built outside the run.
 */
import { Effect, Fiber, Layer, ManagedRuntime, Schema } from "effect"
import { type Kind, type Repeat, type Row, timed, timeMetrics, works } from "../harness.ts"

const steps = 1_000

const measured = (prepare: () => Promise<Repeat>) => timed(steps, (count) => count * steps, prepare)

const bare = (kind: Kind) =>
  measured(async () => {
    const body = Effect.fnUntraced(function* () {
      let n = 0
      while (n < steps) n = yield* works[kind](n)
      return n
    })
    return (count) =>
      Effect.gen(function* () {
        let sum = 0
        for (let i = 0; i < count; i++) sum += yield* Fiber.join(yield* Effect.forkDetach(body()))
        return sum
      }).pipe(Effect.runPromise)
  })

const baton = (kind: Kind) =>
  measured(async () => {
    const { Engine, Step, Workflow } = await import("effect-baton")
    const thousand = Workflow.make("thousand", {
      input: Schema.Number,
      output: Schema.Number,
      run: Effect.fnUntraced(function* (n) {
        while (n < steps) n = yield* Step.make("add", { run: works[kind](n) })
        return n
      })
    })
    const runtime = ManagedRuntime.make(Engine.layerMemory)
    return (count) =>
      Effect.gen(function* () {
        let sum = 0
        for (let i = 0; i < count; i++) {
          const run = yield* thousand.run(0)
          const execution = yield* run.start
          sum += yield* execution.result
        }
        return sum
      }).pipe(runtime.runPromise)
  })

const effectWorkflow = (kind: Kind) =>
  measured(async () => {
    const { Activity, Workflow, WorkflowEngine } = await import("effect/workflow")
    const Thousand = Workflow.make("thousand", { payload: {}, success: Schema.Number, idempotencyKey: () => "" })
    const activities = Array.from({ length: steps }, (_, i) =>
      Activity.make({ name: `add-${i}`, success: Schema.Number, execute: works[kind](0) })
    )
    const layer = Thousand.toLayer(
      Effect.fnUntraced(function* () {
        let n = 0
        for (const add of activities) n += yield* add
        return n
      })
    ).pipe(Layer.provideMerge(WorkflowEngine.layerMemory))
    return (count) =>
      Effect.gen(function* () {
        const engine = yield* WorkflowEngine.WorkflowEngine
        let sum = 0
        for (let i = 0; i < count; i++) {
          sum += yield* engine.execute(Thousand, { executionId: String(i), payload: {} })
        }
        return sum
      }).pipe(Effect.provide(layer), Effect.runPromise)
  })

const xstate = measured(async () => {
  const { assign, createActor, fromPromise, setup, toPromise } = await import("xstate")
  const machine = setup({
    types: { context: {} as { n: number }, output: {} as number },
    actors: { add: fromPromise(async ({ input }: { input: number }) => input + 1) },
    guards: { last: ({ context }) => context.n === steps }
  }).createMachine({
    context: { n: 0 },
    initial: "adding",
    states: {
      adding: {
        invoke: {
          src: "add",
          input: ({ context }) => context.n,
          onDone: { target: "added", actions: assign({ n: ({ event }) => event.output }) }
        }
      },
      added: { always: [{ guard: "last", target: "done" }, { target: "adding" }] },
      done: { type: "final" }
    },
    output: ({ context }) => context.n
  })
  return async (count) => {
    let sum = 0
    for (let i = 0; i < count; i++) sum += await toPromise(createActor(machine).start())
    return sum
  }
})

const mastra = measured(async () => {
  const { createStep, createWorkflow } = await import("@mastra/core/workflows")
  const { z } = await import("zod")
  const add = createStep({
    id: "add",
    inputSchema: z.number(),
    outputSchema: z.number(),
    execute: async ({ inputData }) => inputData + 1
  })
  const thousand = createWorkflow({ id: "thousand", inputSchema: z.number(), outputSchema: z.number() })
    .dountil(add, async ({ inputData }) => inputData === steps)
    .commit()
  return async (count) => {
    let sum = 0
    for (let i = 0; i < count; i++) {
      const run = await thousand.createRun()
      const result = await run.start({ inputData: 0 })
      if (result.status !== "success") throw new Error(`Mastra: ${result.status}`)
      sum += result.result
    }
    return sum
  }
})

const langgraph = measured(async () => {
  const { Annotation, END, START, StateGraph } = await import("@langchain/langgraph")
  const graph = new StateGraph(Annotation.Root({ n: Annotation<number> }))
    .addNode("add", async ({ n }) => ({ n: n + 1 }))
    .addEdge(START, "add")
    .addConditionalEdges("add", ({ n }) => (n === steps ? END : "add"), ["add", END])
    .compile()
  return async (count) => {
    let sum = 0
    for (let i = 0; i < count; i++) sum += (await graph.invoke({ n: 0 }, { recursionLimit: steps + 1 })).n
    return sum
  }
})

export const step: Row = {
  name: "step",
  title: "One step in a 1000-step run",
  rounds: 5,
  metrics: timeMetrics("a step", 2, 3.5),
  contenders: {
    bare: bare("tick"),
    baton: baton("tick"),
    "effect/workflow": effectWorkflow("tick"),
    xstate,
    mastra,
    langgraph
  }
}

export const stepSync: Row = {
  name: "step-sync",
  title: "One step in a 1000-step run, synchronous work",
  rounds: 5,
  metrics: timeMetrics("a step", 2),
  contenders: { bare: bare("sync"), baton: baton("sync"), "effect/workflow": effectWorkflow("sync") }
}
