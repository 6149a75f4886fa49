// What the examples in the docs are rewritten to call: `expression // => value` becomes `await $result(expression, value, at)`.
import * as Assert from "node:assert"

/** The `// =>` lines that ran, by place, with what was wrong with each. */
export const reached = new Map<string, unknown>()

/**
 * A value as the docs write it. What has `toJSON` (Effect's data types and errors, dates) is what that gives, less its `_id`;
 * another object is its own fields, an Error also its message. `_tag` counts even if inherited, undefined fields do not.
 * Maps, Sets and arrays keep their kind; everything else (NaN, -0, bigint, symbols, functions) is itself.
 */
export const plain = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Map) return new Map(Array.from(value, ([key, item]) => [plain(key), plain(item)]))
  if (value instanceof Set) return new Set(Array.from(value, plain))
  const fields: Record<string, unknown> = {}
  if ("_tag" in value) fields._tag = value._tag
  if ("toJSON" in value && typeof value.toJSON === "function") {
    const json: unknown = value.toJSON()
    if (typeof json !== "object" || json === null || Array.isArray(json)) return plain(json)
    Object.assign(fields, json)
    delete fields._id
  } else {
    if (value instanceof Error) fields.message = value.message
    Object.assign(fields, value)
  }
  return Object.fromEntries(
    Object.entries(fields).flatMap(([key, field]) => (field === undefined ? [] : [[key, plain(field)]]))
  )
}

/** Used inside functions, where the example's own `yield*` or `await` has produced the value. */
export const $value = (actual: unknown, expected: unknown, at: string): void => {
  try {
    Assert.ok(!(actual instanceof Promise), "the result is a Promise: await it")
    Assert.deepStrictEqual(plain(actual), plain(expected))
    reached.set(at, undefined)
  } catch (error) {
    if (error instanceof Error) error.message = `${at}: ${error.message}`
    reached.set(at, error)
    throw error
  }
}

/** Used at the top level, where a Promise is awaited. */
export const $result = async (actual: unknown, expected: unknown, at: string): Promise<void> =>
  $value(await actual, expected, at)

/** What `console.log` was given: one value, or several as an array. */
export const $logged = (...values: ReadonlyArray<unknown>): unknown => (values.length === 1 ? values[0] : values)
