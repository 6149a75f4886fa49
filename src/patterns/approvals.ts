/**
 * Tools that a person must agree to. A request is an approval, so that every channel can ask it, approvers, quorums and
 * timeouts hold as for any other, and a plain yes or no answers it; the two other things a person may want are reasons of
 * a yes, which the request names for channels to offer. New arguments have a request of their own, whose schema is the
 * tool's: a page can draw its form, and arguments that do not fit are refused to the one who gives them.
 */
import type * as Prompt from "effect/ai/Prompt"
import type * as Tool from "effect/ai/Tool"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { BudgetExceeded } from "../Budget.ts"
import * as Execution from "../Execution.ts"
import { type Current, currentFrame, type Frame } from "../internal/frame.ts"
import type { InvalidOptions } from "../RunError.ts"
import * as Step from "../Step.ts"
import { decodeArguments, failed } from "./AgentTool.ts"
import type { Outcome, ToolCall } from "./conversation.ts"

/**
 * The reason of a yes that also says yes to all further calls of the tool by this agent, as long as the run's attempt
 * lasts; those that wait for an answer go on at once.
 *
 * **Example** (Asked once)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Tool, Toolkit } from "effect/ai"
 * import { Agent, Engine } from "effect-baton"
 * import { ScriptedHuman, ScriptedModel } from "effect-baton/testing"
 *
 * const toolkit = Toolkit.make(Tool.make("ping", { needsApproval: true }))
 * const agent = Agent.make("pinger", { toolkit })
 *
 * const program = Effect.gen(function*() {
 *   const human = yield* ScriptedHuman.make([ScriptedHuman.approve({ reason: Agent.always })])
 *   const model = yield* ScriptedModel.make([
 *     ScriptedModel.toolCalls([{ name: "ping" }]),
 *     ScriptedModel.toolCalls([{ name: "ping" }]),
 *     "Pinged twice."
 *   ])
 *   return yield* agent.execute("Ping twice").pipe(
 *     Effect.provide([Engine.layerMemory, human.layer, model.layer, toolkit.toLayer({ ping: () => Effect.void })])
 *   )
 * })
 *
 * await Effect.runPromise(program) // => "Pinged twice."
 * ```
 */
export const always = "always"

/**
 * The reason of a yes to other arguments, which are then asked for by a request of the tool's own schema.
 *
 * **Example** (A smaller amount)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Tool, Toolkit } from "effect/ai"
 * import { Agent, Engine } from "effect-baton"
 * import { ScriptedHuman, ScriptedModel } from "effect-baton/testing"
 *
 * const Refund = Tool.make("refund", { parameters: Schema.Struct({ euros: Schema.Number }), success: Schema.String })
 * const toolkit = Toolkit.make(Refund)
 * const agent = Agent.make("desk", { toolkit, approvals: ["refund"] })
 * const handlers = toolkit.toLayer({ refund: ({ euros }) => Effect.succeed(`refunded ${euros}`) })
 *
 * const program = Effect.gen(function*() {
 *   const human = yield* ScriptedHuman.make([
 *     ScriptedHuman.approve({ reason: Agent.edit }),
 *     ScriptedHuman.answer({ euros: 5 })
 *   ])
 *   const model = yield* ScriptedModel.make([
 *     ScriptedModel.toolCalls([{ name: "refund", params: { euros: 50 } }]),
 *     ScriptedModel.reply((call) => ScriptedModel.text(call.text.split("\n").at(-1)!))
 *   ])
 *   return yield* agent.execute("I want my money back").pipe(
 *     Effect.provide([Engine.layerMemory, human.layer, model.layer, handlers])
 *   )
 * })
 *
 * await Effect.runPromise(program) // => '"refunded 5"'
 * ```
 */
export const edit = "edit"

/** Whether a person must agree to a call, besides what the tool itself says. */
export type Approvals<Name extends string, R> =
  | ReadonlyArray<Name>
  | ((call: ToolCall) => boolean | Effect.Effect<boolean, never, R>)

/** A decision that a step records where it takes an effect to make it. */
export const decide = <R>(
  name: string,
  key: string | undefined,
  decision: boolean | Effect.Effect<boolean, never, R>
): Effect.Effect<boolean, BudgetExceeded, R | Current> =>
  typeof decision === "boolean"
    ? Effect.succeed(decision)
    : Step.make(name, { key, output: Schema.Boolean, run: decision })

/** What was decided on a call: the call to be made, or the outcome in its place. */
export type Permission =
  | { readonly granted: true; readonly call: ToolCall }
  | { readonly granted: false; readonly outcome: Outcome }

/** Asks for a call where it must be asked for. */
export const permit = (
  agent: string,
  approvals: Approvals<any, any> | undefined,
  tool: Tool.Any,
  call: ToolCall,
  key: string,
  messages: ReadonlyArray<Prompt.Message>
): Effect.Effect<Permission, BudgetExceeded | InvalidOptions, any> => {
  const asked = typeof approvals === "function" ? approvals(call) : approvals?.includes(call.name) === true
  const { needsApproval = false } = tool
  const granted: Permission = { granted: true, call }
  if (asked === false && needsApproval === false) return Effect.succeed(granted)
  return Effect.gen(function* () {
    // Nobody is asked about a call that fails anyway.
    const decoded = yield* decodeArguments(tool, call.params)
    if (Option.isNone(decoded)) return granted
    const own =
      typeof needsApproval === "function"
        ? needsApproval(decoded.value, { toolCallId: call.id, messages })
        : needsApproval
    if (!(yield* decide("own approval", key, own)) && !(yield* decide("approvals", key, asked))) return granted
    return yield* ask(agent, tool, call, key)
  })
}

const reasons = {
  [always]: "say yes to all further calls of this tool in this run",
  [edit]: "change the arguments first"
}

const ask = (agent: string, tool: Tool.Any, call: ToolCall, key: string) =>
  Effect.gen(function* () {
    const allowed = yield* allowance(agent, tool.name)
    if (Deferred.isDoneUnsafe(allowed)) return { granted: true, call } as const
    const shown = JSON.stringify(call.params, undefined, 2)
    const approval = yield* Effect.raceFirst(
      Execution.waitForApproval(`Call the tool "${tool.name}" with these arguments?\n${shown}`, { key, reasons }),
      Effect.as(Deferred.await(allowed), undefined)
    )
    if (approval?.approved === false) {
      const outcome = failed("execution-denied", approval.reason ?? "A person said no to this call")
      return { granted: false, outcome } as const
    }
    const word = approval?.reason?.trim().toLowerCase()
    if (word === always) yield* Deferred.succeed(allowed, undefined)
    if (word !== edit) return { granted: true, call } as const
    // Whether the schema needs services to decode is not known here; those of tools for models do not.
    const parameters = tool.parametersSchema as unknown as Schema.Codec<unknown>
    const given = yield* Execution.waitForInput(
      `New arguments of the tool "${tool.name}", in place of:\n${shown}`,
      parameters,
      { key }
    )
    const params = yield* Effect.orDie(Schema.encodeEffect(parameters)(given))
    return { granted: true, call: { ...call, params } } as const
  })

/** The tools that need no more asking, by the body of the attempt in which a person said so. */
const allowances = new WeakMap<Frame, Map<string, Deferred.Deferred<void>>>()

const allowance = (agent: string, tool: string): Effect.Effect<Deferred.Deferred<void>> =>
  Effect.withFiber((fiber) => {
    const { root } = currentFrame(fiber)!
    let known = allowances.get(root)
    if (known === undefined) allowances.set(root, (known = new Map()))
    const key = JSON.stringify([agent, tool])
    let allowed = known.get(key)
    if (allowed === undefined) known.set(key, (allowed = Deferred.makeUnsafe()))
    return Effect.succeed(allowed)
  })
