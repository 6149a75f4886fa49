/**
 * One-step run: a run whose body is one step that adds one to its input, started and awaited, one after the other.
 *
 * Measures what a run costs by itself: definition made once, then configure, start, one step, settle, result.
 * It does not measure work inside steps, runs at the same time, storage, retries, timeouts or traces. Bare Effect forks
 * a detached fiber with the same body and joins it. Everybody runs in one process without persistence; Mastra without
 * a storage, LangGraph without a checkpointer. `effect/workflow` digests an id out of the payload; its second line gives it
 * ids of our own. It keeps every finished run, so it gets a new engine for every sample.
 */
import { Effect, Fiber, Layer, ManagedRuntime, Schema } from "effect"
import { type Kind, type Repeat, type Row, sumTo, timed, timeMetrics, works } from "../harness.ts"

const measured = (prepare: () => Promise<Repeat>) => timed(1, sumTo, prepare)

const bare = (kind: Kind) =>
  measured(async () => {
    const body = Effect.fnUntraced(function* (n: number) {
      return yield* works[kind](n)
    })
    return (count) =>
      Effect.gen(function* () {
        let sum = 0
        for (let i = 0; i < count; i++) sum += yield* Fiber.join(yield* Effect.forkDetach(body(i)))
        return sum
      }).pipe(Effect.runPromise)
  })

const baton = (kind: Kind) =>
  measured(async () => {
    const { Engine, Step, Workflow } = await import("effect-baton")
    const increment = Workflow.make("increment", {
      input: Schema.Number,
      output: Schema.Number,
      run: Effect.fnUntraced(function* (n) {
        return yield* Step.make("add", { run: works[kind](n) })
      })
    })
    const runtime = ManagedRuntime.make(Engine.layerMemory)
    return (count) =>
      Effect.gen(function* () {
        let sum = 0
        for (let i = 0; i < count; i++) {
          const run = yield* increment.run(i)
          const execution = yield* run.start
          sum += yield* execution.result
        }
        return sum
      }).pipe(runtime.runPromise)
  })

const effectWorkflow = (ids: "digested" | "own", kind: Kind) =>
  measured(async () => {
    const { Activity, Workflow, WorkflowEngine } = await import("effect/workflow")
    const { Digest } = await import("effect/crypto")
    const Increment = Workflow.make("increment", {
      payload: { n: Schema.Number },
      success: Schema.Number,
      idempotencyKey: ({ n }) => String(n)
    })
    // Built once, which is the fastest way.
    const one = Activity.make({ name: "add", success: Schema.Number, execute: works[kind](0) })
    const layer = Increment.toLayer(({ n }) => Effect.map(one, (one) => n + one)).pipe(
      Layer.provideMerge(Layer.merge(WorkflowEngine.layerMemory, Digest.layerWebCrypto))
    )
    return (count) =>
      Effect.gen(function* () {
        const engine = yield* WorkflowEngine.WorkflowEngine
        let sum = 0
        for (let n = 0; n < count; n++) {
          sum += yield* ids === "own"
            ? engine.execute(Increment, { executionId: String(n), payload: { n } })
            : Increment.execute({ n })
        }
        return sum
      }).pipe(Effect.provide(layer), Effect.runPromise)
  })

const xstate = measured(async () => {
  const { assign, createActor, fromPromise, setup, toPromise } = await import("xstate")
  const machine = setup({
    types: { context: {} as { n: number }, input: {} as number, output: {} as number },
    actors: { add: fromPromise(async ({ input }: { input: number }) => input + 1) }
  }).createMachine({
    context: ({ input }) => ({ n: input }),
    initial: "adding",
    states: {
      adding: {
        invoke: {
          src: "add",
          input: ({ context }) => context.n,
          onDone: { target: "done", actions: assign({ n: ({ event }) => event.output }) }
        }
      },
      done: { type: "final" }
    },
    output: ({ context }) => context.n
  })
  return async (count) => {
    let sum = 0
    for (let i = 0; i < count; i++) sum += await toPromise(createActor(machine, { input: i }).start())
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
  const increment = createWorkflow({ id: "increment", inputSchema: z.number(), outputSchema: z.number() })
    .then(add)
    .commit()
  return async (count) => {
    let sum = 0
    for (let i = 0; i < count; i++) {
      const run = await increment.createRun()
      const result = await run.start({ inputData: i })
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
    .addEdge("add", END)
    .compile()
  return async (count) => {
    let sum = 0
    for (let i = 0; i < count; i++) sum += (await graph.invoke({ n: i })).n
    return sum
  }
})

const title = "One-step run, one after the other"

export const oneStepRun: Row = {
  name: "one-step-run",
  title,
  rounds: 5,
  metrics: timeMetrics("a run", 1, 2.5),
  contenders: {
    bare: bare("tick"),
    baton: baton("tick"),
    "effect/workflow": effectWorkflow("digested", "tick"),
    "effect/workflow, own ids": effectWorkflow("own", "tick"),
    xstate,
    mastra,
    langgraph
  }
}

export const oneStepRunSync: Row = {
  name: "one-step-run-sync",
  title: `${title}, synchronous work`,
  rounds: 5,
  metrics: timeMetrics("a run", 1),
  contenders: { bare: bare("sync"), baton: baton("sync"), "effect/workflow, own ids": effectWorkflow("own", "sync") }
}
