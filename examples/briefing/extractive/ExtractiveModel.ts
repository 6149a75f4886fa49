/**
 * `local/extractive-1`: a language model that runs here, offline, and never writes a sentence of its own.
 *
 * It answers from the prompt it is given and from nothing else, by ranking and selecting the sentences that stand in it.
 * The same prompt always gets the same answer.
 *
 * - **What it understands.** Prompts in the form that `../prompts.ts` describes: a `Task:` line, which says what is asked
 *   for, a `Limit:` line, lists such as `Headings:`, and material in `<text title="...">` and `<draft>`. Other words,
 *   which are for models that read them, it passes over.
 * - **What it answers.** The tasks `summarise`, `overview` and `tighten` with text; `classify`, `facts`, `questions`
 *   and `plan` with what the JSON Schema of the request asks for. With no fitting sentence in the material
 *   the answer is no text, or an empty list.
 * - **What it refuses**, with an `AiError` whose reason says what to change: a prompt without a task or a field the task
 *   needs (`InvalidRequestError`, naming the field), a schema with a field it has no value for
 *   (`UnsupportedSchemaError`, naming the path, as in `$.facts[].author`), and tools.
 * - **What it counts.** A token is taken as three quarters of a word: usage is 4/3 of the words between spaces, rounded
 *   up. An estimate, good for comparing calls.
 *
 * Every response names the model, in `response-metadata` and in the provider metadata of each part.
 */
import { Effect, Layer, type Schema, Stream } from "effect"
import { AiError, LanguageModel, Model, type Response } from "effect/ai"
import { answer } from "./Answer.ts"
import { promptText } from "./Request.ts"
import * as Shape from "./Shape.ts"
import { countWords } from "./Terms.ts"

/** The model's name, in every response. */
export const name = "local/extractive-1"

const metadata = { local: { model: name, extractive: true } }

const tokens = (text: string): number => Math.ceil((countWords(text) * 4) / 3)

const invalid = (parameter: string, description: string) =>
  Effect.fail(
    AiError.make({
      module: "ExtractiveModel",
      method: "generate",
      reason: new AiError.InvalidRequestError({ parameter, description })
    })
  )

/** What the model says, in the pieces it says it in. */
const respond = Effect.fnUntraced(function* (options: LanguageModel.ProviderOptions) {
  const { responseFormat, tools } = options
  if (tools.length > 0) return yield* invalid("tools", `${name} calls no tools`)
  // An answer is computed in one go: between two, others have their turn, timers and screens too.
  yield* Effect.yieldNow
  const found = yield* answer(promptText(options.prompt))
  if (responseFormat.type === "text") {
    return found._tag === "Text"
      ? found.sentences.map((sentence, at) => (at === 0 ? sentence : ` ${sentence}`))
      : yield* invalid("responseFormat", "this task is answered with an object: use generateObject")
  }
  if (found._tag === "Text")
    return yield* invalid("responseFormat", "this task is answered with text: use generateText")
  const { jsonSchema } = LanguageModel.defaultCodecTransformer(responseFormat.schema as Schema.Codec<unknown>)
  return [JSON.stringify(yield* Shape.take(jsonSchema, found.value))]
})

const finish = (options: LanguageModel.ProviderOptions, output: string): Response.FinishPartEncoded => {
  const [input, text] = [tokens(promptText(options.prompt)), tokens(output)]
  return {
    type: "finish",
    reason: "stop",
    usage: {
      inputTokens: { uncached: input, total: input, cacheRead: 0, cacheWrite: 0 },
      outputTokens: { total: text, text, reasoning: 0 }
    },
    metadata
  }
}

const opening: Response.ResponseMetadataPartEncoded = { type: "response-metadata", modelId: name, metadata }

const make = LanguageModel.make({
  generateText: Effect.fnUntraced(function* (options) {
    const text = (yield* respond(options)).join("")
    const parts: Array<Response.PartEncoded> = [opening]
    if (text !== "") parts.push({ type: "text", text, metadata })
    return [...parts, finish(options, text)]
  }),
  streamText: (options) =>
    Stream.unwrap(
      Effect.map(respond(options), (sentences) => {
        const id = "answer"
        return Stream.make<Array<Response.StreamPartEncoded>>(
          opening,
          { type: "text-start", id, metadata },
          ...sentences.map((delta) => ({ type: "text-delta", id, delta, metadata }) as const),
          { type: "text-end", id, metadata },
          finish(options, sentences.join(""))
        )
      })
    )
})

/** The model as a `LanguageModel`; `Model.ProviderName` and `Model.ModelName` say which one it is. */
export const layer: Model.Model<"local", LanguageModel.LanguageModel, never> = Model.make(
  "local",
  name,
  Layer.effect(LanguageModel.LanguageModel, make)
)
