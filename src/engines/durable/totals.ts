/**
 * What the events of an execution add up to: what it used, how far it is, and how long an attempt ran.
 */
import type { Usage } from "../../Budget.ts"
import type { Progress } from "../../Execution.ts"
import { parse } from "./codec.ts"
import type { EventRow } from "./history.ts"

const noUsage: Usage = { modelCalls: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, steps: 0 }

export const addUsage = (a: Usage, b: Partial<Usage>): Usage => ({
  modelCalls: a.modelCalls + (b.modelCalls ?? 0),
  inputTokens: a.inputTokens + (b.inputTokens ?? 0),
  outputTokens: a.outputTokens + (b.outputTokens ?? 0),
  costUsd: a.costUsd + (b.costUsd ?? 0),
  steps: a.steps + (b.steps ?? 0)
})

/** What events say was used. */
export const usageOf = (events: ReadonlyArray<EventRow>): Usage => {
  const reused = new Set(
    events.flatMap((event) =>
      event.tag === "StepCompleted" && parse(event.fields).reused === true ? [`${event.attempt} ${event.path}`] : []
    )
  )
  let usage = noUsage
  for (const event of events) {
    if (event.tag === "ModelCalled") usage = addUsage(usage, { ...parse(event.fields), modelCalls: 1 })
    else if (event.tag === "StepStarted" && !reused.has(`${event.attempt} ${event.path}`)) {
      usage = addUsage(usage, { steps: 1 })
    }
  }
  return usage
}

/** The newest progress that counts. */
export const progressOf = (
  events: ReadonlyArray<EventRow>
): { readonly newest: Progress; readonly depth: number } | undefined => {
  let found: { readonly newest: Progress; readonly depth: number } | undefined
  for (const event of events) {
    if (event.tag !== "Progressed") continue
    const { depth, ...newest } = parse(event.fields)
    if (found === undefined || depth <= found.depth) found = { newest, depth }
  }
  return found
}

/** How long the clock of an attempt has run that began at `since`, in milliseconds; an active one stands still in waits. */
export const spentSince = (since: number, events: ReadonlyArray<EventRow>, isActive: boolean, now: number): number => {
  if (!isActive) return now - since
  let spent = 0
  let from: number | undefined = since
  for (const event of events) {
    if (event.tag !== "StatusChanged" || event.time < since) continue
    const { to } = parse(event.fields)
    if (to === "in-progress") from = event.time
    else if (from !== undefined) {
      spent += event.time - from
      from = undefined
    }
  }
  return from === undefined ? spent : spent + now - from
}
