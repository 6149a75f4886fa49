/**
 * A workflow's body as part of another one.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { RunError } from "../RunError.ts"
import type { Workflow } from "../Workflow.ts"
import { currentFrame } from "./frame.ts"
import { Calls } from "./journal.ts"

/** Runs a workflow where it stands, without a scope of its own. */
export const inline = <Input, Output, Error, R>(
  workflow: Workflow<Input, Output, Error, R>,
  input: Input
): Effect.Effect<Output, Error | RunError, R> =>
  Effect.suspend((): Effect.Effect<Output, Error | RunError, R> => {
    const invalid = workflow["~inner"].checkInput(input)
    if (invalid !== undefined) return Effect.fail(invalid)
    return Effect.flatMap(
      called(
        workflow,
        Effect.suspend(() => workflow["~inner"].body(input))
      ),
      (output) => {
        const problem = workflow["~inner"].checkOutput(output)
        return problem === undefined ? Effect.succeed(output) : Effect.fail(problem)
      }
    )
  })

/** Where a journal is kept, the errors of a body are known to be described by the workflow's schema. */
const called = <A, E, R>(workflow: Workflow<any, A, any, any>, body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (currentFrame(fiber)?.execution.journal === undefined) return body
    return Effect.provideService(body, Calls, { error: workflow.error, outer: Context.get(fiber.context, Calls) })
  })
