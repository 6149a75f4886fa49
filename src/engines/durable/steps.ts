/**
 * The steps of a body: how they ended is written down, and given back where a replay comes to them again.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { describe, mainError } from "../../internal/failure.ts"
import type { Frame } from "../../internal/frame.ts"
import type { StepCodec } from "../../internal/journal.ts"
import type { Any } from "../../Workflow.ts"
import { decodeStored, encodeStep, isCut, misfit, replay, type Stored, told } from "./codec.ts"
import type { DurableJournal } from "./journal.ts"
import { NotStorable } from "./plain.ts"

/** Errors without a schema that were warned of. */
const warned = new WeakMap<Any, Set<string>>()

const interruption = { error: "Interrupted", message: "The step was interrupted" }

const describeError = (error: Error) => ({ name: error.name, message: error.message })

export class Steps {
  private readonly journal: DurableJournal

  constructor(journal: DurableJournal) {
    this.journal = journal
  }

  result(
    fiber: Fiber.Fiber<unknown, unknown>,
    path: string,
    codec: StepCodec | undefined
  ): Effect.Effect<any, any> | undefined {
    const { journal } = this
    journal.activity++
    const stored = journal.recorded.result(path)
    if (stored === undefined) return undefined
    const exit = decodeStored(stored, codec?.output, journal.execution.definition, codec)
    const isBody = fiber === journal.execution.fiber
    const turn = exit === undefined || isCut(stored) ? undefined : journal.recorded.turns.wait(`step ${path}`, isBody)
    if (exit !== undefined)
      return turn === undefined ? replay(stored, exit) : Effect.andThen(Effect.uninterruptible(turn), exit)
    return journal.misfit(path, "a result that fits the step's schema", this.describeMisfit(stored, codec))
  }

  private describeMisfit(stored: Stored, codec: StepCodec | undefined): string {
    const isResult = "v" in stored && codec?.output !== undefined
    return isResult ? misfit("one", codec.output, stored.v) : "an error that no schema here describes"
  }

  reusable(path: string, codec: StepCodec | undefined): Exit.Exit<any, any> | undefined {
    const stored = this.journal.recorded.earlierResult(path)
    if (stored === undefined || "by" in stored || "d" in stored || "i" in stored) return undefined
    return decodeStored(stored, codec?.output, this.journal.execution.definition, codec)
  }

  tell(frame: Frame, cause: Cause.Cause<any>, codec: StepCodec | undefined): Effect.Effect<never, any> {
    const known = told(cause, this.journal.execution.definition, codec)
    if (known === undefined) return Effect.failCause(cause)
    if (known.lost.length > 0) this.warn(frame, mainError(cause), known.lost)
    return known.exit
  }

  /** Says once what of an error the body will not see. */
  private warn(frame: Frame, error: unknown, lost: ReadonlyArray<string>): void {
    const { definition, workflow } = this.journal.execution
    const name = describe(error).error
    const known = warned.get(definition) ?? new Set()
    if (known.has(name)) return
    warned.set(definition, known.add(name))
    const warning = Effect.logWarning(
      `Step "${frame.path}" of ${workflow} failed with ${name}, which no schema describes: its body sees it without ` +
        `${lost.join(", ")}; give the step an \`error\` schema, or handle the error inside of the step`
    )
    this.journal.beside(warning)
  }

  ended(
    frame: Frame,
    exit: Exit.Exit<unknown, unknown>,
    durationMillis: number,
    codec: StepCodec | undefined,
    isOwn: boolean
  ): Effect.Effect<void> | undefined {
    const { journal } = this
    journal.activity++
    if (journal.isOver) return undefined
    const { execution } = journal
    const offset = execution.now()
    const { path } = frame
    const encoded = encodeStep(exit, execution.definition, codec)
    const stored: Stored | NotStorable = isOwn && "i" in encoded ? { i: "self" } : encoded
    if (stored instanceof NotStorable) {
      const error = new Error(
        `${stored.describe(`The result of step "${path}" of ${execution.workflow}`)}; ` +
          "give the step an `output` schema without secrets, or return plain JSON"
      )
      this.failed(path, offset, { durationMillis, interrupted: false, ...describe(error) }, { d: describeError(error) })
      return Effect.andThen(journal.flush, Effect.die(error))
    }
    if (exit._tag === "Success") {
      if (!journal.recorded.isRepeated("StepCompleted", path)) {
        journal.event("StepCompleted", offset, path, { durationMillis }, journal.ends.toStored(stored))
      }
      return journal.ends.tell
    }
    const interrupted = "i" in stored
    const what = interrupted ? interruption : describe(mainError(exit.cause))
    this.failed(path, offset, { durationMillis, interrupted, ...what }, stored)
    return isCut(stored) ? undefined : journal.ends.tell
  }

  private failed(path: string, offset: number, fields: object, stored: Stored): void {
    const { journal } = this
    if (journal.recorded.isRepeated("StepFailed", path)) return
    const result = isCut(stored) ? JSON.stringify(stored) : journal.ends.toStored(stored)
    journal.event("StepFailed", offset, path, fields, result)
  }

  cutOff({ path: step, startedAt }: Frame): void {
    const { journal } = this
    const { requests, steps } = journal.recorded.unfinished(step)
    const offset = journal.execution.now()
    for (const row of requests) journal.requests.cutOff(row, offset)
    if (requests.length > 0) journal.execution.refreshStatus()
    for (const path of steps) {
      this.failed(path, offset, { durationMillis: offset - startedAt, interrupted: true, ...interruption }, { i: true })
    }
  }
}
