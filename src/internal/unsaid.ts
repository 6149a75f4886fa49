/**
 * What a schema stands for that a definition leaves out. The names of the three `Give...` are for the compiler's messages:
 * nothing is one of them, so that they stand in a type without a change to what fits it.
 */
import type * as Schema from "effect/Schema"

declare const unsaid: unique symbol

/** The schema of an input or output that is left out. */
export interface Text extends Schema.String {
  readonly [unsaid]: true
}

/** The schema of errors that is left out. */
export interface Nothing extends Schema.Never {
  readonly [unsaid]: true
}

interface GiveInputASchema {
  readonly [unsaid]: never
}

interface GiveOutputASchema {
  readonly [unsaid]: never
}

interface GiveErrorASchema {
  readonly [unsaid]: never
}

/** Beside a function that takes the input. */
export type InputHint<In> = In extends Text ? GiveInputASchema : never

/** Beside the output of a function. */
export type OutputHint<Out> = Out extends Text ? GiveOutputASchema : never

/** Beside the errors of a function. */
export type ErrorHint<Err> = Err extends Nothing ? GiveErrorASchema : never
