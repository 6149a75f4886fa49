/**
 * The options of a run as they are stored: the data part. Callbacks and schedules are code; after a crash those of the
 * workflow's `defaults` stand in for them.
 */
import * as Duration from "effect/Duration"
import type { RunOptions } from "../../Run.ts"
import { toConfig } from "../../Timeout.ts"

const millis = (input: Duration.Input | undefined): number | string | undefined => {
  if (input === undefined) return undefined
  const n = Duration.toMillis(input)
  return Number.isFinite(n) ? n : "Infinity"
}

/** The data of options, as JSON. */
export const toStored = (options: RunOptions): object => {
  const { approval, budget, cancel, id, retry, tags, timeout } = options
  return {
    id,
    tags,
    budget,
    timeout:
      timeout === undefined ? undefined : { ...plain(toConfig(timeout)), duration: millis(toConfig(timeout).duration) },
    retry:
      retry === undefined
        ? undefined
        : "schedule" in retry
          ? { schedule: true, mode: retry.mode }
          : { ...plain(retry), delay: millis(retry.delay), maxDelay: millis(retry.maxDelay) },
    cancel: cancel === undefined ? undefined : { ...plain(cancel), gracefulTimeout: millis(cancel.gracefulTimeout) },
    approval: approval === undefined ? undefined : { ...approval, timeout: millis(approval.timeout) }
  }
}

/** An object without what is not plain data. */
const plain = (options: object): object =>
  Object.fromEntries(
    Object.entries(options).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
  )

/** Whether something of the options is lost when they are stored. */
export const hasCode = (options: RunOptions): boolean =>
  options.onComplete !== undefined ||
  options.onFailed !== undefined ||
  options.onStatusChange !== undefined ||
  options.cancel?.beforeCancel !== undefined ||
  options.cancel?.afterCancel !== undefined ||
  (options.retry !== undefined && ("schedule" in options.retry || !!options.retry.while || !!options.retry.onRetry)) ||
  (options.timeout !== undefined && toConfig(options.timeout).onTimeoutCallback !== undefined)

/** Stored options (`any`: JSON of our own tables), with the code of the workflow's defaults. */
export const fromStored = (stored: any, defaults: RunOptions): RunOptions => {
  const { cancel, retry, timeout, ...data } = stored
  const defaultTimeout = defaults.timeout === undefined ? undefined : toConfig(defaults.timeout)
  const defaultRetry = defaults.retry
  const options: Record<string, unknown> = {
    ...data,
    onComplete: defaults.onComplete,
    onFailed: defaults.onFailed,
    onStatusChange: defaults.onStatusChange,
    timeout: timeout === undefined ? undefined : { ...timeout, onTimeoutCallback: defaultTimeout?.onTimeoutCallback },
    cancel:
      cancel === undefined
        ? undefined
        : { ...cancel, beforeCancel: defaults.cancel?.beforeCancel, afterCancel: defaults.cancel?.afterCancel },
    retry:
      retry === undefined
        ? undefined
        : retry.schedule === true
          ? defaultRetry !== undefined && "schedule" in defaultRetry
            ? defaultRetry
            : undefined
          : { ...retry, while: defaultRetry?.while, onRetry: defaultRetry?.onRetry }
  }
  for (const key in options) if (options[key] === undefined) delete options[key]
  return options as RunOptions
}
