/**
 * Human requests of an execution: how they are opened, answered, timed out and taken back.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { type ApprovalOptions, ApprovalOptions as ApprovalOptionsSchema } from "../Approval.ts"
import { type AnswerError, RequestNotFound, type RequestOutcome, RequestSettled } from "../HumanRequest.ts"
import type { InvalidOptions } from "../RunError.ts"
import { Tag } from "./eventLog.ts"
import { duplicate, type ExecutionImpl, toInvalidOptions } from "./execution.ts"
import { Frame } from "./frame.ts"
import { type Answer, type Decision, type Pending, PendingApproval, PendingInput } from "./request.ts"
import { checker, DurationInput } from "./schema.ts"

/** How many settled requests are remembered, so that a late answer is told apart from a wrong id. */
const remembered = 1000

/** The open requests of an execution, and what became of the last settled ones. */
export class OpenRequests {
  readonly open = new Set<Pending>()
  private byId: Map<string, Pending> | undefined = undefined
  private settled: Map<string, RequestOutcome> | undefined = undefined

  add(request: Pending): void {
    this.open.add(request)
    this.byId?.set(request.id, request)
  }

  remove(request: Pending, outcome: RequestOutcome): void {
    this.open.delete(request)
    this.byId?.delete(request.id)
    this.settled ??= new Map()
    this.settled.set(request.id, outcome)
    if (this.settled.size > remembered) {
      for (const oldest of this.settled.keys()) {
        this.settled.delete(oldest)
        break
      }
    }
  }

  find(id: string): Pending | undefined {
    if (this.byId === undefined && this.open.size > 4) {
      this.byId = new Map([...this.open].map((request) => [request.id, request]))
    }
    if (this.byId !== undefined) return this.byId.get(id)
    for (const request of this.open) if (request.id === id) return request
    return undefined
  }

  outcome(id: string): RequestOutcome | undefined {
    return this.settled?.get(id)
  }
}

const checkApproval = checker(ApprovalOptionsSchema)
const checkTimeout = checker(DurationInput)

/** A request that is not open yet; its frame and its time are given when it is opened. */
export type Make = (frame: Frame, now: number) => Pending

/** An approval by these rules over the run's own. */
export const makeApproval = (
  execution: ExecutionImpl,
  message: string | undefined,
  options: ApprovalOptions | undefined
): Result.Result<Make, InvalidOptions> => {
  const defaults = execution.options.approval
  const rules = options === undefined ? (defaults ?? {}) : { ...defaults, ...options }
  if (options !== undefined) {
    const invalid = toInvalidOptions(execution.workflow, checkApproval(rules), "approval.")
    if (invalid !== undefined) return Result.fail(invalid)
  }
  const { timeout } = rules
  const text = message ?? `Approve ${execution.workflow}?`
  return Result.succeed(
    (frame, now) =>
      new PendingApproval(frame, text, now, timeout === undefined ? undefined : Duration.toMillis(timeout), rules)
  )
}

/** A request for a value of a schema. */
export const makeInput = (
  execution: ExecutionImpl,
  message: string,
  schema: Schema.Codec<any, any>,
  timeout: Duration.Input | undefined
): Result.Result<Make, InvalidOptions> => {
  if (timeout !== undefined) {
    const invalid = toInvalidOptions(execution.workflow, checkTimeout(timeout), "timeout")
    if (invalid !== undefined) return Result.fail(invalid)
  }
  const millis = timeout === undefined ? undefined : Duration.toMillis(timeout)
  return Result.succeed((frame, now) => new PendingInput(frame, message, now, millis, schema))
}

/** Asks from inside of a body, at its place. */
export const ask = (
  frame: Frame,
  name: "approval" | "input",
  key: string | undefined,
  made: Result.Result<Make, InvalidOptions>
): Effect.Effect<any, any> =>
  Effect.suspend(() => {
    const execution = frame.execution
    if (!execution.isLive(frame)) return Effect.interrupt
    if (Result.isFailure(made)) return Effect.fail(made.failure)
    if (execution.holds > 0) return Effect.andThen(execution.gate, ask(frame, name, key, made))
    const child = frame.enter(name, key, execution.now())
    if (child === undefined) return duplicate("request", frame, name, key)
    const recorded = execution.recorded?.get(child.path)
    if (recorded !== undefined) {
      frame.leave(child)
      return recorded as Exit.Exit<unknown>
    }
    return Effect.callback((resume) => {
      const request = open(execution, made.success, child)
      if (request.settlement !== undefined) return resume(request.settlement)
      request.onSettled = () => resume(request.settlement!)
      return Effect.sync(() => withdraw(execution, request))
    })
  })

/** Asks from outside; the body is held at its next step until the answer. */
export const askFromOutside = (
  execution: ExecutionImpl,
  name: "approval" | "input",
  made: () => Result.Result<Make, InvalidOptions>
): Effect.Effect<any, any> =>
  execution.whileLive(() => {
    const make = made()
    if (Result.isFailure(make)) return Effect.fail(make.failure)
    return Effect.callback((resume) => {
      const outside = (execution.outside ??= new Frame(
        execution,
        new Frame(execution, undefined, "", "", 0),
        "handle",
        "handle",
        0
      ))
      // Callers outside know nothing of each other, so every request gets a number of its own.
      const child = outside.enter(name, String(++execution.outsideRequests), execution.now())!
      execution.hold(1)
      const request = open(execution, make.success, child)
      const stop = execution.observe(() => resume(execution.whileLive(() => Effect.never)))
      request.onSettled = () => {
        stop()
        execution.hold(-1)
        resume(request.settlement!)
      }
      if (request.settlement !== undefined) return request.onSettled()
      return Effect.sync(() => {
        stop()
        execution.hold(-1)
        withdraw(execution, request)
      })
    })
  })

const open = (execution: ExecutionImpl, make: Make, frame: Frame): Pending => {
  const now = execution.startedAt + execution.now()
  const request = make(frame, now)
  execution.people ??= new OpenRequests()
  execution.people.add(request)
  execution.append(Tag.RequestOpened, frame, request)
  if (request.expiresAt !== undefined && Number.isFinite(request.expiresAt)) {
    const fiber = Effect.runForkWith(execution.context)(
      Effect.andThen(Effect.sleep(request.expiresAt - now), () =>
        Effect.sync(() => {
          request.stopTimer = undefined
          if (request.settlement === undefined)
            decide(execution, request, request.expire(execution.startedAt + execution.now()))
        })
      )
    )
    request.stopTimer = () => fiber.interruptUnsafe()
  }
  execution.refreshStatus()
  execution.host.opened(execution, request)
  return request
}

/** The open requests, oldest first. */
export const list = (execution: ExecutionImpl): ReadonlyArray<Pending> => [...(execution.people?.open ?? [])]

/** Passes on what a person said. */
export const answer = (execution: ExecutionImpl, requestId: string, said: Answer): Effect.Effect<void, AnswerError> =>
  Effect.suspend(() => {
    const request = execution.people?.find(requestId)
    if (request === undefined) {
      const outcome = execution.people?.outcome(requestId)
      return Effect.fail(
        outcome === undefined
          ? new RequestNotFound({ executionId: execution.id, requestId })
          : new RequestSettled({ requestId, outcome })
      )
    }
    const result = request.respond(said, execution.startedAt + execution.now())
    if (Result.isFailure(result)) return Effect.fail(result.failure)
    const by = said._tag === "Verdict" ? said.options?.by : said.by
    execution.append(Tag.RequestAnswered, request.frame, {
      requestId,
      ...(by === undefined ? {} : { by }),
      ...(said._tag === "Verdict" ? { approved: said.approved } : {})
    })
    if (result.success !== undefined) decide(execution, request, result.success)
    return Effect.void
  })

const decide = (execution: ExecutionImpl, request: Pending, decision: Decision): void => {
  const settlement = decision.settlement
  request.settlement = settlement
  if (execution.recorded !== undefined && Exit.isExit(settlement) && settlement._tag === "Success") {
    execution.recorded.set(request.frame.path, settlement)
  }
  close(execution, request, decision.outcome)
  execution.refreshStatus()
  const told = request.onSettled
  request.onSettled = undefined
  told?.()
}

const withdraw = (execution: ExecutionImpl, request: Pending): void => {
  if (execution.outcome !== undefined || execution.people?.open.has(request) !== true) return
  request.onSettled = undefined
  close(execution, request, "withdrawn")
  execution.refreshStatus()
}

/** Takes all requests back when the execution settles. */
export const withdrawAll = (execution: ExecutionImpl): void => {
  for (const request of list(execution)) close(execution, request, "withdrawn")
}

const close = (execution: ExecutionImpl, request: Pending, outcome: RequestOutcome): void => {
  execution.people?.remove(request, outcome)
  request.frame.parent?.leave(request.frame)
  request.stopTimer?.()
  request.stopDelivery?.()
  execution.append(Tag.RequestSettled, request.frame, { requestId: request.id, outcome })
}
