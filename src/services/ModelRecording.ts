/**
 * A model call that is being recorded, with all its tries.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type Fields, Tag } from "../internal/eventLog.ts"
import type { ModelAnswers, ModelPlace } from "../internal/journal.ts"

/** The event of the last try tells what the call came to. */
export class Recording {
  readonly place: ModelPlace
  private readonly answers: ModelAnswers
  private held: Fields<"ModelCalled"> | undefined = undefined
  private tries = 0
  private deltas = 0
  private answer: { readonly json: unknown } | undefined = undefined

  constructor(place: ModelPlace, answers: ModelAnswers) {
    this.place = place
    this.answers = answers
  }

  /** A try ended. */
  tried(fields: Fields<"ModelCalled">, deltas: number): void {
    this.release()
    this.held = fields
    this.deltas += deltas
    if (this.answer !== undefined) this.place.frame.execution.fork(this.end(this.answer.json))
  }

  /** What was held back was not the last try, or came to nothing that is recorded. */
  release(): void {
    if (this.held === undefined) return
    const { frame } = this.place
    frame.execution.append(Tag.ModelCalled, frame, this.held)
    this.held = undefined
    this.tries++
  }

  /** The call came to nothing that is recorded. */
  lose(): void {
    this.release()
    this.answers.modelLost(this.place)
  }

  /** The call ended; ends when that is on disk. */
  end(json: unknown): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { deltas, held: fields, place, tries } = this
      this.answer = { json }
      if (fields === undefined) {
        this.lose()
        return Effect.void
      }
      this.held = undefined
      return this.answers.modelEnded({ place, fields, answer: json, tries, deltas })
    })
  }
}

/** The recorded call that an effect runs in. */
export const CurrentRecording = Context.Reference<Recording | undefined>("effect-baton/services/ModelCall/Recording", {
  defaultValue: () => undefined
})
