/**
 * The tools of an agent: where they come from, how one of them is called, and workflows as tools.
 */
import * as AiError from "effect/ai/AiError"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as Stream from "effect/Stream"
import { BudgetExceeded } from "../Budget.ts"
import { describe } from "../internal/failure.ts"
import type { Current } from "../internal/frame.ts"
import { inline } from "../internal/inline.ts"
import { RunError } from "../RunError.ts"
import * as Workflow from "../Workflow.ts"
import { AgentStopped } from "./AgentError.ts"
import type { Outcome, ToolCall } from "./conversation.ts"
import { invalid } from "./phase.ts"

// -----------------------------------------------------------------------------
// Workflows as tools
// -----------------------------------------------------------------------------

/** A workflow as a tool: agents call the workflow, so it needs no handler in their toolkits. */
export interface WorkflowTool<Name extends string, W extends Workflow.Any>
  extends Tool.Tool<
    Name,
    {
      readonly parameters: Schema.Codec<Workflow.Input<W>, any>
      readonly success: Schema.Codec<Workflow.Output<W>, any>
      readonly failure: Schema.Codec<Workflow.Error<W> | RunError, any>
      readonly failureMode: "error"
    },
    Workflow.Services<W> | Current
  > {
  readonly workflow: W
}

/** What a workflow is as a tool. */
export interface AsToolOptions<Name extends string> {
  /** What models call it. Default: the workflow's name, with `_` in place of what is neither letter, digit, `-` nor `_`. */
  readonly name?: Name | undefined
  /** What it does, for models to read. Default: the workflow's description. */
  readonly description?: string | undefined
  /** Whether a person must agree to each call. Default: false. */
  readonly needsApproval?: boolean | undefined
}

/**
 * A workflow, such as another agent, as a tool.
 *
 * **Details**
 *
 * An agent runs it as a part of its own execution, in the scope `tool/<name>/<id of the call>`: its steps are recorded
 * each for itself, and its approvals, usage and budget are those of the run. What it fails with goes back to the model,
 * except a used-up budget, which stops the agent. An input that is not an object travels as `{ input }`.
 *
 * **Gotchas**
 *
 * In a toolkit of named tools give it a `name`, so that the types of the others stay. Elsewhere than in an agent a
 * toolkit needs a handler for it, such as `(input) => workflow.call(input)`.
 *
 * **Example** (An agent that asks another one)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Agent, Engine } from "effect-baton"
 * import { ScriptedModel } from "effect-baton/testing"
 *
 * const research = Agent.make("research", { description: "Finds things out", instructions: "You research." })
 * const writer = Agent.make("writer", { instructions: "You write.", toolkit: Agent.asTool(research) })
 *
 * const program = Effect.gen(function*() {
 *   const model = yield* ScriptedModel.make([
 *     ScriptedModel.toolCalls([{ name: "research", params: { input: "population of Oslo" } }]),
 *     ScriptedModel.text("700,000", { when: "You research" }),
 *     "Oslo has 700,000 inhabitants."
 *   ])
 *   return yield* writer.execute("How big is Oslo?").pipe(Effect.provide([Engine.layerMemory, model.layer]))
 * })
 *
 * await Effect.runPromise(program) // => "Oslo has 700,000 inhabitants."
 * ```
 */
export const asTool = <W extends Workflow.Any, const Name extends string = string>(
  workflow: W,
  options: AsToolOptions<Name> = {}
): WorkflowTool<Name, W> => {
  const tool = Tool.make(options.name ?? toolName(workflow.name), {
    description: options.description ?? workflow.description,
    parameters: parametersOf(workflow.input),
    success: Schema.toCodecJson(workflow.output),
    failure: Schema.toCodecJson(Schema.Union([workflow.error, RunError])),
    needsApproval: options.needsApproval
  })
  // `any`: the types of the schemas say nothing of the workflow that they are made from.
  return Object.assign(tool, { workflow }) as any
}

const toolName = (name: string): string => name.replace(/[^a-zA-Z0-9_-]+/g, "_").slice(0, 64)

/** Models give objects: anything else travels in one. */
const parametersOf = (input: Workflow.Boundary<any>): Schema.Codec<any, any> => {
  const json = Schema.toCodecJson(input)
  if (Schema.toEncoded(json).ast._tag === "Objects") return json
  return Schema.Struct({ input: json }).pipe(
    Schema.decodeTo(Schema.toType(input), {
      decode: SchemaGetter.transform(({ input }: { readonly input: unknown }) => input),
      encode: SchemaGetter.transform((input: unknown) => ({ input }))
    })
  )
}

const isWorkflowTool = (tool: unknown): tool is WorkflowTool<string, Workflow.Any> =>
  Workflow.isWorkflow((tool as { readonly workflow?: unknown } | null | undefined)?.workflow)

// -----------------------------------------------------------------------------
// Toolkits
// -----------------------------------------------------------------------------

/** Where tools come from: a toolkit, one with its handlers, an effect that gives one, or a workflow as a tool. */
export type Tools =
  | Toolkit.Any
  | Toolkit.WithHandler<any>
  | Effect.Effect<Toolkit.WithHandler<any>, any, any>
  | WorkflowTool<any, any>

type Each<T> = T extends ReadonlyArray<infer Item> ? Item : T

/** The tools of a record, also where some of its names are not known. */
type Values<T> =
  | { [K in keyof T]: string extends K ? never : T[K] }[keyof { [K in keyof T as string extends K ? never : K]: 0 }]
  | (string extends keyof T ? T[string & keyof T] : never)

type ToolsIn<T> = T extends { readonly workflow: Workflow.Any }
  ? T
  : T extends Toolkit.Toolkit<infer Record>
    ? Values<Record>
    : T extends Toolkit.WithHandler<infer Record>
      ? Values<Record>
      : T extends Effect.Effect<Toolkit.WithHandler<infer Record>, any, any>
        ? Values<Record>
        : never

/** Names of tools. */
export type NameOf<T> = Tool.Name<ToolsIn<Each<T>>>

type HandlerOf<T> = T extends { readonly workflow: Workflow.Any }
  ? never
  : T extends Tool.Any
    ? Tool.RequiresHandler<T> extends true
      ? Tool.Handler<Tool.Name<T>>
      : never
    : never

type SourceServices<T> = T extends { readonly workflow: Workflow.Any }
  ? never
  : T extends Toolkit.Toolkit<infer Record>
    ? HandlerOf<Values<Record>>
    : T extends Effect.Effect<any, any, infer R>
      ? R
      : never

/** What tools need: their handlers, and what those need. */
export type ServicesOf<T> = SourceServices<Each<T>> | Tool.HandlerServices<ToolsIn<Each<T>>>

/** What getting tools can fail with. */
export type ErrorOf<T> = SourceError<Each<T>>

type SourceError<T> = T extends { readonly workflow: Workflow.Any }
  ? never
  : T extends Effect.Effect<any, infer E, any>
    ? E
    : never

/** The tools of an agent, and who handles each. */
export interface Resolved {
  readonly toolkit: Toolkit.WithHandler<any>
  readonly tools: ReadonlyMap<string, Tool.Any>
}

const isToolkit = (source: Tools): source is Toolkit.Toolkit<any> => "toLayer" in source

/** The tools that are known before anything runs. */
const staticTools = (source: Tools): ReadonlyArray<string> => {
  if (isWorkflowTool(source)) return [source.name]
  return Effect.isEffect(source) && !isToolkit(source as Tools)
    ? []
    : Object.keys((source as { readonly tools: Record<string, Tool.Any> }).tools)
}

const checkNames = (agent: string, names: ReadonlyArray<string>): void => {
  const twice = names.filter((name, i) => names.indexOf(name) !== i)
  if (twice.length > 0) throw invalid(agent, "toolkit", twice, "Expected one tool of each name")
}

/** Checks what can be known of the tools, then gives how to get hold of all of them. */
export const resolver = (
  agent: string,
  given: Tools | ReadonlyArray<Tools> | undefined
): Effect.Effect<Resolved, any, any> => {
  const sources = given === undefined ? [] : Array.isArray(given) ? (given as ReadonlyArray<Tools>) : [given as Tools]
  checkNames(agent, sources.flatMap(staticTools))
  return Effect.map(Effect.forEach(sources, withHandlers), (toolkits) => {
    const entries = toolkits.flatMap((toolkit) =>
      Object.entries(toolkit.tools as Record<string, Tool.Any>).map(([name, tool]) => ({ name, tool, toolkit }))
    )
    checkNames(
      agent,
      entries.map(({ name }) => name)
    )
    const owners = new Map(entries.map(({ name, toolkit }) => [name, toolkit]))
    const tools = new Map(entries.map(({ name, tool }) => [name, tool]))
    const toolkit: Toolkit.WithHandler<any> = {
      tools: Object.fromEntries(tools),
      handle: (name, ...call) => owners.get(name as string)!.handle(name, ...call)
    }
    return { toolkit, tools }
  })
}

const withHandlers = (source: Tools): Effect.Effect<Toolkit.WithHandler<any>, any, any> => {
  const toolkit = isWorkflowTool(source) ? Toolkit.make(source) : source
  if (!Effect.isEffect(toolkit)) return Effect.succeed(toolkit as Toolkit.WithHandler<any>)
  if (!isToolkit(toolkit as Tools)) return toolkit as Effect.Effect<Toolkit.WithHandler<any>, any, any>
  const tools = Object.values((toolkit as Toolkit.Any).tools)
  const handlers = new Map<string, unknown>()
  for (const tool of tools) {
    if (!isWorkflowTool(tool)) continue
    const workflow = tool.workflow as Workflow.Workflow<any, any, any, any>
    handlers.set(tool.id, {
      name: tool.name,
      handler: (input: unknown) => inline(workflow, input),
      context: Context.empty()
    })
  }
  return Effect.provideContext(toolkit as Effect.Effect<Toolkit.WithHandler<any>>, Context.makeUnsafe(handlers))
}

// -----------------------------------------------------------------------------
// Calls
// -----------------------------------------------------------------------------

/** Whether a tool's own parts are recorded, rather than the call as a whole. */
export const hasSteps = (tool: Tool.Any): boolean => isWorkflowTool(tool)

/** Decodes the arguments of a call; `undefined` where they do not fit the tool. */
export const decodeArguments = (tool: Tool.Any, params: unknown): Effect.Effect<Option.Option<unknown>, never, any> =>
  Schema.isSchema(tool.parametersSchema)
    ? Effect.option(Schema.decodeUnknownEffect(tool.parametersSchema)(params))
    : Effect.succeedSome(params)

/** The outcome of a call that failed, or was never made. */
export const failed = (type: string, reason: string): Outcome => ({ result: { type, reason }, isFailure: true })

/** As JSON has it: nothing is null there, and what has no word is left out. */
const toJson = (value: unknown): unknown => (value === undefined ? null : JSON.parse(JSON.stringify(value) ?? "null"))

/**
 * Calls a tool. What its handler fails with, and arguments that do not decode, are outcomes, for the model to see; what
 * ends the agent fails: a used-up budget, and a result that does not fit the tool's own schema.
 */
export const call = (
  { toolkit }: Resolved,
  tool: Tool.Any,
  { id, params }: ToolCall
): Effect.Effect<Outcome, AiError.AiError | BudgetExceeded, any> =>
  toolkit.handle(tool.name, params, id).pipe(
    Effect.flatMap((results) => Stream.runLast(Stream.filter(results, (result) => !result.preliminary))),
    Effect.flatMap((last): Effect.Effect<Outcome, AiError.AiError | BudgetExceeded> => {
      if (Option.isNone(last)) return Effect.die(new Error(`The tool "${tool.name}" ended without a result`))
      const { encodedResult, isFailure, modelOutput, result } = last.value
      if (isFailure) return told(tool, result)
      return Effect.succeed({
        result: toJson(encodedResult),
        isFailure: false,
        ...(modelOutput === undefined ? undefined : { modelOutput })
      })
    }),
    Effect.catchCause((cause) => {
      const error = Cause.hasDies(cause) ? Option.none() : Cause.findErrorOption(cause)
      return Option.isNone(error) ? Effect.failCause(cause as Cause.Cause<never>) : told(tool, error.value)
    })
  )

/** A failure, as the model is told of it, unless it ends the agent. */
const told = (tool: Tool.Any, error: unknown): Effect.Effect<Outcome, AiError.AiError | BudgetExceeded> => {
  if (error instanceof BudgetExceeded) return Effect.fail(error)
  if (error instanceof AgentStopped) return Effect.fail(error.budget)
  if (!AiError.isAiError(error)) return Effect.succeed({ result: encoded(tool, error), isFailure: true })
  const { reason } = error
  if ("toolName" in reason && reason.toolName === tool.name) {
    if (reason._tag === "ToolParameterValidationError") {
      return Effect.succeed(failed("invalid-arguments", reason.description))
    }
    if (reason._tag === "ToolResultEncodingError" && reason.toolResult instanceof BudgetExceeded) {
      return Effect.fail(reason.toolResult)
    }
    if (reason._tag === "ToolResultEncodingError" || reason._tag === "InvalidToolResultError") return Effect.fail(error)
  }
  return Effect.succeed(failed("failed", error.message))
}

/** A failure as its schema encodes it, else as its name and message. */
const encoded = (tool: Tool.Any, error: unknown): unknown => {
  const schema = Schema.toCodecJson(tool.failureSchema as Schema.Codec<unknown>)
  const result = Schema.encodeUnknownResult(schema)(error)
  if (Result.isSuccess(result)) return toJson(result.success)
  const { error: type, message } = describe(error)
  return { type, reason: message }
}
