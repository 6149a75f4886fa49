/**
 * What an execution needs of the engine it lives in.
 */
import type * as Fiber from "effect/Fiber"
import type { ExecutionImpl } from "./execution.ts"
import type { Pending } from "./request.ts"
import type { RunImpl } from "./run.ts"

export interface Host {
  /** How many events an execution keeps. */
  readonly eventLimit: number
  /** How deep starts and ends are nested on the stack right now. */
  depth: number
  /** Starts a child. */
  readonly start: (run: RunImpl, fiber: Fiber.Fiber<unknown, unknown>, parent: ExecutionImpl) => ExecutionImpl
  /** Told of every status change, after the fact. */
  readonly changed: (execution: ExecutionImpl) => void
  /** Told of every request that was opened, to be delivered. */
  readonly opened: (execution: ExecutionImpl, request: Pending) => void
  /** Takes over a fiber that may outlive its execution: a callback, or finalizers past a cancel. */
  readonly adopt: (fiber: Fiber.Fiber<unknown, unknown>) => void
}
