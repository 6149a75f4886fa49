/**
 * Reads what is stored of executions, of many that are wanted at once together.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isStorable } from "../../internal/schema.ts"
import type { DurableEngine } from "./engine.ts"
import { gather, sizeFor } from "./gather.ts"
import type { AnswerRow, ChildRow, EventRow, History, RequestRow, SeedRow, TimerRow } from "./history.ts"
import type { RunRow } from "./rows.ts"
import { isOne, valuesOf } from "./writer.ts"

/** `IN (...)` for some keys, filled up to one of a few sizes, and its parameters. */
export const among = <A>(keys: ReadonlyArray<A>): readonly [text: string, params: ReadonlyArray<A>] => {
  const size = sizeFor(keys.length)
  const params = Array.from({ length: size }, (_, i) => keys[Math.min(i, keys.length - 1)])
  return [`IN (${params.map(() => "?").join(", ")})`, params]
}

/** The same for ids, which PostgreSQL is to look up by their key, as in updates. */
export const amongIds = (engine: DurableEngine, ids: ReadonlyArray<string>): ReturnType<typeof among<string>> => {
  const [list, params] = among(ids)
  if (!engine.isPg || params.length === 1) return [list, params]
  return [`IN (SELECT v.column1 FROM ${valuesOf(["TEXT"], params.length)} WHERE ${isOne(1)})`, params]
}

export class Reads {
  readonly run: (id: string) => Effect.Effect<RunRow | undefined>
  readonly events: (id: string) => Effect.Effect<ReadonlyArray<EventRow>>
  readonly requests: (id: string) => Effect.Effect<ReadonlyArray<RequestRow>>
  readonly answers: (id: string) => Effect.Effect<ReadonlyArray<AnswerRow>>
  private readonly timers: (id: string) => Effect.Effect<ReadonlyArray<TimerRow>>
  private readonly seeds: (id: string) => Effect.Effect<ReadonlyArray<SeedRow>>
  readonly children: (id: string) => Effect.Effect<ReadonlyArray<ChildRow>>

  constructor(engine: DurableEngine) {
    const by = <A extends object>(key: keyof A & string, select: string, order: string) =>
      gather<string, ReadonlyArray<A>>(engine, (ids) => {
        const [condition, params] = amongIds(engine, ids)
        return Effect.map(engine.query<A>(`${select} WHERE ${key} ${condition} ORDER BY ${order}`, params), (rows) => {
          if (ids.length === 1) return [Exit.succeed(rows)]
          const found = new Map<unknown, Array<A>>(ids.map((id) => [id, []]))
          for (const row of rows) found.get(row[key])!.push(row)
          return ids.map((id) => Exit.succeed(found.get(id)!))
        })
      })
    const runs = by<RunRow>("id", "SELECT * FROM baton_runs", "id")
    // Others are looked up at the same moment, who would be refused with it.
    this.run = (id) => (isStorable(id) ? Effect.map(runs(id), ([row]) => row) : Effect.undefined)
    this.events = by("execution_id", "SELECT * FROM baton_events", "execution_id, sequence")
    this.requests = by("execution_id", "SELECT * FROM baton_requests", "sequence")
    this.answers = by("execution_id", "SELECT * FROM baton_answers", "request_id, n")
    this.timers = by("execution_id", "SELECT execution_id, attempt, path, due, state FROM baton_timers", "execution_id")
    this.seeds = by("execution_id", "SELECT execution_id, path, result FROM baton_seeds", "execution_id")
    this.children = by(
      "parent_id",
      "SELECT parent_id, id, status, settled_at, usage_total FROM baton_runs",
      "started_at, id"
    )
  }

  /** All that is stored of an execution; what its row and its events say is not there is not asked for. */
  history({ id, source_id }: RunRow, events: ReadonlyArray<EventRow>): Effect.Effect<History> {
    const nothing = Effect.succeed([])
    const asked = events.some(({ tag }) => tag === "RequestOpened")
    return Effect.map(
      Effect.all(
        [
          asked ? this.requests(id) : nothing,
          asked ? this.answers(id) : nothing,
          this.timers(id),
          source_id === null ? nothing : this.seeds(id),
          this.children(id)
        ],
        { concurrency: "unbounded" }
      ),
      ([requests, answers, timers, seeds, children]) => ({ events, requests, answers, timers, seeds, children })
    )
  }
}
