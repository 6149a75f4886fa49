import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { Engine, Execution, HumanChannel, RunStore, Step, Workflow } from "effect-baton"
import type { DurableJournal } from "../../src/engines/durable/journal.ts"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import type { Open, System } from "./system.ts"

const add = (n: number) => Effect.promise(async () => n + 1)

const steps = (name: string, count: number) =>
  Workflow.make(name, {
    input: Schema.Number,
    output: Schema.Number,
    run: Effect.fnUntraced(function* (n) {
      let sum = n
      for (let i = 0; i < count; i++) sum = yield* Step.make(`add-${i}`, { run: add(sum) })
      return sum
    })
  })

const workflows = { 1: steps("one", 1), 10: steps("ten", 10) }

const waiting = Workflow.make("waiting", {
  input: Schema.Number,
  output: Schema.Number,
  run: Effect.fnUntraced(function* (n) {
    const sum = yield* Step.make("add", { run: add(n) })
    return sum + (yield* Execution.waitForInput("How many?", Schema.Number))
  })
})

/** Which request a run has asked: told by its channel, as a person would be. */
const asked = new Map<string, string>()
const asking = new Map<string, (request: string) => void>()
const later = (id: string) => new Promise<string>((resolve) => asking.set(id, resolve))
const channel = HumanChannel.HumanChannel.of({
  deliver: ({ executionId, id }) =>
    Effect.sync(() => {
      const tell = asking.get(executionId)
      asking.delete(executionId)
      if (tell === undefined) asked.set(executionId, id)
      else tell(id)
    })
})

const system = async (layer: ReturnType<typeof layerPostgres>): Promise<System> => {
  const runtime = ManagedRuntime.make(Layer.merge(layer, Layer.succeed(HumanChannel.HumanChannel, channel)))
  const engine = await runtime.runPromise(Durable)
  const parked = new Map<number, { readonly execution: Execution.Execution<number, any>; readonly request: string }>()
  const find = (query: RunStore.Query) => () =>
    runtime.runPromise(Effect.flatMap(RunStore.RunStore, (store) => store.find(query)))
  return {
    run: (steps, n) =>
      runtime.runPromise(
        Effect.gen(function* () {
          const execution = yield* (yield* workflows[steps].run(n)).start
          return yield* execution.result
        })
      ),
    park: (n) =>
      runtime.runPromise(
        Effect.gen(function* () {
          const execution = yield* (yield* waiting.run(n)).start
          const request = yield* Effect.promise(() => Promise.resolve(asked.get(execution.id) ?? later(execution.id)))
          asked.delete(execution.id)
          yield* (engine.residents.get(execution.id)!.journal as DurableJournal).flush
          parked.set(n, { execution, request })
        })
      ),
    left: async () => {
      while (engine.residents.size > 0) await new Promise((resolve) => setTimeout(resolve, 50))
    },
    looks: {
      "newest 50": find({}),
      "newest 50 of a workflow": find({ workflow: "one" }),
      "newest 50 that wait": find({ status: "awaiting" }),
      "newest 50 that wait or failed": find({ status: ["awaiting", "failed"] }),
      "newest 50 with a tag": find({ tag: "none" }),
      "newest 50 of an hour, five days ago": find({
        startedFrom: new Date(Date.now() - 432_000_000),
        startedBefore: new Date(Date.now() - 428_400_000)
      }),
      "all children of a run": () => runtime.runPromise(Engine.list({ parentId: "none" })),
      "all with a tag": () => runtime.runPromise(Engine.list({ tag: "none" })),
      "prune the oldest (about 0.1 %)": () => runtime.runPromise(Engine.prune({ olderThan: "863000 seconds" }))
    },
    resume: (n, value) =>
      runtime.runPromise(
        Effect.gen(function* () {
          const { execution, request } = parked.get(n)!
          yield* execution.answer(request, value)
          return yield* execution.result
        })
      )
  }
}

export const postgres: Open = (url) => system(layerPostgres({ url }))

export const sqlite: Open = (filename) => system(layerSqlite({ filename }))
