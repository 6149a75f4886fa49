/** Parallelization by voting: several judges see the same input. Once the outcome is certain the rest are stopped. */
import { Console, Effect, Schema, Stream } from "effect"
import { AiError } from "effect/ai"
import { Engine, Models, Voting } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const Verdict = Schema.Struct({ vulnerable: Schema.Boolean })

const judge = (view: string) => (code: string) =>
  Models.object({
    purpose: view,
    name: "verdict",
    schema: Verdict,
    prompt: `As an expert for ${view}: is this code vulnerable?\n${code}`
  }).pipe(Effect.map(({ vulnerable }) => vulnerable))

const isVulnerable = Voting.make("is it vulnerable", {
  output: Schema.Boolean,
  error: AiError.AiError,
  voters: { injection: judge("injection"), access: judge("access"), secrets: judge("secrets") },
  quorum: 2
})

const model = modelOr([
  ScriptedModel.object({ vulnerable: true }, { when: "injection" }),
  ScriptedModel.hang({ when: "access" }),
  ScriptedModel.object({ vulnerable: true }, { when: "secrets" })
])

const program = Effect.gen(function* () {
  const run = yield* isVulnerable.run('db.query("select * from t where id = " + id)')
  const execution = yield* run.start
  const { decision, tally } = yield* execution.result
  yield* Console.log(`${decision}, say ${tally.counts[0].voters.join(" and ")}`)
  yield* execution.events.pipe(
    Stream.filter((event) => event._tag === "ModelCalled"),
    Stream.runForEach(({ error = "answered", purpose }) => Console.log(`${purpose}: ${error}`))
  )
})

await program.pipe(Effect.provide([Engine.layerMemory, model]), Effect.runPromise)

/* prints:
true, say injection and secrets
injection: answered
secrets: answered
access: Interrupted
*/
