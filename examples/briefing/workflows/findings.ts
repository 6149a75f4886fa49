/**
 * The workers that find facts and open questions: some in one document, some among what was found in all of them.
 */
import { Effect, Schema } from "effect"
import { AiError, type LanguageModel } from "effect/ai"
import { Models, Step, Workflow } from "effect-baton"
import { Assignment, Contribution } from "../assignment.ts"
import { Library, UnknownDocument } from "../library.ts"
import * as Prompts from "../prompts.ts"

type Findings = ReadonlyArray<Prompts.Finding>
type Find = (
  request: Prompts.Material & { readonly limit: number }
) => Effect.Effect<Findings, AiError.AiError, LanguageModel.LanguageModel>

const askForFacts: Find = (request) => Effect.map(Models.object(Prompts.facts(request)), ({ facts }) => facts)
const askForQuestions: Find = (request) =>
  Effect.map(Models.object(Prompts.questions(request)), ({ questions }) => questions)

const contribution = (findings: Findings) => ({ _tag: "Findings", findings }) as const

/** What one document says; its name becomes part of each source. */
const inDocuments = (name: string, find: Find, limit: number) =>
  Workflow.make(name, {
    input: Assignment,
    output: Contribution,
    error: Schema.Union([UnknownDocument, AiError.AiError]),
    run: Effect.fnUntraced(function* ({ documents }) {
      const library = yield* Library
      const found = yield* Effect.forEach(documents, (name) =>
        Effect.gen(function* () {
          const { document } = yield* library.get(name)
          const findings = yield* find({ title: document.title, text: document.text, limit })
          return findings.map(({ source, text }) => ({
            text,
            source: source === document.title || source === "" ? name : `${name} > ${source}`
          }))
        })
      )
      return contribution(found.flat())
    })
  })

/** The findings that matter most. They are numbered, and what is picked is the finding itself, not its retelling. */
const amongFindings = (name: string, find: Find, limit: number, write: (text: string) => string) =>
  Workflow.make(name, {
    input: Assignment,
    output: Contribution,
    error: AiError.AiError,
    run: Effect.fnUntraced(function* ({ findings }) {
      if (findings.length <= limit) return contribution(findings)
      const text = findings.map(({ text }, index) => `## ${index + 1}\n\n${write(text)}`).join("\n\n")
      const picked = yield* Step.make("pick", {
        output: Schema.Array(Prompts.Finding),
        error: AiError.AiError,
        run: find({ title: name, text, limit })
      })
      const numbers = new Set(picked.map(({ source }) => Number(source)))
      return contribution(findings.filter((_, index) => numbers.has(index + 1)))
    })
  })

export const facts = inDocuments("facts", askForFacts, 5)
export const questions = inDocuments("questions", askForQuestions, 4)
export const keyFacts = amongFindings("key-facts", askForFacts, 12, (text) => text)
export const openQuestions = amongFindings("open-questions", askForQuestions, 8, (text) => `- [ ] ${text}`)
