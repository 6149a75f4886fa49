/**
 * Measures one contender on an empty database, in this process, and prints what it found as one line of JSON.
 *
 * `node --conditions=baton-source benchmark/durable/measure.ts SCENARIO CONTENDER URL [--quick]`
 */

import { median, verify } from "../harness.ts"
import { connect, type Server, type Written } from "./admin.ts"
import { contenders, sqlite } from "./contenders.ts"
import { inParallel, type System } from "./system.ts"

const atOnce = 50
const [scenario, contender, url, flag] = process.argv.slice(2)
const quick = flag === "--quick"
const parked = quick ? 100 : 2000

/** Runs for some seconds: so many a second, and what of this process's time each took. */
const rate = async (system: System, steps: 1 | 10) => {
  const run = async (i: number) => verify(await system.run(steps, i), i + steps)
  await inParallel(quick ? 50 : 300 / steps, atOnce, run)
  const seconds = quick ? 0.5 : 3
  const start = performance.now()
  const cpu = process.cpuUsage()
  let count = 0
  await inParallel(
    () => performance.now() - start < seconds * 1000,
    atOnce,
    async (i) => {
      await run(i)
      count++
    }
  )
  const took = performance.now() - start
  const { system: inSystem, user } = process.cpuUsage(cpu)
  return { perSecond: (count / took) * 1000, cpuMillis: (inSystem + user) / 1000 / count }
}

const alone = async (system: System) => {
  const millis: Array<number> = []
  for (let i = 0; i < (quick ? 10 : 120); i++) {
    const start = performance.now()
    verify(await system.run(10, i), i + 10)
    millis.push(performance.now() - start)
  }
  // The first are slower everywhere.
  return median(millis.slice(quick ? 2 : 40))
}

const perSecond = async (count: number, f: (i: number) => Promise<void>) => {
  const start = performance.now()
  await inParallel(count, atOnce, f)
  return (count / (performance.now() - start)) * 1000
}

const resumed = (system: System) => async (i: number) => verify(await system.resume(i, 7), i + 8)

const scenarios = {
  rates: async (system: System) => {
    const one = await rate(system, 1)
    const ten = await rate(system, 10)
    return {
      oneStepRuns: one.perSecond,
      oneStepCpuMillis: one.cpuMillis,
      tenStepSteps: ten.perSecond * 10,
      tenStepCpuMillis: ten.cpuMillis,
      aloneMillis: await alone(system)
    }
  },

  park: async (system: System) => {
    const parks = await perSecond(parked, system.park)
    await system.left()
    await admin.logStatements(true)
    await admin.mark("idle")
    const seconds = quick ? 1 : 4
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    await admin.mark("end")
    await admin.logStatements(false)
    return { parks, resumes: await perSecond(parked, resumed(system)), idleSeconds: seconds }
  },

  /** Both of them, one after the other. */
  speeds: async (system: System) => {
    const rates = await scenarios.rates(system)
    // What is done once, like preparing, is not counted.
    await inParallel(100, atOnce, (i) => system.park(1_000_000 + i))
    const parks = await perSecond(parked, system.park)
    await system.left()
    await inParallel(100, atOnce, async (i) => void (await system.resume(1_000_000 + i, 7)))
    return { ...rates, parks, resumes: await perSecond(parked, resumed(system)) }
  },

  /** A run that has settled and one that waits, to be multiplied. */
  template: async (system: System) => {
    verify(await system.run(1, 0), 1)
    await system.park(0)
    await system.left()
    return {}
  },

  look: async (system: System) => {
    const millis: Record<string, number> = {}
    for (const [name, look] of Object.entries(system.looks!)) {
      await admin.mark(name)
      const start = performance.now()
      await look()
      millis[name] = performance.now() - start
    }
    await admin.logStatements(false)
    return millis
  },

  statements: async (system: System) => {
    const counted: Record<string, Written & { readonly count: number }> = {}
    const count = async (name: string, count: number, work: () => Promise<void>) => {
      const before = await admin.written()
      await admin.mark(name)
      await work()
      // What is written after somebody was told belongs to it.
      await new Promise((resolve) => setTimeout(resolve, 200))
      await admin.mark("between")
      const after = await admin.written()
      counted[name] = {
        count,
        walBytes: before.walBytes < 0 ? -1 : after.walBytes - before.walBytes,
        writeTransactions: after.writeTransactions - before.writeTransactions
      }
    }
    const many = quick ? 100 : 500
    const few = quick ? 5 : 20
    // What is done once, like preparing, is not counted.
    await inParallel(many, atOnce, async (i) => void (await system.run(10, i)))
    await inParallel(atOnce, atOnce, (i) => system.park(1_000_000 + i))
    await inParallel(atOnce, atOnce, async (i) => void (await system.resume(1_000_000 + i, 7)))
    await admin.logStatements(true)
    const serially =
      (f: (i: number) => Promise<unknown>, from = 0) =>
      async () => {
        for (let i = from; i < from + few; i++) await f(i)
      }
    const together =
      (f: (i: number) => Promise<unknown>, from = 0) =>
      () =>
        inParallel(many, atOnce, async (i) => void (await f(from + i)))
    await count(
      "one step, alone",
      few,
      serially((i) => system.run(1, i))
    )
    await count(
      "ten steps, alone",
      few,
      serially((i) => system.run(10, i))
    )
    await count("park, alone", few, serially(system.park))
    await count(
      "one step",
      many,
      together((i) => system.run(1, i))
    )
    await count(
      "ten steps",
      many,
      together((i) => system.run(10, i))
    )
    await count("park", many, together(system.park, 10_000))
    await count("leave", few + many, system.left)
    await count("resume, alone", few, serially(resumed(system)))
    await count("resume", many, together(resumed(system), 10_000))
    await admin.logStatements(false)
    return counted
  }
}

const admin: Server = url!.startsWith("postgres:") ? connect(url!) : (await import("./sqliteLog.ts")).watch()
if (scenario === "look") {
  await admin.logStatements(true)
  await admin.mark("start")
}
const system = await (await (contender === "sqlite" ? sqlite : contenders[contender!]!).open())(url!)
const measured = await scenarios[scenario as keyof typeof scenarios](system)
// All of it, before the process ends.
process.stdout.write(`\n${JSON.stringify({ measured, log: Object.fromEntries(admin.log()) })}\n`, () => process.exit(0))
