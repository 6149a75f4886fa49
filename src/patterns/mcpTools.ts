/**
 * The tools of an MCP server.
 */
import type * as McpClient from "effect/ai/McpClient"
import type { McpClientError } from "effect/ai/McpClientError"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"

/** A tool of an MCP server. */
export type McpTool = Tool.Tool<
  string,
  {
    readonly parameters: typeof Schema.Unknown
    readonly success: typeof Schema.String
    readonly failure: typeof McpClientError
    readonly failureMode: "error"
  }
>

/** Which tools of a server are taken, and what they are called. */
export interface McpOptions {
  /** Stands before each name, so that tools of two servers stay apart. Default: nothing. */
  readonly prefix?: string | undefined
  /** Names, without the prefix, of the tools that are taken. Default: all. */
  readonly only?: ReadonlyArray<string> | undefined
}

/**
 * The tools of the MCP server that the `McpClient` in the context is connected to, for an agent's `toolkit`.
 *
 * **Details**
 *
 * The server is asked for its tools when an agent begins; when that fails the agent fails with `McpClientError`, so give
 * it that as `error`. What a call fails with goes to the model.
 *
 * **Gotchas**
 *
 * Only what is text can be shown to the model: a result with an image or sound is a failure.
 *
 * **Example** (An agent with the tools of a server)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { McpClient, McpClientError, McpProtocol } from "effect/ai"
 * import { Agent } from "effect-baton"
 *
 * const clerk = Agent.make("clerk", {
 *   error: McpClientError.McpClientError,
 *   toolkit: Agent.mcpTools({ prefix: "files_" }),
 *   approvals: ({ name }) => name.startsWith("files_write")
 * })
 *
 * const Files = McpClient.layerHttp({
 *   name: "clerk",
 *   version: "1.0.0",
 *   url: "http://localhost:3000/mcp",
 *   protocol: McpProtocol.v2025_11_25
 * })
 *
 * const answer = clerk.execute("Sum up notes.txt").pipe(Effect.provide(Files))
 * ```
 */
export const mcpTools = ({
  only,
  prefix = ""
}: McpOptions = {}): Effect.Effect<Toolkit.WithHandler<Record<string, McpTool>>, McpClientError, McpClient.McpClient> =>
  // Loaded when it is used: the client brings HTTP and processes along.
  Effect.flatMap(
    Effect.promise(() => import("effect/ai/McpClient")),
    ({ McpClient, toolkit }) =>
      Effect.map(
        Effect.flatMap(McpClient, (client) => toolkit(client, prefix)),
        ({ handle, tools }) => ({
          handle,
          tools:
            only === undefined
              ? tools
              : Object.fromEntries(Object.entries(tools).filter(([name]) => only.includes(name.slice(prefix.length))))
        })
      )
  )
