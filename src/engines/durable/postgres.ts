/**
 * The durable engine on PostgreSQL; in a module of its own, since its client is an optional peer.
 */
import { PgClient } from "@effect/sql-pg"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Engine } from "../../services/Engine.ts"
import type { RunStore } from "../../services/RunStore.ts"
import type { Settings } from "./engine.ts"
import { checkedSharing, type Durable, layerShared } from "./layer.ts"
import type { SharingOptions } from "./placement.ts"

/** What is needed of the client. */
export interface PostgresConfig extends Settings, SharingOptions {
  readonly url: string | Redacted.Redacted
  readonly maxConnections?: number | undefined
}

export const layerPostgres = (config: PostgresConfig): Layer.Layer<Engine | RunStore | Durable> => {
  const { maxConnections, url, ...settings } = config
  const layer = Layer.provide(
    layerShared(settings),
    Layer.orDie(
      PgClient.layer({
        url: Redacted.isRedacted(url) ? url : Redacted.make(url),
        maxConnections: maxConnections ?? 10
      })
    )
  )
  return checkedSharing(config, layer)
}
