/**
 * What a model call asks for, as far as anybody is told who reads of a mismatch: what is not the same, and no word of it.
 */
import { hash } from "node:crypto"
import type { ModelPlace } from "../../internal/journal.ts"

/** Kind and model, and a digest of each other part. */
export type Asked = Readonly<Record<string, string>>

export const askedOf = ({ request }: ModelPlace): Asked => {
  const { kind, model, parts } = request()
  const digests = Object.entries(parts).map(([name, text]) => [name, hash("sha256", text).slice(0, 8)] as const)
  return { kind, model, ...Object.fromEntries(digests) }
}

export const describeCall = ({ kind, model }: Asked): string => `${kind} call${model === "" ? "" : ` of "${model}"`}`

const others: Readonly<Record<string, string>> = {
  prompt: "another prompt",
  tools: "other tools",
  toolChoice: "another tool choice",
  format: "another format",
  settings: "other settings",
  input: "another input",
  decisions: "other decisions"
}

const advice =
  "what it has of the time, of chance or of the outside should come out of a step; " +
  "to ask it anew all the same, cancel the run and use Engine.retry"

/** A call that was made where another one is recorded. */
export const describeOther = (found: Asked, expected: Asked | undefined): string => {
  const other = `a new ${describeCall(found)}`
  if (expected === undefined || found.kind !== expected.kind || found.model !== expected.model) return other
  const differing = Object.keys(others).filter((part) => found[part] !== expected[part])
  if (differing.length === 0) return other
  const changed = `one with ${differing.map((part) => others[part]).join(" and ")}`
  return differing.includes("prompt") || differing.includes("input") ? `${changed} (${advice})` : changed
}
