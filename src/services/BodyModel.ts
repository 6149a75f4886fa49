/**
 * Models as bodies see them.
 *
 * B1  Outside of steps, a call is a place of the body: where results are recorded it is made once, and what it came to is
 *     recorded with its event.
 * B2  Tools that such a call runs are steps.
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { currentFrame, type Frame } from "../internal/frame.ts"
import { type About, instrument, wraps } from "./ModelCall.ts"
import { CurrentRecording } from "./ModelRecording.ts"
import { withSteps } from "./ModelTools.ts"
import { generate, stream, wrap } from "./ModelWrapper.ts"

/** What records calls; loaded where it is needed, which is where results are recorded. */
export type Journaling = typeof import("./ModelJournal.ts") & typeof import("./DecisionJournal.ts")

let journaling: Journaling | undefined

/** Loads what records calls: a replay that waits for it would let others go first. */
export const loadJournaling: Effect.Effect<Journaling> = Effect.suspend(() =>
  journaling === undefined
    ? Effect.map(
        Effect.promise(() => Promise.all([import("./ModelJournal.ts"), import("./DecisionJournal.ts")])),
        ([models, decisions]) => (journaling = { ...models, ...decisions })
      )
    : Effect.succeed(journaling)
)

const bodyModels = new WeakMap<LanguageModel.LanguageModel, LanguageModel.LanguageModel>()

/**
 * The model as bodies see it: the outermost wrapper, around limits and retries, so that what is recorded is what a call
 * came to in the end.
 */
export const inBodies = (model: LanguageModel.LanguageModel, about: About = {}): LanguageModel.LanguageModel => {
  let known = bodyModels.get(model)
  if (known === undefined) {
    const inner = instrument(model, about)
    known = bodyModels.get(inner) ?? forBodies(inner)
    bodyModels.set(model, known).set(inner, known).set(known, known)
  }
  return known
}

const forBodies = (model: LanguageModel.LanguageModel): LanguageModel.LanguageModel => {
  const bodyModel = wrap(model, {
    generate: (method, options) =>
      Effect.withFiber<any, any, any>((fiber) => {
        const frame = bodyOf(fiber)
        if (frame === undefined) return generate(model, method, options)
        if (!frame.execution.isRecording) return generate(model, method, withSteps(options))
        if (journaling !== undefined) return generate(journaling.recorded(model), method, options)
        return Effect.flatMap(loadJournaling, ({ recorded }) => generate(recorded(model), method, options))
      }),
    stream: (options) =>
      Stream.unwrap(
        Effect.withFiber<Stream.Stream<any, any, any>, any, any>((fiber) => {
          const frame = bodyOf(fiber)
          if (frame === undefined) return Effect.succeed(stream(model, options))
          if (!frame.execution.isRecording) return Effect.succeed(stream(model, withSteps(options)))
          return Effect.map(loadJournaling, ({ recorded }) => stream(recorded(model), options))
        })
      )
  })
  wraps(bodyModel, model)
  return bodyModel
}

/** The place in a body where a call is made, outside of steps and of other calls. */
export const bodyOf = (fiber: Fiber.Fiber<any, any>): Frame | undefined => {
  const frame = currentFrame(fiber)
  return frame === undefined || frame.inStep || fiber.getRef(CurrentRecording) !== undefined ? undefined : frame
}
