import { Effect, Stream } from "effect"
import { AiError, LanguageModel, type Response } from "effect/ai"

type Parts = ReadonlyArray<Response.PartEncoded>

export const finish = (
  inputTokens = 0,
  outputTokens = 0,
  more: { readonly cached?: number; readonly written?: number; readonly reason?: Response.FinishReason } = {}
): Response.FinishPartEncoded => ({
  type: "finish",
  reason: more.reason ?? "stop",
  response: undefined,
  usage: {
    inputTokens: { uncached: undefined, total: inputTokens, cacheRead: more.cached, cacheWrite: more.written },
    outputTokens: { total: outputTokens, text: undefined, reasoning: undefined }
  }
})

export const says = (text: string, inputTokens = 0, outputTokens = 0): Parts => [
  { type: "text", text },
  finish(inputTokens, outputTokens)
]

export const failsWith = (reason: AiError.AiErrorReason): AiError.AiError =>
  AiError.make({ module: "Scripted", method: "generateText", reason })

export const down = failsWith(new AiError.InternalProviderError({ description: "down" }))

export const delta = (text: string, id = "1"): Response.TextDeltaPartEncoded => ({
  type: "text-delta",
  id,
  delta: text
})

/** What a model does at its calls, one after the other; the last one stands for all that follow. */
export type Answer = Parts | AiError.AiError | Effect.Effect<Parts, AiError.AiError>
export type Flow =
  | ReadonlyArray<Response.StreamPartEncoded>
  | Stream.Stream<Response.StreamPartEncoded, AiError.AiError>

/** A model that follows a script and keeps what it was asked. */
export const script = (answers: Answer | ReadonlyArray<Answer>, flows: ReadonlyArray<Flow> = []) =>
  Effect.gen(function* () {
    const asked: Array<LanguageModel.ProviderOptions> = []
    const list = isAnswer(answers) ? [answers] : answers
    let streams = 0
    const model = yield* LanguageModel.make({
      generateText: (options) =>
        Effect.suspend(() => {
          const answer = list[Math.min(asked.length, list.length - 1)]!
          asked.push(options)
          if (AiError.isAiError(answer)) return Effect.fail(answer)
          return (Effect.isEffect(answer) ? answer : Effect.succeed(answer)) as Effect.Effect<
            Array<Response.PartEncoded>,
            AiError.AiError
          >
        }),
      streamText: (options) =>
        Stream.suspend(() => {
          asked.push(options)
          const flow = flows[Math.min(streams++, flows.length - 1)]!
          return Array.isArray(flow)
            ? Stream.fromIterable(flow as ReadonlyArray<Response.StreamPartEncoded>, { chunkSize: 1 })
            : (flow as Stream.Stream<Response.StreamPartEncoded, AiError.AiError>)
        })
    })
    return { model, asked }
  })

const isAnswer = (answers: Answer | ReadonlyArray<Answer>): answers is Answer =>
  !Array.isArray(answers) || answers.length === 0 || ("type" in answers[0] && !AiError.isAiError(answers[0]))
