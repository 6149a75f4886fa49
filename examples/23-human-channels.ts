/** A channel is a way to reach people. Of several the first valid answer wins; the others are withdrawn. */
import { Console, type Duration, Effect } from "effect"
import { Engine, Execution, HumanChannel, Workflow } from "effect-baton"

const deploy = Workflow.make("deploy", {
  run: Effect.fnUntraced(function* (version) {
    const { approved, approvedBy } = yield* Execution.waitForApproval(`Deploy ${version}?`)
    return `${approvedBy} said ${approved ? "yes" : "no"}`
  })
})

/** Shows requests to somebody who takes this long to answer; it is interrupted when a request settles elsewhere. */
const reach = (medium: string, by: string, takes: Duration.Input): HumanChannel.HumanChannel => ({
  deliver: Effect.fnUntraced(function* (request, answers) {
    yield* Console.log(`${medium}: ${request.message}`)
    yield* Effect.sleep(takes).pipe(Effect.onInterrupt(() => Console.log(`${medium}: no longer open`)))
    yield* answers.approve({ by })
  })
})

const program = Effect.gen(function* () {
  yield* Console.log(yield* deploy.execute("1.2.0"))
})

// HumanChannel.makeConsole() asks in the terminal. Without a channel requests wait for the handle to answer them.
const people = HumanChannel.all([reach("mail", "grace", "1 hour"), reach("chat", "ada", "10 millis")])
await program.pipe(Effect.provide([Engine.layerMemory, HumanChannel.layer(people)]), Effect.runPromise)

/* prints:
mail: Deploy 1.2.0?
chat: Deploy 1.2.0?
mail: no longer open
ada said yes
*/
