/**
 * What can not be stored, or not as it must be, is refused where it is defined.
 */

import { InvalidDefinition } from "../../InvalidDefinition.ts"
import { type Pending, PendingInput } from "../../internal/request.ts"
import { isStorable, show } from "../../internal/schema.ts"
import type { Any } from "../../Workflow.ts"
import { hasSecret } from "./codec.ts"

const inClear = (workflow: string, field: string): InvalidDefinition =>
  new InvalidDefinition({
    workflow,
    field,
    value: "a schema with Redacted in it",
    problem: "Expected a schema without secrets, since a durable engine would store them in clear; pass a reference"
  })

/** What is stored is not encrypted: a workflow whose input or output holds secrets is not for this engine. */
const refuseSecrets = (workflow: Any): void => {
  for (const field of ["input", "output"] as const) {
    if (hasSecret(workflow[field])) throw inClear(workflow.name, field)
  }
}

/** The defect of a request whose answer would be a secret. */
export const secretAnswer = (request: Pending, workflow: string): InvalidDefinition | undefined =>
  request instanceof PendingInput && hasSecret(request.schema)
    ? inClear(workflow, `waitForInput("${request.message}")`)
    : undefined

/** By these it is found again. */
const refuseNames = (workflow: Any): void => {
  for (const field of ["name", "version"] as const) {
    const value = workflow[field]
    if (value === undefined || isStorable(value)) continue
    throw new InvalidDefinition({
      workflow: workflow.name,
      field,
      value: show(value),
      problem: "Expected a text without NUL and halves of surrogate pairs, which databases do not take"
    })
  }
}

/** Throws where runs of a workflow can not be stored. */
export const refuseUnstorable = (workflow: Any): void => {
  refuseSecrets(workflow)
  refuseNames(workflow)
}
