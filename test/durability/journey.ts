// The workflow of the tests where processes and databases die at random: four waits, and between them steps that write
// down outside of the database that they ran.
import { appendFileSync, readFileSync } from "node:fs"
import { Effect, Schema } from "effect"
import { Execution, Step, Workflow } from "effect-baton"

const kinds = ["approval", "quorum", "input", "sleep", "pause"] as const

export const Stage = Schema.Struct({ wait: Schema.Literals(kinds), millis: Schema.Int })
export type Stage = typeof Stage.Type

/** Says that a step of a run runs, and gives what nobody else is given. */
export type Note = (run: string, step: string) => Effect.Effect<string>

export const journey = (note: Note) =>
  Workflow.make("journey", {
    input: Schema.Array(Stage),
    output: Schema.Array(Schema.String),
    run: Effect.fnUntraced(function* (stages) {
      const id = yield* Execution.id
      const did: Array<string> = []
      const work = (n: number) => Step.make("work", { key: String(n), run: note(id, String(n)) })
      for (const [n, { millis, wait }] of stages.entries()) {
        did.push(yield* work(n))
        if (wait === "sleep") yield* Effect.sleep(millis)
        else if (wait === "input") did.push(`${yield* Execution.waitForInput(`${wait} ${n}?`, Schema.Int)}`)
        else {
          const options = wait === "quorum" ? { approvers: ["ada", "bob", "eve"], requiredApprovals: 2 } : undefined
          const { approvedBy } = yield* Execution.waitForApproval(`${wait} ${n}?`, options)
          did.push(`${approvedBy}`)
        }
      }
      did.push(yield* work(stages.length))
      return did
    })
  })

/** The same for those who only look on. */
export const watched = journey(() => Effect.die("This process runs nothing"))

/** Writes into a file who did what, and when. */
export const noting = (file: string, name: string): Note => {
  let n = 0
  return (run, step) =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        const token = `${name}.${n++}`
        appendFileSync(file, `${run} ${step} ${token} ${clock.currentTimeMillisUnsafe()}\n`)
        return token
      })
    )
}

export interface Line {
  readonly token: string
  readonly time: number
}

/** What was written down, by run and step, such as `"run-1 0"`. */
export const notes = (file: string): ReadonlyMap<string, ReadonlyArray<Line>> => {
  const lines = new Map<string, Array<Line>>()
  for (const line of readFileSync(file, "utf8").trim().split("\n")) {
    const [run, step, token, time] = line.split(" ")
    const key = `${run} ${step}`
    lines.set(key, [...(lines.get(key) ?? []), { token, time: Number(time) }])
  }
  return lines
}
