/**
 * Agent: a model and its tools in a loop, until the model answers.
 *
 * Each turn has a scope, `turn/<n>`. In it the model's answer is the step `model`, and each call of a tool the step
 * `tool/<name>/<id of the call>`; where the tool is a workflow it is a scope, whose own steps stand below. A request for
 * approval is `approval/<id of the call>`. Then come, as far as they are asked for: `compact` in a turn, and around the
 * turns `guardrail/input`, `output`, `guardrail/output`. Progress counts the turns; its total is not known.
 *
 * A1  A call of a tool whose outcome was recorded is not made again, and the model sees that outcome.
 * A2  Each call that the model asks for has one result in the conversation, whatever became of it.
 * A3  What a tool fails with is the model's to see; only a used-up budget, defects and interruption end the agent.
 * A4  A call that needs a person's yes is not made before it.
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { BudgetExceeded } from "../Budget.ts"
import * as Step from "../Step.ts"
import * as Workflow from "../Workflow.ts"
import { type AgentError, AgentStopped, GuardrailTripped, TurnsExhausted } from "./AgentError.ts"
import { ask, CallError, finisher, starter } from "./AgentModel.ts"
import * as tools from "./AgentTool.ts"
import { type Approvals, decide, permit } from "./approvals.ts"
import { type Compaction, compact, problemOf } from "./compaction.ts"
import { Answer, Conversation, Outcome, type ToolCall, type ToolResult } from "./conversation.ts"
import type { Declares, Definition, Nothing, Own, Text } from "./definition.ts"
import { invalid, report, scope } from "./phase.ts"

export { type AgentError, AgentStopped, GuardrailTripped, TurnsExhausted } from "./AgentError.ts"
export { type AsToolOptions, asTool, type Tools, type WorkflowTool } from "./AgentTool.ts"
export { type Approvals, always, edit } from "./approvals.ts"
export type { Compaction } from "./compaction.ts"
export type { ToolCall, ToolResult } from "./conversation.ts"
export { mcpTools } from "./mcpTools.ts"

/** A turn in which tools were called, and have ended. */
export interface Turn {
  /** 1, 2, 3, ... */
  readonly number: number
  /** What the model said besides its calls; may be empty. */
  readonly text: string
  /** The calls and their results, in the model's order. */
  readonly calls: ReadonlyArray<ToolResult>
  /** The conversation, this turn included. */
  readonly history: Prompt.Prompt
}

/** Whether an agent stops after a turn, with what the model said in it. */
export type Condition<R = never> = (turn: Turn) => boolean | Effect.Effect<boolean, never, R>

/** What an agent fails with: `E` is the error of its guardrails and of getting its tools. */
export type Failure<Error, E> = Error | Own<E> | AgentError | AiError.AiError

/** What makes an agent. */
export interface Options<
  TK,
  In extends Workflow.Boundary<any>,
  Out extends Workflow.Boundary<any>,
  Err extends Workflow.Boundary<any>,
  E1,
  R1,
  E2,
  R2,
  R3,
  R4
> extends Definition<In, Out, Err, Failure<Err["Type"], E1 | E2 | tools.ErrorOf<TK>>> {
  /** What the model is told before anything else, as a system message. Default: nothing. */
  readonly instructions?: string | undefined
  /** How an input reads. Default: text as it is, a `Prompt` as the conversation to go on with, anything else as JSON. */
  readonly prompt?: ((input: In["Type"]) => Prompt.RawInput) | undefined
  /** The tools: a toolkit, one with its handlers, an effect that gives one, a workflow as a tool; or several of them. */
  readonly toolkit?: TK | undefined
  /** Id of the model. Default: the `LanguageModel` in the context. */
  readonly model?: string | undefined
  /** How often the model is asked, a whole number from 1 up. Default: 20. */
  readonly maxTurns?: number | undefined
  /** Stops the agent after a turn with tools; one of several is enough. Default: never. */
  readonly stopWhen?: Condition<R4> | ReadonlyArray<Condition<R4>> | undefined
  /** Tools that a person must agree to, besides those that say so themselves: their names, or a function. Default: none. */
  readonly approvals?: Approvals<NoInfer<tools.NameOf<TK>>, R3> | undefined
  /** Checks that succeed with the value as it may go on, changed or not, or fail. Default: none. */
  readonly guardrails?:
    | {
        readonly input?: ((input: In["Type"]) => Effect.Effect<In["Type"], E1, R1>) | undefined
        readonly output?: ((output: Out["Type"]) => Effect.Effect<Out["Type"], E2, R2>) | undefined
      }
    | undefined
  /** Makes the conversation shorter where it nears the limit of the model. Default: never. */
  readonly compaction?: Compaction | undefined
  /** Whether the text of the turns is streamed, and so shows as `TextDelta` events. Default: false. */
  readonly stream?: boolean | undefined
}

type Services<TK, R> = Exclude<LanguageModel.LanguageModel | tools.ServicesOf<TK> | R, Workflow.Provided>

/**
 * Defines an agent.
 *
 * **Details**
 *
 * The model is asked, the tools it calls are called at the same time, and it is asked again with their results, until it
 * answers without a call or a `stopWhen` holds; after `maxTurns` it fails with `TurnsExhausted`, and with `AgentStopped`
 * where the run's budget is used up. Both carry the conversation. With an `output` schema the model is asked once more,
 * for an object, and may correct one that does not fit.
 *
 * What a tool's handler fails with, arguments that do not decode, and tools that do not exist are results that the model
 * sees. Tools run in the run's own fibers, so a tool may ask people, and a cancel ends it.
 *
 * A call that needs approval waits for a yes, with its arguments shown; several wait side by side. The reason of a no is
 * what the model sees as the result. A yes may have the reason `Agent.always` or `Agent.edit`, which the request offers.
 *
 * **Gotchas**
 *
 * A call of a tool is one step, so where a retry resumes or an engine is durable, one that was cut off in the middle is
 * made again: use `toolCallId` of the handler's context for what must happen once. A `needsApproval` that is a function
 * must answer the same again, unless it answers with an effect, which is recorded.
 *
 * **Example** (A tool that a person must agree to)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Tool, Toolkit } from "effect/ai"
 * import { Agent, Engine } from "effect-baton"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const Refund = Tool.make("refund", {
 *   description: "Pays money back",
 *   parameters: Schema.Struct({ order: Schema.String, euros: Schema.Number }),
 *   success: Schema.String,
 *   needsApproval: true
 * })
 * const toolkit = Toolkit.make(Refund)
 * const desk = Agent.make("desk", { instructions: "You help customers.", toolkit, maxTurns: 5 })
 *
 * const program = Effect.gen(function*() {
 *   const execution = yield* (yield* desk.run("My parcel never came")).start
 *   const [request] = yield* execution.requests
 *   yield* execution.reject(request.id, { by: "ada", reason: "send a new parcel instead" })
 *   return [request.message.split("\n")[0], yield* execution.result]
 * })
 *
 * const model = ScriptedModel.make([ // or any other LanguageModel
 *   ScriptedModel.toolCalls([{ name: "refund", params: { order: "o1", euros: 20 } }]),
 *   ScriptedModel.text("We send you a new parcel.", { when: "send a new parcel instead" })
 * ])
 * const answer = Effect.flatMap(model, ({ layer }) =>
 *   program.pipe(
 *     Effect.provide([
 *       Engine.layerMemory,
 *       layer,
 *       toolkit.toLayer({ refund: ({ euros }) => Effect.succeed(`refunded ${euros}`) })
 *     ])
 *   )
 * )
 *
 * await Effect.runPromise(answer) // => ['Call the tool "refund" with these arguments?', "We send you a new parcel."]
 * ```
 *
 * Source: Anthropic, "Building effective agents", agents.
 */
export const make = <
  const TK extends tools.Tools | ReadonlyArray<tools.Tools> = Toolkit.Toolkit<{}>,
  In extends Workflow.Boundary<any> = Text,
  Out extends Workflow.Boundary<any> = Text,
  Err extends Workflow.Boundary<any> = Nothing,
  E1 = never,
  R1 = never,
  E2 = never,
  R2 = never,
  R3 = never,
  R4 = never
>(
  name: string,
  options: Options<TK, In, Out, Err, E1, R1, E2, R2, R3, R4> &
    Declares<NoInfer<Exclude<E1 | E2 | tools.ErrorOf<TK>, AgentError>>, Err["Type"]>
): Workflow.Workflow<
  In["Type"],
  Out["Type"],
  Failure<Err["Type"], E1 | E2 | tools.ErrorOf<TK>>,
  Services<TK, R1 | R2 | R3 | R4>
> =>
  // `make` has checked the types of the parts, which differ for each definition; from here on they are any.
  define(name, options as any) as any

/**
 * A condition: one of these tools was called, and did not fail.
 *
 * **Example** (Stopping once it is done)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Tool, Toolkit } from "effect/ai"
 * import { Agent, Engine } from "effect-baton"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const toolkit = Toolkit.make(Tool.make("file", { parameters: Schema.Struct({ report: Schema.String }) }))
 * const reporter = Agent.make("reporter", { toolkit, stopWhen: Agent.called("file") })
 *
 * const program = Effect.gen(function*() {
 *   const { layer } = yield* ScriptedModel.make([
 *     ScriptedModel.toolCalls([{ name: "file", params: { report: "All well" } }], { text: "I file it." })
 *   ])
 *   return yield* reporter.execute("Report").pipe(
 *     Effect.provide([Engine.layerMemory, layer, toolkit.toLayer({ file: () => Effect.void })])
 *   )
 * })
 *
 * await Effect.runPromise(program) // => "I file it."
 * ```
 */
export const called =
  (...names: ReadonlyArray<string>): Condition =>
  ({ calls }) =>
    calls.some((call) => !call.isFailure && names.includes(call.name))

/** Options whose types were checked where the agent was made. */
export type AnyOptions = Options<
  tools.Tools | ReadonlyArray<tools.Tools>,
  Workflow.Boundary<any>,
  Workflow.Boundary<any>,
  Workflow.Boundary<any>,
  any,
  any,
  any,
  any,
  any,
  any
>

// The types of the parts meet only here, where they are the ones that `make` checked.
const define = (name: string, options: AnyOptions) => {
  const { approvals, compaction, guardrails, maxTurns = 20 } = options
  if (!(Number.isSafeInteger(maxTurns) && maxTurns > 0)) {
    throw invalid(name, "maxTurns", maxTurns, "Expected a whole number, 1 or more")
  }
  const wrong = compaction === undefined ? undefined : problemOf(compaction)
  if (wrong !== undefined) throw invalid(name, `compaction.${wrong[0]}`, wrong[1], wrong[2])
  const toolkit = tools.resolver(name, options.toolkit)
  const conditions = options.stopWhen === undefined ? [] : [options.stopWhen].flat()
  const start = starter(options)
  const finish = finisher(options)

  const perform = (
    resolved: tools.Resolved,
    call: ToolCall,
    key: string,
    finishReason: string,
    messages: ReadonlyArray<Prompt.Message>
  ): Effect.Effect<readonly [ToolCall, Outcome], any, any> => {
    const tool = resolved.tools.get(call.name)
    if (tool === undefined) {
      const known = [...resolved.tools.keys()]
      const hint = known.length === 0 ? "there are none" : `the known ones are: ${known.join(", ")}`
      return Effect.succeed([call, tools.failed("unknown-tool", `No tool "${call.name}"; ${hint}`)])
    }
    // The arguments may be cut off.
    if (!complete.has(finishReason)) {
      const reason = `The tool was not called, since the answer ended early (${finishReason})`
      return Effect.succeed([call, tools.failed("execution-interrupted", reason)])
    }
    return Effect.flatMap(permit(name, approvals, tool, call, key, messages), (permission) => {
      if (!permission.granted) return Effect.succeed([call, permission.outcome] as const)
      const run = tools.call(resolved, tool, permission.call)
      const outcome = tools.hasSteps(tool)
        ? scope(`tool/${tool.name}`, key, run)
        : Step.make(`tool/${tool.name}`, { key, output: Outcome, error: CallError, run })
      return Effect.map(outcome, (outcome) => [permission.call, outcome] as const)
    })
  }

  /** One turn; whether it was the last one. */
  const turn = (resolved: tools.Resolved, conversation: Conversation, number: number) =>
    Effect.gen(function* () {
      yield* report({ current: number, total: 0, message: `turn ${number}` })
      if (compaction !== undefined) yield* compact(conversation, compaction, options.model)
      const { history } = conversation
      const answer = yield* Step.make("model", {
        output: Answer,
        error: CallError,
        run: ask(options, resolved, history)
      })
      const calls = conversation.add(answer)
      // A paused answer goes on when the model is asked again.
      if (calls.length === 0) return answer.finishReason !== "pause"
      const keys = keysOf(calls)
      yield* Effect.forEach(
        calls,
        (call, i) =>
          Effect.map(perform(resolved, call, keys[i]!, answer.finishReason, history.content), ([call, outcome]) =>
            conversation.settle(i, call, outcome)
          ),
        { concurrency: "unbounded", discard: true }
      )
      if (conditions.length === 0) return false
      const state: Turn = {
        number,
        text: conversation.text,
        calls: conversation.results,
        history: conversation.history
      }
      for (const condition of conditions) {
        if (yield* decide("stop when", undefined, condition(state))) return true
      }
      return false
    })

  const guard = (which: "input" | "output", value: unknown): Effect.Effect<unknown, any, any> => {
    const check = guardrails?.[which] as ((value: unknown) => Effect.Effect<unknown, any, any>) | undefined
    if (check === undefined) return Effect.succeed(value)
    const schema = (which === "input" ? options.input : options.output) ?? Schema.String
    return Step.make(`guardrail/${which}`, { output: schema, error: failure, run: Effect.suspend(() => check(value)) })
  }

  const failure = Schema.Union([
    options.error ?? Schema.Never,
    TurnsExhausted,
    AgentStopped,
    GuardrailTripped,
    AiError.AiError
  ])

  const body = (input: unknown): Effect.Effect<unknown, any, any> =>
    Effect.suspend(() => {
      let conversation = new Conversation(Prompt.empty)
      let number = 0
      const loop = Effect.gen(function* () {
        conversation = new Conversation(start(yield* guard("input", input)))
        const resolved = yield* toolkit
        do {
          if (number === maxTurns) {
            return yield* new TurnsExhausted({ agent: name, turns: number, history: conversation.history })
          }
          number++
        } while (!(yield* scope("turn", `${number}`, turn(resolved, conversation, number))))
        return yield* guard("output", yield* finish(resolved, conversation))
      })
      return Effect.catch(loop, (error) =>
        error instanceof BudgetExceeded
          ? Effect.fail(new AgentStopped({ agent: name, turns: number, budget: error, history: conversation.history }))
          : Effect.fail(error)
      )
    })

  return Workflow.make<any, any, any, any>(name, {
    description: options.description,
    input: options.input,
    output: options.output,
    error: failure,
    // `any`: their callbacks are typed by the schemas, which `make` has seen.
    defaults: options.defaults as any,
    version: options.version,
    run: body
  })
}

/** How an answer ends whose calls are whole; as `effect/ai` has it. */
const complete: ReadonlySet<string> = new Set<Response.FinishReason>(["stop", "tool-calls", "pause"])

/** What calls are told apart by in the path: their ids, which a model may give twice. */
const keysOf = (calls: ReadonlyArray<ToolCall>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  return calls.map(({ id }) => {
    let key = id
    for (let n = 2; seen.has(key); n++) key = `${id}-${n}`
    seen.add(key)
    return key
  })
}
