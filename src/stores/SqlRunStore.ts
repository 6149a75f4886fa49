/**
 * Records and events of runs in SQL: the tables of the durable engine, which writes them itself; a memory engine mirrors
 * its runs into them.
 *
 * R1  A page is a place in the order of start and id, not a count: it means the same whatever comes or goes.
 * R2  An event that is there already is left as it is, whoever wrote it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaParser from "effect/SchemaParser"
import * as SqlClient from "effect/sql/SqlClient"
import * as SqlError from "effect/sql/SqlError"
import { Event } from "../Event.ts"
import { isStorable } from "../internal/schema.ts"
import { ReplayMismatch } from "../services/Engine.ts"
import { type Filter, type Query, RunNotFound, type RunRecord, RunStore, RunStoreError } from "../services/RunStore.ts"
import { migrate } from "./migrations.ts"

type Operation = RunStoreError["operation"]

/** The row of a run, as far as its record goes. */
export interface RecordRow {
  readonly id: string
  readonly workflow: string
  readonly status: RunRecord["status"]
  readonly tags: string
  readonly parent_id: string | null
  readonly started_at: number | string
  readonly settled_at: number | string | null
  readonly held: string | null
}

interface EventRow {
  readonly sequence: number | string
  readonly time: number | string
  readonly tag: string
  readonly path: string
  readonly fields: string
}

/** An event from its row. */
export const toEvent = (row: EventRow): Event => {
  const { depth: _depth, ...fields } = JSON.parse(row.fields)
  return {
    _tag: row.tag,
    sequence: Number(row.sequence),
    time: new Date(Number(row.time)),
    path: row.path,
    ...fields
  } as Event
}

/** A record from its row. */
export const toRecord = (row: RecordRow): RunRecord => ({
  id: row.id,
  workflow: row.workflow,
  status: row.status,
  tags: JSON.parse(row.tags),
  ...(row.parent_id === null ? {} : { parentId: row.parent_id }),
  startedAt: new Date(Number(row.started_at)),
  ...(row.settled_at === null ? {} : { settledAt: new Date(Number(row.settled_at)) }),
  ...(row.held === null ? {} : { held: new ReplayMismatch(JSON.parse(row.held)) })
})

/** Conditions of SQL, and what stands for their question marks. */
export interface Conditions {
  readonly where: Array<string>
  readonly params: Array<unknown>
}

/** Which rows of runs are meant, where `at` is when they started. */
export const conditionsOf = (
  { parentId, startedBefore, startedFrom, status, tag, workflow }: Filter,
  at = "started_at"
): Conditions => {
  // What no database takes is not in it.
  const isNowhere = [workflow, tag, parentId].some((text) => text !== undefined && !isStorable(text))
  if (isNowhere) return { where: ["1 = 0"], params: [] }
  const where: Array<string> = []
  const params: Array<unknown> = []
  const and = (condition: string, ...values: ReadonlyArray<unknown>) => {
    where.push(condition)
    params.push(...values)
  }
  if (workflow !== undefined) and("workflow = ?", workflow)
  if (status !== undefined) {
    const statuses = [status].flat()
    and(statuses.length === 0 ? "1 = 0" : `status IN (${statuses.map(() => "?").join(", ")})`, ...statuses)
  }
  if (tag !== undefined) and("id IN (SELECT execution_id FROM baton_tags WHERE tag = ?)", tag)
  if (parentId !== undefined) and("parent_id = ?", parentId)
  if (startedFrom !== undefined) and(`${at} >= ?`, startedFrom.getTime())
  if (startedBefore !== undefined) and(`${at} < ?`, startedBefore.getTime())
  return { where, params }
}

const encodeEvent = SchemaParser.encodeUnknownEffect(Schema.toCodecJson(Event))

const misuse = (operation: Operation, reason: string) => new RunStoreError({ operation, reason, isRetryable: false })

/** The place that a cursor stands for: when a run started, and its id. */
type Place = readonly [millis: number, id: string]

const fromCursor = (cursor: string): Option.Option<Place> => {
  const dot = cursor.indexOf(".")
  const millis = cursor.slice(0, Math.max(dot, 0))
  return /^-?\d+$/.test(millis) ? Option.some([Number(millis), cursor.slice(dot + 1)]) : Option.none()
}

const isCount = (limit: number): boolean => Number.isInteger(limit) && limit >= 1

/** Makes the store; the tables are made if they are not there. */
export const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.orDie(migrate)
  const isPg = sql.onDialectOrElse({ pg: () => true, orElse: () => false })
  const byBytes = isPg ? `id COLLATE "C"` : "id"

  const placeholders = (text: string) => {
    let n = 0
    return isPg ? text.replace(/\?/g, () => `$${++n}`) : text
  }
  const run = <A extends object>(text: string, params: ReadonlyArray<unknown> = []) =>
    sql.unsafe<A>(placeholders(text), params)

  const guarded = <A, E>(operation: Operation, effect: Effect.Effect<A, E | SqlError.SqlError>) =>
    Effect.catchIf(
      effect,
      (error): error is E & SqlError.SqlError => error instanceof SqlError.SqlError,
      (error) =>
        Effect.fail(new RunStoreError({ operation, reason: String(error.message), isRetryable: error.isRetryable }))
    ) as Effect.Effect<A, Exclude<E, SqlError.SqlError> | RunStoreError>

  const record = (id: string) =>
    Effect.flatMap(
      isStorable(id) ? run<RecordRow>(`SELECT * FROM baton_runs WHERE id = ?`, [id]) : Effect.succeed([]),
      ([row]) => (row === undefined ? Effect.fail(new RunNotFound({ id })) : Effect.succeed(toRecord(row)))
    )

  const put = (record: RunRecord) =>
    Effect.gen(function* () {
      const { held, id, parentId, settledAt, startedAt, status, tags, workflow } = record
      const given = [
        workflow,
        status,
        JSON.stringify(tags),
        parentId ?? null,
        startedAt.getTime(),
        settledAt?.getTime() ?? null,
        held === undefined ? null : JSON.stringify({ path: held.path, expected: held.expected, found: held.found })
      ]
      yield* run(
        `INSERT INTO baton_runs (workflow, status, tags, parent_id, started_at, settled_at, held, id, root_id, input, options, epoch)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'null', '{}', 'store')
         ON CONFLICT (id) DO UPDATE SET workflow = excluded.workflow, status = excluded.status, tags = excluded.tags,
           parent_id = excluded.parent_id, started_at = excluded.started_at, settled_at = excluded.settled_at, held = excluded.held`,
        [...given, id, id]
      )
      yield* run(`DELETE FROM baton_tags WHERE execution_id = ?`, [id])
      for (const tag of new Set(tags)) {
        yield* run(`INSERT INTO baton_tags (tag, started_at, execution_id) VALUES (?, ?, ?)`, [
          tag,
          startedAt.getTime(),
          id
        ])
      }
    })

  const append = (id: string, events: ReadonlyArray<Event>) =>
    Effect.gen(function* () {
      const known = yield* run(`SELECT id FROM baton_runs WHERE id = ?`, [id])
      if (known.length === 0) return yield* misuse("append", `no run "${id}" was put`)
      for (const event of events) {
        const encoded = (yield* Effect.orDie(encodeEvent(event))) as Record<string, unknown>
        const { _tag: tag, path, sequence, time: _time, ...fields } = encoded
        yield* run(
          `INSERT INTO baton_events (execution_id, sequence, time, tag, path, attempt, epoch, fields)
           VALUES (?, ?, ?, ?, ?, 0, 'store', ?) ON CONFLICT DO NOTHING`,
          [id, sequence, event.time.getTime(), tag, path, JSON.stringify(fields)]
        )
      }
    })

  /** The rows of a page, one more than it has if there is a next one, of runs of one status at most. */
  const pageOf = ({ tag, ...query }: Query, limit: number, place: Place | undefined) => {
    // Tags are kept in the order of pages, so that one that many runs have is not read to its end.
    const byTag = tag !== undefined && query.parentId === undefined
    const at = byTag ? "baton_tags.started_at" : "started_at"
    const { params, where } = conditionsOf(byTag ? query : { ...query, tag }, at)
    const and = (condition: string, ...values: ReadonlyArray<unknown>) => {
      where.push(condition)
      params.push(...values)
    }
    const from = byTag ? "baton_tags JOIN baton_runs ON baton_runs.id = execution_id" : "baton_runs"
    if (byTag) and("tag = ?", tag)
    if (place !== undefined) {
      const [millis, id] = place
      // The first of them is where an index begins to be read.
      and(`${at} <= ? AND (${at} < ? OR ${byBytes} < ?)`, millis, millis, id)
    }
    const conditions = where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`
    const text = `SELECT baton_runs.* FROM ${from} ${conditions} ORDER BY ${at} DESC, ${byBytes} DESC LIMIT ${limit + 1}`
    return { text, params }
  }

  const find = (query: Query) =>
    Effect.gen(function* () {
      const limit = query.limit ?? 50
      if (!isCount(limit)) return yield* misuse("find", `the limit ${limit} is not a whole number from 1 up`)
      const place = query.cursor === undefined ? Option.some(undefined) : fromCursor(query.cursor)
      if (Option.isNone(place)) return yield* misuse("find", `"${query.cursor}" is not a cursor`)
      const statuses = [...new Set([query.status ?? []].flat())]
      // A page of each status and then the first of them all: no index has several statuses in the order of pages.
      const pages = (statuses.length > 1 ? statuses.map((status) => ({ ...query, status })) : [query]).map((query) =>
        pageOf(query, limit, place.value)
      )
      const text =
        pages.length === 1
          ? pages[0].text
          : `SELECT * FROM (${pages.map(({ text }) => `SELECT * FROM (${text}) AS page`).join(" UNION ALL ")}) AS pages
             ORDER BY started_at DESC, ${byBytes} DESC LIMIT ${limit + 1}`
      const rows = yield* run<RecordRow>(
        text,
        pages.flatMap(({ params }) => params)
      )
      const runs = rows.slice(0, limit).map(toRecord)
      const last = runs[runs.length - 1]
      return rows.length <= limit ? { runs } : { runs, cursor: `${last.startedAt.getTime()}.${last.id}` }
    })

  const events = (id: string, from: number, limit: number) =>
    Effect.gen(function* () {
      if (!isCount(limit)) return yield* misuse("events", `the limit ${limit} is not a whole number from 1 up`)
      yield* record(id)
      const rows = yield* run<EventRow>(
        `SELECT * FROM baton_events WHERE execution_id = ? AND sequence >= ? ORDER BY sequence LIMIT ${limit}`,
        [id, Math.ceil(from)]
      )
      return rows.map(toEvent)
    })

  const remove = (id: string) =>
    Effect.gen(function* () {
      for (const table of ["events", "requests", "answers", "timers", "seeds", "tags", "signals"]) {
        yield* run(`DELETE FROM baton_${table} WHERE execution_id = ?`, [id])
      }
      yield* run(`DELETE FROM baton_runs WHERE id = ?`, [id])
    })

  return RunStore.of({
    put: (record) => guarded("put", sql.withTransaction(put(record))),
    append: (id, events) => guarded("append", sql.withTransaction(append(id, events))),
    get: (id) => guarded("get", record(id)),
    find: (query) => guarded("find", find(query ?? {})),
    events: (id, options) => guarded("events", events(id, options?.from ?? 1, options?.limit ?? 1000)),
    remove: (id) => guarded("remove", sql.withTransaction(remove(id)))
  })
})

/**
 * The run store on the database of a `SqlClient`; its tables are made if they are not there.
 *
 * **Details**
 *
 * A durable engine brings one of its own. This one keeps what a memory engine ran.
 *
 * **Example** (What a memory engine ran, in a file)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Engine, RunStore, Workflow } from "effect-baton"
 * import * as NodeSqlite from "effect-baton/stores/NodeSqlite"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * const program = Effect.gen(function*() {
 *   yield* echo.execute("hi")
 *   yield* Engine.shutdown
 *   return (yield* RunStore.find()).runs.map((run) => `${run.workflow} ${run.status}`)
 * })
 * const store = RunStore.layerSql.pipe(Layer.provide(NodeSqlite.layer({ filename: ":memory:" })))
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Layer.provideMerge(Engine.layerMemory, store)))) // => ["echo completed"]
 * ```
 */
export const layer: Layer.Layer<RunStore, never, SqlClient.SqlClient> = Layer.effect(RunStore, make)
