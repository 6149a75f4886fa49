// A journal that is not that of the code is found, and nothing is lost: the run goes on where a version fits.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Execution, Step } from "effect-baton"
import { apart, ask, type Body, change, did, par, seq } from "./changing.ts"

const cases: ReadonlyArray<readonly [name: string, before: Body, after: Body, expected: string]> = [
  [
    "renamed",
    seq(did("a"), did("b"), did("c"), ask),
    seq(did("a"), did("b2"), did("c"), ask),
    'b: expected "b", found "b2"'
  ],
  [
    "renamed, the first of all",
    seq(did("a"), did("b"), ask),
    seq(did("a2"), did("b"), ask),
    'a: expected "a", found "a2"'
  ],
  ["added", seq(did("a"), did("b"), ask), seq(did("a"), did("new"), did("b"), ask), 'b: expected "b", found "new"'],
  [
    "removed, the last of all",
    seq(did("a"), ask),
    did("a"),
    'approval: expected "approval", found the end of the body'
  ],
  [
    "done once more",
    seq(did("a"), did("b"), ask),
    seq(did("a"), did("a"), did("b"), ask),
    'b: expected "b", found "a#2"'
  ],
  [
    "turned into a request",
    seq(did("a"), did("b"), ask),
    seq(did("a"), Execution.waitForInput("how many?", Schema.Int), ask),
    'b: expected "b", found "input"'
  ],
  [
    "renamed in a workflow that is called",
    apart("inner", seq(did("a"), did("b"), ask)),
    apart("inner", seq(did("a"), did("c"), ask)),
    'inner/b: expected "inner/b", found "inner/c"'
  ],
  [
    "renamed as the first of a branch",
    par(apart("x", seq(did("a"), ask)), apart("y", did("b"))),
    par(apart("x", seq(did("a"), ask)), apart("y", did("c"))),
    'y/b: expected "y/b", found "y/c"'
  ],
  [
    "renamed further on in a branch",
    par(seq(did("a"), ask), seq(did("b"), did("c"))),
    par(seq(did("a"), ask), seq(did("b"), did("d"))),
    'c: expected "c", found "d"'
  ],
  [
    "removed as the last of a branch",
    par(seq(did("a"), ask), seq(did("b"), did("c"))),
    par(seq(did("a"), ask), did("b")),
    'c: expected "c", found the end of the fiber'
  ],
  ["changed after the last that is recorded", seq(did("a"), ask, did("b")), seq(did("a"), ask, did("c")), "done"],
  [
    "put in another order where they run side by side",
    par(did("a"), did("b"), ask),
    par(did("b"), ask, did("a")),
    "done"
  ],
  [
    "changed in a step",
    Step.make("a", { run: Effect.asVoid(seq(did("b"), ask) as Effect.Effect<void>) }),
    Step.make("a", { run: Effect.asVoid(seq(did("c"), ask) as Effect.Effect<void>) }),
    "done"
  ]
]

describe("when a replay meets a journal of other code (S1, S2, S3)", () => {
  for (const [name, before, after, expected] of cases) {
    it.live(`a step that was ${name}`, () =>
      Effect.map(change(before, after), (found) => assert.strictEqual(found, expected))
    )
  }
})
