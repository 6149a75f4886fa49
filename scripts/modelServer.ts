// A server that imitates a provider: OpenAI's Chat Completions, answered by rules in the place of a model.
//
// 1. A tool that was offered and not called yet in the conversation is called, with arguments that fit its JSON Schema.
// 2. Where an object is asked for, one comes that fits its JSON Schema: lists have two items, what may be null is null.
// 3. Else the last line that the user said comes back.
//
// Like the provider it refuses requests without a key, strict schemas that it does not take, and conversations in which
// calls of tools have no result. Each answer used 1000 tokens in and 200 out.
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { openAiChat } from "../test/services/aiSdk/wire.ts"

type Json = Readonly<Record<string, any>>

export interface ModelServer {
  /** Where it is for a client of this name. */
  readonly url: (client: string) => string
  /** The requests that were answered, and the ones that were refused with why, by client. */
  readonly answered: ReadonlyMap<string, number>
  readonly refused: ReadonlyMap<string, ReadonlyArray<string>>
  readonly close: () => void
}

export const start = async (): Promise<ModelServer> => {
  const answered = new Map<string, number>()
  const refused = new Map<string, Array<string>>()
  const server = Http.createServer(async (request, response) => {
    const [, client = "", ...path] = (request.url ?? "").split("/")
    let text = ""
    for await (const chunk of request) text += chunk
    const body: Json = JSON.parse(text)
    const problem =
      `/${path.join("/")}` === openAiChat.path ? problemOf(request, body) : "there is nothing at this address"
    if (problem !== undefined) {
      refused.set(client, [...(refused.get(client) ?? []), problem])
      response.writeHead(400, { "content-type": "application/json" })
      return response.end(JSON.stringify({ error: { message: problem, type: "invalid_request_error", param: null } }))
    }
    answered.set(client, (answered.get(client) ?? 0) + 1)
    const answer = { ...answerTo(body), usage: { input: 1000, cached: 0, output: 200, reasoning: 0 } }
    if (body.stream !== true) {
      response.writeHead(200, { "content-type": "application/json" })
      return response.end(JSON.stringify(openAiChat.body(answer)))
    }
    response.writeHead(200, { "content-type": "text/event-stream" })
    for (const event of openAiChat.events(answer)) response.write(event)
    return response.end()
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const { port } = server.address() as AddressInfo
  return {
    url: (client) => `http://127.0.0.1:${port}/${client}/v1`,
    answered,
    refused,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

// -----------------------------------------------------------------------------
// What it refuses
// -----------------------------------------------------------------------------

const problemOf = ({ headers }: Http.IncomingMessage, body: Json): string | undefined => {
  if (!/^Bearer \S+$/.test(headers.authorization ?? "")) return "you did not provide a key"
  if (typeof body.model !== "string" || !Array.isArray(body.messages)) return "model and messages are required"
  const format = body.response_format
  if (format?.type === "json_schema" && format.json_schema.strict === true) {
    const problem = strictProblem(format.json_schema.schema, format.json_schema.name)
    if (problem !== undefined) return problem
  }
  for (const { function: tool } of body.tools ?? []) {
    const problem = tool.strict === true ? strictProblem(tool.parameters, tool.name) : undefined
    if (problem !== undefined) return problem
  }
  return conversationProblem(body.messages)
}

/** What strict mode does not take: every object must be closed, and every property required. */
const strictProblem = (schema: unknown, at: string): string | undefined => {
  if (Array.isArray(schema)) {
    return schema.map((part, index) => strictProblem(part, `${at}.${index}`)).find((problem) => problem !== undefined)
  }
  if (typeof schema !== "object" || schema === null) return undefined
  const { additionalProperties, properties = {}, required = [], type } = schema as Json
  if (type === "object") {
    if (additionalProperties !== false) return `additionalProperties must be false at ${at}`
    const missing = Object.keys(properties).filter((name) => !required.includes(name))
    if (missing.length > 0) return `${missing.join(", ")} must be required at ${at}`
  }
  return Object.entries(schema)
    .map(([key, part]) => strictProblem(part, `${at}.${key}`))
    .find((problem) => problem !== undefined)
}

const conversationProblem = (messages: ReadonlyArray<Json>): string | undefined => {
  let open: ReadonlyArray<string> = []
  for (const message of messages) {
    if (message.role === "tool") {
      if (!open.includes(message.tool_call_id)) return `no call of a tool has the id ${message.tool_call_id}`
      open = open.filter((id) => id !== message.tool_call_id)
    } else if (open.length > 0) return `these calls of tools have no result: ${open.join(", ")}`
    else open = (message.tool_calls ?? []).map((call: Json) => call.id)
  }
  return open.length > 0 ? `these calls of tools have no result: ${open.join(", ")}` : undefined
}

// -----------------------------------------------------------------------------
// What it says
// -----------------------------------------------------------------------------

const answerTo = ({ messages, response_format, tool_choice, tools = [] }: Json) => {
  const called = new Set(
    messages.flatMap((message: Json) => message.tool_calls ?? []).map((call: Json) => call.function.name)
  )
  const next = tool_choice === "none" ? undefined : tools.find((tool: Json) => !called.has(tool.function.name))
  if (next !== undefined) {
    const { name, parameters } = next.function
    return {
      toolCalls: [
        { id: `call_${called.size + 1}`, name, arguments: JSON.stringify(fitting(parameters, name, parameters)) }
      ]
    }
  }
  if (response_format?.type === "json_schema") {
    const { name, schema } = response_format.json_schema
    return { text: JSON.stringify(fitting(schema, name, schema)) }
  }
  const said = messages.findLast((message: Json) => message.role === "user")?.content
  const text: string = typeof said === "string" ? said : said.map((part: Json) => part.text ?? "").join("\n")
  return { text: text.trimEnd().split("\n").at(-1)! }
}

let made = 0

/** A value that fits a JSON Schema; texts are all different, as ids have to be. */
const fitting = (schema: Json, name: string, root: Json): unknown => {
  const target = schema.$ref?.split("/").at(-1)
  if (target !== undefined) return fitting((root.$defs ?? root.definitions)[target], name, root)
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  const choices: ReadonlyArray<Json> | undefined = schema.anyOf ?? schema.oneOf
  if (choices !== undefined) {
    return choices.some(({ type }) => type === "null") ? null : fitting(choices[0]!, name, root)
  }
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "object":
      return Object.fromEntries(
        Object.entries<Json>(schema.properties ?? {}).map(([key, part]) => [key, fitting(part, key, root)])
      )
    case "array":
      return [fitting(schema.items, name, root), fitting(schema.items, name, root)]
    case "boolean":
      return true
    case "number":
    case "integer":
      return schema.minimum ?? 1
    case "null":
      return null
    default:
      return `${name} ${++made}`
  }
}
