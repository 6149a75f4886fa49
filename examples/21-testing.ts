/** Tests: a scripted model and person stand in for the real ones, and a day of waiting takes no time. */
import assert from "node:assert/strict"
import { Console, Effect, Fiber } from "effect"
import { AiError } from "effect/ai"
import { TestClock } from "effect/testing"
import { Engine, Execution, Models, Workflow } from "effect-baton"
import { ScriptedHuman, ScriptedModel } from "effect-baton/testing"

const newsletter = Workflow.make("newsletter", {
  error: AiError.AiError,
  defaults: { approval: { timeout: "1 day" } },
  run: Effect.fnUntraced(function* (topic) {
    const text = yield* Models.text({ purpose: "write", prompt: `Write about ${topic}` })
    const { approved, reason } = yield* Execution.waitForApproval(`Send this?\n${text}`)
    return approved ? "sent" : `not sent: ${reason}`
  })
})

const test = (name: string, person: ScriptedHuman.Script, expected: string) =>
  Effect.gen(function* () {
    const model = yield* ScriptedModel.make([
      ScriptedModel.text("Tea is ...", { when: "about tea", after: "5 seconds" })
    ])
    const human = yield* ScriptedHuman.make(person)
    const result = Effect.gen(function* () {
      const running = yield* Effect.forkChild(newsletter.execute("tea"))
      yield* TestClock.adjust("2 days")
      return yield* Fiber.join(running)
    }).pipe(Effect.provide([Engine.layerMemory, model.layer, human.layer]))
    assert.equal(yield* result, expected)
    // Everything was said, and nothing else was asked.
    yield* model.assertComplete
    yield* human.assertComplete
    yield* Console.log(`ok: ${name}`)
  }).pipe(Effect.provide(TestClock.layer()))

const tests = Effect.gen(function* () {
  yield* test("sends after a yes", [ScriptedHuman.approve({ when: "Tea is ...", after: "3 hours" })], "sent")
  yield* test("keeps what is rejected", [ScriptedHuman.reject({ reason: "too short" })], "not sent: too short")
  yield* test("keeps what nobody looks at", [ScriptedHuman.silence()], "not sent: timeout")
})

await Effect.runPromise(tests)

/* prints:
ok: sends after a yes
ok: keeps what is rejected
ok: keeps what nobody looks at
*/
