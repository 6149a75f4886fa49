/** What a benchmark ran on, and with which versions. */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { cpus, platform, release, totalmem } from "node:os"
import { fileURLToPath } from "node:url"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export const installPeers = () => {
  const installed = here("node_modules/.package-lock.json")
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(here("package-lock.json")).mtimeMs) {
    execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: here("."), stdio: "inherit" })
  }
  const own = createRequire(here("run.ts")).resolve("effect/package.json")
  const baton = createRequire(here("../package.json")).resolve("effect/package.json")
  if (own !== baton) throw new Error(`two copies of effect: ${own} and ${baton}`)
}

const version = (name: string): string => {
  for (const folder of [here(`node_modules/${name}`), here(`../node_modules/${name}`)]) {
    if (existsSync(folder)) return JSON.parse(readFileSync(`${folder}/package.json`, "utf8")).version
  }
  throw new Error(`${name} is not installed`)
}

const commit = (): string => {
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", args, { cwd: here(".."), encoding: "utf8" }).trim()
  return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "src") === "" ? "" : " with changes in src"}`
}

/** Lines that say where figures come from. */
export const machine = (
  packages: ReadonlyArray<string>,
  { after, before, minutes }: { readonly before: number; readonly after: number; readonly minutes: number }
): ReadonlyArray<string> => [
  `- Baton ${version("effect-baton")}, commit ${commit()}; ${packages.map((name) => `${name} ${version(name)}`).join(", ")}`,
  `- Node ${process.versions.node}, V8 ${process.versions.v8}, ${platform()} ${release()}`,
  `- ${cpus()[0]!.model.trim()}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
  `- Load of the machine before ${before.toFixed(1)}, after ${after.toFixed(1)} (the benchmark itself is about 1); ${minutes.toFixed(0)} minutes`
]
