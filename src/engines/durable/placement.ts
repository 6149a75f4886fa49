/**
 * Which process has which runs: with one process it has them all; with many `effect/cluster` says who has which shard,
 * and nothing here does.
 */

import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as EntityId from "effect/cluster/EntityId"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Runners from "effect/cluster/Runners"
import * as ShardId from "effect/cluster/ShardId"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as SqlClient from "effect/sql/SqlClient"
import * as Liveness from "./liveness.ts"

/** Which runs this process has. */
export interface Placement {
  /** Whether other processes run as well. */
  readonly isShared: boolean
  /** Whether the tree of a run at the top of it is this process's. */
  readonly owns: (rootId: string) => boolean
  /** Changes whenever what it owns does. */
  readonly version: () => string
  /** Tells whoever has a run that something is written for it, where that can be told; else they look on their own. */
  readonly tell?: ((rootId: string) => Effect.Effect<void>) | undefined
  /** Says what must end before a part of the runs is another process's. */
  readonly beforeRelease?: ((finish: (isPart: (rootId: string) => boolean) => Effect.Effect<void>) => void) | undefined
}

/** One process that runs everything. */
export const single: Placement = { isShared: false, owns: () => true, version: () => "" }

/** How runners share the work. */
export interface SharingOptions {
  /**
   * Into how many parts the runs are divided. More spread evenly over more processes, and cost more to keep: each is a
   * lock. Every process must say the same. Default: 32.
   */
  readonly shards?: number | undefined
  /**
   * After how long without a sign of life a process counts as gone. Its runs go on elsewhere then, at once when its
   * connection ends with it. Default: `"15 seconds"`.
   */
  readonly expiration?: Duration.Input | undefined
}

const group = "default"

/** The address is always said, since `effect/cluster` would take it from the environment, which means other things by it. */
export const shardingConfig = (
  address: Option.Option<RunnerAddress.RunnerAddress>,
  options: SharingOptions
): Layer.Layer<ShardingConfig.ShardingConfig> => {
  const expiration = Duration.toMillis(options.expiration ?? "15 seconds")
  return ShardingConfig.layer({
    runnerAddress: address,
    // Engines end before the shards they work on are given away.
    preemptiveShutdown: false,
    shardsPerGroup: options.shards ?? 32,
    shardLockExpiration: Duration.millis(expiration),
    shardLockRefreshInterval: Duration.millis(expiration / 5),
    // One small statement each: how long it takes until the shards of a process that is gone, or came, are given out.
    refreshAssignmentsInterval: Duration.millis(Math.min(250, expiration / 5))
  })
}

/** Locks go by the time of the database, whatever clock the executions go by. */
export const inRealTime = Layer.succeed(Clock.Clock, Clock.Clock.defaultValue())

/** What must end before a shard is given away: told by the engine, which is made after the locks. */
export class Releasing extends Context.Service<
  Releasing,
  { finish: (shard: ShardId.ShardId) => Effect.Effect<void> }
>()("effect-baton/engines/Releasing") {}

/** Who runs, and the locks of shards: one that moves from a process that lives is kept until what runs there has left. */
export const runnerStorage: Layer.Layer<
  RunnerStorage.RunnerStorage | Releasing,
  never,
  SqlClient.SqlClient | ShardingConfig.ShardingConfig
> = Layer.effect(
  RunnerStorage.RunnerStorage,
  Effect.gen(function* () {
    const storage = yield* RunnerStorage.RunnerStorage
    const releasing = yield* Releasing
    return RunnerStorage.RunnerStorage.of({
      ...storage,
      release: (address, shard) =>
        Effect.andThen(
          Effect.suspend(() => releasing.finish(shard)),
          storage.release(address, shard)
        )
    })
  })
).pipe(
  Layer.provide(Layer.orDie(SqlRunnerStorage.layerWith({ prefix: "baton_cluster" }))),
  Layer.provideMerge(Layer.sync(Releasing, () => ({ finish: () => Effect.void })))
)

/** Shards by `effect/cluster`, over locks in the database: no messages, no ports, nothing of the environment. */
export const sharding = (
  name: string,
  options: SharingOptions
): Layer.Layer<Sharding.Sharding | Releasing, never, SqlClient.SqlClient> => {
  const config = shardingConfig(Option.some(RunnerAddress.make(name, 0)), options)
  return Sharding.layer.pipe(
    Layer.provide(Runners.layerNoop),
    Layer.provide([MessageStorage.layerNoop, RunnerHealth.layerNoop, Liveness.layer(`${name}:0`, 500)]),
    Layer.provideMerge(runnerStorage),
    Layer.provide(config),
    Layer.provide(inRealTime)
  )
}

/** The placement that sharding makes. */
export const shared = (options: SharingOptions): Effect.Effect<Placement, never, Sharding.Sharding | Releasing> =>
  Effect.gen(function* () {
    const sharding = yield* Sharding.Sharding
    const releasing = yield* Releasing
    const shards = Array.from({ length: options.shards ?? 32 }, (_, i) => ShardId.make(group, i + 1))
    const shardOf = (rootId: string) => sharding.getShardId(rootId as EntityId.EntityId, group)
    return {
      isShared: true,
      owns: (rootId) => sharding.hasShardId(shardOf(rootId)),
      version: () => shards.map((shard) => (sharding.hasShardId(shard) ? "1" : "0")).join(""),
      beforeRelease: (finish) => {
        releasing.finish = (shard) => finish((rootId) => Equal.equals(shardOf(rootId), shard))
      }
    }
  })
