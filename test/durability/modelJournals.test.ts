// Journals of model calls that earlier releases wrote are kept for good: what they have of an answer is not asked for again.
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LanguageModel } from "effect/ai"
import { Engine, Models } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { calls, model } from "./journals/models/calls.ts"
import { read, refill } from "./journals/tables.ts"

const folder = join(import.meta.dirname, "journals", "models")

describe("a journal of model calls that was kept", () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
    it.live(`of ${file} is gone on with, and no recorded answer is asked for again (D1)`, () =>
      Effect.gen(function* () {
        const kept = read(join(folder, file))
        const filename = yield* temporaryFile
        const asked: Array<string> = []
        const made = yield* model((words) => asked.push(words))
        const { result } = yield* live(
          filename,
          {},
          undefined,
          Effect.gen(function* () {
            yield* refill(kept)
            const service = yield* Engine.Engine
            yield* service
              .register(calls(() => asked.push("the scales")))
              .pipe(
                Effect.provideService(LanguageModel.LanguageModel, made),
                Effect.provide(Models.layer({ part: made }))
              )
            const execution = yield* Engine.get("calls-1")
            const agree = Effect.gen(function* () {
              for (const { id } of yield* execution.requests) yield* Effect.ignore(execution.approve(id, { by: "ada" }))
              yield* Effect.sleep(2)
            }).pipe(Effect.forever)
            const output = yield* Effect.raceFirst(execution.result, agree)
            return { output, usage: yield* execution.usage }
          })
        )
        assert.deepStrictEqual(result!.output, [
          "tea!",
          "7 a",
          "one |two",
          "InternalProviderError",
          "None",
          "same!,same!",
          "9 5",
          "and now?!",
          "ada",
          "after!"
        ])
        assert.deepStrictEqual(asked, ["after"])
        assert.strictEqual(result!.usage.modelCalls, 10)
      }).pipe(Effect.scoped)
    )
  }
})
