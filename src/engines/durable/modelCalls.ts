/**
 * The model calls that a body makes outside of steps: each is recorded by what it asks and where, and not made again.
 */
import { hash } from "node:crypto"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Frame } from "../../internal/frame.ts"
import { isCutOff, type ModelEnd, type ModelPlace } from "../../internal/journal.ts"
import { askedOf, describeOther } from "./calls.ts"
import type { StoredCall } from "./history.ts"
import type { DurableJournal } from "./journal.ts"
import { callKey } from "./recorded.ts"

export class ModelCalls {
  private readonly journal: DurableJournal
  /** How often each model call of the attempt was made. */
  private readonly asked = new Map<string, number>()

  constructor(journal: DurableJournal) {
    this.journal = journal
  }

  /** Another attempt begins. */
  clear(): void {
    this.asked.clear()
  }

  place(frame: Frame, request: string, question: ModelPlace["request"]): ModelPlace {
    this.journal.activity++
    const asked = `${frame.path} ${hash("sha256", request)}`
    const n = (this.asked.get(asked) ?? 0) + 1
    this.asked.set(asked, n)
    return { frame, key: n === 1 ? asked : `${asked}#${n}`, request: question }
  }

  begins(fiber: Fiber.Fiber<unknown, unknown>, place: ModelPlace, isKnown: boolean): Effect.Effect<void> | undefined {
    const { journal } = this
    const key = callKey(place.key)
    if (!isKnown) {
      const wait = journal.follower.begins(fiber, key, ({ call }) => describeOther(askedOf(place), call?.asked))
      const open = Effect.sync(() => {
        journal.recorded.strands.open(fiber, key, fiber === journal.execution.fiber, journal.sequence)
      })
      return wait === undefined ? open : Effect.andThen(wait, open)
    }
    // What an earlier attempt was told is not of this one.
    if (!journal.recorded.strands.knowsOf(key)) return undefined
    journal.follower.begins(fiber, key, () => "")
    return journal.recorded.turns.wait(key, fiber === journal.execution.fiber)
  }

  ended({ answer, deltas, fields, place, tries }: ModelEnd): Effect.Effect<void> {
    const { journal } = this
    journal.activity++
    if (journal.isOver) return Effect.void
    const began = journal.recorded.strands.close(callKey(place.key), true)
    const asked = askedOf(place)
    const call: StoredCall = { model: place.key, answer, tries, deltas, ...(began && { began: { ...began, asked } }) }
    if (journal.execution.recorded !== undefined) journal.recorded.keepAnswer(call)
    const row = isCutOff(answer) ? JSON.stringify(call) : journal.ends.toStored(call)
    journal.event("ModelCalled", journal.execution.now(), place.frame.path, fields, row)
    return isCutOff(answer) ? journal.flush : journal.ends.tell
  }

  lost({ key }: ModelPlace): void {
    this.journal.activity++
    this.journal.recorded.strands.close(callKey(key), false)
  }

  /** Says which recorded model calls the body did not make again, where that is no mismatch (S3). */
  warnOfUnasked(): void {
    const { execution, recorded } = this.journal
    const { unasked } = recorded
    if (unasked.size === 0) return
    const warning = Effect.logWarning(
      `The body of ${execution.workflow} did not ask again for ${unasked.size} of its recorded model calls, at ` +
        `${[...new Set(unasked.values())].map((path) => `"${path}"`).join(", ")}: what it asked instead was asked anew`
    )
    this.journal.beside(warning)
  }
}
