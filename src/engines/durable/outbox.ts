/**
 * The rows of one execution on their way to the disk, in the order in which they came up.
 */
import * as Effect from "effect/Effect"
import type { Kind, Owner, Writer } from "./writer.ts"

/** Whom an outbox writes with, and tells. */
export interface OutboxHost<Self> {
  readonly writer: Writer
  /** Something of it is on disk. */
  readonly written: (outbox: Self) => void
  /** The database does not take what is to be written. */
  readonly refused: (outbox: Self, reason: string) => void
  /** Another owner wrote first. */
  readonly lost: (outbox: Self) => void
}

export abstract class Outbox implements Owner {
  readonly id: string
  readonly epoch: string
  protected abstract readonly host: OutboxHost<this>
  private closed = false
  private appended = 0
  private batches = 0
  private onDisk = 0
  private waiting: Array<{ readonly upTo: number; readonly resume: () => void }> = []

  constructor(id: string, epoch: string) {
    this.id = id
    this.epoch = epoch
  }

  write(kind: Kind, values: ReadonlyArray<unknown>): void {
    if (this.closed) return
    this.batches = this.batch
    this.appended++
    this.host.writer.add(this, { kind, values })
  }

  /** Which write a row goes along with that comes up now. */
  get batch(): number {
    return this.host.writer.hasPending(this) ? this.batches : this.batches + 1
  }

  written(rows: number): void {
    this.onDisk += rows
    this.host.written(this)
    if (this.waiting.length === 0) return
    const waiting = this.waiting
    this.waiting = []
    for (const wait of waiting) {
      if (wait.upTo <= this.onDisk) wait.resume()
      else this.waiting.push(wait)
    }
  }

  lost(): void {
    this.host.lost(this)
  }

  refused(reason: string): void {
    this.host.refused(this, reason)
  }

  /** Nothing is written any more; who waits for the disk is let go, and finds the execution gone. */
  close(): void {
    this.closed = true
    const waiting = this.waiting
    this.waiting = []
    for (const { resume } of waiting) resume()
  }

  get isClosed(): boolean {
    return this.closed
  }

  get isIdle(): boolean {
    return this.onDisk === this.appended
  }

  readonly flush: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.closed || this.onDisk === this.appended) return resume(Effect.void)
    const wait = { upTo: this.appended, resume: () => resume(Effect.void) }
    this.waiting.push(wait)
    return Effect.sync(() => {
      this.waiting = this.waiting.filter((other) => other !== wait)
    })
  })
}
