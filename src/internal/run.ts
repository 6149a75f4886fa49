/**
 * A run before and after its start.
 */
import * as Effect from "effect/Effect"
import type { CancelResult } from "../Cancel.ts"
import type { Execution } from "../Execution.ts"
import type { Run, RunOptions, RunStatus } from "../Run.ts"
import type { Engine, WorkflowNotRegistered } from "../services/Engine.ts"
import type { Any } from "../Workflow.ts"
import { type Fields, Lazy } from "./eventLog.ts"
import { idToString } from "./id.ts"

/** How a run reaches the engine; given by `Workflow`, which knows the service. */
export interface Starter {
  readonly start: (run: RunImpl) => Effect.Effect<Execution<any, any>, never, any>
  readonly submit: (run: RunImpl) => Effect.Effect<Execution<any, any>, WorkflowNotRegistered, Engine>
}

/** An option that is there but undefined does not hide a default. */
export const merge = <Options extends object>(defaults: Options | undefined, given: Options): Options =>
  ({
    ...defaults,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  }) as Options

export class RunImpl extends Lazy implements Run<any, any, any> {
  /** When the run was made, and a random number: together its id. */
  readonly millis: number
  readonly random: number
  readonly workflow: Any
  readonly input: unknown
  private readonly given: RunOptions | undefined
  private readonly starter: Starter
  /** The id, once somebody has read it. */
  private text: string | undefined = undefined
  /** The run that this one is another configuration of, or itself: they have one life. */
  private readonly first: RunImpl
  private started: Execution<any, any> | undefined = undefined
  private stopped: { readonly reason: string | undefined } | undefined = undefined

  constructor(
    millis: number,
    random: number,
    workflow: Any,
    input: unknown,
    given: RunOptions | undefined,
    starter: Starter,
    first?: RunImpl
  ) {
    super()
    this.first = first ?? this
    this.millis = millis
    this.random = random
    this.workflow = workflow
    this.input = input
    this.given = given
    this.starter = starter
  }

  /** The execution, once started. */
  get execution(): Execution<any, any> | undefined {
    return this.first.started
  }

  set execution(execution: Execution<any, any>) {
    this.first.started = execution
  }

  /** The reason of a cancel that came before the start. */
  get cancelled(): { readonly reason: string | undefined } | undefined {
    return this.first.stopped
  }

  /** What the event of its start says. */
  get fields(): Fields<"RunStarted"> {
    return { executionId: this.id, workflow: this.workflow.name }
  }

  /** The id that was asked for. */
  get givenId(): string | undefined {
    return this.given?.id ?? this.workflow.defaults.id
  }

  get id(): string {
    return (this.text ??= this.givenId ?? idToString(this.millis, this.random))
  }

  get options(): RunOptions {
    return this.given === undefined ? this.workflow.defaults : merge(this.workflow.defaults, this.given)
  }

  get status(): Effect.Effect<RunStatus> {
    return Effect.suspend(() =>
      this.execution !== undefined
        ? this.execution.status
        : Effect.succeed<RunStatus>(this.cancelled === undefined ? "pending" : "cancelled")
    )
  }

  get start(): Effect.Effect<Execution<any, any>, never, Engine> {
    return this.starter.start(this)
  }

  get submit(): Effect.Effect<Execution<any, any>, WorkflowNotRegistered, Engine> {
    return this.starter.submit(this)
  }

  cancel(reason?: string): Effect.Effect<CancelResult> {
    return Effect.suspend((): Effect.Effect<CancelResult> => {
      if (this.execution !== undefined) return this.execution.cancel(reason)
      if (this.cancelled !== undefined) return Effect.succeed("already-settled")
      this.first.stopped = { reason: reason ?? this.options.cancel?.reason }
      return Effect.succeed("cancelled")
    })
  }

  configure(options: RunOptions<any, any>): RunImpl {
    const given = this.given === undefined ? options : merge(this.given, options)
    const same = options.id === undefined || options.id === this.id
    return new RunImpl(
      this.millis,
      this.random,
      this.workflow,
      this.input,
      given,
      this.starter,
      same ? this.first : undefined
    )
  }
}
