/**
 * What became of a step of a plan.
 */
import * as Schema from "effect/Schema"

/** The result of a step that succeeded. */
export interface Delivered<out Data> {
  readonly stepId: string
  /** Name of the worker. */
  readonly worker: string
  readonly success: true
  readonly data: Data
  readonly error?: undefined
}

/** What became of a step. */
export type WorkerResult<Data, Error> =
  | Delivered<Data>
  | {
      readonly stepId: string
      /** Name of the worker. */
      readonly worker: string
      readonly success: false
      readonly data?: undefined
      readonly error: Error
    }

/**
 * A step was not run, because a step that it depends on, directly or not, failed.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { OrchestratorWorkers } from "effect-baton"
 *
 * new OrchestratorWorkers.DependencyFailed({ stepId: "text", dependency: "facts" }).message // => 'Step "text" was skipped: step "facts", which it depends on, failed; see its error'
 * ```
 */
export class DependencyFailed extends Schema.TaggedError<DependencyFailed>(
  "effect-baton/OrchestratorWorkers/DependencyFailed"
)("DependencyFailed", {
  /** Id of the step that was skipped. */
  stepId: Schema.String,
  /** Id of the step that failed. */
  dependency: Schema.String
}) {
  override get message(): string {
    return `Step "${this.stepId}" was skipped: step "${this.dependency}", which it depends on, failed; see its error`
  }
}
