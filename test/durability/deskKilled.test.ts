// Real processes that are killed in the middle of an agent with tools, approvals and streams, and of model calls that the
// body makes itself. The log of the provider, another process's HTTP server to them, says what it was asked.
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Answer, openAiChat } from "../services/aiSdk/wire.ts"

// -- the provider ---------------------------------------------------------------------------------------------------

/** What was asked, by line; the answers have the number of their line in them. */
let log: Array<string> = []
/** Called before each event of a stream is sent. */
let beforeEvent: (line: number, event: number) => void = () => {}

/** Without the numbers of earlier lines, which another life has others of. */
const anonymous = (text: string): string => text.replace(/line\d+\./g, "line.").replace(/call-\d+-/g, "call-")

const answer = (line: number, messages: ReadonlyArray<any>): Answer => {
  const last = messages.at(-1)
  const text = typeof last.content === "string" ? last.content : JSON.stringify(last.content)
  const tool = (name: string, values: ReadonlyArray<unknown>) =>
    values.map((value, i) => ({ id: `call-${line}-${name}-${i}`, name, arguments: JSON.stringify(value) }))
  if (text.includes("refund me")) return { toolCalls: tool("refund", [{ euros: 8 }, { euros: 9 }]) }
  if (text.includes("Pay the bills")) return { text: `I look. line${line}.`, toolCalls: tool("look", [{ at: "desk" }]) }
  const turns = messages.filter((message) => message.role === "assistant").length
  if (messages[0].role === "system" && turns === 1) return { toolCalls: tool("pay", [{ euros: 1 }, { euros: 2 }]) }
  return { text: `Here is what you asked for, in nine words or so, line${line}.` }
}

const server = Http.createServer((request, response) => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", async () => {
    const body = JSON.parse(Buffer.concat(chunks).toString())
    const line = log.push(anonymous(JSON.stringify(body)))
    const reply = answer(line, body.messages)
    response.on("error", () => {})
    if (body.stream !== true) {
      response.writeHead(200, { "content-type": "application/json" })
      response.end(JSON.stringify(openAiChat.body(reply)))
      return
    }
    response.writeHead(200, { "content-type": "text/event-stream" })
    for (const [i, event] of openAiChat.events(reply).entries()) {
      beforeEvent(line, i)
      if (response.destroyed) return
      response.write(event)
      await sleep(1)
    }
    response.end()
  })
})

beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

// -- the lives ------------------------------------------------------------------------------------------------------

const run = (filename: string, notes: string, killAt: number, kill?: (line: number, event: number) => boolean) =>
  new Promise<string | null>((resolve, reject) => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
    const program = join(import.meta.dirname, "desk.ts")
    const child = spawn(
      process.execPath,
      ["--conditions=baton-source", program, filename, notes, url, String(killAt)],
      {
        stdio: ["ignore", "ignore", "pipe"]
      }
    )
    beforeEvent = (line, event) => {
      if (kill?.(line, event) === true) child.kill("SIGKILL")
    }
    let errors = ""
    child.stderr.on("data", (data) => (errors += data))
    child.on("error", reject)
    child.on("exit", (code, signal) =>
      code === 0 || signal === "SIGKILL" ? resolve(signal) : reject(new Error(`exit ${code}: ${errors}`))
    )
  })

const counts = (lines: ReadonlyArray<string>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const line of lines) counts[line] = (counts[line] ?? 0) + 1
  return counts
}

/** The lines whose answers are recorded: as what a model call came to, or as the result of an agent's turn. */
const recordedLines = (filename: string): ReadonlyArray<string> => {
  const db = new DatabaseSync(filename)
  try {
    const rows = db
      .prepare(
        `SELECT result FROM baton_events WHERE result IS NOT NULL AND (tag = 'ModelCalled' OR (tag IN ('StepCompleted', 'StepFailed') AND path LIKE '%/model'))`
      )
      .all()
    const lines = rows.flatMap(({ result }) => {
      const [, a, b] = /line(\d+)\.|call-(\d+)-/.exec(String(result)) ?? []
      return [Number(a ?? b)]
    })
    assert.isFalse(lines.some(Number.isNaN))
    return lines.map((line) => log[line - 1])
  } finally {
    db.close()
  }
}

interface Life {
  readonly output: string
  readonly effects: Record<string, number>
  readonly modelCalls: number
  readonly writes: number
  readonly asked: Record<string, number>
  /** What was asked before the end, and not recorded. */
  readonly lost: Record<string, number>
  readonly recorded: number
}

const live = async (killAt: number, kill?: (line: number, event: number) => boolean): Promise<Life> => {
  const folder = mkdtempSync(join(tmpdir(), "baton-durc-"))
  const [filename, notes] = [join(folder, "runs.db"), join(folder, "notes")]
  try {
    log = []
    const killed = killAt > 0 || kill !== undefined
    const signal = await run(filename, notes, killAt, kill)
    // What is written together is a matter of the moment: this life may have needed fewer writes than the one that was counted.
    if (killAt > 1 && signal === null) return await live(killAt - 1)
    assert.strictEqual(signal, killed ? "SIGKILL" : null)
    const lost = counts(log)
    const recorded = recordedLines(filename)
    for (const line of recorded) lost[line]--
    if (killed) assert.strictEqual(await run(filename, notes, 0), null)
    const lines = readFileSync(notes, "utf8").trim().split("\n")
    const noted = (what: string) => lines.find((line) => line.startsWith(what))!.slice(what.length)
    return {
      output: anonymous(noted("output: ")),
      effects: counts(lines.filter((line) => /^(look|pay|refund) /.test(line))),
      modelCalls: Number(noted("calls: ")),
      writes: Number(noted("writes: ")),
      asked: counts(log),
      lost,
      recorded: recorded.length
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

// -- the tests ------------------------------------------------------------------------------------------------------

describe("an agent with tools, approvals and streams, beside model calls of the body", () => {
  let whole: Life

  beforeAll(async () => {
    whole = await live(0)
    assert.deepStrictEqual(Object.values(whole.effects), [1, 1, 1, 1, 1])
    assert.isTrue(Object.values(whole.lost).every((n) => n === 0))
  }, 60_000)

  const check = (life: Life) => {
    assert.strictEqual(life.output, whole.output)
    assert.strictEqual(life.modelCalls, whole.modelCalls)
    // The provider was asked again for what was lost, and for nothing else.
    for (const line in whole.asked) {
      assert.strictEqual(life.asked[line], whole.asked[line] + (life.lost[line] ?? 0), line)
    }
    assert.sameMembers(Object.keys(life.asked), Object.keys(whole.asked))
    for (const effect in whole.effects) assert.include([1, 2], life.effects[effect], effect)
  }

  for (const part of [10, 25, 40, 55, 70, 85, 97]) {
    it(`asks for no recorded answer again after it was killed ${part} % through its writes (D1)`, async () => {
      const life = await live(Math.max(1, Math.round((whole.writes * part) / 100)))
      check(life)
      if (part > 90) assert.isAbove(life.recorded, 5)
    }, 60_000)
  }

  for (const [what, from] of [
    ["a stream of the body", (log: ReadonlyArray<string>) => log.at(-1)!.includes("tell a story")],
    ["a turn of the agent", (log: ReadonlyArray<string>) => log.at(-1)!.includes("desk: 3 euros")]
  ] as const) {
    it(`asks again only for what was on its way when it was killed in the middle of ${what}`, async () => {
      let struck = false
      const life = await live(0, (line, event) => {
        if (struck || event < 2 || line !== log.length || !from(log)) return false
        return (struck = true)
      })
      check(life)
      assert.isAbove(
        Object.values(life.lost).reduce((a, b) => a + b),
        0
      )
    }, 60_000)
  }
})
