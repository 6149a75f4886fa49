/**
 * What the scripted model and the scripted human share: lines that are used once and in order, each for what it fits.
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"

/**
 * A test ended before its script did, or something came up that the script has no line for.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * new ScriptedModel.ScriptNotFollowed({ of: "model", unused: ['2: text "bye"'], unexpected: [] }).message // => 'The script of the model was not followed\n  not used: 2: text "bye"'
 * ```
 */
export class ScriptNotFollowed extends Schema.TaggedError<ScriptNotFollowed>("effect-baton/testing/ScriptNotFollowed")(
  "ScriptNotFollowed",
  {
    /** Whose script it is. */
    of: Schema.String,
    /** The lines that were never used. */
    unused: Schema.Array(Schema.String),
    /** What came up and no line fitted. */
    unexpected: Schema.Array(Schema.String)
  }
) {
  override get message(): string {
    return [
      `The script of the ${this.of} was not followed`,
      ...this.unused.map((line) => `  not used: ${line}`),
      ...this.unexpected.map((line) => `  unexpected: ${line}`)
    ].join("\n")
  }
}

/** Whether text fits: it has the string in it, or matches the pattern. */
export type TextMatcher = string | RegExp

export const matchesText = (matcher: TextMatcher, text: string): boolean =>
  Predicate.isString(matcher) ? text.includes(matcher) : new RegExp(matcher.source, matcher.flags).test(text)

/** One line, and how often it may still be used. */
export interface Entry<Line> {
  readonly line: Line
  readonly position: number
  left: number
  used: number
}

export const entries = <Line extends { readonly times: number }>(
  lines: ReadonlyArray<Line>
): ReadonlyArray<Entry<Line>> => lines.map((line, i) => ({ line, position: i + 1, left: line.times, used: 0 }))

/** The first line that is left and fits; it counts as used. */
export const take = <Line>(
  script: ReadonlyArray<Entry<Line>>,
  fits: (line: Line) => boolean
): Entry<Line> | undefined => {
  const entry = script.find((entry) => entry.left > 0 && fits(entry.line))
  if (entry === undefined) return undefined
  entry.left--
  entry.used++
  return entry
}

/** The lines of which a test should have used more. A line that may be used any number of times has to be used once. */
export const unused = <Line>(script: ReadonlyArray<Entry<Line>>): ReadonlyArray<Entry<Line>> =>
  script.filter((entry) => (entry.left === Number.POSITIVE_INFINITY ? entry.used === 0 : entry.left > 0))

/** The lines that could still be used. */
export const left = <Line>(script: ReadonlyArray<Entry<Line>>): ReadonlyArray<Entry<Line>> =>
  script.filter((entry) => entry.left > 0)

/** At most 300 characters. */
export const shorten = (text: string): string => (text.length <= 300 ? text : `${text.slice(0, 300)}…`)
