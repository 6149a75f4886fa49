/**
 * Where executions live: they are started, found again and shut down here.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Execution } from "../Execution.ts"
import type { Run } from "../Run.ts"
import { RunStatus } from "../Run.ts"

/**
 * What an engine says of an execution in a list.
 *
 * **Example** (Checking a summary)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Engine } from "effect-baton"
 *
 * Schema.is(Engine.Summary)({ id: "run_1", workflow: "deploy", status: "awaiting", tags: [], startedAt: new Date(0) }) // => true
 * ```
 */
export const Summary = Schema.Struct({
  id: Schema.String,
  workflow: Schema.String,
  status: RunStatus,
  tags: Schema.Array(Schema.String),
  parentId: Schema.optionalKey(Schema.String),
  startedAt: Schema.Date,
  settledAt: Schema.optionalKey(Schema.Date)
})

/** What an engine says of an execution in a list. */
export interface Summary extends Schema.Schema.Type<typeof Summary> {}

/** Which executions a list shows; every condition must hold. */
export interface Filter {
  readonly workflow?: string | undefined
  readonly status?: RunStatus | ReadonlyArray<RunStatus> | undefined
  readonly tag?: string | undefined
  readonly parentId?: string | undefined
}

/**
 * No execution with this id is in the engine: it never was, or it settled long ago and was let go.
 *
 * **Example** (Asking for an unknown id)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine } from "effect-baton"
 *
 * const program = Engine.get("run_nope").pipe(Effect.flip, Effect.map((error) => error.message))
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => 'No execution "run_nope": the id is unknown, or it settled and is no longer kept; Engine.list shows the ones that are'
 * ```
 */
export class ExecutionNotFound extends Schema.TaggedError<ExecutionNotFound>("effect-baton/Engine/ExecutionNotFound")(
  "ExecutionNotFound",
  { id: Schema.String }
) {
  override get message(): string {
    return `No execution "${this.id}": the id is unknown, or it settled and is no longer kept; Engine.list shows the ones that are`
  }
}

/**
 * The engine is shutting down and takes no new starts.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Engine } from "effect-baton"
 *
 * new Engine.EngineShutdown({ workflow: "deploy" }).message // => "The engine is shut down: deploy was not started; start it on a running engine"
 * ```
 */
export class EngineShutdown extends Schema.TaggedError<EngineShutdown>("effect-baton/Engine/EngineShutdown")(
  "EngineShutdown",
  { workflow: Schema.String }
) {
  override get message(): string {
    return `The engine is shut down: ${this.workflow} was not started; start it on a running engine`
  }
}

/**
 * The place where executions live.
 *
 * **Example** (Starting by hand)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * const program = Effect.gen(function*() {
 *   const engine = yield* Engine.Engine
 *   const execution = yield* engine.start(yield* echo.run("hi"))
 *   return yield* execution.result
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => "hi"
 * ```
 */
export class Engine extends Context.Service<
  Engine,
  {
    /** Starts a run, or gives the execution it already has. After a shutdown it dies with `EngineShutdown`. */
    readonly start: <Output, Error, R>(run: Run<Output, Error, R>) => Effect.Effect<Execution<Output, Error>, never, R>
    /** The handle of an execution. */
    readonly get: (id: string) => Effect.Effect<Execution<unknown, unknown>, ExecutionNotFound>
    /** The executions the engine holds, oldest start first. */
    readonly list: (filter?: Filter) => Effect.Effect<ReadonlyArray<Summary>>
    /** Cancels without asking `beforeCancel`, and waits: what interrupting the caller of `workflow.execute` does. */
    readonly interrupt: (id: string) => Effect.Effect<void>
    /** Refuses new starts, cancels what lives with reason `"shutdown"` (memory) or leaves it to others (durable), and waits. */
    readonly shutdown: Effect.Effect<void>
  }
>()("effect-baton/services/Engine") {}

/**
 * The handle of an execution, by its id.
 *
 * **Details**
 *
 * Its output and error are `unknown`: whoever knows the workflow can narrow them.
 *
 * **Example** (Finding an execution again)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * const program = Effect.gen(function*() {
 *   const run = yield* echo.run("hi", { id: "greeting-1" })
 *   yield* run.start
 *   const execution = yield* Engine.get("greeting-1")
 *   return yield* execution.result
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => "hi"
 * ```
 */
export const get = (id: string): Effect.Effect<Execution<unknown, unknown>, ExecutionNotFound, Engine> =>
  Effect.flatMap(Engine, (engine) => engine.get(id))

/**
 * The executions that an engine holds, oldest start first.
 *
 * **Example** (What is going on)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * const program = Effect.gen(function*() {
 *   yield* echo.execute("hi", { tags: ["demo"] })
 *   const found = yield* Engine.list({ tag: "demo" })
 *   return found.map((summary) => summary.status)
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => ["completed"]
 * ```
 */
export const list = (filter?: Filter): Effect.Effect<ReadonlyArray<Summary>, never, Engine> =>
  Effect.flatMap(Engine, (engine) => engine.list(filter))
