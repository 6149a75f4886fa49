/**
 * Ids of runs: the time of making and a random number, both from Effect's services; text only when somebody reads it.
 */
export const idToString = (millis: number, random: number): string =>
  `run_${millis.toString(36).padStart(9, "0")}${random.toString(36).padStart(11, "0")}`
