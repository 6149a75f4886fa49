// What a replay of a body does with the model calls that it made before.
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Schema, Stream, Tracer } from "effect"
import { AiError, Chat, Decision, DecisionModel, LanguageModel, Tool, Toolkit } from "effect/ai"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { layerSqlite } from "../../src/engines/durable/layer.ts"
import { loadJournaling } from "../../src/services/BodyModel.ts"
import { type Answer, delta, type Flow, failsWith, finish, says, script } from "../support/models.ts"

const say = (prompt: string) => Effect.map(LanguageModel.generateText({ prompt }), ({ text }) => text)

const deltas = (prompt: string) =>
  LanguageModel.streamText({ prompt }).pipe(
    Stream.flatMap((part) => (part.type === "text-delta" ? Stream.succeed(part.delta) : Stream.empty))
  )

const onFile = Layer.unwrap(Effect.map(temporaryFile, (filename) => layerSqlite({ filename, idle: "1 hour" })))

const opened = (execution: Execution.Execution<any, any>) =>
  execution.events.pipe(
    Stream.takeUntil((event) => event._tag === "RequestOpened"),
    Stream.runDrain
  )

/** A body that goes on after a question: two engines after each other run it, the second one answers. */
const replayed = (
  run: Effect.Effect<unknown, any, any>,
  model: LanguageModel.LanguageModel,
  options: { readonly between?: Effect.Effect<unknown>; readonly services?: Context.Context<never> } = {}
) =>
  Effect.gen(function* () {
    const workflow = Workflow.make("body", {
      output: Schema.Unknown,
      run: () =>
        Effect.gen(function* () {
          const before = yield* run
          yield* Execution.waitForApproval("go on?")
          return [before, yield* say("after")]
        }).pipe(Effect.orDie)
    })
    const file = yield* temporaryFile
    const start = Effect.flatMap(workflow.run("", { id: "r" }), (run) => run.start)
    const provided = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      effect.pipe(
        Effect.provideService(LanguageModel.LanguageModel, model),
        Effect.provideContext(options.services ?? Context.empty())
      ) as Effect.Effect<A, E, Engine.Engine>
    yield* live(file, {}, undefined, provided(Effect.tap(start, opened)))
    if (options.between !== undefined) yield* options.between
    const second = Effect.gen(function* () {
      const execution = yield* start
      const agree = Effect.gen(function* () {
        for (const { id } of yield* execution.requests) yield* Effect.ignore(execution.approve(id))
        yield* Effect.sleep(2)
      }).pipe(Effect.forever)
      const result = yield* Effect.raceFirst(execution.result, agree)
      return { result, events: yield* Stream.runCollect(execution.events), usage: yield* execution.usage }
    })
    const { result } = yield* live(file, {}, undefined, provided(second))
    return { ...result!, file }
  })

const scripted = (answers: ReadonlyArray<Answer>, flows: ReadonlyArray<Flow> = []) => script(answers, flows)

describe("a replay of a body", () => {
  it.live("does not end a call that was interrupted, nor make it again", () =>
    Effect.gen(function* () {
      // The first call of a process loads what records calls, which may take longer than this one is given.
      yield* loadJournaling
      const { asked, model } = yield* scripted([Effect.never, says("late"), says("after")])
      const { events, result } = yield* replayed(
        Effect.timeoutOrElse(say("slow"), { duration: "50 millis", orElse: () => say("quick") }),
        model
      )
      assert.deepStrictEqual(result, ["late", "after"])
      assert.strictEqual(asked.length, 3)
      assert.deepStrictEqual(
        events.flatMap((event) => (event._tag === "ModelCalled" ? [event.error] : [])),
        ["Interrupted", undefined, undefined]
      )
    })
  )

  it.live("has an answer that came in time come in time, however late the replay is", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* scripted([says("in time"), says("after")])
      const call = Effect.timeoutOrElse(say("x"), { duration: "100 millis", orElse: () => Effect.succeed("too late") })
      const { result } = yield* replayed(call, model, { between: Effect.sleep("150 millis") })
      assert.deepStrictEqual(result, ["in time", "after"])
      assert.strictEqual(asked.length, 2)
    })
  )

  it.live("reads a stream as far as it was read, be it to its end, to where its reader left or to its error", () =>
    Effect.gen(function* () {
      const down = failsWith(new AiError.InternalProviderError({ description: "down" }))
      const { asked, model } = yield* scripted(
        [says(""), says(""), says(""), says("after")],
        [
          [delta("a"), delta("b"), finish(1, 2)],
          Stream.concat(Stream.make(delta("c"), delta("d")), Stream.never),
          Stream.concat(Stream.make(delta("e")), Stream.fail(down))
        ]
      )
      const { events, result, usage } = yield* replayed(
        Effect.gen(function* () {
          const whole = yield* Stream.runCollect(deltas("whole"))
          const left = yield* Stream.runCollect(Stream.take(deltas("left"), 2))
          const seen: Array<string> = []
          const error = yield* Effect.flip(
            Stream.runForEach(deltas("broken"), (text) => Effect.sync(() => seen.push(text)))
          )
          return [whole, left, seen, error.reason._tag]
        }),
        model
      )
      assert.deepStrictEqual(result, [[["a", "b"], ["c", "d"], ["e"], "InternalProviderError"], "after"])
      assert.strictEqual(asked.length, 4)
      assert.strictEqual(usage.modelCalls, 4)
      assert.deepStrictEqual(
        events.flatMap((event) => (event._tag === "TextDelta" ? [event.text] : [])),
        ["ab", "cd", "e"]
      )
    })
  )

  it.live("makes no span for a recorded call, and one for each that it makes", () =>
    Effect.gen(function* () {
      const names: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          names.push(`${options.name} < ${options.parent._tag === "Some" ? (options.parent.value as any).name : ""}`)
          return new Tracer.NativeSpan(options)
        }
      })
      const Look = Tool.make("look", { success: Schema.String })
      const toolkit = Toolkit.make(Look)
      const { model } = yield* scripted([
        [{ type: "tool-call", id: "1", name: "look", params: {} }, finish(1, 1, { reason: "tool-calls" })],
        says("after")
      ])
      const handlers = toolkit.toLayer({ look: () => Effect.succeed("seen") })
      yield* replayed(
        Effect.map(
          LanguageModel.generateText({ prompt: "x", toolkit }),
          (response) => response.toolResults[0].result
        ).pipe(Effect.provide(handlers)),
        model,
        { services: Context.make(Tracer.Tracer, tracer) as Context.Context<never> }
      )
      assert.deepStrictEqual(
        names.filter((name) => /^(chat|LanguageModel|step)/.test(name)),
        ["chat < attempt 1", "step tool/look/1 < attempt 1", "chat < attempt 1"]
      )
    })
  )

  it.live("gives the results of tools, their failures and the ids of approvals as they were", () =>
    Effect.gen(function* () {
      const Look = Tool.make("look", { success: Schema.Date, failure: Schema.String, failureMode: "return" })
      const Fail = Tool.make("fail", { failure: Schema.Struct({ at: Schema.Date }), failureMode: "return" })
      const Ask = Tool.make("ask", { needsApproval: true })
      const toolkit = Toolkit.make(Look, Fail, Ask)
      let looks = 0
      const handlers = toolkit.toLayer({
        look: () => Effect.sync(() => new Date(++looks)),
        fail: () => Effect.fail({ at: new Date(9) }),
        ask: () => Effect.void
      })
      const { asked, model } = yield* scripted([
        [
          ...["look", "fail", "ask"].map((name) => ({ type: "tool-call" as const, id: `${name}-1`, name, params: {} })),
          finish(1, 1, { reason: "tool-calls" })
        ],
        says("after")
      ])
      const ids: Array<string> = []
      const { result } = yield* replayed(
        Effect.gen(function* () {
          const chat = yield* Chat.empty
          const { content, toolResults } = yield* chat.generateText({ prompt: "x", toolkit })
          ids.push(...content.flatMap((part) => (part.type === "tool-approval-request" ? [part.approvalId] : [])))
          return toolResults
            .map(({ isFailure, name, result }) => [
              name,
              isFailure,
              result instanceof Date ? result.getTime() : (result as any).at.getTime()
            ])
            .sort()
        }).pipe(Effect.provide(handlers)),
        model
      )
      assert.deepStrictEqual(result, [
        [
          ["fail", true, 9],
          ["look", false, 1]
        ],
        "after"
      ])
      assert.deepStrictEqual([looks, asked.length, ids.length, ids[0]], [1, 2, 2, ids[1]])
    })
  )

  it.live("has nothing of a secret that stood in the headers of a failed request", () =>
    Effect.gen(function* () {
      const denied = failsWith(
        new AiError.AuthenticationError({
          kind: "InvalidKey",
          http: { response: { status: 401, headers: { "set-cookie": Redacted.make("sesame") } } }
        })
      )
      const { file, result } = yield* Effect.gen(function* () {
        const { asked, model } = yield* scripted([denied, says("after")])
        const outcome = yield* replayed(
          Effect.map(Effect.flip(say("x")), (error) => (error as any).reason._tag),
          model
        )
        assert.strictEqual(asked.length, 2)
        return outcome
      })
      assert.deepStrictEqual(result, ["AuthenticationError", "after"])
      const db = new DatabaseSync(file)
      const rows = db.prepare(`SELECT fields, result FROM baton_events`).all()
      db.close()
      assert.include(JSON.stringify(rows), "set-cookie")
      assert.notInclude(JSON.stringify(rows), "sesame")
    })
  )
})

describe("a call made by a body", () => {
  it.effect("is shared by a fork, and not made again by a retried run", () =>
    Effect.gen(function* () {
      const { asked, model } = yield* scripted([says("facts")])
      let up = false
      class Down extends Schema.TaggedError<Down>()("Down", {}) {}
      const workflow = Workflow.make("report", {
        error: Down,
        run: (topic) =>
          Effect.gen(function* () {
            const facts = yield* Effect.orDie(say("facts?"))
            return yield* Step.make("send", {
              error: Down,
              run: Effect.suspend(() => (up ? Effect.succeed(`${facts} on ${topic}`) : Effect.fail(new Down())))
            })
          })
      })
      yield* Effect.gen(function* () {
        const execution = yield* (yield* workflow.run("tea", { id: "r" })).start
        yield* Effect.flip(execution.result)
        up = true
        const again = yield* Engine.retry("r")
        assert.strictEqual(yield* again.result, "facts on tea")
        const fork = yield* Engine.fork("r", { fromStep: "send", input: "coffee" })
        assert.strictEqual(yield* fork.result, "facts on coffee")
        assert.strictEqual(asked.length, 1)
      }).pipe(Effect.provideService(LanguageModel.LanguageModel, model))
    }).pipe(Effect.provide(onFile))
  )

  for (const [where, engine] of [
    ["on disk", onFile],
    ["in memory", Engine.layerMemory]
  ] as const) {
    it.effect(`is not made again by a later attempt that resumes, ${where}, unless it failed`, () =>
      Effect.gen(function* () {
        const down = failsWith(new AiError.InternalProviderError({ description: "down" }))
        const { asked, model } = yield* scripted(
          [says("facts"), says(""), down, says("more")],
          [[delta("a"), finish()]]
        )
        const workflow = Workflow.make("report", {
          error: AiError.AiError,
          run: () =>
            Effect.gen(function* () {
              const facts = yield* say("facts?")
              const more = yield* Stream.runCollect(deltas("stream"))
              return `${facts} ${more} ${yield* say("more?")}`
            })
        })
        const execution = yield* (yield* workflow.run("tea", {
          retry: { attempts: 2, delay: 0, mode: "resume" }
        })).start.pipe(Effect.provideService(LanguageModel.LanguageModel, model))
        assert.strictEqual(yield* execution.result, "facts a more")
        assert.strictEqual(asked.length, 4)
        const events = yield* Stream.runCollect(execution.events)
        assert.deepStrictEqual(
          events.flatMap((event) => (event._tag === "ModelCalled" ? [event.error ?? ""] : [])),
          ["", "", "InternalProviderError", ""]
        )
      }).pipe(Effect.provide(engine))
    )
  }

  it.live("does not leave memory while it goes on, and is not made again when the run comes back", () =>
    Effect.gen(function* () {
      const file = yield* temporaryFile
      const slow = Effect.as(Effect.sleep("120 millis"), says("slow"))
      const { asked, model } = yield* scripted([slow, says("after")])
      const workflow = Workflow.make("body", {
        output: Schema.Unknown,
        run: () =>
          Effect.all([say("slow"), Execution.waitForApproval("ok?")], { concurrency: 2 }).pipe(
            Effect.flatMap(([slow]) => Effect.map(say("after"), (after) => [slow, after])),
            Effect.orDie
          )
      })
      const program = Effect.gen(function* () {
        const execution = yield* (yield* workflow.run("", { id: "r" })).start
        yield* Effect.sleep("250 millis")
        const [request] = yield* execution.requests
        yield* execution.approve(request.id)
        return yield* execution.result
      })
      const { result } = yield* live(
        file,
        { idle: 20, pollInterval: 5 },
        undefined,
        Effect.provideService(program, LanguageModel.LanguageModel, model)
      )
      assert.deepStrictEqual(result, ["slow", "after"])
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("is made again at replays where Baton can not see it, which is said once a run", () =>
    Effect.gen(function* () {
      const { model } = yield* scripted([says("ok")])
      const workflow = Workflow.make("body", {
        run: () =>
          Effect.gen(function* () {
            // The model itself, which somebody kept from before the run.
            const kept = model.generateText({ prompt: "x" })
            yield* Effect.all([kept, kept])
            return ""
          }).pipe(Effect.orDie)
      })
      const execution = yield* (yield* workflow.run("", { id: "r" })).start
      yield* execution.result
      const logs = (yield* execution.logs).filter(({ level }) => level === "Warn").map(({ message }) => message)
      assert.strictEqual(logs.length, 1)
      assert.include(logs[0], "made again whenever the body is replayed")
      assert.strictEqual((yield* execution.usage).modelCalls, 2)
    }).pipe(Effect.provide(onFile))
  )

  it.live("may be one of a decision model, settled or not, which is recorded as well", () =>
    Effect.gen(function* () {
      let asked = 0
      const decisions = yield* DecisionModel.make({
        decide: () =>
          Effect.suspend(() => {
            if (++asked === 3) return Effect.fail(failsWith(new AiError.InternalProviderError({ description: "down" })))
            const answers: DecisionModel.ProviderResponse["answers"] = {
              sure: { _tag: "Probability", probability: 0.9 },
              ...(asked === 1 ? { kind: { _tag: "Classify", label: "a", probabilities: { a: 0.8, b: 0.2 } } } : {})
            }
            return Effect.succeed({ answers, usage: { inputTokens: asked, outputTokens: undefined } })
          })
      })
      const definition = Decision.make({
        input: Schema.Struct({ at: Schema.Date }),
        decisions: {
          sure: Decision.probability({ instructions: "Sure?" }),
          kind: Decision.classify({ instructions: "Which?", criteria: { a: "first", b: "second" } })
        }
      })
      const input = { at: new Date(5) }
      const { model } = yield* scripted([says("after")])
      const run = Effect.gen(function* () {
        const whole = yield* DecisionModel.decide(definition, { input })
        const settled = yield* DecisionModel.decideSettled(definition, { input })
        const error = yield* Effect.flip(DecisionModel.decide(definition, { input }))
        return [
          whole.answers.kind.label,
          whole.usage.inputTokens,
          settled.outcomes.kind._tag,
          settled.outcomes.sure._tag === "Success" ? settled.outcomes.sure.success.probability : 0,
          settled.usage instanceof DecisionModel.DecisionUsage,
          error.reason._tag
        ]
      })
      const { result, usage } = yield* replayed(run, model, {
        services: Context.make(DecisionModel.DecisionModel, decisions) as Context.Context<never>
      })
      assert.deepStrictEqual(result, [["a", 1, "Failure", 0.9, true, "InternalProviderError"], "after"])
      assert.deepStrictEqual([asked, usage.modelCalls, usage.inputTokens], [3, 4, 3])
    })
  )
})
