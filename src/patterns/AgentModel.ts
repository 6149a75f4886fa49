/**
 * What an agent says to its model, and how it takes the answers.
 */
import * as AiError from "effect/ai/AiError"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { BudgetExceeded } from "../Budget.ts"
import * as Step from "../Step.ts"
import { corrected, modelOf } from "../services/Ask.ts"
import * as Models from "../services/Models.ts"
import type * as Workflow from "../Workflow.ts"
import type { AnyOptions } from "./Agent.ts"
import type * as tools from "./AgentTool.ts"
import type { Answer, Conversation } from "./conversation.ts"
import { shown } from "./prompt.ts"

/** What asking a model and calling a tool can fail with, to be recorded. */
export const CallError = Schema.Union([AiError.AiError, BudgetExceeded])

/** Gives the conversation that an input begins. */
export const starter = ({ input: schema, instructions, prompt }: AnyOptions) => {
  const text = shown(schema ?? Schema.String)
  const system = instructions === undefined ? Prompt.empty : Prompt.make([{ role: "system", content: instructions }])
  return (input: unknown): Prompt.Prompt => {
    const given = prompt !== undefined ? prompt(input) : Prompt.isPrompt(input) ? input : text(input)
    return Prompt.concat(system, Prompt.make(given))
  }
}

/** Asks the model for its next turn. */
export const ask = (
  { model: id, stream = false }: AnyOptions,
  { toolkit }: tools.Resolved,
  prompt: Prompt.Prompt
): Effect.Effect<Answer, AiError.AiError, any> =>
  Effect.gen(function* () {
    const model = yield* modelOf(id)
    const options = { prompt, toolkit, disableToolCallResolution: true, toolCallValidation: "deferred" } as const
    const parts: ReadonlyArray<Response.AnyPart> = stream
      ? yield* Stream.runCollect(model.streamText(options))
      : (yield* model.generateText(options)).content
    return yield* answerOf(parts)
  }).pipe(Effect.provideService(Models.Purpose, "turn")) as Effect.Effect<Answer, AiError.AiError, any>

const answerOf = (parts: ReadonlyArray<Response.AnyPart>): Effect.Effect<Answer, AiError.AiError> => {
  const broken = parts.find((part) => part.type === "error")
  if (broken !== undefined) {
    const { error } = broken
    if (AiError.isAiError(error)) return Effect.fail(error)
    const description = error instanceof Error ? error.message : String(error)
    const reason = new AiError.InternalProviderError({ description })
    return Effect.fail(AiError.make({ module: "Agent", method: "streamText", reason }))
  }
  const finish = parts.find((part) => part.type === "finish")
  const input = finish?.usage.inputTokens.total
  const output = finish?.usage.outputTokens.total
  return Effect.succeed({
    said: Prompt.fromResponseParts(parts),
    finishReason: finish?.reason ?? "stop",
    ...(input === undefined || output === undefined ? undefined : { tokens: input + output })
  })
}

const outputTask = "Give the answer to all of this now, as a JSON value that fits the schema."

/** Gives the output: what the model said last, or an object that it is asked for. */
export const finisher = (options: AnyOptions) => {
  const schema = options.output ?? Schema.String
  if (schema === Schema.String) {
    return (_: tools.Resolved, conversation: Conversation) => Effect.sync(() => conversation.text)
  }
  // Providers give objects only: anything else travels in one.
  const isObject = Schema.toEncoded(schema).ast._tag === "Objects"
  const object: Workflow.Boundary<any> = isObject ? schema : Schema.Struct({ value: schema })
  return ({ toolkit }: tools.Resolved, conversation: Conversation) => {
    const request = (more: ReadonlyArray<Prompt.MessageEncoded>) =>
      Effect.flatMap(modelOf(options.model), (model) =>
        model.generateObject({
          prompt: Prompt.concat(conversation.history, [{ role: "user", content: outputTask }, ...more]),
          schema: object,
          objectName: "output",
          // Where a conversation has calls of tools, some providers want to know the tools.
          toolkit,
          toolChoice: "none",
          disableToolCallResolution: true
        })
      )
    const run = corrected(request, outputTask).pipe(
      Effect.map(({ value }) => (isObject ? value : value.value)),
      Effect.provideService(Models.Purpose, "output")
    )
    return Step.make("output", { output: schema, error: CallError, run: run as Effect.Effect<any, any, any> })
  }
}
