// Errors with secrets of whatever type keep their class and all else of them; of the secrets nothing is stored.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Schema } from "effect"
import { Tool } from "effect/ai"
import { Workflow } from "effect-baton"
import { decodeStored, encodeStep } from "../../src/engines/durable/codec.ts"
import { toolCodec } from "../../src/services/ToolJournal.ts"

interface Nested {
  readonly pin: Redacted.Redacted<number>
  readonly inner: ReadonlyArray<Nested>
}
const Nested = Schema.Struct({
  pin: Schema.Redacted(Schema.Int),
  inner: Schema.Array(Schema.suspend((): Schema.Codec<Nested, any> => Nested))
})

class Denied extends Schema.TaggedError<Denied>()("Denied", {
  at: Schema.Date,
  pin: Schema.Redacted(Schema.Int),
  login: Schema.Redacted(Schema.Struct({ user: Schema.String, password: Schema.NonEmptyString }), { label: "login" }),
  since: Schema.optionalKey(Schema.Redacted(Schema.Date)),
  raw: Schema.RedactedFromValue(Schema.Int),
  forbidden: Schema.Redacted(Schema.Int, { disallowJsonEncode: true }),
  both: Schema.Union([Schema.Int, Schema.Redacted(Schema.Boolean)]),
  list: Schema.Array(Schema.Redacted(Schema.Int)),
  tree: Nested
}) {}

const denied = new Denied({
  at: new Date(7),
  pin: Redacted.make(4711),
  login: Redacted.make({ user: "ada", password: "sesame" }, { label: "login" }),
  since: Redacted.make(new Date(4711)),
  raw: Redacted.make(4711),
  forbidden: Redacted.make(4711),
  both: Redacted.make(true),
  list: [Redacted.make(4711)],
  tree: { pin: Redacted.make(4711), inner: [{ pin: Redacted.make(4711), inner: [] }] }
})

const hidden = "<redacted>"

const check = (error: Denied) => {
  assert.instanceOf(error, Denied)
  const secrets = [error.pin, error.login, error.since!, error.raw, error.forbidden, error.both, error.list[0]]
  assert.deepStrictEqual(
    [...secrets, error.tree.pin, error.tree.inner[0].pin].map((secret): unknown =>
      Redacted.value(secret as Redacted.Redacted<unknown>)
    ),
    Array.from({ length: 9 }, () => hidden)
  )
  assert.strictEqual(error.at.getTime(), 7)
  assert.strictEqual(error.login.label, "login")
}

describe("an error with secrets that are no text", () => {
  const other = Workflow.make("other", { run: () => Effect.succeed("") })
  const own = Workflow.make("own", { error: Denied, run: () => Effect.fail(denied) })

  for (const [name, definition, codec] of [
    ["of a step", other, { error: Denied }],
    ["of a union", other, { error: Schema.Union([Schema.String, Denied]) }],
    ["of a workflow", own, undefined]
  ] as const) {
    it(`is read as what it was, without them, by the schema ${name}`, () => {
      const stored = encodeStep(Exit.fail(denied), definition, codec)
      const json = JSON.stringify(stored)
      assert.notInclude(json, "4711")
      assert.notInclude(json, "sesame")
      const exit = decodeStored(JSON.parse(json), undefined, definition, codec)
      assert.isTrue(exit !== undefined && Exit.isFailure(exit))
      check(Effect.runSync(Effect.flip(exit!)) as Denied)
    })
  }

  it.effect("is the failure of a tool, which a replay gives back without them", () =>
    Effect.gen(function* () {
      const tool = Tool.make("enter", { failure: Denied, failureMode: "return" })
      const result = { isFailure: true, result: denied, preliminary: false } as Tool.HandlerResult<any>
      const stored = JSON.stringify(yield* toolCodec.store(tool, result))
      assert.notInclude(stored, "4711")
      const restored = yield* toolCodec.restore(tool, JSON.parse(stored))
      check(restored.result as Denied)
      assert.notInclude(JSON.stringify(restored.encodedResult), "4711")
    })
  )
})
