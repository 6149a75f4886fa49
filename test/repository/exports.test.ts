import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import manifest from "../../package.json" with { type: "json" }

const index = readFileSync(new URL("../../src/index.ts", import.meta.url), "utf8")
const named = Array.from(
  index.matchAll(/^export \* as (\w+) from "\.(\/.+)"$/gm),
  ([, name, path]) => [name!, path!] as const
)

describe("the public modules", () => {
  it("are reachable by name and by path, and are the same file both ways", () => {
    const paths = Object.entries(manifest.exports).flatMap(([path, target]) =>
      /^\.\/[A-Z]\w*$/.test(path) && target !== null && typeof target !== "string"
        ? [[path.slice(2), target["baton-source"].replace("./src", "")] as const]
        : []
    )
    const byName = (a: readonly [string, string], b: readonly [string, string]) => (a[0] < b[0] ? -1 : 1)
    assert.deepStrictEqual(paths.toSorted(byName), named.toSorted(byName))
  })

  it("are found where they are built", () => {
    for (const target of Object.values(manifest.exports)) {
      if (target === null || typeof target === "string") continue
      const built = target["baton-source"].replace("./src", "./dist").replace(/\.ts$/, "")
      assert.deepStrictEqual([target.types, target.default], [`${built}.d.ts`, `${built}.js`])
    }
  })
})
