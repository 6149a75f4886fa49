import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { LanguageModel, type Prompt, type Response, Tool, Toolkit } from "effect/ai"
import { Engine } from "effect-baton"
import * as Agent from "effect-baton/Agent"
import { ScriptedModel } from "effect-baton/testing"
import { story } from "./observed.ts"

const { toolCalls, text } = ScriptedModel

const Read = Tool.make("read", { parameters: Schema.Struct({ page: Schema.Int }), success: Schema.String })
const toolkit = Toolkit.make(Read)
const handlers = toolkit.toLayer({ read: ({ page }) => Effect.succeed(`content of page ${page}`) })

/** A turn that reads a page, after which so many tokens are used. */
const read = (page: number, tokens: number) =>
  toolCalls([{ name: "read", params: { page } }], {
    when: { purpose: "turn" },
    usage: { inputTokens: tokens - 10, outputTokens: 10 }
  })

const reader = (compaction: Agent.Compaction) =>
  Agent.make("reader", { instructions: "You read.", toolkit, compaction })

const run = (script: ScriptedModel.Script, compaction: Agent.Compaction) =>
  Effect.gen(function* () {
    const model = yield* ScriptedModel.make(script)
    return yield* Effect.gen(function* () {
      const execution = yield* (yield* reader(compaction).run("Read it all")).start
      const result = yield* execution.result
      yield* model.assertComplete
      return {
        result,
        calls: yield* model.calls,
        steps: (yield* story(execution)).filter((line) => !line.includes(":"))
      }
    }).pipe(Effect.provide([Engine.layerMemory, model.layer, handlers]))
  })

const roles = (call: ScriptedModel.Call) => call.prompt.content.map((message) => message.role)

describe("compaction", () => {
  it.effect("puts a summary in the place of the older turns once the model tells of too many tokens", () =>
    Effect.gen(function* () {
      const { calls, result, steps } = yield* run(
        [
          read(1, 100),
          read(2, 300),
          read(3, 850),
          text("Pages 1 and 2 are read.", { when: { purpose: "compact" } }),
          text("All read.", { when: { purpose: "turn" } })
        ],
        { contextTokens: 1000, keepTurns: 1 }
      )
      assert.strictEqual(result, "All read.")
      assert.deepStrictEqual(steps.slice(-3), ["turn/3/tool/read/call_1", "turn/4/compact", "turn/4/model"])
      const [, , , compact, last] = calls
      assert.include(compact!.text, 'assistant called read: {"page":1}')
      assert.include(compact!.text, 'read gave: "content of page 2"')
      assert.notInclude(compact!.text, "page 3")
      assert.deepStrictEqual(roles(last!), ["system", "user", "user", "assistant", "tool"])
      assert.strictEqual(
        last!.text,
        'You read.\nRead it all\nSummary of the conversation so far:\n\nPages 1 and 2 are read.\n"content of page 3"'
      )
    })
  )

  it.effect("sums up the summary before it too", () =>
    Effect.gen(function* () {
      const { calls } = yield* run(
        [
          read(1, 100),
          read(2, 850),
          text("First summary.", { when: { purpose: "compact" } }),
          read(3, 900),
          text("Second summary.", { when: { purpose: "compact", text: "First summary." } }),
          text("All read.", { when: { purpose: "turn" } })
        ],
        { contextTokens: 1000, keepTurns: 1 }
      )
      const last = calls.at(-1)!
      assert.notInclude(last.text, "First summary.")
      assert.include(last.text, "Second summary.")
    })
  )

  it.effect("leaves a conversation alone that is short, or that has but one turn", () =>
    Effect.gen(function* () {
      const short = yield* run([read(1, 100), read(2, 790), text("Done.", { when: { purpose: "turn" } })], {
        contextTokens: 1000
      })
      assert.notInclude(short.steps.join(), "compact")
      const one = yield* run([read(1, 5000), text("Done.", { when: { purpose: "turn" } })], { contextTokens: 1000 })
      assert.notInclude(one.steps.join(), "compact")
    })
  )

  it.effect("keeps fewer turns than it should where there are no more and the limit is near", () =>
    Effect.gen(function* () {
      const { steps } = yield* run(
        [
          read(1, 500),
          read(2, 900),
          text("Page 1 is read.", { when: { purpose: "compact" } }),
          text("Done.", { when: { purpose: "turn" } })
        ],
        { contextTokens: 1000, keepTurns: 4 }
      )
      assert.include(steps, "turn/3/compact")
    })
  )

  it.effect("counts the results of tools that came since the model told its tokens", () => {
    const long = toolkit.toLayer({ read: () => Effect.succeed("x".repeat(4000)) })
    return Effect.gen(function* () {
      const model = yield* ScriptedModel.make([
        read(1, 100),
        read(2, 300),
        text("Long pages.", { when: { purpose: "compact" } }),
        text("Done.", { when: { purpose: "turn" } })
      ])
      yield* reader({ contextTokens: 1600, keepTurns: 1 })
        .execute("Read it all")
        .pipe(Effect.provide([Engine.layerMemory, model.layer, long]))
      yield* model.assertComplete
    })
  })

  it.effect("estimates the tokens where the model does not tell them", () => {
    const long = toolkit.toLayer({ read: () => Effect.succeed("x".repeat(4000)) })
    const prompts: Array<Prompt.Prompt> = []
    const silent = LanguageModel.make({
      generateText: ({ prompt }) =>
        Effect.sync((): Array<Response.PartEncoded> => {
          prompts.push(prompt)
          if (JSON.stringify(prompt).includes("Below is the older part")) return [{ type: "text", text: "Long pages." }]
          return prompts.length > 2
            ? [{ type: "text", text: "Done." }]
            : [{ type: "tool-call", id: `c${prompts.length}`, name: "read", params: { page: prompts.length } }]
        }),
      streamText: () => Stream.die("not used")
    })
    return Effect.gen(function* () {
      const result = yield* reader({ contextTokens: 2000, keepTurns: 1 })
        .execute("Read it all")
        .pipe(
          Effect.provide([Engine.layerMemory, long]),
          Effect.provideServiceEffect(LanguageModel.LanguageModel, silent)
        )
      assert.strictEqual(result, "Done.")
      assert.deepStrictEqual(
        prompts.map((prompt) => prompt.content.map((message) => message.role).join()),
        ["system,user", "system,user,assistant,tool", "user", "system,user,user,assistant,tool"]
      )
    })
  })
})
