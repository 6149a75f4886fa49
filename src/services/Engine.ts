/**
 * Where executions live: they are started, found again and shut down here.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Execution } from "../Execution.ts"
import { Count } from "../internal/schema.ts"
import { settings } from "../internal/settings.ts"
import type { Run } from "../Run.ts"
import type { Any, Workflow } from "../Workflow.ts"
import type { Filter, RunRecord } from "./RunStore.ts"

/**
 * What is recorded of a run is not what its code does now: the run is held as it is, and goes on when a version that fits
 * is registered.
 *
 * **Details**
 *
 * Found are results, inputs and answers that do not fit their schemas any more, and steps, requests and children that were
 * renamed, added, removed or moved before something that is recorded. What follows the last that is recorded may change.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Engine } from "effect-baton"
 *
 * new Engine.ReplayMismatch({ path: "plan", expected: "a result that fits the step's schema", found: 'one that does not, at "n"' }).message // => 'The code does not fit what is recorded at "plan": expected a result that fits the step\'s schema, found one that does not, at "n"; register a version that fits, and the run goes on'
 * ```
 */
export class ReplayMismatch extends Schema.TaggedError<ReplayMismatch>("effect-baton/Engine/ReplayMismatch")(
  "ReplayMismatch",
  { path: Schema.String, expected: Schema.String, found: Schema.String }
) {
  override get message(): string {
    return `The code does not fit what is recorded at "${this.path}": expected ${this.expected}, found ${this.found}; register a version that fits, and the run goes on`
  }
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
 * The execution that was asked for is one of another workflow.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Engine } from "effect-baton"
 *
 * new Engine.WorkflowMismatch({ id: "run_1", workflow: "deploy", expected: "echo" }).message // => 'The execution "run_1" is one of deploy, not of echo; get it with the workflow that it is one of'
 * ```
 */
export class WorkflowMismatch extends Schema.TaggedError<WorkflowMismatch>("effect-baton/Engine/WorkflowMismatch")(
  "WorkflowMismatch",
  {
    id: Schema.String,
    /** Name of its workflow. */
    workflow: Schema.String,
    /** Name of the workflow that was expected. */
    expected: Schema.String
  }
) {
  override get message(): string {
    return `The execution "${this.id}" is one of ${this.workflow}, not of ${this.expected}; get it with the workflow that it is one of`
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
 * The database of a durable engine did not do what was asked of it, most often because it can not be reached. Nothing
 * that was written is lost; runs go on by themselves when it is back. A question or a command dies with it; who waits for
 * events or for a result waits on.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Engine } from "effect-baton"
 *
 * new Engine.EngineUnavailable({ reason: "Failed to connect", isRetryable: true }).message // => "The engine's database can not be used: Failed to connect; try again when it is back"
 * ```
 */
export class EngineUnavailable extends Schema.TaggedError<EngineUnavailable>("effect-baton/Engine/EngineUnavailable")(
  "EngineUnavailable",
  { reason: Schema.String, isRetryable: Schema.Boolean, next: Schema.optionalKey(Schema.String) }
) {
  override get message(): string {
    const next = this.next ?? (this.isRetryable ? "try again when it is back" : "see the log of the database")
    return `The engine's database can not be used: ${this.reason}; ${next}`
  }
}

/**
 * The workflow is not registered where it should run, so it can not be submitted.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Engine } from "effect-baton"
 *
 * new Engine.WorkflowNotRegistered({ workflow: "deploy" }).message // => 'No workflow "deploy" is registered: provide Workflow.toLayer of it where the engine is, or start the run instead of submitting it'
 * ```
 */
export class WorkflowNotRegistered extends Schema.TaggedError<WorkflowNotRegistered>(
  "effect-baton/Engine/WorkflowNotRegistered"
)("WorkflowNotRegistered", { workflow: Schema.String, version: Schema.optionalKey(Schema.String) }) {
  override get message(): string {
    const version = this.version === undefined ? "" : ` of version "${this.version}"`
    return `No workflow "${this.workflow}"${version} is registered: provide Workflow.toLayer of it where the engine is, or start the run instead of submitting it`
  }
}

/**
 * A run can not go on, or begin again, in the way that was asked for.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Engine } from "effect-baton"
 *
 * new Engine.NotResumable({ id: "run_1", problem: "it is completed: only failed and cancelled runs are retried" }).message // => "run_1 can not be taken up again: it is completed: only failed and cancelled runs are retried"
 * ```
 */
export class NotResumable extends Schema.TaggedError<NotResumable>("effect-baton/Engine/NotResumable")("NotResumable", {
  id: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.id} can not be taken up again: ${this.problem}`
  }
}

/** What only an engine does that keeps what happened. */
export interface History {
  readonly retry: (
    id: string
  ) => Effect.Effect<Execution<unknown, unknown>, ExecutionNotFound | NotResumable | WorkflowNotRegistered>
  readonly fork: (
    id: string,
    options: { readonly fromStep: string; readonly input?: unknown }
  ) => Effect.Effect<Execution<unknown, unknown>, ExecutionNotFound | NotResumable | WorkflowNotRegistered>
  readonly prune: (options: {
    readonly olderThan: Duration.Input
    readonly keep?: number | undefined
  }) => Effect.Effect<number>
}

/** Which executions to list, and how many of them. */
export interface ListOptions extends Filter {
  /** How many at most, the newest starts; a whole number from 1 up. Default: all. */
  readonly limit?: number | undefined
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
    /** Makes a workflow known: runs of it can be submitted, and durable ones that nobody goes on with are taken up. */
    readonly register: <Input, Output, Error, R>(
      workflow: Workflow<Input, Output, Error, R>
    ) => Effect.Effect<void, never, R>
    /** Starts a run of a registered workflow, with what it was registered with. */
    readonly submit: <Output, Error, R>(
      run: Run<Output, Error, R>
    ) => Effect.Effect<Execution<Output, Error>, WorkflowNotRegistered>
    /** What only a durable engine does. */
    readonly history?: History | undefined
    /** The handle of an execution; an engine that does not know its workflow reads the outcome as the given one says. */
    readonly get: (id: string, workflow?: Any) => Effect.Effect<Execution<unknown, unknown>, ExecutionNotFound>
    /** The executions the engine holds, oldest start first. */
    readonly list: (options?: ListOptions) => Effect.Effect<ReadonlyArray<RunRecord>>
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
 * With the workflow, its output and error have the workflow's types; an execution of a workflow with another name is
 * `WorkflowMismatch`. Without, they are `unknown`.
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
 *   const execution = yield* Engine.get("greeting-1", echo)
 *   return (yield* execution.result).length
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => 2
 * ```
 */
export const get: {
  (id: string): Effect.Effect<Execution<unknown, unknown>, ExecutionNotFound, Engine>
  <Input, Output, Error, R>(
    id: string,
    workflow: Workflow<Input, Output, Error, R>
  ): Effect.Effect<Execution<Output, Error>, ExecutionNotFound | WorkflowMismatch, Engine>
} = (id: string, workflow?: Any): Effect.Effect<Execution<any, any>, any, Engine> =>
  Effect.flatMap(Engine, (engine) =>
    Effect.flatMap(engine.get(id, workflow), (execution) =>
      workflow === undefined || workflow.name === execution.workflow
        ? Effect.succeed(execution)
        : Effect.fail(new WorkflowMismatch({ id, workflow: execution.workflow, expected: workflow.name }))
    )
  )

const checkList = settings("Engine.list", Schema.Struct({ limit: Schema.optional(Count(1)) }))

/**
 * The executions that an engine holds, oldest start first.
 *
 * **Details**
 *
 * A durable engine holds all that were not pruned, so give a `limit` there: the newest starts are listed then. Page by page
 * they are had from `RunStore.find`. A limit that is no whole number from 1 up is an `InvalidDefinition`.
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
 *   return found.map((record) => record.status)
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => ["completed"]
 * ```
 */
export const list = (options?: ListOptions): Effect.Effect<ReadonlyArray<RunRecord>, never, Engine> =>
  Effect.flatMap(Engine, (engine) => Effect.andThen(checkList(options ?? {}), engine.list(options)))

/**
 * Drains the engine: it takes no new starts, cancels what lives with reason `"shutdown"` (memory) or leaves it to
 * others (durable), and has ended when this has.
 *
 * **Details**
 *
 * The engine does so by itself when its layer goes.
 *
 * **Example** (The last run of all)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Execution, Workflow } from "effect-baton"
 *
 * const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval("Go on?"), "went on") })
 *
 * const program = Effect.gen(function*() {
 *   const run = yield* asks.run("")
 *   const execution = yield* run.start
 *   yield* Engine.shutdown
 *   return yield* Effect.flip(execution.result)
 * })
 *
 * const error = await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory)))
 * error.message.includes("shutdown") // => true
 * ```
 */
export const shutdown: Effect.Effect<void, never, Engine> = Effect.flatMap(Engine, (engine) => engine.shutdown)

const history = Effect.flatMap(Engine, (engine) =>
  engine.history === undefined
    ? Effect.die(new Error("This engine keeps no results: use Engine.layerSqlite or another durable engine"))
    : Effect.succeed(engine.history)
)

/**
 * Takes a failed or cancelled run up where it failed: a new run that begins with everything that succeeded.
 *
 * **Details**
 *
 * Steps that succeeded in the last attempt and what people answered are not done again. The run that failed stays as it
 * is. The workflow must be registered here.
 *
 * **Gotchas**
 *
 * On the memory engine it dies: only durable engines keep results.
 *
 * **Example** (After the mending)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 *
 * class Down extends Schema.TaggedError<Down>()("Down", {}) {}
 * let isUp = false
 *
 * const report = Workflow.make("report", {
 *   error: Down,
 *   run: Effect.fnUntraced(function*(topic) {
 *     const facts = yield* Step.make("collect", { run: Effect.succeed(`facts on ${topic}`) })
 *     return yield* Step.make("send", { error: Down, run: isUp ? Effect.succeed(`sent ${facts}`) : new Down() })
 *   })
 * })
 *
 * const program = Effect.gen(function*() {
 *   yield* Effect.flip(report.execute("tea", { id: "report-1" }))
 *   isUp = true
 *   const again = yield* Engine.retry("report-1")
 *   return yield* again.result
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerSqlite({ filename: ":memory:" })))) // => "sent facts on tea"
 * ```
 */
export const retry = (
  id: string
): Effect.Effect<Execution<unknown, unknown>, ExecutionNotFound | NotResumable | WorkflowNotRegistered, Engine> =>
  Effect.flatMap(history, (history) => history.retry(id))

/**
 * A new run that shares with another the results of all steps that had ended when `fromStep` began.
 *
 * **Details**
 *
 * `fromStep` is the path of a step. With `input`, the new run has another input; one that does not fit is
 * `NotResumable`. The other run may be settled or not, and stays as it is.
 *
 * **Gotchas**
 *
 * On the memory engine it dies: only durable engines keep results.
 *
 * **Example** (The last step again)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 *
 * let drafts = 0
 * const write = Workflow.make("write", {
 *   run: Effect.fnUntraced(function*(topic) {
 *     const facts = yield* Step.make("collect", { run: Effect.succeed(`facts on ${topic}`) })
 *     return yield* Step.make("draft", { run: Effect.sync(() => `draft ${++drafts} of ${facts}`) })
 *   })
 * })
 *
 * const program = Effect.gen(function*() {
 *   yield* write.execute("tea", { id: "write-1" })
 *   const fork = yield* Engine.fork("write-1", { fromStep: "draft" })
 *   return yield* fork.result
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerSqlite({ filename: ":memory:" })))) // => "draft 2 of facts on tea"
 * ```
 */
export const fork = (
  id: string,
  options: { readonly fromStep: string; readonly input?: unknown }
): Effect.Effect<Execution<unknown, unknown>, ExecutionNotFound | NotResumable | WorkflowNotRegistered, Engine> =>
  Effect.flatMap(history, (history) => history.fork(id, options))

/**
 * Removes runs that settled longer ago than `olderThan`, with all that is stored of them; of those, the newest `keep` stay.
 *
 * **Details**
 *
 * Gives the number of runs removed. Children go with the run at the top of their tree, once that has settled.
 *
 * **Gotchas**
 *
 * On the memory engine it dies: that lets go of settled executions by itself.
 *
 * **Example** (Nothing old)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Workflow } from "effect-baton"
 *
 * const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 *
 * const program = Effect.andThen(echo.execute("hi"), Engine.prune({ olderThan: "30 days" }))
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerSqlite({ filename: ":memory:" })))) // => 0
 * ```
 */
export const prune = (options: {
  readonly olderThan: Duration.Input
  readonly keep?: number | undefined
}): Effect.Effect<number, never, Engine> => Effect.flatMap(history, (history) => history.prune(options))
