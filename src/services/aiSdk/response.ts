/**
 * What an AI SDK provider answers as `effect/ai` response parts.
 *
 * V3 and V4 name their parts alike and are read by the same functions.
 */
import type {
  LanguageModelV3Content,
  LanguageModelV3GenerateResult,
  LanguageModelV3StreamPart,
  LanguageModelV4Content,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart
} from "@ai-sdk/provider"
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { type ErrorContext, failWith, incompleteResponse } from "./error.ts"
import type { Schemas } from "./schema.ts"

export type GenerateResult = LanguageModelV3GenerateResult | LanguageModelV4GenerateResult
type Content = LanguageModelV3Content | LanguageModelV4Content
type StreamPart = LanguageModelV3StreamPart | LanguageModelV4StreamPart
type Named<Part extends { readonly type: string }, Type extends Part["type"]> = Extract<Part, { readonly type: Type }>
type Text = Named<Content, "text" | "reasoning">
type Finish = Pick<GenerateResult, "finishReason" | "usage" | "providerMetadata">

/** What reading a response needs to know of the request. */
export interface ResponseContext extends ErrorContext {
  readonly tools: ReadonlyArray<Tool.Any>
  readonly responseFormat: LanguageModel.ProviderOptions["responseFormat"]
  readonly toolCallValidation: LanguageModel.ProviderOptions["toolCallValidation"]
  readonly schemas: Schemas
}

// -----------------------------------------------------------------------------
// Responses
// -----------------------------------------------------------------------------

export const fromGenerateResult = Effect.fnUntraced(function* (result: GenerateResult, context: ResponseContext) {
  const parts: Array<Response.PartEncoded> = []
  if (result.response !== undefined) parts.push(responseMetadata(result.response))
  const structured = structuredText(result, context)
  for (const content of result.content) {
    if (content.type === "text" && structured !== undefined) continue
    const part = isText(content) ? text(content) : yield* fromContent(content, context)
    if (part !== undefined) parts.push(part)
  }
  if (structured !== undefined) parts.push({ type: "text", text: structured })
  parts.push(yield* finish(result, context))
  return parts
})

/** V4 may name the text that holds the object, when the response also has drafts that must not be joined to it. */
const structuredText = (result: GenerateResult, context: ResponseContext): string | undefined =>
  context.responseFormat.type === "json" && "structuredOutputText" in result ? result.structuredOutputText : undefined

/** The counterpart of one part of a stream, or nothing where `effect/ai` has none. */
export const fromStreamPart = (
  part: StreamPart,
  context: ResponseContext
): Effect.Effect<Response.StreamPartEncoded | undefined, AiError.AiError> => {
  switch (part.type) {
    case "text-delta":
    case "reasoning-delta":
      return Effect.succeed({ type: part.type, id: part.id, delta: part.delta, ...metadata(part) })
    case "text-start":
    case "text-end":
    case "reasoning-start":
    case "reasoning-end":
      return Effect.succeed({ type: part.type, id: part.id, ...metadata(part) })
    case "tool-input-start":
      return Effect.succeed({
        type: "tool-params-start",
        id: part.id,
        name: part.toolName,
        providerExecuted: part.providerExecuted === true,
        ...metadata(part)
      })
    case "tool-input-delta":
      return Effect.succeed({ type: "tool-params-delta", id: part.id, delta: part.delta, ...metadata(part) })
    case "tool-input-end":
      return Effect.succeed({ type: "tool-params-end", id: part.id, ...metadata(part) })
    case "response-metadata":
      return Effect.succeed(responseMetadata(part))
    case "finish":
      return finish(part, context)
    case "error":
      return failWith(context)(part.error)
    case "stream-start":
      return Effect.as(logWarnings(part.warnings, context), undefined)
    case "ping":
    case "raw":
      return nothing
    default:
      return fromContent(part, context)
  }
}

export const logWarnings = (
  warnings: GenerateResult["warnings"] | undefined,
  context: ErrorContext
): Effect.Effect<void> =>
  warnings === undefined || warnings.length === 0
    ? Effect.void
    : Effect.logDebug(`${context.model} warns about the request`, warnings)

// -----------------------------------------------------------------------------
// Parts
// -----------------------------------------------------------------------------

const nothing = Effect.succeed(undefined)

/** Parts that are both in whole responses and in streams. */
type ContentPart = Extract<Response.PartEncoded, Response.StreamPartEncoded>

const fromContent = (
  content: Exclude<Content, Text>,
  context: ResponseContext
): Effect.Effect<ContentPart | undefined, AiError.AiError> => {
  switch (content.type) {
    case "tool-call":
      return toolCall(content, context)
    case "tool-result":
      return Effect.succeed(toolResult(content))
    case "file":
    case "reasoning-file":
      return Effect.succeed(file(content))
    case "source":
      return Effect.succeed(source(content))
    case "custom":
    case "tool-approval-request":
      return nothing // the provider's own, without a counterpart in `effect/ai`
  }
}

const isText = (content: Content): content is Text => content.type === "text" || content.type === "reasoning"

const text = (content: Text): Response.TextPartEncoded | Response.ReasoningPartEncoded => ({
  type: content.type,
  text: content.text,
  ...metadata(content)
})

const toolResult = (content: Named<Content, "tool-result">): Response.ToolResultPartEncoded => ({
  type: "tool-result",
  id: content.toolCallId,
  name: content.toolName,
  result: content.result,
  isFailure: content.isError === true,
  preliminary: content.preliminary === true,
  providerExecuted: true,
  ...metadata(content)
})

/** A file that the provider gives as a link becomes a source: the part itself can only hold bytes. */
const file = (
  content: Named<Content, "file" | "reasoning-file">
): Response.FilePartEncoded | Response.UrlSourcePartEncoded => {
  const { data, mediaType } = content
  if (Predicate.isString(data) || data instanceof Uint8Array) {
    return { type: "file", mediaType, data: toBase64(data), ...metadata(content) }
  }
  return data.type === "data"
    ? { type: "file", mediaType, data: toBase64(data.data), ...metadata(content) }
    : {
        type: "source",
        sourceType: "url",
        id: data.url.href,
        url: data.url.href,
        title: mediaType,
        ...metadata(content)
      }
}

const toBase64 = (data: string | Uint8Array): string => (Predicate.isString(data) ? data : Base64.encode(data))

const source = (
  content: Named<Content, "source">
): Response.UrlSourcePartEncoded | Response.DocumentSourcePartEncoded | undefined => {
  if (content.sourceType === "document") {
    return {
      type: "source",
      sourceType: "document",
      id: content.id,
      mediaType: content.mediaType,
      title: content.title,
      ...(content.filename === undefined ? {} : { fileName: content.filename }),
      ...metadata(content)
    }
  }
  return URL.canParse(content.url) // one bad link must not cost the whole response
    ? {
        type: "source",
        sourceType: "url",
        id: content.id,
        url: content.url,
        title: content.title ?? content.url,
        ...metadata(content)
      }
    : undefined
}

const responseMetadata = (response: NonNullable<GenerateResult["response"]>): Response.ResponseMetadataPartEncoded => ({
  type: "response-metadata",
  id: response.id,
  modelId: response.modelId,
  timestamp: response.timestamp?.toISOString()
})

/** The part that ends a response, with its usage. */
export const finish = (
  result: Finish,
  context: ErrorContext
): Effect.Effect<Response.FinishPartEncoded, AiError.AiError> => {
  const reason = result.finishReason.unified
  return reason === "interrupted"
    ? Effect.fail(incompleteResponse(context))
    : Effect.succeed({ type: "finish", reason, usage: usage(result.usage), ...metadata(result) })
}

const usage = (reported: GenerateResult["usage"] | undefined): Response.FinishPartEncoded["usage"] => ({
  inputTokens: {
    total: tokens(reported?.inputTokens?.total),
    uncached: tokens(reported?.inputTokens?.noCache),
    cacheRead: tokens(reported?.inputTokens?.cacheRead),
    cacheWrite: tokens(reported?.inputTokens?.cacheWrite)
  },
  outputTokens: {
    total: tokens(reported?.outputTokens?.total),
    text: tokens(reported?.outputTokens?.text),
    reasoning: tokens(reported?.outputTokens?.reasoning)
  }
})

/** A count that is no whole number, such as the NaN of a provider that subtracts from nothing, is not reported. */
const tokens = (count: number | undefined): number | undefined => (Number.isInteger(count) ? count : undefined)

const metadata = (part: {
  readonly providerMetadata?: GenerateResult["providerMetadata"]
}): { readonly metadata?: Response.ProviderMetadata } =>
  part.providerMetadata === undefined || Object.keys(part.providerMetadata).length === 0
    ? {}
    : { metadata: JSON.parse(JSON.stringify(part.providerMetadata)) } // drops the `undefined`s that JSON has not

// -----------------------------------------------------------------------------
// Tool calls
// -----------------------------------------------------------------------------

const toolCall = Effect.fnUntraced(function* (
  content: Named<Content, "tool-call">,
  context: ResponseContext
): Effect.fn.Return<Response.ToolCallPartEncoded, AiError.AiError> {
  const providerExecuted = content.providerExecuted === true
  const tool = context.tools.find((tool) => tool.name === content.toolName)
  if (tool === undefined && !providerExecuted && context.toolCallValidation !== "deferred") {
    return yield* toolNotFound(content.toolName, context)
  }
  const params = parseArguments(content.input)
  return {
    type: "tool-call",
    id: content.toolCallId,
    name: content.toolName,
    params: tool === undefined ? params : yield* context.schemas.toolArguments(tool, params),
    providerExecuted,
    ...metadata(content)
  }
})

const toolNotFound = (toolName: string, { method, tools }: ResponseContext): AiError.AiError =>
  AiError.make({
    module: "AiSdk",
    method,
    reason: new AiError.ToolNotFoundError({ toolName, availableTools: tools.map((tool) => tool.name) })
  })

/**
 * Arguments that are no JSON stay the text they are: the toolkit refuses them as it refuses any that do not decode,
 * so that the tool's `failureMode` decides who hears of it.
 */
const parseArguments = (input: string): unknown =>
  input.trim() === "" ? {} : Option.getOrElse(parseJson(input), () => input)

const parseJson = Option.liftThrowable(Tool.unsafeSecureJsonParse)
