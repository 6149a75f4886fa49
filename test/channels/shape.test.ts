import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { shapeOf, takesText, toValue } from "../../src/channels/shape.ts"

const json = (schema: Schema.Codec<any, any>) => {
  const document = Schema.toJsonSchemaDocument(schema)
  return { ...document.schema, $defs: document.definitions }
}

class Machine extends Schema.Class<Machine>("shop/Machine")({
  name: Schema.String,
  cores: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))
}) {}

describe("the shape of a schema", () => {
  for (const [name, schema, expected] of [
    ["text", Schema.String, "text"],
    ["numbers", Schema.Number, "number"],
    ["bounds", Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })), "number at least 0 and at most 1"],
    ["literals", Schema.Literals(["eu", "us"]), '"eu" | "us"'],
    ["nullable", Schema.NullOr(Schema.Int), "whole number or null"],
    ["lists", Schema.Array(Schema.Boolean), "list of true or false"],
    ["tuples", Schema.Tuple([Schema.String, Schema.Int]), "[text, whole number]"],
    ["records", Schema.Record(Schema.String, Schema.Finite), "{ [name]: number }"],
    ["classes", Machine, "{ name: text, cores?: whole number at least 1 }"],
    [
      "structs with descriptions",
      Schema.Struct({ at: Schema.String.annotate({ description: "a time" }), machines: Schema.Array(Machine) }),
      "{ at: text (a time), machines: list of { name: text, cores?: whole number at least 1 } }"
    ],
    ["anything", Schema.Unknown, "anything"]
  ] as const) {
    it(`says in words what is expected: ${name}`, () => assert.strictEqual(shapeOf(json(schema)), expected))
  }

  it("is anything where the schema is none, or refers to what is not there", () => {
    assert.strictEqual(shapeOf(undefined), "anything")
    assert.strictEqual(shapeOf({ $ref: "#/$defs/Missing" }), "anything")
  })

  it("ends where a schema contains itself", () => {
    const tree = {
      $ref: "#/$defs/Tree",
      $defs: { Tree: { type: "object", properties: { left: { $ref: "#/$defs/Tree" } } } }
    }
    assert.strictEqual(shapeOf(tree), "{ left?: Tree }")
  })

  it("decides how a line is read: text as it is, everything else as JSON", () => {
    const values = (schema: Schema.Codec<any, any>, ...lines: ReadonlyArray<string>) =>
      lines.map((line) => toValue(json(schema), line))
    assert.deepStrictEqual(values(Schema.String, "5", ' "a" '), ["5", ' "a" '])
    assert.deepStrictEqual(values(Schema.Literals(["1", "2"]), "1"), ["1"])
    assert.deepStrictEqual(values(Schema.Int, "5", "five"), [5, "five"])
    assert.deepStrictEqual(values(Schema.Boolean, "y", "No", "true", "1"), [true, false, true, 1])
    assert.deepStrictEqual(values(Schema.NullOr(Schema.String), "null", "text"), [null, "text"])
    assert.deepStrictEqual(values(Machine, '{"name":"a"}'), [{ name: "a" }])
    assert.isTrue(takesText(json(Schema.Union([Schema.String, Schema.Literal("x")]))))
    assert.isFalse(takesText(json(Machine)))
  })
})
