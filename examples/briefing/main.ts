/**
 * The briefing desk: `npm start [-- PATH...]` makes a brief of Markdown and text documents.
 *
 * Start reading at `workflows/briefing.ts`. This file is what stands around it: arguments, terminal, exit code. Which
 * model is asked is said in `model.ts`; what `--durable` keeps, and for whom, in `journal.ts`.
 *
 * Exit codes: 0 the brief is written, or was declined; 1 something failed; 2 wrong arguments; 130 Ctrl-C.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import {
  Clock,
  Console,
  Deferred,
  Effect,
  Fiber,
  FileSystem,
  Layer,
  Logger,
  Option,
  Path,
  Runtime,
  Schema,
  Stream
} from "effect"
import { AiError } from "effect/ai"
import { Argument, CliConfig, CliError, Command, Flag, GlobalFlag, TerminalCapabilities } from "effect/cli"
import { Engine, HumanChannel, type Workflow } from "effect-baton"
import * as Journal from "./journal.ts"
import * as Model from "./model.ts"
import * as Live from "./view/live.ts"
import * as Recorded from "./view/Recorded.ts"
import { table } from "./view/table.ts"
import * as View from "./view/View.ts"
import { briefing } from "./workflows/briefing.ts"

/** The arguments do not say what to do. */
class Misuse extends Schema.TaggedError<Misuse>()("Misuse", { problem: Schema.String }) {
  override readonly [Runtime.errorExitCode] = 2
  override readonly [Runtime.errorReported] = false
  override get [CliError.userMessage]() {
    return this.problem
  }
}

/** The run ended without a brief. */
class Failed extends Schema.TaggedError<Failed>()("Failed", { problem: Schema.String }) {
  override get [CliError.userMessage]() {
    return this.problem
  }
}

const ownDocuments = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const root = path.relative("", path.join(import.meta.dirname, "../.."))
  const names = ["README.md", "DESIGN.md", "AGENTS.md", "CHANGELOG.md", "docs"].map((name) => path.join(root, name))
  return yield* Effect.filter(names, (name) => fs.exists(name))
})

/** Says the same to everything. */
const always = (isYes: boolean): HumanChannel.HumanChannel => ({
  deliver: (_, answers) => (isYes ? answers.approve({ by: "--yes" }) : answers.reject({ by: "--no", reason: "--no" }))
})

/** Asks in the terminal. */
const ask = (onClosed: (answers: HumanChannel.Answers) => Effect.Effect<unknown, unknown>) =>
  Effect.map(
    HumanChannel.makeConsole(),
    (console): HumanChannel.HumanChannel => ({
      deliver: (request, answers) => Effect.andThen(console.deliver(request, answers), onClosed(answers))
    })
  )

const priceText = /^(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)$/

const command = Command.make(
  "npm start --",
  {
    paths: Argument.String("PATH").pipe(
      Argument.withDescription("Markdown or text files, or folders of them; by default this repository's documents"),
      Argument.variadic()
    ),
    out: Flag.String("out").pipe(
      Flag.withMetavar("DIR"),
      Flag.withDescription("Folder to write brief.md to; by default out"),
      Flag.withDefault("out")
    ),
    model: Flag.String("model").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription(
        "Model of the provider that OPENAI_API_KEY, ANTHROPIC_API_KEY or OPENAI_BASE_URL gives; by default a small one. Without a provider a local model selects sentences"
      ),
      Flag.withDefault(undefined)
    ),
    price: Flag.String("price").pipe(
      Flag.withMetavar("IN,OUT"),
      Flag.withDescription("What the model costs, in dollars for a million tokens in and out, as in 0.25,2"),
      Flag.filterMap(
        (text) =>
          Option.map(Option.fromNullishOr(priceText.exec(text)), ([, input, output]) => ({
            inputPerMillion: Number(input),
            outputPerMillion: Number(output)
          })),
        (text) => `dollars for a million tokens in and out, as in 0.25,2, found ${text}`
      ),
      Flag.withDefault(undefined)
    ),
    durable: Flag.Boolean("durable").pipe(
      Flag.withDescription("Keep the run on disk: the same command goes on where it was stopped"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    journal: Flag.String("journal").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Where --durable keeps it; by default briefing.sqlite in the folder of --out"),
      Flag.withDefault(undefined)
    ),
    yes: Flag.Boolean("yes").pipe(
      Flag.withDescription("Approve the brief without asking"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    no: Flag.Boolean("no").pipe(
      Flag.withDescription("Decline the brief without asking, for a dry run"),
      Flag.withDefault(false),
      Flag.withoutNegation
    )
  },
  Effect.fnUntraced(function* ({ durable, journal, model, no, out, paths, price, yes }) {
    const terminal = yield* TerminalCapabilities.TerminalCapabilities
    if (yes && no) return yield* new Misuse({ problem: "--yes and --no exclude each other: give one of them" })
    if (!yes && !no && !terminal.canPrompt) {
      return yield* new Misuse({ problem: "There is no terminal to ask for approval in: give --yes or --no" })
    }
    const path = yield* Path.Path
    const file = journal ?? (durable ? path.join(out, "briefing.sqlite") : undefined)
    const input = { paths: paths.length > 0 ? paths : yield* ownDocuments, out }
    const services = Layer.merge(
      file === undefined ? Engine.layerMemory : Journal.layer(file),
      Model.layer({ model, price })
    )
    const since = yield* Clock.currentTimeMillis
    // It is there until the engine is gone, which ends what the view shows.
    const view = terminal.canAnimate
      ? yield* Live.make(briefing.name, { isColored: terminal.canColor })
      : View.lines(briefing.name, since)
    yield* make(input, { file, since, view, answer: yes || no ? yes : undefined }).pipe(
      Effect.provide(services),
      Effect.onInterrupt(() =>
        file === undefined
          ? Effect.void
          : Console.log(`What was done is kept in ${file}: the same command goes on from there.`)
      ),
      Effect.catchTag("NoModel", ({ problem }) => new Misuse({ problem })),
      Effect.catchTag(["NoJournal", "Occupied"], ({ message }) => new Failed({ problem: message }))
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Makes a brief of documents: overview, facts, open questions, and a summary of each, for your approval."
  )
)

/** Makes the brief, and shows how. */
const make = Effect.fnUntraced(function* (
  input: Workflow.Input<typeof briefing>,
  options: {
    /** What is said to the approval. Default: a person is asked. */
    readonly answer: boolean | undefined
    /** Where the run is kept. Default: nowhere. */
    readonly file: string | undefined
    /** When this process began with it. */
    readonly since: number
    readonly view: View.View
  }
) {
  const { answer, file, since, view } = options
  const writer = yield* Model.Writer
  /** The person left without an answer. */
  const left = yield* Deferred.make<never>()
  const asked = ask((answers) =>
    file === undefined ? answers.reject({ reason: "nobody answered" }) : Deferred.interrupt(left)
  )
  const channel = answer === undefined ? view.beside(yield* asked) : always(answer)

  const run = file === undefined ? yield* briefing.run(input) : yield* Journal.takeUp(input, writer.id)
  const execution = yield* run.start.pipe(
    Effect.provideService(HumanChannel.HumanChannel, channel),
    // What is logged inside the run is among its events, which the view shows.
    Effect.provide(Logger.layer([]))
  )
  const recorded = Recorded.empty()
  const events = Stream.tap(execution.events, (event) =>
    Effect.sync(() => {
      if (event.time.getTime() < since) Recorded.update(recorded, event)
    })
  )
  const following = yield* Effect.forkChild(view.follow(events))
  const sumUp = Effect.gen(function* () {
    yield* Fiber.await(following)
    yield* Console.log(`\n${table(view.tree, yield* execution.usage)}\n`)
    if (recorded.steps > 0) {
      yield* Console.log(
        `${recorded.steps} of these steps, with ${recorded.calls} model calls, were in ${file} already and were not done again.\n`
      )
    }
  })
  const leave = file === undefined ? execution.cancel("Ctrl-C") : Fiber.interrupt(following)
  const outcome = yield* Effect.raceFirst(execution.result, Deferred.await(left)).pipe(
    Effect.onInterrupt(() => leave),
    Effect.ensuring(sumUp),
    Effect.mapError((error) => {
      const advice = AiError.isAiError(error) ? writer.advice(error) : undefined
      return new Failed({ problem: advice === undefined ? error.message : `${error.message}\n${advice}` })
    })
  )
  yield* Console.log(
    outcome._tag === "Written"
      ? `The brief is in ${outcome.file}. ${yield* Model.Byline}`
      : `Nothing was written: ${outcome.reason}.`
  )
})

Command.run(command, { version: "0.1.0" }).pipe(
  // What is wrong is on the screen already, with the help.
  Effect.catchTag("ShowHelp", () => Effect.fail(new Misuse({ problem: "" }))),
  Effect.provide(Layer.provideMerge(CliConfig.layer({ builtIns: [GlobalFlag.Help] }), NodeServices.layer)),
  NodeRuntime.runMain
)
