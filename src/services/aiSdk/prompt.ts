/**
 * An `effect/ai` prompt as the messages of an AI SDK provider, in the words of specification V4.
 */
import type {
  JSONValue,
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4ReasoningPart,
  LanguageModelV4TextPart,
  LanguageModelV4ToolCallPart,
  LanguageModelV4ToolResultOutput,
  LanguageModelV4ToolResultPart,
  SharedV4FileData,
  SharedV4ProviderOptions
} from "@ai-sdk/provider"
import type * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import * as Predicate from "effect/Predicate"

export const toPrompt = (prompt: Prompt.Prompt): Array<LanguageModelV4Message> =>
  prompt.content.map(toMessage).filter((message) => message.role === "system" || message.content.length > 0)

const toMessage = (message: Prompt.Message): LanguageModelV4Message => {
  const options = toProviderOptions(message.options)
  switch (message.role) {
    case "system":
      return { role: "system", content: message.content, ...options }
    case "user":
      return {
        role: "user",
        content: message.content.map((part) => (part.type === "text" ? toText(part) : toFile(part))),
        ...options
      }
    case "assistant":
      return { role: "assistant", content: message.content.flatMap(toAssistantPart), ...options }
    case "tool":
      return {
        role: "tool",
        content: message.content.flatMap((part) => (part.type === "tool-result" ? [toToolResult(part)] : [])),
        ...options
      }
  }
}

type AssistantPart =
  | LanguageModelV4TextPart
  | LanguageModelV4FilePart
  | LanguageModelV4ReasoningPart
  | LanguageModelV4ToolCallPart
  | LanguageModelV4ToolResultPart

const toAssistantPart = (part: Prompt.AssistantMessagePart): ReadonlyArray<AssistantPart> => {
  switch (part.type) {
    case "text":
      return part.text === "" ? [] : [toText(part)] // providers refuse empty text
    case "reasoning":
      return [{ type: "reasoning", text: part.text, ...toProviderOptions(part.options) }]
    case "file":
      return [toFile(part)]
    case "tool-call":
      return [toToolCall(part)]
    case "tool-result":
      return [toToolResult(part)]
    case "tool-approval-request":
      return [] // between the user and `effect/ai`, the model has no part in it
  }
}

const toText = (part: Prompt.TextPart): LanguageModelV4TextPart => ({
  type: "text",
  text: part.text,
  ...toProviderOptions(part.options)
})

const toFile = (part: Prompt.FilePart): LanguageModelV4FilePart => ({
  type: "file",
  mediaType: part.mediaType,
  data: toFileData(part.data),
  ...(part.fileName === undefined ? {} : { filename: part.fileName }),
  ...toProviderOptions(part.options)
})

const toToolCall = (part: Prompt.ToolCallPart): LanguageModelV4ToolCallPart => ({
  type: "tool-call",
  toolCallId: part.id,
  toolName: part.name,
  input: Predicate.isObject(part.params) ? part.params : {}, // arguments that were not JSON: providers take objects only
  ...(part.providerExecuted ? { providerExecuted: true } : {}),
  ...toProviderOptions(part.options)
})

const toToolResult = (part: Prompt.ToolResultPart): LanguageModelV4ToolResultPart => ({
  type: "tool-result",
  toolCallId: part.id,
  toolName: part.name,
  output: toToolOutput(part),
  ...toProviderOptions(part.options)
})

const toToolOutput = ({ isFailure, modelOutput, result }: Prompt.ToolResultPart): LanguageModelV4ToolResultOutput => {
  if (modelOutput !== undefined) {
    return { type: "content", value: modelOutput.map((part) => (part.type === "text" ? toText(part) : toFile(part))) }
  }
  if (isFailure && isExecutionDenied(result)) return { type: "execution-denied", reason: result.reason }
  if (Predicate.isString(result)) return { type: isFailure ? "error-text" : "text", value: result }
  return { type: isFailure ? "error-json" : "json", value: toJson(result) }
}

const isExecutionDenied = (result: unknown): result is { readonly reason: string } =>
  Predicate.hasProperty(result, "type") &&
  result.type === "execution-denied" &&
  Predicate.hasProperty(result, "reason") &&
  Predicate.isString(result.reason)

/** A string is base64, or a `data:`, `http:` or other URL. */
const toFileData = (data: Prompt.FilePart["data"]): SharedV4FileData => {
  if (data instanceof Uint8Array) return { type: "data", data }
  if (Predicate.isString(data) && !/^[a-z][a-z0-9+.-]*:/i.test(data)) return { type: "data", data }
  const url = new URL(data)
  return url.protocol === "data:" ? { type: "data", data: dataUrlContent(url) } : { type: "url", url }
}

const dataUrlContent = (url: URL): string => {
  const [header = "", ...content] = url.pathname.split(",")
  const text = decodeURIComponent(content.join(","))
  return header.endsWith(";base64") ? text : Base64.encode(text)
}

/** `metadata` of a response part comes back as `options` of the prompt part: so a signature survives the round trip. */
const toProviderOptions = (options: Prompt.ProviderOptions): { readonly providerOptions?: SharedV4ProviderOptions } => {
  const entries = Object.entries(options).filter((entry) => Predicate.isObject(entry[1]))
  // The AI SDK types the values as JSON objects, which the filter has just made sure of.
  return entries.length === 0 ? {} : { providerOptions: Object.fromEntries(entries) as SharedV4ProviderOptions }
}

const toJson = (value: unknown): JSONValue => (value === undefined ? null : JSON.parse(JSON.stringify(value)))
