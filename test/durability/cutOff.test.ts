// Steps, requests and children that a crash cuts off, and that a cancel or a timeout then finds: they end as they would
// have ended without the crash.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { type Engine, type Event, Execution, type Run, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}

const step = (name: string) => Step.make(name, { run: Effect.succeed(name) })

const slow = Step.make("slow", { run: Effect.as(Effect.never, "") })

type Any = Workflow.Workflow<string, string, any>
type Handle = Execution.Execution<string, any>

const normal = ({ sequence: _sequence, time: _time, ...rest }: Event.Event): string =>
  JSON.stringify(rest, (key, value) =>
    key === "durationMillis" ? undefined : typeof value === "string" ? value.replace(/run_\w{20,}/g, "run_") : value
  )

const byPlace = (events: ReadonlyArray<Event.Event>): Record<string, ReadonlyArray<string>> =>
  Object.fromEntries(
    Object.entries(Object.groupBy(events, (event) => event.path)).map(([path, events]) => [path, events!.map(normal)])
  )

/** A run over as many processes as it needs; the first one dies where it is told to, and nobody is up for a while. */
const over = (
  workflow: Any,
  options: Run.RunOptions<string, any>,
  during: (execution: Handle) => Effect.Effect<unknown, unknown, Engine.Engine>,
  strike: { readonly write: number; readonly where: "before" | "after" } | undefined,
  downMillis: number
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const once = Effect.gen(function* () {
        const execution = yield* (yield* workflow.run("", { ...options, id: "r" })).start
        yield* Effect.raceFirst(execution.exit, Effect.andThen(Effect.ignore(during(execution)), Effect.never))
        const events = yield* Stream.runCollect(execution.events)
        return { exit: String(yield* execution.exit), events }
      })
      let fault = strike && ((write: number) => (write === strike.write ? strike.where : undefined))
      for (;;) {
        const { crashed, result, writes } = yield* live(filename, { idle: "1 hour" }, fault, once)
        if (result !== undefined && !crashed) return { ...result, writes }
        fault = undefined
        yield* Effect.sleep(downMillis)
      }
    })
  )

const endsAlike = (
  name: string,
  workflow: Any,
  options: Run.RunOptions<string, any>,
  during: (execution: Handle) => Effect.Effect<unknown, unknown, Engine.Engine> = () => Effect.void,
  downMillis = 0
) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        const undisturbed = yield* over(workflow, options, during, undefined, 0)
        for (let write = 1; write <= undisturbed.writes; write++) {
          for (const where of ["before", "after"] as const) {
            const { events, exit } = yield* over(workflow, options, during, { write, where }, downMillis)
            assert.deepStrictEqual(
              [exit, byPlace(events)],
              [undisturbed.exit, byPlace(undisturbed.events)],
              `${where} ${write}`
            )
          }
        }
      }),
    60_000
  )

const when =
  (tag: Event.Event["_tag"], path: string) =>
  (then: (execution: Handle) => Effect.Effect<unknown>) =>
  (execution: Handle) =>
    execution.events.pipe(
      Stream.filter((event) => event._tag === tag && event.path === path),
      Stream.take(1),
      Stream.runForEach(() => then(execution))
    )

const cancelAt = (path: string, tag: Event.Event["_tag"] = "StepStarted") =>
  when(tag, path)((execution) => execution.cancel("enough"))

const make = (run: () => Effect.Effect<string, any, any>) => Workflow.make("cut", { error: Broken, run }) as Any

const shapes: Record<
  string,
  readonly [body: () => Effect.Effect<string, any, any>, at: string, tag?: Event.Event["_tag"]]
> = {
  "a step": [() => Effect.andThen(step("a"), slow), "slow"],
  "a step in a step": [
    () => Effect.andThen(step("a"), Step.make("outer", { run: Effect.andThen(step("b"), slow) })),
    "outer/slow"
  ],
  "steps side by side": [
    () =>
      Effect.as(Effect.all([slow, Step.make("other", { run: Effect.as(Effect.never, "") })], { concurrency: 2 }), ""),
    "other"
  ],
  "a step whose finalizer is a step": [
    () => Effect.onInterrupt(Effect.andThen(step("a"), slow), () => Effect.asVoid(Effect.orDie(step("undo")))),
    "slow"
  ],
  "a request": [() => Effect.as(Execution.waitForApproval("ok?"), ""), "approval", "RequestOpened"],
  "a request in a step": [
    () => Step.make("asks", { run: Effect.as(Execution.waitForApproval("ok?"), "") }),
    "asks/approval",
    "RequestOpened"
  ],
  "a step that failed, and one that goes on": [
    () => Effect.andThen(Effect.ignore(Step.make("fails", { error: Broken, run: new Broken() })), slow),
    "slow"
  ]
}

/** Takes its time when it is cancelled: whoever started it is cut off meanwhile. */
const undoes = Workflow.make("undoes", {
  run: () =>
    Effect.onInterrupt(Effect.as(Execution.waitForApproval("ok?"), ""), () =>
      Effect.asVoid(Effect.orDie(Effect.andThen(step("undo"), step("undo more"))))
    )
})

describe("a cancel that waits for a child, with a crash at every write, ends", () => {
  for (const [name, [body, at, tag]] of Object.entries(shapes)) {
    const withChild = () =>
      Effect.andThen(Execution.startChild(undoes, "", { cancel: { graceful: true } }), Effect.suspend(body))
    endsAlike(name, make(withChild), { cancel: { graceful: true } }, cancelAt(at, tag))
  }
})

describe("a cancel, with a crash at every write, ends", () => {
  for (const [name, [body, at, tag]] of Object.entries(shapes)) {
    endsAlike(name, make(body), { cancel: { graceful: true } }, cancelAt(at, tag))
  }
})

for (const downMillis of [0, 150]) {
  const down = downMillis === 0 ? "" : ", that falls due while every process is down"
  describe(`a timeout${down}, with a crash at every write, ends`, () => {
    for (const [name, [body]] of Object.entries(shapes)) {
      endsAlike(name, make(body), { timeout: "100 millis" }, undefined, downMillis)
    }
  })
}

describe("a timeout that cancels, or that ends an attempt of several, and falls due while every process is down,", () => {
  const [body] = shapes["a step in a step"]
  const timeout = { duration: "100 millis", onTimeout: "cancel" } as const
  endsAlike("cancels the run", make(body), { timeout, cancel: { graceful: true } }, undefined, 150)
  const retry = { attempts: 1, delay: "1 millis" } as const
  endsAlike("begins the next one", make(body), { timeout: "100 millis", retry }, undefined, 150)
})

describe("a step that interrupts itself, with a crash at every write,", () => {
  const itself = Step.make("itself", { run: Effect.as(Effect.interrupt, "") })
  endsAlike(
    "cancels its run",
    make(() => Effect.andThen(step("a"), itself)),
    {}
  )
  endsAlike(
    "is caught by its body, which goes on",
    make(() =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(itself)
        return `${yield* step("b")} after ${exit._tag}`
      })
    ),
    {}
  )
  endsAlike(
    "through a fiber of its own ends as it did",
    make(() =>
      Effect.gen(function* () {
        const inner = Step.make("joins", {
          run: Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(Effect.as(Effect.never, ""))
            yield* Fiber.interrupt(fiber)
            return yield* Fiber.join(fiber)
          })
        })
        const exit = yield* Effect.exit(inner)
        return `${yield* step("b")} after ${exit._tag}`
      })
    ),
    {}
  )
})
