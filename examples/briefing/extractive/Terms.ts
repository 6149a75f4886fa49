/** Words and terms: what a text is compared by. */

const stopwords = new Set(
  (
    "a about above after again against all also although always am an and another any are aren't as at be because been before being " +
    "below between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each either else etc " +
    "even ever every few first for from further get gets give given go goes had has hasn't have haven't having he her here hers him his " +
    "how however i if in instead into is isn't it it's its itself just let like made make makes many may me might more most much must my " +
    "need needs neither never new no nor not now of off often on once one only or other otherwise our out over own per rather same see " +
    "shall she should shouldn't since so some still such take than that that's the their them then there there's therefore these they " +
    "they're this those through thus to too two under until up upon us use used using usually very via want was we well were what " +
    "when where whether which while who whom whose why will with within without won't would yes yet you you're your yours"
  ).split(" ")
)

/** How many words a reader counts: what stands between spaces. */
export const countWords = (text: string): number => text.split(/\s+/).filter((word) => word !== "").length

/** The content words of a text, stemmed, in order, with repetitions. */
export const terms = (text: string): ReadonlyArray<string> =>
  (
    text
      .toLowerCase()
      .replaceAll("’", "'")
      .match(/[\p{L}\p{N}](?:[\p{L}\p{N}'._-]*[\p{L}\p{N}])?/gu) ?? []
  )
    .filter((word) => !stopwords.has(word) && (word.length > 1 || /\p{N}/u.test(word)))
    .map(stem)

/** A light stemmer for English: plural, -ing, -ed and a last e go. Other words stay as they are. */
const stem = (word: string): string => {
  if (!/^[a-z'-]{4,}$/.test(word)) return word
  const singular = word
    .replace(/'s$/, "")
    .replace(/ies$/, "y")
    .replace(/([^aeiou]|ss|sh|ch|x)es$/, "$1e")
    .replace(/([^us])s$/, "$1")
  const stemmed = singular.replace(/(?<=.{3})(?:ing|ed)$/, "").replace(/([bdfgmnprt])\1$/, "$1")
  return stemmed.replace(/(?<=.{2})e$/, "")
}
