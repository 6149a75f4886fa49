import { assert, describe, it } from "@effect/vitest"
import { expectedOutput, isAsExpected } from "../../scripts/prints.ts"

describe("the output of an example", () => {
  it("is compared to the letter, but for blanks at line ends", () => {
    assert.isTrue(isAsExpected("a (b)\n  c  \n", "a (b)\n  c"))
    assert.isTrue(isAsExpected("", ""))
    assert.isFalse(isAsExpected("a\n", "b"))
    assert.isFalse(isAsExpected("a\nb\n", "a"))
    assert.isFalse(isAsExpected("a\n", "a\nb"))
    assert.isFalse(isAsExpected("axb", "a.b"))
  })

  it("may have any part of a line, or any lines, where the comment has three dots", () => {
    assert.isTrue(isAsExpected("took 12 ms\n", "took ... ms"))
    assert.isTrue(isAsExpected("a\nx\ny\nb\n", "a\n...\nb"))
    assert.isTrue(isAsExpected("a\nb\n", "a\n...\nb\n..."))
    assert.isFalse(isAsExpected("took 12\nms\n", "took ... ms"))
    assert.isFalse(isAsExpected("a\nx\n", "a\n...\nb"))
  })

  it("is expected only where the source ends with what it prints", () => {
    assert.strictEqual(expectedOutput("main()\n\n/* prints:\na\n  b\n*/\n"), "a\n  b")
    assert.isUndefined(expectedOutput("/* prints:\na\n*/\nmain()\n"))
  })
})
