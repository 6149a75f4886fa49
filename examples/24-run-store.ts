/** A run store keeps records and events of runs, to be found by workflow, status, tag and time, page by page. */
import { Console, Effect, Layer, Schema } from "effect"
import { Engine, RunStore, Step, Workflow } from "effect-baton"

class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { item: Schema.String }) {}

const order = Workflow.make("order", {
  error: SoldOut,
  run: (item) =>
    Step.make("reserve", { run: item === "coffee" ? Effect.fail(new SoldOut({ item })) : Effect.succeed("yours") })
})

const orders = Effect.forEach(["tea", "coffee", "milk"], (item, index) =>
  Effect.ignore(order.execute(item, { id: `order-${index + 1}`, tags: ["drinks"] }))
)

const program = Effect.gen(function* () {
  yield* orders

  const { runs } = yield* RunStore.find({ workflow: "order", status: "failed", tag: "drinks" })
  for (const { id } of runs) {
    const events = yield* RunStore.events(id)
    yield* Console.log(`${id}: ${events.map((event) => event._tag).join(", ")}`)
  }

  // The latest start comes first.
  const first = yield* RunStore.find({ limit: 2 })
  const second = yield* RunStore.find({ limit: 2, cursor: first.cursor })
  for (const page of [first, second]) yield* Console.log(page.runs.map((run) => `${run.id} ${run.status}`))
})

// An engine that is given a store writes every change of its runs there.
const engine = Engine.layerMemory.pipe(Layer.provideMerge(RunStore.layerMemory))

await program.pipe(Effect.provide(engine), Effect.runPromise)

/* prints:
order-2: RunStarted, StatusChanged, AttemptStarted, StepStarted, StepFailed, StatusChanged, RunFailed
[ 'order-3 completed', 'order-2 failed' ]
[ 'order-1 completed' ]
*/
