/**
 * Call options of specification V4 for a provider that implements V3, which writes files another way.
 */
import type {
  LanguageModelV3CallOptions,
  LanguageModelV3FilePart,
  LanguageModelV3Message,
  LanguageModelV3ToolResultOutput,
  LanguageModelV3ToolResultPart,
  LanguageModelV4CallOptions,
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4ToolResultOutput,
  LanguageModelV4ToolResultPart,
  SharedV4FileData
} from "@ai-sdk/provider"
import * as Base64 from "effect/encoding/Base64"
import * as Predicate from "effect/Predicate"

/** The same call for a provider that implements V3. `reasoning` is not part of V3 and stays out. */
export const toV3 = ({ prompt, reasoning: _, ...options }: LanguageModelV4CallOptions): LanguageModelV3CallOptions => ({
  ...options,
  prompt: prompt.map(toMessageV3)
})

const toMessageV3 = (message: LanguageModelV4Message): LanguageModelV3Message => {
  switch (message.role) {
    case "system":
      return message
    case "user":
      return { ...message, content: message.content.map((part) => (part.type === "file" ? toFileV3(part) : part)) }
    case "assistant":
      return { ...message, content: message.content.flatMap(toAssistantPartV3) }
    case "tool":
      return {
        ...message,
        content: message.content.map((part) => (part.type === "tool-result" ? toToolResultV3(part) : part))
      }
  }
}

type AssistantV4 = Extract<LanguageModelV4Message, { role: "assistant" }>["content"][number]
type AssistantV3 = Extract<LanguageModelV3Message, { role: "assistant" }>["content"][number]

const toAssistantPartV3 = (part: AssistantV4): ReadonlyArray<AssistantV3> => {
  switch (part.type) {
    case "file":
      return [toFileV3(part)]
    case "tool-result":
      return [toToolResultV3(part)]
    case "custom":
    case "reasoning-file":
      return [] // new in V4, and never made from an `effect/ai` prompt
    default:
      return [part]
  }
}

const toFileV3 = (part: LanguageModelV4FilePart): LanguageModelV3FilePart => ({ ...part, data: toDataV3(part.data) })

const toDataV3 = (data: SharedV4FileData): string | Uint8Array | URL => {
  switch (data.type) {
    case "data":
      return data.data
    case "url":
      return data.url
    case "text":
      return Base64.encode(data.text)
    case "reference":
      return "" // never made from an `effect/ai` prompt
  }
}

const toToolResultV3 = (part: LanguageModelV4ToolResultPart): LanguageModelV3ToolResultPart => ({
  ...part,
  output: toToolOutputV3(part.output)
})

const toToolOutputV3 = (output: LanguageModelV4ToolResultOutput): LanguageModelV3ToolResultOutput =>
  output.type === "content" ? { ...output, value: output.value.map(toOutputPartV3) } : output

type OutputPartV4 = Extract<LanguageModelV4ToolResultOutput, { type: "content" }>["value"][number]
type OutputPartV3 = Extract<LanguageModelV3ToolResultOutput, { type: "content" }>["value"][number]

const toOutputPartV3 = (part: OutputPartV4): OutputPartV3 => {
  if (part.type !== "file") return part
  const data = toDataV3(part.data)
  if (data instanceof URL) return { type: "file-url", url: data.href }
  return { type: "file-data", mediaType: part.mediaType, data: Predicate.isString(data) ? data : Base64.encode(data) }
}
