/**
 * Values of bodies as the JSON that is stored of them, and back: by the schema where there is one, else as they are,
 * which must be plain JSON.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { BudgetExceeded } from "../../Budget.ts"
import { InputTimedOut } from "../../HumanRequest.ts"
import type { StepCodec } from "../../internal/journal.ts"
import { problem, show } from "../../internal/schema.ts"
import { RunError, RunSettled } from "../../RunError.ts"
import { StepTimedOut } from "../../Step.ts"
import type { Any, Boundary } from "../../Workflow.ts"

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

type Json = (value: unknown) => Result.Result<unknown, SchemaIssue.Issue>

interface Compiled {
  readonly encode: Json
  readonly decode: Json
  /** Whether what it describes may hold secrets. */
  readonly isSecret: boolean
}

const compiled = new WeakMap<object, Compiled>()

/** Whether what a schema describes may hold secrets, which JSON would tell. */
export const hasSecret = (schema: Boundary<any>): boolean => holdsSecret(schema.ast, new Set())

const holdsSecret = (node: unknown, seen: Set<unknown>): boolean => {
  if (!Predicate.isObjectKeyword(node) || seen.has(node)) return false
  seen.add(node)
  if (Array.isArray(node)) return node.some((each) => holdsSecret(each, seen))
  const ast = node as Record<string, unknown>
  const annotations = ast.annotations as { readonly representation?: { readonly id?: unknown } } | undefined
  if (annotations?.representation?.id === "effect/schema/Redacted") return true
  if (ast._tag === "Suspend" && Predicate.isFunction(ast.thunk)) return holdsSecret(ast.thunk(), seen)
  return Object.entries(ast).some(([key, value]) => key !== "annotations" && holdsSecret(value, seen))
}

const compile = (schema: Boundary<any>): Compiled => {
  const known = compiled.get(schema)
  if (known !== undefined) return known
  const json = Schema.toCodecJson(schema)
  const codec: Compiled = {
    encode: SchemaParser.encodeUnknownResult(json),
    decode: SchemaParser.decodeUnknownResult(json),
    isSecret: hasSecret(schema)
  }
  compiled.set(schema, codec)
  return codec
}

/** A value as JSON by its schema; one that may hold secrets is refused. */
export const encode = (schema: Boundary<any>, value: unknown): { readonly json: unknown } | NotStorable => {
  const codec = compile(schema)
  if (!codec.isSecret) return encodeBy(codec, value)
  return new NotStorable("", "Expected a schema without secrets, which would be stored in clear", "Redacted")
}

const encodeBy = (codec: Compiled, value: unknown): { readonly json: unknown } | NotStorable => {
  const result = codec.encode(value)
  if (result._tag === "Success") return { json: result.success }
  const { message, path, value: found } = problem(result.failure, value)
  return new NotStorable(path, message, found)
}

/** The value of JSON that was stored; `undefined` where it does not fit the schema any more. */
export const decode = (schema: Boundary<any>, json: unknown): { readonly value: unknown } | undefined => {
  const result = compile(schema).decode(json)
  return result._tag === "Success" ? { value: result.success } : undefined
}

/** A value with its secrets crossed out: an error says what went wrong without them. */
const masked = (value: unknown): unknown => {
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

/** What keeps a value from being plain JSON. */
const impurity = (value: unknown, path: string, seen: Set<object>): NotStorable | undefined => {
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
    return new NotStorable(path, `Expected plain JSON, or a schema that describes a ${name}`, value)
  }
  seen.add(value)
  for (const key in value) {
    const found = impurity((value as Record<string, unknown>)[key], path === "" ? key : `${path}.${key}`, seen)
    if (found !== undefined) return found
  }
  seen.delete(value)
  return undefined
}

const plain = (value: unknown): { readonly json: unknown } | NotStorable =>
  impurity(value, "", new Set()) ?? { json: value }

/** How something ended, as it is stored: a value, an error and by which schema it is read, or a defect. */
export type Stored =
  | { readonly v?: unknown }
  | { readonly e: unknown; readonly by: "step" | "workflow" | "run" | "plain" | "error" }
  | { readonly d: StoredError }
  | { readonly i: true }

interface StoredError {
  readonly name: string
  readonly message: string
  readonly fields?: Record<string, unknown>
}

const commonErrors = Schema.Union([RunError, StepTimedOut, InputTimedOut, RunSettled, BudgetExceeded])

const encodeError = (error: unknown, definition: Any, codec: StepCodec | undefined): Stored => {
  for (const [by, schema] of [
    ["step", codec?.error],
    ["workflow", definition.error],
    ["run", commonErrors]
  ] as const) {
    if (schema === undefined) continue
    const codec = compile(schema)
    const encoded = encodeBy(codec, codec.isSecret ? masked(error) : error)
    if (!(encoded instanceof NotStorable)) return { e: encoded.json, by }
  }
  const encoded = plain(error)
  return encoded instanceof NotStorable ? { e: toStoredError(error), by: "error" } : { e: encoded.json, by: "plain" }
}

/** What is left of an error that nothing describes: its name, its message and those of its fields that are JSON. */
const toStoredError = (error: unknown): StoredError => {
  if (!Predicate.isObjectKeyword(error)) return { name: "Error", message: show(error) }
  const fields: Record<string, unknown> = {}
  for (const key of ["_tag", ...Object.keys(error)]) {
    const value = (error as Record<string, unknown>)[key]
    if (value !== undefined && impurity(value, key, new Set()) === undefined) fields[key] = value
  }
  const { message, name } = error as { readonly message?: unknown; readonly name?: unknown }
  return {
    name: Predicate.isString(name) ? name : "Error",
    message: Predicate.isString(message) ? message : show(error),
    fields
  }
}

const fromStoredError = ({ fields, message, name }: StoredError): Error => {
  const error = new Error(message)
  Object.defineProperty(error, "name", { value: name, configurable: true, writable: true })
  return Object.assign(error, fields)
}

/** The end of a step as it is stored; what can not be stored is a problem of a success only. */
export const encodeStep = (
  exit: Exit.Exit<unknown, unknown>,
  definition: Any,
  codec: StepCodec | undefined
): Stored | NotStorable => {
  if (exit._tag === "Success") {
    if (exit.value === undefined) return {}
    const encoded = codec?.output === undefined ? plain(exit.value) : encode(codec.output, exit.value)
    return encoded instanceof NotStorable ? encoded : { v: encoded.json }
  }
  return encodeFailure(exit.cause, definition, codec)
}

const encodeFailure = (cause: Cause.Cause<unknown>, definition: Any, codec: StepCodec | undefined): Stored => {
  if (Cause.hasDies(cause)) return { d: toStoredError(Cause.squash(cause)) }
  return Option.match(Cause.findErrorOption(cause), {
    onNone: (): Stored => ({ i: true }),
    onSome: (error) => encodeError(error, definition, codec)
  })
}

/** The end of a run as it is stored. */
export const encodeOutcome = (exit: Exit.Exit<unknown, unknown>, definition: Any): Stored | NotStorable => {
  if (exit._tag === "Failure") return encodeFailure(exit.cause, definition, undefined)
  const encoded = encode(definition.output, exit.value)
  return encoded instanceof NotStorable ? encoded : { v: encoded.json }
}

/** What was stored, as the end it was; `undefined` where it does not fit the schemas any more. */
export const decodeStored = (
  stored: Stored,
  output: Boundary<any> | undefined,
  definition: Any | undefined,
  codec: StepCodec | undefined
): Exit.Exit<unknown, unknown> | undefined => {
  if ("d" in stored) return Exit.die(fromStoredError(stored.d))
  if ("i" in stored) return Exit.interrupt()
  if ("e" in stored) {
    switch (stored.by) {
      case "plain":
        return Exit.fail(stored.e)
      case "error":
        return Exit.fail(fromStoredError(stored.e as StoredError))
    }
    const schema = stored.by === "step" ? codec?.error : stored.by === "workflow" ? definition?.error : commonErrors
    if (schema === undefined) return Exit.fail(stored.e)
    const decoded = decode(schema, stored.e)
    return decoded === undefined ? undefined : Exit.fail(decoded.value)
  }
  if (!("v" in stored)) return Exit.void
  if (output === undefined) return Exit.succeed(stored.v)
  const decoded = decode(output, stored.v)
  return decoded === undefined ? undefined : Exit.succeed(decoded.value)
}

/** Reads JSON of our own tables. */
export const parse = (text: unknown): any => (typeof text === "string" ? JSON.parse(text) : text)

/** The effect of a step's recorded end. */
export const replay = (stored: Stored, exit: Exit.Exit<unknown, unknown>): Effect.Effect<unknown, unknown> =>
  // Whoever interrupted it does so again.
  "i" in stored ? Effect.never : exit
