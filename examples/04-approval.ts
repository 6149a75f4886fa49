/** A body can wait for people. Here two of three must say yes, within a day. */
import { Console, Effect } from "effect"
import { Engine, Execution, Workflow } from "effect-baton"

const deploy = Workflow.make("deploy", {
  run: Effect.fnUntraced(function* (version) {
    const approval = yield* Execution.waitForApproval(`Deploy ${version}?`, {
      approvers: ["ada", "grace", "alan"],
      requiredApprovals: 2,
      timeout: "1 day"
    })
    return approval.approved ? `${version} is live` : `declined by ${approval.approvedBy}: ${approval.reason}`
  })
})

const program = Effect.gen(function* () {
  const run = yield* deploy.run("1.2.0")
  const execution = yield* run.start
  const request = yield* Execution.nextRequest(execution)
  yield* Console.log(request.message)

  const refused = yield* Effect.flip(execution.approve(request.id, { by: "eve" }))
  yield* Console.log(refused._tag)
  yield* execution.approve(request.id, { by: "ada" })
  yield* execution.approve(request.id, { by: "grace" })
  yield* Console.log(yield* execution.result)
})

await program.pipe(Effect.provide(Engine.layerMemory), Effect.runPromise)

/* prints:
Deploy 1.2.0?
ApproverNotAllowed
1.2.0 is live
*/
