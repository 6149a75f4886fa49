/**
 * Models whose calls are recorded, in a journal or for the attempts of a run that resume: what a call is known to have come
 * to is given back at once, whatever else is asked of the model is asked below.
 *
 * Like `ModelRecall`, it stands between `effect/ai` and the model: tools run, and are steps, whether an answer is new or
 * recorded.
 */
import * as IdGenerator from "effect/ai/IdGenerator"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Record from "effect/Record"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { Tag } from "../internal/eventLog.ts"
import { currentFrame, type Frame } from "../internal/frame.ts"
import {
  isCutOff,
  isReusable,
  type ModelAnswers,
  type ModelEnd,
  type ModelPlace,
  type ModelQuestion
} from "../internal/journal.ts"
import { masked } from "../internal/masked.ts"
import { aboutOf, keys, within } from "./ModelCall.ts"
import * as Recall from "./ModelRecall.ts"
import { CurrentRecording, Recording } from "./ModelRecording.ts"
import { canonical, describe, settingsOf } from "./ModelRequest.ts"
import { withSteps } from "./ModelTools.ts"
import { generate, stream, wrap } from "./ModelWrapper.ts"
import { toolCodec } from "./ToolJournal.ts"

/** What the caller's half of a call knows, for the provider's half. */
interface Outer {
  /** Who makes the call. */
  readonly fiber: Fiber.Fiber<any, any>
  /** The context that the call was made in. */
  readonly context: Context.Context<never>
  /** The place of the call, once it is known; ids that `effect/ai` makes up for it are made of that. */
  place: ModelPlace | undefined
  ids: number
}

const CurrentOuter = Context.Reference<Outer | undefined>("effect-baton/services/ModelJournal", {
  defaultValue: () => undefined
})

const models = new WeakMap<LanguageModel.LanguageModel, LanguageModel.LanguageModel>()

/** The model, with calls that are recorded by the bodies that they are made in. */
export const recorded = (model: LanguageModel.LanguageModel): LanguageModel.LanguageModel => {
  let known = models.get(model)
  if (known === undefined) models.set(model, (known = make(model)))
  return known
}

const make = (inner: LanguageModel.LanguageModel): LanguageModel.LanguageModel => {
  const { id, name, provider } = aboutOf(inner)
  // An id stands for a part that a model plays, whichever it is.
  const called = id ?? (name === undefined ? "" : provider === undefined ? name : `${provider}/${name}`)
  const outer = Effect.runSync(
    Effect.provideService(
      LanguageModel.make({
        // `any`: what the inner model needs besides is in the context of whoever calls.
        generateText: (options) => asked(inner, called, options) as any,
        streamText: (options) => streamed(inner, called, options) as any,
        codecTransformer: Recall.anyJson,
        supportsSystemMessagesInHistory: inner.supportsSystemMessagesInHistory
      }),
      IdGenerator.IdGenerator,
      ids
    )
  )
  return wrap(outer, {
    generate: (method, given) =>
      within(
        outerContext,
        Effect.suspend(() => {
          const options = withSteps(given, toolCodec)
          return method === "generateText" ? generate(outer, method, options) : Recall.object(outer, options)
        })
      ),
    stream: (options) =>
      Stream.unwrap(
        Effect.withFiber((fiber) =>
          Effect.succeed(Stream.provideContext(stream(outer, withSteps(options, toolCodec)), outerContext(fiber)))
        )
      )
  })
}

/** What the caller's half of a call runs with. */
const outerContext = (fiber: Fiber.Fiber<any, any>): Context.Context<never> => {
  const { context } = fiber
  const services = new Map(context.mapUnsafe)
  const outer: Outer = { fiber, context, place: undefined, ids: 0 }
  services.set(CurrentOuter.key, outer)
  services.set(keys.spanTransformer, Recall.userTransformer(context))
  const { tracer, tracerEnabled } = fiber.cache
  if (tracer !== undefined && tracerEnabled) services.set(Tracer.Tracer.key, withoutSpan(tracer))
  return Context.makeUnsafe(services)
}

/** A tracer without the first span of `effect/ai`: the call has one below, if it is made. */
const withoutSpan = (tracer: Tracer.Tracer): Tracer.Tracer => {
  let found = false
  return {
    span: (options) => {
      if (found || options.parent._tag === "None" || !options.name.startsWith("LanguageModel.")) {
        return tracer.span(options)
      }
      found = true
      return Object.assign(Object.create(options.parent.value), {
        end() {},
        attribute() {},
        event() {},
        addLinks() {}
      })
    },
    context: tracer.context === undefined ? undefined : (primitive, fiber) => tracer.context!(primitive, fiber)
  }
}

/** Ids that a replay makes up again. */
const ids: IdGenerator.Service = {
  generateId: () =>
    Effect.flatMap(CurrentOuter, (outer) => {
      if (outer?.place === undefined) return IdGenerator.defaultIdGenerator.generateId()
      const { frame, key } = outer.place
      // In memory nobody makes them up again but an attempt that resumes, which knows the call by its whole text.
      if (frame.execution.journal === undefined) return IdGenerator.defaultIdGenerator.generateId()
      return Effect.succeed(`id_${key.slice(-16).replace("#", "_")}_${++outer.ids}`)
    })
}

// -----------------------------------------------------------------------------
// The provider's half
// -----------------------------------------------------------------------------

/** What is kept in memory for attempts that resume. */
class MemoryAnswers implements ModelAnswers {
  readonly frozen = false
  readonly stall = Effect.never
  inFlight = 0
  private readonly asked = new Map<string, number>()

  modelPlace(frame: Frame, request: string, question: ModelPlace["request"]): ModelPlace {
    const asked = `model ${frame.path} ${request}`
    const n = (this.asked.get(asked) ?? 0) + 1
    this.asked.set(asked, n)
    return { frame, key: `${asked} ${n}`, request: question }
  }

  modelAnswer({ frame, key }: ModelPlace): unknown {
    return frame.execution.recorded?.get(key)
  }

  modelEnded({ answer, fields, place: { frame, key } }: ModelEnd): Effect.Effect<void> {
    frame.execution.append(Tag.ModelCalled, frame, fields)
    if (isReusable(answer)) frame.execution.recorded?.set(key, answer)
    return Effect.void
  }

  modelBegins(): undefined {}

  modelLost(): void {}
}

/** By the frame of an attempt's body. */
const inMemory = new WeakMap<Frame, ModelAnswers>()

const answersOf = ({ execution, root }: Frame): ModelAnswers => {
  if (execution.journal !== undefined) return execution.journal
  let known = inMemory.get(root)
  if (known === undefined) inMemory.set(root, (known = new MemoryAnswers()))
  return known
}

/** A request as data. */
export interface Question {
  readonly kind: string
  readonly model: string
}

const questionOf = ({ kind, model, ...rest }: Question): ModelQuestion => ({
  kind,
  model,
  parts: Record.map(rest as Readonly<Record<string, unknown>>, canonical)
})

/** What is known of a call: how it ended, or that it is to be made. */
export type Known =
  | { readonly _tag: "Known"; readonly answer: Recall.Answer }
  | { readonly _tag: "Live"; readonly recording: Recording; readonly answers: ModelAnswers }

const decodeAnswer = Schema.decodeUnknownEffect(Recall.AnswerJson)
const encodeAnswer = Schema.encodeUnknownEffect(Recall.AnswerJson)

const interrupted = { interrupted: true }

/** Looks a call up. What was interrupted then does not end; what may not begin does not either. */
export const find = (request: Effect.Effect<Question>): Effect.Effect<Known> =>
  Effect.flatMap(request, (given) =>
    Effect.withFiber((fiber): Effect.Effect<Known> => {
      const request: Question = { ...given, ...settingsOf(fiber.context) }
      const frame = currentFrame(fiber)!
      const { execution } = frame
      if (!execution.isLive(frame)) return Effect.interrupt
      const answers = answersOf(frame)
      const place = answers.modelPlace(frame, canonical(request), () => questionOf(request))
      const outer = fiber.getRef(CurrentOuter)
      if (outer !== undefined) outer.place = place
      const caller = outer?.fiber ?? fiber
      const known = answers.modelAnswer(place)
      if (known === undefined) {
        if (answers.frozen) return answers.stall
        const wait = answers.modelBegins(caller, place, false)
        const live = Effect.succeed<Known>({ _tag: "Live", recording: new Recording(place, answers), answers })
        return wait === undefined
          ? live
          : Effect.andThen(
              wait,
              Effect.suspend(() => (execution.isLive(frame) ? live : Effect.interrupt))
            )
      }
      const wait = answers.modelBegins(caller, place, true)
      if (isCutOff(known)) return Effect.never
      const answered = Effect.map(Effect.orDie(decodeAnswer(known)), (answer): Known => ({ _tag: "Known", answer }))
      return wait === undefined ? answered : Effect.andThen(Effect.uninterruptible(wait), answered)
    })
  )

/** What a call runs with that is made: the context of its caller, and the time of the engine. */
export const liveContext = (outer: Outer | undefined, recording: Recording): Context.Context<never> =>
  (outer?.context ?? Context.empty()).pipe(
    Context.add(CurrentRecording, recording),
    Context.add(Clock.Clock, recording.place.frame.execution.clock)
  )

/** Records what a call came to; when each part of a stream came is of no use, and headers of errors may have secrets. */
export const keep = (recording: Recording, { error, millis: _, ...answer }: Recall.Answer): Effect.Effect<void> => {
  const shown = error === undefined ? answer : { ...answer, error: masked(error) }
  return Effect.flatMap(Effect.orDie(encodeAnswer(shown)), (json) =>
    recording.end({ ...json, parts: json.parts.map(withoutEmptyMetadata) })
  )
}

/** Of a stream, most of what would be stored. */
const withoutEmptyMetadata = (part: Schema.Json): Schema.Json => {
  const { metadata, ...rest } = part as { readonly [key: string]: Schema.Json }
  return Predicate.isObject(metadata) && Object.keys(metadata).length === 0 ? rest : part
}

/** The call came to nothing that could be given back, unless that is that it was interrupted. */
export const cut = (recording: Recording, cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return recording.end(interrupted)
  recording.lose()
  return Effect.void
}

const asked = (
  inner: LanguageModel.LanguageModel,
  called: string,
  options: LanguageModel.ProviderOptions
): Effect.Effect<Array<Response.PartEncoded>, any, any> =>
  Effect.gen(function* () {
    const known = yield* find(describe("text", called, options))
    const answer = known._tag === "Known" ? known.answer : yield* askLive(inner, options, known)
    const box = yield* Recall.CurrentValue
    if (box !== undefined && options.responseFormat.type === "json") box.value = answer.value
    return yield* Recall.played(answer)
  })

const askLive = (
  inner: LanguageModel.LanguageModel,
  options: LanguageModel.ProviderOptions,
  { answers, recording }: Extract<Known, { readonly _tag: "Live" }>
): Effect.Effect<Recall.Answer, any, any> =>
  Effect.flatMap(CurrentOuter, (outer) => {
    const run = Effect.provideContext(Recall.ask(inner, options), liveContext(outer, recording))
    return inFlight(answers, run, (exit: Exit.Exit<Recall.Answer, any>) =>
      exit._tag === "Success" ? keep(recording, exit.value) : cut(recording, exit.cause)
    )
  })

/** Counts a call as long as it is made; an interrupt may come before it is. */
export const inFlight = <A, E, R>(
  answers: ModelAnswers,
  run: Effect.Effect<A, E, R>,
  ended: (exit: Exit.Exit<A, E>) => Effect.Effect<void>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    let begun = false
    const counted = Effect.suspend(() => {
      begun = true
      answers.inFlight++
      return run
    })
    return Effect.onExit(counted, (exit) => {
      if (begun) answers.inFlight--
      return ended(exit)
    })
  })

const streamed = (
  inner: LanguageModel.LanguageModel,
  called: string,
  options: LanguageModel.ProviderOptions
): Stream.Stream<Response.StreamPartEncoded, any, any> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const known = yield* find(describe("stream", called, options))
      if (known._tag === "Known") {
        // Whoever left it leaves it again.
        const { left, ...answer } = known.answer
        const parts = Recall.playedStream(answer)
        return left === true ? Stream.concat(parts, Stream.never) : parts
      }
      const { answers, recording } = known
      const outer = yield* CurrentOuter
      const parts = Recall.quietly(stream(inner, Recall.verbatim(options)))
      const live = Stream.provideContext(parts, liveContext(outer, recording)) as Stream.Stream<Recall.Part, any, any>
      let begun = false
      // When it is first read, since who overhears it is told of the end of that.
      const counted = Stream.unwrap(
        Effect.sync(() => {
          begun = true
          answers.inFlight++
          return live
        })
      )
      const ended = Effect.sync(() => {
        if (begun) answers.inFlight--
      })
      return Recall.reencoded(
        yield* Recall.overheard(
          counted,
          (answer) => Effect.andThen(ended, keep(recording, answer)),
          (cause) => Effect.andThen(ended, cut(recording, cause))
        )
      )
    })
  )
