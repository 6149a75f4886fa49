/**
 * The durable engine in processes that also talk to each other, over the HTTP transport of `effect/cluster`: what one
 * writes for a run of another is seen at once, and not when that one looks next. Messages only say "look": all that
 * counts is in the database, so one that is lost costs the time until the next look and nothing else.
 */
import { PgClient } from "@effect/sql-pg"
import * as Entity from "effect/cluster/Entity"
import * as HttpRunner from "effect/cluster/HttpRunner"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Sharding from "effect/cluster/Sharding"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Engine } from "../../services/Engine.ts"
import type { RunStore } from "../../services/RunStore.ts"
import { checkedSharing, Durable, makeEngine, newName } from "./layer.ts"
import * as Liveness from "./liveness.ts"
import { inRealTime, type Placement, runnerStorage, shardingConfig, shared, single } from "./placement.ts"
import type { PostgresConfig } from "./postgres.ts"

/** What is needed of a process that others talk to. */
export interface ClusterConfig extends PostgresConfig {
  readonly address: { readonly host: string; readonly port: number }
  readonly path?: `/${string}` | undefined
}

/** What is needed of a process that only talks to others. */
export interface ClusterClientConfig extends Omit<PostgresConfig, "runs"> {
  readonly path?: `/${string}` | undefined
}

/** Stands at every run for whoever has it; nothing of it is stored. */
const Ear = Entity.make("baton/Ear", [Rpc.make("look")])

const defaultPath = "/baton"

/** Placement that tells the owners of runs. */
const telling = (placement: Placement): Effect.Effect<Placement, never, Sharding.Sharding> =>
  Effect.gen(function* () {
    const client = yield* (yield* Sharding.Sharding).makeClient(Ear)
    return {
      ...placement,
      tell: (rootId) =>
        Effect.suspend(() => client(rootId).look()).pipe(Effect.timeout("2 seconds"), Effect.ignoreCause)
    }
  })

const postgres = ({ maxConnections, url }: Pick<PostgresConfig, "maxConnections" | "url">) =>
  Layer.orDie(
    PgClient.layer({ url: Redacted.isRedacted(url) ? url : Redacted.make(url), maxConnections: maxConnections ?? 10 })
  )

const protocol = (path: `/${string}`) =>
  HttpRunner.layerClientProtocolHttp({ path }).pipe(
    Layer.provideMerge(RpcSerialization.layerNdjson),
    Layer.provide(FetchHttpClient.layer)
  )

export const layerCluster = ({
  address,
  maxConnections,
  path = defaultPath,
  url,
  ...settings
}: ClusterConfig): Layer.Layer<Engine | RunStore | Durable, never, HttpServer.HttpServer> => {
  const transport = HttpRouter.serve(HttpRunner.layerHttpOptions({ path }), {
    disableListenLog: true,
    disableLogger: true
  }).pipe(
    Layer.provide([
      protocol(path),
      MessageStorage.layerNoop,
      RunnerHealth.layerNoop,
      Liveness.layer(`${address.host}:${address.port}`, 500)
    ]),
    Layer.provideMerge(runnerStorage),
    Layer.provide(shardingConfig(Option.some(RunnerAddress.make(address.host, address.port)), settings)),
    Layer.provide(inRealTime)
  )
  const engine = Layer.effectContext(
    Effect.gen(function* () {
      const placement = yield* Effect.flatMap(shared(settings), telling)
      return yield* makeEngine({ ...settings, runs: true }, yield* newName, placement)
    })
  )
  const ear = Ear.toLayer(
    Effect.map(Durable, (engine) => Ear.of({ look: () => engine.signals.hear })),
    { maxIdleTime: "1 second" }
  )
  const layer = ear.pipe(
    Layer.provideMerge(engine),
    Layer.provide(transport),
    Layer.provide(postgres({ url, maxConnections }))
  )
  return checkedSharing({ ...settings, maxConnections }, layer)
}

export const layerClusterClient = ({
  maxConnections,
  path = defaultPath,
  url,
  ...settings
}: ClusterClientConfig): Layer.Layer<Engine | RunStore | Durable> => {
  const transport: Layer.Layer<Sharding.Sharding, never, SqlClient.SqlClient> = HttpRunner.layerClient.pipe(
    Layer.provide([protocol(path), MessageStorage.layerNoop, RunnerHealth.layerNoop]),
    Layer.provide(runnerStorage),
    Layer.provide(shardingConfig(Option.none(), settings)),
    Layer.provide(inRealTime)
  )
  const layer = Layer.effectContext(
    Effect.gen(function* () {
      return yield* makeEngine({ ...settings, runs: false }, yield* newName, yield* telling(single))
    })
  ).pipe(Layer.provide(transport), Layer.provide(postgres({ url, maxConnections })))
  return checkedSharing({ ...settings, maxConnections, runs: false }, layer)
}
