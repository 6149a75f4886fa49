/**
 * The durable benchmark: Baton and others that keep runs in PostgreSQL, side by side on one server with its default
 * durability (every commit is synced), and Baton on SQLite.
 *
 * `npm run bench:durable` runs everything, which takes about ten minutes, and writes `benchmark/RESULTS-DURABLE.md`.
 * `npm run bench:durable -- --quick` makes one short round to see that it works, `--only CONTENDER` (as often as wanted)
 * measures some; both only print. `--scale 1000000` fills the tables with so many settled and a tenth as many parked runs,
 * and writes `benchmark/RESULTS-SCALE.md`. `--latency` measures in three minutes how late timers, answers, restarts and
 * take-overs are, and writes `benchmark/RESULTS-LATENCY.md`; with `--quick` it only prints.
 */
import { execFile } from "node:child_process"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs, promisify } from "node:util"
import { Effect } from "effect"
import { installPeers, machine } from "../machine.ts"
import { connect, logSettings, readLog } from "./admin.ts"
import { contenders, sqlite } from "./contenders.ts"
import { type Answer, type Found, type Parks, type Rates, report, type Statements } from "./report.ts"
import { measureFull, postgresSql, type Round, type Scaled, type Speeds, scaleReport, sqliteSql } from "./scale.ts"

const here = (path: string) => join(import.meta.dirname, path)

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true },
    scale: { type: "string" },
    latency: { type: "boolean", default: false }
  }
})

const program = Effect.gen(function* () {
  const { database, startWith } = yield* Effect.promise(() => import("../../test/durability/postgres.ts"))
  let log = ""
  const server = yield* startWith([...logSettings], (text) => (log += text))

  const measure = async <A>(scenario: string, contender: string, url: string): Promise<Answer<A>> => {
    log = ""
    const args = [here("measure.ts"), scenario, contender, url, ...(values.quick ? ["--quick"] : [])]
    const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=baton-source", ...args], {
      cwd: here(".."),
      timeout: 300_000,
      maxBuffer: 1 << 30
    })
    const answer: Answer<A> = JSON.parse(stdout.trim().split("\n").at(-1)!)
    return contender === "sqlite" ? answer : { ...answer, log: Object.fromEntries(readLog(log)) }
  }

  /** Lets something be done with an empty database. */
  const withDatabase = async <A>(contender: string, use: (url: string) => Promise<A>): Promise<A> => {
    if (contender !== "sqlite") return use(await Effect.runPromise(database(server)))
    const folder = await mkdtemp(join(tmpdir(), "baton-bench-"))
    try {
      return await use(join(folder, "runs.sqlite"))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  if (values.latency) {
    // It needs the packages that were just installed.
    const { latencyReport, measureLatency } = yield* Effect.promise(() => import("./latency.ts"))
    const before = loadavg()[0]!
    const started = performance.now()
    const newDatabase = () => Effect.runPromise(database(server))
    const found = yield* Effect.promise(() => measureLatency(newDatabase, values.quick))
    const minutes = (performance.now() - started) / 60_000
    const text = latencyReport(found, machine(["effect", "@effect/sql-pg"], { before, after: loadavg()[0]!, minutes }))
    if (values.quick) process.stdout.write(text)
    else yield* Effect.promise(() => writeFile(here("../RESULTS-LATENCY.md"), text))
    return
  }

  if (values.scale !== undefined) {
    const runs = Number(values.scale)
    const before = loadavg()[0]!
    const started = performance.now()
    const scaled: Array<Scaled> = []
    const admin = connect(server)
    for (const name of ["baton", "sqlite"]) {
      const one = yield* Effect.promise(() =>
        withDatabase(name, async (url) => {
          const sql = name === "sqlite" ? sqliteSql(url) : postgresSql(connect(url))
          const full = await measureFull((scenario) => measure(scenario, name, url), sql, runs)
          const speeds = async (url: string) => {
            await (name === "sqlite" ? sql.query("PRAGMA wal_checkpoint(TRUNCATE)") : admin.query("CHECKPOINT"))
            return (await measure<Speeds>("speeds", name, url)).measured
          }
          const empty = () =>
            withDatabase(name, async (url) => {
              const measured = await speeds(url)
              // Nobody vacuums it while the next one is measured.
              if (name !== "sqlite") await admin.query(`DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`)
              return measured
            })
          const rounds: Array<Round> = []
          for (let i = 0; i < 3; i++) {
            const first = i % 2 === 0 ? await empty() : undefined
            const measured = await speeds(url)
            rounds.push({ empty: first ?? (await empty()), full: measured })
            process.stderr.write(`${name}: ${JSON.stringify(rounds.at(-1))}\n`)
          }
          return { name, rounds, ...full }
        })
      )
      scaled.push(one)
      process.stderr.write(`${JSON.stringify(one)}\n`)
    }
    const minutes = (performance.now() - started) / 60_000
    const where = machine(["effect", "@effect/sql-pg"], { before, after: loadavg()[0]!, minutes })
    yield* Effect.promise(() => writeFile(here("../RESULTS-SCALE.md"), scaleReport(runs, scaled, where)))
    return
  }

  const names = [...Object.keys(contenders), "sqlite"].filter((name) => values.only?.includes(name) !== false)
  const found = new Map<string, Found>(names.map((name) => [name, { rates: [], parks: [], statements: [] }]))
  const failures = new Map<string, string>()
  const round = <A>(scenario: string, keep: (found: Found, answer: Answer<A>) => void) =>
    Effect.promise(async () => {
      for (const name of names) {
        if (failures.has(name)) continue
        try {
          const answer = await withDatabase(name, (url) => measure<A>(scenario, name, url))
          keep(found.get(name)!, answer)
          process.stderr.write(`${scenario}, ${name}: ${JSON.stringify(answer.measured)}\n`)
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error)
          failures.set(name, reason.slice(0, 500))
          process.stderr.write(`FAILED ${scenario}, ${name}: ${reason}\n`)
        }
      }
    })
  const rounds = values.quick ? 1 : 3
  const before = loadavg()[0]!
  const started = performance.now()
  yield* round<Statements["counted"]>("statements", ({ statements }, { log, measured }) =>
    statements.push({ counted: measured, log })
  )
  for (let i = 0; i < rounds; i++) yield* round<Rates>("rates", ({ rates }, { measured }) => rates.push(measured))
  for (let i = 0; i < Math.min(2, rounds); i++) {
    yield* round<Omit<Parks, "idle">>("park", ({ parks }, { log, measured }) =>
      parks.push({ ...measured, idle: (log["idle"]?.length ?? 0) / measured.idleSeconds })
    )
  }
  const minutes = (performance.now() - started) / 60_000
  const packages = [...new Set(names.flatMap((name) => (contenders[name] ?? sqlite).packages))].filter(
    (name) => name !== "effect-baton"
  )
  const text = report(found, failures, machine(packages, { before, after: loadavg()[0]!, minutes }))
  if (values.quick || values.only !== undefined) process.stdout.write(text)
  else yield* Effect.promise(() => writeFile(here("../RESULTS-DURABLE.md"), text))
  if (failures.size > 0) process.exitCode = 1
})

installPeers()
await Effect.runPromise(Effect.scoped(program))
process.exit()
