// Random bodies with branches, races, timeouts and retries, killed at random writes: a replay goes where the body went.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random, Schema } from "effect"
import { Engine, Step, Workflow } from "effect-baton"
import { live, temporaryFile } from "../../src/engines/durable/crash.ts"
import { Durable } from "../../src/engines/durable/layer.ts"

/** Numbers from 0 to 1 that are the same for the same seed. */
const numbers = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

class No extends Schema.TaggedError<No>()("No", { at: Schema.String }) {}

type Body = Effect.Effect<string, No, any>

/** A body of random shape; what it does depends on nothing but the results of its steps, and who wins its races. */
const bodyOf = (seed: number): Body => {
  const next = numbers(seed)
  const upTo = (n: number) => Math.floor(next() * n)
  let names = 0
  /** How long a step takes differs from life to life, as it does in the world. */
  const pause = (): Effect.Effect<unknown> => {
    const kind = upTo(3)
    if (kind === 0) return Effect.void
    if (kind === 1) return Effect.yieldNow
    return Effect.flatMap(Random.nextIntBetween(0, 4), (millis) => Effect.sleep(millis))
  }
  const step = (): Body => {
    const name = `s${++names}`
    const fails = upTo(6) === 0
    const run = Effect.andThen(pause(), fails ? Effect.fail(new No({ at: name })) : Effect.succeed(name))
    const made = Step.make(name, { run, error: No }) as Body
    return upTo(8) === 0 ? Effect.uninterruptible(made) : made
  }
  const make = (depth: number): Body => {
    const kind = depth === 0 ? 0 : upTo(9)
    const some = (n: number) => Array.from({ length: n }, () => make(depth - 1))
    switch (kind) {
      case 0:
        return step()
      case 1:
        return Effect.map(Effect.all(some(2 + upTo(3))), (all) => all.join("+"))
      case 2: {
        const bodies = some(2 + upTo(3))
        return Effect.map(Effect.all(bodies, { concurrency: upTo(2) === 0 ? "unbounded" : 2 }), (all) => all.join("|"))
      }
      case 3:
      case 4: {
        // Who wins decides what comes next.
        const bodies = some(2).map((body, i) => Effect.as(Effect.exit(body), i))
        const after = [step(), step()]
        return Effect.flatMap(Effect.raceFirst(bodies[0], bodies[1]), (i) => after[i])
      }
      case 5: {
        const [body] = some(1)
        const late = step()
        const millis = 1 + upTo(6)
        return Effect.timeoutOrElse(body, { duration: millis, orElse: () => late })
      }
      case 6: {
        const [body] = some(1)
        const caught = step()
        return Effect.catch(body, () => caught)
      }
      case 7: {
        const [body] = some(1)
        const undo = Effect.ignore(step())
        return Effect.onInterrupt(body, () => undo)
      }
      default: {
        const [body] = some(1)
        return Workflow.make(`w${++names}`, { error: No, run: () => body as Effect.Effect<string, No> }).call(
          ""
        ) as Body
      }
    }
  }
  const bodies = [make(3), make(3), step()]
  return Effect.map(Effect.all(bodies.map((body) => Effect.exit(body))), (exits) =>
    exits.map((exit) => (exit._tag === "Success" ? exit.value : "no")).join(" ")
  )
}

interface Life {
  readonly outcome: string
  readonly held: string | undefined
  readonly paths: ReadonlyArray<string>
}

const lives = (seed: number) =>
  Effect.gen(function* () {
    const filename = yield* temporaryFile
    const next = numbers(seed * 7919 + 1)
    const workflow = Workflow.make("random", {
      run: () => Effect.catch(bodyOf(seed), () => Effect.succeed("no")) as Effect.Effect<string>
    })
    for (let n = 0; ; n++) {
      const at = n < 4 ? 1 + Math.floor(next() * 12) : Number.POSITIVE_INFINITY
      const where = next() < 0.5 ? ("before" as const) : ("after" as const)
      const { result } = yield* live(
        filename,
        { idle: "1 hour", grace: "10 millis", maxCrashes: 100 },
        (write) => (write === at ? where : undefined),
        Effect.gen(function* () {
          const engine = yield* Durable
          const execution = yield* (yield* workflow.run("", { id: "r" })).start
          const held = Effect.gen(function* () {
            for (;;) {
              const [summary] = yield* Engine.list()
              if (summary?.held !== undefined) return summary.held.message
              yield* Effect.sleep("20 millis")
            }
          })
          const ended = Effect.raceFirst(
            Effect.map(execution.result, (outcome) => ({ outcome, held: undefined as string | undefined })),
            Effect.map(held, (held) => ({ outcome: "", held: held as string | undefined }))
          )
          const { held: mismatch, outcome } = yield* ended
          const rows = yield* engine.query<{ line: string }>(
            `SELECT sequence || ' ' || tag || ' ' || path || ' ' || coalesce(result, '') AS line FROM baton_events WHERE tag LIKE 'Step%' ORDER BY sequence`
          )
          return { outcome, held: mismatch, paths: rows.map((row) => row.line) } satisfies Life
        })
      )
      if (result !== undefined) return { ...result, lives: n + 1 }
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: "5 seconds",
      orElse: () => Effect.succeed({ outcome: "", held: "it stands still", paths: [], lives: 1 })
    }),
    Effect.scoped
  )

const runs = Number(process.env["BATON_RANDOM_BODIES"] ?? 150)
const from = Number(process.env["BATON_RANDOM_FROM"] ?? 1)

describe("random bodies, killed at random writes", () => {
  it.live(
    `go on without a mismatch, and where they went before (S1, S2, T1)`,
    () =>
      Effect.gen(function* () {
        let crashes = 0
        const held: Array<string> = []
        yield* Effect.forEach(
          Array.from({ length: runs }, (_, i) => from + i),
          (seed) =>
            Effect.map(lives(seed), (life) => {
              crashes += life.lives - 1
              if (life.held !== undefined) held.push(`${seed}: ${life.held}\n${life.paths.join("\n")}`)
            }),
          { concurrency: 4 }
        )
        assert.deepStrictEqual(held, [])
        assert.isAtLeast(crashes, runs)
      }),
    600_000
  )
})
