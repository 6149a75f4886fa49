/**
 * One event of every kind, for the checks of those who keep events.
 */
import type { Event, Of, Tag } from "../Event.ts"

const time = new Date("2024-02-29T12:34:56.789Z")

type Sample = { readonly [T in Tag]: Omit<Of<T>, "_tag" | "sequence" | "time" | "path"> }

const failure = { error: "Broken", message: `it's "broken"\n\tand 𝄞 too` }

const samples: Sample = {
  RunStarted: { executionId: "run_1", workflow: "deploy" },
  StatusChanged: { from: "pending", to: "in-progress" },
  AttemptStarted: { attempt: 1 },
  RetryScheduled: { attempt: 1, delayMillis: 0.5, ...failure },
  StepStarted: {},
  StepCompleted: { durationMillis: 12, reused: true },
  StepRetried: { attempt: 2, delayMillis: 1000, ...failure },
  StepFailed: { durationMillis: 1, interrupted: false, ...failure },
  ModelCalled: {
    model: "a/b",
    purpose: "classify",
    inputTokens: 1,
    outputTokens: 2,
    costUsd: 0.000001,
    durationMillis: 3,
    cached: true,
    error: "RateLimitError"
  },
  TextDelta: { text: " a\n" },
  RequestOpened: { requestId: "run_1:approval", kind: "Approval", message: "Sure?" },
  RequestAnswered: { requestId: "run_1:approval", by: "ada", approved: true },
  RequestSettled: { requestId: "run_1:approval", outcome: "withdrawn" },
  Progressed: { current: 1, total: 2.5, message: "half" },
  Logged: { level: "Info", message: "" },
  TimedOut: { attempt: 1, afterMillis: 1, onTimeout: "continue" },
  Paused: {},
  Resumed: {},
  CancelRequested: { reason: "because" },
  CancelPrevented: {},
  ChildStarted: { childId: "run_2", workflow: "child" },
  EventsDropped: { dropped: 22 },
  RunCompleted: {},
  RunFailed: failure,
  RunCancelled: {}
}

/** One event of every kind, numbered from 1. */
export const everyEvent: ReadonlyArray<Event> = Object.entries(samples).map(
  ([_tag, fields], i) => ({ _tag, sequence: i + 1, time, path: i % 2 === 0 ? "" : "plan/a key#2", ...fields }) as Event
)
