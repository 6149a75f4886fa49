/** Tests with real conversations: a cassette records what a model says once, and plays it back offline from then on. */
import { NodeServices } from "@effect/platform-node"
import { Console, Effect, FileSystem } from "effect"
import { AiError } from "effect/ai"
import { Engine, Models, Workflow } from "effect-baton"
import { Cassette, ScriptedModel } from "effect-baton/testing"

const capitals = Workflow.make("capitals", {
  error: AiError.AiError,
  run: (country) => Models.text({ prompt: `What is the capital of ${country}?` })
})

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const file = `${yield* fs.makeTempDirectoryScoped()}/capitals.json`

  // Once, with the real model; a script stands in for it here.
  const real = yield* ScriptedModel.make(["Paris"])
  yield* capitals
    .execute("France")
    .pipe(Effect.provide(Cassette.layer({ file, mode: "record" })), Effect.provide(real.layer))

  // In every test after that: whoever asks the model now, gets nothing.
  const offline = yield* ScriptedModel.make([])
  const cassette = yield* Cassette.make({ file, mode: "replay" })
  const replay = (country: string) =>
    capitals.execute(country).pipe(Effect.provide(cassette.layer), Effect.provide(offline.layer))
  yield* Console.log(yield* replay("France"))
  yield* cassette.assertComplete

  const unknown = yield* Effect.flip(Effect.sandbox(replay("Norway")))
  yield* Console.log(String(unknown.reasons[0]).includes("Norway") ? "Norway was never recorded" : unknown)
})

await program.pipe(Effect.scoped, Effect.provide([Engine.layerMemory, NodeServices.layer]), Effect.runPromise)

/* prints:
Paris
Norway was never recorded
*/
