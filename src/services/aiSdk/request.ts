/**
 * An `effect/ai` request as the call options of an AI SDK provider, in the words of specification V4.
 */
import type {
  LanguageModelV4CallOptions,
  LanguageModelV4FunctionTool,
  LanguageModelV4Message,
  LanguageModelV4ProviderTool,
  LanguageModelV4ToolChoice
} from "@ai-sdk/provider"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Tool from "effect/ai/Tool"
import * as Predicate from "effect/Predicate"
import type { Schemas } from "./schema.ts"

/** The part of the call that the prompt, the toolkit and the wanted output decide. */
export type Request = Pick<LanguageModelV4CallOptions, "prompt" | "tools" | "toolChoice" | "responseFormat">

export interface RequestContext {
  readonly messages: Array<LanguageModelV4Message>
  readonly schemas: Schemas
  /** Whether the provider only promises JSON, so that the prompt has to tell what the JSON should be. */
  readonly describesOutput: boolean
}

/** Throws where a schema has no JSON Schema, or none that the provider takes. */
export const toRequest = (
  { responseFormat, toolChoice, tools }: LanguageModel.ProviderOptions,
  { describesOutput, messages, schemas }: RequestContext
): Request => {
  const isJson = responseFormat.type === "json"
  return {
    prompt: isJson && describesOutput ? describeOutput(messages, schemas.output(responseFormat.schema)) : messages,
    ...(tools.length === 0
      ? {}
      : { tools: tools.map((tool) => toTool(tool, schemas)), toolChoice: toToolChoice(toolChoice) }),
    ...(isJson
      ? {
          responseFormat: {
            type: "json",
            name: responseFormat.objectName,
            schema: schemas.output(responseFormat.schema)
          }
        }
      : {})
  }
}

const toTool = (tool: Tool.Any, schemas: Schemas): LanguageModelV4FunctionTool | LanguageModelV4ProviderTool => {
  if (Tool.isProviderDefined(tool)) return { type: "provider", id: tool.id, name: tool.name, args: tool.args }
  const description = Tool.getDescription(tool)
  const strict = Tool.getStrictMode(tool)
  return {
    type: "function",
    name: tool.name,
    inputSchema: schemas.parameters(tool),
    ...(description === undefined ? {} : { description }),
    ...(strict === undefined ? {} : { strict })
  }
}

/** With `oneOf` the tools are already filtered to the named ones. */
const toToolChoice = (choice: LanguageModel.ToolChoice<string>): LanguageModelV4ToolChoice => {
  if (Predicate.isString(choice)) return { type: choice }
  return "tool" in choice ? { type: "tool", toolName: choice.tool } : { type: choice.mode ?? "auto" }
}

/** As part of the first system message, since some servers take only one. */
const describeOutput = (
  messages: ReadonlyArray<LanguageModelV4Message>,
  jsonSchema: unknown
): Array<LanguageModelV4Message> => {
  const instruction = `Answer with nothing but JSON that matches this JSON Schema:\n${JSON.stringify(jsonSchema)}`
  const [first, ...rest] = messages
  return first?.role === "system"
    ? [{ ...first, content: `${first.content}\n\n${instruction}` }, ...rest]
    : [{ role: "system", content: instruction }, ...messages]
}
