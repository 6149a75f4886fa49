/**
 * Schema pieces that the public data modules share.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"

const units = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"] as const

/** An object of units, such as a `Temporal.Duration`; any other object would be taken for one without any. */
const isUnits = (u: Record<PropertyKey, unknown>): boolean =>
  Object.keys(u).every((key) => units.some((unit) => unit === key)) &&
  units.some((unit) => u[unit] !== undefined) &&
  units.every((unit) => u[unit] === undefined || (typeof u[unit] === "number" && !Number.isNaN(u[unit])))

const isDurationInput = (u: unknown): u is Duration.Input => {
  if (Number.isNaN(u)) return false
  if (Array.isArray(u) && u.some(Number.isNaN)) return false
  if (Predicate.isObject(u) && !Duration.isDuration(u) && !isUnits(u)) return false
  return Option.match(Duration.fromInput(u as Duration.Input), {
    onNone: () => false,
    onSome: (duration) => !Duration.isNegative(duration)
  })
}

/** Anything `Duration.fromInput` takes, except what is NaN or negative. */
export const DurationInput = Schema.declare<Duration.Input>(isDurationInput, {
  expected: `a duration that is not negative, such as "30 seconds" or 500 (milliseconds)`
})

/** A callback that options carry: data for the types, opaque to the schema. */
export const Callback = <F>() =>
  Schema.declare<F>((u): u is F => Predicate.isFunction(u) || Effect.isEffect(u), {
    expected: "an Effect, or a function that returns one"
  })

/** A whole number from `minimum` up. */
export const Count = (minimum: number) =>
  Schema.Int.check(Schema.isGreaterThanOrEqualTo(minimum, { expected: `a whole number, ${minimum} or more` }))

/** A finite number that is not negative. */
export const Amount = Schema.Finite.check(
  Schema.isGreaterThanOrEqualTo(0, { expected: "a number that is not negative" })
)

const storable = /^[^\0\p{Surrogate}]*$/u

/** Whether every database takes a text as it is: PostgreSQL takes no NUL and no half of a surrogate pair. */
export const isStorable = (text: string): boolean => storable.test(text)

/** A text by which something is found. */
export const Name = Schema.String.check(
  Schema.isPattern(storable, { expected: "a text without NUL and halves of surrogate pairs" })
)

/** What is wrong with a value: where, what stands there, and what was expected. */
export interface Problem {
  readonly path: string
  readonly value: string
  readonly message: string
}

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** At most `limit` characters of a value, as a person would write it down; what is `Redacted` stays hidden. */
export const show = (value: unknown, limit = 200): string => {
  const text =
    typeof value === "string" ? JSON.stringify(value) : Predicate.isFunction(value) ? "a function" : print(value)
  return text.length <= limit ? text : `${text.slice(0, limit)}…`
}

const print = (value: unknown): string =>
  Result.getOrElse(
    Result.try(() => toJson(value)),
    () => "a value that can not be shown"
  )

/** More objects than anybody reads, and fewer than what shares many can unfold to. */
const maxShown = 1000

const toJson = (value: unknown): string => {
  // The objects that the one being written is in.
  const around: Array<unknown> = []
  let count = 0
  const text = JSON.stringify(value, function (this: unknown, _key, u: unknown) {
    if (typeof u === "bigint") return `${u}n`
    if (typeof u === "number" && !Number.isFinite(u)) return String(u)
    if (typeof u !== "object" || u === null) return u
    while (around.length > 0 && around[around.length - 1] !== this) around.pop()
    if (around.includes(u)) return "[circular]"
    if (++count > maxShown) return "…"
    around.push(u)
    return u
  })
  return typeof value === "number" || text === undefined ? String(value) : text
}

const at = (value: unknown, path: ReadonlyArray<PropertyKey>): unknown =>
  path.reduce<unknown>(
    (u, key) => (Predicate.isObjectKeyword(u) ? (u as Record<PropertyKey, unknown>)[key] : undefined),
    value
  )

const segment = (s: unknown): PropertyKey =>
  Predicate.isObjectKeyword(s) && "key" in s ? (s as { readonly key: PropertyKey }).key : (s as PropertyKey)

/** The first of an issue's deepest problems: of a union's members the one that fits best has it. With the value that stands at its path in `input`. */
export const problem = (issue: SchemaIssue.Issue, input: unknown): Problem => {
  const { issues } = formatIssues(issue)
  const depth = Math.max(...issues.map((each) => each.path?.length ?? 0))
  const first = issues.find((each) => (each.path?.length ?? 0) === depth)
  const path = (first?.path ?? []).map(segment)
  return {
    path: path.map(String).join("."),
    value: show(at(input, path)),
    message: first?.message ?? "Invalid value"
  }
}

/** Checks a value against the decoded side of a schema; compiled once. */
export const checker = (schema: Schema.Constraint): ((value: unknown) => Problem | undefined) => {
  const isValid = SchemaParser.is(schema)
  const explain = SchemaParser.decodeUnknownResult(Schema.toType(schema as Schema.Codec<unknown>))
  const check = (value: unknown): Problem | undefined => {
    if (isValid(value)) return undefined
    const result = explain(value)
    return result._tag === "Failure" ? problem(result.failure, value) : undefined
  }
  return (value) => {
    const checked = Result.try(() => check(value))
    if (Result.isSuccess(checked)) return checked.success
    return { path: "", value: show(value), message: `Expected a value that its schema can check: ${checked.failure}` }
  }
}
