/**
 * How the default phases of the patterns talk with a model: values as text, answers by schema.
 */
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Models from "../services/Models.ts"
import type { Boundary } from "../Workflow.ts"

/** How a value of a schema, of `any` type, reads in a prompt: text as it is, anything else as JSON. */
export const shown = (schema: Boundary<any>): ((value: unknown) => string) => {
  const encode = Schema.encodeUnknownSync(Schema.toCodecJson(schema))
  return (value) => (typeof value === "string" ? value : JSON.stringify(encode(value), undefined, 2))
}

/** Paragraphs with an empty line between them; what is `undefined` is left out. */
export const paragraphs = (...parts: ReadonlyArray<string | undefined>): string =>
  parts.filter((part) => part !== undefined).join("\n\n")

/** Asks a model for a value of a schema: for plain text where that is what the schema describes, else for an object. */
export const answer = (
  schema: Boundary<any>,
  ask: Models.Ask & { readonly name: string }
): Effect.Effect<any, AiError.AiError, LanguageModel.LanguageModel> => {
  if (schema === Schema.String) return Models.text(ask)
  if (Schema.toEncoded(schema).ast._tag === "Objects") return Models.object({ ...ask, schema })
  // Providers give objects only: anything else travels in one.
  const object = Schema.Struct({ value: schema })
  return Effect.map(Models.object({ ...ask, schema: object }), ({ value }) => value)
}
