/**
 * The tree of an execution in the terminal, drawn again in its place as events come in.
 */
import { Clock, Effect, Fiber, Schedule, Semaphore, Stream, SubscriptionRef, Terminal } from "effect"
import { draw } from "./draw.ts"
import * as Tree from "./Tree.ts"
import type { View } from "./View.ts"

const hideCursor = "\x1b[?25l"
const showCursor = "\x1b[?25h"
/** Between these a terminal that knows them shows nothing half drawn. */
const begin = "\x1b[?2026h"
const end = "\x1b[?2026l"

export const make = Effect.fnUntraced(function* (workflow: string, options: { readonly isColored: boolean }) {
  const terminal = yield* Terminal.Terminal
  const display = (text: string) => Effect.ignore(terminal.display(text))
  const tree = Tree.empty(workflow)
  /** The requests that the tree shows. */
  const requests = yield* SubscriptionRef.make<ReadonlySet<string>>(new Set())
  /** Who has it may write to the terminal. */
  const turn = yield* Semaphore.make(1)
  let height = 0
  let frame = 0

  const redraw = Effect.gen(function* () {
    const [columns, rows] = yield* Effect.all([terminal.columns, terminal.rows])
    const now = yield* Clock.currentTimeMillis
    const lines = draw(tree, { columns: columns || 80, rows: rows || 24, frame: frame++, now, ...options })
    const up = height === 0 ? "\r" : `\r\x1b[${height}A`
    height = lines.length
    yield* display(`${begin}${up}${lines.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J${end}`)
  })

  yield* Effect.acquireRelease(display(hideCursor), () => display(showCursor))

  const view: View = {
    tree,
    follow: Effect.fnUntraced(function* (events) {
      const drawing = yield* redraw.pipe(turn.withPermit, Effect.repeat(Schedule.spaced("80 millis")), Effect.forkChild)
      yield* Stream.runForEach(events, (event) => {
        Tree.update(tree, event)
        return event._tag === "RequestOpened"
          ? SubscriptionRef.update(requests, (known) => new Set([...known, event.requestId]))
          : Effect.void
      })
      yield* Fiber.interrupt(drawing)
      yield* turn.withPermit(redraw)
    }),
    beside: (channel) => ({
      deliver: (request, answers) =>
        Effect.gen(function* () {
          const shown = Stream.filter(SubscriptionRef.changes(requests), (known) => known.has(request.id))
          yield* Stream.runHead(shown)
          yield* Effect.acquireUseRelease(
            Effect.andThen(redraw, display(showCursor)),
            () => channel.deliver(request, answers),
            // What comes next is drawn below the conversation.
            () =>
              Effect.andThen(
                Effect.sync(() => {
                  height = 0
                }),
                display(hideCursor)
              )
          ).pipe(turn.withPermit)
        })
    })
  }
  return view
})
