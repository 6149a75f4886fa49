/**
 * Effect schemas as the JSON Schemas a provider accepts, and back.
 */
import type { JSONSchema7 } from "@ai-sdk/provider"
import * as AnthropicStructuredOutput from "effect/ai/AnthropicStructuredOutput"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as OpenAiStructuredOutput from "effect/ai/OpenAiStructuredOutput"
import * as Tool from "effect/ai/Tool"
import * as Effect from "effect/Effect"
import * as JsonSchema from "effect/JsonSchema"
import * as Schema from "effect/Schema"

/**
 * The schemas of one model. Each is made once: a JSON Schema and a compiled codec cost more than the rest of a call.
 * The functions that make one throw where the provider's rules leave no way to write it.
 */
export interface Schemas {
  readonly codecTransformer: LanguageModel.CodecTransformer
  readonly output: (schema: Schema.Top) => JSONSchema7
  readonly parameters: (tool: Tool.Any) => JSONSchema7
  /** A tool's arguments as the toolkit expects them. */
  readonly toolArguments: (tool: Tool.Any, value: unknown) => Effect.Effect<unknown>
}

type AnyCodec = Schema.Codec<unknown, unknown>

export const make = (transformer: LanguageModel.CodecTransformer): Schemas => {
  const transform = remember((schema: AnyCodec) => transformer(schema))
  // Remembering forgets the type parameters that argument and result share.
  const codecTransformer = transform as unknown as LanguageModel.CodecTransformer
  return {
    codecTransformer,
    // `effect/ai` hands schemas and parameters on as less than the codecs they were when the user gave them.
    output: remember((schema) => toDraft07(codecTransformer(schema as unknown as AnyCodec).jsonSchema)),
    parameters: remember((tool) =>
      toDraft07(Tool.getJsonSchema(tool, isStrict(tool) ? { transformer: codecTransformer } : undefined))
    ),
    toolArguments: (tool, value) =>
      isStrict(tool) ? fromStrict(tool.parametersSchema as AnyCodec, value, codecTransformer) : Effect.succeed(value)
  }
}

const remember = <K extends object, V>(make: (key: K) => V): ((key: K) => V) => {
  const values = new WeakMap<K, V>()
  return (key) => {
    const known = values.get(key)
    if (known !== undefined) return known
    const value = make(key)
    values.set(key, value)
    return value
  }
}

const toDraft07 = (jsonSchema: JsonSchema.JsonSchema): JSONSchema7 => {
  const { definitions, schema } = JsonSchema.toDocumentDraft07(JsonSchema.fromSchemaDraft2020_12(jsonSchema))
  return Object.keys(definitions).length === 0 ? schema : { ...schema, definitions }
}

// -----------------------------------------------------------------------------
// Tools
// -----------------------------------------------------------------------------

/** Only a strict tool's schema is bent to the provider's rules; the others take any JSON Schema. */
const isStrict = (tool: Tool.Any): boolean =>
  Tool.getStrictMode(tool) === true && Schema.isSchema(tool.parametersSchema) && !Tool.isProviderDefined(tool)

/** Bends arguments back to the declared shape; what does not fit is left as it is, for the toolkit to refuse. */
const fromStrict = (
  parameters: AnyCodec,
  value: unknown,
  codecTransformer: LanguageModel.CodecTransformer
): Effect.Effect<unknown> =>
  Schema.decodeUnknownEffect(codecTransformer(parameters).codec)(value).pipe(
    Effect.flatMap(Schema.encodeUnknownEffect(parameters)),
    Effect.orElseSucceed(() => value)
  )

// -----------------------------------------------------------------------------
// Providers' rules
// -----------------------------------------------------------------------------

/** What is known of the rules of a provider, given its id such as `"openai.responses"`. */
export const codecTransformerFor = (provider: string): LanguageModel.CodecTransformer => {
  switch (provider.split(".")[0]) {
    case "openai":
    case "azure":
    case "azure-openai":
      return lenient(OpenAiStructuredOutput.toCodecOpenAI)
    case "anthropic":
      return lenient(AnthropicStructuredOutput.toCodecAnthropic)
    default:
      return asJson
  }
}

/** Types that JSON lacks, such as dates, come as the text their JSON Schema asks for. */
const asJson: LanguageModel.CodecTransformer = (schema) => ({
  codec: Schema.toCodecJson(schema),
  jsonSchema: LanguageModel.defaultCodecTransformer(schema).jsonSchema
})

/** Asks for the provider's shape, and also takes the plain one: compatible servers do not always enforce the schema. */
const lenient =
  (transformer: LanguageModel.CodecTransformer): LanguageModel.CodecTransformer =>
  (schema) => {
    const { codec, jsonSchema } = transformer(schema)
    return { codec: Schema.Union([codec, Schema.toCodecJson(schema)]), jsonSchema }
  }
