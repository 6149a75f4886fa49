/**
 * Tools that a model calls outside of steps: each call of one is a step, known by the call's id.
 */
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { currentFrame, type Frame } from "../internal/frame.ts"
import type { StepCodec } from "../internal/journal.ts"
import type { CallOptions } from "./ModelWrapper.ts"

type Result = Tool.HandlerResult<any>

/** How results of tools are recorded. */
export interface ToolCodec {
  readonly codec: (tool: Tool.Any) => StepCodec
  /** What is recorded of a result, and the result of that. */
  readonly store: (tool: Tool.Any, result: Result) => Effect.Effect<unknown>
  // `any`: what `store` gave.
  readonly restore: (tool: Tool.Any, stored: any) => Effect.Effect<Result>
}

/** The options with a toolkit whose handlers run as steps. */
export const withSteps = (options: CallOptions, toolCodec?: ToolCodec): CallOptions => {
  const { disableToolCallResolution, toolkit } = options
  if (toolkit === undefined || disableToolCallResolution === true) return options
  return {
    ...options,
    toolkit: Effect.isEffect(toolkit)
      ? Effect.map(toolkit as Effect.Effect<Toolkit.WithHandler<any>>, (toolkit) => stepping(toolkit, toolCodec))
      : stepping(toolkit as Toolkit.WithHandler<any>, toolCodec)
  }
}

// `any`: a toolkit of whatever tools; what its handlers take is theirs, and passed on as it came.
const stepping = (toolkit: Toolkit.WithHandler<any>, toolCodec: ToolCodec | undefined): Toolkit.WithHandler<any> => ({
  ...toolkit,
  handle: ((name: string, params: any, id?: string, options?: any) =>
    Effect.withFiber((fiber) => {
      const frame = currentFrame(fiber)
      const tool: Tool.Any | undefined = toolkit.tools[name]
      const handled = (toolkit.handle as any)(name, params, id, options)
      return frame === undefined || tool === undefined || id === undefined
        ? handled
        : Effect.succeed(inStep(frame, tool, id, Stream.unwrap(handled), toolCodec))
    })) as any
})

/** The results of a tool: those before the last as they come, the last one when the step has ended. */
const inStep = (
  frame: Frame,
  tool: Tool.Any,
  id: string,
  results: Stream.Stream<Result, any, any>,
  toolCodec: ToolCodec | undefined
): Stream.Stream<Result, any, any> =>
  Stream.callback((queue) => {
    let last: Result | undefined
    const work = Effect.flatMap(
      Stream.runForEach(results, (result) => {
        if (result.preliminary) return Effect.asVoid(Queue.offer(queue, result))
        last = result
        return Effect.void
      }),
      (): Effect.Effect<unknown> => {
        if (last === undefined) return Effect.die(new Error(`The tool "${tool.name}" ended without a result`))
        return toolCodec === undefined ? Effect.succeed(last) : toolCodec.store(tool, last)
      }
    )
    const name = `tool/${tool.name}`
    return Effect.suspend(() =>
      frame.execution.step(frame, name, freeKey(frame, name, id), work, undefined, toolCodec?.codec(tool))
    ).pipe(
      Effect.flatMap((ended) => {
        if (last !== undefined) return Effect.succeed(last)
        return toolCodec === undefined ? Effect.succeed(ended as Result) : toolCodec.restore(tool, ended)
      }),
      Effect.flatMap((result) => Queue.offer(queue, result)),
      Effect.matchCauseEffect({
        onFailure: (cause) => Queue.failCause(queue, cause),
        onSuccess: () => Queue.end(queue)
      })
    )
  })

/** The id of a call, which a model may give twice. */
const freeKey = (frame: Frame, name: string, id: string): string => {
  let key = id
  for (let n = 2; frame.hasLive(name, key); n++) key = `${id}-${n}`
  return key
}
