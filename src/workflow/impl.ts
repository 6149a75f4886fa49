/**
 * What a workflow is at run time.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { pipeArguments } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import type { Execution } from "../Execution.ts"
import { bodyFrame } from "../internal/frame.ts"
import { inline } from "../internal/inline.ts"
import { type Inner, InnerImpl } from "../internal/inner.ts"
import { RunImpl, type Starter } from "../internal/run.ts"
import type { Run, RunOptions } from "../Run.ts"
import { Engine } from "../services/Engine.ts"
import type { Any, Boundary, Workflow } from "../Workflow.ts"

/**
 * Marks a workflow at run time.
 *
 * **Example** (The mark)
 *
 * ```ts
 * import { Workflow } from "effect-baton"
 *
 * Workflow.TypeId // => "~effect-baton/Workflow"
 * ```
 */
export const TypeId = "~effect-baton/Workflow" as const

/**
 * Whether a value is a workflow.
 *
 * **Example** (Asking)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Workflow } from "effect-baton"
 *
 * Workflow.isWorkflow(Workflow.make("echo", { run: (text) => Effect.succeed(text) })) // => true
 * ```
 */
export const isWorkflow = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

const starter: Starter = {
  start: (run) => Effect.flatMap(Engine, (engine) => engine.start(run)),
  submit: (run) => Effect.flatMap(Engine, (engine) => engine.submit(run))
}

/** What a workflow is made of. */
export interface Definition extends Pick<Inner, "body"> {
  readonly name: string
  readonly description: string | undefined
  readonly version: string | undefined
  readonly input: Boundary<any>
  readonly output: Boundary<any>
  readonly error: Boundary<any>
  readonly defaults: RunOptions
}

export class WorkflowImpl implements Workflow<any, any, any, any> {
  readonly [TypeId] = TypeId
  declare readonly "~types": Workflow<any, any, any, any>["~types"]
  readonly name: string
  readonly description: string | undefined
  readonly version: string | undefined
  readonly input: Boundary<any>
  readonly output: Boundary<any>
  readonly error: Boundary<any>
  readonly defaults: RunOptions
  readonly "~inner": Inner

  constructor(definition: Definition) {
    this.name = definition.name
    this.description = definition.description
    this.version = definition.version
    this.input = definition.input
    this.output = definition.output
    this.error = definition.error
    this.defaults = definition.defaults
    this["~inner"] = new InnerImpl(definition)
    this.run = this.run.bind(this)
    this.start = this.start.bind(this)
    this.execute = this.execute.bind(this)
    this.call = this.call.bind(this)
  }

  pipe() {
    return pipeArguments(this, arguments)
  }

  run(input: unknown, options?: RunOptions<any, any>): Effect.Effect<Run<any, any, any>> {
    return Effect.withFiber((fiber) => {
      const millis = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      const random = Math.abs(fiber.getRef(Random.Random).nextIntUnsafe())
      return Effect.succeed(new RunImpl(millis, random, this, input, options, starter))
    })
  }

  start(input: unknown, options?: RunOptions<any, any>): Effect.Effect<Execution<any, any>, never, any> {
    return Effect.flatMap(this.run(input, options), (run) => run.start)
  }

  execute(input: unknown, options?: RunOptions<any, any>): Effect.Effect<any, any, any> {
    return Effect.flatMap(this.run(input, options), (run) => executeRun(run as RunImpl))
  }

  call(input: unknown, options?: { readonly key?: string | undefined }): Effect.Effect<any, any, any> {
    return Effect.withFiber((fiber) => {
      const frame = bodyFrame(fiber, "call", this.name)
      // A call that is refused takes no place: the next one is not numbered after it.
      const invalid = this["~inner"].checkInput(input)
      if (invalid !== undefined) return Effect.fail(invalid)
      return frame.execution.scope(frame, this.name, options?.key, inline(this, input))
    })
  }
}

/** Starts a run and waits for it; interrupting the wait cancels the run, which nobody is asked about. */
const executeRun = (run: RunImpl): Effect.Effect<any, any, any> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Engine, (engine) =>
      Effect.flatMap(engine.start(run), (execution) =>
        Effect.onInterrupt(restore(execution.result), () => engine.interrupt(execution.id))
      )
    )
  )

/** Another workflow that differs in what is given. */
export const derive = (self: Any, changes: Partial<Definition>): WorkflowImpl =>
  new WorkflowImpl({
    name: self.name,
    description: self.description,
    version: self.version,
    input: self.input,
    output: self.output,
    error: self.error,
    defaults: self.defaults,
    body: self["~inner"].body,
    ...changes
  })
