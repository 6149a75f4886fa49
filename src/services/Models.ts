/**
 * Language models by id, and what Baton adds to every call that is made inside an execution.
 */

import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

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
export interface Registry {
  readonly models: ReadonlyMap<string, LanguageModel.LanguageModel>
}

/** The models that ids stand for; none unless `Models.layer` is provided. */
export const Models = Context.Reference<Registry>("effect-baton/services/Models", {
  defaultValue: () => ({ models: new Map() })
})

/** What a model call is for, as its event and its span say it. */
export const Purpose = Context.Reference<string>("effect-baton/services/Models/Purpose", { defaultValue: () => "" })

/** The model of an id. */
export const get = (id: string): Effect.Effect<LanguageModel.LanguageModel, ModelNotFound> =>
  Effect.flatMap(Models, ({ models }) => {
    const model = models.get(id)
    return model === undefined
      ? Effect.fail(new ModelNotFound({ model: id, known: [...models.keys()] }))
      : Effect.succeed(model)
  })

/** What a phase asks of a model. */
export interface Ask {
  /** What the call is for, e.g. `"classify"`. */
  readonly purpose: string
  readonly prompt: string
  /** Id of the model. Default: the `LanguageModel` in the context. */
  readonly model?: string | undefined
}

const use = <A, E, R>(
  ask: Ask,
  f: (model: LanguageModel.LanguageModel) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | AiError.AiError, R | LanguageModel.LanguageModel> => {
  const model: Effect.Effect<LanguageModel.LanguageModel, AiError.AiError, LanguageModel.LanguageModel> =
    ask.model === undefined
      ? LanguageModel.LanguageModel
      : Effect.mapError(get(ask.model), (error) =>
          AiError.make({
            module: "Models",
            method: "get",
            reason: new AiError.InvalidRequestError({ parameter: "model", description: error.message })
          })
        )
  return Effect.provideService(Effect.flatMap(model, f), Purpose, ask.purpose)
}

/** Asks a model for text. */
export const text = (ask: Ask): Effect.Effect<string, AiError.AiError, LanguageModel.LanguageModel> =>
  use(ask, (model) => Effect.map(model.generateText({ prompt: ask.prompt }), (response) => response.text))

/** Asks a model for a value of a schema. */
export const object = <A, I extends Record<string, any>>(
  ask: Ask & { readonly schema: Schema.Codec<A, I>; readonly name: string }
): Effect.Effect<A, AiError.AiError, LanguageModel.LanguageModel> =>
  use(ask, (model) =>
    Effect.map(
      model.generateObject({ prompt: ask.prompt, schema: ask.schema, objectName: ask.name }),
      (response) => response.value
    )
  )
