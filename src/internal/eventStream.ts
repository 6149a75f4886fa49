/**
 * Events as streams: a reader is a number that moves along the log.
 */

import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Event } from "../Event.ts"
import type { RunStatus } from "../Run.ts"
import type { ExecutionImpl } from "./execution.ts"

const chunk = 256

/** Waits for event number `next`; resumed by the scheduler, so that a reader never runs in the middle of a transition. */
const somethingNew = (execution: ExecutionImpl, next: number): Effect.Effect<void> =>
  Effect.withFiber((fiber) =>
    Effect.callback((resume) => {
      // The scheduler may have let others run since the log was read.
      if (execution.log.sequence >= next || execution.log.isEnded) return resume(Effect.void)
      return Effect.sync(
        execution.log.wait(() => {
          fiber.currentDispatcher.scheduleTask(() => resume(Effect.void), 0)
        })
      )
    })
  )

export const eventStream = (execution: ExecutionImpl, from: number): Stream.Stream<Event> =>
  Stream.fromPull(
    Effect.sync(() => {
      let next = Math.max(1, Math.ceil(from) || 1)
      const pull: Effect.Effect<NonEmptyReadonlyArray<Event>, Cause.Done> = Effect.suspend(() => {
        const events = execution.log.read(next, execution.startedAt, chunk)
        if (events.length > 0) {
          next = events[events.length - 1].sequence + 1
          return Effect.succeed(events as unknown as NonEmptyReadonlyArray<Event>)
        }
        return execution.log.isEnded ? Cause.done() : Effect.andThen(somethingNew(execution, next), pull)
      })
      return pull
    })
  )

/** The statuses so far, then each change; where early events were dropped it begins with the status of now. */
export const statusStream = (execution: ExecutionImpl): Stream.Stream<RunStatus> =>
  Stream.flatMap(eventStream(execution, 1), (event) =>
    event._tag === "StatusChanged"
      ? Stream.succeed(event.to)
      : event._tag === "EventsDropped"
        ? Stream.sync(() => execution.state)
        : Stream.empty
  )
