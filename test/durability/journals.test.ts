// Journals that earlier releases wrote are kept for good, and every release goes on with them.
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Engine } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { order } from "./journals/order.ts"
import { read, refill } from "./journals/tables.ts"

const folder = join(import.meta.dirname, "journals")

describe("a journal that was kept", () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
    it.live(`of ${file} is gone on with, and none of its steps runs again (D1, D5)`, () =>
      Effect.gen(function* () {
        const kept = read(join(folder, file))
        const filename = yield* temporaryFile
        const ran: Array<string> = []
        const { result } = yield* live(
          filename,
          {},
          undefined,
          Effect.gen(function* () {
            yield* refill(kept)
            const service = yield* Engine.Engine
            yield* service.register(order((step) => ran.push(step)))
            const execution = yield* Engine.get("order-1")
            const [approval] = yield* execution.requests
            assert.strictEqual(approval._tag === "Approval" && approval.responses[0].reason, "fine")
            const again = yield* Effect.flip(execution.approve(approval.id, { by: "ada" }))
            assert.strictEqual(again._tag, "AlreadyAnswered")
            yield* execution.approve(approval.id, { by: "eve" })
            yield* execution.events.pipe(
              Stream.filter((event) => event._tag === "RequestOpened"),
              Stream.take(2),
              Stream.runDrain
            )
            const [input] = yield* execution.requests
            yield* execution.answer(input.id, 3)
            const output = yield* execution.result
            const events = yield* Stream.runCollect(execution.events)
            return { output, events, progress: yield* execution.progress }
          })
        )
        const { events, output, progress } = result!
        assert.deepStrictEqual(output, [
          "tea 5",
          "did reserve",
          "tea until 9",
          "None",
          "did pack",
          "did pack",
          "250 7",
          "250 7",
          "eve 3",
          "did ship"
        ])
        assert.deepStrictEqual(ran, ["ship"])
        assert.deepStrictEqual(progress, { current: 1, total: 3, message: "reserved" })
        assert.deepStrictEqual(
          events.map((event) => event.sequence),
          events.map((_, i) => i + 1)
        )
        const before = kept["baton_events"].filter((row) => row.execution_id === "order-1")
        assert.deepStrictEqual(
          events.slice(0, before.length).map((event) => `${event._tag} ${event.path}`),
          before.map((row) => `${row.tag} ${row.path}`)
        )
      }).pipe(Effect.scoped)
    )
  }
})
