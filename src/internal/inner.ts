/**
 * What engines know of a workflow, and who uses one need not: its body, and what its schemas say of a value.
 */
import type * as Effect from "effect/Effect"
import { InvalidInput, InvalidOutput } from "../RunError.ts"
import type { Boundary } from "../Workflow.ts"
import { checker } from "./schema.ts"

// Of the types that a definition has, those of one workflow and any other meet here.
export interface Inner {
  /** The body, as it was given. */
  readonly body: (input: any) => Effect.Effect<any, any, any>
  /** Checks an input; `undefined` when it fits. */
  readonly checkInput: (input: unknown) => InvalidInput | undefined
  /** Checks an output; `undefined` when it fits. */
  readonly checkOutput: (output: unknown) => InvalidOutput | undefined
  /** Whether the `error` schema describes an error. */
  readonly acceptsError: (error: unknown) => boolean
}

interface Definition extends Pick<Inner, "body"> {
  readonly name: string
  readonly input: Boundary<any>
  readonly output: Boundary<any>
  readonly error: Boundary<any>
}

export class InnerImpl implements Inner {
  readonly body: Inner["body"]
  private readonly workflow: string
  private readonly inputProblem: ReturnType<typeof checker>
  private readonly outputProblem: ReturnType<typeof checker>
  private readonly errorProblem: ReturnType<typeof checker>

  constructor({ body, error, input, name, output }: Definition) {
    this.body = body
    this.workflow = name
    this.inputProblem = checker(input)
    this.outputProblem = checker(output)
    this.errorProblem = checker(error)
  }

  checkInput(input: unknown): InvalidInput | undefined {
    const found = this.inputProblem(input)
    if (found === undefined) return undefined
    const { message, path, value } = found
    return new InvalidInput({ workflow: this.workflow, field: path, value, problem: message })
  }

  checkOutput(output: unknown): InvalidOutput | undefined {
    const found = this.outputProblem(output)
    if (found === undefined) return undefined
    const { message, path, value } = found
    return new InvalidOutput({ workflow: this.workflow, field: path, value, problem: message })
  }

  acceptsError(error: unknown): boolean {
    return this.errorProblem(error) === undefined
  }
}
