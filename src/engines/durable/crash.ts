/**
 * A durable engine that dies at a chosen write, as a process would: nothing more is written, nobody is told anything.
 * What it did stays in its file, where another one goes on.
 */

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Engine } from "../../services/Engine.ts"
import type { Settings } from "./engine.ts"
import { Durable, layerSqlite } from "./layer.ts"
import type { Strike } from "./writer.ts"

/** The path of a database in a folder of its own, which goes with the scope. */
export const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "baton-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  ),
  (folder) => join(folder, "runs.db")
)

/** What came of one life of an engine. */
export interface Life<A> {
  /** What the program gave, unless the engine died first. */
  readonly result: A | undefined
  readonly crashed: boolean
  readonly writes: number
  /** The steps whose end is recorded: workflow, path, attempt and run. */
  readonly completed: ReadonlyArray<string>
}

/** Runs a program on an engine that may die. */
export const live = <A, E, R>(
  filename: string,
  settings: Settings,
  fault: ((n: number) => Strike) | undefined,
  program: Effect.Effect<A, E, R>
): Effect.Effect<Life<A>, E, Exclude<R, Engine | Durable>> =>
  liveOn(layerSqlite({ filename, ...settings }), fault, program)

/** The same on an engine of any database; of one that has other runs too, only those under a root count. */
export const liveOn = <A, E, R>(
  layer: Layer.Layer<Engine | Durable>,
  fault: ((n: number) => Strike) | undefined,
  program: Effect.Effect<A, E, R>,
  rootId?: string
): Effect.Effect<Life<A>, E, Exclude<R, Engine | Durable>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const context = yield* Layer.build(Layer.fresh(layer))
      const engine = Context.get(context, Durable)
      const crash = yield* Deferred.make<void>()
      engine.writer.fault = fault
      engine.writer.onCrash = () => {
        engine.crash()
        Deferred.doneUnsafe(crash, Effect.void)
      }
      const result = yield* Effect.raceFirst(
        Effect.map(Effect.provide(program, context), (result): A | undefined => result).pipe(
          // What was asked of the engine dies with it.
          Effect.catchCause((cause) => (engine.writer.crashed ? Effect.never : Effect.failCause(cause)))
        ),
        Effect.as(Deferred.await(crash), undefined)
      )
      const rows = yield* engine.query<{ place: string }>(
        `SELECT r.workflow || ':' || e.path || '@' || e.attempt || ' of ' || r.id AS place
         FROM baton_events e JOIN baton_runs r ON r.id = e.execution_id
         WHERE e.tag = 'StepCompleted' AND ${rootId === undefined ? "1 = 1" : "r.root_id = ?"}`,
        rootId === undefined ? [] : [rootId]
      )
      const { crashed, writes } = engine.writer
      return { result, crashed, writes, completed: rows.map((row) => row.place) }
    })
  ) as Effect.Effect<Life<A>, E, Exclude<R, Engine | Durable>>
