/**
 * Models that stand in for each other.
 */
import type * as Arr from "effect/Array"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionPlan from "effect/ExecutionPlan"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { passesOn } from "./ModelCall.ts"
import { watchParts, watchTools } from "./ModelLimits.ts"
import { get, type ModelNotFound } from "./ModelRegistry.ts"
import { type CallOptions, generate, stream, wrap } from "./ModelWrapper.ts"

/**
 * A model that asks the models of the ids in turn, until one answers.
 *
 * **Details**
 *
 * The next model is asked where one fails with an `AiError` and nothing was shown of its answer: no part of a stream
 * came out, and no tool ran. Each has its own limits and retries, and each call is counted. A used-up budget ends it.
 *
 * **Example** (A second provider for when the first is down)
 *
 * ```ts
 * import { anthropic } from "@ai-sdk/anthropic"
 * import { openai } from "@ai-sdk/openai"
 * import { Models } from "effect-baton"
 *
 * const layer = Models.layer({
 *   gpt: { model: openai("gpt-5"), retry: { attempts: 2, delay: "1 second", backoff: "exponential" } },
 *   claude: anthropic("claude-sonnet-4-5"),
 *   safe: Models.fallback(["gpt", "claude"])
 * }, { default: "safe" })
 * ```
 */
export const fallback = (
  ids: Arr.NonEmptyReadonlyArray<string>
): Layer.Layer<LanguageModel.LanguageModel, ModelNotFound> =>
  Layer.effect(LanguageModel.LanguageModel, Effect.map(Effect.forEach(ids, get), inTurn))

const inTurn = ([first, ...rest]: ReadonlyArray<LanguageModel.LanguageModel>): LanguageModel.LanguageModel => {
  const step = (model: LanguageModel.LanguageModel) => ({
    provide: Context.make(LanguageModel.LanguageModel, model)
  })
  const plan = ExecutionPlan.make(step(first), ...rest.map(step))
  return passesOn(
    wrap(first, {
      generate: (method, options) =>
        Effect.suspend(() => {
          const turn = new Turn(options)
          return Effect.withExecutionPlan(
            turn.effect((model) => generate(model, method, turn.options)),
            plan
          )
        }),
      stream: (options) =>
        Stream.suspend(() => {
          const turn = new Turn(options)
          return Stream.withExecutionPlan(
            turn.stream((model) => stream(model, turn.options)),
            plan
          )
        })
    })
  )
}

/** One call of a fallback. A plan goes on after every failure: one that must end it is repeated in place of the rest. */
class Turn {
  readonly options: CallOptions
  private readonly progress = { begun: false }
  private last: { readonly error: unknown } | undefined = undefined

  constructor(options: CallOptions) {
    this.options = watchTools(options, this.progress)
  }

  effect<A>(
    call: (model: LanguageModel.LanguageModel) => Effect.Effect<A, any, any>
  ): Effect.Effect<A, any, LanguageModel.LanguageModel> {
    return Effect.flatMap(LanguageModel.LanguageModel, (model) =>
      this.last === undefined
        ? Effect.tapError(call(model), (error) => this.failed(error))
        : Effect.fail(this.last.error)
    )
  }

  stream<A>(
    call: (model: LanguageModel.LanguageModel) => Stream.Stream<A, any, any>
  ): Stream.Stream<A, any, LanguageModel.LanguageModel> {
    return Stream.unwrap(
      Effect.map(LanguageModel.LanguageModel, (model) =>
        this.last === undefined
          ? Stream.tapError(watchParts(call(model), this.progress), (error) => this.failed(error))
          : Stream.fail(this.last.error)
      )
    )
  }

  private failed(error: unknown): Effect.Effect<void> {
    if (this.progress.begun || !AiError.isAiError(error)) this.last = { error }
    return Effect.void
  }
}
