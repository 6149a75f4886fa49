// Model calls that bodies make themselves, outside of steps: what is recorded of them is not asked again, whenever the
// process dies. The model's own log of what it was asked proves it.
import { DatabaseSync } from "node:sqlite"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, type Scope, Stream } from "effect"
import { AiError, Chat, LanguageModel, type Response, Tool, Toolkit } from "effect/ai"
import { Agent, type Engine, type Event, Execution, Models, Step, Workflow } from "effect-baton"
import { liveOn, temporaryFile } from "../../src/engines/durable/crash.ts"
import { type Durable, layerSqlite } from "../../src/engines/durable/layer.ts"
import { layerPostgres } from "../../src/engines/durable/postgres.ts"
import { down, finish } from "../support/models.ts"
import { fresh } from "./fleet.ts"

/** What was asked: the last thing that was said, in words. */
const said = ({ prompt, responseFormat }: LanguageModel.ProviderOptions): string => {
  const { content, role } = prompt.content.at(-1)!
  const parts = typeof content === "string" ? [content] : content.map((part: any) => part.text ?? part.result)
  return `${role === "user" ? "" : `${role}: `}${parts.join()}${responseFormat.type === "json" ? " (json)" : ""}`
}

/** What a provider does with a request, other than to repeat it in capitals. */
type Behaviour = (
  asked: string,
  n: number,
  line: number
) => AiError.AiError | ReadonlyArray<Response.PartEncoded> | undefined

/** A provider that keeps a log. Each of its answers has the number of its line in it. */
class Provider {
  readonly log: Array<string> = []
  private readonly behaviour: Behaviour

  constructor(behaviour: Behaviour = () => undefined) {
    this.behaviour = behaviour
  }

  private answer(options: LanguageModel.ProviderOptions): AiError.AiError | ReadonlyArray<Response.PartEncoded> {
    const asked = said(options)
    const n = this.log.push(asked)
    const text = options.responseFormat.type === "json" ? JSON.stringify({ n: asked.length }) : asked.toUpperCase()
    const parts = this.behaviour(asked, this.log.filter((line) => line === asked).length, n) ?? [{ type: "text", text }]
    if (AiError.isAiError(parts)) return parts
    return [
      { type: "response-metadata", id: `line ${n}.`, modelId: "loud", timestamp: undefined },
      ...parts,
      finish(10, 1, { reason: parts.some((part) => part.type === "tool-call") ? "tool-calls" : "stop" })
    ]
  }

  readonly layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: (options) =>
        Effect.suspend(() => {
          const answer = this.answer(options)
          return AiError.isAiError(answer) ? Effect.fail(answer) : Effect.succeed([...answer])
        }),
      streamText: (options) =>
        Stream.suspend(() => {
          const answer = this.answer(options)
          if (AiError.isAiError(answer)) return Stream.fail(answer)
          const parts = answer.flatMap((part): ReadonlyArray<any> => {
            if (part.type !== "text") return [part]
            const deltas = part.text.split(/(?= )/).map((delta) => ({ type: "text-delta", id: "1", delta }))
            return [{ type: "text-start", id: "1" }, ...deltas, { type: "text-end", id: "1" }]
          })
          return Stream.fromIterable<Response.StreamPartEncoded>(parts, { chunkSize: 1 })
        })
    })
  )
}

/** The lines of the log that a crash shifts. */
const anonymous = (text: string): string => text.replace(/line \d+/g, "line")

const shape = ({ sequence: _, time: __, ...event }: Event.Event) =>
  anonymous(JSON.stringify(event, (key, value) => (key === "durationMillis" ? undefined : value)))

/** A database that runs are written to. */
interface Database {
  /** An engine on it, as of a process of its own. */
  readonly layer: Layer.Layer<Engine.Engine | Durable>
  /** The results that are recorded of a run where a condition holds. */
  readonly results: (id: string, condition: string) => Effect.Effect<ReadonlyArray<string>>
}

const sqlite: Effect.Effect<Database, never, Scope.Scope> = Effect.map(temporaryFile, (filename) => ({
  layer: layerSqlite({ filename }),
  results: (id, condition) =>
    Effect.sync(() => {
      const db = new DatabaseSync(filename)
      try {
        const rows = db
          .prepare(`SELECT result FROM baton_events WHERE execution_id = ? AND result IS NOT NULL AND ${condition}`)
          .all(id)
        return rows.map(({ result }) => String(result))
      } finally {
        db.close()
      }
    })
}))

const postgres: Effect.Effect<Database, never, Scope.Scope> = Effect.map(fresh, ({ sql, url }) => ({
  layer: layerPostgres({ url, pollInterval: "20 millis", maxConnections: 5 }),
  results: (id, condition) =>
    sql
      .unsafe<{ readonly result: string }>(
        `SELECT result FROM baton_events WHERE execution_id = $1 AND result IS NOT NULL AND ${condition}`,
        [id]
      )
      .pipe(
        Effect.map((rows) => rows.map(({ result }) => result)),
        Effect.orDie
      )
}))

/** The lines of the provider's log whose answers are recorded. */
const recordedLines = (results: ReadonlyArray<string>, log: ReadonlyArray<string>): ReadonlyArray<string> =>
  results.flatMap((result) => [...result.matchAll(/line (\d+)\./g)].slice(0, 1).map(([, n]) => log[Number(n) - 1]))

const counts = (lines: ReadonlyArray<string>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const line of lines) counts[line] = (counts[line] ?? 0) + 1
  return counts
}

interface Options {
  readonly behaviour?: Behaviour
  /** Provided to the caller of the engine; default: the provider's own layer. */
  readonly layer?: (provider: Provider) => Layer.Layer<any>
  readonly during?: (execution: Execution.Execution<any, any>) => Effect.Effect<unknown, unknown>
  readonly ordered?: false
  /** How many calls there are where the provider answers by how often it was asked; then only these are counted. */
  readonly calls?: number
}

/** Answers whatever is asked. */
const agreeing = (execution: Execution.Execution<any, any>) =>
  Effect.gen(function* () {
    for (const { id } of yield* execution.requests) yield* Effect.ignore(execution.approve(id, { by: "ada" }))
    yield* Effect.sleep(2)
  }).pipe(Effect.forever)

/** One run that dies at one write, and goes on. */
const life = (
  database: Effect.Effect<Database, never, Scope.Scope>,
  workflow: (provider: Provider) => Workflow.Workflow<string, any, any, any>,
  { behaviour, during, layer = ({ layer }) => layer, ordered }: Options,
  strike: (n: number) => "before" | "after" | undefined
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const provider = new Provider(behaviour)
      const { layer: engine, results } = yield* database
      const id = yield* Effect.sync(() => crypto.randomUUID())
      const program = Effect.gen(function* () {
        const execution = yield* (yield* workflow(provider).run("x", { id })).start
        yield* during === undefined
          ? execution.exit
          : Effect.raceFirst(execution.exit, Effect.andThen(during(execution), Effect.never))
        const events = (yield* Stream.runCollect(execution.events)).map((event) => shape(event).replaceAll(id, "r"))
        const { costUsd: _, ...usage } = yield* execution.usage
        // How often a run waits depends on how fast it is answered.
        const settled = events.filter((event) => !event.includes("awaiting")).sort()
        const exit = anonymous(JSON.stringify(yield* execution.exit))
        return { exit, usage, events: ordered === false ? settled : events }
      }).pipe(Effect.provide(layer(provider)), Effect.orDie) as Effect.Effect<any, never, Engine.Engine>
      const first = yield* liveOn(engine, strike, program, id)
      const before = counts(provider.log)
      const atCrash = provider.log.length
      const lines = yield* results(id, `(tag = 'ModelCalled' OR path LIKE '%/model')`)
      const recorded = counts(recordedLines(lines, provider.log))
      const ended = (yield* results(id, `tag = 'ModelCalled'`)).length
      const { result } = first.crashed ? yield* liveOn(engine, undefined, program, id) : first
      const lost: Record<string, number> = {}
      for (const line in before) lost[line] = before[line] - (recorded[line] ?? 0)
      const again = provider.log.length - atCrash
      return {
        ...result,
        asked: counts(provider.log),
        lost,
        again,
        recorded: ended,
        writes: first.writes,
        crashed: first.crashed
      }
    })
  )

const survivesOn = (
  where: string,
  database: Effect.Effect<Effect.Effect<Database, never, Scope.Scope>, never, Scope.Scope>,
  isTried: (write: number, when: "before" | "after") => boolean,
  name: string,
  workflow: (provider: Provider) => Workflow.Workflow<string, any, any, any>,
  options: Options
) =>
  it.live(
    `${name}, on ${where}`,
    () =>
      Effect.gen(function* () {
        const opened = yield* database
        const whole = yield* life(opened, workflow, options, () => undefined)
        assert.include(whole.exit, `"_tag":"Success"`)
        for (let write = 1; write <= whole.writes; write++) {
          for (const when of ["before", "after"] as const) {
            if (!isTried(write, when)) continue
            const at = `${when} write ${write}`
            const { again, asked, crashed, events, exit, lost, recorded, usage } = yield* life(
              opened,
              workflow,
              options,
              (n) => (n === write ? when : undefined)
            )
            assert.deepStrictEqual(exit, whole.exit, at)
            if (options.calls !== undefined) {
              // A call is asked for twice at most.
              if (crashed) assert.isAtMost(again, 2 * (options.calls - recorded), at)
              continue
            }
            assert.deepStrictEqual(events, whole.events, at)
            assert.deepStrictEqual(usage, whole.usage, at)
            if (!crashed) continue
            const expected: Record<string, number> = {}
            for (const line in whole.asked) expected[line] = whole.asked[line] + (lost[line] ?? 0)
            assert.deepStrictEqual(asked, expected, at)
          }
        }
      }).pipe(Effect.scoped),
    120_000
  )

/** At every write on SQLite, at a sample on PostgreSQL. */
const survives = (
  name: string,
  workflow: (provider: Provider) => Workflow.Workflow<string, any, any, any>,
  options: Options = {}
) => {
  survivesOn("SQLite", Effect.succeed(sqlite), () => true, name, workflow, options)
  const isSampled = (write: number, when: "before" | "after") =>
    write % 2 === 1 && when === (write % 4 === 1 ? "after" : "before")
  survivesOn("PostgreSQL", Effect.map(postgres, Effect.succeed), isSampled, name, workflow, options)
}

const say = (prompt: string) => Effect.map(LanguageModel.generateText({ prompt }), ({ text }) => text)

const body = (run: (input: string) => Effect.Effect<unknown, any, any>) =>
  Workflow.make("body", { output: Schema.Unknown, run: (input: string) => Effect.orDie(run(input)) })

const deltas = (prompt: string) =>
  LanguageModel.streamText({ prompt }).pipe(
    Stream.flatMap((part) => (part.type === "text-delta" ? Stream.succeed(part.delta) : Stream.empty))
  )

const Refund = Tool.make("refund", {
  parameters: Schema.Struct({ euros: Schema.Finite }),
  success: Schema.Struct({ receipt: Schema.Int, at: Schema.Date }),
  failure: Schema.String
})
const toolkit = Toolkit.make(Refund)

/** Asks for two refunds, in answer to a user. */
const refunding: Behaviour = (asked) =>
  asked.startsWith("tool")
    ? undefined
    : [1, 2].map((n) => ({ type: "tool-call", id: `call-${n}`, name: "refund", params: { euros: n } }))

describe("after a crash at any write, no recorded answer is asked for again (D1)", () => {
  survives("texts, objects, streams, chats, and equal calls side by side", () =>
    body((topic) =>
      Effect.gen(function* () {
        const text = yield* say(`text ${topic}`)
        const object = yield* LanguageModel.generateObject({
          prompt: "object",
          schema: Schema.Struct({ n: Schema.Int })
        })
        const stream = yield* Stream.runCollect(deltas("a stream of words"))
        const chat = yield* Chat.fromPrompt("chat")
        const first = yield* chat.generateText({ prompt: "one" })
        const second = yield* chat.generateText({ prompt: "two" })
        const same = yield* Effect.all([say("same"), say("same"), say("other")], { concurrency: 3 })
        return [text, object.value, stream, first.text, second.text, same]
      })
    )
  )

  const step = (name: string) => Step.make(name, { run: Effect.succeed(`did ${name}`) })

  survives("a stream whose parts are worked on by steps and calls, and what comes after it", () =>
    body(() =>
      Effect.gen(function* () {
        const parts: Array<string> = []
        const first = yield* say("first")
        yield* Stream.runForEach(deltas("three parts here"), (part) =>
          Effect.gen(function* () {
            parts.push(yield* step("part"), yield* say(`about ${part}`))
          })
        )
        const left = yield* Stream.runCollect(Stream.take(deltas("left in the middle"), 2))
        return [first, parts, left, yield* step("after"), yield* say("last")]
      })
    )
  )

  survives(
    "calls among steps and sleeps in branches, some of which lose a race",
    () =>
      body(() =>
        Effect.gen(function* () {
          const both = yield* Effect.all(
            [
              Effect.all([say("a1"), step("a"), say("a2")]),
              Effect.andThen(Effect.sleep("2 millis"), say("b")),
              Effect.all([step("c"), say("c1"), Stream.runCollect(deltas("c2 and more"))]),
              Effect.raceFirst(Effect.andThen(say("slow"), Effect.never), Effect.as(Effect.sleep("40 millis"), "late"))
            ],
            { concurrency: "unbounded" }
          )
          return [both.flat(), yield* say("last")]
        })
      ),
    { ordered: false }
  )

  survives(
    "a toolkit whose tools ask a person and run steps, and a chat that goes on from there",
    () =>
      body(() =>
        Effect.gen(function* () {
          let receipts = 0
          const handlers = toolkit.toLayer({
            refund: ({ euros }) =>
              Effect.gen(function* () {
                const { approved } = yield* Execution.waitForApproval(`Refund ${euros}?`)
                if (!approved) return yield* Effect.fail("no")
                const receipt = yield* Step.make("pay", { run: Effect.sync(() => 7 * euros + 0 * ++receipts) })
                return { receipt, at: new Date(receipt) }
              }).pipe(Effect.catchTag(["BudgetExceeded", "InvalidOptions"], Effect.die)) as Effect.Effect<any, string>
          })
          return yield* Effect.gen(function* () {
            const chat = yield* Chat.empty
            const first = yield* chat.generateText({ prompt: "refund me", toolkit })
            const second = yield* chat.generateText({ prompt: [] })
            return [first.toolResults.map(({ result }) => (result as any).at.getTime()), second.text]
          }).pipe(Effect.provide(handlers))
        })
      ),
    { behaviour: refunding, during: agreeing, ordered: false }
  )

  survives("a model of a layer that is provided inside of the body, or to the workflow", ({ layer }) =>
    body(() =>
      Effect.gen(function* () {
        const inside = yield* Effect.all([say("one"), Stream.runCollect(deltas("two words"))]).pipe(
          Effect.provide(layer)
        )
        const service = yield* Effect.provideServiceEffect(
          say("three"),
          LanguageModel.LanguageModel,
          Effect.provide(LanguageModel.LanguageModel, layer)
        )
        return [inside, service]
      })
    ).pipe(Workflow.provide(layer))
  )

  class Summary extends Context.Service<Summary, { readonly of: (text: string) => Effect.Effect<string, any> }>()(
    "Summary"
  ) {}
  survives(
    "a model that a service took when it was made",
    () => body(() => Effect.flatMap(Summary, (summary) => Effect.all([summary.of("one"), summary.of("two")]))),
    {
      layer: ({ layer }) =>
        Layer.effect(
          Summary,
          Effect.map(LanguageModel.LanguageModel, (model) => ({
            of: (prompt) => Effect.map(model.generateText({ prompt }), ({ text }) => text)
          }))
        ).pipe(Layer.provide(Models.instrumented(layer)))
    }
  )

  const Look = Tool.make("look", { parameters: Schema.Struct({ at: Schema.String }), success: Schema.String })
  const Pay = Tool.make("pay", {
    parameters: Schema.Struct({ euros: Schema.Finite }),
    success: Schema.String,
    needsApproval: true
  })
  const agentTools = Toolkit.make(Look, Pay)
  survives(
    "an agent with streams, tools and approvals, beside calls of the body",
    () => {
      const clerk = Agent.make("clerk", { toolkit: agentTools, stream: true })
      const handlers = agentTools.toLayer({
        look: ({ at }) => Effect.succeed(`${at}: 3`),
        pay: ({ euros }) => Effect.succeed(`paid ${euros}`)
      })
      return body(() =>
        Effect.all([clerk.call("go"), say("beside"), Stream.runCollect(deltas("a stream beside"))], {
          concurrency: "unbounded"
        }).pipe(Effect.provide(handlers))
      )
    },
    {
      during: agreeing,
      ordered: false,
      behaviour: (asked, _, line) => {
        const call = (id: string, name: string, params: object) => ({ type: "tool-call", id, name, params }) as const
        const text = { type: "text", text: `I go on (line ${line}.)` } as const
        if (asked === "go") return [text, call("look-1", "look", { at: "desk" })]
        if (asked === "tool: desk: 3")
          return [text, call("pay-1", "pay", { euros: 1 }), call("pay-2", "pay", { euros: 2 })]
        return asked.startsWith("tool") ? [text] : undefined
      }
    }
  )

  survives(
    "calls with retries and limits of their own, and those that fail in the end",
    () =>
      body(() =>
        Effect.gen(function* () {
          const retried = yield* say("fails once")
          yield* Effect.sleep("3 millis")
          const failed = yield* Effect.flip(say("fails"))
          const caught = yield* Effect.catchTag(say("fails"), "AiError", () => say("fallback"))
          return [retried, (failed as AiError.AiError).reason._tag, caught]
        })
      ),
    {
      calls: 4,
      behaviour: (asked, n) => (asked === "fails" || (asked === "fails once" && n % 2 === 1) ? down : undefined),
      layer: ({ layer }) =>
        Models.layer({
          m: {
            model: layer,
            concurrency: 2,
            rateLimit: { limit: 1, window: "3 millis" },
            retry: { attempts: 1, delay: "1 millis" }
          }
        }) as Layer.Layer<any>
    }
  )
})
