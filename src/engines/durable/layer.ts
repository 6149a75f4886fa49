/**
 * The durable engine as a service over a `SqlClient`.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlError from "effect/sql/SqlError"
import type { RunImpl } from "../../internal/run.ts"
import { Count, DurationInput } from "../../internal/schema.ts"
import { settings } from "../../internal/settings.ts"
import { Engine, type ListOptions } from "../../services/Engine.ts"
import { type RunRecord, RunStore } from "../../services/RunStore.ts"
import { migrate } from "../../stores/migrations.ts"
import * as NodeSqlite from "../../stores/NodeSqlite.ts"
import * as SqlRunStore from "../../stores/SqlRunStore.ts"
import { DurableEngine, type Settings } from "./engine.ts"
import { DurableHandle } from "./handle.ts"
import { cannotOpen, own } from "./ownerFile.ts"
import { type Placement, type SharingOptions, sharding, shared, single } from "./placement.ts"
import { prune } from "./pruning.ts"
import { realSleep } from "./writer.ts"

/** The engine itself, for tests that crash it and for benchmarks. */
export class Durable extends Context.Service<Durable, DurableEngine>()("effect-baton/engines/Durable") {}

const list = (engine: DurableEngine, { limit, ...filter }: ListOptions): Effect.Effect<ReadonlyArray<RunRecord>> => {
  const { params, where } = SqlRunStore.conditionsOf(filter)
  const meant = `SELECT * FROM baton_runs ${where.length === 0 ? "" : `WHERE ${where.join(" AND ")}`}`
  const some =
    limit === undefined ? meant : `SELECT * FROM (${meant} ORDER BY started_at DESC, id DESC LIMIT ${limit}) AS newest`
  const flushed = Effect.suspend(() => engine.writer.drained)
  const rows = engine.query<SqlRunStore.RecordRow>(`${some} ORDER BY started_at, id`, params)
  return Effect.map(Effect.andThen(flushed, rows), (rows) => rows.map(SqlRunStore.toRecord))
}

const checkSettings = settings(
  "a durable engine",
  Schema.Struct({
    idle: Schema.optional(DurationInput),
    pollInterval: Schema.optional(DurationInput),
    grace: Schema.optional(DurationInput),
    maxCrashes: Schema.optional(Count(0)),
    runs: Schema.optional(Schema.Boolean)
  })
)

const checkSqlite = settings(
  "a durable engine",
  Schema.Struct({ synchronous: Schema.optional(Schema.Literals(["off", "normal", "full"])) })
)

/** What a process keeps connections for: the locks of its shards, the lock that says it lives, and its work. */
const leastConnections = 3

const sharingFields = {
  shards: Schema.optional(Count(1)),
  expiration: Schema.optional(
    DurationInput.check(
      Schema.makeFilter((input) => Duration.toMillis(input as Duration.Input) >= 1000, {
        expected: "a duration of a second or more"
      })
    )
  )
}

const checkRunner = settings(
  "a durable engine",
  Schema.Struct({ ...sharingFields, maxConnections: Schema.optional(Count(leastConnections)) })
)
const checkClient = settings(
  "a durable engine",
  Schema.Struct({ ...sharingFields, maxConnections: Schema.optional(Count(1)) })
)

/** A layer of an engine that shares its runs, unless its settings make no sense. */
export const checkedSharing = <A, E, R>(
  config: SharingOptions & { readonly runs?: boolean | undefined; readonly maxConnections?: number | undefined },
  layer: Layer.Layer<A, E, R>
): Layer.Layer<A, E, R> =>
  Layer.unwrap(Effect.as(config.runs === false ? checkClient(config) : checkRunner(config), layer))

/** The engine of a process, under a name that no other has. */
export const makeEngine = (config: Settings, name: string, placement: Placement) =>
  Effect.gen(function* () {
    yield* checkSettings(config)
    const sql = yield* SqlClient.SqlClient
    yield* Effect.orDie(migrate)
    const isPg = sql.onDialectOrElse({ pg: () => true, orElse: () => false })
    const engine = new DurableEngine(
      sql,
      isPg,
      yield* Clock.Clock,
      name,
      yield* Effect.context<never>(),
      config,
      placement
    )
    yield* Effect.addFinalizer(() => engine.end)
    placement.beforeRelease?.((isPart) => engine.handover.part(isPart))
    // What is started right away runs here, if there is anything for this process to run.
    const settled = (left: number): Effect.Effect<void> =>
      Effect.suspend(() =>
        left > 0 && placement.isShared && !placement.version().includes("1")
          ? Effect.andThen(realSleep(10), settled(left - 1))
          : Effect.void
      )
    yield* settled(200)
    yield* Effect.forkScoped(engine.signals.poll)
    yield* Effect.forkScoped(engine.parking.sweep)
    const service = Engine.of({
      start: (run) => engine.starts.launch(run as unknown as RunImpl) as Effect.Effect<any>,
      register: (workflow) =>
        Effect.contextWith((context) =>
          Effect.sync(() => engine.registry.register(workflow, context as Context.Context<never>))
        ),
      submit: (run) => engine.starts.submit(run as unknown as RunImpl),
      history: {
        retry: (id) => engine.sequels.retry(id),
        fork: (id, options) => engine.sequels.fork(id, options),
        prune: (options) => prune(engine, options)
      },
      get: (id, workflow) => engine.recovery.find(id, workflow),
      list: (options) => list(engine, options ?? {}),
      interrupt: (id) =>
        Effect.flatMap(engine.query(`SELECT id FROM baton_runs WHERE id = ?`, [id]), (rows) =>
          rows.length === 0 ? Effect.void : new DurableHandle(engine, id, "", undefined).interrupt
        ),
      shutdown: engine.shutdown
    })
    const store = yield* SqlRunStore.make
    return Context.make(Engine, service).pipe(Context.add(Durable, engine), Context.add(RunStore, store))
  })

/** A name that no other process has. */
export const newName = Effect.map(Random.nextInt, (n) => Math.abs(n).toString(36))

/** The durable engine on the database of a `SqlClient`, in one process. */
export const layer = (settings: Settings = {}): Layer.Layer<Engine | RunStore | Durable, never, SqlClient.SqlClient> =>
  Layer.effectContext(Effect.flatMap(newName, (name) => makeEngine(settings, name, single)))

/** The durable engine on the database of a `SqlClient`, in any number of processes. */
export const layerShared = (
  settings: Settings & SharingOptions = {}
): Layer.Layer<Engine | RunStore | Durable, never, SqlClient.SqlClient> =>
  Layer.unwrap(
    Effect.map(newName, (name) =>
      settings.runs === false
        ? Layer.effectContext(makeEngine(settings, name, single))
        : Layer.provide(
            Layer.effectContext(Effect.flatMap(shared(settings), (placement) => makeEngine(settings, name, placement))),
            sharding(name, settings)
          )
    )
  )

const isOpening = ({ reason }: SqlError.SqlError): boolean =>
  reason._tag === "ConnectionError" && reason.operation === "connect" && Predicate.hasProperty(reason.cause, "errcode")

/** The durable engine on a SQLite file. */
export const layerSqlite = (config: NodeSqlite.Config & Settings): Layer.Layer<Engine | RunStore | Durable> => {
  const sql = Layer.catchTag(NodeSqlite.layer(config), "SqlError", (error) =>
    Layer.effectContext(Effect.die(isOpening(error) ? cannotOpen(config.filename, "SQLITE_CANTOPEN") : error))
  )
  const engine = Layer.provide(layer(config), sql)
  const isAlone = config.runs === false || config.filename === ":memory:"
  const owned = isAlone ? engine : Layer.provide(engine, Layer.effectDiscard(own(config.filename)))
  return Layer.unwrap(Effect.as(checkSqlite(config), owned))
}
