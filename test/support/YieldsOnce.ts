import { type Fiber, Scheduler } from "effect"

/** A scheduler that makes fibers yield once, at one operation after it was armed. */
export class YieldsOnce extends Scheduler.MixedScheduler {
  private readonly at: number
  private count = 0
  armed = false

  constructor(at: number) {
    super()
    this.at = at
  }

  override shouldYield(_fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return this.armed && ++this.count === this.at
  }

  get hasYielded(): boolean {
    return this.count >= this.at
  }
}
