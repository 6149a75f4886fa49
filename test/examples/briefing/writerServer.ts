/**
 * A provider on 127.0.0.1 that can do what the briefing desk asks for: behind OpenAI's and Anthropic's wire formats stands
 * the extractive model, which answers the prompts as they come, and as the JSON Schema on the wire wants it.
 */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { Deferred, Effect, type Schema, type Scope } from "effect"
import * as Extractive from "../../../examples/briefing/extractive/Answer.ts"
import { type Wire, wires } from "../../services/aiSdk/wire.ts"

export interface Request {
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly model: string
  readonly prompt: string
}

/** What a request is answered with instead. */
export interface Refusal {
  readonly status: number
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface WriterServer {
  /** Where it is, with the version. */
  readonly url: string
  /** Every request so far, in the order of arrival. */
  readonly requests: ReadonlyArray<Request>
  /** Refuses the next requests, one each. */
  readonly refuse: (...refusals: ReadonlyArray<Refusal>) => void
  /** Ends when the n-th of all requests arrives. */
  readonly arrival: (n: number) => Effect.Effect<void>
  /** The same, and leaves that one and all that follow unanswered. */
  readonly silentFrom: (n: number) => Effect.Effect<void>
  /** Answers again. */
  readonly speak: () => void
}

export const make: Effect.Effect<WriterServer, never, Scope.Scope> = Effect.gen(function* () {
  const requests: Array<Request> = []
  const refusals: Array<Refusal> = []
  const arrivals = new Map<number, Deferred.Deferred<void>>()
  let silentFrom = Number.POSITIVE_INFINITY

  const server = Http.createServer((incoming, response) => {
    const chunks: Array<Buffer> = []
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
    incoming.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString())
      const path = incoming.url ?? ""
      const wire = wires.find((wire) => wire.path === path)
      const prompt = promptOf(body)
      requests.push({ path, headers: incoming.headers, model: body.model, prompt })
      const arrival = arrivals.get(requests.length)
      if (arrival !== undefined) Deferred.doneUnsafe(arrival, Effect.void)
      if (requests.length >= silentFrom) return
      const refusal = refusals.shift()
      const {
        body: text,
        headers,
        status
      } = refusal === undefined ? answer(wire, prompt, schemaOf(body)) : refused(refusal)
      response.writeHead(status, { "content-type": "application/json", ...headers })
      response.end(JSON.stringify(text))
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

  const arrival = (n: number) => {
    const arrived = Deferred.makeUnsafe<void>()
    arrivals.set(n, arrived)
    return Deferred.await(arrived)
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    refuse: (...next) => void refusals.push(...next),
    arrival,
    silentFrom: (n) => {
      silentFrom = n
      return arrival(n)
    },
    speak: () => {
      silentFrom = Number.POSITIVE_INFINITY
    }
  }
})

interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body: unknown
}

const refused = ({ headers, message, status }: Refusal): Reply => ({
  status,
  headers,
  // The form of each provider, in one.
  body: { type: "error", error: { type: "refused", code: null, param: null, message } }
})

const answer = (wire: Wire | undefined, prompt: string, schema: JsonSchema | undefined): Reply => {
  if (wire === undefined) return refused({ status: 404, message: "No such address" })
  const found = Effect.runSync(Extractive.answer(prompt))
  if (found._tag === "Value" && schema === undefined) return refused({ status: 400, message: "No schema" })
  const text = found._tag === "Text" ? found.sentences.join(" ") : JSON.stringify(shaped(schema!, found.value, schema!))
  return { status: 200, body: wire.body({ text }) }
}

// -----------------------------------------------------------------------------
// Requests of the three wire formats
// -----------------------------------------------------------------------------

type JsonSchema = Readonly<Record<string, any>>

const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : (content as ReadonlyArray<{ readonly text?: string }>).map(({ text = "" }) => text).join("\n\n")

const promptOf = (body: any): string =>
  (body.messages ?? body.input).map(({ content }: { readonly content: unknown }) => textOf(content)).join("\n\n")

const schemaOf = (body: any): JsonSchema | undefined =>
  body.response_format?.json_schema?.schema ?? body.text?.format?.schema ?? body.output_config?.format?.schema

/** What the schema asks for of a value; null for what is not there and may be null. */
const shaped = (schema: JsonSchema, value: Schema.Json | undefined, root: JsonSchema): Schema.Json | undefined => {
  const target = schema["$ref"]?.split("/").at(-1)
  if (target !== undefined) return shaped((root["$defs"] ?? root["definitions"])[target], value, root)
  if (schema["anyOf"] !== undefined) {
    const choices: ReadonlyArray<JsonSchema> = schema["anyOf"]
    return value === undefined ? null : shaped(choices.find(({ type }) => type !== "null")!, value, root)
  }
  if (schema["type"] === "array")
    return (value as ReadonlyArray<Schema.Json>).map((item) => shaped(schema["items"], item, root)!)
  if (schema["type"] !== "object") return value
  const fields = Object.entries<JsonSchema>(schema["properties"]).flatMap(([name, field]) => {
    const fitted = shaped(field, (value as Schema.JsonObject)[name], root)
    return fitted === undefined ? [] : [[name, fitted] as const]
  })
  return Object.fromEntries(fields)
}
