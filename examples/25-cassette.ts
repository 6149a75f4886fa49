/** Tests with real conversations: a cassette records what a model says once, and plays it back offline from then on. */
import { Console, Effect, FileSystem } from "effect"
import { AiError } from "effect/ai"
import { Engine, Models, Workflow } from "effect-baton"
import { Cassette } from "effect-baton/testing"
import { modelOr } from "./model.ts"

const capitals = Workflow.make("capitals", {
  error: AiError.AiError,
  run: (country) => Models.text({ prompt: `What is the capital of ${country}? Answer with its name.` })
})

const model = modelOr(["Paris"])
const file = "capitals.json"

const program = Effect.gen(function* () {
  // Once, with the real model; without a key a script stands in for it here.
  const recorder = yield* Cassette.make({ file, mode: "record" })
  yield* capitals.execute("France").pipe(Effect.provide(recorder.layer), Effect.provide(model))

  // In every test after that, without a network: the model below is not asked.
  const player = yield* Cassette.make({ file, mode: "replay" })
  const replay = (country: string) =>
    capitals.execute(country).pipe(Effect.provide(player.layer), Effect.provide(model))
  yield* Console.log(yield* replay("France"))
  yield* Console.log(yield* player.counts)

  const unknown = yield* Effect.flip(Effect.sandbox(replay("Norway")))
  yield* Console.log(String(unknown.reasons[0]).includes("Norway") ? "Norway was never recorded" : unknown)
})

/** A file in memory. Tests provide `NodeServices.layer` of @effect/platform-node, and keep the file beside them. */
const files = new Map<string, string>()
const memory = FileSystem.layerNoop({
  exists: (path) => Effect.succeed(files.has(path)),
  readFileString: (path) => Effect.succeed(files.get(path) ?? ""),
  writeFileString: (path, text) => Effect.sync(() => void files.set(path, text)),
  rename: (from, to) => Effect.sync(() => void files.set(to, files.get(from) ?? ""))
})

await program.pipe(Effect.provide([Engine.layerMemory, memory]), Effect.runPromise)

/* prints:
Paris
{ replayed: 1, recorded: 0 }
Norway was never recorded
*/
