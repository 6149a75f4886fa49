/**
 * Orchestrator-workers: a plan for the documents at hand, workers for its steps, and a brief of what they bring.
 *
 * Facts and questions are found in each document, then picked from all of them; the overview is written with the facts.
 */
import { Effect, Schema } from "effect"
import { Models, OrchestratorWorkers } from "effect-baton"
import type { Contribution } from "../assignment.ts"
import { Brief, distinct } from "../brief.ts"
import { Digest } from "../digest.ts"
import { Library } from "../library.ts"
import * as Prompts from "../prompts.ts"
import * as Findings from "./findings.ts"
import { overview } from "./overview.ts"

const workers = [
  {
    name: "facts",
    description: "Finds what a document states that can be checked",
    workflow: Findings.facts,
    per: "document",
    kinds: ["guide", "reference", "specification", "notes"]
  },
  {
    name: "questions",
    description: "Finds what a document leaves open",
    workflow: Findings.questions,
    per: "document"
  },
  {
    name: "key-facts",
    description: "Picks the facts that matter most",
    workflow: Findings.keyFacts,
    per: "set",
    after: ["facts"]
  },
  {
    name: "open-questions",
    description: "Picks the questions that matter most",
    workflow: Findings.openQuestions,
    per: "set",
    after: ["questions"]
  },
  {
    name: "overview",
    description: "Writes an overview of all documents with the key facts",
    workflow: overview,
    per: "set",
    after: ["key-facts"]
  }
] as const

const findingsOf = (contribution: Contribution) => (contribution._tag === "Findings" ? contribution.findings : [])

export const write = OrchestratorWorkers.make("write", {
  description: "Writes a brief of documents that were read",
  input: Schema.Array(Digest),
  output: Brief,
  workers,
  plan: (documents) =>
    Models.object(
      Prompts.plan({ goal: "A brief of these documents: overview, facts, open questions", workers, documents })
    ),
  delegate: Effect.fnUntraced(function* (step, dependencies) {
    const { workflow } = workers.find(({ name }) => name === step.worker)!
    const library = yield* Library
    const documents = yield* library.names(step.input)
    return yield* workflow.call({ documents, findings: dependencies.flatMap(({ data }) => findingsOf(data)) })
  }),
  synthesize: (results) => {
    const from = (worker: (typeof workers)[number]["name"]) =>
      results.flatMap((result) => (result.worker === worker && result.success ? [result.data] : []))
    const overview = from("overview").map((data) => (data._tag === "Text" ? data.text : ""))
    return Effect.succeed(
      distinct({
        overview: overview.join("\n\n"),
        facts: from("key-facts").flatMap(findingsOf),
        questions: from("open-questions").flatMap(findingsOf)
      })
    )
  },
  maxConcurrency: 4
})
