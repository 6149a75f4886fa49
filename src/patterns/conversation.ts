/**
 * The conversation of an agent: what it began with, a summary of what was taken out, and its newest turns.
 */
import * as Prompt from "effect/ai/Prompt"
import * as Schema from "effect/Schema"
import { History } from "./AgentError.ts"

/** A call of a tool, as a model asked for it. */
export interface ToolCall {
  /** Unique within its turn. */
  readonly id: string
  readonly name: string
  /** The arguments in their encoded form, as they came: they may not fit the tool. */
  readonly params: unknown
}

/** How a call of a tool ended. */
export interface ToolResult extends ToolCall {
  /** What the model sees, as JSON. */
  readonly result: unknown
  readonly isFailure: boolean
}

/** What the model is given in answer to a call. */
export interface Outcome {
  readonly result: unknown
  readonly isFailure: boolean
  readonly modelOutput?: ReadonlyArray<Prompt.ToolModelOutputPart> | undefined
}

/** Schema of what the model is given in answer to a call. */
export const Outcome: Schema.Codec<Outcome, any> = Schema.Struct({
  result: Schema.Unknown,
  isFailure: Schema.Boolean,
  modelOutput: Schema.optional(Schema.Array(Prompt.ToolModelOutputPart))
})

/** What a model said in one turn. */
export interface Answer {
  readonly said: Prompt.Prompt
  readonly finishReason: string
  /** Tokens of the prompt and of the answer, where the provider told. */
  readonly tokens?: number | undefined
}

/** Schema of what a model said in one turn. */
export const Answer: Schema.Codec<Answer, any> = Schema.Struct({
  said: History,
  finishReason: Schema.String,
  tokens: Schema.optional(Schema.Finite)
})

interface Turn {
  readonly said: ReadonlyArray<Prompt.Message>
  readonly calls: Array<ToolCall>
  readonly outcomes: Array<Outcome | undefined>
}

/** The calls that are up to the agent; a provider makes some of them itself. */
const callsOf = (said: ReadonlyArray<Prompt.Message>): Array<ToolCall> =>
  said.flatMap((message) =>
    message.role !== "assistant"
      ? []
      : message.content.flatMap((part) =>
          part.type === "tool-call" && !part.providerExecuted
            ? [{ id: part.id, name: part.name, params: part.params }]
            : []
        )
  )

const textOf = (said: ReadonlyArray<Prompt.Message>): string =>
  said
    .flatMap((message) =>
      message.role === "assistant" ? message.content.map((part) => (part.type === "text" ? part.text : "")) : []
    )
    .join("")

/** Stands for the result of a call that did not end. */
const interrupted: Outcome = {
  result: { type: "execution-interrupted", reason: "The run was stopped before this call had ended" },
  isFailure: true
}

export class Conversation {
  private readonly head: ReadonlyArray<Prompt.Message>
  private summary: string | undefined = undefined
  private turns: Array<Turn> = []
  /** Tokens of the newest prompt and its answer, where they are known. */
  private tokens: number | undefined = undefined

  constructor(head: Prompt.Prompt) {
    this.head = head.content
  }

  /** Everything that the next prompt says. */
  get history(): Prompt.Prompt {
    return Prompt.fromMessages([...this.beginning, ...this.turns.flatMap(messagesOf)])
  }

  private get beginning(): ReadonlyArray<Prompt.Message> {
    if (this.summary === undefined) return this.head
    const text = `${summaryTitle}\n\n${this.summary}`
    return [...this.head, Prompt.userMessage({ content: [Prompt.textPart({ text })] })]
  }

  /** Takes up what a model said; gives the calls it asks for. */
  add({ said, tokens }: Answer): ReadonlyArray<ToolCall> {
    const calls = callsOf(said.content)
    this.turns.push({ said: said.content, calls, outcomes: calls.map(() => undefined) })
    this.tokens = tokens
    return calls
  }

  /** Takes up how the newest turn's call of an index ended; a person may have changed its arguments. */
  settle(index: number, call: ToolCall, outcome: Outcome): void {
    const turn = this.newest
    turn.calls[index] = call
    turn.outcomes[index] = outcome
  }

  /** What the model said in its newest turn. */
  get text(): string {
    return textOf(this.newest.said)
  }

  /** How the newest turn's calls ended. */
  get results(): ReadonlyArray<ToolResult> {
    const { calls, outcomes } = this.newest
    return calls.map((call, i) => {
      const { isFailure, result } = outcomes[i] ?? interrupted
      return { ...call, result, isFailure }
    })
  }

  private get newest(): Turn {
    return this.turns[this.turns.length - 1]!
  }

  /** About how many tokens the next prompt has: what the provider told of the last one, and what came since. */
  get size(): number {
    if (this.tokens === undefined) return estimate(this.history.content)
    return this.tokens + estimate(resultsOf(this.newest))
  }

  /** The turns that a summary would take the place of; the newest one always stays. */
  older(keepTurns: number): ReadonlyArray<Prompt.Message> {
    return this.turns.slice(0, -this.kept(keepTurns)).flatMap(messagesOf)
  }

  private kept(keepTurns: number): number {
    return Math.max(1, Math.min(keepTurns, this.turns.length - 1))
  }

  /** The summary that stands there by now. */
  get known(): string | undefined {
    return this.summary
  }

  /** Puts a summary in the place of the older turns. */
  compact(summary: string, keepTurns: number): void {
    this.turns = this.turns.slice(-this.kept(keepTurns))
    this.summary = summary
    this.tokens = undefined
  }
}

const summaryTitle = "Summary of the conversation so far:"

/** What was said, with the arguments that the calls were made with. */
const messagesOf = (turn: Turn): ReadonlyArray<Prompt.Message> => {
  const calls = turn.calls[Symbol.iterator]()
  const said = turn.said.map((message) =>
    message.role !== "assistant"
      ? message
      : Prompt.assistantMessage({
          content: message.content.map((part) => {
            if (part.type !== "tool-call" || part.providerExecuted) return part
            const call = calls.next().value as ToolCall
            return call.params === part.params ? part : Prompt.toolCallPart({ ...part, params: call.params })
          }),
          options: message.options
        })
  )
  return [...said, ...resultsOf(turn)]
}

const resultsOf = ({ calls, outcomes }: Turn): ReadonlyArray<Prompt.Message> => {
  if (calls.length === 0) return []
  const content = calls.map(({ id, name }, i) => {
    const { isFailure, modelOutput, result } = outcomes[i] ?? interrupted
    return Prompt.toolResultPart({
      id,
      name,
      result,
      isFailure,
      providerExecuted: false,
      ...(modelOutput === undefined ? undefined : { modelOutput })
    })
  })
  return [Prompt.toolMessage({ content })]
}

/** A conversation for somebody who only reads it. */
export const transcript = (messages: ReadonlyArray<Prompt.Message>): string =>
  messages
    .flatMap((message) => {
      if (message.role === "system") return [`system: ${message.content}`]
      return (message.content as ReadonlyArray<Prompt.Part>).map((part) => {
        switch (part.type) {
          case "text":
          case "reasoning":
            return `${message.role}: ${part.text}`
          case "tool-call":
            return `${message.role} called ${part.name}: ${JSON.stringify(part.params)}`
          case "tool-result":
            return `${part.name} ${part.isFailure ? "failed with" : "gave"}: ${JSON.stringify(part.result)}`
          case "file":
            return `${message.role}: (a file, ${part.mediaType})`
          default:
            return ""
        }
      })
    })
    .filter((line) => line !== "")
    .join("\n")

const charactersPerToken = 4

const estimate = (messages: ReadonlyArray<Prompt.Message>): number =>
  Math.ceil(transcript(messages).length / charactersPerToken)
