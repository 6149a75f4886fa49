/** How far a sentence deserves attention for what it is, before it is compared with others. */
import type { Sentence } from "./Sentence.ts"
import { terms } from "./Terms.ts"

/** Leans on a sentence that will not stand before it. */
const leaning =
  /^(?:\(|note:|(?:this|that|these|those|it|its|they|them|he|she|such|both|here|there|then|so|thus|but|and|or|also|however|therefore|otherwise|instead|hence|still|moreover|furthermore|again|for (?:example|instance)|in (?:this|that|these|which) |as (?:above|before|a result)|the (?:former|latter|above|following)|to do (?:this|so)|if (?:so|not))\b)/i
/** Points elsewhere, or shows something that an excerpt does not show. */
const pointing =
  /^(?:(?:also )?see|check out|read|click|please|visit|refer|source:|to (?:learn|find out|read) more|learn more|follow the|let's|let us|for (?:\w+ )?(?:more|information|details|examples?))\b|https?:\/\/|\b[\w-]+\.md\b|, see (?:the|our)\b|\b(?:following|below|example above|shown above|as follows)\b/i
export const pointsElsewhere = ({ text }: Sentence): boolean => pointing.test(text)
/** Stands in every project. */
const boilerplate =
  /\b(?:licen[cs]ed under|all rights reserved|copyright|contributions? (?:\w+ ){0,5}(?:are|is) (?:\w+ )?welcome|love to hear|community|stay up to date|pull requests?|sponsor|donat|feel free|reach out|have any questions|star this|join (?:us|our)|discord|twitter|stack overflow|without warranty|applicable law)\b/i

/** Speaks of its authors. */
const ours = /^(?:we|we'[rv]e|we'(?:d|ll)|our|i|i'[mv]e?)\b/i

/** Says what something is. */
const defining = /^(?:\S+\s){1,5}(?:is|are|provides|offers|lets|allows|enables)\s/i

/** Openings of the text and of its title's subject come first; see the patterns above for what comes last. */
export const attention =
  (title: string) =>
  (sentence: Sentence): number => {
    const about = new Set([...terms(title), ...terms(sentence.heading)])
    const shared = new Set(sentence.terms.filter((term) => about.has(term))).size
    return (
      (1 + 2 / (1 + sentence.position)) *
      (1 + 0.15 * Math.min(2, shared)) *
      (defining.test(sentence.text) && shared > 0 ? 1.5 : 1) *
      (sentence.place === "item" ? 0.8 : sentence.place === "quote" ? 0.9 : 1) *
      (sentence.words < 8 || sentence.words > 40 ? 0.7 : 1) *
      (/^`[^`]+`:/.test(sentence.text) ? 0.6 : 1) *
      (leaning.test(sentence.text) || ours.test(sentence.text) ? 0.5 : 1) *
      (pointing.test(sentence.text) ? 0.3 : 1) *
      (boilerplate.test(sentence.text) ? 0 : 1) *
      (/[?!]["'”’)]*$/.test(sentence.text) ? 0.5 : 1)
    )
  }

/** How much a sentence states that can be checked: figures most, then names, then code. 0 for none of them. */
export const factual = (sentence: Sentence): number => {
  if (sentence.text.endsWith("?") || pointing.test(sentence.text) || boilerplate.test(sentence.text)) return 0
  const prose = sentence.text.replace(/`[^`]*`/g, "`")
  const figures = prose.match(/(?<![\w.])\d[\d.,]*(?:\s?%|[a-z]{0,2}\b)/gi)?.length ?? 0
  const names = prose.match(/(?<=[\p{Ll},;)`] )\p{Lu}[\p{L}\p{N}]+/gu)?.length ?? 0
  const code = prose.match(/`/g)?.length ?? 0
  const weight = 0.4 * Math.min(2, figures) + 0.15 * Math.min(2, names) + 0.1 * Math.min(2, code)
  return Math.min(1, weight) * (leaning.test(sentence.text) ? 0.4 : 1)
}

/** Asks the reader only to come along. */
const inviting = /^(?:want|have|need|looking|interested|ready|got|why not|curious|like|found|wondering|ever)\b/i

const patterns: ReadonlyArray<readonly [weight: number, pattern: RegExp]> = [
  [1, /\b(?:TODO|TBD|TBC|FIXME|XXX)\b/],
  [
    1,
    /\b(?:open (?:question|issue|point)s?|(?:is|are|remains?|still|yet) to be (?:decided|determined|defined|confirmed|discussed|clarified))\b/i
  ],
  [
    0.9,
    /\b(?:unclear|(?:is|are|was|remains|still) (?:undecided|unresolved|unverified|unknown|untested|undocumented))\b/i
  ],
  [0.8, /\bnot (?:yet )?(?:been )?(?:verified|tested|measured|checked|decided|implemented)\b/i],
  [0.8, /\bnot yet (?:been )?(?:supported|possible|known|available|documented|finished|complete)\b/i],
  [0.7, /\b(?:unknown|not know|unsure|nobody knows) (?:whether|how|why|if|what)\b/i],
  [
    0.6,
    /\b(?:needs? to be (?:checked|tested|decided|clarified|verified)|future work|work in progress|subject to change)\b/i
  ]
]

/** How plainly a sentence leaves something open. 0 when it does not. */
export const openness = (sentence: Sentence): number => {
  if (sentence.place === "open task") return 1
  const asks = sentence.text.endsWith("?") && !inviting.test(sentence.text) ? 0.9 : 0
  return Math.max(asks, ...patterns.map(([weight, pattern]) => (pattern.test(sentence.text) ? weight : 0)))
}
