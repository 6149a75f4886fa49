/**
 * A definition that can not work: a mistake in the program, found before anything runs.
 */
import * as Schema from "effect/Schema"

/**
 * A pattern was defined with options that contradict each other or make no sense; its `make` throws this.
 *
 * **Example** (Two defaults)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { InvalidDefinition, Routing, Workflow } from "effect-baton"
 *
 * const workflow = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
 * const route = { description: "Anything", whenToUse: "Always" }
 *
 * const define = () => {
 *   try {
 *     Routing.make("support", {
 *       workflows: { a: { workflow, route, markAsDefault: true }, b: { workflow, route, markAsDefault: true } }
 *     })
 *   } catch (error) {
 *     return error instanceof InvalidDefinition.InvalidDefinition ? error.message : "another error"
 *   }
 * }
 *
 * define() // => 'Invalid definition of support at "workflows": Expected at most one default route, found ["a","b"]; correct the option'
 * ```
 */
export class InvalidDefinition extends Schema.TaggedError<InvalidDefinition>(
  "effect-baton/InvalidDefinition/InvalidDefinition"
)("InvalidDefinition", {
  /** Name of what was defined: a workflow, a step, or the layer of an engine. */
  workflow: Schema.String,
  /** The offending option, dotted. */
  field: Schema.String,
  /** What stands there, shortened. */
  value: Schema.String,
  /** What was expected. */
  problem: Schema.String
}) {
  override get message(): string {
    return `Invalid definition of ${this.workflow} at "${this.field}": ${this.problem}, found ${this.value}; correct the option`
  }
}
