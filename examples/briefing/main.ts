/**
 * The briefing desk: `npm start [-- PATH...]` makes a brief of Markdown and text documents.
 *
 * Start reading at `workflows/briefing.ts`. This file is what stands around it: arguments, terminal, exit code.
 *
 * Exit codes: 0 the brief is written, or was declined; 1 something failed; 2 wrong arguments; 130 Ctrl-C.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Fiber, FileSystem, Layer, Logger, Path, Runtime, Schema } from "effect"
import { Argument, CliConfig, CliError, Command, Flag, GlobalFlag, TerminalCapabilities } from "effect/cli"
import { Engine, HumanChannel } from "effect-baton"
import * as Model from "./model.ts"
import * as Live from "./view/live.ts"
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

/** Asks in the terminal; whoever closes it says no. */
const ask = Effect.map(
  HumanChannel.makeConsole(),
  (console): HumanChannel.HumanChannel => ({
    deliver: (request, answers) =>
      Effect.andThen(console.deliver(request, answers), answers.reject({ reason: "nobody answered" }))
  })
)

const command = Command.make(
  "briefing",
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
  Effect.fnUntraced(function* ({ no, out, paths, yes }) {
    const terminal = yield* TerminalCapabilities.TerminalCapabilities
    if (yes && no) return yield* new Misuse({ problem: "--yes and --no exclude each other: give one of them" })
    if (!yes && !no && !terminal.canPrompt) {
      return yield* new Misuse({ problem: "There is no terminal to ask for approval in: give --yes or --no" })
    }

    const view = terminal.canAnimate
      ? yield* Live.make(briefing.name, { isColored: terminal.canColor })
      : View.lines(briefing.name)
    const channel = yes || no ? always(yes) : view.beside(yield* ask)

    const run = yield* briefing.run({ paths: paths.length > 0 ? paths : yield* ownDocuments, out })
    const execution = yield* run.start.pipe(
      Effect.provideService(HumanChannel.HumanChannel, channel),
      // What is logged inside the run is among its events, which the view shows.
      Effect.provide(Logger.layer([]))
    )
    const following = yield* Effect.forkChild(view.follow(execution))
    const sumUp = Effect.gen(function* () {
      yield* Fiber.join(following)
      yield* Console.log(`\n${table(view.tree, yield* execution.usage)}\n`)
    })
    const outcome = yield* execution.result.pipe(
      Effect.onInterrupt(() => execution.cancel("Ctrl-C")),
      Effect.ensuring(sumUp),
      Effect.mapError((error) => new Failed({ problem: error.message }))
    )
    yield* Console.log(
      outcome._tag === "Written"
        ? `The brief is in ${outcome.file}. ${yield* Model.Byline}`
        : `Nothing was written: ${outcome.reason}.`
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Makes a brief of documents: overview, facts, open questions, and a summary of each, for your approval."
  )
)

Command.run(command, { version: "0.1.0" }).pipe(
  // What is wrong is on the screen already, with the help.
  Effect.catchTag("ShowHelp", () => Effect.fail(new Misuse({ problem: "" }))),
  Effect.provide(
    Layer.mergeAll(Engine.layerMemory, Model.layer, CliConfig.layer({ builtIns: [GlobalFlag.Help] })).pipe(
      Layer.provideMerge(NodeServices.layer)
    )
  ),
  NodeRuntime.runMain
)
