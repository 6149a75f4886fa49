/**
 * Measures one contender of one row in this process and prints what it found as one line of JSON.
 *
 * `node --conditions=baton-source --expose-gc benchmark/measure.ts ROW CONTENDER [--quick]`, which can also be put under a
 * profiler: `node --cpu-prof --conditions=baton-source --expose-gc benchmark/measure.ts one-step-run baton`.
 */
import { rows } from "./rows.ts"

const [name, contender, flag] = process.argv.slice(2)
const measure = rows.find((row) => row.name === name)?.contenders[contender ?? ""]
if (measure === undefined) throw new Error(`no contender "${contender}" in a row "${name}"`)
process.stdout.write(`${JSON.stringify(await measure(flag === "--quick"))}\n`)
process.exit(0)
