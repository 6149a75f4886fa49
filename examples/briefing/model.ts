/**
 * The language model that the desk asks. This is the only place that knows which: another provider is another layer here,
 * and a byline that says so.
 */
import { Context, Layer } from "effect"
import { Models } from "effect-baton"
import * as Extractive from "./extractive/ExtractiveModel.ts"

/** What a reader should know of who wrote a brief. */
export class Byline extends Context.Service<Byline, string>()("briefing/Byline") {}

const extractive = Models.layer({
  [Extractive.name]: { model: Extractive.layer, concurrency: 8 }
})

export const layer = Layer.merge(
  extractive,
  Layer.succeed(
    Byline,
    `Extractive: ${Extractive.name} selected these sentences from the documents and wrote none of its own.`
  )
)
