/**
 * What tests of workflows need: a scripted model and person, injected faults, and the contracts of engines, stores and
 * channels as checks that any implementation can run.
 */
export * as Cassette from "./Cassette.ts"
export * as Check from "./Check.ts"
export * as CrashHarness from "./CrashHarness.ts"
export * as EngineContract from "./EngineContract.ts"
export * as Faults from "./Faults.ts"
export * as HumanChannelContract from "./HumanChannelContract.ts"
export * as RunStoreContract from "./RunStoreContract.ts"
export * as ScriptedHuman from "./ScriptedHuman.ts"
export * as ScriptedModel from "./ScriptedModel.ts"
