/**
 * What must not be read in an error: the credentials that a provider's package sends, and what looks like one.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"

/** A short value would be found in too many words that are no secret. */
const minLength = 8

type Headers = Readonly<Record<string, string | undefined>>

/** The values whose names say that they are secret, with and without the scheme before them. */
const named = (headers: Headers): ReadonlyArray<string> =>
  Object.entries(headers).flatMap(([name, value]) =>
    value === undefined || !/auth|key|token|secret|cookie|password/i.test(name)
      ? []
      : [value, value.replace(/^(?:Bearer|Basic)\s+/i, "")]
  )

const parts = { path: "", modelId: "" }

/** The packages of providers keep in `config` how they get the headers and addresses of their requests. */
const own = (model: unknown): Effect.Effect<ReadonlyArray<string>> => {
  const config = Predicate.hasProperty(model, "config") ? model.config : undefined
  const headers = Predicate.hasProperty(config, "headers") ? config.headers : undefined
  const url = Predicate.hasProperty(config, "url") ? config.url : undefined
  const read = async () => {
    const sent = (Predicate.isFunction(headers) ? await headers() : headers) as Headers | undefined
    const query = Predicate.isFunction(url) ? URL.parse(String(url(parts)))?.searchParams : undefined
    return [...named(sent ?? {}), ...named(Object.fromEntries(query ?? []))]
  }
  // Where there is no key this fails, as the call did.
  return Effect.catchCause(Effect.promise(read), () => Effect.succeed([]))
}

/** All that is known to be secret, the longest first. It is looked up when something has failed. */
export const secretsOf = (
  model: unknown,
  headers: Headers = {},
  given: ReadonlyArray<Redacted.Redacted<string>> = []
): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(own(model), (own) =>
    [...own, ...named(headers), ...given.map(Redacted.value)]
      .filter((secret) => secret.length >= minLength)
      .sort((a, b) => b.length - a.length)
  )

const redacted = "[redacted]"

/** What looks like a credential, since a provider may echo the request it refuses. */
const patterns: ReadonlyArray<readonly [pattern: RegExp, replacement: string]> = [
  [/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, `$1 ${redacted}`],
  [/\b(?:sk|rk|pk|gsk|xai|pplx|fw|r8|hf|nvapi|csk)[-_][\w*-]{6,}/g, redacted],
  [/\bAIza[\w-]{16,}/g, redacted],
  [
    /((?:api[-_ ]?key|access[-_ ]?token|auth[-_ ]?token|authorization|secret|password)[\\"']*(?:\s+\w+)?\s*[:=]\s*[\\"']*)(?!Bearer|Basic)[^\s\\"',;&}]+/gi,
    `$1${redacted}`
  ]
]

/** A text as it stands elsewhere: in an address, in a query, in JSON. */
const formsOf = (text: string): ReadonlySet<string> =>
  new Set([
    text,
    encodeURIComponent(text),
    new URLSearchParams([["", text]]).toString().slice(1),
    JSON.stringify(text).slice(1, -1)
  ])

/** The text without secrets, in all their forms. */
export const redact = (text: string, secrets: ReadonlyArray<string>): string => {
  let out = text
  for (const secret of secrets) for (const form of formsOf(secret)) out = out.replaceAll(form, redacted)
  for (const [pattern, replacement] of patterns) out = out.replace(pattern, replacement)
  return out
}
