/**
 * The durable engines, loaded when they are used: who runs in memory loads neither a database nor a cluster.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type { Engine } from "../services/Engine.ts"
import type { RunStore } from "../services/RunStore.ts"

/** Settings of a durable engine. */
export interface DurableOptions {
  /**
   * How long an execution that only waits for people or time stays in memory. Shorter saves memory (a resident one costs
   * about 10 kB), longer saves reading its events again. Default: `"10 seconds"`.
   */
  readonly idle?: Duration.Input | undefined
  /**
   * How often this process looks for what others wrote: the latency of their answers; local ones do not wait for it. Shorter
   * costs statements: two a look on PostgreSQL, however many runs are parked, one that reads no table on SQLite.
   * Default: `"100 millis"`.
   */
  readonly pollInterval?: Duration.Input | undefined
  /**
   * How long a shutdown lets running steps go on. Shorter ends sooner, and cuts off steps, which run again elsewhere.
   * Default: `"15 seconds"`.
   */
  readonly grace?: Duration.Input | undefined
  /**
   * How often a run may take its process down, without getting any further, before it is failed. More puts up longer with a
   * run that takes the others down with it; fewer may fail one that only had bad luck. Default: 10.
   */
  readonly maxCrashes?: number | undefined
  /** Whether this process runs anything; one that does not watches, answers and cancels. Default: `true`. */
  readonly runs?: boolean | undefined
}

/** Settings of the durable engine on SQLite. */
export interface SqliteOptions extends DurableOptions {
  /** Path of the database; the folder must exist, the file is created. */
  readonly filename: string
  /**
   * What a commit waits for. `"normal"` survives a crash of the process, and loses the last moments when the machine
   * loses power; `"full"` survives that too and takes about three times as long a commit. Default: `"normal"`.
   */
  readonly synchronous?: "normal" | "full" | undefined
}

/** Settings of the durable engine on PostgreSQL. */
export interface PostgresOptions extends DurableOptions {
  /** Where the database is, such as `"postgres://user:password@host/database"`. */
  readonly url: string | Redacted.Redacted
  /**
   * Connections of this process at most, 3 or more: one holds the locks of its shards, one says that it lives, the others
   * work; one writes at a time. With `runs: false` 1 will do. Default: 10.
   */
  readonly maxConnections?: number | undefined
  /**
   * Into how many parts the runs are divided among processes. More spread evenly over more processes; each costs a lock.
   * Every process must say the same. Default: 32.
   */
  readonly shards?: number | undefined
  /**
   * After how long without a sign of life a process counts as gone, a second or more: one whose machine is lost, since one
   * that ends is missed at once. Shorter costs a look at its locks every fifth of it. Default: `"15 seconds"`.
   */
  readonly expiration?: Duration.Input | undefined
}

/**
 * The durable engine on PostgreSQL, in one process or many.
 *
 * **Details**
 *
 * Every process with the same database shares the runs: `effect/cluster` divides them, by locks in the database, so no
 * process needs a port or an address. When one ends, the others go on with its runs. Needs `@effect/sql-pg`.
 *
 * **Gotchas**
 *
 * A run is driven by the process that has its part, which need not be the one that started it: register workflows with
 * `Workflow.toLayer` in all of them. A process with `runs: false` submits, watches, answers and cancels.
 *
 * **Example** (Many processes like this one)
 *
 * ```ts no-run
 * import { Effect, Layer } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Step.make("say", { run: Effect.succeed(text) }) })
 *
 * const runner = Workflow.toLayer(echo).pipe(
 *   Layer.provideMerge(Engine.layerPostgres({ url: "postgres://localhost/runs" }))
 * )
 * ```
 */
export const layerPostgres = (options: PostgresOptions): Layer.Layer<Engine | RunStore> =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./durable/postgres.ts")),
      (durable) => durable.layerPostgres(options)
    )
  )

/** Settings of a process that others talk to. */
export interface ClusterOptions extends Omit<PostgresOptions, "runs"> {
  /** Where the other processes reach the HTTP server of this one; nothing is taken from `HOST` and `PORT`. */
  readonly address: { readonly host: string; readonly port: number }
  /** The path of the messages on that server; the same in every process. Default: `"/baton"`. */
  readonly path?: `/${string}` | undefined
}

/** Settings of a process that only talks to others. */
export interface ClusterClientOptions extends Omit<PostgresOptions, "runs"> {
  /** The path of the messages on the servers. Default: `"/baton"`. */
  readonly path?: `/${string}` | undefined
}

/**
 * The durable engine in processes that share a PostgreSQL and tell each other what is new.
 *
 * **Details**
 *
 * All that {@link layerPostgres} does, and more: what a process writes for a run of another (a start, an answer, a
 * cancel) is said to it over HTTP, by `effect/cluster`, and is taken up at once. With {@link layerPostgres} it is found
 * at the next look, `pollInterval` later at most, at 20 small statements a second and process. Here `pollInterval` can be
 * a second: a message that is lost costs no more than that. Events of runs elsewhere are still found by looking.
 *
 * **Gotchas**
 *
 * The server has no authentication: let only the processes of this cluster reach its port. Two processes must not have
 * one address at the same time.
 *
 * **Example** (A process of many)
 *
 * ```ts no-run
 * import { Effect, Layer } from "effect"
 * import { HttpServer } from "effect/http"
 * import { Engine, Step, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Step.make("say", { run: Effect.succeed(text) }) })
 *
 * // The server is NodeHttpServer.layer(createServer, { port: 8081 }) of @effect/platform-node.
 * const runner: Layer.Layer<never, never, HttpServer.HttpServer> = Workflow.toLayer(echo).pipe(
 *   Layer.provide(
 *     Engine.layerCluster({ url: "postgres://localhost/runs", address: { host: "10.0.0.1", port: 8081 } })
 *   )
 * )
 * ```
 */
export const layerCluster = (options: ClusterOptions): Layer.Layer<Engine | RunStore, never, HttpServer.HttpServer> =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./durable/cluster.ts")),
      (durable) => durable.layerCluster(options)
    )
  )

/**
 * A process beside those of {@link layerCluster} that runs nothing: it submits, watches, answers and cancels.
 *
 * **Details**
 *
 * It needs the database and a way to the servers, and no server of its own.
 *
 * **Example** (Starting from a web server)
 *
 * ```ts no-run
 * import { Effect } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * const program = Effect.gen(function*() {
 *   const run = yield* echo.run("hi")
 *   const execution = yield* run.submit
 *   return yield* execution.result
 * })
 *
 * program.pipe(Effect.provide(Engine.layerClusterClient({ url: "postgres://localhost/runs" })))
 * ```
 */
export const layerClusterClient = (options: ClusterClientOptions): Layer.Layer<Engine | RunStore> =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./durable/cluster.ts")),
      (durable) => durable.layerClusterClient(options)
    )
  )

/**
 * The durable engine in one process, on a SQLite file.
 *
 * **Details**
 *
 * Runs survive the end of the process at any point: start it again, register the workflow by starting a run of it, and
 * they go on where they were. Steps whose end is recorded do not run again. Handles are found by id, from any process
 * that opens the file.
 *
 * **Gotchas**
 *
 * One process runs; others open the file with `runs: false` to watch, answer and cancel: a second one that would run is a
 * defect that names the first. Callbacks in the options of a
 * run are code, which is not stored: after a crash those of the workflow's `defaults` stand in for them. Work outside of
 * steps is done again when a run goes on; what must not belongs in a step, also in finalizers.
 *
 * **Example** (A run that a crash would not end)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 *
 * const greet = Workflow.make("greet", {
 *   run: (name) => Step.make("compose", { run: Effect.succeed(`Hello ${name}`) })
 * })
 *
 * const program = greet.execute("Ada", { id: "greeting-1" })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerSqlite({ filename: ":memory:" })))) // => "Hello Ada"
 * ```
 */
export const layerSqlite = (options: SqliteOptions): Layer.Layer<Engine | RunStore> =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./durable/layer.ts")),
      (durable) => durable.layerSqlite(options)
    )
  )

/**
 * The durable engine: on a SQLite file in one process, or on PostgreSQL in any number.
 *
 * **Details**
 *
 * `layerSqlite` where a `filename` is given, `layerPostgres` where a `url` is: for programs that read from their
 * configuration which one it is to be.
 *
 * **Example** (A run on either)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 * const engine = Engine.layerDurable({ filename: ":memory:" })
 *
 * await Effect.runPromise(echo.execute("hi", { id: "echo-1" }).pipe(Effect.provide(engine))) // => "hi"
 * ```
 */
export const layerDurable = (options: SqliteOptions | PostgresOptions): Layer.Layer<Engine | RunStore> =>
  "url" in options ? layerPostgres(options) : layerSqlite(options)
