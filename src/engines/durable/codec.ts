/**
 * Values of bodies as the JSON that is stored of them, and back: by the schema where there is one, else as they are,
 * which must be plain JSON.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { BudgetExceeded } from "../../Budget.ts"
import { InputTimedOut } from "../../HumanRequest.ts"
import type { StepCodec } from "../../internal/journal.ts"
import { masked } from "../../internal/masked.ts"
import { isSecret, ofMasked } from "../../internal/maskedSchema.ts"
import { problem } from "../../internal/schema.ts"
import { RunError, RunSettled } from "../../RunError.ts"
import { StepTimedOut } from "../../Step.ts"
import type { Any, Boundary } from "../../Workflow.ts"
import { NotStorable, plain } from "./plain.ts"
import { fromStoredError, type StoredError, toStoredError } from "./storedError.ts"

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
  if (isSecret(ast)) return true
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

const ofErrors = new WeakMap<object, Boundary<any>>()

/** What describes an error as it is stored: without its secrets. */
const ofError = (schema: Boundary<any>): Boundary<any> => {
  if (!compile(schema).isSecret) return schema
  let known = ofErrors.get(schema)
  if (known === undefined) ofErrors.set(schema, (known = ofMasked(schema)))
  return known
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

/** Where JSON that was stored does not fit the schema any more; what stands there is nothing for logs. */
export const misfit = (what: string, schema: Boundary<any>, json: unknown): string => {
  const result = compile(schema).decode(json)
  const path = result._tag === "Success" ? "" : problem(result.failure, json).path
  return `${what} that does not${path === "" ? "" : `, at "${path}"`}`
}

/**
 * How something ended, as it is stored: a value, a defect, an interrupt (from outside, or its own), or an error and by which
 * schema it is read. Of the workflows that were called around a step, `at` says which, from the inside; the run's own has
 * none.
 */
export type Stored =
  | { readonly v?: unknown }
  | {
      readonly e?: unknown
      readonly by: "step" | "workflow" | "run" | "plain" | "error"
      readonly at?: number
    }
  | { readonly d: StoredError }
  | { readonly i: true | "self" }

/** Whether something was interrupted from outside: it never ends in a replay, where whoever interrupted it does so again. */
export const isCut = (stored: Stored): boolean => "i" in stored && stored.i === true

const commonErrors = Schema.Union([RunError, StepTimedOut, InputTimedOut, RunSettled, BudgetExceeded])

/** An error as it is stored, and what of it is lost by that. */
interface EncodedError {
  readonly stored: Stored
  readonly lost: ReadonlyArray<string>
}

const nothing: ReadonlyArray<string> = []

const encodeError = (error: unknown, definition: Any, codec: StepCodec | undefined): EncodedError => {
  const by = (by: "step" | "workflow" | "run", schema: Boundary<any> | undefined, at?: number) => {
    if (schema === undefined) return undefined
    const codec = compile(ofError(schema))
    const encoded = encodeBy(codec, codec.isSecret ? masked(error) : error)
    if (encoded instanceof NotStorable) return undefined
    return { stored: { e: encoded.json, by, ...(at === undefined ? {} : { at }) }, lost: nothing }
  }
  let described = by("step", codec?.error)
  let at = 0
  for (let call = codec?.calls; described === undefined && call !== undefined; call = call.outer) {
    described = by("workflow", call.error, at++)
  }
  described ??= by("workflow", definition.error) ?? by("run", commonErrors)
  if (described !== undefined) return described
  const encoded = plain(error)
  if (!(encoded instanceof NotStorable)) return { stored: { e: encoded.json, by: "plain" }, lost: nothing }
  const { lost, stored } = toStoredError(error)
  return { stored: { e: stored, by: "error" }, lost }
}

/** The schema that an error was stored by, where it is still there. */
const schemaOf = (
  { at, by }: Extract<Stored, { by: unknown }>,
  definition: Any | undefined,
  codec: StepCodec | undefined
): Boundary<any> | undefined => {
  if (by === "run") return commonErrors
  if (by !== "workflow") return codec?.error
  if (at === undefined) return definition?.error
  let call = codec?.calls
  for (let n = at; n > 0; n--) call = call?.outer
  return call?.error
}

/** What a body is told of a failure, where that is not all that it was: a replay knows no more than what is stored. */
export const told = (
  cause: Cause.Cause<unknown>,
  definition: Any,
  codec: StepCodec | undefined
): { readonly exit: Exit.Exit<never, unknown>; readonly lost: ReadonlyArray<string> } | undefined => {
  const isOne = cause.reasons.length === 1
  if (Cause.hasDies(cause)) return isOne ? undefined : { exit: Exit.die(Cause.squash(cause)), lost: nothing }
  const error = Cause.findErrorOption(cause)
  if (Option.isNone(error)) return undefined
  const { lost, stored } = encodeError(error.value, definition, codec)
  if (lost.length === 0) return isOne ? undefined : { exit: Exit.fail(error.value), lost }
  const left = fromStoredError((stored as { readonly e: StoredError }).e)
  // Where it came from is for people to read.
  if (error.value instanceof Error) Object.defineProperty(left, "stack", { value: error.value.stack })
  return { exit: Exit.fail(left), lost }
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
  if (Cause.hasDies(cause)) return { d: toStoredError(Cause.squash(cause)).stored }
  return Option.match(Cause.findErrorOption(cause), {
    onNone: (): Stored => ({ i: true }),
    onSome: (error) => encodeError(error, definition, codec).stored
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
  if ("by" in stored) {
    const schema = schemaOf(stored, definition, codec)
    const decoded = schema === undefined ? undefined : decode(ofError(schema), asJson(stored))
    if (decoded !== undefined) return Exit.fail(decoded.value)
    if (stored.by === "plain") return Exit.fail(stored.e)
    if (stored.by === "error") return Exit.fail(fromStoredError(stored.e as StoredError))
    // Who only looks on may not know the workflow.
    return definition === undefined ? Exit.fail(stored.e) : undefined
  }
  if (!("v" in stored)) return Exit.void
  if (output === undefined) return Exit.succeed(stored.v)
  const decoded = decode(output, stored.v)
  return decoded === undefined ? undefined : Exit.succeed(decoded.value)
}

/** Reads JSON of our own tables; `any`, as who wrote it knows what it is. */
export const parse = (text: unknown): any => (typeof text === "string" ? JSON.parse(text) : text)

/** What a schema reads of an error; one that was stored without a schema may have got one since. */
const asJson = (stored: Extract<Stored, { by: unknown }>): unknown => {
  if (stored.by !== "error") return stored.e
  const { fields, message } = stored.e as StoredError
  return { message, ...fields }
}

/** The effect of a step's recorded end. */
export const replay = (stored: Stored, exit: Exit.Exit<unknown, unknown>): Effect.Effect<unknown, unknown> =>
  isCut(stored) ? Effect.never : exit
