/**
 * What happens to every model call that is made inside an execution: it is checked against the budget, counted, traced
 * and told as an event, and streamed text shows as it comes.
 *
 * C1  A call that the budget does not allow is not made.
 * C2  Every call that is made is told once, however it ends: answered, failed, interrupted or left in the middle.
 * C3  A model is wrapped once, however often it is met.
 * C4  Of what is said to a model and what it says, only streamed text is told; no prompt, no key.
 */
import type * as DecisionModel from "effect/ai/DecisionModel"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Telemetry from "effect/ai/Telemetry"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BudgetExceeded } from "../Budget.ts"
import { type Fields, Tag } from "../internal/eventLog.ts"
import { describe, mainError } from "../internal/failure.ts"
import { currentFrame, type Frame } from "../internal/frame.ts"
import { countModelCall, countTokens, exceeded } from "../internal/usage.ts"
import { CurrentRecording, type Recording } from "./ModelRecording.ts"
import { type Outcome, type Request, traced } from "./ModelSpan.ts"
import { type CallOptions, generate, type Method, stream, wrap } from "./ModelWrapper.ts"
import { costUsd, noTokens, type Price, type Tokens, tokensOf, tokensOfDecision } from "./Price.ts"
import { TextDeltas } from "./TextDeltas.ts"

/** What is known of a model besides how to call it. */
export interface About {
  /** What its calls are told under. Default: provider and name, else what its answers say. */
  readonly id?: string | undefined
  readonly price?: Price | undefined
  /** Name of the provider, such as `"openai.chat"`. */
  readonly provider?: string | undefined
  /** The provider's name of the model. */
  readonly name?: string | undefined
}

/** What a model call is for, as its event and its span say it. */
export const Purpose = Context.Reference<string>("effect-baton/services/Models/Purpose", { defaultValue: () => "" })

/** The models that ids stand for. */
export interface Registry {
  readonly models: ReadonlyMap<string, LanguageModel.LanguageModel>
}

/** Keys of `effect/ai`, which is not loaded for their sake, and of the registry. */
export const keys = {
  model: "effect/ai/LanguageModel",
  decisionModel: "effect/ai/DecisionModel",
  modelName: "effect/ai/Model/ModelName",
  providerName: "effect/ai/Model/ProviderName",
  spanTransformer: "effect/ai/Telemetry/CurrentSpanTransformer",
  models: "effect-baton/services/Models"
}

/** Span transformers that stand in a body's context for the one of its starter. */
export const standIns = new WeakMap<
  Telemetry.SpanTransformer,
  { readonly given: Telemetry.SpanTransformer | undefined }
>()

// -----------------------------------------------------------------------------
// One call
// -----------------------------------------------------------------------------

/** The call that an effect runs in. */
const CurrentCall = Context.Reference<Call | undefined>("effect-baton/services/ModelCall", {
  defaultValue: () => undefined
})

/** What is looked at of the parts of an answer. */
export type Part = { readonly type: string } & Partial<{
  readonly id: string | undefined
  readonly delta: string
  readonly modelId: string | undefined
  readonly reason: string
  readonly usage: Parameters<typeof tokensOf>[0]
}>

/** A call that is being made. */
export class Call {
  readonly frame: Frame
  readonly about: About
  readonly purpose: string
  private readonly recording: Recording | undefined
  private readonly startedAt: number
  private responseId: string | undefined = undefined
  private responseModel: string | undefined = undefined
  private finishReason: string | undefined = undefined
  private tokens: Tokens = noTokens
  private deltas: TextDeltas | undefined = undefined
  private ended = false
  /** The answer was kept from before: no model was asked. */
  recalled = false

  constructor(frame: Frame, about: About, purpose: string, recording: Recording | undefined) {
    this.frame = frame
    this.about = about
    this.recording = recording
    this.purpose = purpose || placeName(frame)
    this.startedAt = frame.execution.now()
  }

  /** Counts a call, at once: of two calls at the edge of a budget only one comes through. */
  static begin(fiber: Fiber.Fiber<any, any>, frame: Frame, about: About): Call {
    countModelCall(frame.execution)
    const recording = fiber.getRef(CurrentRecording)
    recording?.release()
    return new Call(frame, about, fiber.getRef(Purpose), recording)
  }

  saw(part: Part): void {
    switch (part.type) {
      case "text-delta":
        this.deltas ??= new TextDeltas(this.frame)
        return this.deltas.add(part.id, part.delta ?? "")
      case "finish":
        this.finishReason = part.reason
        if (part.usage !== undefined) this.tokens = tokensOf(part.usage)
        break
      case "response-metadata":
        this.responseId = part.id ?? this.responseId
        this.responseModel = part.modelId ?? this.responseModel
        break
    }
    this.deltas?.flush()
  }

  sawAll(parts: ReadonlyArray<Part>): void {
    for (const part of parts) this.saw(part)
  }

  end(error?: string | undefined): void {
    if (this.ended) return
    this.ended = true
    this.deltas?.close()
    const { execution } = this.frame
    const fields: Fields<"ModelCalled"> = {
      model: this.model,
      purpose: this.purpose,
      inputTokens: this.tokens.input,
      outputTokens: this.tokens.output,
      costUsd: costUsd(this.about.price, this.tokens),
      durationMillis: execution.now() - this.startedAt,
      ...(this.recalled ? { cached: true } : undefined),
      ...(error === undefined ? undefined : { error })
    }
    countTokens(execution, fields)
    if (this.recording === undefined) execution.append(Tag.ModelCalled, this.frame, fields)
    else this.recording.tried(fields, this.deltas?.told ?? 0)
    const isUncounted = this.finishReason !== undefined && this.tokens.input + this.tokens.output === 0
    if (isUncounted && !this.recalled) warnUncounted(this.frame, this.model)
  }

  private get model(): string {
    const { id, name, provider } = this.about
    if (id !== undefined) return id
    if (name !== undefined) return provider === undefined ? name : `${provider}/${name}`
    return this.responseModel ?? "unknown"
  }

  request(operation: Request["operation"], output: Request["output"]): Request {
    return {
      operation,
      provider: this.about.provider,
      model: this.about.name ?? this.about.id,
      output,
      purpose: this.purpose,
      executionId: this.frame.execution.id,
      path: this.frame.path
    }
  }

  outcome(exit: Exit.Exit<unknown, unknown>): Outcome {
    if (exit._tag === "Success") this.sawResponse(exit.value)
    return {
      responseId: this.responseId,
      responseModel: this.responseModel,
      finishReason: this.finishReason,
      tokens: this.tokens,
      costUsd: costUsd(this.about.price, this.tokens),
      cached: this.recalled,
      error: exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause) ? errorName(exit.cause) : undefined
    }
  }

  sawResponse(response: unknown): void {
    const { content, id, modelId, usage } = (response ?? {}) as Partial<
      LanguageModel.GenerateTextResponse<any> & DecisionModel.DecideResponse<any>
    >
    if (Array.isArray(content)) return this.sawAll(content)
    this.responseId = id
    this.responseModel = modelId
    if (usage !== undefined) this.tokens = tokensOfDecision(usage as DecisionModel.DecisionUsage)
  }
}

const warned = new WeakSet<object>()

/** A budget of tokens or cost can not stop a model that says nothing of its usage: told once a run. */
const warnUncounted = ({ execution }: Frame, model: string): void => {
  if (!execution.budgeted || warned.has(execution)) return
  let blind = false
  for (let e: typeof execution | undefined = execution; e !== undefined; e = e.parent) {
    const { cost, tokens } = e.options.budget ?? {}
    blind ||= cost !== undefined || tokens !== undefined
  }
  if (!blind) return
  warned.add(execution)
  execution.fork(
    Effect.logWarning(
      `The model ${model} does not say how many tokens it used: a budget of tokens or cost does not see its calls, ` +
        "one of modelCalls does"
    )
  )
}

/** Name of the step or scope, without its key, by which nobody would look for it. */
const placeName = (frame: Frame): string =>
  frame.parent === undefined ? frame.execution.workflow : frame.use.split("/", 1)[0]

const errorName = (cause: Cause.Cause<unknown>): string => {
  if (Cause.hasInterruptsOnly(cause)) return "Interrupted"
  const error = mainError(cause)
  const reason = (error as { readonly reason?: { readonly _tag?: unknown } } | null | undefined)?.reason?._tag
  return describe(error).error === "AiError" && typeof reason === "string" ? reason : describe(error).error
}

// -----------------------------------------------------------------------------
// Models
// -----------------------------------------------------------------------------

/** What is known of models, told by who made or wrapped them. */
const names = new WeakMap<LanguageModel.LanguageModel, About>()

/** Says whose model it is, for its events and spans. */
export const nameModel = <M extends LanguageModel.LanguageModel>(model: M, about: About): M => {
  names.set(model, about)
  return model
}

/** The wrapped models, and what they wrap. */
const originals = new WeakMap<LanguageModel.LanguageModel, LanguageModel.LanguageModel>()

/** Says that a wrapper around a wrapped model is one of the same. */
export const wraps = (outer: LanguageModel.LanguageModel, inner: LanguageModel.LanguageModel): void => {
  const original = originals.get(inner)!
  originals.set(outer, original === inner ? outer : original)
}

/** Says that a model passes its calls on to wrapped ones, and so needs no wrapping itself. */
export const passesOn = (model: LanguageModel.LanguageModel): LanguageModel.LanguageModel => {
  if (!originals.has(model)) originals.set(model, model)
  return model
}

/** The model with this about it; what was known of it before holds where nothing new is said. */
export const withAbout = (model: LanguageModel.LanguageModel, about: About): LanguageModel.LanguageModel => {
  const original = originals.get(model)
  if (original === model) return model
  const inner = original ?? model
  const merged = { ...names.get(inner), ...defined(about) }
  const wrapped = instrumented(inner, merged)
  originals.set(wrapped, inner)
  names.set(wrapped, merged)
  return wrapped
}

/** What is known of a model, be it wrapped or within limits. */
export const aboutOf = (model: LanguageModel.LanguageModel): About => {
  for (let found: LanguageModel.LanguageModel | null = model; found !== null; found = Object.getPrototypeOf(found)) {
    const about = names.get(found)
    if (about !== undefined) return about
  }
  return {}
}

/** Whether a model is wrapped, or passes its calls on to wrapped ones: it counts its calls. */
export const isInstrumented = (model: LanguageModel.LanguageModel): boolean => originals.has(model)

const defined = (about: About): About =>
  Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined))

const wrapped = new WeakMap<LanguageModel.LanguageModel, LanguageModel.LanguageModel>()

/** The model, wrapped unless it is (C3). */
export const instrument = (model: LanguageModel.LanguageModel, about: About = {}): LanguageModel.LanguageModel => {
  if (originals.has(model)) return model
  let known = wrapped.get(model)
  if (known === undefined) wrapped.set(model, (known = withAbout(model, about)))
  return known
}

/** What keeps a call from being made: the budget, or the end of what it belongs to. */
export const refused = (frame: Frame): Effect.Effect<never, BudgetExceeded> | undefined => {
  if (!frame.execution.isLive(frame)) return Effect.interrupt
  const error = frame.execution.budgeted ? exceeded(frame.execution, "modelCalls") : undefined
  return error === undefined ? undefined : Effect.fail(error)
}

const instrumented = (model: LanguageModel.LanguageModel, about: About): LanguageModel.LanguageModel =>
  wrap(model, {
    generate: (method, options) =>
      made(
        about,
        Effect.suspend(() => generate(model, method, options)),
        (fiber, call) => contextOf(fiber, call, method)
      ),
    stream: (options) =>
      Stream.unwrap(
        // A call that has begun has its finalizer.
        Effect.uninterruptible(
          Effect.withFiber<Stream.Stream<any, any, any>, any, Scope.Scope>((fiber) => {
            const frame = currentFrame(fiber)
            if (frame === undefined) return Effect.succeed(stream(model, options))
            return refused(frame) ?? streamed(fiber, Call.begin(fiber, frame, about), model, options)
          })
        )
      )
  })

/** What a call runs with. */
const contextOf = (fiber: Fiber.Fiber<any, any>, call: Call, method: Method | "streamText"): Context.Context<never> => {
  let context = Context.add(fiber.context, CurrentCall, call)
  const given = fiber.context.mapUnsafe.get(keys.spanTransformer) as Telemetry.SpanTransformer | undefined
  const own = given === undefined ? undefined : standIns.get(given)
  if (method === "generateObject") {
    // An answer that does not decode fails the call, and has its usage all the same.
    const user = own === undefined ? given : own.given
    context = withTransformer(context, (options) => {
      call.sawAll(options.response)
      user?.(options)
    })
  } else if (own !== undefined) {
    context = withTransformer(context, own.given)
  }
  return traceable(fiber, context, call, "chat", method === "generateObject" ? "json" : "text")
}

/** The context in which the call's span is known as one, if somebody traces. */
export const traceable = (
  fiber: Fiber.Fiber<any, any>,
  context: Context.Context<never>,
  call: Call,
  operation: Request["operation"],
  output: Request["output"] = "json"
): Context.Context<never> => {
  const { tracer, tracerEnabled } = fiber.cache
  if (tracer === undefined || !tracerEnabled) return context
  return traced(context, tracer, call.request(operation, output), (exit) => call.outcome(exit))
}

const withTransformer = (
  context: Context.Context<never>,
  transformer: Telemetry.SpanTransformer | undefined
): Context.Context<never> => {
  const services = new Map(context.mapUnsafe)
  if (transformer === undefined) services.delete(keys.spanTransformer)
  else services.set(keys.spanTransformer, transformer)
  return Context.makeUnsafe(services)
}

/**
 * Makes a call in a context of its own, and tells how it ended. A fiber may be interrupted between any two operations, and
 * what was begun has to end: the bracket stands outermost, and the call begins inside of it.
 */
export const made = <A, E, R>(
  about: About,
  run: Effect.Effect<A, E, R>,
  contextOf: (fiber: Fiber.Fiber<any, any>, call: Call) => Context.Context<never>
): Effect.Effect<A, E | BudgetExceeded, R> =>
  Effect.suspend(() => {
    let end: ((exit: Exit.Exit<A, E | BudgetExceeded>) => void) | undefined
    return Effect.onExitPrimitive(
      Effect.withFiber((fiber): Effect.Effect<A, E | BudgetExceeded, R> => {
        const frame = currentFrame(fiber)
        if (frame === undefined) return run
        const no = refused(frame)
        if (no !== undefined) return no
        const call = Call.begin(fiber, frame, about)
        const previous = fiber.context
        end = (exit) => {
          fiber.setContext(previous)
          if (exit._tag === "Success") call.sawResponse(exit.value)
          call.end(exit._tag === "Success" ? undefined : errorName(exit.cause))
        }
        fiber.setContext(contextOf(fiber, call))
        return run
      }),
      (exit) => {
        end?.(exit)
        return undefined
      }
    )
  })

/** Runs an effect in a context of its own; the bracket stands outermost, as for `made`. */
export const within = <A, E, R>(
  contextOf: (fiber: Fiber.Fiber<any, any>) => Context.Context<never>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let leave: (() => void) | undefined
    return Effect.onExitPrimitive(
      Effect.withFiber((fiber) => {
        const previous = fiber.context
        leave = () => fiber.setContext(previous)
        fiber.setContext(contextOf(fiber))
        return effect
      }),
      () => {
        leave?.()
        return undefined
      }
    )
  })

/** What a provider answered, told by its adapter: it counts even where a tool fails the call afterwards. */
export const answered = (parts: ReadonlyArray<Part>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    fiber.getRef(CurrentCall)?.sawAll(parts)
    return Effect.void
  })

/** Told where an answer was kept from before, and no model is asked. */
export const recalled: Effect.Effect<void> = Effect.withFiber((fiber) => {
  const call = fiber.getRef(CurrentCall)
  if (call !== undefined) call.recalled = true
  return Effect.void
})

const streamed = (
  fiber: Fiber.Fiber<any, any>,
  call: Call,
  model: LanguageModel.LanguageModel,
  options: CallOptions
): Effect.Effect<Stream.Stream<any, any, any>> => {
  const context = contextOf(fiber, call, "streamText")
  const scope = Context.getUnsafe(fiber.context, Scope.Scope)
  // A reader that stops early, or is interrupted, ends the call with its scope.
  const close = Scope.addFinalizerExit(scope, (exit) =>
    Effect.sync(() =>
      call.end(exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause) ? "Interrupted" : undefined)
    )
  )
  const parts = Stream.transformPull(
    Stream.suspend(() => stream(model, options)),
    (pull) =>
      Effect.succeed(
        within(
          () => context,
          Effect.onExitPrimitive(pull, (exit) => {
            if (exit._tag === "Success") call.sawAll(exit.value)
            else call.end(Pull.isDoneCause(exit.cause) ? undefined : errorName(exit.cause))
            return undefined
          })
        )
      )
  )
  return Effect.as(close, parts)
}
