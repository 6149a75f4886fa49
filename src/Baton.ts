/**
 * Baton for code that is not written with Effect: promises, plain callbacks, async iterables and abort signals.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type { Approval, ApprovalOptions } from "./Approval.ts"
import type { Usage } from "./Budget.ts"
import { toExecution, toWorkflow } from "./baton/handles.ts"
import { Runner } from "./baton/runner.ts"
import type { CancelResult, Cancel as EffectCancel } from "./Cancel.ts"
import type { Event } from "./Event.ts"
import type { Execution as EffectExecution } from "./Execution.ts"
import type { HumanRequest } from "./HumanRequest.ts"
import type { RetryConfig, RetryHooks, RetryInfo, RetrySchedule } from "./Retry.ts"
import type { RunOptions as EffectRunOptions, RunStatus } from "./Run.ts"
import type { RunError } from "./RunError.ts"
import { type Engine, get, type ListOptions, list } from "./services/Engine.ts"
import type { AnswerOptions } from "./services/HumanChannel.ts"
import type { RunRecord } from "./services/RunStore.ts"
import type { TimeoutConfig } from "./Timeout.ts"
import type { Workflow as EffectWorkflow } from "./Workflow.ts"

export { BatonDisposed } from "./baton/runner.ts"

/** A yes or a no, now or later. */
export type Decision = boolean | PromiseLike<boolean> | Effect.Effect<boolean, unknown>

/** How long an attempt may take; the callback may be a plain function. */
export type Timeout =
  | Duration.Input
  | (Omit<TimeoutConfig, "onTimeoutCallback"> & {
      /** Runs once per attempt that times out, whatever `onTimeout` says. Default: nothing. */
      readonly onTimeoutCallback?: Effect.Effect<unknown, unknown> | (() => unknown) | undefined
    })

/** When a failed attempt is tried again; the callbacks may be plain functions. */
export type Retry = Omit<RetryHooks, "while" | "onRetry"> & {
  /** Whether an error is worth another try; a failure of the callback counts as no. Default: every error is. */
  // As in `RetryHooks`.
  readonly while?: ((error: any) => Decision) | undefined
  /** Told before each delay. Default: nothing. */
  readonly onRetry?: ((retry: RetryInfo) => unknown) | undefined
} & (Omit<RetryConfig, keyof RetryHooks> | Omit<RetrySchedule, keyof RetryHooks>)

/** How a run is cancelled; the callbacks may be plain functions. */
export interface Cancel extends Omit<EffectCancel, "beforeCancel" | "afterCancel"> {
  /** Asked before a cancel or a timeout `"cancel"` is carried out; `false` prevents it. Default: nobody is asked. */
  readonly beforeCancel?: Effect.Effect<boolean, unknown> | ((reason: string | undefined) => Decision) | undefined
  /** Runs once, after the status is `"cancelled"`. Default: nothing. */
  readonly afterCancel?: Effect.Effect<unknown, unknown> | ((reason: string | undefined) => unknown) | undefined
}

/**
 * Everything that can be set for a run, as in `Run.RunOptions`; callbacks may return nothing, a promise or an Effect.
 *
 * **Details**
 *
 * A callback that throws, or whose promise is rejected, is logged and never changes an outcome.
 */
export interface RunOptions<in Output = never, in Error = never>
  extends Omit<EffectRunOptions, "timeout" | "retry" | "cancel" | "onComplete" | "onFailed" | "onStatusChange"> {
  /**
   * Cancels the run when it is aborted, as `cancel` does; a run whose signal is aborted already never starts. Text given
   * to `abort` is the reason, or else the message of the error, or `"aborted"`. Default: none.
   */
  readonly signal?: AbortSignal | undefined
  /** How long an attempt may take. Default: for ever. */
  readonly timeout?: Timeout | undefined
  /** Whether and when a failed attempt is tried again. Default: never. */
  readonly retry?: Retry | undefined
  /** How the run is cancelled. Default: at once, nobody asked. */
  readonly cancel?: Cancel | undefined
  /** Told the output of a completed run. Default: nothing. */
  readonly onComplete?: ((output: Output) => unknown) | undefined
  /** Told the error of a failed run; a defect is told as it is. Default: nothing. */
  readonly onFailed?: ((error: Error | RunError) => unknown) | undefined
  /** Told every status change, once, in order. Default: nothing. */
  readonly onStatusChange?: ((status: RunStatus) => unknown) | undefined
}

/** Options without those that are undefined. */
export type Given<Options> = { readonly [Key in keyof Options]?: Exclude<Options[Key], undefined> }

/** How far an execution is. */
export interface Progress {
  readonly current: number
  /** 0 when it is not known. */
  readonly total: number
  readonly message?: string
}

/** A workflow whose runs are promises. */
export interface Workflow<in Input, out Output, out Error = never> {
  readonly name: string
  readonly description: string | undefined
  /** A configured run, not yet started; bad input or options make its `result` fail. */
  run(input: Input, options?: RunOptions<Output, Error>): Promise<Run<Output, Error, Input>>
  /** A started run. */
  start(input: Input, options?: RunOptions<Output, Error>): Promise<Execution<Output, Error>>
  /** The output of a run. */
  execute(input: Input, options?: RunOptions<Output, Error>): Promise<Output>
}

/** A configured, not yet started execution of a workflow. */
export interface Run<out Output, out Error = never, in Input = never> {
  readonly id: string
  /** `"pending"` until started, then the status of the execution. */
  readonly status: RunStatus
  readonly workflow: Workflow<Input, Output, Error>
  /** The workflow's defaults, overridden by what this run was given. */
  readonly options: Given<RunOptions<any, any>>
  /** Starts the run; again, at once or later, gives the same execution. */
  start(): Promise<Execution<Output, Error>>
  /** Cancels the run; if it has not started, it never will: `start` then gives a cancelled execution. */
  cancel(reason?: string): Promise<CancelResult>
}

/**
 * The live handle of a started run.
 *
 * **Details**
 *
 * `result` is rejected with the error itself: the workflow's own, a `RunError`, or the defect. Nobody has to read it: it
 * never counts as an unhandled rejection. The methods need no `this`.
 *
 * **Gotchas**
 *
 * `status`, `progress` and `logs` are those of now where the engine keeps them in memory. Where it has to fetch them,
 * reading one gives the newest that was fetched, and fetches.
 */
export interface Execution<out Output, out Error = never> {
  readonly id: string
  /** Name of the workflow. */
  readonly workflow: string
  readonly status: RunStatus
  /** The newest progress that the body or its outermost pattern reported. */
  readonly progress: Progress
  /** What was logged inside the execution, oldest first, each with its level: `"INFO planning"`. */
  readonly logs: Array<string>
  /** The open human requests, oldest first. */
  readonly requests: Promise<ReadonlyArray<HumanRequest>>
  /** What the execution and everything nested in it has used. */
  readonly usage: Promise<Usage>
  /** Everything that happened, then everything that happens; ends with the terminal event. Leaving a loop ends it. */
  readonly events: AsyncIterable<Event>
  /** The statuses from `"in-progress"` on: those so far, then each change; ends when the execution settles. */
  readonly statusChanges: AsyncIterable<RunStatus>
  /** The output, or a rejection with the error. */
  readonly result: Promise<Output>
  /** How it ended, defects included. */
  readonly exit: Promise<Exit.Exit<Output, Error | RunError>>
  /**
   * Aborted when the execution settles in any way, so that what only serves it can be bound to it: requests, timers,
   * listeners. The reason is the error that `result` is rejected with, or an `AbortError` after a success.
   */
  readonly signal: AbortSignal
  /** Lets running steps finish and holds the body at its next step, human request or retry. Idempotent. */
  pause(): Promise<void>
  /** Undoes a pause. Idempotent. */
  resume(): Promise<void>
  /** Cancels; concurrent calls agree on the answer. */
  cancel(reason?: string): Promise<CancelResult>
  /** The same, for who does not look at the answer. */
  cancel(reason?: string): Promise<void>
  /** Asks for an approval from outside, and holds the body at its next step until the answer. */
  waitForApproval(message?: string, options?: ApprovalOptions): Promise<Approval>
  /** Asks for an input from outside, and holds the body at its next step until the answer. */
  waitForInput<Input>(
    prompt: string,
    schema: Schema.Codec<Input, any>,
    options?: { readonly timeout?: Duration.Input | undefined }
  ): Promise<Input>
  /** The same, with any answer accepted as it is: the type is the caller's word. */
  waitForInput<Input>(prompt: string): Promise<Input>
  approve(requestId: string, options?: AnswerOptions): Promise<void>
  reject(requestId: string, options?: AnswerOptions): Promise<void>
  /** Answers an input request with a value in its encoded form. */
  answer(requestId: string, value: unknown, options?: { readonly by?: string | undefined }): Promise<void>
}

/**
 * An engine and its services behind promises.
 *
 * **Details**
 *
 * Every rejection is the error itself: a typed error, or the defect. What a layer fails with when it is built, which
 * happens once, at the first call, is what every call is rejected with. The methods need no `this`.
 */
export interface Baton<in R = never> extends AsyncDisposable {
  /** A workflow whose runs are promises. */
  workflow<Input, Output, Error>(
    workflow: EffectWorkflow<Input, Output, Error, R | Engine>
  ): Workflow<Input, Output, Error>
  /** A configured run, not yet started; bad input or options make its `result` fail. */
  run<Input, Output, Error>(
    workflow: EffectWorkflow<Input, Output, Error, R | Engine>,
    input: NoInfer<Input>,
    options?: RunOptions<NoInfer<Output>, NoInfer<Error>>
  ): Promise<Run<Output, Error, Input>>
  /** A started run. */
  start<Input, Output, Error>(
    workflow: EffectWorkflow<Input, Output, Error, R | Engine>,
    input: NoInfer<Input>,
    options?: RunOptions<NoInfer<Output>, NoInfer<Error>>
  ): Promise<Execution<Output, Error>>
  /** The output of a run. */
  execute<Input, Output, Error>(
    workflow: EffectWorkflow<Input, Output, Error, R | Engine>,
    input: NoInfer<Input>,
    options?: RunOptions<NoInfer<Output>, NoInfer<Error>>
  ): Promise<Output>
  /** The handle of an execution; `ExecutionNotFound` where there is none. */
  get(id: string): Promise<Execution<unknown, unknown>>
  /** The same with the types of its workflow; `WorkflowMismatch` where it is one of another. */
  get<Input, Output, Error>(
    id: string,
    workflow: EffectWorkflow<Input, Output, Error, any>
  ): Promise<Execution<Output, Error>>
  /** The executions the engine holds, oldest start first. */
  list(options?: ListOptions): Promise<ReadonlyArray<RunRecord>>
  approve(executionId: string, requestId: string, options?: AnswerOptions): Promise<void>
  reject(executionId: string, requestId: string, options?: AnswerOptions): Promise<void>
  /** Answers an input request with a value in its encoded form. */
  answer(
    executionId: string,
    requestId: string,
    value: unknown,
    options?: { readonly by?: string | undefined }
  ): Promise<void>
  cancel(executionId: string, reason?: string): Promise<CancelResult>
  /** Shuts the engine down, which cancels or hands over what lives, then releases the layer, and waits for both. */
  dispose(): Promise<void>
}

/**
 * Makes a Baton of a layer that provides an engine, and whatever the workflows need.
 *
 * **Details**
 *
 * The layer is built once, at the first call. `dispose`, or the end of an `await using`, shuts the engine down and
 * releases it: memory executions that live are cancelled with reason `"shutdown"`, and later calls are rejected with
 * `BatonDisposed`.
 *
 * **Example** (A run and its errors)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Baton, Engine, Workflow } from "effect-baton"
 *
 * class Unknown extends Schema.TaggedError<Unknown>()("Unknown", { city: Schema.String }) {}
 *
 * const weather = Workflow.make("weather", {
 *   error: Unknown,
 *   run: (city) => city === "Oslo" ? Effect.succeed("4 °C") : Effect.fail(new Unknown({ city }))
 * })
 *
 * const baton = Baton.make(Engine.layerMemory)
 *
 * await baton.execute(weather, "Oslo") // => "4 °C"
 * await baton.execute(weather, "Atlantis").catch((error) => error instanceof Unknown) // => true
 * await baton.dispose()
 * ```
 *
 * **Example** (Following an execution and answering it)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Baton, Engine, Execution, Workflow } from "effect-baton"
 *
 * const deploy = Workflow.make("deploy", {
 *   run: (version) =>
 *     Effect.map(Execution.waitForApproval(`Deploy ${version}?`), (approval) => `approved by ${approval.approvedBy}`)
 * })
 *
 * await using baton = Baton.make(Engine.layerMemory)
 * const execution = await baton.start(deploy, "1.2.0", { timeout: "1 hour", signal: new AbortController().signal })
 *
 * for await (const event of execution.events) {
 *   if (event._tag === "RequestOpened") await execution.approve(event.requestId, { by: "ada" })
 * }
 *
 * await execution.result // => "approved by ada"
 * execution.status // => "completed"
 * ```
 *
 * **Example** (A workflow as an object of its own)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Baton, Engine, Workflow } from "effect-baton"
 *
 * await using baton = Baton.make(Engine.layerMemory)
 * const shout = baton.workflow(Workflow.make("shout", { run: (text) => Effect.succeed(text.toUpperCase()) }))
 *
 * const told: Array<string> = []
 * const run = await shout.run("hello", { onComplete: (output) => { told.push(output) } })
 * run.status // => "pending"
 *
 * const execution = await run.start()
 * await execution.result // => "HELLO"
 * told // => ["HELLO"]
 * ```
 */
export const make = <R, E>(layer: Layer.Layer<R | Engine, E>): Baton<Exclude<R, Engine>> => {
  const runner = new Runner(layer)
  const on = <A, E>(id: string, f: (execution: EffectExecution<any, any>) => Effect.Effect<A, E>): Promise<A> =>
    runner.run(Effect.flatMap(get(id), f))
  const dispose = () => runner.close()
  return {
    workflow: (workflow) => toWorkflow(runner, workflow),
    run: (workflow, input, options) => toWorkflow(runner, workflow).run(input, options),
    start: (workflow, input, options) => toWorkflow(runner, workflow).start(input, options),
    execute: (workflow, input, options) => toWorkflow(runner, workflow).execute(input, options),
    get: (id: string, workflow?: EffectWorkflow<any, any, any, any>) =>
      runner.run(
        Effect.flatMap(workflow === undefined ? get(id) : get(id, workflow), (execution) =>
          toExecution(runner, execution)
        )
      ),
    list: (options) => runner.run(list(options)),
    approve: (id, requestId, options) => on(id, (execution) => execution.approve(requestId, options)),
    reject: (id, requestId, options) => on(id, (execution) => execution.reject(requestId, options)),
    answer: (id, requestId, value, options) => on(id, (execution) => execution.answer(requestId, value, options)),
    cancel: (id, reason) => on(id, (execution) => execution.cancel(reason)),
    dispose,
    [Symbol.asyncDispose]: dispose
  }
}
