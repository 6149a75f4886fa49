/**
 * The span of a model call, as the GenAI semantic conventions of OpenTelemetry describe it. `effect/ai` makes a span for
 * every call: it gets its name and attributes here, instead of a second span around it.
 *
 * Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (in development; as of v1.41)
 */
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import type { Tokens } from "./Price.ts"

/** What is known of a call before it is made. */
export interface Request {
  /** `decide` is none of the conventions' own, which have no word for it. */
  readonly operation: "chat" | "decide"
  readonly provider: string | undefined
  readonly model: string | undefined
  readonly output: "text" | "json"
  readonly purpose: string
  readonly executionId: string
  readonly path: string
}

/** What is known of a call when it ends. */
export interface Outcome {
  readonly responseId: string | undefined
  readonly responseModel: string | undefined
  readonly finishReason: string | undefined
  readonly tokens: Tokens
  readonly costUsd: number
  /** No model was asked. */
  readonly cached: boolean
  readonly error: string | undefined
}

/** What the conventions call the providers, by how the AI SDK and `effect/ai` name them. */
const providers: ReadonlyArray<readonly [name: RegExp, known: string]> = [
  [/^azure/, "azure.ai.openai"],
  [/^openai(\.|$)/, "openai"],
  [/^anthropic/, "anthropic"],
  [/^google\.vertex|^vertex/, "gcp.vertex_ai"],
  [/^google|^gemini/, "gcp.gemini"],
  [/bedrock/, "aws.bedrock"],
  [/^mistral/, "mistral_ai"],
  [/^xai|^x_ai/, "x_ai"],
  [/^groq/, "groq"],
  [/^cohere/, "cohere"],
  [/^deepseek/, "deepseek"],
  [/^perplexity/, "perplexity"],
  [/^moonshot/, "moonshot_ai"]
]

const providerName = (provider: string): string =>
  providers.find(([name]) => name.test(provider))?.[1] ?? provider.split(".")[0]

/** A context in which the next span of `effect/ai` is the call's. */
export const traced = <R>(
  context: Context.Context<R>,
  tracer: Tracer.Tracer,
  request: Request,
  outcome: (exit: Exit.Exit<unknown, unknown>) => Outcome
): Context.Context<R> => {
  let found = false
  const own: Tracer.Tracer = {
    span: (options) => {
      if (found || !/^(?:Language|Decision)Model\./.test(options.name)) return tracer.span(options)
      found = true
      const { model, operation } = request
      const name = model === undefined ? operation : `${operation} ${model}`
      const span = tracer.span({ ...options, kind: "client", name })
      describeRequest(span, request)
      const end = span.end.bind(span)
      // Usage and error are known when the span ends, and only there.
      span.end = (endTime, exit) => {
        describeOutcome(span, outcome(exit))
        end(endTime, exit)
      }
      return span
    },
    context: tracer.context === undefined ? undefined : (primitive, fiber) => tracer.context!(primitive, fiber)
  }
  return Context.add(context, Tracer.Tracer, own)
}

const describeRequest = (span: Tracer.Span, request: Request): void => {
  span.attribute("gen_ai.operation.name", request.operation)
  if (request.provider !== undefined) span.attribute("gen_ai.provider.name", providerName(request.provider))
  if (request.model !== undefined) span.attribute("gen_ai.request.model", request.model)
  span.attribute("gen_ai.output.type", request.output)
  span.attribute("baton.purpose", request.purpose)
  span.attribute("baton.execution.id", request.executionId)
  if (request.path !== "") span.attribute("baton.path", request.path)
}

const describeOutcome = (span: Tracer.Span, outcome: Outcome): void => {
  const { cached, costUsd, error, finishReason, responseId, responseModel, tokens } = outcome
  if (responseId !== undefined) span.attribute("gen_ai.response.id", responseId)
  if (responseModel !== undefined) span.attribute("gen_ai.response.model", responseModel)
  if (finishReason !== undefined) span.attribute("gen_ai.response.finish_reasons", [finishReason])
  if (tokens.input > 0) span.attribute("gen_ai.usage.input_tokens", tokens.input)
  if (tokens.cachedInput > 0) span.attribute("gen_ai.usage.cache_read.input_tokens", tokens.cachedInput)
  if (tokens.cacheWrite > 0) span.attribute("gen_ai.usage.cache_creation.input_tokens", tokens.cacheWrite)
  if (tokens.output > 0) span.attribute("gen_ai.usage.output_tokens", tokens.output)
  if (tokens.reasoning > 0) span.attribute("gen_ai.usage.reasoning.output_tokens", tokens.reasoning)
  if (costUsd > 0) span.attribute("baton.cost_usd", costUsd)
  if (cached) span.attribute("baton.cached", true)
  if (error !== undefined) span.attribute("error.type", error)
}
