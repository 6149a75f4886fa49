import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Engine } from "effect-baton"
import { ScriptedHuman } from "effect-baton/testing"
import * as Model from "../../../examples/briefing/model.ts"
import { briefing } from "../../../examples/briefing/workflows/briefing.ts"
import { desk, main } from "./desk.ts"
import * as WriterServer from "./writerServer.ts"

const key = "not-a-key-of-any-known-form-4711"

/** The addresses of OpenAI and Anthropic lead to the server. */
const redirected = (url: string): ReadonlyArray<string> => {
  const script = `
    const { fetch } = globalThis
    const target = ${JSON.stringify(new URL(url).origin)}
    globalThis.fetch = (input, init) =>
      fetch(String(input).replace(/^https:\\/\\/api\\.(openai|anthropic)\\.com/, target), init)`
  return ["--import", `data:text/javascript,${encodeURIComponent(script)}`]
}

const services = Layer.mergeAll(Engine.layerMemory, Model.extractive).pipe(Layer.provideMerge(NodeServices.layer))

/** All of a page but who wrote it. */
const lines = (page: string) => page.split("\n").filter((line) => !line.startsWith("> "))

describe("main.ts with a provider", () => {
  const providers = [
    {
      name: "OpenAI",
      env: () => ({ OPENAI_API_KEY: key }),
      path: "/v1/responses",
      header: ["authorization", `Bearer ${key}`],
      model: "gpt-5-mini"
    },
    {
      name: "Anthropic",
      env: () => ({ ANTHROPIC_API_KEY: key }),
      path: "/v1/messages",
      header: ["x-api-key", key],
      model: "claude-haiku-4-5"
    },
    {
      name: "a server at OPENAI_BASE_URL",
      env: (url: string) => ({ OPENAI_BASE_URL: url, ANTHROPIC_API_KEY: key }),
      path: "/v1/chat/completions",
      header: ["authorization", undefined],
      model: "gpt-5-mini"
    }
  ] as const

  for (const { env, header, model, name, path } of providers) {
    it.live(`the whole brief is written by the model of ${name}, which is asked over HTTP`, () =>
      Effect.gen(function* () {
        const server = yield* WriterServer.make
        const { out, paths, text } = yield* desk
        const options = { env: env(server.url), nodeArgs: redirected(server.url) }
        const ended = yield* main([...paths, "--yes", "--out", out], options)
        assert.strictEqual(ended.status, 0, ended.stderr)
        const page = yield* text
        const host = name.startsWith("a server") ? new URL(server.url).host : name
        const byline = `Written by the language model ${model} of ${host}: check what matters.`
        assert.include(page, `> ${byline}\n`)
        assert.include(ended.stdout, byline)
        assert.isAbove(server.requests.length, 8)
        for (const request of server.requests) {
          assert.strictEqual(request.path, path)
          assert.strictEqual(request.headers[header[0]], header[1])
          assert.strictEqual(request.model, model)
        }
        assert.match(ended.stdout, new RegExp(`^briefing +done +\\d+ +${server.requests.length} `, "m"))
        assert.notInclude(`${ended.stdout}${ended.stderr}${page}`, key)

        const human = yield* ScriptedHuman.make([ScriptedHuman.approve()])
        yield* Effect.provide(briefing.execute({ paths, out }), human.layer)
        assert.deepStrictEqual(lines(page), lines(yield* text), "the same model wrote it here and there")
      }).pipe(Effect.scoped, Effect.provide(services))
    )
  }

  it.live("--model says which model is asked, and so of which provider; --price what its tokens cost", () =>
    Effect.gen(function* () {
      const server = yield* WriterServer.make
      const { out, paths } = yield* desk
      const options = {
        env: { OPENAI_API_KEY: "another-key", ANTHROPIC_API_KEY: key, OPENAI_BASE_URL: "http://localhost:1/v1" },
        nodeArgs: redirected(server.url)
      }
      const args = [...paths, "--no", "--out", out, "--model", "claude-next", "--price", "1000,2000.5"]
      const ended = yield* main(args, options)
      assert.strictEqual(ended.status, 0, ended.stderr)
      assert.deepStrictEqual(
        [...new Set(server.requests.map(({ model, path }) => `${path} ${model}`))],
        ["/v1/messages claude-next"]
      )
      // The server counts 20 tokens in and 10 out for each call.
      const calls = server.requests.length
      const cost = (calls * (20 * 1000 + 10 * 2000.5)) / 1_000_000
      assert.match(
        ended.stdout,
        new RegExp(`^briefing +done +\\d+ +${calls} +${20 * calls} +${10 * calls} +${cost.toFixed(4)} `, "m")
      )
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("a provider that is busy or broken for a moment is asked again, and nothing fails", () =>
    Effect.gen(function* () {
      const server = yield* WriterServer.make
      const { out, paths } = yield* desk
      server.refuse(
        { status: 429, message: "Slow down", headers: { "retry-after": "0" } },
        { status: 503, message: "Overloaded" }
      )
      const ended = yield* main([...paths, "--yes", "--out", out], { env: { OPENAI_BASE_URL: server.url } })
      assert.strictEqual(ended.status, 0, ended.stderr)
      assert.notInclude(ended.stdout, "failed")
      const prompts = server.requests.map(({ prompt }) => prompt)
      assert.strictEqual(prompts.length, new Set(prompts).size + 2)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("a key that is refused ends it at once, and is not shown although the provider repeats it", () =>
    Effect.gen(function* () {
      const server = yield* WriterServer.make
      const { exists, out, paths } = yield* desk
      const refusal = { status: 401, message: `Incorrect key provided: ${key}.` }
      server.refuse(refusal, refusal, refusal)
      const env = { OPENAI_BASE_URL: server.url, OPENAI_API_KEY: key }
      const ended = yield* main([...paths, "--yes", "--out", out, "--durable"], { env })
      assert.strictEqual(ended.status, 1)
      assert.include(ended.stderr, "does not accept the key: set OPENAI_API_KEY to one that it knows")
      assert.include(ended.stderr, "Incorrect key provided: [redacted].")
      assert.notInclude(`${ended.stdout}${ended.stderr}`, key)
      assert.isAtMost(server.requests.length, 3)
      assert.isFalse(yield* exists)
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("what can not be used is said before anything is read", () =>
    Effect.gen(function* () {
      const wrong = [
        [["--model", "gpt-5"], {}, 'No provider to ask for the model "gpt-5"'],
        [["--price", "1"], { OPENAI_API_KEY: key }, "--price"],
        [[], { OPENAI_API_KEY: `${key}é` }, "OPENAI_API_KEY has characters that no key has"],
        [[], { OPENAI_BASE_URL: `http://me:${key}@localhost/v1` }, "OPENAI_BASE_URL must be an address"]
      ] as const
      for (const [args, env, problem] of wrong) {
        const ended = yield* main(["README.md", "--no", ...args], { env })
        assert.strictEqual(ended.status, 2, problem)
        assert.include(ended.stderr, problem)
        assert.notInclude(`${ended.stdout}${ended.stderr}`, key)
      }
    })
  )
})
