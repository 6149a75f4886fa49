/**
 * The text that a model streams, on its way to the events of an execution.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Tag } from "../internal/eventLog.ts"
import type { Frame } from "../internal/frame.ts"

const enoughText = 256
const longestWaitMillis = 50

/** The text of a stream: told when there is enough of it, or when it waited long enough; nothing waits for a reader. */
export class TextDeltas {
  private readonly frame: Frame
  /** How many events there are of it. */
  told = 0
  private text = ""
  private block: string | undefined = undefined
  private timer: Fiber.Fiber<unknown> | undefined = undefined

  constructor(frame: Frame) {
    this.frame = frame
  }

  add(block: string | undefined, text: string): void {
    // What outlives its run or attempt has nobody to tell, and may start no timer.
    if (!this.frame.execution.isLive(this.frame)) return
    if (block !== this.block) this.flush()
    this.block = block
    this.text += text
    if (this.text.length >= enoughText) this.flush()
    else if (this.timer === undefined && this.text !== "") this.timer = this.frame.execution.fork(this.wait)
  }

  private get wait(): Effect.Effect<void> {
    return Effect.andThen(
      Effect.sleep(longestWaitMillis),
      Effect.sync(() => {
        this.timer = undefined
        this.flush()
      })
    )
  }

  flush(): void {
    if (this.text === "") return
    this.frame.execution.append(Tag.TextDelta, this.frame, { text: this.text })
    this.told++
    this.text = ""
  }

  close(): void {
    this.flush()
    this.timer?.interruptUnsafe()
  }
}
