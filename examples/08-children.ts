/** `call` runs a workflow inside of the same execution; `startChild` as one of its own, which ends with its parent. */
import { Console, Effect } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"

const test = Workflow.make("test", {
  run: (service) => Step.make("unit", { run: Effect.succeed(`${service} is green`) })
})

const watch = Workflow.make("watch", { run: () => Effect.never })

const release = Workflow.make("release", {
  run: Effect.fnUntraced(function* (service) {
    yield* Execution.startChild(watch, service)
    return yield* test.call(service)
  })
})

const program = Effect.gen(function* () {
  const run = yield* release.run("api")
  const execution = yield* run.start
  yield* Console.log(yield* execution.result)

  const [child] = yield* Engine.list({ parentId: execution.id })
  yield* Console.log(`${child.workflow} is ${child.status}`)
})

await program.pipe(Effect.provide(Engine.layerMemory), Effect.runPromise)

/* prints:
api is green
watch is cancelled
*/
