/**
 * How results of tools are recorded, where a model calls them outside of steps.
 */
import * as Tool from "effect/ai/Tool"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { masked } from "../internal/masked.ts"
import { ofMasked } from "../internal/maskedSchema.ts"
import type { ToolCodec } from "./ModelTools.ts"

interface ToolSchemas {
  readonly success: Schema.Codec<unknown>
  /** Of failures as they are stored. */
  readonly failure: Schema.Codec<unknown>
  readonly failureJson: Schema.Codec<unknown>
  readonly step: ReturnType<ToolCodec["codec"]>
}

const toolSchemas = new WeakMap<Tool.Any, ToolSchemas>()

const schemasOf = (tool: Tool.Any): ToolSchemas => {
  let known = toolSchemas.get(tool)
  if (known === undefined) {
    // `Tool.Any` leaves open what its schemas need; to decode a result is nothing that needs services.
    const success = tool.successSchema as unknown as Schema.Codec<unknown>
    const failure = Tool.failureResultSchema(tool) as unknown as Schema.Codec<unknown>
    const output = Schema.Union([
      Schema.Struct({ isFailure: Schema.Literal(false), result: success }),
      Schema.Struct({
        isFailure: Schema.Literal(true),
        result: Schema.Json,
        failureOrigin: Schema.optionalKey(Schema.Json)
      })
    ])
    const stored = ofMasked(failure) as Schema.Codec<unknown>
    const failureJson = Schema.toCodecJson(stored) as Schema.Codec<unknown>
    toolSchemas.set(tool, (known = { success, failure: stored, failureJson, step: { output, error: failure } }))
  }
  return known
}

/** Results by the tool's own schemas. */
export const toolCodec: ToolCodec = {
  codec: (tool) => schemasOf(tool).step,
  store: (tool, { failureOrigin, isFailure, result }) => {
    if (!isFailure) return Effect.succeed({ isFailure, result })
    // Errors of models may have secrets in their headers.
    const json = Effect.orDie(Schema.encodeUnknownEffect(schemasOf(tool).failureJson)(masked(result)))
    return Effect.map(json, (result) => ({
      isFailure,
      result,
      ...(failureOrigin === undefined ? undefined : { failureOrigin })
    }))
  },
  restore: (tool, stored) => {
    const { failure, failureJson, success } = schemasOf(tool)
    const { isFailure } = stored
    return Effect.gen(function* () {
      const result = isFailure ? yield* Schema.decodeUnknownEffect(failureJson)(stored.result) : stored.result
      const encodedResult = yield* Schema.encodeUnknownEffect(isFailure ? failure : success)(result)
      const modelOutput = isFailure ? undefined : tool.toModelOutput?.(result)
      return { ...stored, result, preliminary: false, encodedResult, ...(modelOutput && { modelOutput }) }
    }).pipe(Effect.orDie)
  }
}
