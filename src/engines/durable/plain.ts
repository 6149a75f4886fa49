/**
 * Plain JSON: what a value is that comes back from the disk as it was, without a schema.
 */
import { show } from "../../internal/schema.ts"

/** A value that could not be written down, and why. */
export class NotStorable {
  readonly at: string
  readonly problem: string
  readonly value: string

  constructor(at: string, problem: string, value: unknown) {
    this.at = at
    this.problem = problem
    this.value = show(value)
  }

  describe(what: string): string {
    return `${what} can not be stored${this.at === "" ? "" : `, at "${this.at}"`}: ${this.problem}, found ${this.value}`
  }
}

/** What keeps a value from being plain JSON. */
export const impurity = (value: unknown, path: string, seen: Set<object>): NotStorable | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : new NotStorable(path, "Expected a finite number", value)
    case "object":
      break
    default:
      return new NotStorable(path, "Expected plain JSON", value)
  }
  if (value === null) return undefined
  if (seen.has(value)) return new NotStorable(path, "Expected plain JSON without cycles", "a cycle")
  const prototype = Object.getPrototypeOf(value)
  const isPlain = Array.isArray(value) || prototype === Object.prototype || prototype === null
  if (!isPlain) {
    const name = prototype.constructor?.name ?? "an object"
    return new NotStorable(path, `Expected plain JSON, or a schema that describes ${name}`, value)
  }
  // JSON would make null of it.
  if (Array.isArray(value) && value.includes(undefined)) {
    return new NotStorable(path, "Expected plain JSON, which has no undefined in arrays", undefined)
  }
  seen.add(value)
  for (const key in value) {
    const found = impurity((value as Record<string, unknown>)[key], path === "" ? key : `${path}.${key}`, seen)
    if (found !== undefined) return found
  }
  seen.delete(value)
  return undefined
}

/** A value that is plain JSON. */
export const plain = (value: unknown): { readonly json: unknown } | NotStorable =>
  impurity(value, "", new Set()) ?? { json: value }
