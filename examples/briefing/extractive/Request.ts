/**
 * What a prompt asks for, read from its text alone (`../prompts.ts` describes the form).
 */
import { Effect } from "effect"
import { AiError, type Prompt } from "effect/ai"

export interface Request {
  readonly task: string
  readonly limit: number | undefined
  /** `Headings:` and the `- entry` lines below it. */
  readonly lists: ReadonlyMap<string, ReadonlyArray<string>>
  readonly draft: string | undefined
  readonly texts: ReadonlyArray<{ readonly title: string; readonly text: string }>
}

/** All text the caller wrote. Files and earlier answers are not read. */
export const promptText = (prompt: Prompt.Prompt): string =>
  prompt.content
    .flatMap((message): ReadonlyArray<string> => {
      if (message.role === "system") return [message.content]
      if (message.role !== "user") return []
      return message.content.flatMap((part) => (part.type === "text" ? [part.text] : []))
    })
    .join("\n\n")

const material = /^<(text|draft)(?: title="([^"]*)")?>\n([\s\S]*?)\n?^<\/\1>$/gm

export const parse = (prompt: string): Effect.Effect<Request, AiError.AiError> => {
  const texts: Array<{ title: string; text: string }> = []
  let draft: string | undefined
  const head = prompt.replace(material, (_, tag: string, title: string | undefined, text: string) => {
    if (tag === "draft") draft = text
    else texts.push({ title: title ?? "", text })
    return ""
  })
  const lists = new Map<string, Array<string>>()
  let list: Array<string> | undefined
  for (const line of head.split("\n")) {
    const name = /^([A-Z][a-z]+):$/.exec(line)?.[1]
    if (name !== undefined) {
      list = []
      lists.set(name, list)
    } else if (line.startsWith("- ") && list !== undefined) list.push(line.slice(2).trim())
    else list = undefined
  }
  const task = /^Task: (\S+)$/m.exec(head)?.[1]
  const limit = /^Limit: (\d+) \S+$/m.exec(head)?.[1]
  return task === undefined
    ? refuse("Task", "a line such as `Task: summarise`", "nothing says what to do")
    : Effect.succeed({ task, limit: limit === undefined ? undefined : Number(limit), lists, draft, texts })
}

/** The request cannot be answered: which field of the prompt is at fault, what it should be, and what is wrong. */
export const refuse = (parameter: string, constraint: string, description: string) =>
  Effect.fail(
    AiError.make({
      module: "ExtractiveModel",
      method: "answer",
      reason: new AiError.InvalidRequestError({ parameter: `prompt.${parameter}`, constraint, description })
    })
  )

/** The number on the `Limit:` line. */
export const limit = (request: Request): Effect.Effect<number, AiError.AiError> =>
  request.limit === undefined
    ? refuse("Limit", "a line such as `Limit: 5 facts`", `the task ${request.task} needs one`)
    : Effect.succeed(request.limit)

/** The entries of a list that must be there. */
export const list = (request: Request, name: string): Effect.Effect<ReadonlyArray<string>, AiError.AiError> => {
  const entries = request.lists.get(name)
  return entries === undefined
    ? refuse(name, `\`${name}:\` with \`- entry\` lines below it`, `the task ${request.task} needs it`)
    : Effect.succeed(entries)
}

/** The text in `<draft>`. */
export const draft = (request: Request): Effect.Effect<string, AiError.AiError> =>
  request.draft === undefined
    ? refuse("draft", "a text between `<draft>` and `</draft>`", `the task ${request.task} needs one`)
    : Effect.succeed(request.draft)
