/**
 * Human requests of an execution: how they are opened, answered, timed out and taken back.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { type ApprovalOptions, ApprovalOptions as ApprovalOptionsSchema } from "../Approval.ts"
import { type AnswerError, RequestNotFound, type RequestOutcome, RequestSettled } from "../HumanRequest.ts"
import type { InvalidOptions } from "../RunError.ts"
import { type Fields, Lazy, Tag } from "./eventLog.ts"
import { duplicate, type ExecutionImpl, toInvalidOptions } from "./execution.ts"
import { Frame } from "./frame.ts"
import type { Journal } from "./journal.ts"
import { type Answer, type Decision, type Pending, PendingApproval, PendingInput } from "./request.ts"
import { merge } from "./run.ts"
import { checker, DurationInput } from "./schema.ts"
import { Visit } from "./visit.ts"

/** The open requests of an execution: most have one at a time. */
export type OpenRequests = Pending | Map<string, Pending>

const add = (execution: ExecutionImpl, request: Pending): void => {
  const open = execution.people
  if (open === undefined) execution.people = request
  else if (open instanceof Map) open.set(request.id, request)
  else execution.people = new Map([open, request].map((each) => [each.id, each]))
}

/** Takes a request out; whether it was open. */
const remove = (execution: ExecutionImpl, request: Pending): boolean => {
  const open = execution.people
  if (open === request) execution.people = undefined
  else if (!(open instanceof Map) || !open.delete(request.id)) return false
  else if (open.size === 0) execution.people = undefined
  return true
}

/** An open request by its id. */
export const find = (execution: ExecutionImpl, id: string): Pending | undefined => {
  const open = execution.people
  if (open === undefined) return undefined
  if (open instanceof Map) return open.get(id)
  return open.id === id ? open : undefined
}

const isOpen = (execution: ExecutionImpl, request: Pending): boolean =>
  execution.people === request || (execution.people instanceof Map && execution.people.get(request.id) === request)

/** The open requests, oldest first. */
export const list = (execution: ExecutionImpl): ReadonlyArray<Pending> => {
  const open = execution.people
  if (open === undefined) return []
  return open instanceof Map ? [...open.values()] : [open]
}

const checkApproval = checker(ApprovalOptionsSchema)
const checkTimeout = checker(DurationInput)

/** An approval by these rules over the run's own. */
export const makeApproval = (
  execution: Pick<ExecutionImpl, "workflow" | "options">,
  message: string | undefined,
  options: ApprovalOptions | undefined
): Result.Result<Pending, InvalidOptions> => {
  const defaults = execution.options.approval
  const rules = options === undefined ? (defaults ?? noRules) : merge(defaults, options)
  if (options !== undefined) {
    const invalid = toInvalidOptions(execution.workflow, checkApproval(rules), "approval.")
    if (invalid !== undefined) return Result.fail(invalid)
  }
  return Result.succeed(new PendingApproval(message ?? `Approve ${execution.workflow}?`, rules))
}

const noRules: ApprovalOptions = {}

/** A request for a value of a schema. */
export const makeInput = (
  execution: Pick<ExecutionImpl, "workflow">,
  message: string,
  schema: Schema.Codec<any, any>,
  timeout: Duration.Input | undefined
): Result.Result<Pending, InvalidOptions> => {
  if (timeout !== undefined) {
    const invalid = toInvalidOptions(execution.workflow, checkTimeout(timeout), "timeout")
    if (invalid !== undefined) return Result.fail(invalid)
  }
  return Result.succeed(new PendingInput(message, schema, timeout))
}

/** Asks from inside of a body, at its place. */
export const ask = (
  frame: Frame,
  name: "approval" | "input",
  key: string | undefined,
  made: Result.Result<Pending, InvalidOptions>
): Effect.Effect<any, any> => {
  const execution = frame.execution
  if (!execution.isLive(frame)) return Effect.interrupt
  if (Result.isFailure(made)) return Effect.fail(made.failure)
  if (execution.journal !== undefined) return askJournaled(execution.journal, frame, name, key, made.success)
  if (execution.isHeld) return askLater(frame, name, key, made)
  const request = made.success
  // What is entered has to be left, so it is entered where an interrupt finds its way out.
  return Effect.callback((resume) => {
    if (!execution.isLive(frame)) return resume(Effect.interrupt)
    const child = frame.enter(name, key, execution.now())
    if (child === undefined) return resume(duplicate("request", frame, name, key))
    const recorded = execution.recorded?.get(child.path)
    if (recorded === undefined) return waitIn(request, child, resume)
    frame.leave(child)
    return resume(recorded as Exit.Exit<unknown>)
  })
}

const askLater = (
  frame: Frame,
  name: "approval" | "input",
  key: string | undefined,
  made: Result.Result<Pending, InvalidOptions>
): Effect.Effect<any, any> => Effect.flatMap(frame.execution.gate, () => ask(frame, name, key, made))

/** The same where a journal knows what was asked and answered before. */
const askJournaled = (
  journal: Journal,
  frame: Frame,
  name: "approval" | "input",
  key: string | undefined,
  request: Pending
): Effect.Effect<any, any> => {
  const { execution } = frame
  const visit = new Visit()
  return Effect.onExitPrimitive(
    Effect.withFiber((fiber) => {
      if (!execution.isLive(frame)) return Effect.interrupt
      const child = frame.enter(name, key, execution.now())
      if (child === undefined) return duplicate("request", frame, name, key)
      visit.take(child)
      const known = journal.reopen(request, child)
      if (known !== undefined) {
        journal.follow(fiber, child)
        return known === true ? wait(request, child) : known
      }
      if (journal.frozen) return journal.stall
      const reused = execution.recorded?.get(child.path) ?? journal.reusableAnswer(request, child)
      if (reused !== undefined) return reused as Exit.Exit<unknown>
      const doubt = journal.follow(fiber, child)
      if (doubt === undefined && !execution.isHeld) return wait(request, child)
      return Effect.andThen(
        Effect.andThen(doubt ?? Effect.void, execution.gate),
        Effect.suspend(() => (execution.isLive(child) ? wait(request, child) : Effect.interrupt))
      )
    }),
    (exit) => {
      visit.leave(exit)
      return undefined
    }
  )
}

const wait = (request: Pending, frame: Frame): Effect.Effect<any, any> =>
  Effect.callback((resume) => waitIn(request, frame, resume))

const waitIn = (
  request: Pending,
  frame: Frame,
  resume: (settlement: Effect.Effect<unknown, unknown>) => void
): Effect.Effect<void> | undefined => {
  request.open(frame)
  // Names and keys with slashes can make one path of two places, which live in different frames.
  if (frame.execution.people !== undefined && find(frame.execution, request.id) !== undefined) {
    frame.parent?.leave(frame)
    resume(duplicate("request", frame.parent!, frame.segment, undefined))
    return undefined
  }
  open(request, frame)
  if (request.settlement === undefined) {
    request.resume = resume
    return withdrawal(request)
  }
  resume(request.settlement)
  return undefined
}

const withdrawal = (request: Pending): Effect.Effect<void> => Effect.sync(() => withdraw(request))

/** Asks from outside; the body is held at its next step until the answer. */
export const askFromOutside = (
  execution: ExecutionImpl,
  name: "approval" | "input",
  make: () => Result.Result<Pending, InvalidOptions>
): Effect.Effect<any, any> =>
  execution.whileLive(() => {
    const made = make()
    if (Result.isFailure(made)) return Effect.fail(made.failure)
    const request = made.success
    return Effect.callback((resume) => {
      // Callers outside know nothing of each other, so every request gets a number of its own.
      const child = outside(execution, name, String(++execution.outsideRequests), execution.now())
      execution.hold(1)
      open(request, child)
      const stop = execution.observe(() => resume(execution.whileLive(() => Effect.never)))
      request.resume = (settlement) => {
        stop()
        execution.hold(-1)
        resume(settlement)
      }
      if (request.settlement !== undefined) return request.resume(request.settlement)
      return Effect.sync(() => {
        stop()
        execution.hold(-1)
        withdraw(request)
      })
    })
  })

const outside = (execution: ExecutionImpl, name: string, key: string, now: number): Frame => {
  const body = new Frame(execution, undefined, "", 1, 0)
  execution.outside ??= new Frame(execution, body, "handle", 1, 0)
  return execution.outside.enter(name, key, now)!
}

/** Opens a request from outside for whoever waits elsewhere, or did: all it does here is to hold the body until its end. */
export const openOutside = (execution: ExecutionImpl, request: Pending, path: string, startedAt: number): void => {
  const [, name, key] = path.split("/")
  execution.hold(1)
  request.resume = () => execution.hold(-1)
  open(request, outside(execution, name, key, startedAt))
}

/** Takes such a request back. */
export const withdrawOutside = (request: Pending): void => {
  const { resume } = request
  withdraw(request)
  resume?.(Effect.interrupt)
}

const open = (request: Pending, frame: Frame): void => {
  const { execution } = frame
  request.open(frame)
  add(execution, request)
  execution.append(Tag.RequestOpened, frame, request)
  if (request.timeoutMillis !== undefined && Number.isFinite(request.timeoutMillis)) expireLater(request)
  execution.refreshStatus()
  // A callback may have answered, or ended the run.
  if (isOpen(execution, request)) execution.host.opened(execution, request)
}

const expireLater = (request: Pending): void => {
  const { execution } = request.frame
  const fiber = Effect.runForkWith(execution.context)(
    Effect.andThen(Effect.sleep(request.remainingMillis), () =>
      Effect.sync(() => {
        request.stopTimer = undefined
        if (request.settlement !== undefined) return
        if (execution.journal === undefined) expire(request, execution.startedAt + execution.now())
        else execution.journal.expire(request)
      })
    )
  )
  request.stopTimer = () => fiber.interruptUnsafe()
}

/** Passes on what a person said. */
export const answer = (execution: ExecutionImpl, requestId: string, said: Answer): Effect.Effect<void, AnswerError> =>
  Effect.suspend(() => {
    const request = find(execution, requestId)
    if (request === undefined) {
      const outcome = settledOutcome(execution, requestId)
      return Effect.fail(
        outcome === undefined
          ? new RequestNotFound({ executionId: execution.id, requestId })
          : new RequestSettled({ requestId, outcome })
      )
    }
    const result = request.respond(said, execution.startedAt + execution.now())
    if (Result.isFailure(result)) return Effect.fail(result.failure)
    answered(request, said, result.success)
    return Effect.void
  })

/** Writes an answer down that was found valid, and settles the request if it decides it. */
export const answered = (request: Pending, said: Answer, decision: Decision | undefined): void => {
  request.frame.execution.append(Tag.RequestAnswered, request.frame, new Answered(request, said))
  if (decision !== undefined) decide(request, decision)
}

/** Settles a request whose time is up. */
export const expire = (request: Pending, now: number): void => decide(request, request.expire(now))

/** What became of a request that is no longer open, as far as its event is kept. */
const settledOutcome = (execution: ExecutionImpl, requestId: string): RequestOutcome | undefined =>
  execution.log.findLast(
    Tag.RequestSettled,
    (fields): fields is Settled => fields instanceof Settled && fields.request.id === requestId
  )?.outcome

/** What the event of a request's end says. */
export class Settled extends Lazy {
  readonly request: Pending
  readonly outcome: RequestOutcome

  constructor(request: Pending, outcome: RequestOutcome) {
    super()
    this.request = request
    this.outcome = outcome
  }

  get fields(): Fields<"RequestSettled"> {
    return { requestId: this.request.id, outcome: this.outcome }
  }
}

/** What the event of an answer says. */
class Answered extends Lazy {
  readonly request: Pending
  readonly said: Answer

  constructor(request: Pending, said: Answer) {
    super()
    this.request = request
    this.said = said
  }

  get fields(): Fields<"RequestAnswered"> {
    const { request, said } = this
    const by = said._tag === "Verdict" ? said.options?.by : said.by
    return {
      requestId: request.id,
      ...(by === undefined ? {} : { by }),
      ...(said._tag === "Verdict" ? { approved: said.approved } : {})
    }
  }
}

const decide = (request: Pending, decision: Decision): void => {
  const { execution } = request.frame
  const settlement = decision.settlement
  request.settlement = settlement
  if (execution.recorded !== undefined && Exit.isExit(settlement) && settlement._tag === "Success") {
    execution.recorded.set(request.frame.path, settlement)
  }
  close(request, decision.outcome)
  execution.refreshStatus()
  const resume = request.resume
  request.resume = undefined
  resume?.(settlement)
}

const withdraw = (request: Pending): void => {
  const { execution } = request.frame
  if (execution.outcome !== undefined || request.settlement !== undefined) return
  request.resume = undefined
  if (close(request, "withdrawn")) execution.refreshStatus()
}

/** Takes all requests back when the execution settles. */
export const withdrawAll = (execution: ExecutionImpl): void => {
  for (const request of list(execution)) takeBack(request)
}

/** Takes back what an attempt asked that has ended: only fibers that outlive it can still wait for that. */
export const withdrawStale = (execution: ExecutionImpl): void => {
  const stale = list(execution).filter((request) => !isOutside(request))
  for (const request of stale) takeBack(request)
  if (stale.length > 0) execution.refreshStatus()
}

const isOutside = (request: Pending): boolean => request.frame.parent === request.frame.execution.outside

const takeBack = (request: Pending): void => {
  if (!close(request, "withdrawn") || isOutside(request)) return
  const resume = request.resume
  request.resume = undefined
  resume?.(Effect.interrupt)
}

const close = (request: Pending, outcome: RequestOutcome): boolean => {
  const { execution, parent } = request.frame
  if (!remove(execution, request)) return false
  parent?.leave(request.frame)
  request.stopTimer?.()
  request.stopDelivery?.()
  execution.append(Tag.RequestSettled, request.frame, new Settled(request, outcome))
  return true
}
