/**
 * A model provider on 127.0.0.1 that answers from a script and remembers who asked what.
 *
 * Speaks OpenAI Chat Completions, OpenAI Responses and Anthropic Messages: the path of the request decides which, and
 * its `stream` field whether the answer is one JSON body or server-sent events. Replies are used in the order given;
 * a request that finds none left is answered with status 500 and says so.
 */

import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { Deferred, Effect, Queue, type Scope } from "effect"
import { type Answer, type Wire, wires } from "./wire.ts"

export type { Answer, ToolCall, Usage } from "./wire.ts"

/** How one request is answered. Counts of `events` are of the server-sent events that arrive before it happens. */
export type Reply =
  | { readonly _tag: "Answer"; readonly answer: Answer }
  /** Waits for the effect before each event, or before the whole body. */
  | { readonly _tag: "Slow"; readonly answer: Answer; readonly beforeEach: Effect.Effect<unknown> }
  | {
      readonly _tag: "Status"
      readonly status: number
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>>
    }
  /** Status 200 and this text, whatever it is. */
  | { readonly _tag: "Text"; readonly text: string }
  /** The connection breaks in the middle: of the body, or after some events. */
  | { readonly _tag: "Dies"; readonly answer: Answer; readonly events?: number }
  /** The stream closes properly, but too early. */
  | { readonly _tag: "EndsEarly"; readonly answer: Answer; readonly events: number }
  /** Nothing more comes, and the connection stays open. Without `events` not even a status. */
  | { readonly _tag: "Hangs"; readonly answer?: Answer; readonly events?: number }
  /** An extra server-sent event after some of the answer's. */
  | { readonly _tag: "Inserts"; readonly answer: Answer; readonly events: number; readonly event: unknown }

export interface ReceivedRequest {
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: any
  /** How the exchange ended: `aborted` when the client left before the answer was complete. */
  readonly closed: Effect.Effect<"complete" | "aborted">
}

export interface ProviderServer {
  /** With the version, as the provider packages want their `baseURL`. */
  readonly baseURL: string
  readonly reply: (...replies: ReadonlyArray<Reply>) => Effect.Effect<void>
  /** Every request so far, in the order of arrival. */
  readonly requests: ReadonlyArray<ReceivedRequest>
  /** The next request that nobody took yet; waits for it. */
  readonly nextRequest: Effect.Effect<ReceivedRequest>
}

export const answer = (answer: Answer): Reply => ({ _tag: "Answer", answer })

export const make: Effect.Effect<ProviderServer, never, Scope.Scope> = Effect.gen(function* () {
  const script: Array<Reply> = []
  const requests: Array<ReceivedRequest> = []
  const arrivals = yield* Queue.unbounded<ReceivedRequest>()
  const runPromise = Effect.runPromiseWith(yield* Effect.context())

  const server = Http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const closed = Deferred.makeUnsafe<"complete" | "aborted">()
      response.on("close", () => {
        Deferred.doneUnsafe(closed, Effect.succeed(response.writableFinished ? "complete" : "aborted"))
      })
      const received: ReceivedRequest = {
        path: request.url ?? "",
        headers: request.headers,
        body: JSON.parse(Buffer.concat(chunks).toString()),
        closed: Deferred.await(closed)
      }
      requests.push(received)
      Queue.offerUnsafe(arrivals, received)
      const wire = wires.find((wire) => wire.path === received.path.split("?")[0])
      const reply = script.shift()
      void runPromise(
        wire && reply
          ? respond(response, wire, reply, received.body.stream === true)
          : sendJson(response, 500, { error: { message: `no reply left for ${received.path}`, type: "test" } })
      )
    })
  })

  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )

  return {
    baseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    reply: (...replies) => Effect.sync(() => void script.push(...replies)),
    requests,
    nextRequest: Queue.take(arrivals)
  }
})

// -----------------------------------------------------------------------------
// Replies
// -----------------------------------------------------------------------------

const respond = (response: Http.ServerResponse, wire: Wire, reply: Reply, stream: boolean): Effect.Effect<void> => {
  switch (reply._tag) {
    case "Answer":
      return stream
        ? sendEvents(response, wire.events(reply.answer), { end: true })
        : sendJson(response, 200, wire.body(reply.answer))
    case "Slow":
      return stream
        ? sendEvents(response, wire.events(reply.answer), { end: true, beforeEach: reply.beforeEach })
        : Effect.andThen(reply.beforeEach, sendJson(response, 200, wire.body(reply.answer)))
    case "Status":
      return sendJson(response, reply.status, reply.body ?? {}, reply.headers)
    case "Text":
      return Effect.sync(() => {
        response.writeHead(200, { "content-type": stream ? "text/event-stream" : "application/json" })
        response.end(reply.text)
      })
    case "Dies":
      return stream
        ? Effect.andThen(
            sendEvents(response, wire.events(reply.answer).slice(0, reply.events ?? 1)),
            breakConnection(response)
          )
        : Effect.andThen(sendHalf(response, JSON.stringify(wire.body(reply.answer))), breakConnection(response))
    case "EndsEarly":
      return sendEvents(response, wire.events(reply.answer).slice(0, reply.events), { end: true })
    case "Hangs":
      return reply.events === undefined
        ? Effect.void
        : sendEvents(response, wire.events(reply.answer ?? {}).slice(0, reply.events))
    case "Inserts": {
      const events = wire.events(reply.answer)
      const inserted = `data: ${JSON.stringify(reply.event)}\n\n`
      return sendEvents(response, [...events.slice(0, reply.events), inserted, ...events.slice(reply.events)], {
        end: true
      })
    }
  }
}

const sendJson = (
  response: Http.ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {}
): Effect.Effect<void> =>
  Effect.sync(() => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(JSON.stringify(body))
  })

const write = (response: Http.ServerResponse, text: string): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    response.write(text, () => resume(Effect.void))
  })

const sendEvents = (
  response: Http.ServerResponse,
  events: ReadonlyArray<string>,
  options: { readonly end?: boolean; readonly beforeEach?: Effect.Effect<unknown> } = {}
): Effect.Effect<void> =>
  Effect.gen(function* () {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.flushHeaders()
    for (const event of events) {
      if (options.beforeEach) yield* options.beforeEach
      if (response.destroyed) return
      yield* write(response, event)
    }
    if (options.end) response.end()
  })

const sendHalf = (response: Http.ServerResponse, text: string): Effect.Effect<void> => {
  response.writeHead(200, { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) })
  return write(response, text.slice(0, text.length / 2))
}

const breakConnection = (response: Http.ServerResponse): Effect.Effect<void> =>
  Effect.sync(() => void response.destroy())
