// Settings of engines that make no sense are refused where the engine is made.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Duration, Effect, Exit, Layer, Option } from "effect"
import { ShardingConfig } from "effect/cluster"
import { Engine } from "effect-baton"
import { Durable, layerSqlite } from "../../src/engines/durable/layer.ts"
import { shardingConfig } from "../../src/engines/durable/placement.ts"

const problemOf = <E>(layer: Layer.Layer<Engine.Engine, E>) =>
  Effect.map(Effect.exit(Effect.scoped(Layer.build(layer))), (exit) =>
    Exit.isFailure(exit) ? String((Cause.squash(exit.cause) as Error).message) : "none"
  )

const sqlite = (settings: Omit<Engine.SqliteOptions, "filename">) =>
  Engine.layerSqlite({ filename: ":memory:", ...settings })

describe("settings of an engine that make no sense are refused, with field, value and what to do", () => {
  const cases = {
    'Invalid definition of the memory engine at "keepSettled": Expected a whole number, 0 or more, found -1; correct the option':
      Engine.layerMemoryWith({ keepSettled: -1 }),
    'Invalid definition of the memory engine at "keepEvents": Expected a whole number, 1 or more, found 0; correct the option':
      Engine.layerMemoryWith({ keepEvents: 0 }),
    'Invalid definition of a durable engine at "maxCrashes": Expected a whole number, 0 or more, found -2; correct the option':
      sqlite({ maxCrashes: -2 }),
    'Invalid definition of a durable engine at "idle": Expected a duration that is not negative, such as "30 seconds" or 500 (milliseconds), found -5; correct the option':
      sqlite({ idle: -5 }),
    'Invalid definition of a durable engine at "synchronous": Expected "off" | "normal" | "full", found "ful"; correct the option':
      sqlite({ synchronous: "ful" as "full" }),
    'Invalid definition of a durable engine at "shards": Expected a whole number, 1 or more, found 0; correct the option':
      Engine.layerPostgres({ url: "", shards: 0 }),
    'Invalid definition of a durable engine at "maxConnections": Expected a whole number, 3 or more, found 2; correct the option':
      Engine.layerPostgres({ url: "", maxConnections: 2 }),
    'Invalid definition of a durable engine at "maxConnections": Expected a whole number, 1 or more, found 0; correct the option':
      Engine.layerClusterClient({ url: "", maxConnections: 0 }),
    'Invalid definition of a durable engine at "expiration": Expected a duration of a second or more, found 10; correct the option':
      Engine.layerPostgres({ url: "", expiration: 10 })
  }
  for (const [message, layer] of Object.entries(cases)) {
    it.effect(message, () => Effect.map(problemOf(layer), (problem) => assert.strictEqual(problem, message)))
  }
})

describe("the settings of a durable engine", () => {
  const root = join(import.meta.dirname, "../..")
  /** Names and defaults, as the comments of the options say them. */
  const inComments = new Map(
    [
      ...readFileSync(join(root, "src/engines/durable.ts"), "utf8").matchAll(
        /Default:\s+(?:\*\s+)?`?"?([^`"\s.][^`".]*)"?`?\.[\s*/]+readonly (\w+)\?/g
      )
    ].map(([, value, name]) => [name!, value!])
  )

  it("are listed in DESIGN.md with the defaults that their comments say", () => {
    const rows = /^\| setting \|[\s\S]*?\n\n/m
      .exec(readFileSync(join(root, "DESIGN.md"), "utf8"))![0]
      .matchAll(/^\| `(\w+)`[^|]*\| ([^|]+) \| [^|]{10,} \|$/gm)
    const table = new Map([...rows].map(([, name, value]) => [name!, value!.trim()]))
    const said = [...inComments].map(([name, value]) => [name, value.replace("100 millis", "100 ms")])
    assert.isAtLeast(said.length, 9)
    assert.deepStrictEqual(Object.fromEntries(said), Object.fromEntries(table))
  })

  it.live("have the defaults that their comments say", () =>
    Effect.gen(function* () {
      const engine = Context.get(yield* Layer.build(layerSqlite({ filename: ":memory:" })), Durable)
      const [{ synchronous }] = yield* engine.query<{ synchronous: number }>("PRAGMA synchronous")
      const cluster = Context.get(yield* Layer.build(shardingConfig(Option.none(), {})), ShardingConfig.ShardingConfig)
      const millis = (name: string) => Duration.toMillis(inComments.get(name) as Duration.Input)
      assert.deepStrictEqual(
        {
          idle: engine.idleMillis,
          pollInterval: engine.pollMillis,
          maxCrashes: String(engine.maxCrashes),
          runs: String(engine.runs),
          synchronous: ["off", "normal", "full"][synchronous],
          shards: String(cluster.shardsPerGroup),
          expiration: Duration.toMillis(cluster.shardLockExpiration)
        },
        {
          idle: millis("idle"),
          pollInterval: millis("pollInterval"),
          maxCrashes: inComments.get("maxCrashes"),
          runs: inComments.get("runs"),
          synchronous: inComments.get("synchronous"),
          shards: inComments.get("shards"),
          expiration: millis("expiration")
        }
      )
    }).pipe(Effect.scoped)
  )
})
