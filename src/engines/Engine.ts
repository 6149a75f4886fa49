/**
 * Where executions live, and the places there are.
 */
export * from "../services/Engine.ts"
export {
  type ClusterClientOptions,
  type ClusterOptions,
  type DurableOptions,
  layerCluster,
  layerClusterClient,
  layerDurable,
  layerPostgres,
  layerSqlite,
  type PostgresOptions,
  type SqliteOptions
} from "./durable.ts"
export { layerMemory, layerMemoryWith, type MemoryOptions } from "./memory.ts"
