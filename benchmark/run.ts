/**
 * The benchmark: every row, every contender, each measurement in a process of its own, contenders in turn, medians of the rounds.
 *
 * `npm run bench` runs everything and writes `benchmark/RESULTS.md`. `npm run bench -- --only ROW` (as often as wanted) runs some
 * rows, `--quick` makes one short round of each to see that it works; both only print. A contender that fails is named, shown as
 * failed, and makes the command fail.
 */
import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs, promisify } from "node:util"
import type { Measured, Metric, Row } from "./harness.ts"
import { median } from "./harness.ts"
import { installPeers, machine } from "./machine.ts"
import { rows } from "./rows.ts"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Once it took so long, another round of the same would not say more. */
const onceMillis = 30_000

const measure = async (row: Row, contender: string, quick: boolean): Promise<Measured> => {
  const options = ["--conditions=baton-source", "--expose-gc", "--max-old-space-size=8192"]
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...options, here("measure.ts"), row.name, contender, ...(quick ? ["--quick"] : [])],
    { cwd: here("."), timeout: 900_000 }
  )
  return JSON.parse(stdout.trim().split("\n").at(-1)!)
}

interface Result {
  readonly medians: Measured | undefined
  readonly rounds: number
}

const failures: Array<string> = []

const runRow = async (row: Row, quick: boolean): Promise<ReadonlyMap<string, Result>> => {
  const found = new Map(Object.keys(row.contenders).map((name) => [name, [] as Measured[]]))
  const left = new Set(found.keys())
  for (let round = 0; round < (quick ? 1 : row.rounds); round++) {
    for (const contender of [...left]) {
      const start = performance.now()
      try {
        const measured = await measure(row, contender, quick)
        found.get(contender)!.push(measured)
        process.stderr.write(`${row.name} ${round + 1}, ${contender}: ${JSON.stringify(measured)}\n`)
      } catch (error) {
        found.set(contender, [])
        left.delete(contender)
        failures.push(`${row.name}: ${contender}`)
        process.stderr.write(`FAILED ${row.name}, ${contender}: ${error instanceof Error ? error.message : error}\n`)
      }
      if (performance.now() - start > onceMillis) left.delete(contender)
    }
  }
  return new Map(
    [...found].map(([contender, all]) => {
      const medians = Object.keys(row.metrics).map((key) => [key, median(all.map((measured) => measured[key]!))])
      return [contender, { medians: all.length === 0 ? undefined : Object.fromEntries(medians), rounds: all.length }]
    })
  )
}

const format = (value: number, digits: number) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const verdict = ([key, metric]: [string, Metric], baton: Measured, bare: Measured | undefined): Array<string> => {
  if (metric.target === undefined) return []
  const [limit, value, unit] =
    "atMost" in metric.target
      ? [metric.target.atMost, baton[key]!, metric.title]
      : [metric.target.timesBare, baton[key]! / (bare?.[key] ?? Number.NaN), `times bare, ${metric.title}`]
  return [`- Target: at most ${limit} ${unit}. ${value <= limit ? "Met" : "**Missed**"}: ${format(value, 2)}.`]
}

const table = (row: Row, results: ReadonlyMap<string, Result>): string => {
  const metrics = Object.entries(row.metrics)
  const bare = results.get("bare")?.medians
  const compared = (key: string) => bare !== undefined && (key === "wall" || key === "cpu" || key === "bytes")
  const header = metrics.flatMap(([key, { title }]) => (compared(key) ? [title, "× bare"] : [title]))
  const lines = [...results].map(([contender, { medians, rounds }]) => {
    const cells = metrics.flatMap(([key, { digits }]) => {
      const value = medians?.[key]
      const cell = value === undefined ? "FAILED" : format(value, digits)
      return compared(key) ? [cell, value === undefined ? "" : format(value / bare![key]!, 1)] : [cell]
    })
    return `| ${[contender, ...cells, String(rounds)].join(" | ")} |`
  })
  const baton = results.get("baton")?.medians
  const verdicts = baton === undefined ? [] : metrics.flatMap((metric) => verdict(metric, baton, bare))
  return [
    `## ${row.title} (\`${row.name}\`)`,
    "",
    `| | ${header.join(" | ")} | rounds |`,
    `|---|${"---:|".repeat(header.length + 1)}`,
    ...lines,
    ...(verdicts.length === 0 ? [] : ["", ...verdicts])
  ].join("\n")
}

const { values } = parseArgs({
  options: { only: { type: "string", multiple: true }, quick: { type: "boolean", default: false } }
})
const names = rows.map(({ name }) => name)
const unknown = values.only?.filter((name) => !names.includes(name)) ?? []
if (unknown.length > 0) throw new Error(`no row "${unknown.join('", "')}"; there are ${names.join(", ")}`)

installPeers()
const before = loadavg()[0]!
const started = performance.now()
const tables: Array<string> = []
for (const row of rows) {
  if (values.only?.includes(row.name) === false) continue
  const text = table(row, await runRow(row, values.quick))
  process.stdout.write(`\n${text}\n\n`)
  tables.push(text)
}
const minutes = (performance.now() - started) / 60_000

if (values.only === undefined && !values.quick) {
  const peers = [
    "effect",
    "ai",
    "@ai-sdk/openai-compatible",
    "@langchain/langgraph",
    "@langchain/openai",
    "@mastra/core",
    "xstate"
  ]
  const where = machine(peers, { before, after: loadavg()[0]!, minutes })
  const report = `# Benchmark results

Written by \`npm run bench\`. What each row measures, and what it does not, stands at the head of its file in \`rows/\`.

${where.join("\n")}

Every measurement has a process of its own; the contenders of a row take turns, the figures are medians of the rounds. Time is by
the wall clock; "CPU µs" is the processor time of the main thread for the same, which other work on the machine disturbs less and
which leaves out what the garbage collector and the compiler do on other threads. "× bare" compares with bare Effect doing the same work. A step adds one to a number, a
microtask later as an async function does, in the \`-sync\` rows at once.

${tables.join("\n\n")}
${failures.length === 0 ? "" : `\n**Failed:** ${failures.join("; ")}\n`}`
  writeFileSync(here("RESULTS.md"), report)
}
if (failures.length > 0) {
  process.stderr.write(`\nFAILED: ${failures.join("; ")}\n`)
  process.exitCode = 1
}
