/**
 * Secrets in what is stored of errors.
 */
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"

/**
 * A value with its secrets crossed out: an error says what went wrong without them. What holds none stays what it is, since
 * not everything can be copied: a `URL` is no list of fields.
 */
export const masked = (value: unknown): unknown => mask(value, new Map())

const mask = (value: unknown, copies: Map<unknown, unknown>): unknown => {
  // Schemas ask for its label.
  if (Redacted.isRedacted(value)) return Redacted.make("<redacted>", { label: value.label })
  if (!Predicate.isObjectKeyword(value) || !hides(value, new Set())) return value
  const known = copies.get(value)
  if (known !== undefined) return known
  if (value instanceof Map) return new Map(Array.from(value, ([key, each]) => [mask(key, copies), mask(each, copies)]))
  if (value instanceof Set) return new Set(Array.from(value, (each) => mask(each, copies)))
  const copy = Array.isArray(value) ? [] : Object.create(Object.getPrototypeOf(value))
  copies.set(value, copy)
  for (const key of Object.getOwnPropertyNames(value)) {
    const property = Object.getOwnPropertyDescriptor(value, key)!
    const shown = "value" in property ? { ...property, value: mask(property.value, copies) } : property
    Object.defineProperty(copy, key, shown)
  }
  return copy
}

/** Whether there is a secret in it. */
const hides = (value: unknown, seen: Set<unknown>): boolean => {
  if (Redacted.isRedacted(value)) return true
  if (!Predicate.isObjectKeyword(value) || ArrayBuffer.isView(value) || seen.has(value)) return false
  seen.add(value)
  if (value instanceof Map || value instanceof Set) return Array.from(value).some((each) => hides(each, seen))
  return Object.values(Object.getOwnPropertyDescriptors(value)).some((property) => hides(property.value, seen))
}
