/**
 * What every `HumanChannel` promises, as checks that any implementation can run.
 */

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Execution from "../Execution.ts"
import * as Engine from "../engines/Engine.ts"
import type { HumanRequest } from "../HumanRequest.ts"
import * as HumanChannel from "../services/HumanChannel.ts"
import * as Workflow from "../Workflow.ts"
import type { Check } from "./Check.ts"
import { equal, holds } from "./expect.ts"

/** A request, and the execution it belongs to. */
export interface Asked {
  readonly request: HumanRequest
  readonly execution: Execution.Execution<unknown, unknown>
}

/**
 * A channel under test, and somebody at the other end of it who answers in the channel's own way: by typing a line, by
 * clicking a button, by a call. Requests are answered in the order in which they were opened.
 */
export interface Setup {
  readonly channel: HumanChannel.HumanChannel
  readonly approve: (asked: Asked, reason: string) => Effect.Effect<void, unknown>
  readonly reject: (asked: Asked, reason: string) => Effect.Effect<void, unknown>
  /** The value is JSON. A refused answer may fail here or be told to the person; both leave the request open. */
  readonly answer: (asked: Asked, value: unknown) => Effect.Effect<void, unknown>
}

/** Settings of the checks. */
export interface Options {
  /** Lets time pass. Default: `TestClock.adjust`. */
  readonly pass?: ((duration: Duration.Input) => Effect.Effect<void>) | undefined
}

interface Kit extends Setup {
  readonly pass: (duration: Duration.Input) => Effect.Effect<void>
  /** How many requests the channel is delivering right now. */
  readonly delivering: () => number
}

const asks = Workflow.make("asks", {
  output: Schema.Array(Schema.String),
  run: (questions) =>
    Effect.forEach(
      questions.split(","),
      (question) =>
        Effect.map(
          Execution.waitForApproval(question, { key: question }),
          ({ approved, reason }) => `${question}: ${approved ? "yes" : "no"}, ${reason}`
        ),
      { concurrency: "unbounded" }
    )
})

const Answer = Schema.Struct({ region: Schema.Literals(["eu", "us"]), size: Schema.Int })

const fills = Workflow.make("fills", {
  output: Answer,
  run: () => Execution.waitForInput("Where, and how big?", Answer)
})

const waits = Workflow.make("waits", {
  run: (name) =>
    Effect.map(Execution.waitForApproval(name, { timeout: "1 minute" }), ({ reason }) => reason ?? "nothing said")
})

/** Starts a run whose requests go to the channel. */
const begin = <Output, Error>(kit: Kit, workflow: Workflow.Workflow<string, Output, Error>, input: string) =>
  Effect.flatMap(workflow.run(input), (run) => run.start).pipe(
    Effect.provideService(HumanChannel.HumanChannel, kit.channel)
  )

/** The open requests of an execution, as somebody is asked them. */
const open = (execution: Execution.Execution<any, any>) =>
  Effect.map(execution.requests, (requests) => requests.map((request): Asked => ({ request, execution })))

/** Gives other fibers their turn until something holds. */
const eventually = (what: string, condition: () => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 1000 && !condition(); i++) yield* Effect.yieldNow
    yield* holds(what, condition())
  })

const idle = (kit: Kit) => eventually("nothing is being delivered any more", () => kit.delivering() === 0)

const checks: Record<string, (kit: Kit) => Effect.Effect<void, unknown, Engine.Engine>> = {
  "a yes reaches the execution with its reason": (kit) =>
    Effect.gen(function* () {
      const execution = yield* begin(kit, asks, "Deploy?")
      const [asked] = yield* open(execution)
      yield* kit.approve(asked!, "it is tested")
      yield* equal("the result", yield* execution.result, ["Deploy?: yes, it is tested"])
      yield* idle(kit)
    }),

  "a no reaches the execution with its reason": (kit) =>
    Effect.gen(function* () {
      const execution = yield* begin(kit, asks, "Deploy?")
      const [asked] = yield* open(execution)
      yield* kit.reject(asked!, "it is Friday")
      yield* equal("the result", yield* execution.result, ["Deploy?: no, it is Friday"])
      yield* idle(kit)
    }),

  "a value reaches the execution": (kit) =>
    Effect.gen(function* () {
      const execution = yield* begin(kit, fills, "")
      const [asked] = yield* open(execution)
      yield* kit.answer(asked!, { region: "eu", size: 3 })
      yield* equal("the result", yield* execution.result, { region: "eu", size: 3 } as const)
      yield* idle(kit)
    }),

  "a value that does not decode leaves the request open for the next one": (kit) =>
    Effect.gen(function* () {
      const execution = yield* begin(kit, fills, "")
      const [asked] = yield* open(execution)
      yield* Effect.ignore(kit.answer(asked!, { region: "eu", size: "big" }))
      yield* Effect.ignore(kit.answer(asked!, "eu"))
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* equal("how many requests are open", (yield* open(execution)).length, 1)
      yield* kit.answer(asked!, { region: "us", size: 1 })
      yield* equal("the result", yield* execution.result, { region: "us", size: 1 } as const)
      yield* idle(kit)
    }),

  "requests that are open at the same time each get their own answer": (kit) =>
    Effect.gen(function* () {
      const execution = yield* begin(kit, asks, "a,b,c")
      const [a, b, c] = yield* open(execution)
      yield* kit.approve(a!, "one")
      yield* kit.reject(b!, "two")
      yield* kit.approve(c!, "three")
      yield* equal("the result", yield* execution.result, ["a: yes, one", "b: no, two", "c: yes, three"])
      yield* idle(kit)
    }),

  "executions that ask the same are told apart": (kit) =>
    Effect.gen(function* () {
      const first = yield* begin(kit, asks, "Deploy?")
      const second = yield* begin(kit, asks, "Deploy?")
      yield* kit.approve((yield* open(first))[0]!, "one")
      yield* kit.reject((yield* open(second))[0]!, "two")
      yield* equal("the first result", yield* first.result, ["Deploy?: yes, one"])
      yield* equal("the second result", yield* second.result, ["Deploy?: no, two"])
      yield* idle(kit)
    }),

  "a request that is answered elsewhere is withdrawn, and the next one gets its turn": (kit) =>
    Effect.gen(function* () {
      const execution = yield* begin(kit, asks, "a,b")
      const [a, b] = yield* open(execution)
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* execution.approve(a!.request.id, { reason: "elsewhere" })
      yield* kit.approve(b!, "here")
      yield* equal("the result", yield* execution.result, ["a: yes, elsewhere", "b: yes, here"])
      yield* idle(kit)
    }),

  "a request that waits for its turn can be answered elsewhere": (kit) =>
    Effect.gen(function* () {
      const execution = yield* begin(kit, asks, "a,b")
      const [a, b] = yield* open(execution)
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* execution.reject(b!.request.id, { reason: "elsewhere" })
      yield* kit.approve(a!, "here")
      yield* equal("the result", yield* execution.result, ["a: yes, here", "b: no, elsewhere"])
      yield* idle(kit)
    }),

  "a request that expires is withdrawn, and the next one gets its turn": (kit) =>
    Effect.gen(function* () {
      const late = yield* begin(kit, waits, "late")
      yield* kit.pass("1 minute")
      yield* equal("the result", yield* late.result, "timeout")
      yield* idle(kit)
      const next = yield* begin(kit, waits, "next")
      yield* kit.approve((yield* open(next))[0]!, "in time")
      yield* equal("the next result", yield* next.result, "in time")
      yield* idle(kit)
    }),

  "a cancelled execution takes its requests back": (kit) =>
    Effect.gen(function* () {
      const execution = yield* begin(kit, asks, "a,b")
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* equal("the cancel", yield* execution.cancel(), "cancelled" as const)
      yield* idle(kit)
      const next = yield* begin(kit, asks, "c")
      yield* kit.approve((yield* open(next))[0]!, "still here")
      yield* equal("the next result", yield* next.result, ["c: yes, still here"])
      yield* idle(kit)
    }),

  "beside another channel the first answer counts, and the other is withdrawn": (kit) =>
    Effect.gen(function* () {
      let seen = 0
      let waiting = 0
      const silent: HumanChannel.HumanChannel = {
        deliver: () =>
          Effect.acquireUseRelease(
            Effect.sync(() => {
              seen++
              waiting++
            }),
            () => Effect.never,
            () => Effect.sync(() => waiting--)
          )
      }
      const both = HumanChannel.all([silent, kit.channel])
      const execution = yield* begin({ ...kit, channel: both }, asks, "a")
      yield* eventually("the other channel is asked too", () => seen === 1)
      yield* kit.approve((yield* open(execution))[0]!, "first")
      yield* equal("the result", yield* execution.result, ["a: yes, first"])
      yield* eventually("the other channel is withdrawn", () => waiting === 0)
      yield* idle(kit)
    })
}

/**
 * The checks of a channel. The setup is made anew for each of them; the executions live in a memory engine.
 *
 * **Example** (In a test file)
 *
 * ```ts no-run
 * import { describe, it } from "@effect/vitest"
 * import { Effect } from "effect"
 * import { HumanChannel } from "effect-baton"
 * import { HumanChannelContract } from "effect-baton/testing"
 *
 * const inbox = Effect.succeed<HumanChannelContract.Setup>({
 *   channel: HumanChannel.inbox,
 *   approve: ({ execution, request }, reason) => execution.approve(request.id, { reason }),
 *   reject: ({ execution, request }, reason) => execution.reject(request.id, { reason }),
 *   answer: ({ execution, request }, value) => execution.answer(request.id, value)
 * })
 *
 * describe("the inbox", () => {
 *   for (const check of HumanChannelContract.make(inbox)) it.effect(check.name, () => check.effect)
 * })
 * ```
 */
export const make = <E>(
  setup: Effect.Effect<Setup, E, Scope.Scope>,
  { pass = TestClock.adjust }: Options = {}
): ReadonlyArray<Check> =>
  Object.entries(checks).map(([name, check]) => ({
    name,
    effect: Effect.scoped(
      Effect.flatMap(setup, (made) => {
        let delivering = 0
        const channel: HumanChannel.HumanChannel = {
          deliver: (request, answers) =>
            Effect.acquireUseRelease(
              Effect.sync(() => delivering++),
              () => made.channel.deliver(request, answers),
              () => Effect.sync(() => delivering--)
            )
        }
        return Effect.provide(check({ ...made, channel, pass, delivering: () => delivering }), Engine.layerMemory)
      })
    )
  }))
