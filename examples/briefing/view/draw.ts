/**
 * A tree as lines of text. What is finished folds into one line; what goes on shows down to a depth, and from there on as
 * one way to where it goes on.
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

/** Deeper down the picture would change faster than it can be read. */
const deepest = 3

/** As deep as there is room for. */
const fold = (root: Tree.Node, space: Space): ReadonlyArray<Line> => {
  const room = Math.max(3, space.rows - 2)
  for (let depth = deepest; depth > 0; depth--) {
    const lines = show(root, space, 0, depth)
    if (lines.length <= room) return lines
  }
  const lines = show(root, space, 0, 1)
  return [...lines.slice(0, room - 1), [[`  … ${lines.length - room + 1} more`, "dim"]]]
}

const show = (start: Tree.Node, space: Space, depth: number, last: number): ReadonlyArray<Line> => {
  const { names, node } = depth === 0 ? { names: [start.name], node: start } : chain(start)
  const state = Tree.stateOf(node)
  const isOpen = state === "running" || state === "waiting" || state === "failed"
  const children = [...node.children.values()]
  const shown = depth === 0 ? children : isOpen ? children.filter((child) => Tree.stateOf(child) !== "done") : []
  const further = depth === last && isOpen ? tip(node) : []
  const line: Line = [
    ["  ".repeat(depth), "plain"],
    icon(state, space),
    [` ${names.map(shorten).join(" › ")}`, "plain"],
    ...about(node, state, space),
    [further.map((name) => ` › ${shorten(name)}`).join(""), "dim"]
  ]
  return depth === last ? [line] : [line, ...shown.flatMap((child) => show(child, space, depth + 1, last))]
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

/** The names on the way to one place where work goes on. */
const tip = (node: Tree.Node): ReadonlyArray<string> => {
  const next = [...node.children.values()].find((child) => {
    const state = Tree.stateOf(child)
    return state === "running" || state === "waiting" || state === "failed"
  })
  return next === undefined ? [] : [next.name, ...tip(next)]
}

/** Of a long name, such as a file's path, the end says most. */
const shorten = (name: string): string => (name.length > 40 ? `…${name.slice(-39)}` : name)

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
    case "declined":
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
    ...(isLive && total > 1
      ? [`${current}/${total}`]
      : children.length > 1
        ? [isLive ? `${done} done` : `${children.length} parts`]
        : []),
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
    text += isColored && color !== "plain" && cut !== "" ? `\x1b[${colors[color]}m${cut}\x1b[0m` : cut
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
