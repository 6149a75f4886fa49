/**
 * What an execution needs of a durable engine: the place where everything that happens is written down, and where a
 * replay finds what happened before. Executions in memory have none, and pay one check where a hook stands.
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import type { Execution } from "../Execution.ts"
import type { Boundary } from "../Workflow.ts"
import type { Fields } from "./eventLog.ts"
import type { ExecutionImpl } from "./execution.ts"
import type { Frame } from "./frame.ts"
import type { Pending, Settlement } from "./request.ts"
import type { RunImpl } from "./run.ts"

/** A workflow that is called inline, and the one that it is called in. */
export interface Call {
  readonly error: Boundary<any>
  readonly outer: Call | undefined
}

/** The workflows that are called around a piece of a body: their schemas describe its errors, too. */
export const Calls = Context.Reference<Call | undefined>("effect-baton/Execution/Calls", {
  defaultValue: () => undefined
})

/** How a step's end is written down. */
export interface StepCodec {
  readonly output?: Boundary<any> | undefined
  readonly error?: Boundary<any> | undefined
  readonly calls?: Call | undefined
}

/** A model call that a body makes outside of steps. */
export interface ModelPlace {
  readonly frame: Frame
  /** What the call is known by: its path, a digest of what is asked, and which of equal calls it is. */
  readonly key: string
  readonly request: () => ModelQuestion
}

/** What is asked of a model; each of its parts as text. */
export interface ModelQuestion {
  readonly kind: string
  readonly model: string
  readonly parts: Readonly<Record<string, string>>
}

/** Whether what a model call came to may be used by another attempt: what a model said, not how a call failed or was cut off. */
export const isReusable = (answer: unknown): boolean =>
  Predicate.hasProperty(answer, "parts") && !("error" in answer) && !("left" in answer)

/** Whether a model call was interrupted, and so never ends. */
export const isCutOff = (answer: unknown): boolean =>
  Predicate.hasProperty(answer, "interrupted") && answer.interrupted === true

/** How a model call ended, as JSON. */
export interface ModelEnd {
  readonly place: ModelPlace
  /** What the event of its last try says. */
  readonly fields: Fields<"ModelCalled">
  readonly answer: unknown
  /** How many tries before the last, and how many pieces of text, have events of their own. */
  readonly tries: number
  readonly deltas: number
}

/** Where model calls of a body are recorded. */
export interface ModelAnswers {
  /** No new work begins: the body only goes as far as it went before. */
  readonly frozen: boolean
  /** Waits until something else than new work ends the wait. */
  readonly stall: Effect.Effect<never>
  /** Steps and model calls that are going on right now. */
  inFlight: number
  /** The place of a model call that asks for this. */
  readonly modelPlace: (frame: Frame, asked: string, request: ModelPlace["request"]) => ModelPlace
  /** What a model call came to, if that is known. */
  readonly modelAnswer: (place: ModelPlace) => unknown
  /** Told of a call that a fiber makes, or of which the end is known; an effect where the body has to wait for its turn. */
  readonly modelBegins: (
    fiber: Fiber.Fiber<unknown, unknown>,
    place: ModelPlace,
    isKnown: boolean
  ) => Effect.Effect<void> | undefined
  /** Writes the end of a model call down; ends when it is on disk. */
  readonly modelEnded: (end: ModelEnd) => Effect.Effect<void>
  /** Nothing is written down of the end of a model call. */
  readonly modelLost: (place: ModelPlace) => void
}

export interface Journal extends ModelAnswers {
  /** When the execution started, in epoch milliseconds. */
  readonly startedAt: number
  /**
   * Whether the body is replayed and has yet to get to where it was: then it is interrupted there, and not by who asks,
   * so that it undoes all that it did.
   */
  readonly catchesUp: () => boolean
  /** Writes an event down, unless a replay repeats it. */
  readonly append: (tag: number, offsetMillis: number, frame: Frame | undefined, fields: unknown) => void
  /** Ends when everything that was written down so far is on disk. */
  readonly flush: Effect.Effect<void>
  /** What the body of an attempt runs with. */
  readonly bodyContext: (context: Context.Context<never>) => Context.Context<never>
  /** What the work of a step runs with. */
  readonly stepContext: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * Told of whatever a fiber begins that is written down; where something else was begun before, an effect that ends if
   * that is well all the same.
   */
  readonly follow: (fiber: Fiber.Fiber<unknown, unknown>, frame: Frame) => Effect.Effect<void> | undefined
  /** Ends when the body has come as far as it came before. */
  readonly replayed: Effect.Effect<void>
  /** Told of the scopes that a fiber enters. */
  readonly entered: (fiber: Fiber.Fiber<unknown, unknown>, frame: Frame) => void
  /** Told of the end of a body; an effect where it went on before. */
  readonly bodyEnds: (
    fiber: Fiber.Fiber<unknown, unknown>,
    exit: Exit.Exit<unknown, unknown>
  ) => Effect.Effect<void> | undefined
  /** How a step of this attempt ended, if that is known. */
  readonly stepResult: (
    fiber: Fiber.Fiber<unknown, unknown>,
    path: string,
    codec: StepCodec | undefined
  ) => Effect.Effect<any, any> | undefined
  /** The result of a step of an earlier attempt, or of another run, where this one may use it. */
  readonly reusable: (path: string, codec: StepCodec | undefined) => Exit.Exit<any, any> | undefined
  /** Whether a step of this attempt began before, and was cut off. */
  readonly hasBegun: (path: string) => boolean
  /** What a body is told of a step's failure: what a replay would tell it. */
  readonly tell: (frame: Frame, cause: Cause.Cause<any>, codec: StepCodec | undefined) => Effect.Effect<never, any>
  /** Writes the end of a step down; ends when it is on disk. `isOwn` says that nobody interrupted it from outside. */
  readonly stepEnded: (
    frame: Frame,
    exit: Exit.Exit<unknown, unknown>,
    durationMillis: number,
    codec: StepCodec | undefined,
    isOwn: boolean
  ) => Effect.Effect<void> | undefined
  /** Writes down that a step which began before was interrupted, with what was going on in it. */
  readonly cutOff: (frame: Frame) => void
  /**
   * What became of a request that was opened in this attempt before: how it was settled, or `true` when it is still
   * open, and then the request is made what it was; `undefined` when it is new.
   */
  readonly reopen: (request: Pending, frame: Frame) => Settlement | true | undefined
  /** What people said to a request of an earlier attempt, where this one may use it. */
  readonly reusableAnswer: (request: Pending, frame: Frame) => Exit.Exit<any, any> | undefined
  /** The time of a request is up. */
  readonly expire: (request: Pending) => void
  readonly startChild: (
    parent: ExecutionImpl,
    fiber: Fiber.Fiber<unknown, unknown>,
    frame: Frame,
    run: RunImpl
  ) => Effect.Effect<Execution<any, any>>
  /** Told of the end; tells those who wait for it once it is on disk. */
  readonly settled: (exit: Exit.Exit<any, any>, tell: (exit: Exit.Exit<any, any>) => void) => void
}
