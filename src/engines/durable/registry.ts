/**
 * The workflows that this process knows, and what their bodies run with.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Any } from "../../Workflow.ts"
import { BodyContexts } from "../bodyContexts.ts"
import type { DurableEngine } from "./engine.ts"
import { refuseUnstorable } from "./unstorable.ts"
import { realSleep } from "./writer.ts"

export interface Registration {
  readonly workflow: Any
  readonly context: Context.Context<never>
}

/** How long a process that begins may take to make its workflows known. */
const beginMillis = 1000

const key = (workflow: string, version: string | null | undefined) => `${workflow}@${version ?? ""}`

export class Registry {
  private readonly engine: DurableEngine
  private readonly registrations = new Map<string, Registration>()
  private readonly contexts = new BodyContexts()
  private readonly missed = new Set<string>()

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  find(workflow: string, version: string | null | undefined): Registration | undefined {
    return this.registrations.get(key(workflow, version))
  }

  /** Makes a workflow known here; runs of it that nobody goes on with are taken up. */
  register(workflow: Any, context: Context.Context<never>): void {
    const name = key(workflow.name, workflow.version)
    const known = this.registrations.get(name)
    if (known?.workflow !== workflow) refuseUnstorable(workflow)
    this.registrations.set(name, { workflow, context: this.prepare(context) })
    if (known === undefined && this.engine.runs) this.engine.fork(this.engine.recovery.recover(workflow))
  }

  /** Warns, once, that something is wanted of a run that waits here for its workflow. */
  miss(id: string, workflow: string, version: string | null): void {
    const name = key(workflow, version)
    if (this.missed.has(name)) return
    this.missed.add(name)
    const warn = Effect.suspend(() =>
      this.registrations.has(name)
        ? Effect.void
        : Effect.logWarning(
            `The run ${id} waits for its workflow "${workflow}"${version === null ? "" : `, version "${version}"`}, which is ` +
              `not registered in this process: provide Workflow.toLayer of it where the engine is`
          )
    )
    this.engine.fork(Effect.andThen(realSleep(beginMillis), warn))
  }

  /** What bodies run with. */
  prepare(context: Context.Context<never>): Context.Context<never> {
    return this.contexts.prepare(context)
  }
}
