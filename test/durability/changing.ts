// Runs that begin with one body and go on with another.
import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"

export const did = (name: string) => Step.make(name, { run: Effect.succeed(`did ${name}`) })

export const ask = Effect.asVoid(Execution.waitForApproval("go on?"))

export type Body = Effect.Effect<unknown, any, any>

export const workflow = (body: Body) =>
  Workflow.make("changing", { run: () => Effect.as(body, "done") as Effect.Effect<string> })

/** Begins a run with one body, waits until it asks, and takes it up with another one; how it is held, or how it ended. */
export const change = (before: Body, after: Body) =>
  Effect.gen(function* () {
    const filename = yield* temporaryFile
    yield* live(
      filename,
      { grace: "10 millis" },
      undefined,
      Effect.gen(function* () {
        const execution = yield* (yield* workflow(before).run("", { id: "c" })).start
        yield* execution.events.pipe(
          Stream.takeUntil((event) => event._tag === "RequestOpened"),
          Stream.runDrain
        )
      })
    )
    const takeUp = (body: Body) =>
      live(
        filename,
        { grace: "10 millis" },
        undefined,
        Effect.gen(function* () {
          yield* (yield* Engine.Engine).register(workflow(body))
          const execution = yield* Engine.get("c")
          const approve = execution.events.pipe(
            Stream.filter((event) => event._tag === "RequestOpened"),
            Stream.runForEach((event) => Effect.ignore(execution.approve(event.requestId)))
          )
          const held = Effect.gen(function* () {
            for (;;) {
              const [{ held }] = yield* Engine.list()
              if (held !== undefined) return held
              yield* Effect.sleep("5 millis")
            }
          })
          return yield* Effect.raceFirst(
            Effect.as(execution.exit, "done" as const),
            Effect.raceFirst(held, Effect.andThen(approve, Effect.never))
          )
        })
      )
    const { result } = yield* takeUp(after)
    // Whatever came of it, the body that it began with goes on with it.
    if (result !== "done") assert.strictEqual((yield* takeUp(before)).result, "done")
    return result === "done" ? result : `${result!.path}: expected ${result!.expected}, found ${result!.found}`
  }).pipe(Effect.scoped)

export const seq = (...bodies: ReadonlyArray<Body>): Body => Effect.all(bodies, { discard: true })
export const par = (...bodies: ReadonlyArray<Body>): Body =>
  Effect.all(bodies, { concurrency: "unbounded", discard: true })
export const apart = (name: string, body: Body): Body =>
  Workflow.make(name, { run: () => Effect.as(body, "") as Effect.Effect<string> }).call("")
