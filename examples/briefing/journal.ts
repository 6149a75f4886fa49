/**
 * Runs that outlive their process: what they did is kept in a file, and whoever asks for the same again goes on with it.
 */
import { createHash } from "node:crypto"
import { Cause, Effect, FileSystem, Layer, Path, Schema } from "effect"
import { Engine, Run, type Workflow } from "effect-baton"
import { briefing } from "./workflows/briefing.ts"

/** The file can not be used. */
export class NoJournal extends Schema.TaggedError<NoJournal>()("NoJournal", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `Cannot keep the run in ${this.file} (${this.problem}): name another file with --journal`
  }
}

/** An engine that keeps its runs in a file. A step that is under way when the process is to end has a moment to do so. */
export const layer = (file: string): Layer.Layer<Engine.Engine, NoJournal, FileSystem.FileSystem | Path.Path> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      yield* fs.makeDirectory(path.dirname(file), { recursive: true })
      return Engine.layerSqlite({ filename: file, grace: "5 seconds" })
    })
  ).pipe(
    Layer.catchCause((cause) => {
      const error = Cause.squash(cause)
      const problem = error instanceof Error ? error.message : String(error)
      return Layer.effect(Engine.Engine, new NoJournal({ file, problem }))
    })
  )

/** The file holds a run that has not ended, and that is not the one asked for. */
export class Occupied extends Schema.TaggedError<Occupied>()("Occupied", { id: Schema.String }) {
  override get message() {
    return `The journal holds ${this.id}, which has not ended and has other arguments or another model: start it again as it was, name another file with --journal, or delete this one`
  }
}

/**
 * The run of this input that has not ended, or else a new one.
 *
 * The same input in the same folder with the same model is the same run: its id is made of these. An engine goes on with
 * all runs of a workflow that it finds, so that one of another input would be written and approved here too.
 */
export const takeUp = Effect.fnUntraced(function* (input: Workflow.Input<typeof briefing>, model: string) {
  const path = yield* Path.Path
  const text = JSON.stringify([path.resolve(), input, model])
  const name = `briefing-${createHash("sha256").update(text).digest("hex").slice(0, 12)}`
  const runs = yield* Engine.list()
  const open = runs.find(({ status }) => !Run.isSettled(status))
  if (open?.tags.includes(name) === false) return yield* new Occupied({ id: open.id })
  const ended = runs.filter(({ tags }) => tags.includes(name))
  return yield* briefing.run(input, { id: open?.id ?? `${name}-${ended.length + 1}`, tags: [name] })
})
