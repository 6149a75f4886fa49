/**
 * A language model for tests, which says what a script tells it to and remembers what it was asked.
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import { Current } from "../internal/frame.ts"
import { show } from "../internal/schema.ts"
import { Purpose } from "../services/Models.ts"
import { entries, left, matchesText, ScriptNotFollowed, shorten, type TextMatcher, take, unused } from "./script.ts"

export { ScriptNotFollowed }

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

interface Content {
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

/** A model that follows a script. */
export interface ScriptedModel {
  readonly model: LanguageModel.LanguageModel
  /** Provides the model. */
  readonly layer: Layer.Layer<LanguageModel.LanguageModel>
  /** The calls so far, oldest first. */
  readonly calls: Effect.Effect<ReadonlyArray<Call>>
  /** Fails unless every line was used, and every call found one. */
  readonly assertComplete: Effect.Effect<void, ScriptNotFollowed>
}

/**
 * There is no line for a call. It is a defect, so that no retry and no handler of a model's errors hides it.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const program = Effect.gen(function*() {
 *   const { layer } = yield* ScriptedModel.make([ScriptedModel.text("Bye", { when: "goodbye" })])
 *   return yield* LanguageModel.generateText({ prompt: "hello" }).pipe(Effect.provide(layer))
 * })
 *
 * const message = await Effect.runPromise(program.pipe(Effect.catchDefect((error) => Effect.succeed(String(error)))))
 * message // => 'UnexpectedCall: No line of the script fits call 1 (text): "hello"\n  still scripted: 1: text "Bye", when "goodbye"'
 * ```
 */
export class UnexpectedCall extends Error {
  override readonly name = "UnexpectedCall"
  readonly call: Call

  constructor(call: Call, lines: ReadonlyArray<string>) {
    const rest = lines.length === 0 ? ["nothing: every line is used"] : lines
    super(
      [`No line of the script fits ${describeCall(call)}`, ...rest.map((line) => `  still scripted: ${line}`)].join(
        "\n"
      )
    )
    this.call = call
  }
}

const describeCall = (call: Call): string => {
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

const describeLine = (line: Line): string =>
  line.when === undefined ? line.title : `${line.title}, when ${matcherText(line.when)}`

const fits =
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

const resolve = (content: Line["content"], call: Call): Effect.Effect<Content, AiError.AiError> =>
  Effect.suspend(() => {
    if (!Predicate.isFunction(content)) return Effect.succeed(content)
    const made = content(call)
    return Effect.flatMap(Effect.isEffect(made) ? made : Effect.succeed(made), (line) => resolve(line.content, call))
  })

const promptText = (prompt: Prompt.Prompt): string =>
  prompt.content
    .flatMap((message): ReadonlyArray<string> => {
      if (message.role === "system") return [message.content]
      return message.content.flatMap((part): ReadonlyArray<string> => {
        if (part.type === "text") return [part.text]
        return part.type === "tool-result" ? [JSON.stringify(part.result)] : []
      })
    })
    .join("\n")

const words = (text: string): number => text.split(/\s+/).filter((word) => word !== "").length

const finish = (call: Call, { chunks, options, parts }: Content): Response.FinishPartEncoded => {
  const usage = options.usage ?? { inputTokens: words(call.text), outputTokens: words(chunks.join("")) }
  const reason = parts.some((part) => part.type === "tool-call") ? "tool-calls" : "stop"
  return {
    type: "finish",
    reason: options.finishReason ?? reason,
    usage: {
      inputTokens: { uncached: usage.inputTokens, total: usage.inputTokens, cacheRead: 0, cacheWrite: 0 },
      outputTokens: { total: usage.outputTokens, text: usage.outputTokens, reasoning: 0 }
    }
  }
}

const pause = (duration: Duration.Input | undefined): Effect.Effect<void> =>
  duration === undefined ? Effect.void : Effect.sleep(duration)

/** How an answer ends, once everything is said. */
const end = (call: Call, content: Content): Effect.Effect<Response.FinishPartEncoded, AiError.AiError> => {
  const { ending } = content
  if (ending === "finish") return Effect.succeed(finish(call, content))
  if (ending === "hang") return Effect.never
  if (AiError.isAiError(ending)) return Effect.fail(ending)
  const method = call.kind === "stream" ? "streamText" : call.kind === "object" ? "generateObject" : "generateText"
  return Effect.fail(AiError.make({ module: "ScriptedModel", method, reason: ending }))
}

/**
 * Makes a model that follows a script.
 *
 * **Details**
 *
 * Each call takes the first line that is left and fits it: lines without `when` come in order, lines with it wait for
 * their call. A call that no line fits is a defect, `UnexpectedCall`, which shows the prompt and what is still
 * scripted; `assertComplete` tells of it too, and of the lines that were not used. Time passes on the `Clock`, so
 * delays are instant under `TestClock`. The state is this effect's: make a new model for each test.
 *
 * **Example** (A conversation)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const program = Effect.gen(function*() {
 *   const model = yield* ScriptedModel.make([
 *     "Hello!",
 *     ScriptedModel.text("Bye!", { when: /goodbye/i, usage: { inputTokens: 10, outputTokens: 2 } })
 *   ])
 *   const ask = (prompt: string) =>
 *     Effect.map(LanguageModel.generateText({ prompt }), (response) => response.text).pipe(Effect.provide(model.layer))
 *   const said = [yield* ask("Hi"), yield* ask("Goodbye")]
 *   yield* model.assertComplete
 *   return [said, (yield* model.calls).map((call) => call.text)]
 * })
 *
 * await Effect.runPromise(program) // => [["Hello!", "Bye!"], ["Hi", "Goodbye"]]
 * ```
 */
export const make = (script: Script): Effect.Effect<ScriptedModel> =>
  Effect.gen(function* () {
    const lines = entries(script.map((line) => (Predicate.isString(line) ? text(line) : line)))
    const calls: Array<{ -readonly [K in keyof Call]: Call[K] }> = []
    const titles = (some: typeof lines) => some.map((entry) => `${entry.position}: ${describeLine(entry.line)}`)

    const open = (options: LanguageModel.ProviderOptions, isStream: boolean) =>
      Effect.withFiber((fiber) => {
        const frame = fiber.context.mapUnsafe.get(Current.key) as Current["Service"] | undefined
        const format = options.responseFormat
        const call: (typeof calls)[number] = {
          number: calls.length + 1,
          kind: isStream ? "stream" : format.type === "json" ? "object" : "text",
          text: promptText(options.prompt),
          prompt: options.prompt,
          purpose: fiber.getRef(Purpose),
          path: frame?.path ?? "",
          tools: options.tools.map((tool) => tool.name),
          objectName: format.type === "json" ? format.objectName : undefined,
          options,
          outcome: "pending"
        }
        calls.push(call)
        const entry = take(lines, fits(call))
        if (entry === undefined) {
          call.outcome = "unexpected"
          return Effect.die(new UnexpectedCall(call, titles(left(lines))))
        }
        return Effect.succeed({ call, line: entry.line })
      })

    const begin = (call: Call, line: Line) =>
      Effect.tap(resolve(line.content, call), (content) => pause(content.options.after))

    const close = (call: (typeof calls)[number], outcome: Call["outcome"]) =>
      Effect.sync(() => {
        if (call.outcome === "pending") call.outcome = outcome
      })

    const generateText = (options: LanguageModel.ProviderOptions) =>
      Effect.flatMap(open(options, false), ({ call, line }) =>
        Effect.gen(function* () {
          const content = yield* begin(call, line)
          const last = yield* end(call, content)
          const said = content.chunks.join("")
          const parts: Array<Response.PartEncoded> = said === "" ? [] : [{ type: "text", text: said }]
          return [...parts, ...content.parts, last]
        }).pipe(
          Effect.tap(close(call, "answered")),
          Effect.tapError(() => close(call, "failed")),
          Effect.ensuring(close(call, "interrupted"))
        )
      )

    const say = (call: Call, content: Content): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> => {
      const { chunks, options, parts } = content
      const id = "text_1"
      const delta = (delta: string, i: number): Effect.Effect<Response.StreamPartEncoded> =>
        Effect.as(i === 0 ? Effect.void : pause(options.chunkDelay), { type: "text-delta", id, delta })
      const spoken: ReadonlyArray<Effect.Effect<Response.StreamPartEncoded, AiError.AiError>> = [
        ...(chunks.length === 0 ? [] : [Effect.succeed({ type: "text-start", id } as const)]),
        ...chunks.map(delta),
        ...(chunks.length === 0 || content.ending !== "finish"
          ? []
          : [Effect.succeed({ type: "text-end", id } as const)]),
        ...parts.map((part) => Effect.succeed(part)),
        end(call, content)
      ]
      return Stream.mapEffect(Stream.fromIterable(spoken, { chunkSize: 1 }), (part) => part)
    }

    const streamText = (options: LanguageModel.ProviderOptions) =>
      Stream.unwrap(
        Effect.map(open(options, true), ({ call, line }) =>
          Stream.unwrap(Effect.map(begin(call, line), (content) => say(call, content))).pipe(
            Stream.concat(Stream.drain(Stream.fromEffect(close(call, "answered")))),
            Stream.tapError(() => close(call, "failed")),
            Stream.ensuring(close(call, "interrupted"))
          )
        )
      )

    const model = yield* LanguageModel.make({ generateText, streamText })
    return {
      model,
      layer: Layer.succeed(LanguageModel.LanguageModel, model),
      calls: Effect.sync(() => calls.map((call) => ({ ...call }))),
      assertComplete: Effect.suspend(() => {
        const missing = titles(unused(lines))
        const unexpected = calls.filter((call) => call.outcome === "unexpected").map(describeCall)
        return missing.length === 0 && unexpected.length === 0
          ? Effect.void
          : Effect.fail(new ScriptNotFollowed({ of: "model", unused: missing, unexpected }))
      })
    }
  })
