/**
 * What asks for the `LanguageModel` in a body gets it as bodies see it, also where a layer inside of the body provides it:
 * nothing else stands between a body and a model of which Baton never heard. Outside of executions nothing changes.
 */
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { currentFrame } from "../internal/frame.ts"
import { inBodies } from "./BodyModel.ts"
import { keys } from "./ModelCall.ts"

/** How `effect` calls what an effect does when it is run; a service's key is the effect that gives the service. */
const evaluate = "~effect/Effect/evaluate"

type Evaluate = (this: unknown, fiber: Fiber.Fiber<any, any>) => Effect.Effect<unknown>

/** Sees to it; once is enough. Engines do, so that it does not depend on which modules somebody loads. */
export const install = (): void => {
  // The key's own type does not say how it is run.
  const key = LanguageModel.LanguageModel as any as Record<typeof evaluate, Evaluate | undefined>
  const given = key[evaluate]
  if (given === undefined || Object.hasOwn(key, evaluate)) return
  key[evaluate] = function (fiber) {
    const services = fiber.context.mapUnsafe
    const model = services.get(keys.model) as LanguageModel.LanguageModel | undefined
    if (model === undefined || currentFrame(fiber) === undefined) return given.call(this, fiber)
    const name = services.get(keys.modelName) as string | undefined
    const provider = services.get(keys.providerName) as string | undefined
    return Effect.succeed(inBodies(model, { name, provider }))
  }
}
