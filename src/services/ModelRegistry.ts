/**
 * The models that ids stand for.
 */
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import * as ModelCall from "./ModelCall.ts"

/**
 * No model has this id.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Models } from "effect-baton"
 *
 * new Models.ModelNotFound({ model: "gtp", known: ["gpt", "haiku"] }).message // => 'No model has the id "gtp"; the known ones are: gpt, haiku'
 * ```
 */
export class ModelNotFound extends Schema.TaggedError<ModelNotFound>("effect-baton/Models/ModelNotFound")(
  "ModelNotFound",
  { model: Schema.String, known: Schema.Array(Schema.String) }
) {
  override get message(): string {
    const known =
      this.known.length === 0 ? "none are known: provide Models.layer" : `the known ones are: ${this.known.join(", ")}`
    return `No model has the id "${this.model}"; ${known}`
  }
}

/** The models that ids stand for. */
export type Registry = ModelCall.Registry

/**
 * The models that ids stand for; none unless `Models.layer` is provided.
 *
 * **Example** (Listing the ids)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Models } from "effect-baton"
 *
 * await Effect.runPromise(Effect.map(Models.Models, ({ models }) => [...models.keys()])) // => []
 * ```
 */
export const Models = Context.Reference<Registry>("effect-baton/services/Models", {
  defaultValue: () => ({ models: new Map() })
})

/**
 * What a model call is for, as its event and its span say it. Default: the name of the step the call stands in.
 *
 * **Example** (Telling what a call is for)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models } from "effect-baton"
 *
 * const summary = LanguageModel.generateText({ prompt: "Sum it up: ..." }).pipe(
 *   Effect.provideService(Models.Purpose, "summarize")
 * )
 * ```
 */
export const Purpose: Context.Reference<string> = ModelCall.Purpose

/**
 * The model of an id.
 *
 * **Example** (An unknown id)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Models } from "effect-baton"
 *
 * await Effect.runPromise(Models.get("gpt").pipe(Effect.flip, Effect.map((error) => error.message))) // => 'No model has the id "gpt"; none are known: provide Models.layer'
 * ```
 */
export const get = (id: string): Effect.Effect<LanguageModel.LanguageModel, ModelNotFound> =>
  Effect.flatMap(Models, ({ models }) => {
    const model = models.get(id)
    return model === undefined
      ? Effect.fail(new ModelNotFound({ model: id, known: [...models.keys()] }))
      : Effect.succeed(model)
  })

/**
 * Runs an effect with the model of an id as its `LanguageModel`.
 *
 * **Example** (Another model for one call)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models } from "effect-baton"
 *
 * const answer = LanguageModel.generateText({ prompt: "Hi" }).pipe(Models.use("haiku"))
 *
 * await Effect.runPromise(answer.pipe(Effect.flip, Effect.map((error) => error._tag))) // => "ModelNotFound"
 * ```
 */
export const use: {
  (
    id: string
  ): <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | ModelNotFound, Exclude<R, LanguageModel.LanguageModel>>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    id: string
  ): Effect.Effect<A, E | ModelNotFound, Exclude<R, LanguageModel.LanguageModel>>
} = dual(
  2,
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    id: string
  ): Effect.Effect<A, E | ModelNotFound, Exclude<R, LanguageModel.LanguageModel>> =>
    Effect.flatMap(get(id), (model) => Effect.provideService(effect, LanguageModel.LanguageModel, model))
)
