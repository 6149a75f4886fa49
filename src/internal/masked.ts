/**
 * Secrets in what is stored of errors.
 */
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"

/** A value with its secrets crossed out: an error says what went wrong without them. */
export const masked = (value: unknown): unknown => {
  if (Redacted.isRedacted(value)) return Redacted.make("<redacted>")
  if (Array.isArray(value)) return value.map(masked)
  if (!Predicate.isObjectKeyword(value) || value instanceof Date) return value
  const copy = Object.create(Object.getPrototypeOf(value))
  for (const key of Object.getOwnPropertyNames(value)) {
    const property = Object.getOwnPropertyDescriptor(value, key)!
    Object.defineProperty(copy, key, "value" in property ? { ...property, value: masked(property.value) } : property)
  }
  return copy
}
