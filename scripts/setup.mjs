// Installs what package-lock.json asks for, if node_modules does not have it. `npm start` and `npm test` run this first, so it
// must work on Node 20 with nothing installed, and cost nothing when there is nothing to do. They call it themselves, as npm leaves
// out prestart and pretest where ignore-scripts is set; `env node` after it, as a shell remembers where it found the old node.
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const read = (file) => {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages
  } catch {
    return undefined
  }
}

/**
 * The first package of the lock file in `root` that is not installed as locked, else undefined. The contents are compared, not
 * the times, because a checkout makes an unchanged lock file newer. npm writes its own record last, so an install that was
 * cut off counts as none. Optional packages may be absent (npm leaves out those for other platforms), unknown ones do no harm.
 */
export const firstMissing = (root) => {
  const locked = read(join(root, "package-lock.json"))
  if (locked === undefined)
    throw new Error(`${join(root, "package-lock.json")} is missing or is not JSON: restore it with git`)
  const installed = read(join(root, "node_modules", ".package-lock.json")) ?? {}
  return Object.keys(locked).find((path) => {
    const wanted = locked[path]
    if (path === "" || wanted.link || !path.startsWith("node_modules/")) return false
    const found = installed[path]
    if (found === undefined) return !wanted.optional
    return found.version !== wanted.version || found.integrity !== wanted.integrity
  })
}

const fail = (message, details = "") => {
  process.stderr.write(`setup: ${message}\n${details.trim() === "" ? "" : `\n${details.trim()}\n`}`)
  process.exit(1)
}

const install = (root) => {
  // The Node in node_modules/.bin is about to be replaced: npm must run on the one outside.
  const bin = join(root, "node_modules", ".bin")
  const PATH = (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== bin)
    .join(delimiter)
  const started = performance.now()
  process.stderr.write("setup: installing the dependencies of package-lock.json (npm ci) ...\n")
  // Nothing here needs an install script: tests and examples run from src, `npm run package` builds dist itself.
  // Errors only, as npm would warn for each package that the old Node outside is too old for.
  const result = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    env: { ...process.env, PATH },
    encoding: "utf8",
    shell: process.platform === "win32"
  })
  if (result.error !== undefined) fail(`npm could not be started (${result.error.message}): is it on the PATH?`)
  if (result.status !== 0) {
    fail(`npm ci ended with ${result.signal ?? `code ${result.status}`}`, `${result.stdout}\n${result.stderr}`)
  }
  process.stderr.write(`setup: done in ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
  checkNode(root, bin)
}

/** npm brings a current Node for the common platforms; elsewhere the one on the PATH must do. */
const checkNode = (root, bin) => {
  const wanted = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).engines.node.replace(">=", "")
  const brought = join(bin, "node")
  const version = existsSync(brought)
    ? spawnSync(brought, ["--version"], { encoding: "utf8" }).stdout?.trim().slice(1)
    : process.versions.node
  if (!version) fail(`${brought} does not run on this machine: put Node ${wanted} or newer first on the PATH`)
  const [major, minor] = version.split(".").map(Number)
  const [wantedMajor, wantedMinor] = wanted.split(".").map(Number)
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
    fail(
      `Node ${version} is too old and npm has none for ${process.platform} ${process.arch}: install Node ${wanted} or newer`
    )
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const root = fileURLToPath(new URL("..", import.meta.url))
  if (firstMissing(root) !== undefined) install(root)
}
