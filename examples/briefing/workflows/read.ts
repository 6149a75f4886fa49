/**
 * Routing: each document goes to the workflow made for its kind.
 */
import { Effect } from "effect"
import { Models, Routing } from "effect-baton"
import { Digest } from "../digest.ts"
import { Document } from "../documents.ts"
import * as Prompts from "../prompts.ts"
import * as Kinds from "./kinds.ts"

const route = (kind: Prompts.Kind, workflow: typeof Kinds.guide) => ({
  workflow,
  route: { description: workflow.description ?? kind, whenToUse: `The document ${Prompts.kinds[kind]}` }
})

export const read = Routing.make("read", {
  description: "Makes a digest of a document, as its kind asks for",
  input: Document,
  output: Digest,
  workflows: {
    guide: { ...route("guide", Kinds.guide), markAsDefault: true },
    reference: route("reference", Kinds.reference),
    specification: route("specification", Kinds.specification),
    changelog: route("changelog", Kinds.changelog),
    notes: route("notes", Kinds.notes)
  },
  classify: (document) => Effect.map(Models.object(Prompts.classify(document)), ({ kind }) => kind)
})
