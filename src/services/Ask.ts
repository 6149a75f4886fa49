/**
 * How the phases of patterns ask a model.
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { get, Purpose } from "./ModelRegistry.ts"

/** What a phase asks of a model. */
export interface Ask {
  /** What the call is for, e.g. `"classify"`. Default: the name of the step it stands in. */
  readonly purpose?: string | undefined
  /** Text, messages, or a `Prompt`. */
  readonly prompt: Prompt.RawInput
  /** Id of the model. Default: the `LanguageModel` in the context. */
  readonly model?: string | undefined
}

/** The model of an id, else the `LanguageModel` in the context. An unknown id is an `AiError`. */
export const modelOf = (
  id: string | undefined
): Effect.Effect<LanguageModel.LanguageModel, AiError.AiError, LanguageModel.LanguageModel> =>
  id === undefined
    ? LanguageModel.LanguageModel
    : Effect.mapError(get(id), ({ message }) =>
        AiError.make({
          module: "Models",
          method: "get",
          reason: new AiError.InvalidRequestError({ parameter: "model", description: message })
        })
      )

const ask = <A, E, R>(
  { model, prompt, purpose = "" }: Ask,
  f: (model: LanguageModel.LanguageModel, prompt: Prompt.Prompt) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | AiError.AiError, R | LanguageModel.LanguageModel> =>
  Effect.provideService(
    Effect.flatMap(modelOf(model), (model) => f(model, Prompt.make(prompt))),
    Purpose,
    purpose
  )

/**
 * Asks a model for text.
 *
 * **Details**
 *
 * Fails with `AiError`; an unknown id is its `InvalidRequestError`, which names the known ones.
 *
 * **Example** (A phase that asks a model)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models } from "effect-baton"
 *
 * const model = LanguageModel.make({
 *   generateText: () => Effect.succeed([{ type: "text", text: "A haiku." }]),
 *   streamText: () => Stream.empty
 * })
 *
 * await Effect.runPromise(
 *   Models.text({ purpose: "write", prompt: "Write a haiku" }).pipe(
 *     Effect.provideServiceEffect(LanguageModel.LanguageModel, model)
 *   )
 * ) // => "A haiku."
 * ```
 */
export const text = (question: Ask): Effect.Effect<string, AiError.AiError, LanguageModel.LanguageModel> =>
  ask(question, (model, prompt) => Effect.map(model.generateText({ prompt }), (response) => response.text))

/**
 * Asks a model for a value of a schema.
 *
 * **Details**
 *
 * An answer that is not JSON, or does not fit the schema, is shown to the model once, with what is wrong with it, to be
 * corrected; the second failure is the `AiError`. Both are calls of their own.
 *
 * **Example** (An answer that needs correcting)
 *
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Models } from "effect-baton"
 *
 * const answers = ['{ "score": "high" }', '{ "score": 0.9 }']
 * const model = LanguageModel.make({
 *   generateText: () => Effect.sync(() => [{ type: "text", text: answers.shift() ?? "" }]),
 *   streamText: () => Stream.empty
 * })
 *
 * await Effect.runPromise(
 *   Models.object({
 *     purpose: "evaluate",
 *     name: "evaluation",
 *     prompt: "Rate it from 0 to 1",
 *     schema: Schema.Struct({ score: Schema.Finite })
 *   }).pipe(Effect.provideServiceEffect(LanguageModel.LanguageModel, model))
 * ) // => { score: 0.9 }
 * ```
 */
export const object = <A, I extends Record<string, any>>(
  question: Ask & {
    readonly schema: Schema.Codec<A, I>
    /** What the value is called towards the model. Default: the identifier of the schema. */
    readonly name?: string | undefined
  }
): Effect.Effect<A, AiError.AiError, LanguageModel.LanguageModel> =>
  ask(question, (model, prompt) => {
    const { name: objectName, schema } = question
    const request = (more: ReadonlyArray<Prompt.MessageEncoded>) =>
      model.generateObject({ prompt: Prompt.concat(prompt, more), schema, objectName })
    const answer = corrected(request, "Answer again, with nothing but a JSON value that fits the schema.")
    return Effect.map(answer, (response) => response.value)
  })

/** Asks once more where an answer does not fit: after the question comes the answer, what is wrong with it, and the task. */
export const corrected = <A, E, R>(
  request: (more: ReadonlyArray<Prompt.MessageEncoded>) => Effect.Effect<A, E, R>,
  task: string
): Effect.Effect<A, E, R> =>
  Effect.catch(request([]), (error) => {
    if (!AiError.isAiError(error) || error.reason._tag !== "StructuredOutputError") return Effect.fail(error)
    const { description, responseText } = error.reason
    return request([
      ...(responseText === "" ? [] : [{ role: "assistant" as const, content: responseText }]),
      { role: "user", content: `Your answer was not valid:\n${description}\n\n${task}` }
    ])
  })
