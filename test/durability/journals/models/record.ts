// Writes the journal of this release: `node --conditions=baton-source test/durability/journals/models/record.ts NAME`.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { Models } from "effect-baton"
import { live, temporaryFile } from "../../../../src/engines/durable/crash.ts"
import { Durable } from "../../../../src/engines/durable/layer.ts"
import { loadJournaling } from "../../../../src/services/BodyModel.ts"
import { tables } from "../tables.ts"
import { calls, model } from "./calls.ts"

const program = Effect.gen(function* () {
  const made = yield* model(() => {})
  const execution = yield* (yield* calls(() => {}).run("tea", { id: "calls-1" })).start.pipe(
    Effect.provideService(LanguageModel.LanguageModel, made),
    Effect.provide(Models.layer({ part: made }))
  )
  yield* execution.events.pipe(
    Stream.takeUntil((event) => event._tag === "RequestOpened"),
    Stream.runDrain
  )
  const engine = yield* Durable
  return yield* Effect.forEach(tables, (table) =>
    Effect.map(engine.query<Record<string, unknown>>(`SELECT * FROM ${table}`), (rows) => [table, rows] as const)
  )
})

await Effect.runPromise(loadJournaling)
const rows = await Effect.runPromise(
  Effect.scoped(Effect.flatMap(temporaryFile, (filename) => live(filename, {}, undefined, program)))
)
const file = join(import.meta.dirname, `${process.argv[2]}.json`)
writeFileSync(file, `${JSON.stringify(Object.fromEntries(rows.result!), undefined, 1)}\n`)
