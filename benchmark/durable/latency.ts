/**
 * How late things happen: real processes on SQLite and on PostgreSQL, with default settings but for `idle` where runs have to
 * leave the memory. This process runs nothing: it starts, answers and kills. When a step begins its process writes that
 * down, by the clock of the machine; how often this one looks for it is in no figure.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, ManagedRuntime, Schedule } from "effect"
import { Engine, type Execution } from "effect-baton"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { median } from "../harness.ts"
import { workflows } from "./latencyWorkflows.ts"
import { format, table } from "./report.ts"
import { inParallel } from "./system.ts"

/** What was found of one promise, in milliseconds. */
export interface Latency {
  readonly what: string
  readonly where: string
  readonly promise: string
  /** The most that the promise allows half of them to take. */
  readonly atMost: number
  readonly samples: ReadonlyArray<number>
}

const wallClock = () => performance.timeOrigin + performance.now()

const pause = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const watched = workflows(() => Effect.void)

/** A database, the processes that run on it, and this one, which only looks on. */
const office = async (where: string, folder: string) => {
  const isPg = where.startsWith("postgres")
  const layer = isPg ? layerPostgres({ url: where, runs: false }) : layerSqlite({ filename: where, runs: false })
  const runtime = ManagedRuntime.make(layer)
  const engine = await runtime.runPromise(Durable)
  const processes = new Map<string, ChildProcess>()
  const run = <A>(effect: Effect.Effect<A, unknown, Engine.Engine>): Promise<A> => runtime.runPromise(effect)
  const began = async (
    id: string,
    step: string,
    notBy?: string
  ): Promise<{ readonly by: string; readonly at: number; readonly loadedAt: number }> => {
    for (;;) {
      const prefix = `${id} ${step} `
      const file = (await readdir(folder)).find((name) => name.startsWith(prefix) && name !== `${prefix}${notBy}`)
      const text = file === undefined ? "" : await readFile(join(folder, file), "utf8")
      if (text !== "") return { by: file!.slice(prefix.length), ...JSON.parse(text) }
      await pause(5)
    }
  }
  return {
    began,
    run,
    query: (text: string) => run(engine.query<Record<string, unknown>>(text)),
    submit: (name: keyof typeof watched, id: string, input?: number): Promise<Execution.Execution<void, never>> =>
      run(
        Effect.flatMap(
          name === "sleeps" ? watched.sleeps.run(input!, { id }) : watched[name].run("", { id }),
          (run) => run.submit
        ) as Effect.Effect<Execution.Execution<void, never>, unknown, Engine.Engine>
      ),
    launch: (name: string, idle = "10000 millis") => {
      const file = join(import.meta.dirname, "latencyRunner.ts")
      const args = ["--conditions=baton-source", file, name, folder, where, idle]
      processes.set(name, spawn(process.execPath, args, { stdio: ["pipe", "ignore", "inherit"] }))
    },
    kill: async (name: string) => {
      const child = processes.get(name)!
      processes.delete(name)
      const ended = once(child, "exit")
      child.kill("SIGKILL")
      await ended
    },
    close: async () => {
      await Promise.all([...processes.keys()].map((name) => processes.get(name)!.kill("SIGKILL")))
      await runtime.dispose()
    }
  }
}

type Office = Awaited<ReturnType<typeof office>>

const forEach = (count: number, f: (i: number) => Promise<void>) => inParallel(count, 4, f)

/** A run has left the memory, and its row says so. */
const parked = async ({ query }: Office, count: number) => {
  const left = async () =>
    Number(
      (await query(`SELECT COUNT(*) AS n FROM baton_runs WHERE settled_at IS NULL AND wake_at IS DISTINCT FROM 0`))[0]![
        "n"
      ]
    )
  while ((await left()) < count) await pause(20)
}

/** Runs that sleep outside of the memory: how long after its time each goes on. */
const timers = async (office: Office, count: number): Promise<ReadonlyArray<number>> => {
  office.launch("timers", "300 millis")
  const first = Date.now() + 4000
  const due = Array.from({ length: count }, (_, i) => first + i * 20)
  await forEach(count, async (i) => void (await office.submit("sleeps", `timer-${i}`, due[i])))
  await forEach(count, async (i) => void (await office.began(`timer-${i}`, "before")))
  await parked(office, count)
  if (Date.now() > first) throw new Error("The first was due before the last had left the memory")
  const late: Array<number> = []
  await forEach(count, async (i) => void late.push((await office.began(`timer-${i}`, "after")).at - due[i]!))
  await office.kill("timers")
  return late
}

/** A person answers here: how long until the run goes on there, from its rows or from the memory. */
const answers = async (
  office: Office,
  name: string,
  count: number,
  isParked: boolean
): Promise<ReadonlyArray<number>> => {
  office.launch(name, isParked ? "100 millis" : "60000 millis")
  const ids = Array.from({ length: count }, (_, i) => `${name}-${i}`)
  await forEach(count, async (i) => void (await office.submit("asks", ids[i]!)))
  const executions = await Promise.all(ids.map((id) => office.run(Engine.get(id))))
  await forEach(count, async (i) => {
    const opened = Effect.repeat(executions[i]!.requests, {
      schedule: Schedule.spaced("20 millis"),
      until: (requests) => requests.length === 1
    })
    await office.run(opened)
  })
  if (isParked) await parked(office, count)
  const took: Array<number> = []
  await forEach(count, async (i) => {
    // Not in step with how often the other one looks.
    await pause(((i * 37) % 100) + 1)
    const from = wallClock()
    await office.run(executions[i]!.approve(`${ids[i]}:approval`))
    took.push((await office.began(ids[i]!, "after")).at - from)
  })
  await office.kill(name)
  return took
}

/** A process is killed in the middle of a step and started again: how long until that step begins again. */
const restarts = async (office: Office, count: number) => {
  const took: Array<number> = []
  const loading: Array<number> = []
  office.launch("life-0")
  for (let i = 0; i < count; i++) {
    const execution = await office.submit("works", `restart-${i}`)
    await office.began(execution.id, "work")
    await office.kill(`life-${i}`)
    const from = wallClock()
    office.launch(`life-${i + 1}`)
    const { at, loadedAt } = await office.began(execution.id, "work", `life-${i}`)
    took.push(at - from)
    loading.push(loadedAt - from)
    await office.run(execution.cancel())
  }
  await office.kill(`life-${count}`)
  return { took, loading }
}

/** One of two processes is killed: how long until its runs go on in the other. */
const takeovers = async (office: Office, kills: number): Promise<ReadonlyArray<number>> => {
  const took: Array<number> = []
  const together = 8
  const joined = async (count: number) => {
    const holders = `SELECT COUNT(DISTINCT pid) AS n FROM pg_locks JOIN pg_database d ON d.oid = database
      WHERE locktype = 'advisory' AND classid <> ${0x4241544e} AND datname = current_database()`
    while (Number((await office.query(holders))[0]!["n"]) !== count) await pause(20)
  }
  let names = ["runner-0", "runner-1"]
  for (const name of names) office.launch(name)
  for (let i = 0; i < kills; i++) {
    await joined(2)
    const ids = Array.from({ length: together }, (_, n) => `take-${i}-${n}`)
    const executions = await Promise.all(ids.map((id) => office.submit("works", id)))
    const begun = await Promise.all(ids.map((id) => office.began(id, "work")))
    const victim = begun[0]!.by
    const orphans = ids.filter((_, n) => begun[n]!.by === victim)
    const from = wallClock()
    await office.kill(victim)
    const again = await Promise.all(orphans.map((id) => office.began(id, "work", victim)))
    took.push(...again.map(({ at }) => at - from))
    await Promise.all(executions.map((execution) => office.run(execution.cancel())))
    names = [...names.filter((name) => name !== victim), `runner-${i + 2}`]
    office.launch(names[1]!)
  }
  return took
}

/** Every promise, on both databases. */
export const measureLatency = async (
  database: () => Promise<string>,
  quick: boolean
): Promise<ReadonlyArray<Latency>> => {
  const [many, few, kills] = quick ? [8, 2, 1] : [100, 16, 8]
  const found: Array<Latency> = []
  const keep = (what: string, where: string, promise: string, atMost: number, samples: ReadonlyArray<number>) => {
    found.push({ what, where, promise, atMost, samples })
    process.stderr.write(`${what}, ${where}: ${format(median(samples), 0)} ms\n`)
  }
  for (const where of ["SQLite", "PostgreSQL"]) {
    /** A database of its own for each, so that nothing of one is in the way of the next. */
    const inOffice = async (use: (office: Office) => Promise<void>) => {
      const folder = await mkdtemp(join(tmpdir(), "baton-latency-"))
      const here = await office(where === "SQLite" ? join(folder, "runs.sqlite") : await database(), folder)
      try {
        await use(here)
      } finally {
        await here.close()
        await rm(folder, { recursive: true, force: true })
      }
    }
    await inOffice(async (office) =>
      keep("a timer of a run outside of the memory: late by", where, "within 300 ms", 300, await timers(office, many))
    )
    for (const isParked of [true, false]) {
      await inOffice(async (office) =>
        keep(
          `an answer from another process to a run ${isParked ? "outside of" : "in"} the memory: until its next step`,
          where,
          "well under a second",
          500,
          await answers(office, "answers", many, isParked)
        )
      )
    }
    await inOffice(async (office) => {
      const { loading, took } = await restarts(office, few)
      keep("kill -9 and start again: until the step that was cut off begins again", where, "about a second", 1500, took)
      keep("of which: until Node has loaded the program, from sources", where, "", Number.POSITIVE_INFINITY, loading)
    })
    if (where === "SQLite") continue
    await inOffice(async (office) =>
      keep(
        "kill -9 of one of two processes: until its runs go on in the other",
        where,
        "2.5 s",
        2500,
        await takeovers(office, kills)
      )
    )
  }
  return found
}

/** The value that all but one in a hundred stay below. */
const p99 = (samples: ReadonlyArray<number>): number =>
  samples.toSorted((a, b) => a - b)[Math.ceil(samples.length * 0.99) - 1]!

export const latencyReport = (found: ReadonlyArray<Latency>, machine: ReadonlyArray<string>): string => {
  const rows = found.map(({ atMost, promise, samples, what, where }) => {
    const middle = median(samples)
    const held = promise === "" ? "" : `${promise}: ${middle <= atMost ? "held" : "missed"}`
    return [what, where, String(samples.length), format(middle, 0), format(p99(samples), 0), held]
  })
  return `# How late things happen

Written by \`npm run bench:durable -- --latency\`: real processes, with default settings but for \`idle\`, which is short where runs are
to leave the memory. In milliseconds, by the clock of the machine, from what is done in one process to the beginning of a
step in another.

${machine.join("\n")}

${table(["", "on", "samples", "median", "p99", "promised"], rows)}

A promise is held if half of the samples keep it. Answers wait for the next look of the process that runs, every 100 ms
(\`pollInterval\`), so half of that is in their median. The program is loaded from its TypeScript sources here, which Node
strips of their types. A killed process is missed by its lock in the database, which the others look at every half second.
`
}
