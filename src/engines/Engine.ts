/**
 * Where executions live, and the places there are.
 */
export * from "../services/Engine.ts"
export { type DurableOptions, layerSqlite, type SqliteOptions } from "./durable.ts"
export { layerMemory, layerMemoryWith } from "./memory.ts"
