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
import { Purpose } from "../services/Models.ts"
import {
  type Call,
  type Content,
  describeCall,
  describeLine,
  fits,
  type Line,
  resolve,
  type Script,
  text
} from "./ScriptedLine.ts"
import { entries, left, ScriptNotFollowed, take, unused } from "./script.ts"

export {
  type AnswerOptions,
  type Call,
  fail,
  hang,
  type Line,
  type LineOptions,
  type Matcher,
  object,
  parts,
  reply,
  type Script,
  type ToolCall,
  text,
  toolCalls
} from "./ScriptedLine.ts"
export { ScriptNotFollowed }

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

/**
 * A model that follows a script, where nobody looks at its calls: see `make`.
 *
 * **Example** (One answer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const program = Effect.map(LanguageModel.generateText({ prompt: "Hi" }), (response) => response.text)
 *
 * await Effect.runPromise(program.pipe(Effect.provide(ScriptedModel.layer(["Hello!"])))) // => "Hello!"
 * ```
 */
export const layer = (script: Script): Layer.Layer<LanguageModel.LanguageModel> =>
  Layer.unwrap(Effect.map(make(script), (model) => model.layer))
