/**
 * Answers of models that are kept, so that a program that is run again and again while it is written asks once.
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Response from "effect/ai/Response"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Digest from "effect/crypto/Digest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Schema from "effect/Schema"
import { currentFrame } from "../internal/frame.ts"
import * as ModelRecall from "./ModelRecall.ts"
import { canonical, settingsOf } from "./ModelRequest.ts"

/** How answers are kept. */
export interface Options {
  /** How long an answer is good. Default: for ever. */
  readonly timeToLive?: Duration.Input | undefined
}

/**
 * Whether kept answers are used, and new ones kept. Default: true.
 *
 * **Example** (An execution that asks anew)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, ModelCache, Workflow } from "effect-baton"
 *
 * const workflow = Workflow.make("ask", { run: () => Effect.map(ModelCache.Enabled, String) })
 *
 * const program = workflow.execute("").pipe(Effect.provideService(ModelCache.Enabled, false))
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => "false"
 * ```
 */
export const Enabled = Context.Reference<boolean>("effect-baton/services/ModelCache/Enabled", {
  defaultValue: () => true
})

const Kept = Schema.fromJsonString(Schema.Struct({ time: Schema.Finite, answer: ModelRecall.AnswerJson }))

const encodeKept = Schema.encodeEffect(Kept)
const decodeKept = Schema.decodeEffect(Kept)

const none = { uncached: 0, total: 0, cacheRead: 0, cacheWrite: 0 }

/** The answer as one that nobody has to pay for, and says so. */
const free = (answer: ModelRecall.Answer): ModelRecall.Answer => ({
  ...answer,
  millis: undefined,
  parts: answer.parts.map((part) =>
    part.type === "finish"
      ? Response.makePart("finish", {
          reason: part.reason,
          response: part.response,
          metadata: { ...part.metadata, "effect-baton": { cached: true } },
          usage: new Response.Usage({ inputTokens: none, outputTokens: { total: 0, text: 0, reasoning: 0 } })
        })
      : part
  )
})

/**
 * Keeps what the model below answers in a `KeyValueStore`, and answers from there.
 *
 * **Details**
 *
 * A call is known by its kind, model, prompt, tools, tool choice and schema, like one of a cassette. In an execution the
 * second, third, ... of equal calls have answers of their own, so that voters who ask the same still differ; runs
 * that do the same again find the same. Only whole answers are kept: none that failed, and no stream whose reader left.
 * Tools run each time. A store that fails is told in the log, and does without.
 *
 * A call that is answered from here counts as a model call, with no tokens and no cost; its `ModelCalled` event has
 * `cached: true`, its finish part `{ "effect-baton": { cached: true } }` in its metadata. Where `ModelCache.Enabled` is
 * false the model is asked, and nothing is kept.
 *
 * **Gotchas**
 *
 * It is made for development: answers are written as they are, with whatever the prompt and the model said. Tests that
 * are to run offline for good want `Cassette` of `effect-baton/testing`.
 *
 * **Example** (Asking once)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { KeyValueStore } from "effect/persistence"
 * import { ModelCache } from "effect-baton"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const ask = LanguageModel.generateText({ prompt: "The capital of France?" })
 *
 * const program = Effect.gen(function*() {
 *   const { calls, layer } = yield* ScriptedModel.make(["Paris"])
 *   const cached = ModelCache.layer({ timeToLive: "7 days" }).pipe(
 *     Layer.provide([layer, KeyValueStore.layerMemory]) // or KeyValueStore.layerFileSystem(".cache/models")
 *   )
 *   const texts = yield* Effect.all([ask, ask]).pipe(
 *     Effect.map((responses) => responses.map((response) => response.text)),
 *     Effect.provide(cached)
 *   )
 *   return [texts, (yield* calls).length]
 * })
 *
 * await Effect.runPromise(program) // => [["Paris", "Paris"], 1]
 * ```
 */
export const layer = (
  options: Options = {}
): Layer.Layer<LanguageModel.LanguageModel, never, LanguageModel.LanguageModel | KeyValueStore.KeyValueStore> =>
  ModelRecall.layer(
    Effect.gen(function* () {
      const store = yield* KeyValueStore.KeyValueStore
      const { digestHex } = yield* Effect.provide(Digest.Digest, Digest.layerWebCrypto)
      const timeToLive =
        options.timeToLive === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(options.timeToLive)
      const counts = new WeakMap<object, Map<string, number>>()
      const encoder = new TextEncoder()

      /** Which of the equal calls of its execution a call is. */
      const occurrence = (request: string): Effect.Effect<number> =>
        Effect.withFiber((fiber) => {
          const execution = currentFrame(fiber)?.execution
          if (execution === undefined) return Effect.succeed(1)
          let made = counts.get(execution)
          if (made === undefined) counts.set(execution, (made = new Map()))
          const n = (made.get(request) ?? 0) + 1
          made.set(request, n)
          return Effect.succeed(n)
        })

      const find = (key: string): Effect.Effect<ModelRecall.Answer | undefined> =>
        Effect.gen(function* () {
          const text = yield* store.get(key)
          if (text === undefined) return undefined
          const { answer, time } = yield* decodeKept(text)
          return (yield* Clock.currentTimeMillis) - time < timeToLive ? free(answer) : undefined
        }).pipe(
          Effect.catch((error) =>
            Effect.as(Effect.logWarning(`An answer of the model cache cannot be read: ${error.message}`), undefined)
          )
        )

      const keep =
        (key: string) =>
        (answer: ModelRecall.Answer): Effect.Effect<void> =>
          answer.error !== undefined || answer.left === true
            ? Effect.void
            : Effect.gen(function* () {
                const { millis: _, ...rest } = answer
                yield* store.set(key, yield* encodeKept({ time: yield* Clock.currentTimeMillis, answer: rest }))
              }).pipe(
                Effect.catch((error) =>
                  Effect.logWarning(`An answer cannot be put in the model cache: ${error.message}`)
                )
              )

      return (request) =>
        Effect.gen(function* (): Effect.fn.Return<ModelRecall.Known> {
          if (!(yield* Enabled)) return { _tag: "Unknown", keep: () => Effect.void }
          const text = canonical({ ...request, ...settingsOf(yield* Effect.context()) })
          const key = yield* digestHex(Digest.sha256, encoder.encode(`${yield* occurrence(text)} ${text}`))
          const answer = yield* find(key)
          return answer === undefined ? { _tag: "Unknown", keep: keep(key) } : { _tag: "Known", answer }
        })
    })
  )
