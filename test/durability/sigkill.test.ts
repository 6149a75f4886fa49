// The same with processes that are really killed: a sample of the writes.
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"

const program = join(import.meta.dirname, "program.ts")

const run = (filename: string, notes: string, killAt: number) =>
  new Promise<string | null>((resolve, reject) => {
    const child = spawn(process.execPath, ["--conditions=baton-source", program, filename, notes, String(killAt)], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    let errors = ""
    child.stderr.on("data", (data) => (errors += data))
    child.on("error", reject)
    child.on("exit", (code, signal) =>
      code === 0 || signal === "SIGKILL" ? resolve(signal) : reject(new Error(`exit ${code}: ${errors}`))
    )
  })

describe("a process that is killed", () => {
  for (const killAt of [1, 2, 4, 6, 8]) {
    it(`at its write ${killAt} goes on where it was, and no recorded step runs again (D1)`, {
      timeout: 60_000
    }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "baton-"))
      const [filename, notes] = [join(folder, "runs.db"), join(folder, "notes")]
      try {
        assert.strictEqual(await run(filename, notes, killAt), "SIGKILL")
        assert.strictEqual(await run(filename, notes, 0), null)
        const lines = readFileSync(notes, "utf8").trim().split("\n")
        assert.include(lines, "output: did pack, did label, true, 3, did ship")
        // What was cut off may have run twice; everything else ran once.
        const counts = ["reserve", "pack", "label", "ship"].map((name) => lines.filter((line) => line === name).length)
        assert.isTrue(
          counts.every((count) => count === 1 || count === 2),
          `${counts}`
        )
        assert.isAtMost(
          counts.reduce((a, b) => a + b),
          6
        )
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    })
  }
})
