/**
 * What the checks of an engine share. Whatever they count, they count in steps: a durable engine runs a body's other
 * code as often as it likes.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Event, Tag } from "../../Event.ts"
import type { Execution } from "../../Execution.ts"
import type { HumanRequest } from "../../HumanRequest.ts"
import type { RunOptions } from "../../Run.ts"
import * as Step from "../../Step.ts"
import * as Engine from "../../services/Engine.ts"
import * as Workflow from "../../Workflow.ts"
import { equal } from "../expect.ts"

export interface Kit {
  readonly pass: (duration: Duration.Input) => Effect.Effect<void>
  readonly onShutdown: "cancels" | "leaves"
}

export type Checks = Record<string, (kit: Kit) => Effect.Effect<void, unknown, Engine.Engine>>

/** An error that workflows of the checks declare. */
export class Broken extends Schema.TaggedError<Broken>("effect-baton/testing/engine/Broken")("Broken", {
  part: Schema.String
}) {}

export const start = <Input, Output, Error>(
  workflow: Workflow.Workflow<Input, Output, Error>,
  input: Input,
  options?: RunOptions<Output, Error>
) => Effect.flatMap(workflow.run(input, options), (run) => run.start)

/** The execution of an id, as soon as it is started. */
export const found = (id: string): Effect.Effect<Any, never, Engine.Engine> =>
  Effect.catch(Engine.get(id), () => Effect.andThen(Effect.yieldNow, found(id)))

type Any = Execution<unknown, unknown>

/** Waits for an event, which may have happened already. */
export const reached = (execution: Any, tag: Tag, path?: string, count = 1) =>
  execution.events.pipe(
    Stream.filter((event) => event._tag === tag && (path === undefined || event.path === path)),
    Stream.take(count),
    Stream.runDrain
  )

/** The open requests, once so many were opened. */
export const opened = (execution: Any, count = 1): Effect.Effect<ReadonlyArray<HumanRequest>> =>
  Effect.andThen(reached(execution, "RequestOpened", undefined, count), execution.requests)

/** All events of a settled execution. */
export const history = (execution: Any): Effect.Effect<ReadonlyArray<Event>> => Stream.runCollect(execution.events)

export const tagsOf = (execution: Any): Effect.Effect<ReadonlyArray<Tag>> =>
  Effect.map(history(execution), (events) => events.map((event) => event._tag))

export const statusesOf = (execution: Any) => Stream.runCollect(execution.statusChanges)

/** The events of one name, in order. */
export const eventsOf = <T extends Tag>(execution: Any, tag: T) =>
  Effect.map(history(execution), (events) =>
    events.filter((event): event is Extract<Event, { readonly _tag: T }> => event._tag === tag)
  )

/** A step that writes its name down, and gives it. */
export const note = (log: Array<string>, name: string, key?: string) =>
  Step.make(name, {
    key,
    run: Effect.sync(() => {
      log.push(name)
      return name
    })
  })

/** A step that never ends, and writes down that it was interrupted. */
export const hang = (log: Array<string>, name = "hang", key?: string) =>
  Step.make(name, {
    key,
    run: Effect.onInterrupt(Effect.as(Effect.never, ""), () => Effect.sync(() => void log.push(`${name} interrupted`)))
  })

/** Status, result, exit and events tell the same end (E1, E2). */
export const agrees = (execution: Any) =>
  Effect.gen(function* () {
    const exit = yield* execution.exit
    const status = yield* execution.status
    const events = yield* history(execution)
    const statuses = yield* statusesOf(execution)
    const terminal = events.filter((event) => /^Run(Completed|Failed|Cancelled)$/.test(event._tag))
    const last = { completed: "RunCompleted", failed: "RunFailed", cancelled: "RunCancelled" } as Record<string, Tag>
    yield* equal(
      "the terminal events",
      terminal.map((event) => event._tag),
      [last[status]!]
    )
    yield* equal("the last event", events.at(-1)?._tag, last[status])
    yield* equal("the last status", statuses.at(-1), status)
    yield* equal("whether it succeeded", exit._tag === "Success", status === "completed")
    yield* equal(
      "the numbers of the events",
      events.map((event) => event.sequence),
      events.map((_, i) => i + 1)
    )
    yield* equal("the open requests", yield* execution.requests, [])
  })

/** A workflow that never ends by itself. */
export const hangs = (log: Array<string>) => Workflow.make("hangs", { run: () => hang(log) })
