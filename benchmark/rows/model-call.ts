/**
 * One call of a model: a short question, an answer of a hundred words at once; over HTTP, one and 200 calls at a time, and
 * without HTTP.
 *
 * Measures a call from asking to having the text, and what it takes above a bare one. The difference of two figures of a loaded
 * machine says little, so each contender takes turns with bare calls in its own process, sample by sample, and "above bare" is the
 * median of the differences of neighbours; bare itself shows how far chance goes. With 200 at a time it is what a call adds to the
 * whole, not how long one of them waits. It does not measure tools, structured output, long conversations, failures or a model
 * that thinks, and of the server's own time only the wall clock sees something.
 */
import { type Contender, type Measured, type Micros, median, type Row, stopwatch, timeMetrics } from "../harness.ts"
import type * as Model from "./model.ts"

/** Ten pairs of samples of at least 0.1 s of processor time, after six that only warm up. Who comes first takes turns too. */
const inTurn = async (
  sample: (asker: "bare" | "own", count: number) => Promise<Micros>,
  atOnce: number,
  quick: boolean
): Promise<Measured> => {
  let count = 1
  await sample("own", count)
  while ((await sample("bare", count)).cpu < (quick ? 10_000 : 100_000)) {
    count *= 2
    await sample("own", count)
  }
  const pairs: Array<readonly [bare: Micros, own: Micros]> = []
  for (let i = 0; i < (quick ? 1 : 8); i++) {
    pairs.push([await sample("bare", count), await sample("own", count)])
    const own = await sample("own", count)
    pairs.push([await sample("bare", count), own])
  }
  const counted = quick ? pairs : pairs.slice(6)
  const middle = (of: (bare: Micros, own: Micros) => number) =>
    median(counted.map((pair) => of(...pair))) / (count * atOnce)
  return {
    wall: middle((_, own) => own.wall),
    cpu: middle((_, own) => own.cpu),
    moreWall: middle((bare, own) => own.wall - bare.wall),
    moreCpu: middle((bare, own) => own.cpu - bare.cpu)
  }
}

const measured =
  (asker: keyof typeof Model.askers, atOnce: number, open: keyof typeof Model.places = "overHttp"): Contender =>
  async (quick) => {
    const { askers, places, repeat } = await import("./model.ts")
    const place = await places[open]()
    const asks = { bare: await askers.bare("call", place), own: await askers[asker]("call", place) }
    const sample = async (who: "bare" | "own", count: number) => {
      const elapsed = stopwatch()
      await repeat(asks[who], "call", atOnce, count)
      return elapsed()
    }
    return inTurn(sample, atOnce, quick)
  }

const metrics: Row["metrics"] = {
  ...timeMetrics("a call", 1),
  moreWall: { title: "µs above bare", digits: 1, target: { atMost: 150 } },
  moreCpu: { title: "CPU µs above bare", digits: 1, target: { atMost: 150 } }
}

const overHttp = (atOnce: number): Row["contenders"] => ({
  bare: measured("bare", atOnce),
  baton: measured("baton", atOnce),
  "ai sdk": measured("ai sdk", atOnce),
  langchain: measured("langchain", atOnce),
  mastra: measured("mastra", atOnce)
})

export const modelCall: Row = {
  name: "model-call",
  title: "One model call over HTTP",
  rounds: 3,
  metrics,
  contenders: overHttp(1)
}

export const modelCall200: Row = {
  name: "model-call-200",
  title: "One model call over HTTP, 200 at a time",
  rounds: 3,
  metrics,
  contenders: overHttp(200)
}

export const modelCallInProcess: Row = {
  name: "model-call-in-process",
  title: "One model call without HTTP",
  rounds: 5,
  metrics,
  contenders: {
    bare: measured("bare", 1, "inProcess"),
    baton: measured("baton", 1, "inProcess")
  }
}
