/**
 * A server on 127.0.0.1 that speaks as much of OpenAI's Chat Completions as the rows need: one short answer, or a stream of
 * 10,000 tokens, an event each. It has a process of its own, so that it shares neither thread nor heap with what is measured.
 *
 * What it says is made once. A stream is written in one go, so what reads it never waits for a token: only its own cost shows.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"

export const streamTokens = 10_000
export const token = " word"
export const answer = token.repeat(100)

/** Twice what any row has under way. */
const mostConnections = 400
const mostRequestBytes = 65_536

/** Starts the server in a process that ends with this one, and answers its base URL. */
export const startMockServer = async (): Promise<string> => {
  const server = fork(fileURLToPath(import.meta.url), { execArgv: [] })
  const [port] = await once(server, "message")
  server.unref()
  server.channel?.unref()
  return `http://127.0.0.1:${port}/v1`
}

const usage = (tokens: number) => ({ prompt_tokens: 40, completion_tokens: tokens, total_tokens: 40 + tokens })

const completion = Buffer.from(
  JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "mock",
    choices: [{ index: 0, message: { role: "assistant", content: answer }, finish_reason: "stop" }],
    usage: usage(100)
  })
)

const event = (delta: object, rest: object = {}) =>
  `data: ${JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "mock",
    choices: [{ index: 0, delta, finish_reason: null, ...rest }]
  })}\n\n`

const lastEvent = `data: ${JSON.stringify({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1_700_000_000,
  model: "mock",
  choices: [],
  usage: usage(streamTokens)
})}\n\ndata: [DONE]\n\n`

const events = Buffer.from(
  event({ role: "assistant", content: "" }) +
    event({ content: token }).repeat(streamTokens) +
    event({}, { finish_reason: "stop" }) +
    lastEvent
)

const serve = () => {
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    let body = ""
    request.setEncoding("utf8")
    request.on("data", (text: string) => {
      body += text
      if (body.length > mostRequestBytes) request.destroy()
    })
    request.on("end", () => {
      if (request.url !== "/v1/chat/completions") return response.writeHead(404).end()
      const [type, content] = JSON.parse(body).stream ? ["text/event-stream", events] : ["application/json", completion]
      response.writeHead(200, { "content-type": type, "content-length": content.length }).end(content)
    })
  })
  server.maxConnections = mostConnections
  server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port))
  process.on("disconnect", () => process.exit())
}

if (import.meta.main) serve()
