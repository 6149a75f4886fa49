/**
 * Calls of `effect/ai`'s `DecisionModel` inside an execution: checked against the budget, counted, traced, told and
 * recorded like those of a language model. Of `effect/ai` only types are loaded here.
 */
import type * as DecisionModel from "effect/ai/DecisionModel"
import * as Effect from "effect/Effect"
import { bodyOf, type Journaling, loadJournaling } from "./BodyModel.ts"
import { type About, made, traceable } from "./ModelCall.ts"

type Model = DecisionModel.DecisionModel

/** The wrapped models, by what they wrap and by themselves. */
const wrapped = new WeakMap<Model, Model>()

/** The model, wrapped unless it is. */
export const instrumentDecisions = (model: Model, about: About): Model => {
  let known = wrapped.get(model)
  if (known === undefined) {
    const name = about.id ?? (about.provider === undefined ? about.name : `${about.provider}/${about.name}`) ?? ""
    known = Object.assign(Object.create(model) as Model, {
      decide: ((definition, options) =>
        inBody(counted(model.decide(definition, options), about), (live, { decided }) =>
          decided("decide", name, definition, options.input, live)
        )) as Model["decide"],
      decideSettled: ((definition, options) =>
        inBody(counted(model.decideSettled(definition, options), about), (live, { decided }) =>
          decided("decideSettled", name, definition, options.input, live)
        )) as Model["decideSettled"]
    })
    wrapped.set(model, known)
    wrapped.set(known, known)
  }
  return known
}

const counted = <A, E, R>(run: Effect.Effect<A, E, R>, about: About): Effect.Effect<A, E, R> =>
  // A used-up budget passes through a body, though the types of models do not say so.
  made(about, run, (fiber, call) => traceable(fiber, fiber.context, call, "decide")) as Effect.Effect<A, E, R>

/** A call that is recorded where it is a place of a body. */
const inBody = <A, E, R>(
  live: Effect.Effect<A, E, R>,
  record: (live: Effect.Effect<A, E, R>, journaling: Journaling) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    bodyOf(fiber)?.execution.isRecording === true
      ? Effect.flatMap(loadJournaling, (journaling) => record(live, journaling))
      : live
  )
