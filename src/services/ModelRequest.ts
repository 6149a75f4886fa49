/**
 * What is asked of a model, as data: equal requests read the same, whoever makes them and whenever.
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** A request as JSON. */
export interface ModelRequest {
  readonly kind: "text" | "object" | "stream"
  /** Provider and name of the model, or the id it is known by; empty where nobody says. */
  readonly model: string
  /** The messages; of each, results of tools stand in the order of their calls' ids. */
  readonly prompt: ReadonlyArray<Schema.Json>
  readonly tools?: ReadonlyArray<Schema.Json>
  readonly toolChoice?: Schema.Json
  /** What an object has to look like. */
  readonly format?: { readonly name: string; readonly schema: Schema.Json }
}

/** The request that a provider gets. */
export const describe = (
  kind: "text" | "stream",
  model: string,
  { prompt, responseFormat, toolChoice, tools }: LanguageModel.ProviderOptions
): Effect.Effect<ModelRequest> =>
  Effect.map(Effect.orDie(encodePrompt(prompt)), (encoded) => ({
    kind: responseFormat.type === "json" ? "object" : kind,
    model,
    prompt: (toJson(encoded.content) as ReadonlyArray<JsonObject>).map(toMessage),
    ...(tools.length === 0 ? {} : { tools: tools.map(toTool), toolChoice: toolChoice as Schema.Json }),
    ...(responseFormat.type === "json"
      ? { format: { name: responseFormat.objectName, schema: jsonSchemaOf(responseFormat.schema) } }
      : {})
  }))

const encodePrompt = Schema.encodeEffect(Prompt.Prompt)

type JsonObject = { readonly [key: string]: Schema.Json }

const isJsonObject = (json: Schema.Json | undefined): json is JsonObject =>
  Predicate.isObject(json) && !Array.isArray(json)

const toMessage = (message: JsonObject): Schema.Json => {
  const { content, options, ...rest } = message
  const parts = Array.isArray(content) ? (content as ReadonlyArray<JsonObject>).map(withoutEmptyOptions) : content
  return {
    ...rest,
    // Tools that run side by side finish in any order.
    content: message.role === "tool" && Array.isArray(parts) ? Array.from(parts).sort(byId) : (parts as Schema.Json),
    ...(isEmpty(options) ? {} : { options })
  }
}

const byId = (a: JsonObject, b: JsonObject): number => {
  const left = String(a.id ?? a.approvalId)
  const right = String(b.id ?? b.approvalId)
  return left < right ? -1 : left > right ? 1 : 0
}

const withoutEmptyOptions = (part: JsonObject): JsonObject => {
  const { options, ...rest } = part
  return isEmpty(options) ? rest : part
}

const isEmpty = (json: Schema.Json | undefined): boolean =>
  json === undefined || (isJsonObject(json) && Object.keys(json).length === 0)

const toTool = (tool: Tool.Any): Schema.Json => {
  if (Tool.isProviderDefined(tool)) return { name: tool.name, id: tool.id, args: toJson(tool.args) }
  const description = Tool.getDescription(tool)
  return {
    name: tool.name,
    ...(description === undefined ? {} : { description }),
    parameters: toJson(Result.getOrNull(Result.try(() => Tool.getJsonSchema(tool))))
  }
}

const jsonSchemas = new WeakMap<Schema.Top, Schema.Json>()

/** The JSON Schema of a schema; `null` where it has none, which is the provider's to refuse. */
const jsonSchemaOf = (schema: Schema.Top): Schema.Json => {
  let known = jsonSchemas.get(schema)
  if (known === undefined) {
    known = toJson(Result.getOrNull(Result.try(() => Tool.getJsonSchemaFromSchema(schema))))
    jsonSchemas.set(schema, known)
  }
  return known
}

/** Results of tools may be anything, files may be bytes. */
const toJson = (value: unknown): Schema.Json =>
  JSON.parse(JSON.stringify(value ?? null, (_, value) => (value instanceof Uint8Array ? Base64.encode(value) : value)))

/** How the adapters of `effect/ai` call what `withConfigOverride` sets, such as a temperature. */
const config = /LanguageModel\/Config$/

/** What a request is sent with besides, as far as its context has it; of what a layer was made with nobody knows. */
export const settingsOf = (context: Context.Context<never>): { readonly settings?: Schema.Json } => {
  let found: Record<string, Schema.Json> | undefined
  for (const [key, value] of context.mapUnsafe) {
    if (config.test(key))
      (found ??= {})[key] = Result.getOrElse(
        Result.try(() => toJson(value)),
        () => null
      )
  }
  return found === undefined ? {} : { settings: found }
}

/** JSON as text that is the same for equal values: keys are in order of the alphabet. */
export const canonical = (json: unknown): string =>
  JSON.stringify(json, (_, value) =>
    isJsonObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value
  )
