/**
 * Runs that begin with what another had: retries and forks.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Execution } from "../../Execution.ts"
import { ExecutionImpl } from "../../internal/execution.ts"
import { RunImpl } from "../../internal/run.ts"
import type { RunOptions } from "../../Run.ts"
import { ExecutionNotFound, type History, NotResumable, WorkflowNotRegistered } from "../../services/Engine.ts"
import { decode, parse } from "./codec.ts"
import type { DurableEngine } from "./engine.ts"
import { type EventRow, seedsOf } from "./history.ts"
import { DurableJournal } from "./journal.ts"
import { fromStored } from "./options.ts"
import { fiberCache, lastAttempt, restarter } from "./recovery.ts"
import type { Registration } from "./registry.ts"
import type { RunRow } from "./rows.ts"

export class Sequels {
  private readonly engine: DurableEngine

  constructor(engine: DurableEngine) {
    this.engine = engine
  }

  private source(
    id: string
  ): Effect.Effect<
    { readonly row: RunRow; readonly registration: Registration },
    ExecutionNotFound | WorkflowNotRegistered
  > {
    return Effect.gen({ self: this }, function* () {
      yield* this.engine.writer.drained
      const row = yield* this.engine.reads.run(id)
      if (row === undefined) return yield* new ExecutionNotFound({ id })
      const registration = this.engine.registry.find(row.workflow, row.version)
      if (registration !== undefined) return { row, registration }
      return yield* new WorkflowNotRegistered({
        workflow: row.workflow,
        ...(row.version === null ? {} : { version: row.version })
      })
    })
  }

  /** A new run that begins with what another had, or had before a step. */
  private again(
    row: RunRow,
    { context, workflow }: Registration,
    input: unknown,
    events: ReadonlyArray<EventRow>,
    fromStep?: string
  ): Effect.Effect<Execution<any, any>> {
    return Effect.gen({ self: this }, function* () {
      const history = yield* this.engine.reads.history(row, events)
      const options = { ...fromStored(parse(row.options), workflow.defaults), id: undefined } as RunOptions
      const run = new RunImpl(this.engine.now(), Math.abs(yield* Random.nextInt), workflow, input, options, restarter)
      const journal = new DurableJournal(this.engine, run.id, this.engine.nextEpoch(), this.engine.now())
      const draft = new ExecutionImpl(run, this.engine, context, undefined, journal)
      const seeds = seedsOf(history, events, options.retry?.mode === "resume", fromStep)
      return yield* this.engine.starts.insert(draft, journal, fiberCache, seeds, row.id)
    })
  }

  retry(id: string): ReturnType<History["retry"]> {
    return Effect.gen({ self: this }, function* () {
      const { registration, row } = yield* this.source(id)
      if (row.status !== "failed" && row.status !== "cancelled") {
        return yield* new NotResumable({
          id,
          problem: `it is ${row.status}: only failed and cancelled runs are retried`
        })
      }
      const input = decode(registration.workflow.input, parse(row.input))
      if (input === undefined) return yield* new NotResumable({ id, problem: "its input does not fit the workflow" })
      const events = yield* this.engine.reads.events(id)
      return yield* this.again(row, registration, input.value, events)
    })
  }

  fork(id: string, options: { readonly fromStep: string; readonly input?: unknown }): ReturnType<History["fork"]> {
    return Effect.gen({ self: this }, function* () {
      const { registration, row } = yield* this.source(id)
      const events = yield* this.engine.reads.events(id)
      const last = lastAttempt(events)
      const steps = events.filter((event) => event.tag === "StepStarted" && event.attempt === last)
      if (!steps.some((event) => event.path === options.fromStep)) {
        const known = steps.map((event) => `"${event.path}"`).join(", ")
        return yield* new NotResumable({ id, problem: `it has no step "${options.fromStep}"; its steps are: ${known}` })
      }
      const invalid = "input" in options ? registration.workflow["~inner"].checkInput(options.input) : undefined
      if (invalid !== undefined) return yield* new NotResumable({ id, problem: invalid.message })
      const input =
        "input" in options ? { value: options.input } : decode(registration.workflow.input, parse(row.input))
      if (input === undefined) return yield* new NotResumable({ id, problem: "its input does not fit the workflow" })
      return yield* this.again(row, registration, input.value, events, options.fromStep)
    })
  }
}
