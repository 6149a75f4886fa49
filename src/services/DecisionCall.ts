/**
 * Calls of `effect/ai`'s `DecisionModel` inside an execution: checked against the budget, counted, traced and told like
 * those of a language model. Of `effect/ai` only types are loaded here.
 */
import type * as DecisionModel from "effect/ai/DecisionModel"
import * as Effect from "effect/Effect"
import type { ExecutionImpl } from "../internal/execution.ts"
import { currentFrame, type Frame } from "../internal/frame.ts"
import { type About, Call, made, refused, traceable } from "./ModelCall.ts"

type Model = DecisionModel.DecisionModel

/** The wrapped models, by what they wrap and by themselves. */
const wrapped = new WeakMap<Model, Model>()

/** The model, wrapped unless it is. */
export const instrumentDecisions = (model: Model, about: About): Model => {
  let known = wrapped.get(model)
  if (known === undefined) {
    known = Object.assign(Object.create(model) as Model, {
      decide: ((definition, options) => counted(model.decide(definition, options), about)) as Model["decide"],
      decideSettled: ((definition, options) =>
        counted(model.decideSettled(definition, options), about)) as Model["decideSettled"]
    })
    wrapped.set(model, known)
    wrapped.set(known, known)
  }
  return known
}

const counted = <A, E, R>(run: Effect.Effect<A, E, R>, about: About): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const frame = currentFrame(fiber)
    if (frame === undefined) return run
    const no = refused(frame)
    // A used-up budget passes through a body, though the types of models do not say so.
    if (no !== undefined) return no as Effect.Effect<never>
    if (frame.execution.journal !== undefined && !frame.inStep) warn(frame)
    const call = Call.begin(fiber, frame, about)
    return made(fiber, call, run, traceable(fiber, fiber.context, call, "decide"))
  })

const warned = new WeakSet<ExecutionImpl>()

/** Says once a run that a decision is not recorded. */
const warn = ({ execution, path }: Frame): void => {
  if (warned.has(execution)) return
  warned.add(execution)
  execution.fork(
    Effect.logWarning(
      `A decision ${path === "" ? "" : `at "${path}" `}of ${execution.workflow} is made outside of a step: unlike calls of ` +
        "language models it is not recorded, and made again whenever the body is replayed; put it in a step"
    )
  )
}
