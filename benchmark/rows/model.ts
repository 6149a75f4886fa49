/**
 * What the rows about models share: who asks, and what.
 *
 * Over HTTP everybody asks one server in a process of its own: Effect, Baton, the AI SDK and Mastra through the same model object
 * of `@ai-sdk/openai-compatible`, LangChain through its own `ChatOpenAI`; all of them use Node's `fetch`. Bare is `effect/ai`'s
 * `LanguageModel` over that object, made by `Models.fromAiSdk` and used outside of any execution. Without HTTP the answer lies
 * ready in memory. Nobody retries, traces or keeps a conversation.
 *
 * Baton does with every call what it can do: a run of its own with one step, under a budget of calls, tokens and cost, of a model
 * with a price.
 */
import type { MastraModelConfig } from "@mastra/core/llm"
import { Effect, Layer, ManagedRuntime, Schema, Stream } from "effect"
import { LanguageModel, type Response } from "effect/ai"
import { verify } from "../harness.ts"
import { answer, startMockServer, streamTokens, token } from "../mockServer.ts"

export type Asked = "call" | "stream"

/** Asks once, and answers how many characters came back. */
export type Ask = () => Promise<number>

/** Where the model is. */
interface Place {
  readonly baseURL: string
  /** The model as bare Effect and Baton see it. */
  readonly layer: () => Promise<Layer.Layer<LanguageModel.LanguageModel>>
}

type Asker = (asked: Asked, place: Place) => Promise<Ask>

const prompt = "Which word do you like best, and how often would you say it if nobody stopped you? Only say that."

// -----------------------------------------------------------------------------
// Places
// -----------------------------------------------------------------------------

const providerModel = async (baseURL: string) => {
  const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible")
  return createOpenAICompatible({ name: "mock", baseURL, apiKey: "none", includeUsage: true })("mock")
}

const overHttp = async (): Promise<Place> => {
  const baseURL = await startMockServer()
  const layer = async () => {
    const { Models } = await import("effect-baton")
    return Models.fromAiSdk(await providerModel(baseURL))
  }
  return { baseURL, layer }
}

const finish = (tokens: number): Response.FinishPartEncoded => ({
  type: "finish",
  reason: "stop",
  response: undefined,
  usage: {
    inputTokens: { uncached: 40, total: 40, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: tokens, text: tokens, reasoning: undefined }
  }
})

const streamed: ReadonlyArray<Response.StreamPartEncoded> = [
  { type: "text-start", id: "0" },
  ...Array.from({ length: streamTokens }, () => ({ type: "text-delta", id: "0", delta: token }) as const),
  { type: "text-end", id: "0" },
  finish(streamTokens)
]

/** A model whose answers lie ready. Its stream gives one part at a time, as the adapter of a provider does. */
const inProcess = async (): Promise<Place> => {
  const model = LanguageModel.make({
    generateText: () => Effect.succeed([{ type: "text", text: answer }, finish(100)]),
    streamText: () => Stream.rechunk(Stream.fromIterable(streamed), 1)
  })
  return { baseURL: "", layer: async () => Layer.effect(LanguageModel.LanguageModel, model) }
}

// -----------------------------------------------------------------------------
// Askers
// -----------------------------------------------------------------------------

const ask = (asked: Asked): Effect.Effect<number, unknown, LanguageModel.LanguageModel> =>
  asked === "call"
    ? Effect.map(LanguageModel.generateText({ prompt }), ({ text }) => text.length)
    : Stream.runFold(
        LanguageModel.streamText({ prompt }),
        () => 0,
        (length, part) => (part.type === "text-delta" ? length + part.delta.length : length)
      )

const bare: Asker = async (asked, { layer }) => {
  const runtime = ManagedRuntime.make(await layer())
  return () => runtime.runPromise(ask(asked))
}

const baton: Asker = async (asked, { layer }) => {
  const { Engine, Models, Step, Workflow } = await import("effect-baton")
  const workflow = Workflow.make("ask", {
    output: Schema.Number,
    run: () => Step.make("ask", { run: Effect.orDie(ask(asked)) })
  })
  const models = Models.layer({ mock: { model: await layer(), price: { inputPerMillion: 1, outputPerMillion: 5 } } })
  const runtime = ManagedRuntime.make(Layer.merge(models, Engine.layerMemory))
  return () =>
    Effect.gen(function* () {
      const run = yield* workflow.run(prompt, { budget: { modelCalls: 10, tokens: 1_000_000, cost: 10 } })
      const execution = yield* run.start
      return yield* execution.result
    }).pipe(runtime.runPromise)
}

const lengthOf = async (texts: AsyncIterable<string>): Promise<number> => {
  let length = 0
  for await (const text of texts) length += text.length
  return length
}

const aiSdk: Asker = async (asked, { baseURL }) => {
  const { generateText, streamText } = await import("ai")
  const request = { model: await providerModel(baseURL), prompt, maxRetries: 0 }
  if (asked === "call") return async () => (await generateText(request)).text.length
  return () => lengthOf(streamText(request).textStream)
}

const langchain: Asker = async (asked, { baseURL }) => {
  const { ChatOpenAI } = await import("@langchain/openai")
  const model = new ChatOpenAI({ model: "mock", apiKey: "none", maxRetries: 0, configuration: { baseURL } })
  if (asked === "call") return async () => (await model.invoke(prompt)).text.length
  return async () => {
    let length = 0
    for await (const chunk of await model.stream(prompt)) length += chunk.text.length
    return length
  }
}

const mastra: Asker = async (asked, { baseURL }) => {
  process.env["MASTRA_TELEMETRY_DISABLED"] = "1"
  const { Agent } = await import("@mastra/core/agent")
  // Mastra's types are of another version of `@ai-sdk/provider`.
  const model = (await providerModel(baseURL)) as unknown as MastraModelConfig
  const agent = new Agent({ id: "mock", name: "mock", instructions: "", model, maxRetries: 0 })
  if (asked === "call") return async () => (await agent.generate(prompt)).text.length
  return async () => lengthOf((await agent.stream(prompt)).textStream)
}

export const askers = { bare, baton, "ai sdk": aiSdk, langchain, mastra }
export const places = { overHttp, inProcess }

const lengths: Readonly<Record<Asked, number>> = { call: answer.length, stream: streamTokens * token.length }

/** Asks so many at once, and that so often. */
export const repeat = async (ask: Ask, asked: Asked, atOnce: number, count: number): Promise<number> => {
  for (let i = 0; i < count; i++) {
    for (const length of await Promise.all(Array.from({ length: atOnce }, ask))) verify(length, lengths[asked])
  }
  return count
}
