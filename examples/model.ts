/** The model of the examples: a provider's where the environment names one, else a script, so that they run offline. */
import { Effect, Layer } from "effect"
import type { LanguageModel } from "effect/ai"
import { Models } from "effect-baton"
import { ScriptedModel } from "effect-baton/testing"

const { ANTHROPIC_API_KEY, MODEL, OPENAI_API_KEY, OPENAI_BASE_URL } = process.env

/** A provider's package is loaded only where it is asked. */
const load = async () => {
  if (OPENAI_API_KEY !== undefined || OPENAI_BASE_URL !== undefined) {
    const { createOpenAI } = await import("@ai-sdk/openai")
    // The address is read from OPENAI_BASE_URL. A server of one's own often wants no key.
    return createOpenAI({ apiKey: OPENAI_API_KEY ?? "none" }).chat(MODEL ?? "gpt-5-mini")
  }
  const { anthropic } = await import("@ai-sdk/anthropic")
  return anthropic(MODEL ?? "claude-haiku-4-5")
}

const isHosted = [ANTHROPIC_API_KEY, OPENAI_API_KEY, OPENAI_BASE_URL].some((setting) => setting !== undefined)

/** A layer with the provider's model, else with one that says these lines. */
export const modelOr = (script: ScriptedModel.Script): Layer.Layer<LanguageModel.LanguageModel> =>
  Layer.unwrap(
    isHosted
      ? Effect.map(Effect.promise(load), (model) => Models.fromAiSdk(model))
      : Effect.map(ScriptedModel.make(script), ({ layer }) => layer)
  )
