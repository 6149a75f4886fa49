/**
 * Runs parked on a person: started, waiting for an approval, then all approved and awaited.
 *
 * Measures the heap that one parked run holds, after garbage collection, with its handle kept by the caller, and the time to
 * approve every run and await every result, divided by the runs. It does not measure resident memory, listing or finding the
 * runs, approvers, timeouts or storage on disk. 100,000 runs in bare Effect (a detached fiber that waits for a Deferred), Baton,
 * `effect/workflow` and XState (an actor that waits for an event); 20,000 in Mastra and LangGraph, which are slower to park.
 * Mastra and LangGraph cannot resume a suspended run without a store, so they have their in-memory ones; the other line of
 * Mastra has no store and awaits a promise inside its step. Everything is timed cold, once, as it happens in a program.
 */
import { Deferred, Effect, Exit, Fiber, Layer, ManagedRuntime, Schema } from "effect"
import { type Contender, heapBytes, type Row, stopwatch, timeMetrics, verify } from "../harness.ts"

/** Parks `count` runs and answers how to resume them all, which answers how many were approved. */
type Park = (count: number) => Promise<() => Promise<number>>

const parked =
  (runs: number, prepare: () => Promise<Park>): Contender =>
  async (quick) => {
    const count = quick ? runs / 10 : runs
    const park = await prepare()
    // Code, caches and stores that every program has are not counted.
    verify(await (await park(1_000))(), 1_000)
    const before = await heapBytes()
    const resume = await park(count)
    const bytes = (await heapBytes()) - before
    const elapsed = stopwatch()
    const approved = await resume()
    const { cpu, wall } = elapsed()
    verify(approved, count)
    return { bytes: bytes / count, wall: wall / count, cpu: cpu / count }
  }

const bare = parked(100_000, async () => async (count) => {
  const body = Effect.fnUntraced(function* (answer: Deferred.Deferred<boolean>) {
    return yield* Deferred.await(answer)
  })
  const runs = await Effect.gen(function* () {
    const runs: Array<{ answer: Deferred.Deferred<boolean>; fiber: Fiber.Fiber<boolean> }> = []
    for (let i = 0; i < count; i++) {
      const answer = yield* Deferred.make<boolean>()
      runs.push({ answer, fiber: yield* Effect.forkDetach(body(answer)) })
    }
    return runs
  }).pipe(Effect.runPromise)
  return () =>
    Effect.gen(function* () {
      let approved = 0
      for (const { answer } of runs) yield* Deferred.succeed(answer, true)
      for (const { fiber } of runs) if (yield* Fiber.join(fiber)) approved++
      return approved
    }).pipe(Effect.runPromise)
})

const baton = parked(100_000, async () => {
  const { Engine, Execution, Workflow } = await import("effect-baton")
  const ask = Workflow.make("ask", {
    input: Schema.Number,
    output: Schema.Boolean,
    run: Effect.fnUntraced(function* () {
      const approval = yield* Execution.waitForApproval("Go on?")
      return approval.approved
    })
  })
  const runtime = ManagedRuntime.make(Engine.layerMemory)
  return async (count) => {
    const executions = await Effect.gen(function* () {
      const inputs = Array.from({ length: count }, (_, i) => i)
      const executions = yield* Effect.forEach(inputs, (i) => Effect.flatMap(ask.run(i), (run) => run.start))
      for (const execution of executions) {
        while ((yield* execution.status) !== "awaiting") yield* Effect.yieldNow
      }
      return executions
    }).pipe(runtime.runPromise)
    return () =>
      Effect.gen(function* () {
        let approved = 0
        for (const execution of executions) {
          const [request] = yield* execution.requests
          yield* execution.approve(request!.id)
        }
        for (const execution of executions) if (yield* execution.result) approved++
        return approved
      }).pipe(runtime.runPromise)
  }
})

const effectWorkflow = parked(100_000, async () => {
  const { DurableDeferred, Workflow, WorkflowEngine } = await import("effect/workflow")
  const Ask = Workflow.make("ask", { payload: {}, success: Schema.Boolean, idempotencyKey: () => "" })
  const Answer = DurableDeferred.make("answer", { success: Schema.Boolean })
  const layer = Ask.toLayer(() => DurableDeferred.await(Answer)).pipe(Layer.provideMerge(WorkflowEngine.layerMemory))
  const runtime = ManagedRuntime.make(layer)
  let id = 0
  return async (count) => {
    const ids = Array.from({ length: count }, () => String(id++))
    await Effect.gen(function* () {
      const engine = yield* WorkflowEngine.WorkflowEngine
      for (const executionId of ids) yield* engine.execute(Ask, { executionId, payload: {}, discard: true })
      for (const executionId of ids) {
        while ((yield* engine.poll(Ask, executionId))._tag === "None") yield* Effect.yieldNow
      }
    }).pipe(runtime.runPromise)
    return () =>
      Effect.gen(function* () {
        const engine = yield* WorkflowEngine.WorkflowEngine
        let approved = 0
        for (const executionId of ids) {
          yield* engine.deferredDone(Answer, {
            workflowName: "ask",
            executionId,
            deferredName: "answer",
            exit: Exit.succeed(true)
          })
        }
        for (const executionId of ids) if (yield* engine.execute(Ask, { executionId, payload: {} })) approved++
        return approved
      }).pipe(runtime.runPromise)
  }
})

const xstate = parked(100_000, async () => {
  const { assign, createActor, setup, toPromise } = await import("xstate")
  const machine = setup({
    types: { context: {} as { n: number; approved: boolean }, input: {} as number, output: {} as boolean },
    actions: { approve: assign({ approved: true }) }
  }).createMachine({
    context: ({ input }) => ({ n: input, approved: false }),
    initial: "asking",
    states: { asking: { on: { approve: { target: "done", actions: "approve" } } }, done: { type: "final" } },
    output: ({ context }) => context.approved
  })
  return async (count) => {
    const actors = Array.from({ length: count }, (_, i) => createActor(machine, { input: i }).start())
    return async () => {
      let approved = 0
      for (const actor of actors) actor.send({ type: "approve" })
      for (const actor of actors) if (await toPromise(actor)) approved++
      return approved
    }
  }
})

const mastraStored = parked(20_000, async () => {
  const { Mastra } = await import("@mastra/core/mastra")
  const { InMemoryStore } = await import("@mastra/core/storage")
  const { createStep, createWorkflow } = await import("@mastra/core/workflows")
  const { z } = await import("zod")
  const asking = createStep({
    id: "asking",
    inputSchema: z.number(),
    outputSchema: z.boolean(),
    resumeSchema: z.object({ approved: z.boolean() }),
    execute: async ({ resumeData, suspend }) => (resumeData === undefined ? suspend({}) : resumeData.approved)
  })
  const ask = createWorkflow({ id: "ask", inputSchema: z.number(), outputSchema: z.boolean() }).then(asking).commit()
  new Mastra({ workflows: { ask }, storage: new InMemoryStore(), logger: false })
  return async (count) => {
    const runs: Array<Awaited<ReturnType<typeof ask.createRun>>> = []
    for (let i = 0; i < count; i++) {
      const run = await ask.createRun()
      const result = await run.start({ inputData: i })
      if (result.status !== "suspended") throw new Error(`Mastra: ${result.status}`)
      runs.push(run)
    }
    return async () => {
      let approved = 0
      for (const run of runs) {
        const result = await run.resume({ step: asking, resumeData: { approved: true } })
        if (result.status !== "success") throw new Error(`Mastra: ${result.status}`)
        if (result.result) approved++
      }
      return approved
    }
  }
})

const mastraPromise = parked(20_000, async () => {
  const { createStep, createWorkflow } = await import("@mastra/core/workflows")
  const { z } = await import("zod")
  const waiting = new Map<number, (approved: boolean) => void>()
  const asking = createStep({
    id: "asking",
    inputSchema: z.number(),
    outputSchema: z.boolean(),
    execute: ({ inputData }) => new Promise<boolean>((resolve) => waiting.set(inputData, resolve))
  })
  const ask = createWorkflow({ id: "ask", inputSchema: z.number(), outputSchema: z.boolean() }).then(asking).commit()
  return async (count) => {
    const results = Array.from({ length: count }, async (_, i) => (await ask.createRun()).start({ inputData: i }))
    while (waiting.size < count) await new Promise((resolve) => setImmediate(resolve))
    return async () => {
      let approved = 0
      for (const resolve of waiting.values()) resolve(true)
      waiting.clear()
      for (const pending of results) {
        const result = await pending
        if (result.status !== "success") throw new Error(`Mastra: ${result.status}`)
        if (result.result) approved++
      }
      return approved
    }
  }
})

const langgraph = parked(20_000, async () => {
  const { Annotation, Command, END, interrupt, MemorySaver, START, StateGraph } = await import("@langchain/langgraph")
  const graph = new StateGraph(Annotation.Root({ n: Annotation<number>, approved: Annotation<boolean> }))
    .addNode("asking", async () => ({ approved: interrupt<string, boolean>("Go on?") }))
    .addEdge(START, "asking")
    .addEdge("asking", END)
    .compile({ checkpointer: new MemorySaver() })
  let thread = 0
  return async (count) => {
    const threads = Array.from({ length: count }, () => ({ configurable: { thread_id: String(thread++) } }))
    for (const [i, config] of threads.entries()) {
      const state: object = await graph.invoke({ n: i }, config)
      if (!("__interrupt__" in state)) throw new Error("LangGraph: not interrupted")
    }
    return async () => {
      let approved = 0
      for (const config of threads) if ((await graph.invoke(new Command({ resume: true }), config)).approved) approved++
      return approved
    }
  }
})

export const parkedRun: Row = {
  name: "parked",
  title: "A run parked on a person",
  rounds: 3,
  metrics: {
    bytes: { title: "B a parked run", digits: 0, target: { atMost: 3_000 } },
    ...timeMetrics("to resume one, all together", 1, 2)
  },
  contenders: {
    bare,
    baton,
    "effect/workflow": effectWorkflow,
    xstate,
    "mastra, promise in a step": mastraPromise,
    "mastra, in-memory store": mastraStored,
    "langgraph, in-memory checkpointer": langgraph
  }
}
