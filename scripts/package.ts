// Packs the package, installs the tarball into a fresh project as a user would, and uses it there: every module is imported,
// the README's first example runs as pasted, both resolutions that TypeScript users have compile, and with a provider's package
// beside it each numbered example runs against a server that imitates the provider. `npm run package`.
import { spawn, spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { fences } from "../test/repository/docs.ts"
import * as ModelServer from "./modelServer.ts"
import { expectedOutput, isAsExpected } from "./prints.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), "baton-package-"))
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }))

const fail = (message: string): never => {
  console.error(`package: ${message}`)
  process.exit(1)
}

// What npm tells its scripts about this repository must not reach the npm of the other project, nor somebody's keys its code.
const env = Object.fromEntries(
  Object.entries(process.env).filter(
    ([key]) => !/^npm_(?:package_|lifecycle_|config_local_prefix|command)|^(?:OPENAI|ANTHROPIC)_|^MODEL$/.test(key)
  )
)

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): string => {
  const { error, signal, status, stderr, stdout } = spawnSync(command, args, { cwd, env, encoding: "utf8" })
  if (error !== undefined) return fail(`${command} could not be started: ${error.message}`)
  if (status !== 0)
    return fail(`${[command, ...args].join(" ")} ended with ${signal ?? `code ${status}`}\n${stdout}\n${stderr}`)
  return stdout
}

const started = performance.now()
const say = (text: string) => console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s  ${text}`)

// 1. The tarball holds what it should.
run(root, "npm", "run", "build", "--silent")
interface Packed {
  readonly filename: string
  readonly size: number
  readonly files: ReadonlyArray<{ readonly path: string }>
}
const reported: unknown = JSON.parse(
  run(root, "npm", "pack", "--ignore-scripts", "--json", "--loglevel=error", "--pack-destination", scratch)
)
// npm has answered with an array, and with an object by name.
const packed = Object.values(reported as Record<string, Packed>)[0] ?? fail("npm pack reported nothing")
const paths = packed.files.map(({ path }) => path)
const single = ["package.json", "README.md", "LICENSE", "CHANGELOG.md"]
const missing = [...single, "dist/index.js", "dist/index.d.ts", "src/index.ts"].filter((path) => !paths.includes(path))
const stray = paths.filter(
  (path) => !single.includes(path) && !/^(?:dist\/.+\.(?:js|d\.ts)(?:\.map)?|src\/.+\.ts)$/.test(path)
)
if (missing.length > 0) fail(`the tarball lacks ${missing.join(", ")}`)
if (stray.length > 0) fail(`the tarball holds what nobody needs: ${stray.join(", ")}`)
say(`packed ${paths.length} files, ${Math.round(packed.size / 1024)} kB`)

// 2. It installs, and brings only what it says.
const project = join(scratch, "project")
mkdirSync(project)
const write = (name: string, content: string) => writeFileSync(join(project, name), content)
write("package.json", JSON.stringify({ name: "consumer", private: true, type: "module" }))
const install = (what: string) =>
  run(project, "npm", "install", what, "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
install(join(scratch, packed.filename))
const brought = Object.keys(
  JSON.parse(readFileSync(join(project, "node_modules", ".package-lock.json"), "utf8")).packages
).map((path) => path.replace(/^.*node_modules\//, ""))
const nodes = brought.filter((name) =>
  /^(?:node|node-bin-.*|node-(?:linux|darwin|win)-.*|@effect-baton\/.*)$/.test(name)
)
if (nodes.length > 0 || existsSync(join(project, "node_modules", ".bin", "node")))
  fail(`a user would get this repository's Node: ${nodes.join(", ") || "node_modules/.bin/node"}`)
if (!brought.includes("effect")) fail("a user would not get effect")
say(`installed with ${brought.length - 1} dependencies, no Node among them`)

// 3. Every module of `exports` loads, what is internal does not.
const installed = join(project, "node_modules", "effect-baton")
const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"))
const specifiers = Array.from(
  new Set(
    Object.keys(manifest.exports as Record<string, unknown>).flatMap((key) => {
      if (manifest.exports[key] === null || key === "./package.json") return []
      return [`effect-baton${key.slice(1)}`]
    })
  )
)
const internal = paths.find((path) => /^dist\/internal\/.*\.js$/.test(path))?.slice("dist/".length, -".js".length)
write(
  "load.js",
  [
    ...specifiers.map((specifier) => `await import(${JSON.stringify(specifier)})`),
    ...(internal === undefined
      ? []
      : [
          `const blocked = await import("effect-baton/${internal}").then(() => undefined, (error) => error.code)`,
          'if (blocked !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw new Error("internal modules can be imported: " + blocked)'
        ])
  ].join("\n")
)
run(project, process.execPath, "load.js")
say(`loaded ${specifiers.length} modules`)

// 4. The README's first example runs as pasted.
const readme = fences({ path: "README.md", text: readFileSync(join(root, "README.md"), "utf8") })[0]
if (readme === undefined) fail("the README has no ```ts example")
write("readme.ts", readme!.code)
if (!readme!.noRun) {
  run(project, process.execPath, "readme.ts")
  say("ran the README's first example")
}

// 5. It compiles against the types, with nothing of this repository's settings.
write(
  "modules.ts",
  [
    ...specifiers.map((specifier, index) => `import * as M${index} from ${JSON.stringify(specifier)}`),
    `export const modules = [${specifiers.map((_, index) => `M${index}`).join(", ")}]`
  ].join("\n")
)
for (const [module, moduleResolution] of [
  ["nodenext", "nodenext"],
  ["esnext", "bundler"]
] as const) {
  write(
    "tsconfig.json",
    JSON.stringify({
      compilerOptions: {
        target: "es2022",
        lib: ["es2023", "dom", "dom.iterable", "esnext.disposable"],
        module,
        moduleResolution,
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        types: []
      },
      files: ["readme.ts", "modules.ts"]
    })
  )
  run(project, join(root, "node_modules", ".bin", "tsc"), "-p", ".", "--pretty", "false")
  say(`compiled with moduleResolution ${moduleResolution}, library checks on`)
}

// 6. With the package of a provider, and nothing else, each example runs; those that ask a model ask the provider's.
const provider = "@ai-sdk/openai"
install(`${provider}@${JSON.parse(readFileSync(join(root, "package.json"), "utf8")).devDependencies[provider]}`)
const examples = join(project, "examples")
cpSync(join(root, "examples"), examples, { recursive: true, filter: (path) => basename(path) !== "briefing" })
const names = readdirSync(examples).filter((name) => /^\d+-.*\.ts$/.test(name))
const server = await ModelServer.start()

/** What is wrong with how an example runs, or undefined. */
const runExample = (name: string) =>
  new Promise<string | undefined>((done) => {
    const source = readFileSync(join(examples, name), "utf8")
    const child = spawn(process.execPath, [join("examples", name)], {
      cwd: project,
      env: { ...env, NO_COLOR: "1", OPENAI_BASE_URL: server.url(name) },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: 60_000
    })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text))
    child.on("error", (error) => done(error.message))
    child.on("close", (code, signal) => {
      const asks = source.includes('from "./model.ts"')
      const refused = server.refused.get(name) ?? []
      if (code !== 0) done(`ended with ${signal ?? `code ${code}`}\n${stdout}${stderr}`)
      else if (refused.length > 0) done(`sent what the provider refuses: ${refused.join("; ")}`)
      else if (asks !== server.answered.has(name)) done(asks ? "did not ask the provider" : "asked the provider")
      // What a model says is its own matter; what happens without one is not.
      else if (!asks && !isAsExpected(stdout, expectedOutput(source) ?? "")) done(`printed something else\n${stdout}`)
      else done(undefined)
    })
  })

const waiting = names.values()
const worker = async () => {
  for (const name of waiting) {
    const problem = await runExample(name)
    if (problem !== undefined) fail(`${name} ${problem}`)
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, worker))
server.close()
const requests = [...server.answered.values()].reduce((sum, count) => sum + count, 0)
say(`ran ${names.length} examples with ${provider}, of which ${server.answered.size} made ${requests} requests`)
console.log("package: ok")
