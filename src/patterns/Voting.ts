/**
 * Voting: several voters judge the same input, and what enough of them say is the decision.
 *
 * A voter stands under `voter/<name>`: as one step where it is a function, as a scope where it is a workflow. Voters of
 * an array are named 1, 2, 3, ... Progress counts the votes that were cast. Counting them is no step of its own.
 */
import * as AiError from "effect/ai/AiError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { BudgetExceeded } from "../Budget.ts"
import type { Current } from "../internal/frame.ts"
import { show } from "../internal/schema.ts"
import type { RunError } from "../RunError.ts"
import * as Workflow from "../Workflow.ts"
import type { Declares, Definition, ErrorOf, Gives, Nothing, OutputOf, Own, ServicesOf, Text } from "./definition.ts"
import { invalid, part, phase, report } from "./phase.ts"

/** What judges an input: a function, or a workflow that takes it. */
export type Voter<Input> = ((input: Input) => Effect.Effect<any, any, any>) | Workflow.Any

/** Voters by name, or numbered from 1 on. */
export type Voters<Input> = ReadonlyArray<Voter<Input>> | { readonly [name: string]: Voter<Input> }

/** How often something was voted for, and by whom. */
export interface Count<out A> {
  readonly vote: A
  readonly count: number
  /** Names of the voters, in the order of their votes. */
  readonly voters: ReadonlyArray<string>
}

/** The votes, counted. */
export interface Tally<out A> {
  /** The most frequent first; equally frequent ones in the order in which they were first voted for. */
  readonly counts: ReadonlyArray<Count<A>>
  /** How many votes were cast; fewer than there are voters where an early decision made the rest needless. */
  readonly cast: number
  /** How many voters there are. */
  readonly voters: number
}

/** What was decided, and how. */
export interface Outcome<out A> {
  readonly decision: A
  readonly tally: Tally<A>
}

/**
 * Schema of a tally of votes.
 *
 * **Example** (Checking a tally)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Voting } from "effect-baton"
 *
 * Schema.is(Voting.Tally(Schema.Boolean))({ counts: [{ vote: true, count: 1, voters: ["1"] }], cast: 1, voters: 3 }) // => true
 * ```
 */
export const Tally = <A>(vote: Workflow.Boundary<A>): Workflow.Boundary<Tally<A>> =>
  Schema.Struct({
    counts: Schema.Array(Schema.Struct({ vote, count: Schema.Int, voters: Schema.Array(Schema.String) })),
    cast: Schema.Int,
    voters: Schema.Int
  })

/**
 * Schema of the outcome of a vote.
 *
 * **Example** (Checking an outcome)
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Voting } from "effect-baton"
 *
 * const tally = { counts: [{ vote: "spam", count: 2, voters: ["1", "3"] }], cast: 2, voters: 3 }
 *
 * Schema.is(Voting.Outcome(Schema.String))({ decision: "spam", tally }) // => true
 * ```
 */
export const Outcome = <A>(vote: Workflow.Boundary<A>): Workflow.Boundary<Outcome<A>> =>
  Schema.Struct({ decision: vote, tally: Tally(vote) })

/**
 * Too few voters agreed, or as many on one thing as on another.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Voting } from "effect-baton"
 *
 * new Voting.NoQuorum({
 *   needed: 2,
 *   tally: {
 *     counts: [{ vote: "spam", count: 1, voters: ["1"] }, { vote: "ham", count: 1, voters: ["2"] }],
 *     cast: 2,
 *     voters: 2
 *   }
 * }).message // => 'No decision: 2 of 2 voters had to agree, the votes were "spam" 1, "ham" 1; ask more voters, or lower the quorum'
 * ```
 */
export class NoQuorum extends Schema.TaggedError<NoQuorum>("effect-baton/Voting/NoQuorum")("NoQuorum", {
  /** How many voters had to agree. */
  needed: Schema.Int,
  /** The votes, as JSON. */
  tally: Tally(Schema.Json)
}) {
  override get message(): string {
    const votes = this.tally.counts.map(({ count, vote }) => `${show(vote, 40)} ${count}`).join(", ")
    return `No decision: ${this.needed} of ${this.tally.voters} voters had to agree, the votes were ${votes}; ask more voters, or lower the quorum`
  }
}

type Member<V> = V extends ReadonlyArray<infer Each> ? Each : V[keyof V]

type FunctionError<W> = W extends Workflow.Any ? never : ErrorOf<W>

type VoterError<W> = Own<FunctionError<W>> | (W extends Workflow.Any ? Workflow.Error<W> : never)

/** The workflows that do not take an input. */
type Misfit<W, Input> = W extends Workflow.Any ? ([Input] extends [Workflow.Input<W>] ? never : W) : never

/** Asks for workflows that take the input. */
type Fits<M, Input> = [M] extends [never]
  ? unknown
  : { readonly voters: Voters<Input> & Readonly<Record<string, Workflow.Workflow<Input, any, any, any>>> }

/** What a vote fails with. */
export type Failure<V, Error> = Error | VoterError<Member<V>> | NoQuorum

/** What makes a vote. */
export interface Options<
  V,
  In extends Workflow.Boundary<any>,
  Vote extends Workflow.Boundary<any>,
  Err extends Workflow.Boundary<any>
> extends Omit<Definition<In, Vote, Err, unknown>, "defaults" | "output">,
    Pick<Definition<In, Workflow.Boundary<Outcome<Vote["Type"]>>, Err, Failure<V, Err["Type"]>>, "defaults"> {
  /** Schema of a vote, and with it of the decision. Default: `Schema.String`. */
  readonly output?: Vote | undefined
  /** Who votes: by name, or numbered from 1 on. All get the same input, at the same time. */
  readonly voters: V
  /** How many voters have to agree. Default: a majority of them. */
  readonly quorum?: number | undefined
  /** More than half of the voters have to agree; says what holds without `quorum`. Default: true without one. */
  readonly majority?: true | undefined
  /** What makes votes equal: those of equal keys are. Default: the vote itself, compared by `Equal.equals`. */
  readonly key?: ((vote: Vote["Type"]) => unknown) | undefined
  /** Whether the other voters are interrupted as soon as they can not change the outcome. Default: true. */
  readonly earlyStop?: boolean | undefined
}

/** A vote, and its phases. */
export interface Voting<V, Input, A, Error>
  extends Workflow.Workflow<Input, Outcome<A>, Failure<V, Error>, Exclude<ServicesOf<Member<V>>, Workflow.Provided>> {
  /** Asks the voters and counts their votes. */
  readonly vote: (
    input: Input
  ) => Effect.Effect<
    Tally<A>,
    VoterError<Member<V>> | (Extract<Member<V>, Workflow.Any> extends never ? BudgetExceeded : RunError),
    ServicesOf<Member<V>> | (Extract<Member<V>, Workflow.Any> extends never ? never : Current)
  >
  /** What a tally decides. */
  readonly decide: (tally: Tally<A>) => Effect.Effect<Outcome<A>, NoQuorum>
}

/**
 * Defines a vote.
 *
 * **Details**
 *
 * The decision is what most voters say, if enough of them do: a majority, or `quorum`. Where too few agree, or as many
 * say one thing as another, it fails with `NoQuorum`, which has the tally. When the outcome is certain the other voters
 * are interrupted, which never changes it. A voter that fails fails the vote. No voters, or a quorum that is not a whole
 * number from 1 to their number, are `InvalidDefinition`, thrown at once.
 *
 * **Example** (Two of three)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Voting } from "effect-baton"
 *
 * const isSpam = Voting.make("is it spam", {
 *   output: Schema.Boolean,
 *   voters: {
 *     length: (text) => Effect.succeed(text.length > 100),
 *     shouting: (text) => Effect.succeed(text === text.toUpperCase()),
 *     money: (text) => Effect.succeed(text.includes("$"))
 *   }
 * })
 *
 * const outcome = await Effect.runPromise(isSpam.execute("WIN $$$").pipe(Effect.provide(Engine.layerMemory)))
 * outcome.decision // => true
 * outcome.tally.counts[0]?.voters // => ["shouting", "money"]
 * ```
 *
 * Source: Anthropic, "Building effective agents", parallelization (voting).
 */
export const make = <
  V extends Voters<In["Type"]>,
  In extends Workflow.Boundary<any> = Text,
  Vote extends Workflow.Boundary<any> = Text,
  Err extends Workflow.Boundary<any> = Nothing
>(
  name: string,
  options: Options<V, In, Vote, Err> &
    Fits<Misfit<Member<NoInfer<V>>, In["Type"]>, In["Type"]> &
    Gives<OutputOf<Member<NoInfer<V>>>, Vote["Type"]> &
    Declares<FunctionError<Member<NoInfer<V>>>, Err["Type"]>
): Voting<V, In["Type"], Vote["Type"], Err["Type"]> =>
  // `make` has checked the types of the parts, which differ for each definition; from here on they are any.
  define(name, options as any) as any

const define = (name: string, options: Options<Voters<any>, any, any, any>) => {
  const { earlyStop = true, key = (vote) => vote, majority, quorum } = options
  const output: Workflow.Boundary<any> = options.output ?? Schema.String
  const voters: ReadonlyArray<readonly [string, Voter<any>]> = Array.isArray(options.voters)
    ? options.voters.map((voter, index) => [`${index + 1}`, voter] as const)
    : Object.entries(options.voters)
  const total = voters.length
  if (total === 0) throw invalid(name, "voters", [], "Expected at least one voter")
  if (quorum !== undefined && majority !== undefined) {
    throw invalid(name, "quorum", quorum, "Expected either a quorum or a majority")
  }
  if (quorum !== undefined && !(Number.isSafeInteger(quorum) && quorum >= 1 && quorum <= total)) {
    throw invalid(name, "quorum", quorum, `Expected a whole number from 1 to ${total}, the number of voters`)
  }
  const needed = quorum ?? Math.floor(total / 2) + 1

  const cast = ([voterName, voter]: readonly [string, Voter<any>], input: unknown): Effect.Effect<any, any, any> =>
    Workflow.isWorkflow(voter)
      ? part("voter", voterName, voter as Workflow.Workflow<any, any, any, any>, input)
      : phase(
          "voter",
          Effect.suspend(() => voter(input)),
          voterName
        )

  const vote = (input: unknown) =>
    Effect.suspend(() => {
      const box = new Box(total)
      const asked = Effect.forEach(
        voters,
        (voter) =>
          Effect.flatMap(cast(voter, input), (vote) => {
            box.add(vote, key(vote), voter[0])
            const counted = report({ current: box.cast, total })
            return earlyStop && box.isCertain(needed) ? Effect.andThen(counted, Effect.fail(certain)) : counted
          }),
        { concurrency: "unbounded", discard: true }
      )
      return report({ current: 0, total }).pipe(
        Effect.andThen(asked),
        Effect.catchCause((cause) => (isCertain(cause) ? Effect.void : Effect.failCause(cause))),
        Effect.andThen(Effect.sync(() => box.tally))
      )
    })

  const decide = (tally: Tally<any>): Effect.Effect<Outcome<any>, NoQuorum> =>
    Effect.suspend(() => {
      const [first, second] = tally.counts
      if (first !== undefined && first.count >= needed && first.count > (second?.count ?? 0)) {
        return Effect.succeed({ decision: first.vote, tally })
      }
      const encode = Schema.encodeSync(Schema.toCodecJson(output))
      const counts = tally.counts.map((count) => ({ ...count, vote: encode(count.vote) }))
      return Effect.fail(new NoQuorum({ needed, tally: { ...tally, counts } }))
    })

  const workflow = Workflow.make<any, any, any, any>(name, {
    description: options.description,
    input: options.input,
    output: Outcome(output),
    error: Schema.Union([
      options.error ?? Schema.Never,
      ...voters.flatMap(([, voter]) => (Workflow.isWorkflow(voter) ? [voter.error] : [])),
      NoQuorum,
      AiError.AiError
    ]),
    defaults: options.defaults,
    version: options.version,
    run: (input) => Effect.flatMap(vote(input), decide)
  })
  return Object.assign(workflow, { vote, decide })
}

/** How the voter that made the outcome certain ends the others. */
const certain = Symbol("certain")

/** Whether it was that voter: where another one's finalizer has a defect, the cause is the defect alone. */
const isCertain = (cause: Cause.Cause<unknown>): boolean =>
  Option.getOrUndefined(Cause.findErrorOption(cause)) === certain

/** Where votes are collected. */
class Box {
  cast = 0
  private readonly size: number
  private readonly counts = MutableHashMap.empty<unknown, { vote: unknown; count: number; voters: Array<string> }>()

  constructor(size: number) {
    this.size = size
  }

  add(vote: unknown, key: unknown, voter: string): void {
    this.cast++
    const known = MutableHashMap.get(this.counts, key)
    if (Option.isSome(known)) {
      known.value.count++
      known.value.voters.push(voter)
    } else {
      MutableHashMap.set(this.counts, key, { vote, count: 1, voters: [voter] })
    }
  }

  /** Whether the votes that are missing can not change the outcome. */
  isCertain(needed: number): boolean {
    const missing = this.size - this.cast
    const [first = 0, second = 0] = Array.from(this.counts, ([, { count }]) => count).sort((a, b) => b - a)
    return (first >= needed && first > second + missing) || first + missing < needed
  }

  get tally(): Tally<unknown> {
    const counts = Array.from(this.counts, ([, count]) => count).sort((a, b) => b.count - a.count)
    return { counts, cast: this.cast, voters: this.size }
  }
}
