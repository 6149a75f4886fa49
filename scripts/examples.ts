// Runs every numbered example and the briefing desk, each as its own process, as a reader would: no terminal, no key, src
// instead of dist. An example that ends with a `/* prints: ... */` comment must print exactly that. `npm run examples [FOLDER]`.
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { expectedOutput, isAsExpected } from "./prints.ts"

const limitSeconds = 60
const root = fileURLToPath(new URL("..", import.meta.url))
const folder = resolve(process.argv[2] ?? join(root, "examples"))
const scratch = mkdtempSync(join(tmpdir(), "baton-examples-"))

/** Nobody's keys: the examples are to answer with their scripts. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([key]) => !/^(?:OPENAI|ANTHROPIC)_/.test(key))
)

interface Example {
  readonly path: string
  readonly args: ReadonlyArray<string>
  /** A folder it must write to. */
  readonly out?: string
}

const numbered = readdirSync(folder)
  .filter((name) => /^\d+-.*\.ts$/.test(name))
  .sort()
  .map((name): Example => ({ path: join(folder, name), args: [] }))
const briefing = join(folder, "briefing", "main.ts")
const examples: ReadonlyArray<Example> = existsSync(briefing)
  ? [...numbered, { path: briefing, args: ["--yes", "--out", join(scratch, "out")], out: join(scratch, "out") }]
  : numbered

/** Runs an example; gives what is wrong with it, or undefined. */
const run = ({ args, out, path }: Example) =>
  new Promise<string | undefined>((done) => {
    // Its own process group, so that what it starts ends with it.
    const child = spawn(process.execPath, ["--conditions=baton-source", path, ...args], {
      cwd: root,
      detached: true,
      env: { ...environment, CI: "true", NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let isLate = false
    const end = () => {
      try {
        process.kill(-child.pid!, "SIGKILL")
      } catch {
        // The group has ended.
      }
    }
    const timer = setTimeout(() => {
      isLate = true
      end()
    }, limitSeconds * 1000)
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text))
    child.on("error", (error) => done(error.message))
    child.on("exit", end)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      const printed = `${stdout}${stderr}`.trim()
      const expected = expectedOutput(readFileSync(path, "utf8"))
      if (isLate) done(`was still running after ${limitSeconds} s and was ended\n${printed}`)
      else if (code !== 0) done(`ended with ${signal ?? `code ${code}`}\n${printed}`)
      else if (expected !== undefined && !isAsExpected(stdout, expected))
        done(`printed something else than its last comment says\n--- printed\n${stdout}\n--- expected\n${expected}`)
      else if (out !== undefined && (!existsSync(out) || readdirSync(out).length === 0)) done(`wrote nothing to ${out}`)
      else done(undefined)
    })
  })

let failed = 0
const waiting = examples.values()
const worker = async () => {
  for (const example of waiting) {
    const started = performance.now()
    const problem = await run(example)
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const name = relative(folder, example.path)
    if (problem === undefined) console.log(`ok      ${name} (${seconds} s)`)
    else {
      failed++
      console.log(`failed  ${name} (${seconds} s): ${problem.replaceAll("\n", "\n        ")}`)
    }
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, worker))
rmSync(scratch, { recursive: true, force: true })

if (examples.length === 0) console.log(`There is no example in ${folder}`)
console.log(`examples: ${examples.length - failed} ok, ${failed} failed`)
if (failed > 0 || examples.length === 0) process.exitCode = 1
