// Model calls that bodies make themselves, outside of steps: each is made once, whenever the process dies.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { Chat, LanguageModel, type Response } from "effect/ai"
import { type Event, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { finish } from "../support/models.ts"

type Strike = "before" | "after" | undefined

/** A model that says how often it was asked, and keeps what was asked of it. */
const counting = () => {
  const asked: Array<string> = []
  const textOf = (options: LanguageModel.ProviderOptions) =>
    JSON.stringify(options.prompt.content.map((message) => message.content))
  const answer = (options: LanguageModel.ProviderOptions) => {
    const prompt = textOf(options)
    asked.push(prompt)
    return options.responseFormat.type === "json" ? `{"n":${prompt.length}}` : `answer ${prompt.length}`
  }
  const make = LanguageModel.make({
    generateText: (options) =>
      Effect.sync((): Array<Response.PartEncoded> => [{ type: "text", text: answer(options) }, finish(10, 1)]),
    streamText: (options) =>
      Stream.suspend(() =>
        Stream.fromIterable<Response.StreamPartEncoded>(
          [
            { type: "text-start", id: "1" },
            ...answer(options)
              .split(" ")
              .map((delta) => ({ type: "text-delta" as const, id: "1", delta })),
            { type: "text-end", id: "1" },
            finish(10, 1)
          ],
          { chunkSize: 1 }
        )
      )
  })
  return { asked, layer: Layer.effect(LanguageModel.LanguageModel, make) }
}

const N = Schema.Struct({ n: Schema.Int })

const calls = Workflow.make("calls", {
  output: Schema.Unknown,
  run: (topic) =>
    Effect.gen(function* () {
      const text = (yield* LanguageModel.generateText({ prompt: `text ${topic}` })).text
      const object = (yield* LanguageModel.generateObject({ prompt: "object", schema: N })).value
      const stream = yield* LanguageModel.streamText({ prompt: "stream" }).pipe(
        Stream.filter((part) => part.type === "text-delta"),
        Stream.runFold(
          () => "",
          (text, part) => text + part.delta
        )
      )
      const chat = yield* Chat.fromPrompt("chat")
      const first = (yield* chat.generateText({ prompt: "one" })).text
      const second = (yield* chat.generateText({ prompt: "two" })).text
      const same = yield* Effect.forEach([1, 2], () => LanguageModel.generateText({ prompt: "same" }), {
        concurrency: 2
      })
      return [text, object, stream, first, second, same.map((response) => response.text)]
    }).pipe(Effect.orDie)
})

/** Lets a workflow run, dies at a write, and goes on; what the model was asked again and what came of it is compared. */
const survives = (
  name: string,
  workflow: Workflow.Workflow<string, any, any, any>,
  options: { readonly skip?: number } = {}
) =>
  it.live(
    `${name}: each is made once, whatever the write at which the process dies (D1)`,
    () =>
      Effect.gen(function* () {
        const life = (strike: (n: number) => Strike) =>
          Effect.scoped(
            Effect.gen(function* () {
              const { asked, layer } = counting()
              const file = yield* temporaryFile
              const program = Effect.gen(function* () {
                const execution = yield* (yield* workflow.run("x", { id: "r" })).start
                const exit = yield* execution.exit
                const events = yield* Stream.runCollect(execution.events)
                return { exit, usage: yield* execution.usage, events: events.map(shape) }
              }).pipe(Effect.provide(layer))
              const first = yield* live(file, {}, strike, program)
              const atCrash = asked.length
              const { result } = first.crashed ? yield* live(file, {}, undefined, program) : first
              return { ...result!, asked, atCrash, crashed: first.crashed, writes: first.writes }
            })
          )
        const whole = yield* life(() => undefined)
        for (let write = 1; write <= whole.writes; write++) {
          for (const when of ["before", "after"] as const) {
            const { asked, atCrash, ...rest } = yield* life((n) => (n === write ? when : undefined))
            const at = `${when} write ${write}`
            assert.deepStrictEqual(rest.exit, whole.exit, at)
            assert.deepStrictEqual(rest.events, whole.events, at)
            assert.deepStrictEqual(rest.usage, whole.usage, at)
            // Only what was in flight is asked again.
            const again = asked.slice(atCrash)
            const twice = asked.slice(0, atCrash).filter((prompt) => again.includes(prompt))
            if (when === "after")
              assert.deepStrictEqual(
                twice.filter((prompt) => !prompt.includes("same")),
                [],
                at
              )
            assert.isAtMost(asked.length, whole.asked.length + (options.skip ?? 1), at)
          }
        }
      }),
    120_000
  )

const shape = ({ sequence: _, time: __, ...event }: Event.Event) =>
  JSON.stringify(event, (key, value) => (key === "durationMillis" ? undefined : value))

describe("model calls of a body", () => {
  survives("of all kinds", calls, { skip: 2 })
})
