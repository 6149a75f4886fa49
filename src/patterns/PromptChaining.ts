/**
 * Prompt chaining: steps in a row, each made from the output of the one before, with checks in between.
 *
 * A step stands under its own name: as a step where it is a prompt or a function, as a scope where it is a workflow. The
 * gates after it are steps `gate/<name>`: `outline`, `gate/long enough`, `draft`. Progress counts the steps that are done.
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { BudgetExceeded } from "../Budget.ts"
import type { Current } from "../internal/frame.ts"
import type { RunError } from "../RunError.ts"
import * as Workflow from "../Workflow.ts"
import type { Definition, Gives, Nothing, Text } from "./definition.ts"
import { invalid, part, phase, report } from "./phase.ts"
import { answer } from "./prompt.ts"

/** A step that asks a language model: for text, or for a value of the `output` schema. */
export interface PromptStep<Name extends string, Input, Output, Kind> {
  readonly name: Name
  /** Makes the prompt of the output of the step before, or of the input of the chain. */
  readonly prompt: (input: Input) => Kind
  /** Schema of the answer. Default: `Schema.String`. */
  readonly output?: Workflow.Boundary<Output> | undefined
  /** Id of the model. Default: the `LanguageModel` in the context. */
  readonly model?: string | undefined
}

/** A step that computes. */
export interface FunctionStep<Name extends string, Input, Output, Error, R> {
  readonly name: Name
  readonly run: (input: Input) => Effect.Effect<Output, Error, R>
}

/** A step that runs a workflow. */
export interface WorkflowStep<Name extends string, Input, Output, Error, Kind, R> {
  readonly name: Name
  readonly workflow: Workflow.Workflow<Input, Output, Error, R> & { readonly [Workflow.TypeId]: Kind }
}

/**
 * A step of a chain. `Error` is what the chain's `error` schema describes, `E` what a workflow fails with. `Kind` is what
 * tells the steps apart: text for a prompt, the mark of a workflow, nothing for a function.
 */
export type Step<Error, Name extends string, Input, Output, E, Kind, R> =
  | PromptStep<Name, Input, Output, Kind>
  | FunctionStep<Name, Input, Output, Error | RunError, R>
  | WorkflowStep<Name, Input, Output, E, Kind, R>

/** What a chain knows of a step; nothing where there is none. */
export type Part<Name extends string, Input, Output, E, Kind, R> = [Name] extends [never]
  ? never
  : {
      readonly name: Name
      readonly input: Input
      readonly output: Output
      readonly error: E | ([Kind] extends [never] ? never : [Kind] extends [Mark] ? never : AiError.AiError)
      readonly services: [Unknown] extends [R] ? LanguageModel.LanguageModel : R
      readonly inside: [Kind] extends [never] ? never : [Kind] extends [Mark] ? Current : never
    }

/** What a step needs where nothing says it: a prompt needs a model. */
interface Unknown {
  readonly "~unknown": never
}

type Mark = typeof Workflow.TypeId

type AnyPart = {
  readonly name: string
  readonly input: unknown
  readonly output: unknown
  readonly error: unknown
  readonly services: unknown
  readonly inside: unknown
}

/** A check between two steps. */
export type Gate<P extends AnyPart, Input> = {
  readonly [Name in P["name"]]: {
    /** What the gate stands for, e.g. `"long enough"`. */
    readonly name: string
    /** The step whose output it checks. */
    readonly after: Name
    /** `true` lets the output pass; a text says why it does not. */
    readonly check: (output: Extract<P, { readonly name: Name }>["output"], input: Input) => boolean | string
  }
}[P["name"]]

/**
 * A gate did not let the output of a step pass; the steps after it were not run.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { PromptChaining } from "effect-baton"
 *
 * new PromptChaining.GateRejected({ gate: "long enough", step: "outline", reason: "2 of 3 points" }).message // => 'The gate "long enough" rejected the output of "outline": 2 of 3 points; improve the step, or loosen the gate'
 * ```
 */
export class GateRejected extends Schema.TaggedError<GateRejected>("effect-baton/PromptChaining/GateRejected")(
  "GateRejected",
  { gate: Schema.String, step: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `The gate "${this.gate}" rejected the output of "${this.step}": ${this.reason}; improve the step, or loosen the gate`
  }
}

/** What a chain fails with. */
export type Failure<Error, P extends AnyPart> = Error | P["error"] | GateRejected

/** A chain, and its phases. */
export interface PromptChaining<Input, Output, Error, P extends AnyPart>
  extends Workflow.Workflow<Input, Output, Failure<Error, P>, Exclude<P["services"], Workflow.Provided>> {
  /** Each step by its name, without the gates after it. */
  readonly steps: {
    readonly [K in P as K["name"]]: (
      input: K["input"]
    ) => Effect.Effect<K["output"], Error | K["error"] | RunError, K["services"] | K["inside"]>
  }
  /** Lets the output of a step through its gates; works outside of an execution too. */
  readonly check: <Name extends P["name"]>(
    step: Name,
    output: Extract<P, { readonly name: Name }>["output"],
    input: Input
  ) => Effect.Effect<void, GateRejected | BudgetExceeded>
}

/** Asks for prompts that are text. */
type Texts<Kind> = [Kind] extends [string] ? unknown : { readonly steps: "a prompt must give text" }

/**
 * Asks for an `output` schema where the last step there is gives something else. A step of which nothing is known yet
 * passes: the compiler looks at the options once before it has looked into their functions.
 */
type Ends<Steps, Output> = Steps extends readonly [readonly [infer Name, infer A, infer Kind, infer R], ...infer Before]
  ? [Name] extends [never]
    ? Ends<Before, Output>
    : [Kind, Unknown] extends [never, R]
      ? unknown
      : Gives<A, Output>
  : unknown

/**
 * Defines a chain of up to six steps; a longer one is a chain with chains as steps.
 *
 * **Details**
 *
 * A step is `{ name, prompt, output?, model? }`, which asks a language model, `{ name, run }`, a function, or
 * `{ name, workflow }`. Each takes the output of the one before; the first takes the input, the last gives the output.
 * A gate that returns `false`, or the reason as a text, fails the chain with `GateRejected`. A function may fail with
 * what the `error` schema describes. Two steps of one name, or a gate after none, are `InvalidDefinition`, thrown at once.
 *
 * **Gotchas**
 *
 * `output` defaults to text as for any workflow: where the last step gives something else, say what.
 *
 * **Example** (A checked outline)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, PromptChaining } from "effect-baton"
 *
 * const essay = PromptChaining.make("essay", {
 *   steps: [
 *     { name: "outline", run: (topic) => Effect.succeed([`what ${topic} is`, `why ${topic} matters`]) },
 *     { name: "draft", run: (points) => Effect.succeed(`First ${points.join(", then ")}.`) }
 *   ],
 *   gates: [{ name: "long enough", after: "outline", check: (points) => points.length > 1 || "one point only" }]
 * })
 *
 * await Effect.runPromise(essay.execute("tea").pipe(Effect.provide(Engine.layerMemory))) // => "First what tea is, then why tea matters."
 * ```
 *
 * Source: Anthropic, "Building effective agents", prompt chaining.
 */
export const make = <
  A1 = string,
  A2 = string,
  A3 = string,
  A4 = string,
  A5 = string,
  A6 = string,
  const N1 extends string = never,
  const N2 extends string = never,
  const N3 extends string = never,
  const N4 extends string = never,
  const N5 extends string = never,
  const N6 extends string = never,
  E1 = never,
  E2 = never,
  E3 = never,
  E4 = never,
  E5 = never,
  E6 = never,
  K1 = never,
  K2 = never,
  K3 = never,
  K4 = never,
  K5 = never,
  K6 = never,
  R1 = Unknown,
  R2 = Unknown,
  R3 = Unknown,
  R4 = Unknown,
  R5 = Unknown,
  R6 = Unknown,
  In extends Workflow.Boundary<any> = Text,
  Out extends Workflow.Boundary<any> = Text,
  Err extends Workflow.Boundary<any> = Nothing
>(
  name: string,
  options: Definition<
    In,
    Out,
    Err,
    Failure<
      Err["Type"],
      | Part<N1, In["Type"], A1, E1, K1, R1>
      | Part<N2, A1, A2, E2, K2, R2>
      | Part<N3, A2, A3, E3, K3, R3>
      | Part<N4, A3, A4, E4, K4, R4>
      | Part<N5, A4, A5, E5, K5, R5>
      | Part<N6, A5, A6, E6, K6, R6>
    >
  > & {
    /** The steps, in order. */
    readonly steps: readonly [
      Step<Err["Type"], N1, In["Type"], A1, E1, K1, R1>,
      Step<Err["Type"], N2, A1, A2, E2, K2, R2>?,
      Step<Err["Type"], N3, A2, A3, E3, K3, R3>?,
      Step<Err["Type"], N4, A3, A4, E4, K4, R4>?,
      Step<Err["Type"], N5, A4, A5, E5, K5, R5>?,
      Step<Err["Type"], N6, A5, A6, E6, K6, R6>?
    ]
    /** Checks between steps; those after one step run in order. Default: none. */
    readonly gates?:
      | ReadonlyArray<
          Gate<
            | Part<N1, In["Type"], A1, E1, K1, R1>
            | Part<N2, A1, A2, E2, K2, R2>
            | Part<N3, A2, A3, E3, K3, R3>
            | Part<N4, A3, A4, E4, K4, R4>
            | Part<N5, A4, A5, E5, K5, R5>
            | Part<N6, A5, A6, E6, K6, R6>,
            In["Type"]
          >
        >
      | undefined
  } & Ends<
      [
        [NoInfer<N6>, NoInfer<A6>, NoInfer<K6>, NoInfer<R6>],
        [NoInfer<N5>, NoInfer<A5>, NoInfer<K5>, NoInfer<R5>],
        [NoInfer<N4>, NoInfer<A4>, NoInfer<K4>, NoInfer<R4>],
        [NoInfer<N3>, NoInfer<A3>, NoInfer<K3>, NoInfer<R3>],
        [NoInfer<N2>, NoInfer<A2>, NoInfer<K2>, NoInfer<R2>],
        [NoInfer<N1>, NoInfer<A1>, NoInfer<K1>, NoInfer<R1>]
      ],
      Out["Type"]
    > &
    Texts<NoInfer<K1> | NoInfer<K2> | NoInfer<K3> | NoInfer<K4> | NoInfer<K5> | NoInfer<K6>>
): PromptChaining<
  In["Type"],
  Out["Type"],
  Err["Type"],
  | Part<N1, In["Type"], A1, E1, K1, R1>
  | Part<N2, A1, A2, E2, K2, R2>
  | Part<N3, A2, A3, E3, K3, R3>
  | Part<N4, A3, A4, E4, K4, R4>
  | Part<N5, A4, A5, E5, K5, R5>
  | Part<N6, A5, A6, E6, K6, R6>
> =>
  // `make` has checked the types of the parts, which differ for each definition; from here on they are any.
  define(name, options as any) as any

type AnyStep = Step<any, string, any, any, any, any, any>
type AnyOptions = Definition<any, any, any, any> & {
  readonly steps: ReadonlyArray<AnyStep>
  readonly gates?: ReadonlyArray<Gate<AnyPart, any>> | undefined
}

const define = (name: string, options: AnyOptions) => {
  const { gates = [], steps } = options
  const names = steps.map((step) => step.name)
  if (names.length === 0) throw invalid(name, "steps", names, "Expected at least one step")
  const twice = names.filter((each, index) => names.indexOf(each) !== index)
  if (twice.length > 0) throw invalid(name, "steps", twice, "Expected names of their own for all steps")
  const stray = gates.filter(({ after }) => !names.includes(after)).map(({ after }) => after)
  if (stray.length > 0) throw invalid(name, "gates", stray, `Expected gates after one of ${names.join(", ")}`)

  const check = (step: string, output: unknown, input: unknown): Effect.Effect<void, GateRejected | BudgetExceeded> =>
    Effect.forEach(
      gates.filter(({ after }) => after === step),
      (gate) =>
        phase(
          "gate",
          Effect.suspend(() => {
            const verdict = gate.check(output, input)
            if (verdict === true) return Effect.void
            const reason = verdict === false ? "it did not pass" : verdict
            return Effect.fail(new GateRejected({ gate: gate.name, step, reason }))
          }),
          gate.name
        ),
      { discard: true }
    )

  const total = steps.length
  const chain = (input: unknown) =>
    Effect.gen(function* () {
      let output = input
      for (const [index, step] of steps.entries()) {
        output = yield* runStep(step, output)
        yield* check(step.name, output, input)
        yield* report({ current: index + 1, total, message: step.name })
      }
      return output
    })

  const workflow = Workflow.make<any, any, any, any>(name, {
    description: options.description,
    input: options.input,
    output: options.output,
    error: Schema.Union([
      options.error ?? Schema.Never,
      ...steps.flatMap((step) => ("workflow" in step ? [step.workflow.error] : [])),
      GateRejected,
      AiError.AiError
    ]),
    defaults: options.defaults,
    version: options.version,
    run: chain
  })
  const phases = Object.fromEntries(
    steps.map((step, index) => [
      step.name,
      (input: unknown) =>
        Effect.tap(runStep(step, input), () => report({ current: index + 1, total, message: step.name }))
    ])
  )
  return Object.assign(workflow, { steps: phases, check })
}

const runStep = (step: AnyStep, input: unknown): Effect.Effect<any, any, any> => {
  if ("workflow" in step) return part(step.name, undefined, step.workflow, input)
  const run = Effect.suspend(() =>
    "run" in step
      ? step.run(input)
      : answer(step.output ?? Schema.String, {
          purpose: step.name,
          name: "answer",
          prompt: step.prompt(input),
          model: step.model
        })
  )
  return phase(step.name, run)
}
