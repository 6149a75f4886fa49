/**
 * Records and events of runs, to be listed, found and paged after the fact.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Event } from "../Event.ts"
import { RunStatus } from "../Run.ts"

/** What is kept of a run. */
export const RunRecord = Schema.Struct({
  id: Schema.String,
  workflow: Schema.String,
  status: RunStatus,
  tags: Schema.Array(Schema.String),
  parentId: Schema.optionalKey(Schema.String),
  startedAt: Schema.Date,
  settledAt: Schema.optionalKey(Schema.Date)
})

/** What is kept of a run. */
export interface RunRecord extends Schema.Schema.Type<typeof RunRecord> {}

/** Which runs to find; every condition must hold. */
export interface Query {
  readonly workflow?: string | undefined
  readonly status?: RunStatus | ReadonlyArray<RunStatus> | undefined
  readonly tag?: string | undefined
  readonly parentId?: string | undefined
  /** Started at this time or later. */
  readonly startedFrom?: Date | undefined
  /** Started before this time. */
  readonly startedBefore?: Date | undefined
  /** How many runs make a page. Default: 50. */
  readonly limit?: number | undefined
  /** Where the page before ended. Default: the first page. */
  readonly cursor?: string | undefined
}

/** One page of runs, the latest start first. */
export interface Page {
  readonly runs: ReadonlyArray<RunRecord>
  /** Where the next page begins; absent on the last one. */
  readonly cursor?: string
}

/** Records and events of runs. */
export class RunStore extends Context.Service<
  RunStore,
  {
    /** Writes a record, over the one with the same id. */
    readonly put: (record: RunRecord) => Effect.Effect<void, RunStoreError>
    /** Appends events; those whose sequence number is there already are left as they are. */
    readonly append: (id: string, events: ReadonlyArray<Event>) => Effect.Effect<void, RunStoreError>
    readonly get: (id: string) => Effect.Effect<RunRecord, RunNotFound | RunStoreError>
    readonly find: (query?: Query) => Effect.Effect<Page, RunStoreError>
    /** The events of a run from a sequence number on (default 1), at most `limit` (default 1000). */
    readonly events: (
      id: string,
      options?: { readonly from?: number | undefined; readonly limit?: number | undefined }
    ) => Effect.Effect<ReadonlyArray<Event>, RunNotFound | RunStoreError>
    readonly remove: (id: string) => Effect.Effect<void, RunStoreError>
  }
>()("effect-baton/services/RunStore") {}

/** No run with this id is in the store. */
export class RunNotFound extends Schema.TaggedError<RunNotFound>("effect-baton/RunStore/RunNotFound")("RunNotFound", {
  id: Schema.String
}) {
  override get message(): string {
    return `No run "${this.id}" is in the store: check the id, or look for it with RunStore.find`
  }
}

/** The store could not do its work. */
export class RunStoreError extends Schema.TaggedError<RunStoreError>("effect-baton/RunStore/RunStoreError")(
  "RunStoreError",
  {
    operation: Schema.Literals(["put", "append", "get", "find", "events", "remove"]),
    reason: Schema.String,
    isRetryable: Schema.Boolean
  }
) {
  override get message(): string {
    return `The run store failed to ${this.operation}: ${this.reason}; ${this.isRetryable ? "try again" : "trying again will not help"}`
  }
}
