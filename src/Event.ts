/**
 * What happens in an execution, as data: one tagged union, numbered without gaps.
 */
import * as Schema from "effect/Schema"
import { RequestSettled } from "./HumanRequest.ts"
import { RunStatus } from "./Run.ts"
import { OnTimeout } from "./Timeout.ts"

const event = <Tag extends string, const Fields extends Schema.Struct.Fields>(tag: Tag, fields: Fields) =>
  Schema.TaggedStruct(tag, {
    /** 1, 2, 3, ... within the execution. */
    sequence: Schema.Int,
    time: Schema.Date,
    /** The step, scope or request the event belongs to; empty for the run as a whole. */
    path: Schema.String,
    ...fields
  })

const failure = {
  /** The error's tag or name. */
  error: Schema.String,
  /** The error's message. */
  message: Schema.String
}

/**
 * Schema of an event.
 *
 * **Details**
 *
 * Every event has `sequence` (1, 2, 3, ... without gaps), `time` and `path`. `RunCompleted`, `RunFailed` and
 * `RunCancelled` are terminal: exactly one of them ends an execution's events. `EventsDropped` stands, under the
 * sequence number of the last dropped one, for all events up to itself that were no longer kept.
 *
 * **Gotchas**
 *
 * `output` and `error` values are not events: outputs of steps stay with the run, and errors show by tag and message.
 *
 * **Example** (Following an execution)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 *
 * const greet = Workflow.make("greet", {
 *   run: (name) => Step.make("compose", { run: Effect.succeed(`Hello ${name}`) })
 * })
 *
 * const tags = Effect.gen(function*() {
 *   const run = yield* greet.run("Ada")
 *   const execution = yield* run.start
 *   return yield* execution.events.pipe(Stream.map((event) => event._tag), Stream.runCollect)
 * })
 *
 * await Effect.runPromise(tags.pipe(Effect.provide(Engine.layerMemory))) // => ["RunStarted", "StatusChanged", "AttemptStarted", "StepStarted", "StepCompleted", "StatusChanged", "RunCompleted"]
 * ```
 */
export const Event = Schema.Union([
  event("RunStarted", { executionId: Schema.String, workflow: Schema.String }),
  event("StatusChanged", { from: RunStatus, to: RunStatus }),
  event("AttemptStarted", { attempt: Schema.Int }),
  event("RetryScheduled", { attempt: Schema.Int, delayMillis: Schema.Finite, ...failure }),
  event("StepStarted", {}),
  event("StepCompleted", {
    durationMillis: Schema.Finite,
    /** The result came from an earlier attempt; the step did not run. */
    reused: Schema.optionalKey(Schema.Boolean)
  }),
  event("StepRetried", { attempt: Schema.Int, delayMillis: Schema.Finite, ...failure }),
  event("StepFailed", { durationMillis: Schema.Finite, interrupted: Schema.Boolean, ...failure }),
  event("ModelCalled", {
    model: Schema.String,
    /** What the call was for: the pattern's phase, or the step it stands in. */
    purpose: Schema.String,
    inputTokens: Schema.Int,
    outputTokens: Schema.Int,
    costUsd: Schema.Finite,
    durationMillis: Schema.Finite,
    /** No model was asked: a `ModelCache` answered, at no cost, or a cassette, at the recorded one. */
    cached: Schema.optionalKey(Schema.Literal(true)),
    error: Schema.optionalKey(Schema.String)
  }),
  event("TextDelta", { text: Schema.String }),
  event("RequestOpened", {
    requestId: Schema.String,
    kind: Schema.Literals(["Approval", "Input"]),
    message: Schema.String
  }),
  event("RequestAnswered", {
    requestId: Schema.String,
    by: Schema.optionalKey(Schema.String),
    approved: Schema.optionalKey(Schema.Boolean)
  }),
  event("RequestSettled", {
    requestId: Schema.String,
    outcome: RequestSettled.fields.outcome
  }),
  event("Progressed", { current: Schema.Finite, total: Schema.Finite, message: Schema.optionalKey(Schema.String) }),
  event("Logged", { level: Schema.String, message: Schema.String }),
  event("TimedOut", {
    attempt: Schema.Int,
    afterMillis: Schema.Finite,
    onTimeout: OnTimeout
  }),
  event("Paused", {}),
  event("Resumed", {}),
  event("CancelRequested", { reason: Schema.optionalKey(Schema.String) }),
  event("CancelPrevented", { reason: Schema.optionalKey(Schema.String) }),
  event("ChildStarted", { childId: Schema.String, workflow: Schema.String }),
  event("EventsDropped", { dropped: Schema.Int }),
  event("RunCompleted", {}),
  event("RunFailed", failure),
  event("RunCancelled", { reason: Schema.optionalKey(Schema.String) })
])

/** What happens in an execution. */
export type Event = typeof Event.Type

/** The name of an event. */
export type Tag = Event["_tag"]

/** An event of one name. */
export type Of<T extends Tag> = Extract<Event, { readonly _tag: T }>

/**
 * Whether an event ends its execution.
 *
 * **Example** (The end of a run)
 *
 * ```ts
 * import { Event } from "effect-baton"
 *
 * Event.isTerminal({ _tag: "RunCompleted", sequence: 7, time: new Date(0), path: "" }) // => true
 * ```
 */
export const isTerminal = (event: Event): boolean =>
  event._tag === "RunCompleted" || event._tag === "RunFailed" || event._tag === "RunCancelled"
