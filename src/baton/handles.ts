/**
 * Workflows, runs and executions as objects of promises.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { Execution, Given, Progress, Run, RunOptions, Workflow } from "../Baton.ts"
import type { Execution as EffectExecution, LogEntry, Progress as NewestProgress } from "../Execution.ts"
import type { Run as EffectRun } from "../Run.ts"
import type { Workflow as EffectWorkflow } from "../Workflow.ts"
import { given, toEffectOptions } from "./options.ts"
import type { Runner } from "./runner.ts"

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

const toLine = (entry: LogEntry): string => `${entry.level.toUpperCase()} ${entry.message}`

const toProgress = ({ current, message, total }: NewestProgress): Progress =>
  message === undefined ? { current, total } : { current, total, message }

/** The handle over an execution, with the values its getters begin with. */
export const toExecution = (runner: Runner, self: EffectExecution<any, any>): Effect.Effect<Execution<any, any>> =>
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

/** A workflow whose runs are promises. */
export const toWorkflow = (runner: Runner, self: EffectWorkflow<any, any, any, any>): Workflow<any, any, any> => {
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
