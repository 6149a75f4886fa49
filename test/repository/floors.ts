// The floors of AGENTS.md: what each file of src may load and call.
import { join } from "node:path/posix"
import { blank, imports, lineOf, type SourceFile } from "./source.ts"

const dataModules = [
  "Run",
  "RunError",
  "Event",
  "Timeout",
  "Retry",
  "Cancel",
  "Approval",
  "Budget",
  "HumanRequest",
  "InvalidDefinition"
]

/** The first match decides. A file that matches none has no floor, which is a problem of its own. */
const floors: ReadonlyArray<readonly [path: RegExp, floor: number]> = [
  [/^src\/internal\//, 0],
  [new RegExp(`^src/(?:${dataModules.join("|")})\\.ts$`), 0],
  [/^src\/(?:(?:Workflow|Execution|Step)\.ts$|workflow\/)/, 1],
  [/^src\/services\//, 1],
  [/^src\/patterns\//, 2],
  [/^src\/(?:engines|stores|channels)\//, 3],
  [/^src\/server\//, 4],
  [/^src\/(?:Baton\.ts$|baton\/)/, 4],
  [/^src\/testing\//, 5],
  [/^src\/index\.ts$/, 5]
]

/** Who may import what upstream marks unstable. `runtimeOnly`: types of it are free everywhere. */
const reserved: ReadonlyArray<{ module: RegExp; folders: RegExp; where: string; runtimeOnly?: boolean }> = [
  { module: /^effect\/(?:workflow|cluster)(?:\/|$)/, folders: /^src\/engines\//, where: "src/engines" },
  { module: /^effect\/sql(?:\/|$)/, folders: /^src\/(?:stores|engines)\//, where: "src/stores and src/engines" },
  {
    module: /^effect\/ai(?:\/|$)/,
    folders: /^src\/(?:services|patterns|testing)\//,
    where: "src/services, src/patterns and src/testing",
    runtimeOnly: true
  },
  // Everything else runs wherever JavaScript does.
  {
    module: /^node:/,
    folders: /^src\/(?:engines|stores|channels)\//,
    where: "src/engines, src/stores and src/channels"
  }
]

/** Time, randomness and ids come from Effect's services. */
const forbiddenCalls: ReadonlyArray<readonly [code: RegExp, instead: string]> = [
  [/\bDate\s*\.\s*now\b/g, "Clock"],
  [/\bnew\s+Date\s*(?:\(\s*\)|(?![\s(\w$]))/g, "DateTime.now"],
  [/\bperformance\s*\.\s*now\b/g, "Clock"],
  [/\bMath\s*\.\s*random\b/g, "Random"],
  [/\bcrypto\s*\.\s*(?:randomUUID|getRandomValues)\b/g, "Random"],
  [/\bset(?:Timeout|Interval)\b/g, "Effect.sleep or Schedule"]
]

export const floorOf = (path: string): number | undefined => floors.find(([pattern]) => pattern.test(path))?.[1]

/** What a file does that its place does not allow, one sentence each. */
export const floorProblems = ({ path, text }: SourceFile): ReadonlyArray<string> => {
  const floor = floorOf(path)
  if (floor === undefined)
    return [`${path}: no floor is known for this path: add it to test/repository/floors.ts and AGENTS.md`]
  const problems: Array<string> = []
  for (const { isType, line, specifier } of imports(text)) {
    const at = `${path}:${line}`
    if (specifier === "effect")
      problems.push(`${at}: imports the "effect" barrel: import one module, like "effect/Effect"`)
    for (const { folders, module, runtimeOnly, where } of reserved) {
      if (module.test(specifier) && !folders.test(path) && !(isType && runtimeOnly === true))
        problems.push(`${at}: imports "${specifier}", which only ${where} may`)
    }
    if (/^effect-baton(?:\/|$)/.test(specifier)) problems.push(`${at}: imports the package itself: use a relative path`)
    if (!specifier.startsWith(".")) continue
    const target = join(path, "..", specifier)
    const targetFloor = floorOf(target)
    if (targetFloor === undefined) problems.push(`${at}: imports "${specifier}", a path with no known floor`)
    else if (!isType && targetFloor > floor)
      problems.push(
        `${at}: floor ${floor} loads "${specifier}" on floor ${targetFloor}: turn the dependency round, or import type`
      )
  }
  const code = blank(text)
  for (const [pattern, instead] of forbiddenCalls) {
    for (const match of code.matchAll(pattern))
      problems.push(`${path}:${lineOf(text, match.index)}: uses ${match[0].trim()}: use ${instead}`)
  }
  return problems
}
