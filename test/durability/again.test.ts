import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Redacted, Scheduler, Schema, Stream } from "effect"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"
import { random, scheduler } from "../support/executions.ts"

class Down extends Schema.TaggedError<Down>()("Down", {}) {}

class Refused extends Schema.TaggedError<Refused>()("Refused", {
  user: Schema.String,
  token: Schema.Redacted(Schema.String, { label: "token" }),
  url: Schema.URL
}) {}

const onFile = Layer.unwrap(Effect.map(temporaryFile, (filename) => layerSqlite({ filename, idle: "1 hour" })))

describe("beginning again", () => {
  it.effect("a retried run does not redo what succeeded, nor ask again what was answered", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      let isUp = false
      const report = Workflow.make("report", {
        error: Down,
        run: Effect.fnUntraced(function* (topic) {
          const facts = yield* Step.make("collect", {
            run: Effect.sync(() => `facts ${log.push("collect")} on ${topic}`)
          })
          const { approvedBy } = yield* Execution.waitForApproval("send?")
          return yield* Step.make("send", {
            error: Down,
            run: Effect.suspend(() =>
              isUp ? Effect.succeed(`sent ${facts} for ${approvedBy}`) : Effect.fail(new Down())
            )
          })
        })
      })
      const execution = yield* (yield* report.run("tea", { id: "report-1", tags: ["weekly"] })).start
      yield* execution.events.pipe(
        Stream.takeUntil((event) => event._tag === "RequestOpened"),
        Stream.runDrain
      )
      const [request] = yield* execution.requests
      yield* execution.approve(request.id, { by: "ada" })
      assert.instanceOf(yield* Effect.flip(execution.result), Down)
      isUp = true
      const again = yield* Engine.retry("report-1")
      assert.strictEqual(yield* again.result, "sent facts 1 on tea for ada")
      assert.deepStrictEqual(log, ["collect"])
      assert.strictEqual(yield* execution.status, "failed")
      assert.strictEqual((yield* Engine.list({ tag: "weekly" })).length, 2)
      const refused = yield* Effect.flip(Engine.retry(again.id))
      assert.strictEqual(refused._tag, "NotResumable")
    }).pipe(Effect.provide(onFile))
  )

  it.effect("a fork shares the results before a step, and may have another input", () =>
    Effect.gen(function* () {
      let drafts = 0
      const write = Workflow.make("write", {
        run: Effect.fnUntraced(function* (topic) {
          const facts = yield* Step.make("collect", { run: Effect.succeed(`facts on ${topic}`) })
          return yield* Step.make("draft", { run: Effect.sync(() => `draft ${++drafts} for ${topic}: ${facts}`) })
        })
      })
      assert.strictEqual(yield* write.execute("tea", { id: "write-1" }), "draft 1 for tea: facts on tea")
      const fork = yield* Engine.fork("write-1", { fromStep: "draft", input: "coffee" })
      assert.strictEqual(yield* fork.result, "draft 2 for coffee: facts on tea")
      const unknown = yield* Effect.flip(Engine.fork("write-1", { fromStep: "nope" }))
      assert.include(unknown.message, `its steps are: "collect", "draft"`)
    }).pipe(Effect.provide(onFile))
  )

  it.effect("a fork whose new input does not fit is refused, and leaves nothing", () =>
    Effect.gen(function* () {
      const write = Workflow.make("write", { run: (topic) => Step.make("draft", { run: Effect.succeed(topic) }) })
      yield* write.execute("tea", { id: "write-2" })
      const refused = yield* Effect.flip(Engine.fork("write-2", { fromStep: "draft", input: { topic: "tea" } }))
      assert.include(refused.message, "Invalid input of write")
      assert.strictEqual((yield* Engine.list()).length, 1)
    }).pipe(Effect.provide(onFile))
  )

  it.effect("pruning by settings that make no sense is a defect that names the setting, and removes nothing", () =>
    Effect.gen(function* () {
      const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
      yield* echo.execute("hi")
      const nonsense = [
        { olderThan: "soon" as "1 day" },
        { olderThan: 0, keep: Number.NaN },
        { olderThan: 0, keep: -1 }
      ]
      for (const options of nonsense) {
        const field = "keep" in options ? "keep" : "olderThan"
        assert.include(
          String(yield* Effect.exit(Engine.prune(options))),
          `Invalid definition of Engine.prune at "${field}"`
        )
      }
      assert.strictEqual((yield* Engine.list()).length, 1)
    }).pipe(Effect.provide(onFile))
  )

  it.effect("pruning removes what settled long ago with everything stored of it, and keeps the newest", () =>
    Effect.gen(function* () {
      const echo = Workflow.make("echo", { run: (text) => Step.make("say", { run: Effect.succeed(text) }) })
      for (const n of [1, 2, 3]) yield* echo.execute("hi", { id: `echo-${n}` })
      assert.strictEqual(yield* Engine.prune({ olderThan: "1 day" }), 0)
      assert.strictEqual(yield* Engine.prune({ olderThan: 0, keep: 1 }), 2)
      const left = yield* Engine.list()
      assert.strictEqual(left.length, 1)
      const gone = ["echo-1", "echo-2", "echo-3"].filter((id) => id !== left[0].id)
      for (const id of gone) assert.strictEqual((yield* Effect.flip(Engine.get(id)))._tag, "ExecutionNotFound")
    }).pipe(Effect.provide(onFile))
  )

  it.effect("pruning many that ended at one moment removes all but those to be kept", () =>
    Effect.gen(function* () {
      const echo = Workflow.make("echo", { run: (text) => Effect.succeed(text) })
      const ids = Array.from({ length: 150 }, (_, n) => `echo-${1000 + n}`)
      yield* Effect.forEach(ids, (id) => echo.execute("hi", { id }), { concurrency: "unbounded", discard: true })
      assert.strictEqual(yield* Engine.prune({ olderThan: 0, keep: 10 }), 140)
      assert.deepStrictEqual(
        (yield* Engine.list()).map(({ id }) => id),
        ids.slice(140)
      )
    }).pipe(Effect.provide(onFile))
  )
})

class Greeting extends Context.Service<Greeting, string>()("Greeting") {}

const greet = Workflow.make("greet", {
  run: (name) =>
    Effect.gen(function* () {
      yield* Execution.waitForApproval("greet?")
      return `${yield* Greeting} ${name}`
    })
})

describe("registered workflows", () => {
  for (const [name, engine] of [
    ["memory", Engine.layerMemory],
    ["SQLite", onFile]
  ] as const) {
    it.effect(`a run is submitted without what its body needs, on ${name}`, () =>
      Effect.gen(function* () {
        const execution = yield* (yield* greet.run("ada")).submit
        yield* execution.events.pipe(
          Stream.takeUntil((event) => event._tag === "RequestOpened"),
          Stream.runDrain
        )
        yield* execution.approve((yield* execution.requests)[0].id)
        assert.strictEqual(yield* execution.result, "hello ada")
      }).pipe(
        Effect.provide(
          Workflow.toLayer(greet).pipe(Layer.provide(Layer.succeed(Greeting, "hello")), Layer.provideMerge(engine))
        )
      )
    )

    it.effect(`submitting a workflow that is not registered is an error that says so, on ${name}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip((yield* greet.run("ada")).submit)
        assert.strictEqual(error._tag, "WorkflowNotRegistered")
        assert.include(error.message, "Workflow.toLayer")
      }).pipe(Effect.provide(engine))
    )
  }

  it.live("a process that runs nothing submits, watches, answers and cancels what another one runs", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const runner = Workflow.toLayer(greet).pipe(
        Layer.provide(Layer.succeed(Greeting, "hello")),
        Layer.provideMerge(layerSqlite({ filename, idle: 0, pollInterval: "10 millis" }))
      )
      const client = layerSqlite({ filename, runs: false, pollInterval: "10 millis" })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Layer.build(runner)
          const context = yield* Layer.build(client)
          yield* Effect.gen(function* () {
            const one = yield* (yield* greet.run("ada")).submit
            const two = yield* (yield* greet.run("bob")).submit
            for (const execution of [one, two]) {
              yield* execution.events.pipe(
                Stream.takeUntil((event) => event._tag === "RequestOpened"),
                Stream.runDrain
              )
            }
            const [request] = yield* one.requests
            yield* one.approve(request.id, { by: "eve" })
            assert.strictEqual((yield* Effect.flip(one.approve(request.id, { by: "mallory" })))._tag, "RequestSettled")
            assert.strictEqual(yield* one.result, "hello ada")
            assert.strictEqual(yield* two.cancel("enough"), "cancelled")
            assert.strictEqual(yield* two.status, "cancelled")
          }).pipe(Effect.provide(context))
        })
      )
    })
  )
})

describe("code that changed", () => {
  it.live("a run waits for the version it began with, and goes on when that is registered (D10)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const version = (version: string) =>
        Workflow.make("versioned", {
          version,
          run: () => Effect.as(Execution.waitForApproval("ok?"), `by version ${version}`)
        })
      yield* live(
        filename,
        {},
        undefined,
        Effect.flatMap(version("1").run("", { id: "v" }), (run) => run.start)
      )
      const second = yield* live(
        filename,
        {},
        undefined,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          yield* engine.register(version("2"))
          const execution = yield* Engine.get("v")
          yield* execution.approve((yield* execution.requests)[0].id)
          return yield* execution.status
        })
      )
      assert.strictEqual(second.result, "awaiting")
      const third = yield* live(
        filename,
        {},
        undefined,
        Effect.gen(function* () {
          const engine = yield* Engine.Engine
          yield* engine.register(version("2"))
          yield* engine.register(version("1"))
          return yield* (yield* Engine.get("v")).result
        })
      )
      assert.strictEqual(third.result, "by version 1")
    }).pipe(Effect.scoped)
  )

  it.live("a result that does not fit a step's schema any more holds the run until one fits (D10)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const make = (output: Schema.Codec<any, any>, value: unknown) =>
        Workflow.make("changed", {
          output: Schema.Unknown,
          run: Effect.fnUntraced(function* () {
            const a = yield* Step.make("a", { output, run: Effect.succeed(value) })
            yield* Execution.waitForApproval("ok?")
            return a
          })
        })
      const life = (
        workflow: Workflow.Workflow<string, unknown>,
        program: Effect.Effect<unknown, unknown, Engine.Engine>
      ) =>
        live(
          filename,
          {},
          undefined,
          Effect.gen(function* () {
            const engine = yield* Engine.Engine
            yield* engine.register(workflow)
            return yield* program
          })
        )
      const start = Effect.gen(function* () {
        const execution = yield* (yield* make(Schema.String, "text").run("", { id: "c" })).start
        yield* execution.events.pipe(
          Stream.takeUntil((event) => event._tag === "RequestOpened"),
          Stream.runDrain
        )
      })
      yield* life(make(Schema.String, "text"), start)
      const held = yield* life(
        make(Schema.Number, 1),
        Effect.gen(function* () {
          yield* Effect.sleep("50 millis")
          return (yield* Engine.list())[0].held
        })
      )
      assert.include(String((held.result as Engine.ReplayMismatch).message), `"a"`)
      const mended = yield* life(
        make(Schema.String, "text"),
        Effect.gen(function* () {
          const execution = yield* Engine.get("c")
          yield* execution.approve((yield* execution.requests)[0].id)
          return yield* execution.result
        })
      )
      assert.strictEqual(mended.result, "text")
    }).pipe(Effect.scoped)
  )
})

describe("what is stored", () => {
  it.effect("a workflow whose schemas hold secrets is refused", () =>
    Effect.gen(function* () {
      const login = Workflow.make("login", {
        input: Schema.Struct({ user: Schema.String, password: Schema.Redacted(Schema.String) }),
        run: ({ user }) => Effect.succeed(user)
      })
      const run = yield* login.run({ user: "ada", password: Redacted.make("xyz") })
      const exit = yield* Effect.exit(run.start)
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(exit), "InvalidDefinition")
      assert.deepStrictEqual(yield* Engine.list(), [])
    }).pipe(Effect.provide(onFile))
  )

  it.effect("an input request whose answer would be a secret is refused, from inside of a body and from outside", () =>
    Effect.gen(function* () {
      const secret = Schema.Struct({ user: Schema.String, token: Schema.Redacted(Schema.String) })
      const login = Workflow.make("login", { run: () => Effect.as(Execution.waitForInput("Who?", secret), "in") })
      const inside = yield* Effect.exit(login.execute(""))
      assert.include(String(inside), `Invalid definition of login at "waitForInput("Who?")"`)
      const asks = Workflow.make("asks", { run: () => Effect.as(Execution.waitForApproval("?"), "") })
      const execution = yield* (yield* asks.run("")).start
      assert.include(String(yield* Effect.exit(execution.waitForInput("Who?", secret))), "without secrets")
    }).pipe(Effect.provide(onFile))
  )

  it.effect("a secret in an error is crossed out", () =>
    Effect.gen(function* () {
      const refused = Workflow.make("refused", {
        error: Refused,
        run: () =>
          Effect.fail(
            new Refused({
              user: "ada",
              token: Redacted.make("s3cret", { label: "token" }),
              url: new URL("https://a.example")
            })
          )
      })
      const execution = yield* (yield* refused.run("", { id: "r" })).start
      yield* Effect.exit(execution.result)
      const later = yield* Effect.flip((yield* Engine.get("r")).result)
      assert.instanceOf(later, Refused)
      assert.deepStrictEqual([later.user, Redacted.value(later.token)], ["ada", "<redacted>"])
      assert.strictEqual(later.url.host, "a.example")
    }).pipe(Effect.provide(onFile))
  )

  it.effect("a result that is not plain JSON is a defect that names the step", () =>
    Effect.gen(function* () {
      const dates = Workflow.make("dates", {
        run: () => Effect.as(Step.make("when", { run: Effect.succeed(new Map()) }), "")
      })
      const exit = yield* Effect.exit(dates.execute(""))
      assert.include(String(exit), `step "when" of dates can not be stored`)
    }).pipe(Effect.provide(onFile))
  )

  it.effect("input that can not be stored is InvalidInput, also where another process would run it", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const anything = Workflow.make("anything", {
        input: Schema.Struct({ at: Schema.Unknown }),
        run: () => Effect.succeed("")
      })
      for (const runs of [true, false]) {
        const submitted = Effect.flatMap(anything.run({ at: new Map() }), (run) => run.submit)
        const refused = Effect.flip(Effect.flatMap(submitted, (execution) => execution.result))
        const error = yield* refused.pipe(
          Effect.provide(Layer.provideMerge(Workflow.toLayer(anything), layerSqlite({ filename, runs })))
        )
        assert.include(error.message, 'Invalid input of anything at "at": Expected JSON value')
      }
    })
  )

  for (const maxCrashes of [1, 3, 10]) {
    it.live(`a run that takes its process down at once is failed alone, after ${maxCrashes + 1} times`, () =>
      Effect.gen(function* () {
        const filename = yield* temporaryFile
        let lives = 0
        const poison = Workflow.make("poison", {
          run: Effect.fnUntraced(function* () {
            yield* Step.make("fine", { run: Effect.succeed("") })
            return yield* Step.make("boom", { run: Effect.as(Effect.andThen(crashNow, Effect.never), "") })
          })
        })
        const innocent = Workflow.make("innocent", {
          run: () => Step.make("long", { run: Effect.as(Effect.sleep("300 millis"), "done") })
        })
        const asks = Workflow.make("asks", { run: () => Effect.map(Execution.waitForApproval("?"), () => "asked") })
        const life = live(
          filename,
          { maxCrashes },
          undefined,
          Effect.gen(function* () {
            const others = yield* Effect.forEach([innocent, asks, innocent], (workflow, i) =>
              Effect.flatMap(workflow.run("", { id: `other-${i}` }), (run) => run.start)
            )
            const bad = yield* (yield* poison.run("", { id: "bad" })).start
            lives++
            const exit = yield* Effect.exit(bad.result)
            yield* others[1].approve((yield* Execution.nextRequest(others[1])).id, { by: "ada" })
            return { exit, others: yield* Effect.forEach(others, (execution) => execution.result) }
          })
        )
        let last = yield* life
        while (last.result === undefined && lives < 30) last = yield* life
        assert.include(String(last.result?.exit), `took its process down ${maxCrashes + 1} times`)
        assert.include(String(last.result?.exit), 'in or after step "fine"')
        assert.deepStrictEqual(last.result?.others, ["done", "asked", "done"])
      }).pipe(Effect.scoped)
    )
  }
})

const crashNow = Effect.flatMap(Durable, (engine) => Effect.sync(() => engine.writer.onCrash!()))

describe("another attempt after a crash", () => {
  it.live("asks again what an attempt before it was answered, unless it resumes", () =>
    Effect.gen(function* () {
      for (const mode of ["restart", "resume"] as const) {
        const filename = yield* temporaryFile
        const asks = Workflow.make("asks", {
          error: Down,
          run: Effect.fnUntraced(function* () {
            yield* Execution.waitForApproval("go?")
            const n = yield* Step.make("count", {
              run: Effect.map(Step.idempotencyKey, (key) => (key.includes("@") ? 2 : 1))
            })
            yield* Execution.waitForApproval("on?")
            return n === 1 && mode === "restart" ? yield* new Down() : mode === "resume" ? yield* new Down() : "done"
          })
        })
        const start = Effect.flatMap(
          asks.run("", { id: "asks", retry: { attempts: 1, delay: "1 millis", mode } }),
          (run) => run.start
        )
        const approve = (execution: Execution.Execution<unknown, unknown>, opened: number) =>
          execution.events.pipe(
            Stream.filter((event) => event._tag === "RequestOpened"),
            Stream.take(opened),
            Stream.runForEach((event) => Effect.ignore(execution.approve(event.requestId)))
          )
        // The process ends where the second question is open.
        yield* live(
          filename,
          {},
          undefined,
          Effect.gen(function* () {
            const execution = yield* start
            yield* approve(execution, 1)
            yield* execution.events.pipe(
              Stream.filter((event) => event._tag === "RequestOpened"),
              Stream.take(2),
              Stream.runDrain
            )
          })
        )
        const { result } = yield* live(
          filename,
          {},
          undefined,
          Effect.gen(function* () {
            const execution = yield* start
            const approving = yield* Effect.forkChild(approve(execution, 10))
            yield* Effect.exit(execution.result)
            yield* Fiber.interrupt(approving)
            const events = yield* Stream.runCollect(execution.events)
            return events.filter((event) => event._tag === "RequestOpened").length
          })
        )
        assert.strictEqual(result, mode === "restart" ? 4 : 2)
      }
    }).pipe(Effect.scoped)
  )
})

describe("a request that is interrupted", () => {
  it.live("leaves its place free, wherever the interrupt comes", () =>
    Effect.gen(function* () {
      const asks = Workflow.make("asks", {
        output: Schema.Array(Schema.String),
        run: Effect.fnUntraced(function* (seed) {
          const next = random(Number(seed))
          const odd = scheduler(() => next() < 0.3)
          const died: Array<string> = []
          for (let turns = 0; turns < 12; turns++) {
            const asking = yield* Effect.forkChild(
              Effect.provideService(Execution.waitForApproval("go?"), Scheduler.Scheduler, odd)
            )
            for (let n = 0; n < turns % 4; n++) yield* Effect.yieldNow
            yield* Fiber.interrupt(asking)
            const exit = yield* Fiber.await(asking)
            if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) died.push(String(exit.cause))
          }
          return died
        })
      })
      for (let seed = 1; seed <= 10; seed++) assert.deepStrictEqual(yield* asks.execute(`${seed}`), [])
    }).pipe(Effect.provide(onFile))
  )
})
