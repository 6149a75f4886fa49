/**
 * A tree as lines of text. What is finished folds into one line; of what goes on, only the way to where it goes on shows.
 */
import { CliOutput } from "effect/cli"
import * as Tree from "./Tree.ts"

export interface Space {
  readonly columns: number
  readonly rows: number
  /** Which picture of the spinner. */
  readonly frame: number
  readonly now: number
  readonly isColored: boolean
}

const spinner = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
const colors = { green: 32, red: 31, yellow: 33, cyan: 36, dim: 2, plain: 0 } as const

type Piece = readonly [text: string, color: keyof typeof colors]
type Line = ReadonlyArray<Piece>

export const draw = (root: Tree.Node, space: Space): ReadonlyArray<string> => {
  const lines = fold(root, space)
  return lines.map((line) => paint(line, space))
}

/** As deep as there is room for. */
const fold = (root: Tree.Node, space: Space): ReadonlyArray<Line> => {
  const room = Math.max(3, space.rows - 2)
  for (let depth = 8; depth > 0; depth--) {
    const lines = show(root, space, 0, depth)
    if (lines.length <= room) return lines
  }
  const lines = show(root, space, 0, 1)
  return [...lines.slice(0, room - 1), [[`  … ${lines.length - room + 1} more`, "dim"]]]
}

const show = (start: Tree.Node, space: Space, depth: number, deepest: number): ReadonlyArray<Line> => {
  const { names, node } = depth === 0 ? { names: [start.name], node: start } : chain(start)
  const state = Tree.stateOf(node)
  const children = [...node.children.values()]
  const isOpen = depth === 0 || (depth < deepest && (state === "running" || state === "waiting" || state === "failed"))
  const shown = isOpen ? children.filter((child) => depth === 0 || Tree.stateOf(child) !== "done") : []
  return [
    [
      ["  ".repeat(depth), "plain"],
      icon(state, space),
      [` ${names.join(" › ")}`, "plain"],
      ...about(node, state, space)
    ],
    ...shown.flatMap((child) => show(child, space, depth + 1, deepest))
  ]
}

/** A node that only leads to one other shares a line with it. */
const chain = (start: Tree.Node): { readonly names: ReadonlyArray<string>; readonly node: Tree.Node } => {
  const names = [start.name]
  let node = start
  while (node.children.size === 1 && node.state === undefined && node.progress === undefined) {
    node = [...node.children.values()][0]!
    names.push(node.name)
  }
  return { names, node }
}

const icon = (state: Tree.State, { frame }: Space): Piece => {
  switch (state) {
    case "running":
      return [spinner[frame % spinner.length]!, "cyan"]
    case "waiting":
      return ["?", "yellow"]
    case "done":
      return ["✓", "green"]
    case "failed":
      return ["✗", "red"]
    case "cancelled":
      return ["–", "yellow"]
  }
}

/** How far a node is, how long it took, and what else is to be said. */
const about = (node: Tree.Node, state: Tree.State, { now }: Space): Line => {
  const children = [...node.children.values()]
  const { current = 0, message, total = 0 } = node.progress ?? {}
  const isLive = state === "running" || state === "waiting"
  const done = children.filter((child) => Tree.stateOf(child) === "done").length
  const parts = [
    ...(isLive && total > 1 ? [`${current}/${total}`] : children.length > 1 ? [`${done} done`] : []),
    ...(isLive && message !== undefined ? [message] : []),
    ...(Number.isFinite(node.startedAt) ? [Tree.duration((isLive ? now : node.endedAt) - node.startedAt)] : [])
  ]
  return [
    [`  ${parts.join(" · ")}`, "dim"],
    ...(node.note === undefined ? [] : [[`  ${node.note}`, state === "failed" ? "red" : "dim"] as const])
  ]
}

/** One line of the terminal, cut where it ends. */
const paint = (line: Line, { columns, isColored }: Space): string => {
  let room = columns - 1
  let text = ""
  for (const [piece, color] of line) {
    const cut = clip(piece.replace(/\s*\n\s*/g, " "), room)
    room -= CliOutput.displayWidth(cut)
    text += isColored && color !== "plain" ? `\x1b[${colors[color]}m${cut}\x1b[0m` : cut
    if (room <= 0) break
  }
  return text
}

const clip = (text: string, width: number): string => {
  if (CliOutput.displayWidth(text) <= width) return text
  let cut = ""
  for (const character of text) {
    if (CliOutput.displayWidth(cut + character) >= width) break
    cut += character
  }
  return `${cut}…`
}
