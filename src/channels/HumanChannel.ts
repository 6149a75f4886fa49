/**
 * How a person is reached, and the ways there are.
 */
export * from "../services/HumanChannel.ts"
export { type ConsoleOptions, layerConsole, layerConsoleWith, makeConsole } from "./console.ts"
