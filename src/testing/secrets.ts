/**
 * Taking secrets out of what is written to a file.
 */
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"

/** What must not be written: an exact text, or what a pattern finds. */
export type Secret = string | RegExp | Redacted.Redacted<string>

/** Stands where a secret was. */
export const redacted = "[redacted]"

/** What looks like a key wherever it stands. Prose must pass: what follows a telling word has to have a digit in it. */
const patterns: ReadonlyArray<readonly [pattern: RegExp, replacement: string]> = [
  [/\b(Bearer|Basic)\s+(?=[\w.~+/-]*\d)[\w.~+/-]{12,}=*/gi, `$1 ${redacted}`],
  [
    /\b(?:sk|rk|pk|gsk|xai|pplx|fw|r8|hf|nvapi|csk|xox[abprs]|gh[opsru]|github_pat)[-_](?=[\w-]*\d)[\w-]{8,}/g,
    redacted
  ],
  [/\bAIza[\w-]{16,}/g, redacted],
  [/\bA(?:KIA|SIA)[0-9A-Z]{16}\b/g, redacted],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+/g, redacted],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g, redacted],
  [
    /((?:api[-_ ]?key|access[-_ ]?token|auth[-_ ]?token|authorization|secret|password)[\\"']*\s*[:=]\s*[\\"']*)(?=[^\s\\"',;&}]*\d)[^\s\\"',;&}[\]]{8,}/gi,
    `$1${redacted}`
  ]
]

/** Names of headers and fields whose text is a secret, whatever it looks like. */
const fields =
  /^(?:proxy-)?authorization$|^(?:set-)?cookie$|api[-_]?key$|(?:access|auth|bearer|refresh|security|session)[-_]?token$|secret$|(?:access|private|secret)[-_]?key$|password$|passphrase$|^credentials?$/i

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

const toPattern = (secret: Secret): ReadonlyArray<RegExp> => {
  if (secret instanceof RegExp)
    return [new RegExp(secret.source, secret.flags.includes("g") ? secret.flags : `${secret.flags}g`)]
  const text = Redacted.isRedacted(secret) ? Redacted.value(secret) : secret
  return text === "" ? [] : [new RegExp(escape(text), "g")]
}

/** Takes secrets out of JSON; what has none left stays as it is. */
export const redact = (secrets: ReadonlyArray<Secret>): (<A>(json: A) => A) => {
  const all = [...secrets.flatMap(toPattern).map((pattern) => [pattern, redacted] as const), ...patterns]
  const text = (value: string): string => all.reduce((text, [pattern, by]) => text.replace(pattern, by), value)
  const walk = (json: unknown): unknown => {
    if (Predicate.isString(json)) return text(json)
    if (Array.isArray(json)) return json.map(walk)
    if (!Predicate.isObject(json)) return json
    return Object.fromEntries(
      Object.entries(json as Record<string, Schema.Json>).map(([key, value]) => [
        text(key),
        fields.test(key) && Predicate.isString(value) ? redacted : walk(value)
      ])
    )
  }
  return walk as <A>(json: A) => A
}
