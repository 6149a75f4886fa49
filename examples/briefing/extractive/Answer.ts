/**
 * One function a task: from what the prompt holds to what can be said about it, in its own sentences.
 */
import { Effect, type Schema } from "effect"
import type { AiError } from "effect/ai"
import { attention, factual, openness, pointsElsewhere } from "./Attention.ts"
import { coverer } from "./Measure.ts"
import * as Rank from "./Rank.ts"
import * as Request from "./Request.ts"
import * as Sentence from "./Sentence.ts"
import { terms } from "./Terms.ts"

export type Answer =
  /** Sentences, for a request for text. */
  | { readonly _tag: "Text"; readonly sentences: ReadonlyArray<string> }
  /** All that is known, for a request with a schema to take what it wants. */
  | { readonly _tag: "Value"; readonly value: Schema.Json }

type Task = (request: Request.Request) => Effect.Effect<Answer, AiError.AiError>

const text = (ranked: ReadonlyArray<Rank.Ranked>): Answer => ({
  _tag: "Text",
  sentences: ranked.map(({ sentence }) => sentence.text)
})
const value = (value: Schema.Json): Answer => ({ _tag: "Value", value })

/** Whole sentences of all texts, ranked together, each once; the first text opens the subject and weighs more. */
const ranked = (request: Request.Request, keep: (sentence: Sentence.Sentence) => boolean = ({ whole }) => whole) => {
  const sentences = new Map<string, { readonly sentence: Sentence.Sentence; readonly weight: number }>()
  for (const [at, { text, title }] of request.texts.entries()) {
    const weigh = attention(title)
    for (const sentence of Sentence.parse(text, title)) {
      const key = sentence.terms.join(" ")
      if (keep(sentence) && !sentences.has(key)) {
        sentences.set(key, { sentence, weight: weigh(sentence) * (1 + 0.5 / (1 + at)) })
      }
    }
  }
  const weights = new Map([...sentences.values()].map(({ sentence, weight }) => [sentence, weight]))
  return Rank.rank([...weights.keys()], (sentence) => weights.get(sentence)!)
}

const wordsOf = (ranked: ReadonlyArray<Rank.Ranked>) => ranked.reduce((sum, { sentence }) => sum + sentence.words, 0)

/** The kind whose description shares most with the document: its name, its headings, its text, in this order of weight. */
const classify: Task = Effect.fnUntraced(function* (request) {
  const kinds = (yield* Request.list(request, "Kinds")).map((entry) => {
    const [name = "", description = ""] = entry.split(/:\s*(.*)/s)
    const words = `${name} ${description}`.match(/[\p{L}\p{N}-]+/gu) ?? []
    return { name, words: new Map(words.flatMap((word) => terms(word).map((term) => [term, word]))) }
  })
  if (kinds.length === 0) return yield* Request.refuse("Kinds", "at least one entry", "there is nothing to choose from")
  const shared = (term: string) => kinds.filter(({ words }) => words.has(term)).length
  const evidence = new Map<string, number>()
  const add = (text: string, weight: number) => {
    const found = terms(text)
    for (const term of found) evidence.set(term, (evidence.get(term) ?? 0) + weight / Math.sqrt(found.length))
  }
  for (const { text, title } of request.texts) {
    add(/([^/]*?)(?:\.\w+)?$/.exec(title)![1]!, 3)
    add(Sentence.prose(text), 1)
  }
  add((request.lists.get("Headings") ?? []).join(" "), 2)
  const scored = kinds.map(({ name, words }) => {
    const found = [...words.keys()].filter((term) => evidence.has(term))
    const score = found.reduce((sum, term) => sum + Math.sqrt(evidence.get(term)!) / shared(term), 0)
    const telling = found.toSorted((a, b) => evidence.get(b)! - evidence.get(a)!)
    // One word in passing proves nothing; one in the name or the headings does.
    const convinces = telling.length > 1 || (telling.length === 1 && evidence.get(telling[0]!)! >= 1)
    return { name, score, convinces, telling: telling.map((term) => `"${words.get(term)}"`) }
  })
  const best = scored.reduce((best, next) => (next.score > best.score ? next : best))
  return value(
    best.convinces
      ? {
          kind: best.name,
          reason: `It shares most with the description of this kind: ${best.telling.slice(0, 5).join(", ")}.`
        }
      : {
          kind: kinds[0]!.name,
          reason: "It shares too little with any description, so it is the first kind of the list."
        }
  )
})

const summarise: Task = Effect.fnUntraced(function* (request) {
  const limit = yield* Request.limit(request)
  return text(Rank.select(ranked(request), (picked) => picked.length < limit))
})

/** The sentences a measure speaks for, by that measure and by rank together, best first. */
const findings = (
  request: Request.Request,
  limit: number,
  keep: (sentence: Sentence.Sentence) => boolean,
  weigh: (sentence: Sentence.Sentence) => number
): ReadonlyArray<{ readonly text: string; readonly source: string }> => {
  const weighed = ranked(request, keep).map((one) => {
    const weight = weigh(one.sentence)
    return { ...one, score: weight === 0 ? 0 : weight * (0.3 + 0.7 * one.score) }
  })
  return Rank.select(weighed, (picked) => picked.length < limit).map(({ sentence: { heading, text } }) => ({
    text,
    source: heading
  }))
}

const facts: Task = Effect.fnUntraced(function* (request) {
  return value({ facts: findings(request, yield* Request.limit(request), ({ whole }) => whole, factual) })
})

const questions: Task = Effect.fnUntraced(function* (request) {
  const asks = ({ place, whole, words }: Sentence.Sentence) => whole || (place === "open task" && words >= 2)
  return value({ questions: findings(request, yield* Request.limit(request), asks, openness) })
})

const workerLine = /^(\S+): (.*)\. One step (per document|for all documents)(?: of kind (.+?))?(?:, after (.+))?\.$/
const documentLine = /^(.+) \((\w+), \d+ words\)$/

/** Each worker's steps as its line says; there is nothing to choose, and nothing is. */
const plan: Task = Effect.fnUntraced(function* (request) {
  const [goal = "", ...more] = yield* Request.list(request, "Goal")
  if (more.length > 0) return yield* Request.refuse("Goal", "one entry", `it has ${more.length + 1}`)
  const documents = yield* Effect.forEach(yield* Request.list(request, "Documents"), (line) => {
    const [, name, kind] = documentLine.exec(line) ?? []
    return name === undefined || kind === undefined
      ? Request.refuse("Documents", "`name (kind, n words)`", `cannot read "${line}"`)
      : Effect.succeed({ name, kind })
  })
  const workers = yield* Effect.forEach(yield* Request.list(request, "Workers"), (line) => {
    const [, name, description, per, kinds, after] = workerLine.exec(line) ?? []
    return name === undefined || description === undefined
      ? Request.refuse("Workers", "`name: what it does. One step per document, after others.`", `cannot read "${line}"`)
      : Effect.succeed({
          name,
          description,
          each: per === "per document",
          kinds: kinds?.split(", "),
          after: after?.split(", ") ?? []
        })
  })
  const planned = workers.flatMap(({ after, description, each, kinds, name: worker }) => {
    const own = documents.flatMap(({ kind, name }, at) =>
      kinds?.includes(kind) === false ? [] : [{ name, number: at + 1 }]
    )
    if (own.length === 0) return []
    return each
      ? own.map(({ name, number }) => ({
          id: `${worker}-${number}`,
          worker,
          description: `${description} (${name})`,
          input: name,
          after
        }))
      : [{ id: worker, worker, description, input: own.map(({ name }) => name).join(", "), after }]
  })
  const steps = planned.map(({ after, ...step }) => {
    const dependsOn = planned.filter(({ worker }) => after.includes(worker)).map(({ id }) => id)
    return dependsOn.length === 0 ? step : { ...step, dependsOn }
  })
  return value({ goal, steps })
})

const isStatement = (sentence: Sentence.Sentence) =>
  sentence.whole && !sentence.text.endsWith("?") && !pointsElsewhere(sentence)

/** The most central sentences within the limit, from as many of the texts as it allows. */
const overview: Task = Effect.fnUntraced(function* (request) {
  const limit = yield* Request.limit(request)
  const share = Math.max(1, Math.ceil(limit / 20 / Math.max(1, request.texts.length)))
  return text(
    Rank.select(ranked(request, isStatement), (picked, next) => {
      const siblings = picked.filter(({ sentence }) => sentence.heading === next.sentence.heading)
      return siblings.length < share && wordsOf(picked) + next.sentence.words <= limit
    })
  )
})

/**
 * The draft's sentences and, for headings that the feedback names, those of the texts that cover them: first whatever
 * covers most in the fewest words, then as much of the draft as the limit has room for.
 */
const tighten: Task = Effect.fnUntraced(function* (request) {
  const limit = yield* Request.limit(request)
  const draft = new Set(Sentence.split(yield* Request.draft(request)))
  const headings = yield* Request.list(request, "Headings")
  const feedback = (yield* Request.list(request, "Feedback")).join("\n")
  const covers = coverer({ headings, material: request.texts })
  const missing = headings.filter((heading) => feedback.includes(`"${heading}"`))
  const candidates = ranked(request, isStatement).flatMap((one) => {
    const inDraft = draft.has(one.sentence.text)
    const covered = headings.filter((heading) => covers(one.sentence.terms, heading))
    return inDraft || covered.some((heading) => missing.includes(heading)) ? [{ ...one, inDraft, covered }] : []
  })
  type Candidate = (typeof candidates)[number]
  const picked: Array<Candidate> = []
  const fits = (next: Candidate) =>
    wordsOf(picked) + next.sentence.words <= limit &&
    picked.every(({ sentence }) => Rank.similarity(sentence.terms, next.sentence.terms) < Rank.tooAlike)
  const gain = ({ covered, inDraft, score, sentence }: Candidate) => {
    const more = covered.filter((heading) => picked.every((one) => !one.covered.includes(heading)))
    return more.length === 0 ? 0 : (more.length + 2 * score + (inDraft ? 0.1 : 0)) / (20 + sentence.words)
  }
  const pick = (value: (one: Candidate) => number) => {
    for (;;) {
      const [best] = candidates.filter((one) => value(one) > 0 && fits(one)).toSorted((a, b) => value(b) - value(a))
      if (best === undefined) return
      picked.push(best)
    }
  }
  pick(gain)
  pick(({ inDraft, score }) => (inDraft ? score : 0))
  return text(candidates.filter((one) => picked.includes(one)))
})

const tasks: Readonly<Record<string, Task>> = {
  classify,
  summarise,
  facts,
  questions,
  plan,
  overview,
  tighten
}

/** What the model has to say to a prompt, or why it cannot. */
export const answer = Effect.fnUntraced(function* (prompt: string) {
  const request = yield* Request.parse(prompt)
  const task = Object.hasOwn(tasks, request.task) ? tasks[request.task] : undefined
  return task === undefined
    ? yield* Request.refuse("Task", Object.keys(tasks).join(", "), `cannot do "${request.task}"`)
    : yield* task(request)
})
