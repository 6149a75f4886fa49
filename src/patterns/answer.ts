/**
 * How the default phases of the patterns ask a model for what a workflow gives.
 */
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Models from "../services/Models.ts"
import type { Boundary } from "../Workflow.ts"

/** Asks a model for a value of a schema: for plain text where that is what the schema describes, else for an object. */
export const answer = (
  schema: Boundary<any> | undefined,
  ask: Models.Ask & { readonly name: string }
): Effect.Effect<any, AiError.AiError, LanguageModel.LanguageModel> => {
  if (schema === undefined || schema === Schema.String) return Models.text(ask)
  if (Schema.toEncoded(schema).ast._tag === "Objects") return Models.object({ ...ask, schema })
  // Providers give objects only: anything else travels in one.
  const object = Schema.Struct({ value: schema })
  return Effect.map(Models.object({ ...ask, schema: object }), ({ value }) => value)
}

/** Paragraphs with an empty line between them; what is `undefined` is left out. */
export const paragraphs = (...parts: ReadonlyArray<string | undefined>): string =>
  parts.filter((part) => part !== undefined).join("\n\n")
