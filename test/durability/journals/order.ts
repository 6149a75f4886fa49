// The workflow whose journal is kept: it uses whatever a journal records. It must never change.
import { Effect, Schema } from "effect"
import { Execution, Step, Workflow } from "effect-baton"

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { item: Schema.String, until: Schema.Date }) {}

const priced = Workflow.make("priced", {
  output: Schema.Struct({ cents: Schema.Int, at: Schema.Date }),
  run: () =>
    Step.make("ask", {
      output: Schema.Struct({ cents: Schema.Int, at: Schema.Date }),
      run: Effect.succeed({ cents: 250, at: new Date(7) })
    })
})

/** `ran` is told of every step that runs. */
export const order = (ran: (step: string) => void) => {
  const step = (name: string, key?: string) =>
    Step.make(name, {
      key,
      run: Effect.as(
        Effect.sync(() => ran(name)),
        `did ${name}`
      )
    })
  return Workflow.make("order", {
    input: Schema.Struct({ item: Schema.String, at: Schema.Date }),
    output: Schema.Array(Schema.String),
    version: "1",
    run: Effect.fnUntraced(function* ({ at, item }) {
      const reserved = yield* step("reserve")
      yield* Effect.logInfo("reserved")
      yield* Execution.progress({ current: 1, total: 3, message: "reserved" })
      const sold = yield* Step.make("sell", {
        error: SoldOut,
        run: Effect.fail(new SoldOut({ item, until: new Date(9) }))
      }).pipe(Effect.catchTag("SoldOut", (error) => Effect.succeed(`${error.item} until ${error.until.getTime()}`)))
      const slow = yield* Step.make("slow", { run: Effect.as(Effect.never, "") }).pipe(
        Effect.timeoutOption("10 millis")
      )
      const packed = yield* Effect.forEach(["x", "y"], (key) => step("pack", key), { concurrency: 2 })
      const inline = yield* priced.call("inline")
      const child = yield* Effect.flatMap(
        Execution.startChild(priced, "apart", { id: "child-of-order" }),
        (e) => e.result
      )
      const { approvedBy } = yield* Execution.waitForApproval("ship?", {
        requiredApprovals: 2,
        approvers: ["ada", "bob", "eve"]
      })
      const n = yield* Execution.waitForInput("how many?", Schema.Int)
      return [
        `${item} ${at.getTime()}`,
        reserved,
        sold,
        slow._tag,
        ...packed,
        `${inline.cents} ${inline.at.getTime()}`,
        `${child.cents} ${child.at.getTime()}`,
        `${approvedBy} ${n}`,
        yield* step("ship")
      ]
    })
  })
}
