/**
 * Several judges as one: by the criteria of all, or a panel by the same criteria.
 */
import * as Effect from "effect/Effect"
import type { CriterionScore, Evaluation } from "./Evaluation.ts"
import { problems } from "./Evaluation.ts"
import { type Any, evaluation, type Judge, judge } from "./evaluator.ts"
import { invalid } from "./phase.ts"

type DraftOf<J> = J extends Judge<infer Draft, any, any, any> ? (draft: Draft) => void : never
type InputOf<J> = J extends Judge<any, infer Input, any, any> ? (input: Input) => void : never
type Both<F> = [F] extends [(value: infer A) => void] ? A : never
type ErrorOf<J> = J extends Judge<any, any, infer E, any> ? E : never
type ServicesOf<J> = J extends Judge<any, any, any, infer R> ? R : never

/** A judge made of others: of what all of them judge, failing and needing what any of them does. */
export type Joined<J> = Judge<Both<DraftOf<J>>, Both<InputOf<J>>, ErrorOf<J>, ServicesOf<J>>

const all = (judges: ReadonlyArray<Any>, draft: unknown, input: unknown) =>
  Effect.forEach(judges, (judge) => (judge as Judge<unknown, unknown, any, any>)(draft, input), {
    concurrency: "unbounded"
  })

const joined = (evaluations: ReadonlyArray<Evaluation>): string =>
  evaluations.flatMap(({ feedback }) => (feedback === "" ? [] : [feedback])).join("\n")

/**
 * A judge by the criteria of several: each says what it knows about, at the same time.
 *
 * **Details**
 *
 * No judge at all, or a criterion that two of them have, is `InvalidDefinition`, thrown at once; for several opinions on
 * the same criteria there is `Judge.panel`.
 *
 * **Example** (What can be computed, and what cannot)
 *
 * ```ts
 * import { Judge } from "effect-baton"
 *
 * const judge = Judge.combine(
 *   Judge.functions({
 *     length: { description: "At most 280 characters", threshold: 1, score: (draft) => draft.length <= 280 }
 *   }),
 *   Judge.model({ criteria: { tone: { description: "Friendly", threshold: 0.7, weight: 2 } }, model: "small" })
 * )
 *
 * judge.criteria.map((criterion) => criterion.name) // => ["length", "tone"]
 * ```
 */
export const combine = <const J extends ReadonlyArray<Any>>(...judges: J): Joined<J[number]> => {
  const criteria = judges.flatMap((judge) => judge.criteria)
  const names = criteria.map(({ name }) => name)
  if (judges.length === 0) throw invalid("Judge.combine", "judges", [], "Expected at least one judge")
  if (new Set(names).size < names.length) throw invalid("Judge.combine", "criteria", names, "Expected different names")
  return judge(
    criteria,
    (draft: unknown, input: unknown) =>
      Effect.map(all(judges, draft, input), (evaluations) =>
        evaluation(
          criteria,
          evaluations.flatMap((each) => each.criteria ?? []),
          joined(evaluations)
        )
      )
    // `any`: what all of the judges take is a type that only `Joined` can say.
  ) as any
}

/** How a panel makes one score of several. */
export type Pooling = "median" | "mean"

const pools: Record<Pooling, (scores: ReadonlyArray<number>) => number> = {
  mean: (scores) => scores.reduce((sum, score) => sum + score, 0) / scores.length,
  median: (scores) => {
    const sorted = Array.from(scores).sort((a, b) => a - b)
    const middle = Math.floor(sorted.length / 2)
    return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  }
}

/**
 * A judge of several that judge by the same criteria, at the same time: the score by each criterion is the median of
 * theirs, or the mean.
 *
 * **Details**
 *
 * A median is a vote: of an odd number of judges, it is at a threshold exactly where the majority of them is. One judge
 * that is far off does not move it. The mean lets all of them count. Feedback is that of all, one after the other. No
 * judges, or judges by different criteria, are `InvalidDefinition`, thrown at once; thresholds and weights are the
 * first one's.
 *
 * For a vote between answers that are no scores, such as which of two drafts is better, there is `Voting`.
 *
 * **Example** (Three opinions)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Judge } from "effect-baton"
 *
 * const reader = (score: number) =>
 *   Judge.functions({ clarity: { description: "Is clear", threshold: 0.7, score: () => score } })
 *
 * const panel = Judge.panel([reader(0.8), reader(0.9), reader(0.1)])
 *
 * await Effect.runPromise(Effect.map(panel("A draft", "An input"), ({ score }) => score)) // => 0.8
 * ```
 */
export const panel = <const J extends ReadonlyArray<Any>>(
  judges: J,
  options: {
    /** Default: `"median"`. */
    readonly pooling?: Pooling | undefined
  } = {}
): Joined<J[number]> => {
  const pool = pools[options.pooling ?? "median"]
  const [first] = judges
  if (first === undefined) throw invalid("Judge.panel", "judges", [], "Expected at least one judge")
  const { criteria } = first
  const namesOf = (judge: Any) => judge.criteria.map(({ name }) => name).sort()
  const expected = JSON.stringify(namesOf(first))
  for (const judge of judges) {
    const names = namesOf(judge)
    if (JSON.stringify(names) !== expected)
      throw invalid("Judge.panel", "criteria", names, `Expected the criteria of the first judge, ${expected}`)
  }
  return judge(
    criteria,
    (draft: unknown, input: unknown) =>
      Effect.map(all(judges, draft, input), (evaluations) => {
        // What is missing or too much in one of them is left for the pattern to refuse.
        const odd = evaluations.find((each) => problems({ ...each, score: 0 }, criteria).length > 0)
        if (odd !== undefined) return odd
        const scores = criteria.map(({ name }): CriterionScore => {
          const found = evaluations.map(({ criteria = [] }) => criteria.find((each) => each.name === name)!)
          const feedback = found.flatMap(({ feedback }) => (feedback ? [feedback] : [])).join("\n")
          return { name, score: pool(found.map(({ score }) => score)), ...(feedback === "" ? {} : { feedback }) }
        })
        return evaluation(criteria, scores, joined(evaluations))
      })
    // `any`: as in `combine`.
  ) as any
}
