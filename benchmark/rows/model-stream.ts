/**
 * One stream of 10,000 tokens from a model, over HTTP, one and 200 streams at a time, and without HTTP.
 *
 * Measures a stream from asking to its end, read part by part, by a reader that counts characters. All tokens are there at once,
 * which shows what each costs but not what waiting for it would; with 200 at a time it is what a stream adds to the whole. Baton
 * tells the text as events too, which nobody reads here. It does not measure tools, reasoning, a slow reader or one that stops.
 */
import { type Row, timed } from "../harness.ts"
import type * as Model from "./model.ts"

const measured = (asker: keyof typeof Model.askers, atOnce: number, open: keyof typeof Model.places = "overHttp") =>
  timed(
    atOnce,
    (count) => count,
    async () => {
      const { askers, places, repeat } = await import("./model.ts")
      const ask = await askers[asker]("stream", await places[open]())
      return (count) => repeat(ask, "stream", atOnce, count)
    }
  )

const metrics: Row["metrics"] = {
  wall: { title: "µs a stream", digits: 0, target: { timesBare: 1.5 } },
  cpu: { title: "CPU µs", digits: 0, target: { timesBare: 1.5 } }
}

const overHttp = (atOnce: number): Row["contenders"] => ({
  bare: measured("bare", atOnce),
  baton: measured("baton", atOnce),
  "ai sdk": measured("ai sdk", atOnce),
  langchain: measured("langchain", atOnce),
  mastra: measured("mastra", atOnce)
})

export const modelStream: Row = {
  name: "model-stream",
  title: "One stream of 10,000 tokens over HTTP",
  rounds: 3,
  metrics,
  contenders: overHttp(1)
}

export const modelStream200: Row = {
  name: "model-stream-200",
  title: "One stream of 10,000 tokens over HTTP, 200 at a time",
  rounds: 3,
  metrics,
  contenders: overHttp(200)
}

export const modelStreamInProcess: Row = {
  name: "model-stream-in-process",
  title: "One stream of 10,000 tokens without HTTP",
  rounds: 5,
  metrics,
  contenders: {
    bare: measured("bare", 1, "inProcess"),
    baton: measured("baton", 1, "inProcess")
  }
}
