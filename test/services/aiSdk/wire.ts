/**
 * One model answer in the three wire formats that most providers speak, as a JSON body and as server-sent events.
 */

export interface ToolCall {
  readonly id: string
  readonly name: string
  /** The JSON text as the model wrote it, so that it can be broken. */
  readonly arguments: string
}

export interface Usage {
  readonly input: number
  readonly cached: number
  readonly output: number
  readonly reasoning: number
}

export interface Answer {
  readonly reasoning?: string
  readonly text?: string
  readonly toolCalls?: ReadonlyArray<ToolCall>
  /** Default: 20 input tokens of which 5 cached, 10 output tokens of which 3 for reasoning. */
  readonly usage?: Usage | "missing"
}

export interface Wire {
  readonly path: string
  readonly body: (answer: Answer) => unknown
  readonly events: (answer: Answer) => ReadonlyArray<string>
}

const created = 1_700_000_000
const model = "served-model"

const usageOf = (answer: Answer): Usage | undefined =>
  answer.usage === "missing" ? undefined : (answer.usage ?? { input: 20, cached: 5, output: 10, reasoning: 3 })

const words = (text: string): ReadonlyArray<string> => text.split(/(?<= )/)

const halves = (text: string): ReadonlyArray<string> => {
  const middle = Math.ceil(text.length / 2)
  return [text.slice(0, middle), text.slice(middle)]
}

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

// -----------------------------------------------------------------------------
// OpenAI Chat Completions
// -----------------------------------------------------------------------------

const chatUsage = (usage: Usage) => ({
  prompt_tokens: usage.input,
  completion_tokens: usage.output,
  total_tokens: usage.input + usage.output,
  prompt_tokens_details: { cached_tokens: usage.cached },
  completion_tokens_details: { reasoning_tokens: usage.reasoning }
})

const chatFinish = (answer: Answer) => (answer.toolCalls ? "tool_calls" : "stop")

const chatToolCall = ({ id, name, arguments: args }: ToolCall, index: number) => ({
  index,
  id,
  type: "function",
  function: { name, arguments: args }
})

export const openAiChat: Wire = {
  path: "/v1/chat/completions",
  body: (answer) => {
    const usage = usageOf(answer)
    return {
      id: "chatcmpl-1",
      object: "chat.completion",
      created,
      model,
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: answer.text ?? null,
            ...(answer.reasoning && { reasoning_content: answer.reasoning }),
            ...(answer.toolCalls && { tool_calls: answer.toolCalls.map(chatToolCall) })
          },
          finish_reason: chatFinish(answer)
        }
      ],
      ...(usage && { usage: chatUsage(usage) })
    }
  },
  events: (answer) => {
    const chunk = (delta: unknown, finish: string | null = null) =>
      data({
        id: "chatcmpl-1",
        object: "chat.completion.chunk",
        created,
        model,
        choices: [{ index: 0, delta, finish_reason: finish }]
      })
    const usage = usageOf(answer)
    return [
      chunk({ role: "assistant", content: "" }),
      ...words(answer.reasoning ?? "").flatMap((word) => (word === "" ? [] : [chunk({ reasoning_content: word })])),
      ...words(answer.text ?? "").flatMap((word) => (word === "" ? [] : [chunk({ content: word })])),
      ...(answer.toolCalls ?? []).flatMap((call, index) => [
        chunk({ tool_calls: [chatToolCall({ ...call, arguments: "" }, index)] }),
        ...halves(call.arguments).map((part) => chunk({ tool_calls: [{ index, function: { arguments: part } }] }))
      ]),
      chunk({}, chatFinish(answer)),
      ...(usage ? [data({ id: "chatcmpl-1", created, model, choices: [], usage: chatUsage(usage) })] : []),
      "data: [DONE]\n\n"
    ]
  }
}

// -----------------------------------------------------------------------------
// OpenAI Responses
// -----------------------------------------------------------------------------

type ResponsesItem =
  | {
      readonly type: "reasoning"
      readonly id: string
      readonly encrypted_content: string
      readonly summary: ReadonlyArray<{ readonly type: "summary_text"; readonly text: string }>
    }
  | {
      readonly type: "message"
      readonly id: string
      readonly role: "assistant"
      readonly status: "completed"
      readonly content: ReadonlyArray<{ readonly type: "output_text"; readonly text: string; annotations: [] }>
    }
  | {
      readonly type: "function_call"
      readonly id: string
      readonly call_id: string
      readonly name: string
      readonly arguments: string
      readonly status: "completed"
    }

const responsesOutput = (answer: Answer): ReadonlyArray<ResponsesItem> => [
  ...(answer.reasoning
    ? [
        {
          type: "reasoning" as const,
          id: "rs_1",
          encrypted_content: "sealed",
          summary: [{ type: "summary_text" as const, text: answer.reasoning }]
        }
      ]
    : []),
  ...(answer.text
    ? [
        {
          type: "message" as const,
          id: "msg_1",
          role: "assistant" as const,
          status: "completed" as const,
          content: [{ type: "output_text" as const, text: answer.text, annotations: [] as [] }]
        }
      ]
    : []),
  ...(answer.toolCalls ?? []).map((call, index) => ({
    type: "function_call" as const,
    id: `fc_${index}`,
    call_id: call.id,
    name: call.name,
    arguments: call.arguments,
    status: "completed" as const
  }))
]

const responsesUsage = (usage: Usage) => ({
  input_tokens: usage.input,
  input_tokens_details: { cached_tokens: usage.cached },
  output_tokens: usage.output,
  output_tokens_details: { reasoning_tokens: usage.reasoning }
})

const responsesBody = (answer: Answer) => {
  const usage = usageOf(answer)
  return {
    id: "resp_1",
    object: "response",
    created_at: created,
    model,
    status: "completed",
    incomplete_details: null,
    output: responsesOutput(answer),
    ...(usage && { usage: responsesUsage(usage) })
  }
}

const responsesItemEvents = (item: ResponsesItem, output_index: number): ReadonlyArray<object> => {
  const added = (started: unknown) => ({ type: "response.output_item.added", output_index, item: started })
  const done = { type: "response.output_item.done", output_index, item }
  const item_id = item.id
  if (item.type === "reasoning") {
    return [
      added({ ...item, summary: [] }),
      { type: "response.reasoning_summary_part.added", item_id, output_index, summary_index: 0 },
      ...words(item.summary[0]!.text).map((delta) => ({
        type: "response.reasoning_summary_text.delta",
        item_id,
        output_index,
        summary_index: 0,
        delta
      })),
      { type: "response.reasoning_summary_part.done", item_id, output_index, summary_index: 0 },
      done
    ]
  }
  if (item.type === "message") {
    return [
      added({ ...item, content: [], status: "in_progress" }),
      ...words(item.content[0]!.text).map((delta) => ({
        type: "response.output_text.delta",
        item_id,
        output_index,
        content_index: 0,
        delta
      })),
      done
    ]
  }
  return [
    added({ ...item, arguments: "", status: "in_progress" }),
    ...halves(item.arguments).map((delta) => ({
      type: "response.function_call_arguments.delta",
      item_id,
      output_index,
      delta
    })),
    { type: "response.function_call_arguments.done", item_id, output_index, arguments: item.arguments },
    done
  ]
}

export const openAiResponses: Wire = {
  path: "/v1/responses",
  body: responsesBody,
  events: (answer) =>
    [
      {
        type: "response.created",
        response: { ...responsesBody(answer), status: "in_progress", output: [], usage: null }
      },
      ...responsesOutput(answer).flatMap(responsesItemEvents),
      { type: "response.completed", response: responsesBody(answer) }
    ].map((event, sequence_number) => data({ ...event, sequence_number }))
}

// -----------------------------------------------------------------------------
// Anthropic Messages
// -----------------------------------------------------------------------------

/** A cut argument text cannot be an object; Anthropic's non-streaming format has no way to send one. */
const anthropicContent = (answer: Answer) => [
  ...(answer.reasoning ? [{ type: "thinking", thinking: answer.reasoning, signature: "signed" }] : []),
  ...(answer.text ? [{ type: "text", text: answer.text }] : []),
  ...(answer.toolCalls ?? []).map((call) => ({
    type: "tool_use",
    id: call.id,
    name: call.name,
    input: JSON.parse(call.arguments) as unknown
  }))
]

const anthropicUsage = (usage: Usage | undefined) => ({
  input_tokens: usage ? usage.input - usage.cached : 0,
  cache_read_input_tokens: usage?.cached ?? null,
  cache_creation_input_tokens: null,
  output_tokens: usage?.output ?? 0
})

const anthropicStop = (answer: Answer) => (answer.toolCalls ? "tool_use" : "end_turn")

const anthropicMessage = (answer: Answer) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model,
  content: anthropicContent(answer),
  stop_reason: anthropicStop(answer),
  stop_sequence: null,
  usage: anthropicUsage(usageOf(answer))
})

const anthropicEvent = (event: { readonly type: string }): string => `event: ${event.type}\n${data(event)}`

export const anthropicMessages: Wire = {
  path: "/v1/messages",
  body: anthropicMessage,
  events: (answer) => {
    const blocks: Array<{ start: unknown; deltas: ReadonlyArray<unknown> }> = []
    if (answer.reasoning) {
      blocks.push({
        start: { type: "thinking", thinking: "", signature: "" },
        deltas: [
          ...words(answer.reasoning).map((thinking) => ({ type: "thinking_delta", thinking })),
          { type: "signature_delta", signature: "signed" }
        ]
      })
    }
    if (answer.text) {
      blocks.push({
        start: { type: "text", text: "" },
        deltas: words(answer.text).map((text) => ({ type: "text_delta", text }))
      })
    }
    for (const { id, name, arguments: args } of answer.toolCalls ?? []) {
      blocks.push({
        start: { type: "tool_use", id, name, input: {} },
        deltas: halves(args).map((partial_json) => ({ type: "input_json_delta", partial_json }))
      })
    }
    return [
      { type: "message_start", message: { ...anthropicMessage({}), content: [], stop_reason: null } },
      ...blocks.flatMap(({ deltas, start }, index) => [
        { type: "content_block_start", index, content_block: start },
        ...deltas.map((delta) => ({ type: "content_block_delta", index, delta })),
        { type: "content_block_stop", index }
      ]),
      {
        type: "message_delta",
        delta: { stop_reason: anthropicStop(answer), stop_sequence: null },
        usage: anthropicUsage(usageOf(answer))
      },
      { type: "message_stop" }
    ].map(anthropicEvent)
  }
}

export const wires: ReadonlyArray<Wire> = [openAiChat, openAiResponses, anthropicMessages]
