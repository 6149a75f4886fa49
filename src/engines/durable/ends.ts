/**
 * When a body is told how its steps and model calls ended: once that is on disk, and what was written together at one
 * moment.
 */
import * as Effect from "effect/Effect"
import type { Stored } from "./codec.ts"
import type { StoredCall } from "./history.ts"
import type { DurableJournal } from "./journal.ts"

export class Ends {
  private readonly journal: DurableJournal
  /** The number of the newest end that the body was told. */
  told = 0
  /** The number of the newest end. */
  private newest = 0
  /** The write that it goes along with. */
  private batch = 0

  constructor(journal: DurableJournal) {
    this.journal = journal
  }

  /** Steps that ended are told once that is on disk, answers at once: so which came first is written beside these. */
  get toldBefore(): string | null {
    return this.told < this.newest ? String(this.told) : null
  }

  /** What is stored of an end: `t` where it is written, and so told, together with the one before. */
  toStored(stored: Stored | StoredCall): string {
    const { batch } = this.journal
    const isTogether = batch === this.batch
    this.batch = batch
    return JSON.stringify(isTogether ? { ...stored, t: 1 } : stored)
  }

  /** Ends when the body may be told of what ended last. */
  get tell(): Effect.Effect<void> {
    const { sequence } = this.journal
    this.newest = sequence
    return Effect.map(this.journal.flush, () => {
      this.told = Math.max(this.told, sequence)
    })
  }
}
