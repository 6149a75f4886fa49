/**
 * Which process has which runs: with one process it has them all; with many `effect/cluster` says who has which shard,
 * and nothing here does.
 */

import * as Clock from "effect/Clock"
import type * as EntityId from "effect/cluster/EntityId"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as ShardId from "effect/cluster/ShardId"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
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
    refreshAssignmentsInterval: Duration.millis(Math.min(1000, expiration / 5))
  })
}

/** Locks go by the time of the database, whatever clock the executions go by. */
export const inRealTime = Layer.succeed(Clock.Clock, Clock.Clock.defaultValue())

/** Shards by `effect/cluster`, over locks in the database: no messages, no ports, nothing of the environment. */
export const sharding = (
  name: string,
  options: SharingOptions
): Layer.Layer<Sharding.Sharding, never, SqlClient.SqlClient> => {
  const config = shardingConfig(Option.some(RunnerAddress.make(name, 0)), options)
  return Sharding.layer.pipe(
    Layer.provide(Runners.layerNoop),
    Layer.provide([MessageStorage.layerNoop, RunnerHealth.layerNoop, Liveness.layer(`${name}:0`, 500)]),
    Layer.provide(Layer.orDie(SqlRunnerStorage.layerWith({ prefix: "baton_cluster" }))),
    Layer.provide(config),
    Layer.provide(inRealTime)
  )
}

/** The placement that sharding makes. */
export const shared = (options: SharingOptions): Effect.Effect<Placement, never, Sharding.Sharding> =>
  Effect.map(Sharding.Sharding, (sharding) => {
    const shards = Array.from({ length: options.shards ?? 32 }, (_, i) => ShardId.make(group, i + 1))
    return {
      isShared: true,
      owns: (rootId) => sharding.hasShardId(sharding.getShardId(rootId as EntityId.EntityId, group)),
      version: () => shards.map((shard) => (sharding.hasShardId(shard) ? "1" : "0")).join("")
    }
  })
