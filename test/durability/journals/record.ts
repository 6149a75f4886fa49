// Writes the journal of this release: `node --conditions=baton-source test/durability/journals/record.ts NAME`.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Stream } from "effect"
import { live, temporaryFile } from "../../../src/engines/durable/crash.ts"
import { Durable } from "../../../src/engines/durable/layer.ts"
import { order } from "./order.ts"
import { tables } from "./tables.ts"

const program = Effect.gen(function* () {
  const execution = yield* (yield* order(() => {}).run(
    { item: "tea", at: new Date(5) },
    { id: "order-1", tags: ["kept"] }
  )).start
  const opened = (n: number) =>
    execution.events.pipe(
      Stream.filter((event) => event._tag === "RequestOpened"),
      Stream.take(n),
      Stream.runDrain
    )
  yield* opened(1)
  // One of two votes: the request stays open, with an answer.
  yield* execution.approve((yield* execution.requests)[0].id, { by: "ada", reason: "fine" })
  const engine = yield* Durable
  return yield* Effect.forEach(tables, (table) =>
    Effect.map(engine.query<Record<string, unknown>>(`SELECT * FROM ${table}`), (rows) => [table, rows] as const)
  )
})

const rows = await Effect.runPromise(
  Effect.scoped(Effect.flatMap(temporaryFile, (filename) => live(filename, {}, undefined, program)))
)
const file = join(import.meta.dirname, `${process.argv[2]}.json`)
writeFileSync(file, `${JSON.stringify(Object.fromEntries(rows.result!), undefined, 1)}\n`)
