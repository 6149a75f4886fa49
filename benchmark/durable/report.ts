/** The tables of the durable benchmark. */
import { median } from "../harness.ts"
import { normal, type Written } from "./admin.ts"
import { contenders, sqlite } from "./contenders.ts"

/** What a process found, and the statements under each mark. */
export interface Answer<A> {
  readonly measured: A
  readonly log: Record<string, ReadonlyArray<string>>
}

export interface Rates {
  readonly oneStepRuns: number
  readonly oneStepCpuMillis: number
  readonly tenStepSteps: number
  readonly tenStepCpuMillis: number
  readonly aloneMillis: number
}

export interface Parks {
  readonly parks: number
  readonly resumes: number
  readonly idle: number
  readonly idleSeconds: number
}

export interface Statements {
  readonly counted: Readonly<Record<string, Written & { readonly count: number }>>
  readonly log: Readonly<Record<string, ReadonlyArray<string>>>
}

/** What was measured of one contender. */
export interface Found {
  readonly rates: Array<Rates>
  readonly parks: Array<Parks>
  readonly statements: Array<Statements>
}

export const format = (value: number | undefined, digits: number) =>
  value === undefined || !Number.isFinite(value)
    ? "-"
    : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const middle = <A>(all: ReadonlyArray<A>, key: (one: A) => number): number =>
  all.length === 0 ? Number.NaN : median(all.map(key))

export const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) =>
  [
    `| ${header.join(" | ")} |`,
    `|---|${"---:|".repeat(header.length - 1)}`,
    ...rows.map((row) => `| ${row.join(" | ")} |`)
  ].join("\n")

const per = (found: Found, phase: string, what: (of: Statements["counted"][string]) => number): number => {
  const [statements] = found.statements
  const counted = statements?.counted[phase]
  return counted === undefined ? Number.NaN : what(counted) / counted.count
}

const statementsPer = ({ statements: [statements] }: Found, phase: string): number =>
  statements?.counted[phase] === undefined
    ? Number.NaN
    : (statements.log[phase]?.length ?? 0) / statements.counted[phase].count

const speeds = (found: ReadonlyMap<string, Found>) =>
  table(
    [
      "",
      "one-step runs/s",
      "CPU ms a run",
      "ten-step, steps/s",
      "CPU ms a run",
      "one ten-step run alone, ms",
      "park, runs/s",
      "resume, runs/s",
      "idle statements/s"
    ],
    [...found].map(([name, of]) => [
      (contenders[name] ?? sqlite).title,
      format(
        middle(of.rates, (rates) => rates.oneStepRuns),
        0
      ),
      format(
        middle(of.rates, (rates) => rates.oneStepCpuMillis),
        2
      ),
      format(
        middle(of.rates, (rates) => rates.tenStepSteps),
        0
      ),
      format(
        middle(of.rates, (rates) => rates.tenStepCpuMillis),
        2
      ),
      format(
        middle(of.rates, (rates) => rates.aloneMillis),
        1
      ),
      format(
        middle(of.parks, (parks) => parks.parks),
        0
      ),
      format(
        middle(of.parks, (parks) => parks.resumes),
        0
      ),
      format(
        middle(of.parks, (parks) => parks.idle),
        1
      )
    ])
  )

const counts = (found: ReadonlyMap<string, Found>, phase: (name: string) => string) => {
  const whats = ["one step", "ten steps", "park", "resume"]
  return table(
    ["", ...whats.flatMap((what) => [`${what}: statements`, "write transactions", "WAL bytes"])],
    [...found].map(([name, of]) => [
      (contenders[name] ?? sqlite).title,
      ...whats.flatMap((what) => [
        format(statementsPer(of, phase(what)), 1),
        format(
          per(of, phase(what), (counted) => counted.writeTransactions),
          1
        ),
        format(
          per(of, phase(what), (counted) => (counted.walBytes < 0 ? Number.NaN : counted.walBytes)),
          0
        )
      ])
    ])
  )
}

/** Every statement of a phase, and how often a run has it. */
const listed = ({ statements: [statements] }: Found, phase: string): string => {
  const counted = new Map<string, number>()
  for (const text of statements?.log[phase] ?? []) counted.set(normal(text), (counted.get(normal(text)) ?? 0) + 1)
  const runs = statements?.counted[phase]?.count ?? Number.NaN
  const rows = [...counted].sort(([, a], [, b]) => b - a)
  return table(
    [`${phase}: statement`, "a run"],
    rows.map(([text, count]) => [`\`${text.replaceAll("|", "\\|")}\``, format(count / runs, 2)])
  )
}

const phases = ["one step, alone", "ten steps, alone", "ten steps", "park, alone", "leave", "resume, alone", "resume"]

const targets = (found: ReadonlyMap<string, Found>): ReadonlyArray<string> => {
  const of = (name: string, pick: (found: Found) => number) => {
    const one = found.get(name)
    return one === undefined ? Number.NaN : pick(one)
  }
  const one = (name: string) => of(name, ({ rates }) => middle(rates, (rates) => rates.oneStepRuns))
  const ten = (name: string) => of(name, ({ rates }) => middle(rates, (rates) => rates.tenStepSteps))
  const alone = (name: string) => of(name, ({ rates }) => middle(rates, (rates) => rates.aloneMillis))
  const parks = (name: string) => of(name, ({ parks }) => middle(parks, (parks) => parks.parks))
  const resumes = (name: string) => of(name, ({ parks }) => middle(parks, (parks) => parks.resumes))
  const verdict = (what: string, value: number, isMet: boolean, digits = 0) =>
    `- ${what}: ${format(value, digits)}. ${Number.isNaN(value) ? "Not measured." : isMet ? "Met." : "**Missed.**"}`
  const more = (what: string, value: number, least: number) =>
    verdict(`${what}, more than ${format(least, 0)}`, value, value > least)
  return [
    more("One-step runs/s ahead of Mastra", one("baton"), one("mastra")),
    more("Ten-step steps/s three times DBOS", ten("baton"), 3 * ten("dbos")),
    verdict("One ten-step run alone, under 20 ms", alone("baton"), alone("baton") < 20, 1),
    more("Parked runs/s ahead of Mastra", parks("baton"), parks("mastra")),
    more("Resumed runs/s ahead of Mastra", resumes("baton"), resumes("mastra")),
    more("SQLite, one-step runs/s", one("sqlite"), 1500),
    more("SQLite, ten-step steps/s", ten("sqlite"), 8000)
  ]
}

export const report = (
  found: ReadonlyMap<string, Found>,
  failures: ReadonlyMap<string, string>,
  machine: ReadonlyArray<string>
): string => {
  const statements = (name: string) => {
    const of = found.get(name)
    return of === undefined ? "" : phases.map((phase) => listed(of, phase)).join("\n\n")
  }
  return `# Durable benchmark results

Written by \`npm run bench:durable\`.

${machine.join("\n")}

Everybody works on one PostgreSQL with its default durability (\`fsync\` and \`synchronous_commit\` on), each measurement in a process and
a database of its own; contenders take turns, figures are medians of the rounds. Everything else is as it is by default, pools of
connections too (Mastra 20, the others 10). 50 runs are under way at once. "CPU ms" is the time of the contender's own process, all
threads, which other work on the machine disturbs less than the rates.

- A step adds one to a number. A run that parks does one step, then waits for a number from outside. Baton and the cluster engine let
  it leave memory after ten seconds, and everything had left before it was resumed; DBOS keeps it in memory; LangGraph and Mastra
  have nothing in memory in between.
- Mastra keeps a *snapshot* of the run, rewritten after each step, not a journal of steps: what a step did is known once its snapshot
  is stored. DBOS, LangGraph, the cluster engine and Baton write every step down before the next begins.
- Baton writes an event log as well (two events a step, five or more a run, and a run record that can be listed and searched); it is on in all
  figures.
- "Parked" is: the wait is on disk (Baton, LangGraph, Mastra), or the body has come to the call that waits (DBOS, cluster engine).
- "Idle" is the statements a second that the server sees with 2,000 runs parked.

## Speed

${speeds(found)}

### Targets

${targets(found).join("\n")}

## Statements, write transactions and write-ahead log of a run

By the log of the server, and by its counters; the same for all. 50 runs at once:

${counts(found, (what) => what)}

One run at a time:

${counts(found, (what) => `${what}, alone`)}

## Every statement of Baton, on PostgreSQL

\`, ...\` stands for more rows of the same; group commit makes the figures with 50 runs at once smaller than one. "leave" is what
happens when a run leaves memory. The polls stand in every table, as the process makes them however many runs there are.

${statements("baton")}

## Every statement of Baton, on SQLite

${statements("sqlite")}
${failures.size === 0 ? "" : `\n**Failed:**\n\n${[...failures].map(([name, why]) => `- ${name}: ${why}`).join("\n")}\n`}`
}
