/**
 * Errors that no schema describes, as they are stored. Those of JavaScript and of Effect come back as they were; of others
 * their tag, name, message and those fields are kept that are plain JSON.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Predicate from "effect/Predicate"
import { show } from "../../internal/schema.ts"
import { impurity } from "./plain.ts"

export interface StoredError {
  readonly name: string
  readonly message?: string
  readonly fields?: Record<string, unknown>
  /** Its class, where that is one of those that are made again. */
  readonly class?: string
  readonly cause?: { readonly error: StoredError } | { readonly value: unknown }
}

type Make = new (message?: string, options?: ErrorOptions) => Error

const classes: Record<string, Make> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  "Cause.NoSuchElementError": Cause.NoSuchElementError,
  "Cause.TimeoutError": Cause.TimeoutError,
  "Cause.IllegalArgumentError": Cause.IllegalArgumentError,
  "Cause.ExceededCapacityError": Cause.ExceededCapacityError
}
const unknownError = "Cause.UnknownError"

const classOf = (error: object): string | undefined => {
  const prototype = Object.getPrototypeOf(error)
  if (prototype === Cause.UnknownError.prototype) return unknownError
  return Object.keys(classes).find((name) => classes[name].prototype === prototype)
}

/** How deep causes of causes are kept. */
const maxDepth = 8

/** What is stored of an error, and what of it is lost by that. */
export const toStoredError = (
  error: unknown,
  depth = 0
): { readonly stored: StoredError; readonly lost: ReadonlyArray<string> } => {
  if (!Predicate.isObjectKeyword(error)) {
    return { stored: { name: "Error", message: show(error) }, lost: ["all but how it reads"] }
  }
  const name = classOf(error)
  const lost: Array<string> = name === undefined ? ["its class"] : []
  const fields: Record<string, unknown> = {}
  const own = name === undefined ? undefined : Object.keys(make(name, "", undefined))
  for (const key of ["_tag", ...Object.keys(error)]) {
    if (key === "message" || key === "cause" || own?.includes(key)) continue
    const value = (error as Record<string, unknown>)[key]
    if (value === undefined) continue
    if (impurity(value, key, new Set()) === undefined) fields[key] = value
    else lost.push(`its field "${key}"`)
  }
  const { cause, message, name: title } = error as { cause?: unknown; message?: unknown; name?: unknown }
  const stored: StoredError = {
    name: Predicate.isString(title) ? title : "Error",
    ...(Predicate.isString(message) ? { message } : name === undefined ? { message: show(error) } : {}),
    ...(Object.keys(fields).length === 0 ? {} : { fields }),
    ...(name === undefined ? {} : { class: name })
  }
  if (cause === undefined) return { stored, lost }
  if (impurity(cause, "cause", new Set()) === undefined) return { stored: { ...stored, cause: { value: cause } }, lost }
  if (!(cause instanceof Error) || depth >= maxDepth) return { stored, lost: [...lost, "its cause"] }
  const inner = toStoredError(cause, depth + 1)
  return {
    stored: { ...stored, cause: { error: inner.stored } },
    lost: [...lost, ...inner.lost.map((what) => `${what} of its cause`)]
  }
}

const make = (name: string, message: string | undefined, options: ErrorOptions | undefined): Error => {
  if (name === unknownError) return new Cause.UnknownError(options?.cause, message)
  return new classes[name](message, options)
}

/** What is left of an error that was stored. */
export const fromStoredError = ({ cause, class: made, fields, message, name }: StoredError): Error => {
  const options =
    cause === undefined ? undefined : { cause: "error" in cause ? fromStoredError(cause.error) : cause.value }
  const isKnown = made !== undefined && (made === unknownError || made in classes)
  // One that is told to a body can be yielded, as those of Effect can.
  const error = isKnown ? make(made, message, options) : new Data.Error({ ...options, message })
  if (error.name !== name) Object.defineProperty(error, "name", { value: name, configurable: true, writable: true })
  return Object.assign(error, fields)
}
