/**
 * What tests of workflows need: a scripted model and person, injected faults, and the contracts of engines, stores and
 * channels as checks that any implementation can run.
 */
export * as ScriptedModel from "./ScriptedModel.ts"
