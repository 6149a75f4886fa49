/**
 * One subtask of a fan-out: a run that splits into 10,000 subtasks, each adding one to a number, and adds up their results.
 *
 * Measures a whole run divided by its 10,000 subtasks, all at once and at most 16 at a time. It does not measure a split or a
 * merge that thinks, failing subtasks, or subtasks that wait: each is one microtask (or synchronous, in the `-sync` rows).
 * Bare Effect is `Effect.forEach` with the same concurrency in a detached fiber. LangGraph sends to one node 10,000 times,
 * bounded by its `maxConcurrency`; its functional tasks take as long as its unbounded figure, bounded or not. XState spawns
 * 10,000 promise actors and keeps them in its context; spawned without keeping them they cost far less, but cannot be found or
 * stopped one by one. It has no bound of its own, so it has no bounded figure. LangGraph's unbounded figure and XState's kept
 * one grow with the width (each is quadratic as a whole): they are for one cold run of this width.
 */
import { Effect, Fiber, Layer, ManagedRuntime, Schema } from "effect"
import { type Kind, type Repeat, type Row, sumTo, timed, timeMetrics, works } from "../harness.ts"

const width = 10_000
const items = Array.from({ length: width }, (_, i) => i)

const measured = (prepare: () => Promise<Repeat>) => timed(width, (count) => count * sumTo(width), prepare)

const add = (sum: number, n: number) => sum + n

type Concurrency = number | "unbounded"

const bare = (concurrency: Concurrency, kind: Kind) =>
  measured(async () => {
    const body = Effect.fnUntraced(function* () {
      const results = yield* Effect.forEach(items, works[kind], { concurrency })
      return results.reduce(add, 0)
    })
    return (count) =>
      Effect.gen(function* () {
        let sum = 0
        for (let i = 0; i < count; i++) sum += yield* Fiber.join(yield* Effect.forkDetach(body()))
        return sum
      }).pipe(Effect.runPromise)
  })

const baton = (concurrency: Concurrency, kind: Kind) =>
  measured(async () => {
    const { Engine, Parallelization } = await import("effect-baton")
    const subtasks = items.map((i) => ({ id: String(i), prompt: "" }))
    const fanOut = Parallelization.make("fan-out", {
      input: Schema.Number,
      output: Schema.Number,
      split: () => Effect.succeed(subtasks),
      worker: (subtask) => works[kind](Number(subtask.id)),
      merge: (results) => Effect.succeed(results.reduce((sum, result) => sum + result.data!, 0)),
      ...(concurrency === "unbounded" ? {} : { maxConcurrency: concurrency })
    })
    const runtime = ManagedRuntime.make(Engine.layerMemory)
    return (count) =>
      Effect.gen(function* () {
        let sum = 0
        for (let i = 0; i < count; i++) {
          const run = yield* fanOut.run(0)
          const execution = yield* run.start
          sum += yield* execution.result
        }
        return sum
      }).pipe(runtime.runPromise)
  })

const effectWorkflow = (concurrency: Concurrency, kind: Kind) =>
  measured(async () => {
    const { Activity, Workflow, WorkflowEngine } = await import("effect/workflow")
    const FanOut = Workflow.make("fan-out", { payload: {}, success: Schema.Number, idempotencyKey: () => "" })
    const activities = items.map((i) =>
      Activity.make({ name: `add-${i}`, success: Schema.Number, execute: works[kind](i) })
    )
    const layer = FanOut.toLayer(() =>
      Effect.map(Effect.all(activities, { concurrency }), (results) => results.reduce(add, 0))
    ).pipe(Layer.provideMerge(WorkflowEngine.layerMemory))
    return (count) =>
      Effect.gen(function* () {
        const engine = yield* WorkflowEngine.WorkflowEngine
        let sum = 0
        for (let i = 0; i < count; i++) {
          sum += yield* engine.execute(FanOut, { executionId: String(i), payload: {} })
        }
        return sum
      }).pipe(Effect.provide(layer), Effect.runPromise)
  })

const xstate = (children: "kept" | "anonymous") =>
  measured(async () => {
    const { assign, createActor, enqueueActions, fromPromise, setup, toPromise } = await import("xstate")
    const machine = setup({
      types: { context: {} as { done: number; sum: number; children: ReadonlyArray<unknown> }, output: {} as number },
      actors: { add: fromPromise(async ({ input }: { input: number }) => input + 1) },
      actions: {
        keep: assign({ children: ({ spawn }) => items.map((input) => spawn("add", { input })) }),
        spawn: enqueueActions(({ enqueue }) => {
          for (const input of items) enqueue.spawnChild("add", { input })
        }),
        count: assign(({ context, event }) => ({
          done: context.done + 1,
          sum: context.sum + (event as unknown as { output: number }).output
        }))
      },
      guards: { last: ({ context }) => context.done === width - 1 }
    }).createMachine({
      context: { done: 0, sum: 0, children: [] },
      initial: "adding",
      states: {
        adding: {
          entry: children === "kept" ? "keep" : "spawn",
          on: {
            "xstate.done.actor.*": [{ guard: "last", target: "done", actions: "count" }, { actions: "count" }]
          }
        },
        done: { type: "final" }
      },
      output: ({ context }) => context.sum
    })
    return async (count) => {
      let sum = 0
      for (let i = 0; i < count; i++) sum += await toPromise(createActor(machine).start())
      return sum
    }
  })

const mastra = (concurrency: Concurrency) =>
  measured(async () => {
    const { createStep, createWorkflow } = await import("@mastra/core/workflows")
    const { z } = await import("zod")
    const addOne = createStep({
      id: "add",
      inputSchema: z.number(),
      outputSchema: z.number(),
      execute: async ({ inputData }) => inputData + 1
    })
    const numbers = z.array(z.number())
    const fanOut = createWorkflow({ id: "fan-out", inputSchema: numbers, outputSchema: numbers })
      .foreach(addOne, { concurrency: concurrency === "unbounded" ? width : concurrency })
      .commit()
    return async (count) => {
      let sum = 0
      for (let i = 0; i < count; i++) {
        const run = await fanOut.createRun()
        const result = await run.start({ inputData: items })
        if (result.status !== "success") throw new Error(`Mastra: ${result.status}`)
        sum += result.result.reduce(add, 0)
      }
      return sum
    }
  })

const langgraph = (concurrency: Concurrency) =>
  measured(async () => {
    const { Annotation, END, Send, START, StateGraph } = await import("@langchain/langgraph")
    const State = Annotation.Root({ sum: Annotation<number>({ reducer: add, default: () => 0 }) })
    const graph = new StateGraph(State)
      .addNode("add", async ({ n }: { n: number }) => ({ sum: n + 1 }))
      .addConditionalEdges(START, () => items.map((n) => new Send("add", { n })))
      .addEdge("add", END)
      .compile()
    const options = concurrency === "unbounded" ? {} : { maxConcurrency: concurrency }
    return async (count) => {
      let sum = 0
      for (let i = 0; i < count; i++) sum += (await graph.invoke({}, options)).sum
      return sum
    }
  })

export const fanOut: Row = {
  name: "fan-out",
  title: "One subtask of a fan-out 10,000 wide, all at once",
  rounds: 3,
  metrics: timeMetrics("a subtask", 2, 3.5),
  contenders: {
    bare: bare("unbounded", "tick"),
    baton: baton("unbounded", "tick"),
    "effect/workflow": effectWorkflow("unbounded", "tick"),
    mastra: mastra("unbounded"),
    "xstate, anonymous children": xstate("anonymous"),
    xstate: xstate("kept"),
    langgraph: langgraph("unbounded")
  }
}

export const fanOutSync: Row = {
  name: "fan-out-sync",
  title: "One subtask of a fan-out 10,000 wide, all at once, synchronous work",
  rounds: 5,
  metrics: timeMetrics("a subtask", 2),
  contenders: { bare: bare("unbounded", "sync"), baton: baton("unbounded", "sync") }
}

export const fanOutBounded: Row = {
  name: "fan-out-16",
  title: "One subtask of a fan-out 10,000 wide, at most 16 at a time",
  rounds: 5,
  metrics: timeMetrics("a subtask", 2, 3.5),
  contenders: {
    bare: bare(16, "tick"),
    baton: baton(16, "tick"),
    "effect/workflow": effectWorkflow(16, "tick"),
    mastra: mastra(16),
    langgraph: langgraph(16)
  }
}

export const fanOutBoundedSync: Row = {
  name: "fan-out-16-sync",
  title: "One subtask of a fan-out 10,000 wide, at most 16 at a time, synchronous work",
  rounds: 5,
  metrics: timeMetrics("a subtask", 2),
  contenders: { bare: bare(16, "sync"), baton: baton(16, "sync") }
}
