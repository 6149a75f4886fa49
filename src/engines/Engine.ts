/**
 * Where executions live, and the places there are.
 */
export * from "../services/Engine.ts"
export { layerMemory, layerMemoryWith } from "./memory.ts"
