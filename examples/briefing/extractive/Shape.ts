/**
 * Brings what the model found into the shape the caller's JSON Schema asks for. Nothing is invented to fill a hole: a
 * required field the model has no value for is an error that names its path.
 */
import { Effect, type JsonSchema, type Schema } from "effect"
import { AiError } from "effect/ai"

type Node = JsonSchema.JsonSchema

const unsupported = (path: string, why: string) =>
  Effect.fail(
    AiError.make({
      module: "ExtractiveModel",
      method: "generateObject",
      reason: new AiError.UnsupportedSchemaError({ description: `${path}: ${why}` })
    })
  )

/** The part of `value` that `schema` asks for. */
export const take = (schema: Node, value: Schema.Json): Effect.Effect<Schema.Json, AiError.AiError> => {
  const definitions = (schema["$defs"] ?? {}) as Record<string, Node>

  const at = (path: string, node: Node, value: Schema.Json): Effect.Effect<Schema.Json, AiError.AiError> => {
    if (typeof node["$ref"] === "string") {
      const target = definitions[node["$ref"].replace("#/$defs/", "")]
      return target === undefined ? unsupported(path, `${node["$ref"]} is not defined`) : at(path, target, value)
    }
    const choices = (node["anyOf"] ?? node["oneOf"]) as ReadonlyArray<Node> | undefined
    if (choices !== undefined) {
      return Effect.firstSuccessOf(choices.map((choice) => at(path, choice, value)))
    }
    if (Array.isArray(node["enum"])) {
      return node["enum"].includes(value)
        ? Effect.succeed(value)
        : unsupported(path, `${JSON.stringify(value)} is none of ${JSON.stringify(node["enum"])}`)
    }
    switch (node["type"]) {
      case "object":
        return isRecord(value) ? object(path, node, value) : mismatch(path, node, value)
      case "array":
        return Array.isArray(value) ? array(path, node, value) : mismatch(path, node, value)
      case "string":
        return typeof value === "string" ? Effect.succeed(value) : mismatch(path, node, value)
      case "boolean":
        return typeof value === "boolean" ? Effect.succeed(value) : mismatch(path, node, value)
      case "number":
        return typeof value === "number" ? Effect.succeed(value) : mismatch(path, node, value)
      case "integer":
        return Number.isInteger(value) ? Effect.succeed(value) : mismatch(path, node, value)
      default:
        return unsupported(path, `cannot answer a schema of type ${JSON.stringify(node["type"] ?? "unknown")}`)
    }
  }

  const object = (path: string, node: Node, value: Schema.JsonObject) =>
    Effect.gen(function* () {
      const fitted: Record<string, Schema.Json> = {}
      const required = (node["required"] ?? []) as ReadonlyArray<string>
      for (const [key, property] of Object.entries((node["properties"] ?? {}) as Record<string, Node>)) {
        if (value[key] !== undefined) fitted[key] = yield* at(`${path}.${key}`, property, value[key])
        else if (required.includes(key)) {
          return yield* unsupported(`${path}.${key}`, `no such field here, known are ${Object.keys(value).join(", ")}`)
        }
      }
      return fitted
    })

  const array = (path: string, node: Node, value: ReadonlyArray<Schema.Json>) =>
    value.length < ((node["minItems"] as number | undefined) ?? 0)
      ? unsupported(path, `needs ${node["minItems"]} items, found ${value.length}`)
      : Effect.forEach(value.slice(0, node["maxItems"] as number | undefined), (item) =>
          at(`${path}[]`, (node["items"] ?? {}) as Node, item)
        )

  return at("$", schema, value)
}

const isRecord = (value: Schema.Json): value is Schema.JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const mismatch = (path: string, node: Node, value: Schema.Json) =>
  unsupported(path, `has ${JSON.stringify(value).slice(0, 60)}, not a value of type ${node["type"]}`)
