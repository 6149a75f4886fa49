/**
 * What a scripted model says, and to which calls.
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { show } from "../internal/schema.ts"
import { matchesText, shorten, type TextMatcher } from "./script.ts"

/** What a call was, and what became of it. */
export interface Call {
  /** 1, 2, 3, ... in the order of the calls. */
  readonly number: number
  readonly kind: "text" | "object" | "stream"
  /** All text of the prompt: messages of every role, and the results of tools as JSON; parts are a line each. */
  readonly text: string
  readonly prompt: Prompt.Prompt
  /** What the call was for, such as a pattern's phase; empty outside of them. */
  readonly purpose: string
  /** Path of the step it was made in; empty outside of an execution. */
  readonly path: string
  /** Names of the tools that were offered. */
  readonly tools: ReadonlyArray<string>
  /** Name of the object that was asked for. */
  readonly objectName: string | undefined
  /** Everything else about the request. */
  readonly options: LanguageModel.ProviderOptions
  readonly outcome: "pending" | "answered" | "failed" | "interrupted" | "unexpected"
}

/** Which calls a line is for: text in the prompt, several conditions that must all hold, or a function. */
export type Matcher =
  | TextMatcher
  | {
      readonly text?: TextMatcher | undefined
      readonly purpose?: string | undefined
      readonly path?: TextMatcher | undefined
      readonly kind?: Call["kind"] | undefined
      /** Name of a tool that must be offered. */
      readonly tool?: string | undefined
      readonly objectName?: string | undefined
    }
  | ((call: Call) => boolean)

/** What can be set for every line. */
export interface LineOptions {
  /** Which calls it is for. Default: all. */
  readonly when?: Matcher | undefined
  /** How often it is used; `Infinity` for any number of times, but once. Default: 1. */
  readonly times?: number | undefined
  /** How long the model thinks before it begins. Default: not at all. */
  readonly after?: Duration.Input | undefined
}

/** What can be set for a line that answers. */
export interface AnswerOptions extends LineOptions {
  /** Time between the chunks of a stream. Default: none. */
  readonly chunkDelay?: Duration.Input | undefined
  /** Tokens that the answer says it used. Default: the words of the prompt, and the words of the answer. */
  readonly usage?: { readonly inputTokens: number; readonly outputTokens: number } | undefined
  /** Default: `"tool-calls"` where there are any, else `"stop"`. */
  readonly finishReason?: Response.FinishReason | undefined
}

/** What a model says, and how it ends. */
export interface Content {
  readonly chunks: ReadonlyArray<string>
  readonly parts: ReadonlyArray<Response.PartEncoded & Response.StreamPartEncoded>
  /** How it ends: with a finish, an error, or never. */
  readonly ending: "finish" | "hang" | AiError.AiError | AiError.AiErrorReason
  readonly options: AnswerOptions
}

/** A line of a script: what to say, and when. */
export interface Line {
  readonly title: string
  readonly when: Matcher | undefined
  readonly times: number
  readonly content: Content | ((call: Call) => Line | Effect.Effect<Line, AiError.AiError>)
}

/** What a model says, line by line; a string is `text` of it. */
export type Script = ReadonlyArray<string | Line>

export const describeCall = (call: Call): string => {
  const about = [
    call.kind,
    ...(call.objectName === undefined ? [] : [`object ${call.objectName}`]),
    ...(call.purpose === "" ? [] : [`purpose ${call.purpose}`]),
    ...(call.path === "" ? [] : [`path ${call.path}`]),
    ...(call.tools.length === 0 ? [] : [`tools ${call.tools.join(", ")}`])
  ]
  return `call ${call.number} (${about.join("; ")}): ${JSON.stringify(shorten(call.text))}`
}

const matcherText = (matcher: Matcher): string =>
  Predicate.isFunction(matcher)
    ? "a function says so"
    : Predicate.isString(matcher)
      ? JSON.stringify(matcher)
      : matcher instanceof RegExp
        ? String(matcher)
        : Object.entries(matcher)
            .map(([key, value]) => `${key} ${value instanceof RegExp ? String(value) : JSON.stringify(value)}`)
            .join(" and ")

/** A line in words, with when it is for. */
export const describeLine = (line: Line): string =>
  line.when === undefined ? line.title : `${line.title}, when ${matcherText(line.when)}`

export const fits =
  (call: Call) =>
  ({ when }: Line): boolean => {
    if (when === undefined) return true
    if (Predicate.isFunction(when)) return when(call)
    if (Predicate.isString(when) || when instanceof RegExp) return matchesText(when, call.text)
    return (
      (when.text === undefined || matchesText(when.text, call.text)) &&
      (when.purpose === undefined || when.purpose === call.purpose) &&
      (when.path === undefined || matchesText(when.path, call.path)) &&
      (when.kind === undefined || when.kind === call.kind) &&
      (when.tool === undefined || call.tools.includes(when.tool)) &&
      (when.objectName === undefined || when.objectName === call.objectName)
    )
  }

const line = (title: string, options: AnswerOptions | undefined, content: Omit<Content, "options">): Line => ({
  title: shorten(title),
  when: options?.when,
  times: options?.times ?? 1,
  content: { ...content, options: options ?? {} }
})

/**
 * A line that answers with text; of several pieces, each is a chunk where the call streams.
 *
 * **Example** (Streaming in two chunks)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const program = Effect.gen(function*() {
 *   const { layer } = yield* ScriptedModel.make([ScriptedModel.text(["Hel", "lo"])])
 *   return yield* LanguageModel.streamText({ prompt: "hi" }).pipe(
 *     Stream.filter((part) => part.type === "text-delta"),
 *     Stream.map((part) => part.delta),
 *     Stream.runCollect,
 *     Effect.provide(layer)
 *   )
 * })
 *
 * await Effect.runPromise(program) // => ["Hel", "lo"]
 * ```
 */
export const text = (text: string | ReadonlyArray<string>, options?: AnswerOptions): Line => {
  const chunks = Predicate.isString(text) ? [text] : text
  return line(`text ${show(chunks.join(""))}`, options, { chunks, parts: [], ending: "finish" })
}

/**
 * A line that answers with an object, given as JSON has it.
 *
 * **Gotchas**
 *
 * The value is not checked here but by the one who asked, so a value that does not fit tests how that is handled.
 *
 * **Example** (A route)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const program = Effect.gen(function*() {
 *   const { layer } = yield* ScriptedModel.make([ScriptedModel.object({ route: "billing" })])
 *   const response = yield* LanguageModel.generateObject({
 *     prompt: "Where is my invoice?",
 *     schema: Schema.Struct({ route: Schema.String })
 *   }).pipe(Effect.provide(layer))
 *   return response.value
 * })
 *
 * await Effect.runPromise(program) // => { route: "billing" }
 * ```
 */
export const object = (value: unknown, options?: AnswerOptions): Line =>
  line(`object ${show(value)}`, options, { chunks: [JSON.stringify(value)], parts: [], ending: "finish" })

/** A call of a tool. */
export interface ToolCall {
  readonly name: string
  /** The parameters, as JSON has them. Default: none. */
  readonly params?: unknown
  /** Default: `call_1`, `call_2`, ... within the line. */
  readonly id?: string | undefined
}

/**
 * A line that calls tools, after some text if there is any.
 *
 * **Example** (One call)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LanguageModel, Tool, Toolkit } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const toolkit = Toolkit.make(Tool.make("weather", {
 *   parameters: Schema.Struct({ city: Schema.String }),
 *   success: Schema.String
 * }))
 * const handlers = toolkit.toLayer({ weather: ({ city }) => Effect.succeed(`rain in ${city}`) })
 *
 * const program = Effect.gen(function*() {
 *   const { layer } = yield* ScriptedModel.make([
 *     ScriptedModel.toolCalls([{ name: "weather", params: { city: "Oslo" } }], { when: { tool: "weather" } })
 *   ])
 *   const response = yield* LanguageModel.generateText({ prompt: "Umbrella?", toolkit }).pipe(
 *     Effect.provide([layer, handlers])
 *   )
 *   return response.toolResults.map((result) => result.result)
 * })
 *
 * await Effect.runPromise(program) // => ["rain in Oslo"]
 * ```
 */
export const toolCalls = (
  calls: ReadonlyArray<ToolCall>,
  options?: AnswerOptions & { readonly text?: string | undefined }
): Line =>
  line(`calls of ${calls.map((call) => call.name).join(", ")}`, options, {
    chunks: options?.text === undefined ? [] : [options.text],
    parts: calls.map(({ id, name, params }, i) => ({
      type: "tool-call",
      id: id ?? `call_${i + 1}`,
      name,
      params: params ?? {}
    })),
    ending: "finish"
  })

/**
 * A line that answers with these parts, for what the other lines have no word for.
 *
 * **Example** (A source)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const program = Effect.gen(function*() {
 *   const { layer } = yield* ScriptedModel.make([
 *     ScriptedModel.parts([{ type: "source", sourceType: "url", id: "1", url: "https://effect.website", title: "Effect" }])
 *   ])
 *   const response = yield* LanguageModel.generateText({ prompt: "hi" }).pipe(Effect.provide(layer))
 *   return response.content.map((part) => part.type)
 * })
 *
 * await Effect.runPromise(program) // => ["source", "finish"]
 * ```
 */
export const parts = (
  parts: ReadonlyArray<Response.PartEncoded & Response.StreamPartEncoded>,
  options?: AnswerOptions
): Line => line(`parts ${parts.map((part) => part.type).join(", ")}`, options, { chunks: [], parts, ending: "finish" })

/**
 * A line that fails; where the call streams, after the chunks of `text`.
 *
 * **Example** (Too many requests)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { AiError, LanguageModel } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const program = Effect.gen(function*() {
 *   const { layer } = yield* ScriptedModel.make([ScriptedModel.fail(new AiError.RateLimitError({})), "Hello"])
 *   const response = yield* LanguageModel.generateText({ prompt: "hi" }).pipe(
 *     Effect.retry({ times: 1 }),
 *     Effect.provide(layer)
 *   )
 *   return response.text
 * })
 *
 * await Effect.runPromise(program) // => "Hello"
 * ```
 */
export const fail = (
  error: AiError.AiError | AiError.AiErrorReason,
  options?: LineOptions & {
    /** What a stream says before it fails. Default: nothing. */
    readonly text?: string | ReadonlyArray<string> | undefined
    /** Time between the chunks of a stream. Default: none. */
    readonly chunkDelay?: Duration.Input | undefined
  }
): Line => {
  const chunks = options?.text ?? []
  return line(`failure ${AiError.isAiError(error) ? error.reason._tag : error._tag}`, options, {
    chunks: Predicate.isString(chunks) ? [chunks] : chunks,
    parts: [],
    ending: error
  })
}

/**
 * A line that never answers; where the call streams, after the chunks of `text`. The call's outcome becomes
 * `"interrupted"` when it is given up.
 *
 * **Example** (A timeout)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const program = Effect.gen(function*() {
 *   const { calls, layer } = yield* ScriptedModel.make([ScriptedModel.hang()])
 *   yield* LanguageModel.generateText({ prompt: "hi" }).pipe(Effect.timeoutOption("10 millis"), Effect.provide(layer))
 *   return (yield* calls).map((call) => call.outcome)
 * })
 *
 * await Effect.runPromise(program) // => ["interrupted"]
 * ```
 */
export const hang = (
  options?: LineOptions & {
    /** What a stream says before it stops. Default: nothing. */
    readonly text?: string | ReadonlyArray<string> | undefined
  }
): Line => {
  const chunks = options?.text ?? []
  return line("silence", options, { chunks: Predicate.isString(chunks) ? [chunks] : chunks, parts: [], ending: "hang" })
}

/**
 * A line whose content depends on the call. Its `when` and `times` are its own, those of what it gives mean nothing.
 *
 * **Example** (An echo)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const program = Effect.gen(function*() {
 *   const { layer } = yield* ScriptedModel.make([
 *     ScriptedModel.reply((call) => ScriptedModel.text(call.text.toUpperCase()), { times: Infinity })
 *   ])
 *   const response = yield* LanguageModel.generateText({ prompt: "hi" }).pipe(Effect.provide(layer))
 *   return response.text
 * })
 *
 * await Effect.runPromise(program) // => "HI"
 * ```
 */
export const reply = (
  f: (call: Call) => Line | Effect.Effect<Line, AiError.AiError>,
  options?: Omit<LineOptions, "after">
): Line => ({ title: "a reply", when: options?.when, times: options?.times ?? 1, content: f })

/** What a line says to a call. */
export const resolve = (content: Line["content"], call: Call): Effect.Effect<Content, AiError.AiError> =>
  Effect.suspend(() => {
    if (!Predicate.isFunction(content)) return Effect.succeed(content)
    const made = content(call)
    return Effect.flatMap(Effect.isEffect(made) ? made : Effect.succeed(made), (line) => resolve(line.content, call))
  })
