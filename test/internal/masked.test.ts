import { assert, describe, it } from "@effect/vitest"
import { Redacted, Schema } from "effect"
import { masked } from "../../src/internal/masked.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", {
  token: Schema.Redacted(Schema.String),
  url: Schema.URL,
  body: Schema.Uint8Array,
  tokens: Schema.ReadonlyMap(Schema.String, Schema.Redacted(Schema.String))
}) {}

const secret = Redacted.make("s3cret")

describe("crossing out secrets", () => {
  it("leaves what holds none as it is, and crosses out what stands in maps, sets and lists", () => {
    const url = new URL("https://example.com/refused")
    const body = new Uint8Array([1, 2])
    const given = new Refused({ token: secret, url, body, tokens: new Map([["ada", secret]]) })
    const shown = masked(given) as Refused
    assert.instanceOf(shown, Refused)
    assert.strictEqual(shown.url, url)
    assert.strictEqual(shown.body, body)
    assert.strictEqual(Redacted.value(shown.token), "<redacted>")
    assert.strictEqual(Redacted.value(shown.tokens.get("ada")!), "<redacted>")
    assert.strictEqual(Redacted.value(given.token), "s3cret")
    assert.deepStrictEqual(masked({ all: new Set([[secret]]) }), { all: new Set([[Redacted.make("<redacted>")]]) })
  })

  it("comes to an end where something holds itself", () => {
    const given: { self?: unknown; token: unknown } = { token: secret }
    given.self = given
    const shown = masked(given) as typeof given
    assert.strictEqual(shown.self, shown)
    assert.notStrictEqual(shown.token, secret)
  })
})
