/**
 * Baton for code that is not written with Effect: promises, plain callbacks, async iterables and abort signals.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Approval, ApprovalOptions } from "./Approval.ts"
import type { Usage } from "./Budget.ts"
import type { CancelResult, Cancel as EffectCancel } from "./Cancel.ts"
import type { Event } from "./Event.ts"
import type { Execution as EffectExecution, LogEntry, Progress as NewestProgress } from "./Execution.ts"
import type { HumanRequest } from "./HumanRequest.ts"
import type { RetryConfig, RetryHooks, RetryInfo, RetrySchedule } from "./Retry.ts"
import { type Run as EffectRun, type RunOptions as EffectRunOptions, isSettled, type RunStatus } from "./Run.ts"
import type { RunError } from "./RunError.ts"
import { Engine, get, list } from "./services/Engine.ts"
import type { AnswerOptions } from "./services/HumanChannel.ts"
import type { Filter, RunRecord } from "./services/RunStore.ts"
import type { TimeoutConfig } from "./Timeout.ts"
import type { Workflow as EffectWorkflow } from "./Workflow.ts"

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
  list(filter?: Filter): Promise<ReadonlyArray<RunRecord>>
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
 * The Baton was disposed: nothing new can be asked of it.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Baton } from "effect-baton"
 *
 * new Baton.BatonDisposed().message // => "This Baton was disposed: make another one with Baton.make"
 * ```
 */
export class BatonDisposed extends Schema.TaggedError<BatonDisposed>("effect-baton/Baton/BatonDisposed")(
  "BatonDisposed",
  {}
) {
  override get message(): string {
    return "This Baton was disposed: make another one with Baton.make"
  }
}

/** Runs effects with the services of a layer; it owns what still runs, and ends it when it is closed. */
class Runner {
  private readonly runtime: ManagedRuntime.ManagedRuntime<any, unknown>
  private context: Context.Context<any> = Context.empty() as Context.Context<any>
  private isBuilt = false
  private isClosed = false
  private closing: Promise<void> | undefined = undefined
  private readonly open = new Set<() => Promise<unknown>>()

  constructor(layer: Layer.Layer<any, unknown>) {
    this.runtime = ManagedRuntime.make(layer)
  }

  /** Runs an effect that needs the layer, which the first one builds. */
  async run<A>(effect: Effect.Effect<A, unknown, any>): Promise<A> {
    if (!this.isBuilt) await this.build()
    if (this.closing !== undefined) throw new BatonDisposed()
    return this.promise(effect)
  }

  private build(): Promise<void> {
    return this.runtime.context().then(
      (context) => {
        this.context = context
        this.isBuilt = true
      },
      (error) => {
        if (this.closing === undefined) throw error
      }
    )
  }

  fork<A, E>(effect: Effect.Effect<A, E, any>, onExit: (exit: Exit.Exit<A, E>) => void): void {
    const fiber = Effect.runForkWith(this.context)(effect)
    if (fiber.pollUnsafe() === undefined) {
      const stop = () => Effect.runPromise(Fiber.interrupt(fiber))
      this.open.add(stop)
      fiber.addObserver(() => this.open.delete(stop))
      if (this.isClosed) stop()
    }
    fiber.addObserver(onExit)
  }

  promise<A>(effect: Effect.Effect<A, unknown, any>): Promise<A> {
    return new Promise((resolve, reject) =>
      this.fork(effect, (exit) => (Exit.isSuccess(exit) ? resolve(exit.value) : reject(this.reason(exit.cause))))
    )
  }

  /** What a promise is rejected with. */
  reason(cause: Cause.Cause<unknown>): unknown {
    return this.closing !== undefined && Cause.hasInterruptsOnly(cause) ? new BatonDisposed() : Cause.squash(cause)
  }

  /** Reads an effect synchronously; while that takes time, gives the value before. */
  latest<A>(effect: Effect.Effect<A>, first: A): () => A {
    let value = first
    let isReading = false
    return () => {
      if (isReading) return value
      isReading = true
      this.fork(effect, (exit) => {
        isReading = false
        if (Exit.isSuccess(exit)) value = exit.value
      })
      return value
    }
  }

  /**
   * A stream of an execution, for readers that are independent of each other. A wait for the next element ends with
   * `return`, or when this is closed; the readers of a settled execution come to their end by themselves.
   */
  iterate<A>(execution: EffectExecution<unknown, unknown>, stream: Stream.Stream<A>): AsyncIterable<A> {
    return {
      [Symbol.asyncIterator]: () => {
        const inner = Stream.toAsyncIterableWith(stream, this.context)[Symbol.asyncIterator]()
        const stop = () => inner.return!()
        const stopUnlessSettled = async () => {
          const status = await Effect.runPromiseExitWith(this.context)(execution.status)
          if (Exit.isFailure(status) || !isSettled(status.value)) await stop()
        }
        const pull = () => {
          this.open.add(stopUnlessSettled)
          if (this.isClosed) void stopUnlessSettled()
          return inner.next().finally(() => this.open.delete(stopUnlessSettled))
        }
        // Two pulls at once would read the same element.
        let last: Promise<unknown> = Promise.resolve()
        return {
          next: () => {
            const next = last.then(pull, pull)
            last = next
            return next
          },
          return: stop
        }
      }
    }
  }

  close(): Promise<void> {
    this.closing ??= this.end()
    return this.closing
  }

  /** The engine drains before any service of the layer goes; what waits for neither is ended last. */
  private async end(): Promise<void> {
    const shutdown = this.isBuilt ? Context.get(this.context as Context.Context<Engine>, Engine).shutdown : Effect.void
    const exit = await Effect.runPromiseExitWith(this.context)(Effect.ensuring(shutdown, this.runtime.disposeEffect))
    this.isClosed = true
    await Promise.all(Array.from(this.open, (stop) => stop()))
    if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  }
}

/** Makes a value at its first use. */
const lazy = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => (made ??= { value: make() }).value
}

/** A promise that nobody has to read. */
const quiet = <A>(promise: Promise<A>): Promise<A> => {
  promise.catch(() => {})
  return promise
}

/** The reason of a cancel by an aborted signal. */
const abortReason = ({ reason }: AbortSignal): string => {
  if (Predicate.isString(reason)) return reason
  const isTold = Predicate.isError(reason) && reason.name !== "AbortError" && reason.message !== ""
  return isTold ? reason.message : "aborted"
}

// -- options ------------------------------------------------------------------

const toEffect = (result: unknown): Effect.Effect<unknown, unknown> =>
  Effect.isEffect(result)
    ? (result as Effect.Effect<unknown, unknown>)
    : Predicate.isPromiseLike(result)
      ? Effect.tryPromise({ try: () => result, catch: identity })
      : Effect.succeed(result)

/** The same options with the plain functions at these keys made into functions that return Effects. */
const lift = (options: unknown, keys: ReadonlyArray<string>): any => {
  if (!Predicate.isObject(options)) return options
  const lifted = keys.flatMap((key) => {
    const callback = (options as Record<string, unknown>)[key]
    return Predicate.isFunction(callback)
      ? [[key, (argument: unknown) => Effect.suspend(() => toEffect(callback(argument)))] as const]
      : []
  })
  // What has no callbacks stays what it is, such as a Duration.
  return lifted.length === 0 ? options : { ...options, ...Object.fromEntries(lifted) }
}

const toEffectOptions = ({ signal: _signal, ...options }: RunOptions<any, any>): EffectRunOptions<any, any> => ({
  ...lift(options, ["onComplete", "onFailed", "onStatusChange"]),
  timeout: lift(options.timeout, ["onTimeoutCallback"]),
  retry: lift(options.retry, ["while", "onRetry"]),
  cancel: lift(options.cancel, ["beforeCancel", "afterCancel"])
})

const given = <Options extends object>(options: Options): Given<Options> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<Options>

// -- handles ------------------------------------------------------------------

const toLine = (entry: LogEntry): string => `${entry.level.toUpperCase()} ${entry.message}`

const toProgress = ({ current, message, total }: NewestProgress): Progress =>
  message === undefined ? { current, total } : { current, total, message }

/** The handle over an execution, with the values its getters begin with. */
const toExecution = (runner: Runner, self: EffectExecution<any, any>): Effect.Effect<Execution<any, any>> =>
  Effect.map(Effect.all([self.status, self.progress, self.logs]), ([status, progress, logs]) => {
    const newest = {
      status: runner.latest(self.status, status),
      progress: runner.latest(self.progress, progress),
      logs: runner.latest(self.logs, logs)
    }
    const result = lazy(() => quiet(runner.promise(self.result)))
    const exit = lazy(() => quiet(runner.promise(self.exit)))
    const signal = lazy(() => {
      const controller = new AbortController()
      runner.fork(self.result, (exit) =>
        Exit.isSuccess(exit) ? controller.abort() : controller.abort(runner.reason(exit.cause))
      )
      return controller.signal
    })
    return {
      id: self.id,
      workflow: self.workflow,
      get status() {
        return newest.status()
      },
      get progress() {
        return toProgress(newest.progress())
      },
      get logs() {
        return newest.logs().map(toLine)
      },
      get requests() {
        return runner.promise(self.requests)
      },
      get usage() {
        return runner.promise(self.usage)
      },
      get events() {
        return runner.iterate(self, self.events)
      },
      get statusChanges() {
        return runner.iterate(self, self.statusChanges)
      },
      get result() {
        return result()
      },
      get exit() {
        return exit()
      },
      get signal() {
        return signal()
      },
      pause: () => runner.promise(self.pause),
      resume: () => runner.promise(self.resume),
      cancel: (reason?: string): Promise<any> => runner.promise(self.cancel(reason)),
      waitForApproval: (message, options) => runner.promise(self.waitForApproval(message, options)),
      waitForInput: (
        prompt: string,
        schema: Schema.Codec<any, any> = Schema.Unknown,
        options?: { readonly timeout?: Duration.Input | undefined }
      ) => runner.promise(self.waitForInput(prompt, schema, options)),
      approve: (requestId, options) => runner.promise(self.approve(requestId, options)),
      reject: (requestId, options) => runner.promise(self.reject(requestId, options)),
      answer: (requestId, value, options) => runner.promise(self.answer(requestId, value, options))
    }
  })

/** Cancels an execution when a signal is aborted; the signal is let go when the execution settles. */
const cancelOnAbort = (runner: Runner, self: EffectExecution<any, any>, signal: AbortSignal): void => {
  const cancel = () => runner.fork(self.cancel(abortReason(signal)), () => {})
  if (signal.aborted) return cancel()
  signal.addEventListener("abort", cancel, { once: true })
  runner.fork(self.exit, () => signal.removeEventListener("abort", cancel))
}

const toRun = (
  runner: Runner,
  workflow: Workflow<any, any, any>,
  self: EffectRun<any, any, any>,
  options: Given<RunOptions<any, any>>
): Run<any, any, any> => {
  const { signal } = options
  // A run that was not started holds no listener: its signal is looked at when it matters.
  const cancelIfAborted = Effect.suspend(() =>
    signal?.aborted === true ? Effect.asVoid(self.cancel(abortReason(signal))) : Effect.void
  )
  const status = runner.latest(Effect.andThen(cancelIfAborted, self.status), "pending")
  const execution = lazy(() =>
    runner.run(
      Effect.gen(function* () {
        yield* cancelIfAborted
        const started = yield* self.start
        if (signal !== undefined) cancelOnAbort(runner, started, signal)
        return yield* toExecution(runner, started)
      })
    )
  )
  return {
    id: self.id,
    workflow,
    options,
    get status() {
      return status()
    },
    start: () => execution(),
    cancel: (reason) => runner.promise(self.cancel(reason))
  }
}

const toWorkflow = (runner: Runner, self: EffectWorkflow<any, any, any, any>): Workflow<any, any, any> => {
  const run = (input: unknown, options: RunOptions<any, any> = {}): Promise<Run<any, any, any>> =>
    runner.run(
      Effect.map(self.run(input, toEffectOptions(options)), (run) =>
        toRun(runner, workflow, run, { ...given(self.defaults as RunOptions<any, any>), ...given(options) })
      )
    )
  const start = (input: unknown, options?: RunOptions<any, any>): Promise<Execution<any, any>> =>
    run(input, options).then((run) => run.start())
  const workflow: Workflow<any, any, any> = {
    name: self.name,
    description: self.description,
    run,
    start,
    execute: (input, options) => start(input, options).then((execution) => execution.result)
  }
  return workflow
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
    list: (filter) => runner.run(list(filter)),
    approve: (id, requestId, options) => on(id, (execution) => execution.approve(requestId, options)),
    reject: (id, requestId, options) => on(id, (execution) => execution.reject(requestId, options)),
    answer: (id, requestId, value, options) => on(id, (execution) => execution.answer(requestId, value, options)),
    cancel: (id, reason) => on(id, (execution) => execution.cancel(reason)),
    dispose,
    [Symbol.asyncDispose]: dispose
  }
}
