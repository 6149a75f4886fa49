import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { show } from "../../src/internal/schema.ts"

describe("how a value shows in an error", () => {
  it("shows what is shared each time, and what contains itself once", () => {
    const shared = { a: 1 }
    assert.strictEqual(show({ one: shared, two: [shared, shared] }), '{"one":{"a":1},"two":[{"a":1},{"a":1}]}')
    const circle: Record<string, unknown> = { shared }
    circle.self = { again: circle, shared }
    assert.strictEqual(show(circle), '{"shared":{"a":1},"self":{"again":"[circular]","shared":{"a":1}}}')
  })

  it("ends where what is shared would unfold without end", () => {
    let value: unknown = "x"
    for (let i = 0; i < 100; i++) value = [value, value]
    assert.isAtMost(show(value).length, 201)
  })

  it("shows what JSON has no words for, and no secrets", () => {
    assert.strictEqual(show([Number.NaN, 1n, undefined, Redacted.make("key")], 100), '["NaN","1n",null,"<redacted>"]')
    assert.strictEqual(show(undefined), "undefined")
    assert.strictEqual(show(Number.POSITIVE_INFINITY), "Infinity")
    assert.strictEqual(
      show(() => 1),
      "a function"
    )
  })
})
