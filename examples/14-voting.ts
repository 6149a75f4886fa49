/** Parallelization by voting: several judges see the same input. Once the outcome is certain the rest are stopped. */
import { Console, Effect, Schema } from "effect"
import { AiError } from "effect/ai"
import { Engine, Models, Voting } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"

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

const model = Effect.runSync(
  ScriptedModel.make([
    ScriptedModel.object({ vulnerable: true }, { when: "injection" }),
    ScriptedModel.hang({ when: "access" }),
    ScriptedModel.object({ vulnerable: true }, { when: "secrets" })
  ])
)

const program = Effect.gen(function* () {
  const { decision, tally } = yield* isVulnerable.execute('db.query("select * from t where id = " + id)')
  yield* Console.log(`${decision}, say ${tally.counts[0].voters.join(" and ")}`)
  for (const { outcome, purpose } of yield* model.calls) yield* Console.log(`${purpose}: ${outcome}`)
})

await program.pipe(Effect.provide([Engine.layerMemory, model.layer]), Effect.runPromise)

/* prints:
true, say injection and secrets
injection: answered
access: interrupted
secrets: answered
*/
