/**
 * Which sentences matter: a graph of sentences joined by their similarity, ranked as pages are (LexRank, Erkan and
 * Radev 2004), then picked one by one so that no pick repeats another (maximal marginal relevance, Carbonell and
 * Goldstein 1998).
 */
import type { Sentence } from "./Sentence.ts"

export interface Ranked {
  readonly sentence: Sentence
  /** 0 to 1; the most central sentence has 1. */
  readonly score: number
  readonly vector: ReadonlyMap<string, number>
}

/** Terms that few sentences have weigh more; every vector has length 1. */
const vectors = (sentences: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<ReadonlyMap<string, number>> => {
  const frequency = new Map<string, number>()
  for (const terms of sentences) for (const term of new Set(terms)) frequency.set(term, (frequency.get(term) ?? 0) + 1)
  return sentences.map((terms) => {
    const vector = new Map<string, number>()
    for (const term of terms) {
      vector.set(term, (vector.get(term) ?? 0) + Math.log(1 + sentences.length / frequency.get(term)!))
    }
    const length = Math.sqrt([...vector.values()].reduce((sum, weight) => sum + weight * weight, 0))
    for (const [term, weight] of vector) vector.set(term, weight / length)
    return vector
  })
}

/** The cosine of two vectors of length 1. */
const cosine = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number => {
  let sum = 0
  for (const [term, weight] of a) sum += weight * (b.get(term) ?? 0)
  return sum
}

/** How alike two texts are, by their terms alone: 0 to 1. */
export const similarity = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): number => {
  const shared = new Set(a)
  const other = new Set(b)
  const common = [...shared].filter((term) => other.has(term)).length
  return shared.size === 0 || other.size === 0 ? 0 : common / Math.sqrt(shared.size * other.size)
}

const damping = 0.85
const rounds = 40

/** Ranks sentences; `weigh` says how far each deserves attention before the others have their say. */
export const rank = (
  sentences: ReadonlyArray<Sentence>,
  weigh: (sentence: Sentence) => number
): ReadonlyArray<Ranked> => {
  const all = vectors(sentences.map((sentence) => sentence.terms))
  const weights = sentences.map(weigh)
  const total = weights.reduce((sum, weight) => sum + weight, 0) || 1
  const edges = neighbours(all)
  let scores = weights.map((weight) => weight / total)
  for (let round = 0; round < rounds; round++) {
    const next = weights.map((weight) => ((1 - damping) * weight) / total)
    for (const [from, targets] of edges.entries()) {
      for (const [to, share] of targets) next[to]! += damping * scores[from]! * share
    }
    scores = next
  }
  const final = scores.map((score, index) => score * weights[index]!)
  const top = Math.max(...final, Number.MIN_VALUE)
  return sentences.map((sentence, index) => ({ sentence, score: final[index]! / top, vector: all[index]! }))
}

/** For each sentence the others that share a term with it, with the share of its vote each gets. */
const neighbours = (all: ReadonlyArray<ReadonlyMap<string, number>>): ReadonlyArray<ReadonlyMap<number, number>> => {
  const index = new Map<string, Array<number>>()
  for (const [at, vector] of all.entries()) {
    for (const term of vector.keys()) {
      const having = index.get(term)
      if (having === undefined) index.set(term, [at])
      else having.push(at)
    }
  }
  return all.map((vector, at) => {
    const votes = new Map<number, number>()
    for (const [term, weight] of vector) {
      for (const other of index.get(term)!) {
        if (other !== at) votes.set(other, (votes.get(other) ?? 0) + weight * all[other]!.get(term)!)
      }
    }
    const sum = [...votes.values()].reduce((sum, vote) => sum + vote, 0)
    for (const [other, vote] of votes) votes.set(other, vote / sum)
    return votes
  })
}

/** From here on one sentence says what another says. */
export const tooAlike = 0.6

/** Picks the best, each time the one that adds most to what is picked already, while `fits` allows; in text order. */
export const select = (
  ranked: ReadonlyArray<Ranked>,
  fits: (picked: ReadonlyArray<Ranked>, next: Ranked) => boolean
): ReadonlyArray<Ranked> => {
  const picked: Array<Ranked> = []
  const rest = new Set(ranked.filter(({ score }) => score > 0))
  while (rest.size > 0) {
    let best: Ranked | undefined
    let gain = Number.NEGATIVE_INFINITY
    for (const next of rest) {
      const overlap = Math.max(0, ...picked.map(({ vector }) => cosine(vector, next.vector)))
      const value = 0.7 * next.score - 0.3 * overlap
      if (overlap >= tooAlike || !fits(picked, next)) rest.delete(next)
      else if (value > gain) {
        best = next
        gain = value
      }
    }
    if (best === undefined) break
    picked.push(best)
    rest.delete(best)
  }
  return picked.toSorted((a, b) => ranked.indexOf(a) - ranked.indexOf(b))
}
