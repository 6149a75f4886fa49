// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source texts
import { assert, describe, it } from "@effect/vitest"
import { floorProblems } from "./floors.ts"
import { imports, sourceFiles } from "./source.ts"

const problems = (path: string, ...lines: ReadonlyArray<string>) => floorProblems({ path, text: lines.join("\n") })

describe("src", () => {
  for (const file of sourceFiles("src")) {
    it(`${file.path} keeps to its floor`, () => assert.deepStrictEqual(floorProblems(file), []))
  }
})

describe("the floor check", () => {
  it("lets a file load what is below or beside it", () => {
    assert.deepStrictEqual(
      problems(
        "src/patterns/Routing.ts",
        'import * as Effect from "effect/Effect"',
        'import * as LanguageModel from "effect/ai/LanguageModel"',
        'import * as Step from "../Step.ts"',
        'import { help } from "../internal/help.ts"',
        'export * as Voting from "./Voting.ts"',
        'import type * as Engine from "../engines/Engine.ts"'
      ),
      []
    )
  })

  it("names an import that points up, however it is written", () => {
    const up = [
      'import * as Workflow from "./Workflow.ts"',
      'import {\n  make,\n  type Workflow\n} from "./Workflow.ts"',
      'import { type Workflow } from "./Workflow.ts"',
      'import "./Workflow.ts"',
      'import type from "./Workflow.ts"',
      'export * from "./Workflow.ts"',
      'export { make } from "./Workflow.ts"',
      'const workflow = await import("./Workflow.ts")'
    ]
    for (const line of up) {
      const found = problems("src/Run.ts", line)
      assert.lengthOf(found, 1, line)
      assert.match(found[0]!, /^src\/Run\.ts:\d+: floor 0 loads "\.\/Workflow\.ts" on floor 1/)
    }
  })

  it("lets types come from anywhere in the package", () => {
    assert.deepStrictEqual(
      problems(
        "src/Run.ts",
        'import type * as Workflow from "./Workflow.ts"',
        'import type { LanguageModel } from "effect/ai/LanguageModel"',
        'export type { Workflow } from "./Workflow.ts"'
      ),
      []
    )
  })

  it("refuses a file, or an import of one, that no floor is known for", () => {
    assert.match(problems("src/Manager.ts", "").join(), /^src\/Manager\.ts: no floor is known/)
    assert.match(problems("src/Run.ts", 'import "./Manager.ts"').join(), /a path with no known floor/)
  })

  it("keeps the unstable modules of effect in their rooms", () => {
    const room = (path: string, specifier: string) => problems(path, `import * as X from "${specifier}"`).length
    assert.deepStrictEqual(
      [
        room("src/engines/Durable.ts", "effect/workflow/Workflow"),
        room("src/services/Models.ts", "effect/ai/LanguageModel"),
        room("src/stores/Sql.ts", "effect/sql/SqlClient"),
        room("src/engines/Durable.ts", "effect/sql/SqlClient"),
        room("src/channels/Console.ts", "node:readline")
      ],
      [0, 0, 0, 0, 0]
    )
    assert.deepStrictEqual(
      [
        room("src/Step.ts", "effect/workflow/Activity"),
        room("src/patterns/Routing.ts", "effect/cluster"),
        room("src/services/RunStore.ts", "effect/sql/SqlClient"),
        room("src/engines/Memory.ts", "effect/ai/LanguageModel"),
        room("src/internal/log.ts", "node:crypto"),
        room("src/Run.ts", "effect"),
        room("src/Run.ts", "effect-baton/Workflow")
      ],
      [1, 1, 1, 1, 1, 1, 1]
    )
    assert.lengthOf(problems("src/Step.ts", 'import type * as A from "effect/workflow/Activity"'), 1)
  })

  it("refuses time and randomness that do not come from a service", () => {
    const calls = [
      "const a = Date.now()",
      "const a = new Date()",
      "const a = new Date",
      "const a = performance.now()",
      "const a = Math.random()",
      "const a = crypto.randomUUID()",
      "setTimeout(f, 1)",
      "setInterval(f, 1)",
      "const a = `at ${Date.now()}`"
    ]
    for (const call of calls) assert.lengthOf(problems("src/Run.ts", call), 1, call)
  })

  it("does not mind their names in comments, strings and other code", () => {
    assert.deepStrictEqual(
      problems(
        "src/Run.ts",
        "// never Date.now()",
        "/** `setTimeout` and",
        ' * import * as Workflow from "./Workflow.ts"',
        " */",
        'const message = "use Clock, not Math.random()"',
        "const other = `new Date() ${message} setTimeout`",
        "const pattern = /['\"`]Date.now()/",
        "const at = new Date(0)",
        'const text = "\\" // " + `/* ${"`"}`'
      ),
      []
    )
  })
})

describe("imports", () => {
  it("are found with their line, kind and specifier", () => {
    assert.deepStrictEqual(
      imports(
        ['import type { A } from "a"', "", "import {", "  B,", "  type C", '} from "./b.ts"', 'import "d"'].join("\n")
      ),
      [
        { specifier: "a", isType: true, line: 1 },
        { specifier: "./b.ts", isType: false, line: 6 },
        { specifier: "d", isType: false, line: 7 }
      ]
    )
  })

  it("are not confused by exports that only look like one", () => {
    assert.deepStrictEqual(
      imports(
        [
          "export const from = (x: string) => x",
          'const y = from("a")',
          'export type T = { from: "b" }',
          "export interface I {}"
        ].join("\n")
      ),
      []
    )
  })
})
