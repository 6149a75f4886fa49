/** What a run took, part by part. */
import type { Budget } from "effect-baton"
import * as Tree from "./Tree.ts"

const number = (value: number): string => value.toLocaleString("en")
const cost = (usd: number): string => (usd === 0 ? "0" : usd.toFixed(4))

/** The run and its parts, with what each used; the run's own figures are the engine's. */
export const table = (root: Tree.Node, usage: Budget.Usage): string => {
  const row = (
    name: string,
    state: Tree.State,
    { calls, costUsd, inputTokens, outputTokens, steps }: Tree.Node["used"],
    millis: number
  ) => [
    name,
    state,
    number(steps),
    number(calls),
    number(inputTokens),
    number(outputTokens),
    cost(costUsd),
    Tree.duration(millis)
  ]
  const rows = [
    ["run", "status", "steps", "model calls", "tokens in", "tokens out", "cost, $", "time"],
    row(root.name, Tree.stateOf(root), { ...usage, calls: usage.modelCalls }, root.endedAt - root.startedAt),
    ...[...root.children.values()].map((part) =>
      row(`  ${part.name}`, Tree.stateOf(part), part.used, part.endedAt - part.startedAt)
    )
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}
