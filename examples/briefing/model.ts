/**
 * The language model that the desk asks. This is the only place that knows which one: the environment says, and
 * `--model` and `--price` say more.
 *
 * - `OPENAI_BASE_URL`: any server that speaks OpenAI's Chat Completions, with `OPENAI_API_KEY` where it wants a key.
 * - `OPENAI_API_KEY`: OpenAI.
 * - `ANTHROPIC_API_KEY`: Anthropic. Next to one of the others it is asked for models whose names begin with `claude`.
 * - None of them: the local extractive model, offline.
 */
import { Config, Context, Effect, Layer, Option, Redacted, Schema } from "effect"
import type { AiError, LanguageModel } from "effect/ai"
import { Models } from "effect-baton"
import type { AiSdkModel } from "effect-baton/AiSdk"
import * as Extractive from "./extractive/ExtractiveModel.ts"

/** What a reader should know of who wrote a brief. */
export class Byline extends Context.Service<Byline, string>()("briefing/Byline") {}

/** The model, as far as somebody needs to know it who does not ask it. */
export class Writer extends Context.Service<
  Writer,
  {
    /** Tells models apart. */
    readonly id: string
    /** What to do about an error, where its own message does not say it. */
    readonly advice: (error: AiError.AiError) => string | undefined
  }
>()("briefing/Writer") {}

/** What the environment and the command line say together names no model that can be asked. */
export class NoModel extends Schema.TaggedError<NoModel>()("NoModel", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

/** What the command line says of the model. */
export interface Choice {
  /** The provider's name of it. Default: a small one. */
  readonly model?: string | undefined
  /** Default: what is known, or else nothing. */
  readonly price?: Models.Price | undefined
}

type Services = LanguageModel.LanguageModel | Byline | Writer

export const extractive: Layer.Layer<Services> = Layer.mergeAll(
  Models.layer({ [Extractive.name]: { model: Extractive.layer, concurrency: 8 } }),
  Layer.succeed(
    Byline,
    `Extractive: ${Extractive.name} selected these sentences from the documents and wrote none of its own.`
  ),
  Layer.succeed(Writer, { id: Extractive.name, advice: () => undefined })
)

/** The model that the environment and the command line choose. */
export const layer = (choice: Choice = {}): Layer.Layer<Services, NoModel | Config.ConfigError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const provider = yield* provide(choice)
      if (provider !== undefined) return hosted(provider, choice)
      if (choice.model === undefined) return extractive
      return yield* new NoModel({
        problem: `No provider to ask for the model "${choice.model}": set OPENAI_API_KEY, ANTHROPIC_API_KEY or OPENAI_BASE_URL, or leave out --model`
      })
    })
  )

const hosted = (provider: Provider, choice: Choice): Layer.Layer<Services> => {
  const model = choice.model ?? provider.model
  const id = `${provider.name}/${model}`
  const entry = {
    model: Layer.unwrap(Effect.promise(async () => Models.fromAiSdk(await provider.load(model)))),
    price: choice.price ?? provider.prices[model],
    concurrency: 8,
    retry: { attempts: 3, delay: "1 second", backoff: "exponential", maxDelay: "30 seconds", jitter: true }
  } as const
  return Layer.mergeAll(
    Models.layer({ [id]: entry }),
    Layer.succeed(Byline, `Written by the language model ${model} of ${provider.name}: check what matters.`),
    Layer.succeed(Writer, { id, advice: advice(provider, model) })
  )
}

const advice =
  ({ keyName, name }: Provider, model: string) =>
  ({ reason }: AiError.AiError): string | undefined => {
    switch (reason._tag) {
      case "AuthenticationError":
        return `${name} does not accept the key: set ${keyName} to one that it knows and that may use ${model}`
      case "QuotaExhaustedError":
        return `The account at ${name} has nothing left to spend: top it up, or set another ${keyName}`
      case "InvalidRequestError":
        return `${name} does not take this request: is there a model "${model}"? If not, name another with --model`
      case "NetworkError":
        return `${name} can not be reached: is the address right, and the server up?`
      default:
        return undefined
    }
  }

// -----------------------------------------------------------------------------
// Providers
// -----------------------------------------------------------------------------

interface Provider {
  readonly name: string
  /** The variable that its key is in. */
  readonly keyName: string
  /** The model it is asked for where nobody says which. */
  readonly model: string
  /** In US dollars for a million tokens. */
  readonly prices: Readonly<Record<string, Models.Price>>
  /** The package is loaded only now: who asks the local model needs none. */
  readonly load: (model: string) => Promise<AiSdkModel>
}

const provide = Effect.fnUntraced(function* ({ model }: Choice) {
  const [openAiKey, anthropicKey, url] = yield* Effect.all([
    readKey("OPENAI_API_KEY"),
    readKey("ANTHROPIC_API_KEY"),
    readUrl("OPENAI_BASE_URL")
  ])
  const isClaude = model?.startsWith("claude") === true
  if (anthropicKey !== undefined && (isClaude || (openAiKey === undefined && url === undefined))) {
    return anthropic(anthropicKey)
  }
  if (url !== undefined) return compatible(url, openAiKey)
  return openAiKey === undefined ? undefined : openAi(openAiKey)
})

type Key = Redacted.Redacted<string>

const openAi = (key: Key): Provider => ({
  name: "OpenAI",
  keyName: "OPENAI_API_KEY",
  model: "gpt-5-mini",
  prices: { "gpt-5-mini": { inputPerMillion: 0.25, outputPerMillion: 2, cachedInputPerMillion: 0.025 } },
  load: async (model) => {
    const { createOpenAI } = await import("@ai-sdk/openai")
    return createOpenAI({ apiKey: Redacted.value(key), fetch: discreet(key) })(model)
  }
})

const anthropic = (key: Key): Provider => ({
  name: "Anthropic",
  keyName: "ANTHROPIC_API_KEY",
  model: "claude-haiku-4-5",
  prices: { "claude-haiku-4-5": { inputPerMillion: 1, outputPerMillion: 5, cachedInputPerMillion: 0.1 } },
  load: async (model) => {
    const { createAnthropic } = await import("@ai-sdk/anthropic")
    return createAnthropic({ apiKey: Redacted.value(key), fetch: discreet(key) })(model)
  }
})

/** A server's prices and models are its own: it is asked for the model that most gateways know. */
const compatible = (url: URL, key: Key | undefined): Provider => ({
  name: url.host,
  keyName: "OPENAI_API_KEY",
  model: "gpt-5-mini",
  prices: {},
  load: async (model) => {
    const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible")
    const secret = key === undefined ? {} : { apiKey: Redacted.value(key), fetch: discreet(key) }
    return createOpenAICompatible({ name: "openai", baseURL: url.href, supportsStructuredOutputs: true, ...secret })(
      model
    )
  }
})

/** A provider may repeat the key in what it says of a request: nobody is to read it there. */
const discreet =
  (key: Key): typeof fetch =>
  async (input, init) => {
    const response = await fetch(input, init)
    if (response.ok) return response
    return new Response((await response.text()).replaceAll(Redacted.value(key), "[redacted]"), response)
  }

// -----------------------------------------------------------------------------
// Environment
// -----------------------------------------------------------------------------

const readText = (name: string) =>
  Effect.map(Config.option(Config.Redacted(name)), (found) => {
    const text = Option.isSome(found) ? Redacted.value(found.value).trim() : ""
    return text === "" ? undefined : text
  })

/** What can not stand in a header would be shown by the error that says so. */
const readKey = Effect.fnUntraced(function* (name: string) {
  const text = yield* readText(name)
  if (text === undefined) return undefined
  if (/^[\x21-\x7e]+$/.test(text)) return Redacted.make(text)
  return yield* new NoModel({ problem: `${name} has characters that no key has: set it to the key alone` })
})

/** Of an address only the host is shown: there may be a password in the rest. */
const readUrl = Effect.fnUntraced(function* (name: string) {
  const text = yield* readText(name)
  if (text === undefined) return undefined
  const url = URL.parse(text)
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}` === ""
  if (isPlain) return url
  return yield* new NoModel({
    problem: `${name} must be an address such as http://localhost:11434/v1; a key belongs in OPENAI_API_KEY`
  })
})
