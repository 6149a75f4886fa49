/**
 * An execution as a tree of its paths, built from its events and from nothing else.
 */
import type { Event, Execution } from "effect-baton"

export type State = "running" | "waiting" | "done" | "failed" | "declined" | "cancelled"

export interface Node {
  readonly name: string
  readonly children: Map<string, Node>
  /** What its own events say; a place that only holds others has none. */
  state: State | undefined
  progress: Execution.Progress | undefined
  note: string | undefined
  startedAt: number
  endedAt: number
  /** Used here and below. */
  readonly used: { steps: number; calls: number; inputTokens: number; outputTokens: number; costUsd: number }
}

const make = (name: string): Node => ({
  name,
  children: new Map(),
  state: undefined,
  progress: undefined,
  note: undefined,
  startedAt: Number.POSITIVE_INFINITY,
  endedAt: 0,
  used: { steps: 0, calls: 0, inputTokens: 0, outputTokens: 0, costUsd: 0 }
})

export const empty = (workflow: string): Node => make(workflow)

/** The segments of a path as they were named: a key that has what means something in paths is written with `%`. */
export const segments = (path: string): ReadonlyArray<string> =>
  path === "" ? [] : path.split("/").map((segment) => segment.replace(/%(?:25|2F|23)/g, decodeURIComponent))

/** The nodes from the root to a path; those that are missing are added. */
const lineage = (root: Node, path: string): ReadonlyArray<Node> => {
  const nodes = [root]
  for (const name of segments(path)) {
    const { children } = nodes.at(-1)!
    const node = children.get(name) ?? make(name)
    children.set(name, node)
    nodes.push(node)
  }
  return nodes
}

const requestStates: Record<Event.Of<"RequestSettled">["outcome"], State> = {
  approved: "done",
  answered: "done",
  rejected: "declined",
  "timed-out": "cancelled",
  withdrawn: "cancelled"
}

/** Takes an event in. */
export const update = (root: Node, event: Event.Event): void => {
  const nodes = lineage(root, event.path)
  const node = nodes.at(-1)!
  const time = event.time.getTime()
  for (const each of nodes) {
    each.startedAt = Math.min(each.startedAt, time)
    each.endedAt = Math.max(each.endedAt, time)
  }
  switch (event._tag) {
    case "RunStarted":
      node.state = "running"
      break
    case "AttemptStarted":
      if (event.attempt > 1) node.note = `attempt ${event.attempt}`
      break
    case "StepStarted":
      node.state = "running"
      node.note = undefined
      for (const { used } of nodes) used.steps++
      break
    case "StepRetried":
      node.note = `try ${event.attempt + 1}: ${event.message}`
      break
    case "StepCompleted":
    case "RunCompleted":
      node.state = "done"
      break
    case "StepFailed":
      node.state = event.interrupted ? "cancelled" : "failed"
      node.note = event.interrupted ? undefined : event.message
      break
    case "RunFailed":
      node.state = "failed"
      node.note = event.message
      break
    case "RunCancelled":
      node.state = "cancelled"
      node.note = event.reason
      break
    case "ModelCalled":
      for (const { used } of nodes) {
        used.calls++
        used.inputTokens += event.inputTokens
        used.outputTokens += event.outputTokens
        used.costUsd += event.costUsd
      }
      break
    case "RequestOpened":
      node.state = "waiting"
      break
    case "RequestSettled":
      node.state = requestStates[event.outcome]
      node.note = event.outcome
      break
    case "Progressed":
      node.progress = event
      break
    case "Logged":
      if (event.level === "Warn" || event.level === "Error" || event.level === "Fatal") node.note = event.message
      break
  }
}

/** Where a node stands: what it says itself, or else what the nodes below it say together. */
export const stateOf = (node: Node): State => {
  if (node.state !== undefined) return node.state
  const below = new Set([...node.children.values()].map(stateOf))
  const { current = 0, total = 0 } = node.progress ?? {}
  if (below.has("failed")) return "failed"
  if (below.has("waiting")) return "waiting"
  if (below.has("running")) return "running"
  if (below.has("cancelled")) return "cancelled"
  return current < total ? "running" : "done"
}

/** A lasting time, as short as it can be said. */
export const duration = (millis: number): string =>
  millis < 1000
    ? `${Math.round(millis)} ms`
    : millis < 60_000
      ? `${(millis / 1000).toFixed(1)} s`
      : `${Math.floor(millis / 60_000)} min ${Math.round((millis % 60_000) / 1000)} s`
