/**
 * Cassettes: calls of a real model, recorded to a file and replayed in tests, without network or key.
 */
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as PlatformError from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as TextDiff from "effect/TextDiff"
import { type Answer, AnswerJson, type Known, layer as recallLayer } from "../services/ModelRecall.ts"
import { canonical, type ModelRequest } from "../services/ModelRequest.ts"
import { ScriptNotFollowed } from "./script.ts"
import { redact, type Secret } from "./secrets.ts"

export type { ModelRequest, Secret }

/** What is done with calls: replay known ones and record others, record all anew, or only replay. */
export type Mode = "auto" | "record" | "replay"

/** Where a cassette is, and how it is used. */
export interface Options {
  /** Path of the file; folders that are missing are made. */
  readonly file: string
  /** Default: `"auto"`, which only replays where the environment variable `CI` is set. */
  readonly mode?: Mode | undefined
  /** Whether the times between the parts of streams are recorded, and replayed. Default: false, all parts at once. */
  readonly timing?: boolean | undefined
  /** What must not be in the file, besides what looks like a key. Default: nothing. */
  readonly redact?: ReadonlyArray<Secret> | undefined
}

/** A cassette in use. */
export interface Cassette {
  /** Puts the cassette over the model below, and over every model of `Models.layer`. */
  readonly layer: Layer.Layer<LanguageModel.LanguageModel, never, LanguageModel.LanguageModel>
  /** How many calls were replayed and how many recorded so far. */
  readonly counts: Effect.Effect<{ readonly replayed: number; readonly recorded: number }>
  /** Fails unless every recorded call was used, and every call was known. */
  readonly assertComplete: Effect.Effect<void, ScriptNotFollowed>
}

/**
 * The file of a cassette is missing, cannot be read or is no cassette.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Cassette } from "effect-baton/testing"
 *
 * new Cassette.CassetteUnreadable({ file: "test/chat.json", problem: "there is no such file" }).message // => 'The cassette test/chat.json cannot be used: there is no such file. Record it: run once with mode "auto" and without CI, or with mode "record"'
 * ```
 */
export class CassetteUnreadable extends Schema.TaggedError<CassetteUnreadable>(
  "effect-baton/testing/Cassette/CassetteUnreadable"
)("CassetteUnreadable", { file: Schema.String, problem: Schema.String }) {
  override get message(): string {
    return `The cassette ${this.file} cannot be used: ${this.problem}. ${howToRecord}`
  }
}

const howToRecord = 'Record it: run once with mode "auto" and without CI, or with mode "record"'

/**
 * A call that is not recorded, and may not be made. It is a defect, so that no retry and no handler of a model's errors
 * hides it.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Cassette } from "effect-baton/testing"
 *
 * const request = { kind: "text", model: "openai/gpt-5", prompt: [{ role: "user", content: "Hi" }] } as const
 *
 * new Cassette.UnknownCall("test/chat.json", request, "it is empty").message.split("\n")[0] // => "Nothing is recorded in test/chat.json for a call (text, openai/gpt-5): it is empty"
 * ```
 */
export class UnknownCall extends Error {
  override readonly name = "UnknownCall"
  readonly file: string
  readonly request: ModelRequest

  constructor(file: string, request: ModelRequest, nearest: string) {
    super(`Nothing is recorded in ${file} for a call (${title(request)}): ${nearest}\n${howToRecord}`)
    this.file = file
    this.request = request
  }
}

const title = ({ format, kind, model }: ModelRequest): string =>
  [kind, ...(model === "" ? [] : [model]), ...(format === undefined ? [] : [`object ${format.name}`])].join(", ")

/** The beginning of the last message, to tell requests apart. */
const describe = (request: ModelRequest): string =>
  `${title(request)}: ${shorten(JSON.stringify(request.prompt.at(-1)))}`

const shorten = (text: string, most = 160): string => (text.length <= most ? text : `${text.slice(0, most)}…`)

// -----------------------------------------------------------------------------
// Recordings
// -----------------------------------------------------------------------------

interface Entry {
  readonly key: string
  readonly request: ModelRequest
  /** As in the file; none while the call is being made. */
  stored: Stored | undefined
  used: boolean
}

type Stored = Schema.Codec.Encoded<typeof AnswerJson>

const File = Schema.fromJsonString(
  Schema.Struct({
    cassette: Schema.Literal(1),
    calls: Schema.Array(Schema.Struct({ request: Schema.Json, answer: Schema.Json }))
  })
)

const encodeAnswer = Schema.encodeEffect(AnswerJson)
const decodeAnswer = Schema.decodeUnknownEffect(AnswerJson)

/** Parts say what they have: metadata is left out where there is none. */
const tidy = (stored: Stored): Stored => ({
  ...stored,
  parts: stored.parts.map((part) => {
    const { metadata, ...rest } = part as { readonly [key: string]: Schema.Json }
    return Predicate.isObject(metadata) && Object.keys(metadata).length > 0 ? part : rest
  })
})

/** Headers that a provider's adapter calls secret; JSON would show them. */
const secretsOf = (error: AiError.AiError | undefined): ReadonlyArray<Secret> => {
  const { http } = (error?.reason ?? {}) as { readonly http?: typeof AiError.HttpContext.Type }
  return Object.values(http?.response?.headers ?? {}).filter(Redacted.isRedacted)
}

// -----------------------------------------------------------------------------
// The nearest recording
// -----------------------------------------------------------------------------

const shown = (request: ModelRequest): string => `${JSON.stringify(request, undefined, 2).replaceAll("\\n", "\n")}\n`

const changed = (edits: ReadonlyArray<TextDiff.Edit<string>>): number =>
  edits.reduce((sum, edit) => (edit._tag === "Equal" ? sum : sum + edit.items.join("").length), 0)

const nearestTo = (request: ModelRequest, key: string, entries: ReadonlyArray<Entry>): string => {
  const same = entries.filter((entry) => entry.key === key).length
  if (same > 0) return `it is recorded ${same === 1 ? "once" : `${same} times`}, and was made once more`
  const text = shown(request)
  let best:
    | { readonly edits: ReadonlyArray<TextDiff.Edit<string>>; readonly size: number; readonly n: number }
    | undefined
  for (const [index, entry] of entries.entries()) {
    const edits = TextDiff.lines(shown(entry.request), text, { maxEdits: 2000 })
    const size = changed(edits)
    if (best === undefined || size < best.size) best = { edits, size, n: index + 1 }
  }
  if (best === undefined) return "it is empty"
  const diff = TextDiff.unified(best.edits, { context: 2 }).split("\n")
  const lines = diff.slice(0, 80).map((line) => shorten(line, 400))
  const rest = diff.length > 80 ? [`… ${diff.length - 80} more lines`] : []
  return [`the nearest is call ${best.n} (- recorded, + made):`, ...lines, ...rest].join("\n").trimEnd()
}

// -----------------------------------------------------------------------------
// Cassettes
// -----------------------------------------------------------------------------

const isCI = Effect.map(
  Effect.orElseSucceed(Config.String("CI"), () => ""),
  (value) => !/^(?:|0|false|no|off)$/i.test(value)
)

const reasonOf = (error: PlatformError.PlatformError): string => error.message

const load = (
  fs: FileSystem.FileSystem,
  file: string,
  isNeeded: boolean
): Effect.Effect<Array<Entry>, CassetteUnreadable> =>
  Effect.gen(function* () {
    const unreadable = (problem: string) => new CassetteUnreadable({ file, problem })
    const exists = yield* Effect.mapError(fs.exists(file), (error) => unreadable(reasonOf(error)))
    if (!exists) return isNeeded ? yield* unreadable("there is no such file") : []
    const text = yield* Effect.mapError(fs.readFileString(file), (error) => unreadable(reasonOf(error)))
    const { calls } = yield* Effect.mapError(Schema.decodeEffect(File)(text), (error) => unreadable(error.message))
    for (const [index, { answer }] of calls.entries()) {
      yield* Effect.mapError(decodeAnswer(answer), (error) => unreadable(`call ${index + 1}: ${error.message}`))
    }
    return calls.map(
      ({ answer, request }): Entry => ({
        key: canonical(request),
        request: request as unknown as ModelRequest,
        stored: answer as Stored,
        used: false
      })
    )
  })

const folderOf = (file: string): string | undefined => /^(.*)[\\/][^\\/]*$/.exec(file)?.[1]

/** Writes beside the file first: whoever reads it finds the old one or the new one, whole. */
const save = (fs: FileSystem.FileSystem, file: string, entries: ReadonlyArray<Entry>): Effect.Effect<void> => {
  const calls = entries.flatMap(({ request, stored }) => (stored === undefined ? [] : [{ request, answer: stored }]))
  const folder = folderOf(file)
  return Effect.gen(function* () {
    if (folder !== undefined && folder !== "") yield* fs.makeDirectory(folder, { recursive: true })
    const beside = `${file}.part`
    yield* fs.writeFileString(beside, `${JSON.stringify({ cassette: 1, calls }, undefined, 2)}\n`)
    yield* fs.rename(beside, file)
  }).pipe(Effect.orDie, Effect.uninterruptible)
}

/**
 * Opens a cassette.
 *
 * **Details**
 *
 * A call is known by what is asked: kind, model, prompt (results of tools in the order of their calls' ids), tools, tool
 * choice and the schema of the object; equal calls answer in the order in which they were recorded. Text, objects, tool
 * calls, the parts of streams in their order and `AiError`s come back as they were; tools run again. Nothing is recorded
 * of calls that were interrupted.
 *
 * Modes: `"auto"` replays what is known, and asks the model for what is not and records it; where `CI` is set (and not
 * `0` or `false`) it only replays. `"record"` asks for everything, and the file has these calls afterwards and no others.
 * `"replay"` never asks: an unknown call is a defect, `UnknownCall`, which shows the nearest one as a diff. A cassette
 * that is only replayed has to be there, or opening it fails with `CassetteUnreadable`.
 *
 * The file is JSON with an entry for each call, in the order in which they began. It is written whole, and renamed into
 * place, after each new call. What looks like a key or stands in a field or header for one is not in it, nor what
 * `redact` names; requests are compared without it, so that a cassette does not depend on anybody's key.
 *
 * A replayed call counts like the recorded one, with its tokens and cost, so that budgets can be tested; only that its
 * `ModelCalled` event has `cached: true`.
 *
 * **Gotchas**
 *
 * The model below is built in all modes, though not asked: its name is a part of what is asked. Put the cassette
 * directly over a provider's model, inside `Models.layer`, to have its retries and limits as in production; over
 * `Models.layer` a retried call is recorded as one, with its last answer. Cassettes in use at the same time need
 * different files. A prompt with a clock or random ids in it is never known again.
 *
 * **Example** (A test without a network)
 *
 * ```ts
 * import { NodeServices } from "@effect/platform-node"
 * import { Effect, FileSystem } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Cassette, ScriptedModel } from "effect-baton/testing"
 *
 * const ask = LanguageModel.generateText({ prompt: "The capital of France?" })
 *
 * const program = Effect.gen(function*() {
 *   const file = `${yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()}/capital.json`
 *
 *   const real = yield* ScriptedModel.make(["Paris"]) // or Models.fromAiSdk(openai("gpt-5")), ...
 *   yield* ask.pipe(Effect.provide(Cassette.layer({ file, mode: "record" })), Effect.provide(real.layer))
 *
 *   const down = yield* ScriptedModel.make([])
 *   const cassette = yield* Cassette.make({ file, mode: "replay" })
 *   const response = yield* ask.pipe(Effect.provide(cassette.layer), Effect.provide(down.layer))
 *   yield* cassette.assertComplete
 *   return response.text
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer))) // => "Paris"
 * ```
 */
export const make = (options: Options): Effect.Effect<Cassette, CassetteUnreadable, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { file, mode = "auto", timing = false } = options
    const secrets = options.redact ?? []
    const fs = yield* FileSystem.FileSystem
    const isFixed = mode === "replay" || (mode === "auto" && (yield* isCI))
    const entries = mode === "record" ? [] : yield* load(fs, file, isFixed)
    const writing = yield* Semaphore.make(1)
    const strip = redact(secrets)
    const asked = new Map<string, number>()
    const unknown: Array<string> = []
    let replayed = 0
    let recorded = 0

    const keep = (entry: Entry) => (answer: Answer) =>
      Effect.gen(function* () {
        const { millis, ...rest } = answer
        const plain = { ...rest, ...(timing && millis !== undefined ? { millis } : {}) }
        const stored = tidy(yield* Effect.orDie(encodeAnswer(plain)))
        entry.stored = redact([...secrets, ...secretsOf(answer.error)])(stored)
        recorded++
        yield* writing.withPermit(Effect.suspend(() => save(fs, file, entries)))
      })

    const lookup = (made: ModelRequest): Effect.Effect<Known> =>
      Effect.suspend((): Effect.Effect<Known> => {
        const request = strip(made)
        const key = canonical(request)
        const n = asked.get(key) ?? 0
        asked.set(key, n + 1)
        const entry = entries.filter((entry) => entry.key === key)[n]
        if (entry?.stored !== undefined) {
          entry.used = true
          replayed++
          return Effect.map(Effect.orDie(decodeAnswer(entry.stored)), (answer) => ({
            _tag: "Known",
            answer: timing ? answer : { ...answer, millis: undefined }
          }))
        }
        if (isFixed) {
          unknown.push(describe(request))
          return Effect.die(new UnknownCall(file, request, nearestTo(request, key, entries)))
        }
        const added: Entry = { key, request, stored: undefined, used: true }
        entries.push(added)
        return Effect.succeed({ _tag: "Unknown", keep: keep(added) })
      })

    const unused = () =>
      entries.flatMap((entry, index) => (entry.used ? [] : [`${index + 1}: ${describe(entry.request)}`]))

    return {
      layer: recallLayer(Effect.succeed(lookup)),
      counts: Effect.sync(() => ({ replayed, recorded })),
      assertComplete: Effect.suspend(() =>
        unused().length === 0 && unknown.length === 0
          ? Effect.void
          : Effect.fail(new ScriptNotFollowed({ of: `cassette ${file}`, unused: unused(), unexpected: unknown }))
      )
    }
  })

/**
 * A cassette over the model below, for as long as the layer lives; `Cassette.make` says what it does.
 *
 * **Details**
 *
 * When the layer is closed, recorded calls that nobody made are told as a warning; `Cassette.make` has `assertComplete`.
 *
 * **Example** (Tests of a workflow, offline)
 *
 * ```ts
 * import { openai } from "@ai-sdk/openai"
 * import { NodeServices } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { Models } from "effect-baton"
 * import { Cassette } from "effect-baton/testing"
 *
 * const TestModel = Cassette.layer({ file: "test/cassettes/triage.json" }).pipe(
 *   Layer.provide([Models.fromAiSdk(openai("gpt-5")), NodeServices.layer])
 * )
 * ```
 */
export const layer = (
  options: Options
): Layer.Layer<LanguageModel.LanguageModel, CassetteUnreadable, LanguageModel.LanguageModel | FileSystem.FileSystem> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const cassette = yield* make(options)
      yield* Effect.addFinalizer(() =>
        Effect.catch(cassette.assertComplete, (error) => Effect.logWarning(error.message))
      )
      return cassette.layer
    })
  )
