// A terminal whose screen is a string and whose keyboard is a queue.
import { type Cause, Effect, Queue, Terminal } from "effect"

export const makeTerminal = Effect.gen(function* () {
  const lines = yield* Queue.make<string, Cause.Done>()
  let screen = ""
  const terminal = Terminal.make({
    columns: Effect.succeed(80),
    rows: Effect.succeed(24),
    size: Queue.unbounded(),
    readInput: Queue.unbounded(),
    readLine: Effect.mapError(Queue.take(lines), () => new Terminal.QuitError({})),
    display: (text) =>
      Effect.sync(() => {
        screen += text
      })
  })
  return {
    terminal,
    type: (line: string) => Queue.offer(lines, line),
    /** What Ctrl-D does. */
    close: Queue.end(lines),
    /** What came on the screen since the last look, once everybody has had a turn. */
    look: Effect.repeat(Effect.yieldNow, { times: 20 }).pipe(
      Effect.andThen(() => {
        const seen = screen
        screen = ""
        return Effect.succeed(seen)
      })
    )
  }
})
