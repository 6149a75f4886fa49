// The workflow whose journal of model calls is kept: it makes them in every way, and outside of steps. It must never change.
import { Effect, Schema, Stream } from "effect"
import { Chat, LanguageModel, Tool, Toolkit } from "effect/ai"
import { Execution, Models, Workflow } from "effect-baton"
import { delta, down, finish, says } from "../../../support/models.ts"

const Weigh = Tool.make("weigh", {
  description: "Weighs a thing",
  parameters: Schema.Struct({ thing: Schema.String, at: Schema.Finite }),
  success: Schema.Struct({ grams: Schema.Int, at: Schema.Date })
})
const toolkit = Toolkit.make(Weigh)

const Parcel = Schema.Struct({ weight: Schema.Int, tags: Schema.Array(Schema.String) })

/** What was asked: the last words. */
const said = ({ prompt }: LanguageModel.ProviderOptions): string => {
  const { content } = prompt.content.at(-1)!
  return typeof content === "string" ? content : content.map((part) => ("text" in part ? part.text : part.type)).join()
}

/** A model that tells what it is asked, by the last words. */
export const model = (asked: (words: string) => void) =>
  LanguageModel.make({
    generateText: (options) =>
      Effect.suspend(() => {
        const words = said(options)
        asked(words)
        if (words === "fail") return Effect.fail(down)
        if (words === "never") return Effect.never
        if (words === "weigh it") {
          const params = { thing: "tea", at: 5 }
          return Effect.succeed([
            { type: "tool-call", id: "call-1", name: "weigh", params } as const,
            finish(3, 4, { reason: "tool-calls" })
          ])
        }
        return Effect.succeed([
          ...says(options.responseFormat.type === "json" ? `{"weight":7,"tags":["a"]}` : `${words}!`, 1, 2)
        ])
      }),
    streamText: (options) =>
      Stream.suspend(() => {
        asked(said(options))
        return Stream.fromIterable([delta("one "), delta("two"), finish(5, 6)], { chunkSize: 1 })
      })
  })

export const calls = (weighed: () => void) =>
  Workflow.make("calls", {
    output: Schema.Array(Schema.String),
    version: "1",
    run: (topic) =>
      Effect.gen(function* () {
        const system = { role: "system", content: "You are terse." } as const
        const text = yield* LanguageModel.generateText({ prompt: [system, { role: "user", content: topic }] })
        const parcel = yield* LanguageModel.generateObject({ prompt: "parcel", schema: Parcel, objectName: "parcel" })
        const stream = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "stream" }))
        const failed = yield* Effect.flip(LanguageModel.generateText({ prompt: "fail" }))
        const slow = yield* Effect.timeoutOption(LanguageModel.generateText({ prompt: "never" }), "20 millis")
        const both = yield* Effect.all(
          [1, 2].map(() => LanguageModel.generateText({ prompt: "same" }).pipe(Models.use("part"))),
          {
            concurrency: 2
          }
        )
        const chat = yield* Chat.empty
        const weighing = yield* chat.generateText({ prompt: "weigh it", toolkit })
        const { grams, at } = weighing.toolResults[0].result as typeof Weigh.successSchema.Type
        const close = yield* chat.generateText({ prompt: "and now?" })
        const { approvedBy } = yield* Execution.waitForApproval("go on?")
        const after = yield* LanguageModel.generateText({ prompt: "after" })
        return [
          text.text,
          `${parcel.value.weight} ${parcel.value.tags}`,
          stream.flatMap((part) => (part.type === "text-delta" ? [part.delta] : [])).join("|"),
          failed._tag === "AiError" ? failed.reason._tag : "",
          slow._tag,
          both.map((response) => response.text).join(),
          `${grams} ${at.getTime()}`,
          close.text,
          `${approvedBy}`,
          after.text
        ]
      }).pipe(
        Effect.orDie,
        Effect.provide(
          toolkit.toLayer({ weigh: ({ at }) => Effect.as(Effect.sync(weighed), { grams: 9, at: new Date(at) }) })
        )
      )
  })
