/** What runs while latencies are measured: workflows whose steps say when they begin. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Execution from "effect-baton/Execution"
import * as Step from "effect-baton/Step"
import * as Workflow from "effect-baton/Workflow"

export type Began = (run: string, step: string) => Effect.Effect<void>

export const workflows = (began: Began) => {
  const step = (name: string) =>
    Step.make(name, { output: Schema.Void, run: Effect.flatMap(Execution.id, (id) => began(id, name)) })
  return {
    /** Sleeps until a time. */
    sleeps: Workflow.make("sleeps", {
      input: Schema.Number,
      output: Schema.Void,
      run: Effect.fnUntraced(function* (until) {
        yield* step("before")
        yield* Effect.sleep(Math.max(0, until - (yield* Clock.currentTimeMillis)))
        yield* step("after")
      })
    }),
    /** Asks a person. */
    asks: Workflow.make("asks", {
      output: Schema.Void,
      run: Effect.fnUntraced(function* () {
        yield* step("before")
        yield* Execution.waitForApproval("Go on?")
        yield* step("after")
      })
    }),
    /** Is in the middle of a step for good. */
    works: Workflow.make("works", {
      output: Schema.Void,
      run: Effect.fnUntraced(function* () {
        yield* step("before")
        const id = yield* Execution.id
        yield* Step.make("work", { output: Schema.Void, run: Effect.andThen(began(id, "work"), Effect.never) })
      })
    })
  }
}
