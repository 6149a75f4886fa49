/**
 * The models among the services that executions run with.
 */
import type * as DecisionModel from "effect/ai/DecisionModel"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Telemetry from "effect/ai/Telemetry"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { ExecutionImpl } from "../internal/execution.ts"
import { currentFrame, type Frame } from "../internal/frame.ts"
import { inBodies } from "./BodyModel.ts"
import { instrumentDecisions } from "./DecisionCall.ts"
import { type About, Call, keys, type Part, type Registry, standIns, withAbout } from "./ModelCall.ts"
import * as ModelTag from "./ModelTag.ts"

const registries = new WeakMap<Registry, Registry>()

const instrumentRegistry = (registry: Registry): Registry => {
  let known = registries.get(registry)
  if (known === undefined) {
    const models = new Map(Array.from(registry.models, ([id, model]) => [id, inBodies(model, { id })]))
    registries.set(registry, (known = { models }))
    registries.set(known, known)
  }
  return known
}

/** Wraps the models among services; `about` says more of them. */
export const instrumentModels = (services: Map<string, unknown>, about?: About): void => {
  const model = services.get(keys.model) as LanguageModel.LanguageModel | undefined
  const decisions = services.get(keys.decisionModel) as DecisionModel.DecisionModel | undefined
  const name = services.get(keys.modelName) as string | undefined
  const provider = services.get(keys.providerName) as string | undefined
  if (model !== undefined) {
    const known = inBodies(model, { name, provider })
    services.set(keys.model, about === undefined ? known : inBodies(withAbout(known, about)))
  }
  if (decisions !== undefined) {
    // Where there are both, the names are the language model's.
    const named = model === undefined ? { name, provider, ...about } : about
    services.set(keys.decisionModel, instrumentDecisions(decisions, named ?? {}))
  }
  const registry = services.get(keys.models) as Registry | undefined
  if (registry !== undefined) services.set(keys.models, instrumentRegistry(registry))
}

/** Prepares the services that bodies run with. */
export const instrumentServices = (services: Map<string, unknown>): void => {
  ModelTag.install()
  instrumentModels(services)
  const given = services.get(keys.spanTransformer) as Telemetry.SpanTransformer | undefined
  services.set(keys.spanTransformer, watchOutside(given))
}

/**
 * Calls of models that somebody kept from outside of a body, and so are not wrapped: `effect/ai` shows the answer of each
 * to the span transformer of its context.
 */
const watchers = new WeakMap<Telemetry.SpanTransformer, Telemetry.SpanTransformer>()

const watchOutside = (given: Telemetry.SpanTransformer | undefined): Telemetry.SpanTransformer => {
  if (given === undefined) return watcher
  if (standIns.has(given)) return given
  let known = watchers.get(given)
  if (known === undefined) watchers.set(given, (known = makeWatcher(given)))
  return known
}

const makeWatcher = (given: Telemetry.SpanTransformer | undefined): Telemetry.SpanTransformer => {
  const watcher: Telemetry.SpanTransformer = (options) => {
    const fiber = Fiber.getCurrent()
    const frame = fiber === undefined ? undefined : currentFrame(fiber)
    if (frame !== undefined) calledOutside(fiber!, frame, options.response)
    given?.(options)
  }
  standIns.set(watcher, { given })
  return watcher
}

const watcher = makeWatcher(undefined)

const warned = new WeakSet<ExecutionImpl>()

const calledOutside = (fiber: Fiber.Fiber<any, any>, frame: Frame, response: ReadonlyArray<Part>): void => {
  const about = {
    name: fiber.context.mapUnsafe.get(keys.modelName) as string | undefined,
    provider: fiber.context.mapUnsafe.get(keys.providerName) as string | undefined
  }
  const call = Call.begin(fiber, frame, about)
  call.sawAll(response.filter((part) => part.type !== "text-delta"))
  call.end()
  const { execution, path } = frame
  if (warned.has(execution)) return
  warned.add(execution)
  const again = execution.journal !== undefined && !frame.inStep ? ", and made again whenever the body is replayed" : ""
  execution.fork(
    Effect.logWarning(
      `A model call ${path === "" ? "" : `at "${path}" `}of ${execution.workflow} is not seen by Baton before it is answered: ` +
        `it is counted, but not stopped by a budget${again}. Whoever calls the model kept it from outside of the body: ` +
        "get it as LanguageModel where it is called, name it in Models.layer, or wrap its layer with Models.instrumented"
    )
  )
}
