// Model calls of a body that are not those of its journal: what is recorded is not paid for twice without anybody knowing.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Logger, Schema, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { Engine, Execution, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { delta, finish, says, script } from "../support/models.ts"
import { apart, ask, type Body, change, did, par, seq } from "./changing.ts"

const say = (prompt: string): Body => LanguageModel.generateText({ prompt })
const sayObject = (prompt: string): Body =>
  LanguageModel.generateObject({ prompt, schema: Schema.Struct({ n: Schema.Int }) })
const read = (prompt: string): Body => Stream.runDrain(LanguageModel.streamText({ prompt }))
const dies = Effect.catchDefect(say("die"), () => Effect.void)

/** What adapters of `effect/ai` set by `withConfigOverride`. */
class Config extends Context.Service<Config, { readonly temperature: number }>()("some/LanguageModel/Config") {}
const heated = (temperature: number) => Effect.provideService(say("x"), Config, { temperature })

const cases: ReadonlyArray<readonly [name: string, before: Body, after: Body, expected: string]> = [
  [
    "is made with another temperature",
    seq(heated(0), ask),
    seq(heated(1), ask),
    ": expected the recorded text call, found one with other settings"
  ],
  [
    "asks something else",
    seq(did("a"), say("x"), did("b"), ask),
    seq(did("a"), say("y"), did("b"), ask),
    ": expected the recorded text call, found one with another prompt"
  ],
  [
    "asks something else, the last that is recorded",
    seq(say("x"), say("x2"), ask),
    seq(say("x"), say("y2"), ask),
    ": expected the recorded text call, found one with another prompt"
  ],
  [
    "is another kind of call",
    seq(say("x"), ask),
    seq(sayObject("x"), ask),
    ": expected the recorded text call, found a new object call"
  ],
  [
    "reads another stream",
    seq(read("x"), did("b"), ask),
    seq(read("y"), did("b"), ask),
    ": expected the recorded stream call, found one with another prompt"
  ],
  ["was removed", seq(say("x"), did("b"), ask), seq(did("c"), ask), ': expected the recorded text call, found "c"'],
  [
    "was removed, the last of a branch",
    par(apart("x", say("x")), ask),
    par(apart("x", Effect.void), ask),
    "x: expected the recorded text call, found the end of the fiber"
  ],
  ["was removed, where all that came after it is recorded", seq(say("x"), did("b"), ask), seq(did("b"), ask), "done"],
  [
    "was added",
    seq(did("a"), did("b"), ask),
    seq(did("a"), say("x"), did("b"), ask),
    'b: expected "b", found a new text call'
  ],
  [
    "asks something else in a branch",
    par(apart("x", seq(say("x"), did("x"))), ask),
    par(apart("x", seq(say("y"), did("x"))), ask),
    "x: expected the recorded text call, found one with another prompt"
  ],
  [
    "asks something else after a stream that is worked on by steps",
    seq(
      Stream.runForEach(LanguageModel.streamText({ prompt: "x" }), () => did("part")),
      did("b"),
      say("x"),
      ask
    ),
    seq(
      Stream.runForEach(LanguageModel.streamText({ prompt: "x" }), () => did("part")),
      did("b"),
      say("y"),
      ask
    ),
    ": expected the recorded text call, found one with another prompt"
  ],
  [
    "is the same after one that came to nothing",
    seq(dies, did("a"), say("x"), ask),
    seq(dies, did("a"), say("x"), ask),
    "done"
  ],
  ["asks something else, the first of a branch without a name", par(say("x"), ask), par(say("y"), ask), "done"]
]

/** What a model is asked, in words. */
const words = ({ prompt }: LanguageModel.ProviderOptions): string =>
  prompt.content
    .flatMap(({ content }) => (typeof content === "string" ? content : content.map((part: any) => part.text)))
    .join()

const model = LanguageModel.make({
  generateText: (options) =>
    words(options) === "die"
      ? Effect.die(new Error("dead"))
      : Effect.succeed([...says(options.responseFormat.type === "json" ? `{"n":1}` : words(options).toUpperCase())]),
  streamText: () => Stream.fromIterable([delta("a"), delta("b"), finish()], { chunkSize: 1 })
})

describe("when a replay meets a journal of other code, a model call that (S1, S2, S3, S4)", () => {
  for (const [name, before, after, expected] of cases) {
    it.live(name, () =>
      change(before, after).pipe(
        Effect.provideServiceEffect(LanguageModel.LanguageModel, model),
        Effect.map((found) => assert.strictEqual(found.replace(/ \(what it has.*/, ""), expected))
      )
    )
  }
})

describe("a model call that is asked anew where nobody judges", () => {
  it.live("is warned of when the body ends", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const logger = Logger.make(({ message }) => void logs.push(String(message)))
      const found = yield* change(par(say("x"), ask), par(say("y"), ask)).pipe(
        Effect.provideServiceEffect(LanguageModel.LanguageModel, model),
        Effect.provide(Logger.layer([logger]))
      )
      assert.strictEqual(found, "done")
      assert.include(logs.join(), 'The body of changing did not ask again for 1 of its recorded model calls, at ""')
    })
  )
})

/** A body with the time in its prompt. */
const dated = (now: () => string) =>
  Workflow.make("dated", {
    run: () =>
      Effect.gen(function* () {
        const facts = yield* LanguageModel.generateText({ prompt: "facts?" })
        const { text } = yield* LanguageModel.generateText({ prompt: `It is ${now()}. The password is sesame.` })
        yield* Execution.waitForApproval("go on?")
        return yield* Step.make("send", { run: Effect.succeed(`${facts.text} ${text}`) })
      }).pipe(Effect.orDie)
  })

describe("a run whose prompt has the time in it", () => {
  it.live("is held with what to do, shows no word of the prompt, and goes on by a cancel and a retry", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const { asked, model } = yield* script([says("facts"), says("at one"), says("at two")])
      const provided = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.provideService(effect, LanguageModel.LanguageModel, model)
      const opened = (execution: Execution.Execution<any, any>) =>
        execution.events.pipe(
          Stream.takeUntil((event) => event._tag === "RequestOpened"),
          Stream.runDrain
        )
      yield* live(
        filename,
        {},
        undefined,
        provided(
          Effect.flatMap(
            Effect.flatMap(dated(() => "one").run("", { id: "r" }), (run) => run.start),
            opened
          )
        )
      )
      const logs: Array<string> = []
      const logger = Logger.make(({ message }) => void logs.push(String(message)))
      const { result } = yield* live(
        filename,
        {},
        undefined,
        provided(
          Effect.gen(function* () {
            yield* (yield* Engine.Engine).register(dated(() => "two"))
            let [{ held }] = yield* Engine.list()
            while (held === undefined) {
              yield* Effect.sleep("5 millis")
              held = (yield* Engine.list())[0].held
            }
            const execution = yield* Engine.get("r")
            assert.strictEqual(yield* execution.cancel(), "cancelled")
            const again = yield* Engine.retry("r")
            yield* opened(again)
            const [{ id }] = yield* again.requests
            yield* again.approve(id)
            return [held.message, yield* again.result]
          })
        )
      ).pipe(Effect.provide(Logger.layer([logger])))
      const [message, output] = result!
      assert.include(message, "should come out of a step")
      assert.include(message, "Engine.retry")
      assert.notInclude(JSON.stringify([message, logs]), "sesame")
      assert.strictEqual(output, "facts at two")
      assert.strictEqual(asked.length, 3)
    }).pipe(Effect.scoped)
  )
})

describe("the ends of model calls", () => {
  it.live("are told in a replay in the order in which they were told before, among steps and sleeps (T1, D12)", () =>
    Effect.gen(function* () {
      const filename = yield* temporaryFile
      const slow = (millis: number, text: string) => Effect.as(Effect.sleep(millis), says(text))
      const { asked, model } = yield* script([slow(60, "1"), slow(20, "2"), slow(100, "3"), says("last")])
      const workflow = Workflow.make("races", {
        output: Schema.Array(Schema.Array(Schema.String)),
        run: () =>
          Effect.gen(function* () {
            const order: Array<string> = []
            const note = (name: string) => (effect: Body) => Effect.map(effect, () => void order.push(name))
            yield* Effect.all(
              [
                note("call 60")(say("1")),
                note("call 20")(say("2")),
                note("call 100")(say("3")),
                note("step 40")(Step.make("a", { run: Effect.sleep(40) })),
                note("step 80")(Step.make("b", { run: Effect.sleep(80) })),
                note("sleep 120")(Effect.sleep(120))
              ],
              { concurrency: "unbounded" }
            )
            const before = yield* Step.make("order", { run: Effect.sync(() => [...order]) })
            yield* Execution.waitForApproval("go on?")
            return [before, order]
          }).pipe(Effect.orDie) as Effect.Effect<Array<Array<string>>>
      })
      const start = Effect.flatMap(workflow.run("", { id: "r" }), (run) => run.start)
      const program = (go: boolean) =>
        Effect.gen(function* () {
          const execution = yield* start
          yield* execution.events.pipe(
            Stream.takeUntil((event) => event._tag === "RequestOpened"),
            Stream.runDrain
          )
          if (!go) return []
          for (const { id } of yield* execution.requests) yield* execution.approve(id)
          return yield* execution.result
        }).pipe(Effect.provideService(LanguageModel.LanguageModel, model))
      yield* live(filename, {}, undefined, program(false))
      const { result } = yield* live(filename, {}, undefined, program(true))
      const [before, order] = result!
      assert.deepStrictEqual(order, before)
      assert.strictEqual(before.length, 6)
      assert.strictEqual(asked.length, 3)
    }).pipe(Effect.scoped)
  )
})
