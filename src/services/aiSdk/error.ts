/**
 * What an AI SDK provider throws, as an `AiError` that says whether to retry and shows no secret.
 */
import type {
  APICallError,
  EmptyResponseBodyError,
  InvalidPromptError,
  InvalidResponseDataError,
  JSONParseError,
  LoadAPIKeyError,
  NoContentGeneratedError,
  NoSuchModelError,
  TypeValidationError,
  UnsupportedFunctionalityError
} from "@ai-sdk/provider"
import * as AiError from "effect/ai/AiError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { redact } from "./secrets.ts"

/** Where a failure happened, for the error's own words. */
export interface ErrorContext {
  readonly method: "generateText" | "streamText"
  /** Stands in for the URL when the provider does not tell it, such as `"openai.chat/gpt-5"`. */
  readonly model: string
  /** Values that must not appear in an error, whatever they look like. */
  readonly secrets: Effect.Effect<ReadonlyArray<string>>
}

/** The context of something that failed, with the secrets it must not show. */
type Failed = Omit<ErrorContext, "secrets"> & { readonly secrets: ReadonlyArray<string> }

/** What an HTTP answer and an error frame inside a stream have in common. */
interface ProviderFailure {
  readonly message: string
  readonly status: number | undefined
  /** Words that tell the kind of failure where the status does not: the error's type and code, or the body. */
  readonly kind: string
  readonly isRetryable: boolean | undefined
  readonly http: typeof AiError.HttpContext.Type | undefined
}

const maxDescriptionLength = 1000
const maxBodyLength = 4000

/** Fails with what a provider throws, or puts in an `error` part of its stream. */
export const failWith =
  (context: ErrorContext) =>
  (error: unknown): Effect.Effect<never, AiError.AiError> =>
    AiError.isAiError(error)
      ? Effect.fail(error)
      : Effect.flatMap(context.secrets, (secrets) =>
          Effect.fail(
            AiError.make({ module: "AiSdk", method: context.method, reason: toReason(error, { ...context, secrets }) })
          )
        )

/** The failure of a response that stops before the provider said it was complete. */
export const incompleteResponse = (context: ErrorContext): AiError.AiError =>
  AiError.make({ module: "AiSdk", method: context.method, reason: incompleteReason(context) })

// -----------------------------------------------------------------------------
// Reasons
// -----------------------------------------------------------------------------

const toReason = (error: unknown, context: Failed): AiError.AiErrorReason => {
  if (isSdkError.apiCall(error)) return apiCallReason(error, context)
  if (isProviderFrame(error)) return failureReason(frameFailure(error, context))
  const description = clean(errorMessage(error), context)
  if (isSdkError.loadApiKey(error)) return new AiError.AuthenticationError({ kind: "MissingKey", description })
  if (isSdkError.invalidPrompt(error)) return new AiError.InvalidUserInputError({ description })
  if (isSdkError.noSuchModel(error) || isSdkError.unsupportedFunctionality(error)) {
    return new AiError.InvalidRequestError({ description })
  }
  if (isMissingData(error)) return incompleteReason(context)
  if (isUnreadableResponse(error)) return new AiError.InvalidResponseError({ description })
  if (isNetworkFailure(error)) return networkReason(context.model, description)
  return new AiError.UnknownError({ description })
}

const apiCallReason = (error: APICallError, context: Failed): AiError.AiErrorReason => {
  const description = clean(error.message, context)
  const connected = error.statusCode !== undefined
  const succeeded = connected && error.statusCode < 300
  if (!connected || (succeeded && (error.isRetryable || isNetworkFailure(error.cause)))) {
    return networkReason(withoutCredentials(error.url, context), description)
  }
  const http = httpContext(error, error.statusCode, context)
  if (succeeded) return new AiError.InvalidResponseError({ description, http })
  return failureReason({
    message: description,
    status: error.statusCode,
    kind: bodyOf(error) ?? "",
    isRetryable: error.isRetryable,
    http
  })
}

const failureReason = ({ http, isRetryable, kind, message, status }: ProviderFailure): AiError.AiErrorReason => {
  const common = { description: message, http }
  const code = status ?? statusOfKind(kind)
  if (code !== undefined && code >= 500) return new AiError.InternalProviderError(common)
  if (/insufficient_quota|quota_exceeded|credit balance/i.test(kind)) return new AiError.QuotaExhaustedError({ http })
  if (/content_policy|content_filter/i.test(kind)) return new AiError.ContentPolicyError(common)
  switch (code) {
    case 401:
      return new AiError.AuthenticationError({ kind: "InvalidKey", ...common })
    case 402:
      return new AiError.QuotaExhaustedError({ http })
    case 403:
      return new AiError.AuthenticationError({ kind: "InsufficientPermissions", ...common })
    case 408:
    case 409:
    case 425:
      return new AiError.InternalProviderError(common)
    case 429:
      return new AiError.RateLimitError({ http, ...retryAfter(http?.response?.headers) })
  }
  if (code === undefined) {
    return isRetryable === true ? new AiError.InternalProviderError(common) : new AiError.UnknownError(common)
  }
  return code >= 400 ? new AiError.InvalidRequestError(common) : new AiError.UnknownError(common)
}

const networkReason = (url: string, description: string): AiError.NetworkError =>
  new AiError.NetworkError({ reason: "TransportError", method: "POST", url, description })

const incompleteReason = ({ model }: Pick<ErrorContext, "model">): AiError.InternalProviderError =>
  new AiError.InternalProviderError({
    description: `the response of ${model} ended before the model finished; send the request again`
  })

/** Error types of the providers' streams, which come after a 200 and so have no status of their own. */
const statusOfKind = (kind: string): number | undefined => {
  if (/rate_limit/.test(kind)) return 429
  if (/authentication_error|invalid_api_key/.test(kind)) return 401
  if (/permission_error/.test(kind)) return 403
  if (/invalid_request|not_found_error|request_too_large/.test(kind)) return 400
  if (/overloaded|server_error|api_error|timeout/.test(kind)) return 500
  return undefined
}

// -----------------------------------------------------------------------------
// Recognising errors
// -----------------------------------------------------------------------------

/** The AI SDK marks its errors with registered symbols so that they are known across package versions. */
const isMarked =
  <E>(name: string) =>
  (error: unknown): error is E =>
    Predicate.hasProperty(error, Symbol.for(`vercel.ai.error.${name}`))

const isSdkError = {
  apiCall: isMarked<APICallError>("AI_APICallError"),
  loadApiKey: isMarked<LoadAPIKeyError>("AI_LoadAPIKeyError"),
  invalidPrompt: isMarked<InvalidPromptError>("AI_InvalidPromptError"),
  invalidResponseData: isMarked<InvalidResponseDataError>("AI_InvalidResponseDataError"),
  noSuchModel: isMarked<NoSuchModelError>("AI_NoSuchModelError"),
  unsupportedFunctionality: isMarked<UnsupportedFunctionalityError>("AI_UnsupportedFunctionalityError")
}

/** How `@ai-sdk/openai-compatible` reports a stream without a finish reason: nothing was wrong but the end. */
const isMissingData = (error: unknown): boolean => isSdkError.invalidResponseData(error) && error.data === undefined

const isUnreadableResponse = Predicate.some([
  isMarked<JSONParseError>("AI_JSONParseError"),
  isMarked<TypeValidationError>("AI_TypeValidationError"),
  isSdkError.invalidResponseData,
  isMarked<EmptyResponseBodyError>("AI_EmptyResponseBodyError"),
  isMarked<NoContentGeneratedError>("AI_NoContentGeneratedError")
])

/** Whether a socket, not the provider, ended the call: Node's error codes, or what `fetch` says without one. */
const isNetworkFailure = (error: unknown): boolean => {
  const seen = new Set<unknown>()
  for (let current = error; current instanceof Error && !seen.has(current); current = current.cause) {
    seen.add(current)
    if (Predicate.hasProperty(current, "code") && /^(E[A-Z]+|UND_ERR_\w+)$/.test(String(current.code))) return true
    if (current instanceof TypeError && /^(fetch failed|terminated|failed to fetch)$/i.test(current.message))
      return true
    if (current.name === "TimeoutError" || current.name === "AbortError") return true
  }
  return false
}

/** An error frame of a stream: a plain object with a message, not an `Error`. */
interface ProviderFrame {
  readonly message: string
  readonly type?: unknown
  readonly code?: unknown
  readonly statusCode?: unknown
  readonly isRetryable?: unknown
}

const isProviderFrame = (error: unknown): error is ProviderFrame =>
  !(error instanceof Error) && Predicate.hasProperty(error, "message") && Predicate.isString(error.message)

const frameFailure = (frame: ProviderFrame, context: Failed): ProviderFailure => ({
  message: clean(frame.message, context),
  status: Predicate.isNumber(frame.statusCode) ? frame.statusCode : undefined,
  kind: [frame.type, frame.code].filter(Predicate.isString).join(" "),
  isRetryable: Predicate.isBoolean(frame.isRetryable) ? frame.isRetryable : undefined,
  http: undefined
})

const errorMessage = (error: unknown): string => {
  if (error instanceof Error) return error.message
  return Predicate.isString(error) ? error : (JSON.stringify(error) ?? String(error))
}

// -----------------------------------------------------------------------------
// HTTP details
// -----------------------------------------------------------------------------

/** Text, though providers put the body here as they read it. */
const bodyOf = ({ responseBody }: { readonly responseBody?: unknown }): string | undefined =>
  responseBody === undefined || Predicate.isString(responseBody) ? responseBody : JSON.stringify(responseBody)

const httpContext = (error: APICallError, status: number, context: Failed): typeof AiError.HttpContext.Type => ({
  response: { status, headers: diagnosticHeaders(error.responseHeaders ?? {}, context) },
  ...(bodyOf(error) === undefined ? {} : { body: clean(bodyOf(error)!, context, maxBodyLength) })
})

/** Only what helps to retry or to ask the provider's support; cookies and the like stay out. */
const diagnosticHeaders = (headers: Record<string, string>, context: Failed): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      /^(retry-after|retry-after-ms|date|content-type|request-id|x-request-id|cf-ray|.*ratelimit.*)$/i.test(name)
        ? [[name, clean(value, context)]]
        : []
    )
  )

/** `retry-after` as seconds or as a date, which is measured against the response's own `date`. */
const retryAfter = (
  headers: (typeof AiError.HttpResponseDetails.Type)["headers"] = {}
): { readonly retryAfter?: Duration.Duration } => {
  const header = (name: string) => {
    const value = headers[name]
    return Predicate.isString(value) && value.trim() !== "" ? value : undefined
  }
  const millis = Number(header("retry-after-ms"))
  if (millis >= 0) return { retryAfter: Duration.millis(millis) }
  const after = header("retry-after")
  if (after === undefined) return {}
  const seconds = Number(after)
  if (seconds >= 0) return { retryAfter: Duration.seconds(seconds) }
  const wait = Date.parse(after) - Date.parse(header("date") ?? "")
  return wait >= 0 ? { retryAfter: Duration.millis(wait) } : {}
}

// -----------------------------------------------------------------------------
// Secrets
// -----------------------------------------------------------------------------

const clean = (text: string, { secrets }: Failed, maxLength = maxDescriptionLength): string => {
  // Before it is cut: half a secret would not be found.
  const out = redact(text, secrets)
  return out.length > maxLength ? `${out.slice(0, maxLength)}...` : out
}

/** Some providers take the key as a query parameter. */
const withoutCredentials = (url: string, failed: Failed): string => {
  const parsed = URL.parse(url)
  return clean(parsed === null ? url.replace(/\?.*$/s, "") : `${parsed.origin}${parsed.pathname}`, failed)
}
