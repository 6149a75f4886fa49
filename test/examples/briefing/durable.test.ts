import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { ScriptedHuman } from "effect-baton/testing"
import * as Journal from "../../../examples/briefing/journal.ts"
import * as Model from "../../../examples/briefing/model.ts"
import { desk, main } from "./desk.ts"
import * as WriterServer from "./writerServer.ts"

/** How often each is there. */
const counts = (values: ReadonlyArray<string>) => {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

const recorded = /^(\d+) of these steps, with (\d+) model calls, were in (\S+) already and were not done again\.$/m

describe("main.ts --durable", () => {
  it.live(
    "killed anywhere and started again, it writes the brief of a run that was not, and repeats no recorded call",
    () =>
      Effect.gen(function* () {
        const server = yield* WriterServer.make
        const { file, out, paths, text } = yield* desk
        const env = { OPENAI_BASE_URL: server.url }
        const prompts = (from: number) => server.requests.slice(from).map(({ prompt }) => prompt)

        const whole = yield* main([...paths, "--yes", "--out", out], { env })
        assert.strictEqual(whole.status, 0, whole.stderr)
        const page = yield* text
        const expected = prompts(0)

        for (const [n, at] of [2, Math.ceil(expected.length / 2), expected.length].entries()) {
          // Each in a journal of its own, since the arguments are the same.
          const journal = `${out}/journal-${n}.sqlite`
          const args = [...paths, "--yes", "--out", out, "--journal", journal]
          const begin = server.requests.length
          const killed = yield* main(args, { env, killed: server.silentFrom(begin + at) })
          assert.isNull(killed.status, killed.stderr)
          server.speak()
          const before = prompts(begin)

          const ended = yield* main(args, { env })
          assert.strictEqual(ended.status, 0, ended.stderr)
          assert.include(ended.stdout, `The brief is in ${file}.`)
          assert.strictEqual(yield* text, page)

          const after = prompts(begin + before.length)
          const [, steps, calls] = recorded.exec(ended.stdout) ?? []
          assert.isAbove(Number(steps), 0)
          assert.strictEqual(after.length, expected.length - Number(calls), `killed at request ${at}`)
          // What was asked for twice was under way at the kill: asked for, and not answered or not recorded.
          const twice = before.length + after.length - expected.length
          assert.strictEqual(twice, before.length - Number(calls))
          for (const [prompt, times] of counts([...before, ...after])) {
            assert.isAtLeast(times, counts(expected).get(prompt) ?? Number.POSITIVE_INFINITY)
          }
          if (n > 0) assert.isAbove(Number(calls), 0)
        }
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live(
    "left with Ctrl-C it waits for the same arguments, and leaves others alone; what has ended begins anew",
    () =>
      Effect.gen(function* () {
        const server = yield* WriterServer.make
        const { file, out, paths } = yield* desk
        const env = { OPENAI_BASE_URL: server.url }
        const args = (model: string) => [...paths, "--yes", "--out", out, "--durable", "--model", model]
        const first = yield* main(args("one"), { env, killed: server.arrival(4), signal: "SIGINT" })
        assert.strictEqual(first.status, 130, first.stderr)
        assert.include(first.stdout, `What was done is kept in ${out}/briefing.sqlite`)

        const asked = server.requests.length
        const other = yield* main(args("two"), { env })
        assert.strictEqual(other.status, 1)
        assert.match(other.stderr, /The journal holds briefing-[0-9a-f]{12}-1, which has not ended/)
        assert.strictEqual(server.requests.length, asked)

        const again = yield* main(args("one"), { env })
        assert.strictEqual(recorded.exec(again.stdout)?.[3], `${out}/briefing.sqlite`)
        const anew = yield* main(args("one"), { env })
        assert.include(anew.stdout, `The brief is in ${file}.`)
        assert.notMatch(anew.stdout, recorded)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    60_000
  )

  it.live("an approval that was open is asked for again, and a file that is no journal is an error that says so", () =>
    Effect.gen(function* () {
      const { exists, file, out, paths, text } = yield* desk
      const journal = `${out}/briefing.sqlite`
      const input = { paths, out }
      const services = Layer.merge(Journal.layer(journal), Model.extractive)
      const id = yield* Effect.gen(function* () {
        const execution = yield* (yield* Journal.takeUp(input, "model")).start
        yield* Stream.runHead(Stream.filter(execution.events, ({ _tag }) => _tag === "RequestOpened"))
        return execution.id
      }).pipe(Effect.provide(services))
      assert.isFalse(yield* exists)

      yield* Effect.gen(function* () {
        const human = yield* ScriptedHuman.make([ScriptedHuman.approve({ when: `Write this brief to ${file}?` })])
        const execution = yield* Effect.provide((yield* Journal.takeUp(input, "model")).start, human.layer)
        assert.strictEqual(execution.id, id)
        assert.deepStrictEqual(yield* execution.result, { _tag: "Written", file })
        yield* human.assertComplete
      }).pipe(Effect.provide(services))

      const before = yield* text
      const wrong = yield* main([...paths, "--yes", "--out", out, "--journal", file])
      assert.strictEqual(wrong.status, 1)
      assert.include(wrong.stderr, `Cannot keep the run in ${file} (`)
      assert.strictEqual(yield* text, before)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
