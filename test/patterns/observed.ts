// What the pattern tests share: a model that answers from a function, and what an execution did, as short lines.
import { Effect, Layer, Stream } from "effect"
import { LanguageModel, type Prompt } from "effect/ai"
import type { Execution, Workflow } from "effect-baton"

const textOf = (prompt: Prompt.Prompt): string =>
  prompt.content
    .flatMap((message) =>
      typeof message.content === "string"
        ? [message.content]
        : message.content.flatMap((part) => (part.type === "text" ? [part.text] : []))
    )
    .join("\n")

/** A model that answers each prompt with a text; objects are answered in JSON. */
export const model = (answer: (prompt: string, format: string) => unknown) =>
  Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: ({ prompt, responseFormat }) =>
        Effect.sync(() => {
          const given = answer(textOf(prompt), responseFormat.type)
          return [{ type: "text" as const, text: typeof given === "string" ? given : JSON.stringify(given) }]
        }),
      streamText: () => Stream.die("not used")
    })
  )

/** The ends of the steps of an execution, and its progress, in order. */
export const story = (execution: Execution.Execution<any, any>) =>
  execution.events.pipe(
    Stream.runCollect,
    Effect.map((events) =>
      events.flatMap((event) => {
        if (event._tag === "StepCompleted") return [event.path]
        if (event._tag === "StepFailed") return [`${event.path} ${event.interrupted ? "interrupted" : event.error}`]
        return event._tag === "Progressed" ? [`${event.path}:${event.current}/${event.total}`] : []
      })
    )
  )

/** Runs a workflow and gives its story. */
export const run = <Input, Output, Error, R>(workflow: Workflow.Workflow<Input, Output, Error, R>, input: Input) =>
  Effect.gen(function* () {
    const execution = yield* (yield* workflow.run(input)).start
    return yield* story(execution)
  })

/** The `InvalidDefinition` that a definition throws, as text. */
export const thrown = (define: () => unknown): string => {
  try {
    define()
  } catch (error) {
    return (error as Error).message
  }
  return "nothing was thrown"
}
