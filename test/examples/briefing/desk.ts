/** A desk with documents on it, and the program that makes a brief of them. */
import { spawn } from "node:child_process"
import { Effect, FileSystem, Path } from "effect"

export const guide = `# Store

[![build](https://ci/badge.svg)](https://ci)

The store keeps every event of a run for 30 days. It answers in 20 ms on a machine with two cores.

\`\`\`ts
const store = Store.make({ keep: "30 days" })
\`\`\`

## Install

Install the store with npm on Node 22 or newer. The package has no dependencies of its own.

## Usage

Open the store once and share it between all runs. Every run writes its events through the same connection.

| name | default |
|------|---------|
| keep | 30 days |

## Limits

One store holds 10,000 events by default. Should we drop events or refuse them when the store is full?
`

export const changelog = `# Changelog

## 1.2.0

- Added: the store can be opened for reading only.
- Fixed: an event that is written twice is kept once.

## 1.1.0

- Added: events leave the store after 30 days.
`

/** A folder with documents and a place for the brief. */
export const desk = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* fs.makeTempDirectoryScoped()
  yield* fs.makeDirectory(path.join(folder, "docs"))
  yield* fs.writeFileString(path.join(folder, "docs", "guide, short.md"), guide)
  yield* fs.writeFileString(path.join(folder, "docs", "CHANGELOG.md"), changelog)
  const out = path.join(folder, "out")
  const file = path.join(out, "brief.md")
  return { paths: [path.join(folder, "docs")], out, file, text: fs.readFileString(file), exists: fs.exists(file) }
})

export interface Ended {
  /** Nothing when it was killed. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the program to its end, or until it is killed. It sees nothing of this process's environment but its path. */
export const main = (
  args: ReadonlyArray<string>,
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly nodeArgs?: ReadonlyArray<string>
    /** When it is killed. Default: never. */
    readonly killed?: Effect.Effect<unknown>
    /** With what. Default: `"SIGKILL"`. */
    readonly signal?: NodeJS.Signals
  } = {}
): Effect.Effect<Ended> =>
  Effect.gen(function* () {
    const child = spawn(
      process.execPath,
      ["--conditions=baton-source", ...(options.nodeArgs ?? []), "examples/briefing/main.ts", ...args],
      { env: { PATH: process.env["PATH"], NO_COLOR: "1", ...options.env }, stdio: ["ignore", "pipe", "pipe"] }
    )
    const text = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        text[name] += chunk
      })
    }
    if (options.killed !== undefined) {
      yield* Effect.forkChild(
        Effect.andThen(
          options.killed,
          Effect.sync(() => child.kill(options.signal ?? "SIGKILL"))
        )
      )
    }
    return yield* Effect.callback<Ended>((resume) => {
      child.on("close", (status) => resume(Effect.succeed({ status, ...text })))
      return Effect.sync(() => child.kill("SIGKILL"))
    })
  })
