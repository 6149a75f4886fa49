/**
 * Compaction: where a conversation nears the limit of its model, a summary takes the place of its older turns.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Step from "../Step.ts"
import * as Models from "../services/Models.ts"
import { type Conversation, transcript } from "./conversation.ts"
import { paragraphs } from "./prompt.ts"

/** When and how a conversation is made shorter. */
export interface Compaction {
  /** How many tokens the model takes at once, prompt and answer. */
  readonly contextTokens: number
  /** The share of them, from 0 to 1, that a prompt may reach before it is made shorter. Default: 0.8. */
  readonly threshold?: number | undefined
  /** How many of the newest turns stay as they are; fewer where there are no more. Default: 4. */
  readonly keepTurns?: number | undefined
  /** Id of the model that writes the summary. Default: the agent's. */
  readonly model?: string | undefined
}

/** What is wrong with the settings: the field, what stands there, and what was expected. */
export const problemOf = ({
  contextTokens,
  keepTurns,
  threshold
}: Compaction): readonly [field: string, value: unknown, problem: string] | undefined => {
  const isCount = (n: number) => Number.isSafeInteger(n) && n > 0
  if (!isCount(contextTokens)) return ["contextTokens", contextTokens, "Expected a whole number, 1 or more"]
  if (keepTurns !== undefined && !isCount(keepTurns)) {
    return ["keepTurns", keepTurns, "Expected a whole number, 1 or more"]
  }
  if (threshold !== undefined && !(threshold > 0 && threshold <= 1)) {
    return ["threshold", threshold, "Expected a number over 0, up to 1"]
  }
  return undefined
}

const task =
  "Below is the older part of a conversation between a person, an assistant and its tools. Sum it up for the assistant, " +
  "who will go on without having seen it: what was asked for, what was found out and decided, what each tool did and " +
  "gave as far as it still matters (names, numbers and ids as they stand there), and what is left to do."

/** Puts a summary in the place of the older turns, if there are any and the next prompt would be too long. */
export const compact = (
  conversation: Conversation,
  { contextTokens, keepTurns = 4, model, threshold = 0.8 }: Compaction,
  agentModel: string | undefined
) =>
  Effect.suspend(() => {
    if (conversation.size < contextTokens * threshold) return Effect.void
    const older = conversation.older(keepTurns)
    if (older.length === 0) return Effect.void
    const known = conversation.known
    const prompt = paragraphs(
      task,
      known === undefined ? undefined : `Summary of what came before:\n${known}`,
      `Conversation:\n${transcript(older)}`
    )
    const summary = Models.text({ purpose: "compact", prompt, model: model ?? agentModel })
    return Effect.map(Step.make("compact", { output: Schema.String, run: summary }), (summary) =>
      conversation.compact(summary, keepTurns)
    )
  })
