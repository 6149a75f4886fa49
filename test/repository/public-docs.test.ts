import { assert, describe, it } from "@effect/vitest"
import manifest from "../../package.json" with { type: "json" }
import { docProblems, publicModules, readRepository } from "./docs.ts"

const modules = publicModules(manifest.exports)

describe("the public modules", () => {
  for (const path of modules) {
    it(`every export of ${path} has a doc comment, values one with an example`, () => {
      assert.deepStrictEqual(
        docProblems(path, readRepository, (other) => modules.includes(other)),
        []
      )
    })
  }
})

describe("the check of the docs", () => {
  const problems = (files: Record<string, ReadonlyArray<string>>) =>
    docProblems(
      "src/A.ts",
      (path) => (files[path] === undefined ? undefined : { path, text: files[path].join("\n") }),
      (path) => path === "src/Public.ts"
    )
  const doc = [
    "/**",
    " * Says what it is.",
    " *",
    " * **Example**",
    " *",
    " * ```ts",
    " * f() // => 1",
    " * ```",
    " */"
  ]

  it("is content with an example at a value and a sentence at a type", () => {
    assert.deepStrictEqual(
      problems({
        "src/A.ts": [
          ...doc,
          "export const f = () => 1",
          ...doc,
          "export class C extends Data.Class<{ readonly a: number }> {}",
          ...doc,
          "export function g(): number",
          "export function g(x?: number): number { return x ?? 1 }",
          "/** Says what it is. */",
          "// biome-ignore lint: reason",
          "export interface I {}",
          "/** Says what it is. */",
          "export type T = 1",
          "const inner = 1",
          "export * as Public from './Public.ts'"
        ]
      }),
      []
    )
  })

  it("names what has no doc comment and what has no example", () => {
    assert.deepStrictEqual(
      problems({
        "src/A.ts": [
          ...doc,
          "export const f = () => 1",
          "export const bare = 1",
          "/** Says what it is. */",
          "export const told = 2",
          "/** **Example** in words only. */",
          "export class Worded {}",
          "export interface I {}",
          "/** Says what it is. */",
          "export type F = 1",
          "export const F = 1"
        ]
      }),
      [
        "src/A.ts:11: bare has no doc comment",
        "src/A.ts:13: told has no **Example** with a ```ts fence",
        "src/A.ts:15: Worded has no **Example** with a ```ts fence",
        "src/A.ts:16: I has no doc comment",
        "src/A.ts:19: F has no doc comment"
      ]
    )
  })

  it("follows what is exported from elsewhere, and only that", () => {
    assert.deepStrictEqual(
      problems({
        "src/A.ts": [
          "export { f, hidden as shown } from './internal/f.ts'",
          "export * from './g.ts'",
          "const h = 1",
          "export { h }"
        ],
        "src/internal/f.ts": [...doc, "export const f = 1", "export const hidden = 1", "export const other = 1"],
        "src/g.ts": ["export const g = 1"]
      }),
      [
        "src/internal/f.ts:11: hidden has no doc comment",
        "src/g.ts:1: g has no doc comment",
        "src/A.ts:3: h has no doc comment"
      ]
    )
  })

  it("takes a comment in the list of exports, and follows what was imported", () => {
    assert.deepStrictEqual(
      problems({
        "src/A.ts": [
          "import { F, type T, G as H } from './internal/f.ts'",
          "export {",
          ...doc,
          "  F,",
          "  /** Says what it is. */",
          "  type T,",
          "  H",
          "}",
          "/** Says what it is. */",
          "type U = 1",
          "export type { U }",
          "export {",
          "  /** Says what it is. */",
          "  F as Again",
          "}"
        ],
        "src/internal/f.ts": ["export const F = 1", "export type T = 1", "export const G = 1"]
      }),
      ["src/internal/f.ts:3: G has no doc comment", "src/A.ts:22: Again has no **Example** with a ```ts fence"]
    )
  })

  it("does not take code in strings and comments for exports", () => {
    assert.deepStrictEqual(
      problems({ "src/A.ts": ["const text = `", "export const f = 1", "`", "/*", "export const g = 1", "*/"] }),
      []
    )
  })

  it("names a module of package.json that does not exist", () => {
    assert.deepStrictEqual(problems({}), ["src/A.ts: does not exist"])
  })

  it("knows each module of package.json by its source", () => {
    assert.deepStrictEqual(
      publicModules({
        "./Routing": { "baton-source": "./src/patterns/Routing.ts", default: "./dist/patterns/Routing.js" },
        ".": { "baton-source": "./src/index.ts", default: "./dist/index.js" },
        "./internal/*": null,
        "./package.json": "./package.json"
      }),
      ["src/index.ts", "src/patterns/Routing.ts"]
    )
  })
})
