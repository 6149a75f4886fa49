/** For code that is not Effect: promises, async iterables and abort signals. */
import { Effect } from "effect"
import { Baton, Engine, Execution, Step, Workflow } from "effect-baton"

const deploy = Workflow.make("deploy", {
  run: Effect.fnUntraced(function* (version) {
    yield* Step.make("build", { run: Effect.promise(async () => `${version}.tar`) })
    yield* Execution.requireApproval(`Deploy ${version}?`)
    return yield* Step.make("upload", { run: Effect.promise(async () => `${version} is live`) })
  })
})

await using baton = Baton.make(Engine.layerMemory)

const execution = await baton.start(deploy, "1.2.0", { onStatusChange: (status) => console.log(status) })
for await (const event of execution.events) {
  if (event._tag === "RequestOpened") {
    console.log(event.message)
    await execution.approve(event.requestId, { by: "ada" })
  }
}
console.log(await execution.result)

const controller = new AbortController()
const aborted = baton.execute(deploy, "1.3.0", { signal: controller.signal })
controller.abort("changed my mind")
await aborted.catch((error) => console.log(error._tag, error.reason))

/* prints:
in-progress
awaiting
Deploy 1.2.0?
in-progress
completed
1.2.0 is live
RunCancelled changed my mind
*/
