/**
 * What many runs in the tables cost: the same rates on tables that are full of settled and parked runs, and the plan of
 * every statement there.
 */
import { DatabaseSync } from "node:sqlite"
import { median } from "../harness.ts"
import { normal } from "./admin.ts"
import { type Answer, format, type Parks, type Rates, type Statements, table } from "./report.ts"

/** Talks to a database beside the engine. */
export interface Sql {
  readonly query: (text: string) => Promise<ReadonlyArray<Record<string, unknown>>>
  /** Lines that say how a statement is done. */
  readonly plan: (statement: string) => Promise<string>
  readonly series: (count: number) => string
  /** What filling leaves to be done is done, so that nothing measured pays for it. */
  readonly settle: ReadonlyArray<string>
  /** Bytes of each table and of its indexes. */
  readonly sizes: () => Promise<ReadonlyMap<string, readonly [table: number, indexes: number]>>
}

const tables = ["baton_runs", "baton_events", "baton_requests"]

export const postgresSql = (admin: { readonly query: Sql["query"] }): Sql => ({
  query: admin.query,
  plan: async (statement) => {
    // The plan for any parameters, which is what a prepared statement comes to.
    await admin.query("SET plan_cache_mode = force_generic_plan")
    await admin.query(`PREPARE planned AS ${statement}`)
    const count = Math.max(0, ...[...statement.matchAll(/\$(\d+)/g)].map(([, n]) => Number(n)))
    const nothing = count === 0 ? "" : `(${Array.from({ length: count }, () => "NULL").join(", ")})`
    const rows = await admin.query(`EXPLAIN EXECUTE planned${nothing}`)
    await admin.query("DEALLOCATE planned")
    return rows.map((row) => String(row["QUERY PLAN"])).join("\n")
  },
  settle: ["VACUUM ANALYZE", "CHECKPOINT"],
  series: (count) => `generate_series(1, ${count}) AS g(n)`,
  sizes: async () => {
    const rows = await admin.query(
      `SELECT relname AS name, pg_table_size(oid)::text AS data, pg_indexes_size(oid)::text AS indexes FROM pg_class WHERE relname IN ('${tables.join("', '")}')`
    )
    return new Map(rows.map((row) => [String(row["name"]), [Number(row["data"]), Number(row["indexes"])]]))
  }
})

export const sqliteSql = (filename: string): Sql => {
  const db = new DatabaseSync(filename)
  const query = async (text: string) => db.prepare(text).all() as ReadonlyArray<Record<string, unknown>>
  return {
    query,
    plan: async (statement) => {
      const rows = db.prepare(`EXPLAIN QUERY PLAN ${statement}`).all()
      return rows.map((row) => String(row["detail"])).join("\n")
    },
    // Not analyzed, since nobody analyzes a user's file.
    settle: ["PRAGMA wal_checkpoint(TRUNCATE)"],
    series: (count) =>
      `(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < ${count}) SELECT n FROM g) AS g`,
    sizes: async () => {
      const [row] = await query("SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()")
      return new Map([["all", [Number(row!["bytes"]), 0]]])
    }
  }
}

/** Multiplies the settled and the parked run that are there. */
export const fill = async (sql: Sql, settled: number, parked: number): Promise<void> => {
  const copy = async (
    table: string,
    id: string,
    source: string,
    to: string,
    count: number,
    set: Record<string, string>
  ) => {
    const [first] = await sql.query(`SELECT * FROM ${table} LIMIT 1`)
    const columns = Object.keys(first!)
    const values = columns.map((column) => set[column] ?? (column === id ? `'${to}' || g.n` : `t.${column}`))
    await sql.query(
      `INSERT INTO ${table} (${columns.join(", ")}) SELECT ${values.join(", ")}
       FROM ${sql.series(count)}, (SELECT * FROM ${table} WHERE ${id} = '${source}') AS t WHERE 1 = 1`
    )
  }
  for (const [workflow, to, count] of [
    ["one", "run_settled_", settled],
    ["waiting", "run_parked_", parked]
  ] as const) {
    const [row] = await sql.query(`SELECT id FROM baton_runs WHERE workflow = '${workflow}' LIMIT 1`)
    const id = String(row!["id"])
    // Over ten days.
    const spread = `- CAST(g.n * ${864_000_000 / count} AS BIGINT)`
    await copy("baton_runs", "id", id, to, count, {
      root_id: `'${to}' || g.n`,
      started_at: `t.started_at ${spread}`,
      settled_at: `t.settled_at ${spread}`,
      // Half of what is parked waits for a time as well, all at different ones.
      wake_at: workflow === "one" ? "NULL" : `CASE WHEN g.n % 2 = 0 THEN t.started_at + 864000000 + g.n END`
    })
    await copy("baton_events", "execution_id", id, to, count, {})
    if (workflow === "waiting") {
      await copy("baton_requests", "execution_id", id, to, count, { id: `'${to}' || g.n || t.path` })
    }
  }
  for (const text of sql.settle) await sql.query(text)
}

/** Statements that read the whole of a table that is full, by their plans. */
export const scans = async (sql: Sql, statements: Iterable<string>): Promise<ReadonlyArray<string>> => {
  const found: Array<string> = []
  for (const statement of new Set(statements)) {
    if (!/^(SELECT|UPDATE|DELETE)/.test(statement) || !statement.includes("baton_")) continue
    const plan = await sql.plan(statement)
    const scan = new RegExp(`(Seq Scan on|SCAN) (${tables.join("|")})\\b(?! USING)`).exec(plan)
    if (scan !== null) found.push(`\`${statement.replace(/\s+/g, " ")}\`: ${scan[0]}`)
  }
  return found
}

type Measure = <A>(scenario: string) => Promise<Answer<A>>

/** What the tables bear. */
export interface Speeds extends Rates, Omit<Parks, "idle"> {}

export interface Full {
  readonly looks: Readonly<Record<string, number>>
  readonly scans: ReadonlyArray<string>
  readonly statements: number
  readonly sizes: ReadonlyArray<readonly [table: string, data: number, indexes: number]>
  readonly fillSeconds: number
}

/** What was measured in each round, one after the other, on tables with nothing in them and on full ones. */
export interface Round {
  readonly empty: Speeds
  readonly full: Speeds
}

export interface Scaled extends Full {
  readonly name: string
  readonly rounds: ReadonlyArray<Round>
}

/** Fills the tables, and looks at what is asked of them then. */
export const measureFull = async (measure: Measure, sql: Sql, runs: number): Promise<Full> => {
  await measure("template")
  const started = performance.now()
  await fill(sql, runs, Math.ceil(runs / 10))
  const fillSeconds = (performance.now() - started) / 1000
  const sizes = [...(await sql.sizes())].map(([table, [data, indexes]]) => [table, data, indexes] as const)
  const counted = await measure<Statements["counted"]>("statements")
  const look = await measure<Record<string, number>>("look")
  const statements = new Set([...Object.values(look.log), ...Object.values(counted.log)].flat())
  return {
    looks: look.measured,
    scans: await scans(sql, statements),
    statements: new Set([...statements].map(normal)).size,
    sizes,
    fillSeconds
  }
}

export const scaleReport = (runs: number, scaled: ReadonlyArray<Scaled>, machine: ReadonlyArray<string>): string => {
  const speeds: ReadonlyArray<readonly [string, (of: Speeds) => number]> = [
    ["one-step runs/s", (of) => of.oneStepRuns],
    ["ten-step, steps/s", (of) => of.tenStepSteps],
    ["one ten-step run alone, ms", (of) => of.aloneMillis],
    ["park, runs/s", (of) => of.parks],
    ["resume, runs/s", (of) => of.resumes],
    ["CPU ms of a one-step run", (of) => of.oneStepCpuMillis],
    ["CPU ms of a ten-step run", (of) => of.tenStepCpuMillis]
  ]
  const part = ({ fillSeconds, looks, name, rounds, scans, sizes, statements }: Scaled) => {
    const middle = (of: (round: Round) => number) => median(rounds.map(of))
    const all = sizes.reduce((sum, [, data, indexes]) => sum + data + indexes, 0)
    return `## ${name === "sqlite" ? "SQLite" : "PostgreSQL"}

${table(
  ["", "empty tables", "full tables", "full / empty", "of each round"],
  speeds.map(([title, of]) => {
    const ratios = rounds.map(({ empty, full }) => of(full) / of(empty))
    const each = ratios.map((ratio) => format(ratio, 2)).join(", ")
    return [
      title,
      format(
        middle((it) => of(it.empty)),
        2
      ),
      format(
        middle((it) => of(it.full)),
        2
      ),
      format(median(ratios), 2),
      each
    ]
  })
)}

${table(
  ["looking for", "ms"],
  Object.entries(looks).map(([look, millis]) => [look, format(millis, 1)])
)}

${table(
  ["table", "data, bytes a run", "indexes, bytes a run"],
  sizes.map(([table, data, indexes]) => [table, format(data / (runs * 1.1), 0), format(indexes / (runs * 1.1), 0)])
)}

All in all ${format(all / 2 ** 30, 2)} GiB, filled in ${format(fillSeconds, 0)} s.

${
  scans.length === 0
    ? `None of the ${statements} statements of the engine and of the store reads a whole table there.`
    : `Of the ${statements} statements of the engine and of the store, these read a whole table:\n\n${scans.map((scan) => `- ${scan}`).join("\n")}`
}`
  }
  return `# The durable engine on full tables

Written by \`npm run bench:durable -- --scale ${runs}\`: ${format(runs, 0)} settled one-step runs and ${format(Math.ceil(runs / 10), 0)} parked ones, half of which
wait for a time as well, multiplied from real ones by SQL. After filling, the tables were vacuumed and analyzed (PostgreSQL).
Each round measures an empty database and the full one, by turns the one or the other first, after a checkpoint, each in a process
of its own that warms up before. Figures are medians of the rounds; the ratio is the median of those of the rounds.

${machine.join("\n")}

${scaled.map(part).join("\n\n")}
`
}
