import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { EvaluatorOptimizer } from "effect-baton"
import { grade, problems, qualityNotReached } from "../../src/patterns/Evaluation.ts"

const criterion = (name: string, threshold = 0.5, weight?: number): EvaluatorOptimizer.Criterion => ({
  name,
  description: name,
  threshold,
  weight
})
const evaluation = (score: number, ...criteria: ReadonlyArray<readonly [name: string, score: number]>) => ({
  score,
  feedback: "",
  ...(criteria.length === 0 ? undefined : { criteria: criteria.map(([name, score]) => ({ name, score })) })
})
const unit = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

describe("the problems of an evaluation", () => {
  it("are none for scores from 0 to 1, and criteria in any order", () => {
    for (const score of [0, 0.5, 1]) assert.deepStrictEqual(problems(evaluation(score), []), [])
    assert.deepStrictEqual(problems(evaluation(0, ["b", 1], ["a", 0]), [criterion("a"), criterion("b")]), [])
  })

  it("are scores that are no numbers from 0 to 1", () => {
    const found = (score: unknown) => problems(evaluation(score as number), [])
    for (const [score, shown] of [
      [-0.1, "-0.1"],
      [1.1, "1.1"],
      [85, "85"],
      [Number.NaN, "NaN"],
      [Number.POSITIVE_INFINITY, "Infinity"],
      ["0.5", '"0.5"'],
      [undefined, "undefined"]
    ] as const)
      assert.deepStrictEqual(found(score), [{ _tag: "InvalidScore", found: shown }])
  })

  it("are all listed", () => {
    assert.deepStrictEqual(
      problems(evaluation(2, ["a", 7], ["a", 0.5], ["x", 0.5]), [criterion("a"), criterion("b"), criterion("c")]),
      [
        { _tag: "InvalidScore", found: "2" },
        { _tag: "InvalidScore", criterion: "a", found: "7" },
        { _tag: "DuplicateCriterion", criterion: "a" },
        { _tag: "UnknownCriterion", criterion: "x" },
        { _tag: "MissingCriterion", criterion: "b" },
        { _tag: "MissingCriterion", criterion: "c" }
      ]
    )
  })

  it("are criteria where none are asked for", () => {
    assert.deepStrictEqual(problems(evaluation(0.5, ["a", 1]), []), [{ _tag: "UnknownCriterion", criterion: "a" }])
  })

  it("are read in words, and come back from JSON as they were", () => {
    const error = new EvaluatorOptimizer.InvalidEvaluation({
      workflow: "polish",
      problems: problems(evaluation(2, ["a", Number.NaN], ["a", 0.5], ["x", 0.5]), [criterion("a"), criterion("b")])
    })
    assert.strictEqual(
      error.message,
      'The evaluation of polish is invalid: the score is 2, not a number from 0 to 1; the score of "a" is NaN, not a number from 0 to 1; ' +
        '"a" has several scores; "x" is not a criterion; "b" has no score. Correct `evaluate`'
    )
    const json = JSON.parse(JSON.stringify(Schema.encodeSync(EvaluatorOptimizer.InvalidEvaluation)(error)))
    assert.deepStrictEqual(Schema.decodeUnknownSync(EvaluatorOptimizer.InvalidEvaluation)(json), error)
  })
})

describe("a grade", () => {
  it("passes at the threshold", () => {
    assert.isTrue(grade(evaluation(0.8), [], 0.8).passed)
    assert.isFalse(grade(evaluation(0.79), [], 0.8).passed)
  })

  it("has the mean of the criteria as its score, by weight, whatever the evaluator says", () => {
    const criteria = [criterion("a", 0, 3), criterion("b", 0)]
    assert.deepStrictEqual(grade(evaluation(0.1, ["a", 1], ["b", 0]), criteria, 0.75), {
      ...evaluation(0.75, ["a", 1], ["b", 0]),
      passed: true
    })
    const tenfold = criteria.map((each) => ({ ...each, weight: 10 * (each.weight ?? 1) }))
    assert.strictEqual(grade(evaluation(0.1, ["a", 1], ["b", 0]), tenfold, 0.75).score, 0.75)
  })

  it("passes only if each criterion is at its own threshold, one without weight too", () => {
    const criteria = [criterion("a", 0.9), criterion("b", 0.2, 0)]
    assert.isTrue(grade(evaluation(0, ["a", 0.9], ["b", 0.2]), criteria, 0.8).passed)
    assert.isFalse(grade(evaluation(1, ["a", 0.89], ["b", 1]), criteria, 0.8).passed)
    assert.isFalse(grade(evaluation(1, ["a", 1], ["b", 0.1]), criteria, 0.8).passed)
    assert.isFalse(grade(evaluation(1, ["a", 0.9], ["b", 1]), criteria, 0.95).passed)
  })

  it("is not decided by floating point", () => {
    const criteria = [criterion("a", 0), criterion("b", 0), criterion("c", 0)]
    assert.strictEqual((0.1 + 0.2 + 0.3) / 3 === 0.2, false)
    assert.strictEqual(grade(evaluation(0, ["a", 0.1], ["b", 0.2], ["c", 0.3]), criteria, 0.2).score, 0.2)
  })

  it.prop(
    "is between the lowest and the highest score, and passes as the definition says",
    {
      criteria: Schema.Array(Schema.Struct({ score: unit, threshold: unit, weight: unit })).check(
        Schema.isMinLength(1)
      ),
      threshold: unit
    },
    ({ criteria, threshold }) => {
      const weighed = criteria.map((each, at) => ({ ...each, weight: at === 0 ? 1 : each.weight }))
      const declared = weighed.map((each, at) => criterion(String(at), each.threshold, each.weight))
      const given = evaluation(0, ...weighed.map((each, at) => [String(at), each.score] as const))
      const { passed, score } = grade(given, declared, threshold)
      const scores = weighed.map((each) => each.score)
      assert.isAtLeast(score, Math.min(...scores) - 1e-9)
      assert.isAtMost(score, Math.max(...scores) + 1e-9)
      assert.strictEqual(passed, score >= threshold && weighed.every((each) => each.score >= each.threshold))
    }
  )
})

describe("QualityNotReached", () => {
  it("comes back from JSON with a draft of the output's schema", () => {
    const schema = qualityNotReached(Schema.Struct({ due: Schema.DateTimeUtcFromString }))
    const due = Schema.decodeUnknownSync(Schema.DateTimeUtcFromString)("2026-01-01T00:00:00.000Z")
    const error = new EvaluatorOptimizer.QualityNotReached<{ readonly due: typeof due }>({
      workflow: "plan",
      threshold: 0.8,
      iterations: 2,
      draft: { due },
      evaluation: evaluation(0.5, ["a", 0.5])
    })
    assert.isTrue(Schema.is(schema)(error))
    const json = JSON.parse(JSON.stringify(Schema.encodeSync(schema)(error)))
    assert.strictEqual(json.draft.due, "2026-01-01T00:00:00.000Z")
    const back = Schema.decodeUnknownSync(schema)(json)
    assert.instanceOf(back, EvaluatorOptimizer.QualityNotReached)
    assert.deepStrictEqual(back, error)
  })
})
