/**
 * The shape of a JSON Schema in words a person reads, and a typed line as the value it stands for.
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"

type Json = { readonly [key: string]: unknown }

const isJson = (u: unknown): u is Json => Predicate.isObject(u)

const list = (u: unknown): ReadonlyArray<Json> => (Array.isArray(u) ? u.filter(isJson) : [])

const referenceOf = (schema: Json): string | undefined =>
  Predicate.isString(schema.$ref)
    ? schema.$ref.split("/").at(-1)!.replaceAll("~1", "/").replaceAll("~0", "~")
    : undefined

/** The schema a reference stands for, with everything that must hold in one place. */
const resolve = (schema: Json, root: Json): Json => {
  const name = referenceOf(schema)
  const definitions = isJson(root.$defs) ? root.$defs : {}
  const target = name === undefined ? undefined : definitions[name]
  const whole = isJson(target) ? { ...target, ...schema, $ref: undefined } : schema
  return Object.assign({}, ...list(whole.allOf).map((part) => resolve(part, root)), whole)
}

/** Numbers that JSON has no word for; people do not type them. */
const unusual = new Set<unknown>(["Infinity", "-Infinity", "NaN"])

const alternatives = (schema: Json): ReadonlyArray<Json> =>
  [...list(schema.anyOf), ...list(schema.oneOf)].filter(
    (part) => !(Array.isArray(part.enum) && part.enum.every((value) => unusual.has(value)))
  )

const bound = (value: unknown): value is number =>
  Predicate.isNumber(value) && Math.abs(value) < Number.MAX_SAFE_INTEGER

const range = (schema: Json): string => {
  const { exclusiveMaximum, exclusiveMinimum, maxLength, maximum, minLength, minimum, pattern } = schema
  const words = [
    ...(bound(minimum) ? [`at least ${minimum}`] : []),
    ...(bound(exclusiveMinimum) ? [`more than ${exclusiveMinimum}`] : []),
    ...(bound(maximum) ? [`at most ${maximum}`] : []),
    ...(bound(exclusiveMaximum) ? [`less than ${exclusiveMaximum}`] : []),
    ...(bound(minLength) ? [`at least ${minLength} long`] : []),
    ...(bound(maxLength) ? [`at most ${maxLength} long`] : []),
    ...(Predicate.isString(pattern) ? [`matching ${pattern}`] : [])
  ]
  return words.length === 0 ? "" : ` ${words.join(" and ")}`
}

const names: Readonly<Record<string, string>> = {
  string: "text",
  number: "number",
  integer: "whole number",
  boolean: "true or false",
  null: "null"
}

/** What a schema expects, in one line: `{ region: "eu" | "us", size?: whole number }`. */
export const shapeOf = (schema: unknown, root: unknown = schema, around: ReadonlyArray<string> = []): string => {
  if (!isJson(schema) || !isJson(root)) return "anything"
  const name = referenceOf(schema)
  // A schema that contains itself is named the second time.
  if (name !== undefined && around.includes(name)) return name
  const whole = resolve(schema, root)
  const inner = (part: unknown) => shapeOf(part, root, name === undefined ? around : [...around, name])
  if (whole.const !== undefined) return JSON.stringify(whole.const)
  if (Array.isArray(whole.enum)) return whole.enum.map((value) => JSON.stringify(value)).join(" | ")
  const parts = alternatives(whole)
  if (parts.length > 0) return [...new Set(parts.map(inner))].join(" or ")
  if (whole.type === "array") {
    const fixed = list(whole.prefixItems)
    if (fixed.length > 0) return `[${fixed.map(inner).join(", ")}]`
    return `list of ${inner(whole.items)}`
  }
  if (whole.type === "object") return objectShape(whole, inner)
  const word = Predicate.isString(whole.type) ? names[whole.type] : undefined
  return word === undefined ? "anything" : `${word}${range(whole)}`
}

const objectShape = (schema: Json, inner: (part: unknown) => string): string => {
  const properties = isJson(schema.properties) ? Object.entries(schema.properties) : []
  if (properties.length === 0) {
    return isJson(schema.additionalProperties) ? `{ [name]: ${inner(schema.additionalProperties)} }` : "{ ... }"
  }
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  const fields = properties.map(([key, part]) => {
    const about = isJson(part) && Predicate.isString(part.description) ? ` (${part.description})` : ""
    return `${key}${required.has(key) ? "" : "?"}: ${inner(part)}${about}`
  })
  return `{ ${fields.join(", ")} }`
}

const yes = new Set(["y", "yes", "true"])
const no = new Set(["n", "no", "false"])

const isText = (schema: Json): boolean =>
  schema.type === "string" || (Array.isArray(schema.enum) && schema.enum.every(Predicate.isString))

/** Whether a line is taken word for word. */
export const takesText = (schema: unknown): boolean => {
  if (!isJson(schema)) return false
  const whole = resolve(schema, schema)
  const parts = alternatives(whole)
  return parts.length === 0 ? isText(whole) : parts.every((part) => isText(resolve(part, schema)))
}

/** The value that a line stands for: text where text is expected, otherwise JSON; what is no JSON is passed on as text. */
export const toValue = (schema: unknown, line: string): unknown => {
  if (takesText(schema)) return line
  const word = line.trim().toLowerCase()
  if (isJson(schema) && resolve(schema, schema).type === "boolean") {
    if (yes.has(word)) return true
    if (no.has(word)) return false
  }
  return parseJson(line)
}

const parseJson = (line: string): unknown =>
  Result.getOrElse(
    Result.try((): unknown => JSON.parse(line)),
    () => line
  )
