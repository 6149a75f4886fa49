/**
 * The desk: read the documents, write a brief, have a person approve it, put it in its place.
 */
import { Effect, FileSystem, Path, Schema } from "effect"
import { AiError } from "effect/ai"
import {
  EvaluatorOptimizer,
  Execution,
  OrchestratorWorkers,
  Parallelization,
  Routing,
  Step,
  Workflow
} from "effect-baton"
import { toMarkdown } from "../brief.ts"
import * as Documents from "../documents.ts"
import { Library, UnknownDocument } from "../library.ts"
import { Byline } from "../model.ts"
import { read } from "./read.ts"
import { write } from "./write.ts"

/** The brief can not be put where it belongs. */
export class NotWritten extends Schema.TaggedError<NotWritten>()("NotWritten", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `Cannot write ${this.path} (${this.problem}): choose another folder with --out`
  }
}

export const briefing = Workflow.make("briefing", {
  description: "Makes a brief of documents, and writes it where a person approves",
  input: Schema.Struct({
    paths: Schema.Array(Schema.String),
    /** The folder that `brief.md` is written to. */
    out: Schema.String
  }),
  /** Where the brief is, or why there is none. */
  output: Schema.Union([
    Schema.TaggedStruct("Written", { file: Schema.String }),
    Schema.TaggedStruct("Declined", { reason: Schema.String })
  ]),
  error: Schema.Union([
    Documents.NoDocuments,
    Documents.Unreadable,
    UnknownDocument,
    NotWritten,
    AiError.AiError,
    Routing.RouteNotFound,
    Parallelization.InvalidSubtasks,
    OrchestratorWorkers.InvalidPlan,
    EvaluatorOptimizer.InvalidEvaluation
  ]),
  defaults: {
    timeout: { duration: "15 minutes", clock: "active", onTimeout: "cancel" },
    // What was read and written so far is kept: only the call that failed is made again.
    retry: {
      attempts: 2,
      delay: "2 seconds",
      backoff: "exponential",
      mode: "resume",
      while: (error) => AiError.isAiError(error) && error.isRetryable
    },
    budget: { modelCalls: 5000, tokens: 5_000_000, cost: 5 },
    cancel: { graceful: true, gracefulTimeout: "5 seconds" },
    approval: { timeout: "1 day" }
  },
  run: Effect.fnUntraced(function* ({ out, paths }) {
    const path = yield* Path.Path
    const file = path.join(out, "brief.md")

    yield* Execution.progress({ current: 0, total: 4, message: "opening the documents" })
    const documents = yield* Step.make("open", {
      output: Schema.Array(Documents.Document),
      error: Schema.Union([Documents.NoDocuments, Documents.Unreadable]),
      timeout: "1 minute",
      run: Documents.read(paths)
    }).pipe(
      Effect.catchTag(
        "StepTimedOut",
        ({ message }) => new Documents.Unreadable({ path: paths.join(", "), problem: message })
      )
    )

    yield* Execution.progress({ current: 1, total: 4, message: `reading ${documents.length} documents` })
    const digests = yield* Effect.forEach(documents, (document) => read.call(document, { key: document.name }), {
      concurrency: 4
    })

    yield* Execution.progress({ current: 2, total: 4, message: "writing the brief" })
    const library = Library.make(documents.map((document, index) => ({ document, digest: digests[index]! })))
    const brief = yield* Effect.provideService(write.call(digests), Library, library)
    const page = toMarkdown(brief, digests, yield* Byline)

    yield* Execution.progress({ current: 3, total: 4, message: "waiting for approval" })
    const approval = yield* Execution.waitForApproval(`${page}\nWrite this brief to ${file}?`)
    if (!approval.approved) return { _tag: "Declined", reason: approval.reason ?? "declined" } as const

    yield* Step.make("save", {
      output: Schema.Void,
      error: NotWritten,
      timeout: "10 seconds",
      run: save(file, page)
    }).pipe(
      Effect.catchTag("StepTimedOut", ({ message }) => Effect.fail(new NotWritten({ path: file, problem: message })))
    )
    yield* Execution.progress({ current: 4, total: 4, message: `wrote ${file}` })
    return { _tag: "Written", file } as const
  })
})

/** A reader of the file sees all of the page or none of it. */
const save = Effect.fnUntraced(
  function* (file: string, page: string) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* fs.makeDirectory(path.dirname(file), { recursive: true })
    yield* fs.writeFileString(`${file}.new`, page)
    yield* fs.rename(`${file}.new`, file)
  },
  (effect, file) => Effect.mapError(effect, ({ reason }) => new NotWritten({ path: file, problem: reason._tag }))
)
