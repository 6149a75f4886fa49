// Engines whose runs leave the memory as soon as they only wait.
import { Effect } from "effect"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import type { Settings } from "../../src/engines/durable/engine.ts"
import { Durable } from "../../src/engines/durable/layer.ts"
import { realSleep } from "../../src/engines/durable/writer.ts"
import type { Engine } from "../../src/services/Engine.ts"

export const parks: Settings = { idle: 0, pollInterval: "10 millis" }

/** Ends when nothing is left in the memory of the engine. */
export const parked = Effect.flatMap(Durable, (engine) =>
  Effect.whileLoop({ while: () => engine.residents.size > 0, body: () => realSleep(5), step: () => {} })
)

/** What a program gives on an engine of its own. */
export const onOne = <A, E>(program: Effect.Effect<A, E, Engine | Durable>, settings: Settings = parks) =>
  Effect.scoped(
    Effect.flatMap(temporaryFile, (filename) =>
      Effect.map(live(filename, settings, undefined, program), (life) => life.result)
    )
  )
