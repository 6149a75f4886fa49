/**
 * Settings of an engine are checked when it is made: a defect, since they are the program's own.
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { InvalidDefinition } from "../InvalidDefinition.ts"
import { checker } from "./schema.ts"

/** Dies with `InvalidDefinition` where a setting does not fit its schema. */
export const settings = (name: string, schema: Schema.Constraint): ((options: unknown) => Effect.Effect<void>) => {
  const check = checker(schema)
  return (options) =>
    Effect.suspend(() => {
      const invalid = check(options)
      if (invalid === undefined) return Effect.void
      const { message, path, value } = invalid
      return Effect.die(new InvalidDefinition({ workflow: name, field: path, value, problem: message }))
    })
}
