import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { repository } from "./source.ts"

const scratch = mkdtempSync(join(tmpdir(), "baton-setup-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

/** A repository with one dependency, and an `npm` that only writes down how it was called and installs what is locked. */
let made = 0
const clone = (npm = "cp package-lock.json node_modules/.package-lock.json") => {
  const root = join(scratch, String(++made))
  for (const folder of ["scripts", "bin", "node_modules/.bin"]) mkdirSync(join(root, folder), { recursive: true })
  cpSync(join(repository, "scripts/setup.mjs"), join(root, "scripts/setup.mjs"))
  writeFileSync(join(root, "package.json"), JSON.stringify({ engines: { node: ">=20" } }))
  const lock = (version: string) =>
    writeFileSync(
      join(root, "package-lock.json"),
      JSON.stringify({
        packages: {
          "": { name: "root" },
          "tools/node": { name: "node" },
          "node_modules/a": { version, integrity: `sha512-${version}` },
          "node_modules/only-windows": { version: "1.0.0", integrity: "sha512-w", optional: true }
        }
      })
    )
  lock("1.0.0")
  writeFileSync(join(root, "bin/npm"), `#!/bin/sh\necho "$@" >> calls\n${npm}\n`)
  chmodSync(join(root, "bin/npm"), 0o755)
  const setup = () =>
    spawnSync(process.execPath, ["scripts/setup.mjs"], {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, PATH: `${join(root, "bin")}${delimiter}${process.env.PATH}` }
    })
  const calls = () => readFileSync(join(root, "calls"), "utf8").trim().split("\n")
  return { root, lock, setup, calls }
}

describe("setup", () => {
  it("installs into a fresh clone, says so in two lines, and is silent ever after", () => {
    const { calls, root, setup } = clone()
    const first = setup()
    assert.strictEqual(first.status, 0)
    assert.strictEqual(first.stdout, "")
    assert.match(first.stderr, /^setup: installing [^\n]*\nsetup: done in [\d.]+ s\n$/)
    utimesSync(join(root, "package-lock.json"), new Date(), new Date("2100-01-01"))
    const second = setup()
    assert.deepStrictEqual([second.status, second.stdout, second.stderr], [0, "", ""])
    assert.deepStrictEqual(
      calls().map((call) => call.split(" ")[0]),
      ["ci"]
    )
  })

  it("installs again when the lock file asks for something else", () => {
    const { calls, lock, setup } = clone()
    setup()
    lock("1.0.1")
    assert.strictEqual(setup().status, 0)
    assert.lengthOf(calls(), 2)
  })

  it("shows what npm said when it fails, and fails", () => {
    const { setup } = clone("echo no such package >&2; exit 7")
    const { status, stderr } = setup()
    assert.strictEqual(status, 1)
    assert.match(stderr, /npm ci ended with code 7\n\nno such package\n$/)
  })
})
