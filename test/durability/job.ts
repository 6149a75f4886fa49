// The workflow of the tests with several processes: steps that are written down in the ledger, one of them slow, then a
// question.
import { type Context, Effect, Schema } from "effect"
import { type Engine, Execution, Step, Workflow } from "effect-baton"
import type { Note } from "./ledger.ts"

export const Job = Schema.Struct({ slowMillis: Schema.Int, asks: Schema.Boolean })

export const job = (note: Note) =>
  Workflow.make("job", {
    input: Job,
    run: Effect.fnUntraced(function* ({ asks, slowMillis }) {
      const id = yield* Execution.id
      yield* Step.make("first", { run: note(id, "first") })
      yield* Step.make("slow", { run: Effect.andThen(note(id, "slow"), Effect.sleep(slowMillis)) })
      yield* Step.make("after", { run: note(id, "after") })
      if (!asks) return "done"
      const { approvedBy } = yield* Execution.waitForApproval("Ship?")
      yield* Step.make("last", { run: note(id, "last") })
      return `shipped by ${approvedBy}`
    })
  })

/** The same for those who only look on. */
export const watched = job(() => Effect.void)

/** Hands a run to whoever has the job, as one who only looks on. */
export const submitter = (client: Context.Context<Engine.Engine>) => (id: string, slowMillis: number, asks: boolean) =>
  Effect.provide(
    Effect.flatMap(watched.run({ slowMillis, asks }, { id }), (run) => run.submit),
    client
  )
