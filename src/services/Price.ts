/**
 * What tokens cost.
 */
import type * as DecisionModel from "effect/ai/DecisionModel"
import type * as Response from "effect/ai/Response"
import * as Schema from "effect/Schema"
import { Amount } from "../internal/schema.ts"

/** Prices of a model, in US dollars for a million tokens. */
export interface Price {
  readonly inputPerMillion: number
  readonly outputPerMillion: number
  /** Input that the provider read from its cache. Default: `inputPerMillion`. */
  readonly cachedInputPerMillion?: number | undefined
  /** Input that the provider wrote to its cache. Default: `inputPerMillion`. */
  readonly cacheWritePerMillion?: number | undefined
}

/**
 * Schema of a price.
 *
 * **Example** (Checking a price)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Models } from "effect-baton"
 *
 * Schema.is(Models.Price)({ inputPerMillion: 0.25, outputPerMillion: 1.25, cachedInputPerMillion: 0.03 }) // => true
 * Schema.is(Models.Price)({ inputPerMillion: -1, outputPerMillion: 1.25 }) // => false
 * ```
 */
export const Price: Schema.Codec<Price> = Schema.Struct({
  inputPerMillion: Amount,
  outputPerMillion: Amount,
  cachedInputPerMillion: Schema.optional(Amount),
  cacheWritePerMillion: Schema.optional(Amount)
})

/** How many tokens a call used; what the provider does not tell is 0. */
export interface Tokens {
  readonly input: number
  /** Part of `input`. */
  readonly cachedInput: number
  /** Part of `input`. */
  readonly cacheWrite: number
  readonly output: number
  /** Part of `output`. */
  readonly reasoning: number
}

export const noTokens: Tokens = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 }

const count = (n: number | undefined): number => (n !== undefined && n > 0 && Number.isFinite(n) ? Math.round(n) : 0)

/** The tokens of an answer's usage. */
export const tokensOf = (usage: Response.Usage): Tokens => {
  const { inputTokens, outputTokens } = usage
  const cachedInput = count(inputTokens.cacheRead)
  const cacheWrite = count(inputTokens.cacheWrite)
  const reasoning = count(outputTokens.reasoning)
  return {
    input: count(inputTokens.total) || count(inputTokens.uncached) + cachedInput + cacheWrite,
    cachedInput,
    cacheWrite,
    output: count(outputTokens.total) || count(outputTokens.text) + reasoning,
    reasoning
  }
}

/** The tokens of a decision model's answer. */
export const tokensOfDecision = ({ inputTokens, outputTokens }: DecisionModel.DecisionUsage): Tokens => ({
  ...noTokens,
  input: count(inputTokens),
  output: count(outputTokens)
})

/** What tokens cost, in US dollars; 0 without a price. */
export const costUsd = (price: Price | undefined, tokens: Tokens): number => {
  if (price === undefined) return 0
  const { cacheWritePerMillion, cachedInputPerMillion, inputPerMillion, outputPerMillion } = price
  const read = Math.min(tokens.cachedInput, tokens.input)
  const written = Math.min(tokens.cacheWrite, tokens.input - read)
  const inputUsd = (tokens.input - read - written) * inputPerMillion
  const readUsd = read * (cachedInputPerMillion ?? inputPerMillion)
  const writtenUsd = written * (cacheWritePerMillion ?? inputPerMillion)
  return (inputUsd + readUsd + writtenUsd + tokens.output * outputPerMillion) / 1_000_000
}
