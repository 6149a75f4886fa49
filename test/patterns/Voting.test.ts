import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import { type Budget, Engine, Step, Workflow } from "effect-baton"
import * as Voting from "effect-baton/Voting"
import { expectTypeOf } from "vitest"
import { run, thrown } from "./observed.ts"

class Abstained extends Schema.TaggedError<Abstained>()("Abstained", { why: Schema.String }) {}

const onEngine = Effect.provide(Engine.layerMemory)

/** A voter that says a word after some seconds, and tells when it is interrupted. */
const says = (word: string, seconds: number, interrupted?: Array<string>) => () =>
  Effect.sleep(`${seconds} seconds`).pipe(
    Effect.as(word),
    Effect.onInterrupt(() => Effect.sync(() => interrupted?.push(word)))
  )

const finished = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(effect))
    yield* TestClock.adjust("1 minute")
    return yield* yield* Fiber.join(fiber)
  })

describe("Voting", () => {
  it.effect("decides what a majority says, and tells who said what", () =>
    Effect.gen(function* () {
      const vote = Voting.make("vote", {
        voters: { ada: says("yes", 1), bob: says("no", 2), cem: says("yes", 3) }
      })
      assert.deepStrictEqual(yield* finished(vote.execute("?")), {
        decision: "yes",
        tally: {
          counts: [
            { vote: "yes", count: 2, voters: ["ada", "cem"] },
            { vote: "no", count: 1, voters: ["bob"] }
          ],
          cast: 3,
          voters: 3
        }
      })
    }).pipe(onEngine)
  )

  it.effect("interrupts the voters that can not change the outcome, as soon as it is certain", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const voters = [says("yes", 1), says("yes", 2), says("late", 30, interrupted)]
      const vote = Voting.make("vote", { voters, majority: true })
      const execution = yield* (yield* vote.run("?")).start
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* execution.status, "completed")
      assert.deepStrictEqual(interrupted, ["late"])
      const { tally } = yield* execution.result
      assert.deepStrictEqual(tally, { counts: [{ vote: "yes", count: 2, voters: ["1", "2"] }], cast: 2, voters: 3 })
    }).pipe(onEngine)
  )

  it.effect("fails as soon as nothing can reach the quorum any more", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const voters = [says("a", 1), says("b", 2), says("late", 30, interrupted)]
      const vote = Voting.make("vote", { voters, quorum: 3 })
      const execution = yield* (yield* vote.run("?")).start
      yield* TestClock.adjust("2 seconds")
      const error = yield* Effect.flip(execution.result)
      assert.deepStrictEqual(
        error,
        new Voting.NoQuorum({
          needed: 3,
          tally: {
            counts: [
              { vote: "a", count: 1, voters: ["1"] },
              { vote: "b", count: 1, voters: ["2"] }
            ],
            cast: 2,
            voters: 3
          }
        })
      )
      assert.deepStrictEqual(interrupted, ["late"])
    }).pipe(onEngine)
  )

  it.effect("hears every voter without earlyStop", () =>
    Effect.gen(function* () {
      const voters = [says("yes", 1), says("yes", 2), says("no", 3)]
      const vote = Voting.make("vote", { voters, earlyStop: false })
      assert.strictEqual((yield* finished(vote.execute("?"))).tally.cast, 3)
    }).pipe(onEngine)
  )

  it.effect("does not decide between as many votes for one thing as for another", () =>
    Effect.gen(function* () {
      const voters = [says("a", 1), says("a", 2), says("b", 3), says("b", 4)]
      const vote = Voting.make("vote", { voters, quorum: 2 })
      const error = yield* Effect.flip(finished(vote.execute("?")))
      assert.strictEqual(
        error.message,
        'No decision: 2 of 4 voters had to agree, the votes were "a" 2, "b" 2; ask more voters, or lower the quorum'
      )
    }).pipe(onEngine)
  )

  it.effect("decides the same with and without earlyStop, whatever the votes and their order", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 200; n++) {
        const size = yield* Random.nextIntBetween(1, 6)
        const quorum = yield* Random.nextIntBetween(1, size)
        const voters: Array<ReturnType<typeof says>> = []
        for (let i = 0; i < size; i++) {
          const word = ["a", "b", "c"][yield* Random.nextIntBetween(0, 2)]!
          voters.push(says(word, yield* Random.nextIntBetween(0, 9)))
        }
        const outcome = (earlyStop: boolean) =>
          Voting.make(`vote ${n} ${earlyStop}`, { voters, quorum, earlyStop })
            .execute("?")
            .pipe(
              Effect.map(({ decision }) => decision),
              Effect.catchTag("NoQuorum", () => Effect.succeed("none")),
              finished
            )
        assert.strictEqual(yield* outcome(true), yield* outcome(false))
      }
    }).pipe(onEngine)
  )

  it.effect("takes votes of equal content for equal, or of equal keys", () =>
    Effect.gen(function* () {
      const Point = Schema.Struct({ x: Schema.Number })
      const points = Voting.make("points", {
        output: Point,
        voters: [() => Effect.succeed({ x: 1 }), () => Effect.succeed({ x: 2 }), () => Effect.succeed({ x: 1 })]
      })
      assert.deepStrictEqual((yield* points.execute("")).decision, { x: 1 })
      const words = Voting.make("words", {
        voters: [says("Yes", 1), says("no", 2), says("yes ", 3)],
        key: (word) => word.trim().toLowerCase()
      })
      assert.strictEqual((yield* finished(words.execute(""))).decision, "Yes")
    }).pipe(onEngine)
  )

  it.effect("lets workflows vote, whose steps stand under the voter", () =>
    Effect.gen(function* () {
      const judge = Workflow.make("judge", {
        output: Schema.Boolean,
        error: Abstained,
        run: (text) => Step.make("weigh", { run: Effect.succeed(text.length > 2) })
      })
      const vote = Voting.make("vote", {
        output: Schema.Boolean,
        voters: { ada: judge, bob: (text) => Effect.succeed(text.length > 1) }
      })
      expectTypeOf<Workflow.Error<typeof vote>>().toEqualTypeOf<Abstained | Voting.NoQuorum>()
      assert.deepStrictEqual(yield* run(vote, "tea"), [":0/2", "voter/ada/weigh", ":1/2", "voter/bob", ":2/2"])
    }).pipe(onEngine)
  )

  it.effect("fails with the error of a voter, and interrupts the others", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const vote = Voting.make("vote", {
        error: Abstained,
        voters: [says("yes", 30, interrupted), () => Effect.fail(new Abstained({ why: "tired" }))]
      })
      const execution = yield* (yield* vote.run("?")).start
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(yield* Effect.flip(execution.result), new Abstained({ why: "tired" }))
      assert.deepStrictEqual(interrupted, ["yes"])
    }).pipe(onEngine)
  )

  it.effect("shows a defect of a voter even where the outcome is certain", () =>
    Effect.gen(function* () {
      const leaving = () => Effect.onInterrupt(Effect.as(Effect.never, "no"), () => Effect.die("bug"))
      const vote = Voting.make("vote", { voters: [says("yes", 1), says("yes", 1), leaving] })
      const execution = yield* (yield* vote.run("?")).start
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* execution.status, "failed")
    }).pipe(onEngine)
  )

  it.effect("is interrupted in all its voters when the run is cancelled", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const vote = Voting.make("vote", { voters: [says("a", 9, interrupted), says("b", 9, interrupted)] })
      const execution = yield* (yield* vote.run("?")).start
      yield* TestClock.adjust("1 second")
      yield* execution.cancel()
      assert.deepStrictEqual(interrupted, ["a", "b"])
    }).pipe(onEngine)
  )

  it.effect("lets its phases be called one by one, outside of any execution too", () =>
    Effect.gen(function* () {
      const vote = Voting.make("vote", { voters: [() => Effect.succeed("a"), () => Effect.succeed("b")], quorum: 1 })
      const tally = yield* vote.vote("?")
      assert.strictEqual(tally.cast, 2)
      assert.strictEqual((yield* Effect.flip(vote.decide(tally)))._tag, "NoQuorum")
      const counts = [{ vote: "a", count: 2, voters: ["1", "2"] }]
      assert.strictEqual((yield* vote.decide({ ...tally, counts })).decision, "a")
    })
  )

  it.effect("keeps its errors through JSON, with the votes as JSON", () =>
    Effect.gen(function* () {
      const vote = Voting.make("vote", {
        output: Schema.Date,
        voters: [() => Effect.succeed(new Date(0)), () => Effect.succeed(new Date(1))]
      })
      const error = yield* Effect.flip(vote.execute("?"))
      assert.strictEqual((error as Voting.NoQuorum).tally.counts[0]!.vote, "1970-01-01T00:00:00.000Z")
      const json = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(vote.error)(error as Voting.NoQuorum)))
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(vote.error)(json), error)
    }).pipe(onEngine)
  )

  it("refuses no voters, a quorum out of range, and a quorum beside a majority, when it is made", () => {
    const voters = [says("a", 0), says("b", 0)]
    for (const quorum of [0, -1, 3, 1.5, Number.NaN]) {
      assert.strictEqual(
        thrown(() => Voting.make("vote", { voters, quorum })),
        `Invalid definition of vote at "quorum": Expected a whole number from 1 to 2, the number of voters, found ${quorum}; correct the option`
      )
    }
    assert.strictEqual(
      thrown(() => Voting.make("vote", { voters, quorum: 1, majority: true })),
      'Invalid definition of vote at "quorum": Expected either a quorum or a majority, found 1; correct the option'
    )
    assert.strictEqual(
      thrown(() => Voting.make("vote", { voters: [] })),
      'Invalid definition of vote at "voters": Expected at least one voter, found []; correct the option'
    )
  })

  it("infers the outcome and the input of the voters", () => {
    const vote = Voting.make("vote", {
      input: Schema.Struct({ size: Schema.Number }),
      output: Schema.Literals(["small", "large"]),
      voters: [({ size }) => Effect.succeed(size > 9 ? "large" : "small")]
    })
    expectTypeOf<Workflow.Input<typeof vote>>().toEqualTypeOf<{ readonly size: number }>()
    expectTypeOf<Workflow.Output<typeof vote>>().toEqualTypeOf<Voting.Outcome<"small" | "large">>()
    expectTypeOf<Workflow.Error<typeof vote>>().toEqualTypeOf<Voting.NoQuorum>()
    expectTypeOf<Workflow.Services<typeof vote>>().toEqualTypeOf<never>()
    expectTypeOf(vote.vote).returns.toEqualTypeOf<
      Effect.Effect<Voting.Tally<"small" | "large">, Budget.BudgetExceeded, never>
    >()
  })

  it("refuses votes and errors that no schema describes, and workflows of another input", () => {
    // @ts-expect-error `output` is missing
    Voting.make("v", { voters: [(text) => Effect.succeed(text.length)] })
    // @ts-expect-error `error` is missing
    Voting.make("v", { voters: [() => Effect.fail(new Abstained({ why: "" }))] })
    const count = Workflow.make("count", { input: Schema.Number, run: (n) => Effect.succeed(`${n}`) })
    // @ts-expect-error the workflow takes a number
    Voting.make("v", { voters: [count] })
  })
})
