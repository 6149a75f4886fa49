import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { OrchestratorWorkers } from "effect-baton"
import { problems } from "../../src/patterns/Plan.ts"

const step = (id: string, dependsOn: ReadonlyArray<string> = [], worker = "w"): OrchestratorWorkers.PlanStep => ({
  id,
  description: id,
  worker,
  input: id,
  dependsOn
})
const workers = new Set(["w"])
const check = (...steps: ReadonlyArray<OrchestratorWorkers.PlanStep>) => problems({ goal: "", steps }, workers)

describe("the problems of a plan", () => {
  it("are none for steps in any order, without steps, and with a dependency that is named twice", () => {
    assert.deepStrictEqual(check(), [])
    assert.deepStrictEqual(check(step("b", ["a", "a"]), step("a"), step("c", ["b", "a"])), [])
  })

  it("are all listed", () => {
    assert.deepStrictEqual(
      check(
        step("a", ["x", "y"], "v"),
        step("b", ["c"]),
        step("c", ["b"]),
        step("d", ["d"]),
        step("a"),
        step("a", [], "u")
      ),
      [
        { _tag: "UnknownWorker", step: "a", worker: "v" },
        { _tag: "UnknownDependency", step: "a", dependency: "x" },
        { _tag: "UnknownDependency", step: "a", dependency: "y" },
        { _tag: "DuplicateStep", step: "a" },
        { _tag: "UnknownWorker", step: "a", worker: "u" },
        { _tag: "CircularDependency", steps: ["b", "c"] },
        { _tag: "CircularDependency", steps: ["d"] }
      ]
    )
  })

  it("name a circle and not the steps that lead to it", () => {
    assert.deepStrictEqual(check(step("lead", ["a"]), step("a", ["b"]), step("b", ["c"]), step("c", ["a"])), [
      { _tag: "CircularDependency", steps: ["a", "b", "c"] }
    ])
  })

  it("are read in words, and come back from JSON as they were", () => {
    const error = new OrchestratorWorkers.InvalidPlan({
      workflow: "brief",
      workers: ["w"],
      problems: check(step("a", ["x"], "v"), step("b", ["b"]), step("a"))
    })
    assert.strictEqual(
      error.message,
      'The plan of brief can not be carried out: step "a" is for the unknown worker "v"; step "a" depends on the unknown step "x"; ' +
        'several steps have the id "a"; steps depend on each other in a circle: b -> b. Correct the plan; the workers are: w'
    )
    const json = JSON.parse(JSON.stringify(Schema.encodeSync(OrchestratorWorkers.InvalidPlan)(error)))
    assert.deepStrictEqual(Schema.decodeUnknownSync(OrchestratorWorkers.InvalidPlan)(json), error)
  })
})
