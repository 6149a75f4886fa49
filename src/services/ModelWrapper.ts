/**
 * A model around another one.
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"

/** Options of any method, and of calls made in its stead. */
export type CallOptions = LanguageModel.GenerateObjectOptions<any, any>

/** The two methods of a model that answer at once. */
export type Method = "generateText" | "generateObject"

/** What stands around the calls of a model. */
export interface Around {
  readonly generate: (
    method: Method,
    options: CallOptions
  ) => Effect.Effect<LanguageModel.GenerateTextResponse<any>, any, any>
  readonly stream: (options: CallOptions) => Stream.Stream<any, any, any>
}

/** Calls a method of a model; `any`, as its overloads would only say what is known already. */
export const generate = (
  model: LanguageModel.LanguageModel,
  method: Method,
  options: CallOptions
): Effect.Effect<LanguageModel.GenerateTextResponse<any>, any, any> => (model[method] as any)(options)

/** Streams from a model; `any` as for `generate`. */
export const stream = (model: LanguageModel.LanguageModel, options: CallOptions): Stream.Stream<any, any, any> =>
  model.streamText(options as any) as any

/** A model whose calls go through `around`; all else is the inner model's. */
export const wrap = (model: LanguageModel.LanguageModel, around: Around): LanguageModel.LanguageModel =>
  Object.assign(Object.create(model), {
    generateText: (options: CallOptions) => around.generate("generateText", options),
    generateObject: (options: CallOptions) => around.generate("generateObject", options),
    streamText: (options: CallOptions) => around.stream(options)
  })
