/**
 * Records and events of runs, and the places they are kept in.
 */
export * from "../services/RunStore.ts"
export { layer as layerSql } from "./SqlRunStore.ts"
