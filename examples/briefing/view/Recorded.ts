/** What of a run was done already when this process took it up, and was not done again. */
import type { Event } from "effect-baton"

export interface Recorded {
  steps: number
  calls: number
  /** Calls of steps that have not ended: where a step was cut off, they are made again. */
  readonly open: Map<string, number>
}

export const empty = (): Recorded => ({ steps: 0, calls: 0, open: new Map() })

/** Takes an event in that is older than this process. */
export const update = (recorded: Recorded, { _tag, path }: Event.Event): void => {
  const { open } = recorded
  if (_tag === "ModelCalled") open.set(path, (open.get(path) ?? 0) + 1)
  if (_tag !== "StepCompleted") return
  recorded.steps++
  for (const [at, calls] of open) {
    if (at !== path && !at.startsWith(`${path}/`)) continue
    recorded.calls += calls
    open.delete(at)
  }
}
