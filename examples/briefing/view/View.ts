/** How an execution is watched. */
import { Console, Effect, Stream } from "effect"
import type { Event, HumanChannel } from "effect-baton"
import * as Tree from "./Tree.ts"

export interface View {
  /** The execution as seen so far. */
  readonly tree: Tree.Node
  /** Shows an execution by its events, until it has settled. */
  readonly follow: (events: Stream.Stream<Event.Event>) => Effect.Effect<void>
  /** A channel to a person who sits in front of this view: questions and view take turns. */
  readonly beside: (channel: HumanChannel.HumanChannel) => HumanChannel.HumanChannel
}

/** A line for each thing that a reader of a log wants to know, and that happened since a time. */
export const lines = (workflow: string, since: number): View => {
  const tree = Tree.empty(workflow)
  const tell = teller(tree)
  return {
    tree,
    beside: (channel) => channel,
    follow: (events) =>
      Stream.runForEach(events, (event) => {
        Tree.update(tree, event)
        const line = tell(event)
        return line === undefined || event.time.getTime() < since ? Effect.void : Console.log(line)
      })
  }
}

const teller = (tree: Tree.Node) => {
  const parts = new Map<string, number>()
  const place = (path: string) => (path === "" ? tree.name : Tree.segments(path).join(" "))

  return (event: Event.Event): string | undefined => {
    const at = place(event.path)
    switch (event._tag) {
      case "StepCompleted":
        return event.path.includes("/") ? undefined : `${at}: done in ${Tree.duration(event.durationMillis)}`
      case "Progressed": {
        // Of what is long, every tenth part; of what is inside of others, its end; of what is deeper, nothing.
        const depth = event.path.split("/").length
        if (depth > 2 || (depth === 2 && event.current < event.total)) return undefined
        const part = event.total > 20 ? Math.floor((10 * event.current) / event.total) : event.current
        if (parts.get(event.path) === part) return undefined
        parts.set(event.path, part)
        const of = event.total === 0 ? "" : ` ${event.current}/${event.total}`
        return `${at}:${of}${event.message === undefined ? "" : ` ${event.message}`}`
      }
      case "StepRetried":
        return `${at}: try ${event.attempt} failed, ${event.message}`
      case "StepFailed":
        return event.interrupted ? undefined : `${at}: failed, ${event.message}`
      case "RetryScheduled":
        return `${at}: attempt ${event.attempt} failed, ${event.message}`
      case "TimedOut":
        return `${at}: timed out after ${Tree.duration(event.afterMillis)}`
      case "RequestOpened":
        return `${at}: ${event.message}`
      case "RequestAnswered":
        return `${at}: ${event.approved === false ? "no" : "yes"}, says ${event.by ?? "somebody"}`
      case "CancelRequested":
        return `${at}: cancelling${event.reason === undefined ? "" : `, ${event.reason}`}`
      case "Logged":
        return event.level === "Debug" || event.level === "Trace" ? undefined : `${at}: ${event.message}`
      default:
        return undefined
    }
  }
}
