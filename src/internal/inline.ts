/**
 * A workflow's body as part of another one.
 */
import * as Effect from "effect/Effect"
import type { RunError } from "../RunError.ts"
import type { Workflow } from "../Workflow.ts"

/** Runs a workflow where it stands, without a scope of its own. */
export const inline = <Input, Output, Error, R>(
  workflow: Workflow<Input, Output, Error, R>,
  input: Input
): Effect.Effect<Output, Error | RunError, R> =>
  Effect.suspend((): Effect.Effect<Output, Error | RunError, R> => {
    const invalid = workflow.checkInput(input)
    if (invalid !== undefined) return Effect.fail(invalid)
    return Effect.flatMap(
      Effect.suspend(() => workflow.body(input)),
      (output) => {
        const problem = workflow.checkOutput(output)
        return problem === undefined ? Effect.succeed(output) : Effect.fail(problem)
      }
    )
  })
