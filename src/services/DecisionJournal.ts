/**
 * Decisions that are recorded, as calls of language models are.
 */
import * as AiError from "effect/ai/AiError"
import type * as Decision from "effect/ai/Decision"
import * as DecisionModel from "effect/ai/DecisionModel"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Record from "effect/Record"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { cut, find, inFlight, type Known, keep, liveContext } from "./ModelJournal.ts"

/** What is asked of a decision model. */
interface DecisionRequest {
  readonly kind: "decide" | "decideSettled"
  readonly model: string
  readonly input: unknown
  readonly decisions: unknown
}

type Decided = DecisionModel.DecideResponse<any> | DecisionModel.DecideSettledResponse<any>

/** A decision, which `live` makes, recorded like a call of a language model. */
export const decided = <A extends Decided, E, R>(
  kind: DecisionRequest["kind"],
  model: string,
  definition: Decision.Definition<any, any>,
  input: unknown,
  live: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.matchEffect(
    Schema.encodeUnknownEffect(Schema.toCodecJson(definition.input))(input) as Effect.Effect<unknown, unknown>,
    {
      // The model says what is wrong with it.
      onFailure: () => live,
      onSuccess: (input) =>
        Effect.flatMap(
          find(Effect.succeed({ kind, model, input, decisions: definition.decisions })),
          (known): Effect.Effect<any, any, any> => {
            if (known._tag === "Live") return decideLive(live, known)
            const { error, value } = known.answer
            return error === undefined ? Effect.sync(() => fromJson(value)) : Effect.fail(error)
          }
        )
    }
  )

const decideLive = <A extends Decided, E, R>(
  live: Effect.Effect<A, E, R>,
  { answers, recording }: Extract<Known, { readonly _tag: "Live" }>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const run = Effect.provideContext(
      live,
      liveContext({ fiber, context: fiber.context, place: undefined, ids: 0 }, recording)
    ) as Effect.Effect<A, E, R>
    return inFlight(answers, run, (exit) => {
      if (exit._tag === "Success") return keep(recording, { parts: [], value: toJson(exit.value) })
      const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      return AiError.isAiError(error) ? keep(recording, { parts: [], error }) : cut(recording, exit.cause)
    })
  })

type Outcomes = { readonly [name: string]: Result.Result<unknown, Decision.Unanswered> }

/** Answers are plain data; what was settled of them is made again. */
const toJson = (response: Decided): unknown => {
  if (!("outcomes" in response)) return JSON.parse(JSON.stringify(response))
  const outcomes = Record.map(response.outcomes as Outcomes, (outcome) =>
    outcome._tag === "Success" ? { answer: outcome.success } : { unanswered: outcome.failure }
  )
  return JSON.parse(JSON.stringify({ ...response, outcomes }))
}

// `any`: what `toJson` wrote.
const fromJson = (json: any): Decided => ({
  ...json,
  usage: new DecisionModel.DecisionUsage({
    inputTokens: json.usage.inputTokens,
    outputTokens: json.usage.outputTokens
  }),
  ...(json.outcomes === undefined
    ? undefined
    : {
        outcomes: Record.map(json.outcomes as { readonly [name: string]: any }, (outcome) =>
          "answer" in outcome ? Result.succeed(outcome.answer) : Result.fail(outcome.unanswered)
        )
      })
})
