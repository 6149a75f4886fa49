/** Timeouts and retries are options of a run. In mode "resume" only what failed runs again. */
import { Console, Effect } from "effect"
import { Engine, Step, Workflow } from "effect-baton"

let sends = 0
/** Hangs at first, then works. */
const send = (file: string) =>
  Effect.suspend(() => {
    sends++
    return sends < 3 ? Effect.never : Effect.succeed(`sent ${file}`)
  })

const upload = Workflow.make("upload", {
  run: Effect.fnUntraced(function* (name) {
    const file = yield* Step.make("compress", { run: Effect.as(Console.log("compressing"), `${name}.zip`) })
    return yield* Step.make("send", { run: send(file) })
  })
})

const program = Effect.gen(function* () {
  const sent = yield* upload.execute("photos", {
    timeout: "30 millis",
    retry: {
      attempts: 3,
      delay: "10 millis",
      backoff: "exponential",
      mode: "resume",
      onRetry: ({ attempt, delayMillis }) => Console.log(`attempt ${attempt} timed out, next in ${delayMillis} ms`)
    }
  })
  yield* Console.log(sent)
})

await program.pipe(Effect.provide(Engine.layerMemory), Effect.runPromise)

/* prints:
compressing
attempt 1 timed out, next in 10 ms
attempt 2 timed out, next in 20 ms
sent photos.zip
*/
