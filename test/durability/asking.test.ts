// People are asked from outside by a process that does not have the run: whoever has it opens the question, once, and
// whoever asked is told what became of it, or of the run.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"
import { launched, reached } from "./fleet.ts"

const poll = 10

/** A body that waits inside, so that something is there to be asked about. */
const waits = Workflow.make("waits", {
  run: Effect.fnUntraced(function* () {
    yield* Execution.waitForApproval("inside")
    return yield* Step.make("last", { run: Effect.succeed("done") })
  })
})

/** A process that runs nothing. */
const clientOf = (filename: string) =>
  Effect.map(Layer.build(Layer.fresh(layerSqlite({ filename, runs: false, pollInterval: poll }))), (context) =>
    Context.pick(Engine.Engine)(context)
  )

/** A process that runs what waits. */
const ownerOf = (filename: string, settings: { readonly idle?: number } = {}) =>
  Layer.build(
    Layer.fresh(
      Layer.provideMerge(Workflow.toLayer(waits), layerSqlite({ filename, pollInterval: poll, grace: 0, ...settings }))
    )
  )

/** A run that waits in a process that has ended, as somebody sees it who runs nothing. */
const left = Effect.gen(function* () {
  const filename = yield* temporaryFile
  yield* Effect.gen(function* () {
    const execution = yield* (yield* waits.run("", { id: "r" })).start
    yield* reached(execution, "RequestOpened")
  }).pipe(Effect.provide(Layer.fresh(layerSqlite({ filename, grace: 0 }))))
  const there = yield* Effect.provide(Engine.get("r", waits), yield* clientOf(filename))
  return { filename, there }
})

const isOutside = ({ path }: { readonly path: string }) => path.startsWith("handle/")

/** The question from outside, as soon as it is open. */
const question = (execution: Execution.Execution<any, any>) =>
  execution.requests.pipe(
    Effect.delay("5 millis"),
    Effect.map((requests) => requests.find(isOutside)),
    Effect.repeat({ until: (request) => request !== undefined }),
    Effect.map((request) => request!),
    Effect.timeout("10 seconds")
  )

/** What was written of questions from outside. */
const told = (execution: Execution.Execution<any, any>) =>
  Effect.map(Stream.runCollect(execution.events), (events) =>
    events.flatMap((event) =>
      event._tag === "RequestOpened" && isOutside(event)
        ? ["opened"]
        : event._tag === "RequestSettled" && isOutside(event)
          ? [event.outcome]
          : []
    )
  )

const Size = Schema.Struct({ at: Schema.Date, width: Schema.Int })

describe("a question asked where nobody has the run", () => {
  it.live("is opened by whoever takes the run up, and its answer comes back with its type (A1, A3)", () =>
    Effect.gen(function* () {
      const { filename, there } = yield* left
      const asking = yield* Effect.forkChild(there.waitForInput("How big?", Size))
      const agreeing = yield* Effect.forkChild(there.waitForApproval("Sure?", { approvers: ["ada", "bob"] }))
      yield* Effect.sleep("50 millis")
      assert.lengthOf(yield* there.requests, 1)
      yield* ownerOf(filename)
      const size = yield* question(there)
      assert.deepStrictEqual(Object.keys((size as any).jsonSchema.properties), ["at", "width"])
      const wrong = yield* Effect.flip(there.answer(size.id, { at: "now", width: 1.5 }))
      assert.strictEqual(wrong._tag, "InvalidAnswer")
      yield* there.answer(size.id, { at: "2026-01-02T00:00:00.000Z", width: 3 })
      assert.deepStrictEqual(yield* Fiber.join(asking), { at: new Date("2026-01-02"), width: 3 })
      const sure = yield* question(there)
      assert.strictEqual((yield* Effect.flip(there.approve(sure.id, { by: "eve" })))._tag, "ApproverNotAllowed")
      // A no of one of two does not decide.
      yield* there.reject(sure.id, { by: "bob", reason: "Friday" })
      yield* there.approve(sure.id, { by: "ada" })
      assert.include(yield* Fiber.join(agreeing), { approved: true, approvedBy: "ada" })
      yield* there.approve("r:approval")
      assert.strictEqual(yield* there.result, "done")
      assert.deepStrictEqual(yield* told(there), ["opened", "opened", "answered", "approved"])
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )

  it.live("expires when its time is up, and is never opened after that (A4, A5)", () =>
    Effect.gen(function* () {
      const { filename, there } = yield* left
      const [no, yes, input] = yield* Effect.all(
        [
          there.waitForApproval("Now?", { timeout: "50 millis" }),
          there.waitForApproval("Now?", { timeout: "50 millis", autoApproveOnTimeout: true }),
          Effect.flip(there.waitForInput("Name?", Schema.String, { timeout: "50 millis" }))
        ],
        { concurrency: "unbounded" }
      )
      assert.include(no, { approved: false, reason: "timeout" })
      assert.include(yes, { approved: true, reason: "timeout" })
      assert.strictEqual(input._tag === "InputTimedOut" && input.afterMillis >= 50, true)
      yield* ownerOf(filename)
      yield* there.approve("r:approval")
      assert.strictEqual(yield* there.result, "done")
      assert.deepStrictEqual(yield* told(there), [])
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )

  it.live("is not opened any more once whoever asked is interrupted (A4)", () =>
    Effect.gen(function* () {
      const { filename, there } = yield* left
      const asking = yield* Effect.forkChild(there.waitForApproval("Sure?"))
      yield* Effect.sleep("30 millis")
      yield* Fiber.interrupt(asking)
      yield* ownerOf(filename)
      yield* there.approve("r:approval")
      assert.strictEqual(yield* there.result, "done")
      assert.deepStrictEqual(yield* told(there), [])
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )

  it.live("fails with RunSettled when the run settles before anybody looks at it (A3)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const owner = yield* Layer.build(Layer.fresh(layerSqlite({ filename, pollInterval: "1 hour", grace: 0 })))
      const execution = yield* Effect.provide(
        Effect.flatMap(waits.run("", { id: "r" }), (run) => run.start),
        owner
      )
      yield* reached(execution, "RequestOpened")
      const there = yield* Effect.provide(Engine.get("r"), yield* clientOf(filename))
      const asking = yield* Effect.forkChild(there.waitForApproval("Sure?"))
      yield* Effect.sleep("50 millis")
      yield* execution.approve("r:approval")
      assert.strictEqual(yield* execution.result, "done")
      const error = yield* Effect.flip(Fiber.join(asking))
      assert.deepStrictEqual(
        [error._tag, error._tag === "RunSettled" && error.status, yield* there.requests],
        ["RunSettled", "completed", []]
      )
      // What is left of it is swept away.
      yield* Context.get(owner, Durable).signals.handleSignals
      assert.deepStrictEqual(yield* Context.get(owner, Durable).query("SELECT * FROM baton_signals"), [])
      assert.strictEqual((yield* Effect.flip(there.waitForApproval("Sure?")))._tag, "RunSettled")
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )

  it.live("by rules that make no sense is InvalidOptions at once", () =>
    Effect.gen(function* () {
      const { there } = yield* left
      const error = yield* Effect.flip(there.waitForApproval("?", { approvers: ["ada"], requiredApprovals: 2 }))
      assert.strictEqual(error._tag === "InvalidOptions" && error.field, "approval.requiredApprovals")
      assert.strictEqual((yield* Effect.flip(there.waitForInput("?", Size, { timeout: -1 })))._tag, "InvalidOptions")
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )
})

describe("a question that is open", () => {
  it.live("is taken back when whoever asked is interrupted, and the body goes on (A4)", () =>
    Effect.gen(function* () {
      const { filename, there } = yield* left
      yield* ownerOf(filename)
      const asking = yield* Effect.forkChild(there.waitForApproval("Sure?"))
      yield* question(there)
      yield* there.approve("r:approval")
      yield* reached(there, "RequestSettled")
      yield* Fiber.interrupt(asking)
      assert.strictEqual(yield* there.result, "done")
      assert.deepStrictEqual(yield* told(there), ["opened", "withdrawn"])
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )

  it.live("keeps nothing in the memory, and holds the body when that comes back", () =>
    Effect.gen(function* () {
      const { filename, there } = yield* left
      const owner = yield* ownerOf(filename, { idle: 0 })
      const engine = Context.get(owner, Durable)
      const asking = yield* Effect.forkChild(
        Effect.flatMap(Effect.provide(Engine.get("r"), owner), (here) => here.waitForApproval("Sure?"))
      )
      const { id } = yield* question(there)
      while (engine.residents.size > 0) yield* Effect.sleep("5 millis")
      yield* there.approve("r:approval")
      yield* reached(there, "RequestSettled")
      assert.strictEqual(yield* there.status, "awaiting")
      yield* there.approve(id)
      assert.isTrue((yield* Fiber.join(asking)).approved)
      assert.strictEqual(yield* there.result, "done")
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )

  it.live("stays what it was when an attempt fails, its process dies and another goes on with the next (A1)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const fails = Workflow.make("fails", {
        error: Schema.String,
        run: () => Effect.andThen(Effect.sleep("100 millis"), Effect.fail("down"))
      })
      const settings = { idle: 60_000, pollInterval: poll }
      const there = yield* Effect.provide(
        Effect.gen(function* () {
          const life = yield* live(
            filename,
            settings,
            undefined,
            Effect.gen(function* () {
              const run = yield* fails.run("", { id: "r", retry: { attempts: 1, delay: "200 millis" } })
              const execution = yield* run.start
              yield* Effect.forkDetach(execution.waitForApproval("outside"))
              yield* question(execution)
              yield* reached(execution, "RetryScheduled")
              yield* Effect.flatMap(Durable, (engine) => Effect.sync(() => engine.writer.onCrash!()))
            })
          )
          assert.isTrue(life.crashed || life.result === undefined)
          return yield* Engine.get("r")
        }),
        yield* clientOf(filename)
      )
      const { id } = yield* question(there)
      yield* Layer.build(
        Layer.fresh(Layer.provideMerge(Workflow.toLayer(fails), layerSqlite({ filename, ...settings })))
      )
      // It holds the next attempt back.
      yield* Effect.sleep("300 millis")
      assert.strictEqual((yield* question(there)).id, id)
      yield* there.approve(id)
      assert.strictEqual(yield* Effect.flip(there.result), "down")
      const attempts = (yield* Stream.runCollect(there.events)).filter(({ _tag }) => _tag === "AttemptStarted")
      assert.lengthOf(attempts, 2)
      assert.deepStrictEqual(yield* told(there), ["opened", "approved"])
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )

  it.live("is asked again when what was said fits its JSON Schema and not its schema (A3)", () =>
    Effect.gen(function* () {
      const { filename, there } = yield* left
      yield* ownerOf(filename)
      const Even = Schema.Int.check(Schema.makeFilter((n) => n % 2 === 0))
      const asking = yield* Effect.forkChild(there.waitForInput("Even?", Even))
      const first = yield* question(there)
      // Whoever asked knows its schema; another process only the JSON Schema.
      const third = yield* Effect.provide(Engine.get("r"), yield* clientOf(filename))
      assert.strictEqual((yield* Effect.flip(there.answer(first.id, 3)))._tag, "InvalidAnswer")
      yield* third.answer(first.id, 3)
      const second = yield* Effect.repeat(question(there), { until: ({ id }) => id !== first.id })
      yield* third.answer(second.id, 4)
      assert.strictEqual(yield* Fiber.join(asking), 4)
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )
})

describe("an answer that fits the JSON Schema of a body's question and not its schema", () => {
  it.live("is taken back by the owner: the question is open again, and the next answer counts", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const Even = Schema.Int.check(Schema.makeFilter((n) => n % 2 === 0))
      const counts = Workflow.make("counts", { output: Even, run: () => Execution.waitForInput("Even?", Even) })
      const owner = yield* Layer.build(Layer.fresh(layerSqlite({ filename, pollInterval: poll, idle: 0, grace: 0 })))
      const execution = yield* Effect.provide(
        Effect.flatMap(counts.run("", { id: "r" }), (run) => run.start),
        owner
      )
      yield* reached(execution, "RequestOpened")
      const there = yield* Effect.provide(Engine.get("r", counts), yield* clientOf(filename))
      for (const wrong of [3, 5]) {
        yield* there.answer("r:input", wrong)
        assert.lengthOf(yield* there.requests, 0)
        yield* Effect.repeat(Effect.delay(there.requests, "5 millis"), { until: (requests) => requests.length === 1 })
      }
      yield* there.answer("r:input", 4)
      assert.strictEqual(yield* there.result, 4)
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )
})

describe("what a run has used, seen from elsewhere", () => {
  it.live("is what it has used by now, with its children", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const step = (name: string) => Step.make(name, { run: Effect.succeed(name) })
      const child = Workflow.make("child", {
        run: () => Effect.andThen(step("one"), Effect.as(Execution.waitForApproval("child?"), ""))
      })
      const parent = Workflow.make("parent", {
        run: Effect.fnUntraced(function* () {
          yield* Execution.startChild(child, "")
          yield* Execution.waitForApproval("first?")
          yield* step("two")
          yield* step("three")
          yield* Execution.waitForApproval("second?")
          return "done"
        })
      })
      const settings = { filename, pollInterval: poll, grace: 0 }
      const owner = yield* Layer.build(Layer.fresh(layerSqlite({ ...settings, idle: 500 })))
      const engine = Context.get(owner, Durable)
      const execution = yield* Effect.provide(
        Effect.flatMap(parent.run("", { id: "r" }), (run) => run.start),
        owner
      )
      yield* reached(execution, "RequestOpened", "approval")
      const there = yield* Effect.provide(Engine.get("r"), yield* clientOf(filename))
      while (engine.residents.size > 0) yield* Effect.sleep("5 millis")
      assert.strictEqual((yield* there.usage).steps, 1)
      yield* there.approve("r:approval")
      yield* reached(there, "RequestOpened", "approval#2")
      assert.strictEqual((yield* there.usage).steps, 3)
    }).pipe(Effect.scoped, Effect.timeout("20 seconds"))
  )
})

describe("an owner that dies around the opening of a question", () => {
  for (const when of ["before", "after"] as const) {
    it.live(`${when} any write: it is opened once, and answered once (A1, A2)`, () =>
      Effect.gen(function* () {
        const settings = { idle: 0, pollInterval: 5 }
        for (let n = 1, crashed = true; crashed; n++) {
          yield* Effect.gen(function* () {
            const { filename, there } = yield* left
            const asking = yield* Effect.forkChild(there.waitForApproval("Sure?"))
            const answering = yield* Effect.forkChild(
              Effect.flatMap(question(there), ({ id }) => there.approve(id, { by: "ada" }))
            )
            const inside = Effect.forever(Effect.andThen(Effect.ignore(there.approve("r:approval")), Effect.sleep(5)))
            const run = Effect.gen(function* () {
              const engine = yield* Engine.Engine
              yield* engine.register(waits)
              yield* Fiber.join(answering)
              return yield* Effect.raceFirst(there.result, inside)
            })
            const first = yield* live(filename, settings, (write) => (write === n ? when : undefined), run)
            if (first.crashed) yield* live(filename, settings, undefined, run)
            assert.include(yield* Fiber.join(asking), { approved: true, approvedBy: "ada" })
            assert.deepStrictEqual(yield* told(there), ["opened", "approved"], `write ${n}`)
            crashed = first.crashed
          }).pipe(Effect.scoped, Effect.timeout("10 seconds"))
        }
      })
    )
  }
})

describe("a process that is killed while it waits for an answer", () => {
  it.live("leaves its question open: the answer lets the body go on", () =>
    Effect.gen(function* () {
      const { filename, there } = yield* left
      yield* ownerOf(filename)
      const { kill } = yield* launched("asker.ts", filename, "r")
      const { id, message } = yield* question(there)
      assert.strictEqual(message, "Sure?")
      yield* kill("SIGKILL")
      yield* there.approve("r:approval")
      yield* reached(there, "RequestSettled")
      assert.strictEqual(yield* there.status, "awaiting")
      yield* there.approve(id)
      assert.strictEqual(yield* there.result, "done")
    }).pipe(Effect.scoped, Effect.timeout("30 seconds"))
  )
})
