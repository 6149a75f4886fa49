/**
 * Routing: classify the input, then hand it to the workflow that is made for it.
 *
 * `classify` is a step; the workflow it chose runs in the scope `route/<key>`, where its own steps stand:
 * `classify`, `route/billing/look up`, `route/billing/reply`. Progress is 1 of 2 once the route is known, 2 of 2 once its
 * workflow has ended.
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { BudgetExceeded } from "../Budget.ts"
import type { Current } from "../internal/frame.ts"
import type { RunError } from "../RunError.ts"
import * as Models from "../services/Models.ts"
import * as Workflow from "../Workflow.ts"
import type { Declares, Definition, Nothing, Own, Text } from "./definition.ts"
import { invalid, part, phase, report } from "./phase.ts"
import { shown } from "./prompt.ts"

/** What tells a classifier when to take a route. */
export interface RouteInfo {
  /** What the route does. */
  readonly description: string
  /** When to take it. */
  readonly whenToUse: string
  /** Inputs that belong to it. Default: none. */
  readonly examples?: ReadonlyArray<string> | undefined
}

/** A workflow that inputs can go to. */
export interface Route {
  readonly workflow: Workflow.Any
  readonly route: RouteInfo
  /** Takes what the classifier gives an unknown key to. Default: false. */
  readonly markAsDefault?: boolean | undefined
}

/** The routes of a routing workflow, by key. */
export type Routes = Readonly<Record<string, Route>>

/**
 * The classifier gave a key that no route has, and no route is the default.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { Routing } from "effect-baton"
 *
 * new Routing.RouteNotFound({ key: "refunds", known: ["billing", "support"] }).message // => 'No route "refunds"; the known ones are: billing, support. Correct `classify`, or mark a route as the default'
 * ```
 */
export class RouteNotFound extends Schema.TaggedError<RouteNotFound>("effect-baton/Routing/RouteNotFound")(
  "RouteNotFound",
  { key: Schema.String, known: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return `No route "${this.key}"; the known ones are: ${this.known.join(", ")}. Correct \`classify\`, or mark a route as the default`
  }
}

type Chosen<R extends Routes> = R[keyof R]["workflow"]

type Defaults<R extends Routes> = {
  [Key in keyof R]: R[Key] extends { readonly markAsDefault: true } ? Key : never
}[keyof R]

/** What a key fails with: nothing where it is a route's, or where there is a default. */
export type NotFound<R extends Routes, K> = [Defaults<R>] extends [never]
  ? [K] extends [keyof R]
    ? never
    : RouteNotFound
  : never

/** What a routing workflow fails with: `K` is what its classifier gives, `E` what that fails with. */
export type Failure<R extends Routes, K, Error, E> = Error | Own<E> | Workflow.Error<Chosen<R>> | NotFound<R, K>

/** What makes a routing workflow. */
export interface Options<
  R extends Routes,
  In extends Workflow.Boundary<any>,
  Out extends Workflow.Boundary<any>,
  Err extends Workflow.Boundary<any>,
  K,
  E,
  S
> extends Definition<In, Out, Err, Failure<R, K, Err["Type"], E>> {
  /** The workflows to choose from; each takes the input. The output schema is the union of theirs, unless given. */
  readonly workflows: R
  /** Gives the key of a route. Default: a language model chooses by the descriptions of the routes. */
  readonly classify?: ((input: In["Type"]) => Effect.Effect<K, E, S>) | undefined
  /** Id of the model that the default `classify` asks. Default: the `LanguageModel` in the context. */
  readonly model?: string | undefined
}

/** Asks for workflows that take the input, and give the output. */
type Fits<R extends Routes, Input, Output> = {
  readonly workflows: {
    readonly [K in keyof R]: [Input, Workflow.Output<R[K]["workflow"]>] extends [
      Workflow.Input<R[K]["workflow"]>,
      Output
    ]
      ? unknown
      : { readonly workflow: Workflow.Workflow<Input, Output, any, any> }
  }
}

/** A routing workflow, and its phases. */
export interface Routing<R extends Routes, Input, Output, Error, K, E, S>
  extends Workflow.Workflow<
    Input,
    Output,
    Failure<R, K, Error, E>,
    Exclude<S | Workflow.Services<Chosen<R>>, Workflow.Provided>
  > {
  /** Gives the key of the route for an input; works outside of an execution too. */
  readonly classify: (input: Input) => Effect.Effect<K, E | BudgetExceeded, S>
  /** Hands an input to the route of a key, or to the default one. */
  readonly route: <Key extends string>(
    key: Key,
    input: Input
  ) => Effect.Effect<
    Output,
    Workflow.Error<Chosen<R>> | NotFound<R, Key> | RunError,
    Workflow.Services<Chosen<R>> | Current
  >
}

/** Asks a language model for the key of a route. */
const classifier = (options: Options<any, any, any, any, any, any, any>, fallback: string | undefined) => {
  const routes: Routes = options.workflows
  const schema = Schema.Struct({ route: Schema.Literals(Object.keys(routes)) })
  const described = Object.entries(routes).map(([key, { route }]) => {
    const examples = route.examples ?? []
    return [
      `- ${key}: ${route.description}`,
      `  When to use: ${route.whenToUse}`,
      ...(examples.length === 0 ? [] : [`  Examples: ${examples.map((each) => JSON.stringify(each)).join(", ")}`])
    ].join("\n")
  })
  const task = [
    "Choose the one route that fits the input best, and answer with its key.",
    ...(fallback === undefined ? [] : [`If none fits, choose ${fallback}.`])
  ].join(" ")
  const inputText = shown(options.input ?? Schema.String)
  const head = `${task}\n\nRoutes:\n${described.join("\n")}\n\nInput:\n`
  return (input: unknown) =>
    Effect.suspend(() =>
      Effect.map(
        Models.object({
          purpose: "classify",
          name: "route",
          prompt: head + inputText(input),
          schema,
          model: options.model
        }),
        ({ route }) => route
      )
    )
}

/**
 * Defines a routing workflow.
 *
 * **Details**
 *
 * Its output, error and services are the unions over its routes. A key that no route has goes to the default route, or
 * else fails with `RouteNotFound`, which is no error of a routing that has a default, or can give its own keys only. When
 * `classify` is left out a language model chooses, so that the workflow needs a `LanguageModel` and can fail with an
 * `AiError`. Two defaults, or no routes, are `InvalidDefinition`, thrown at once.
 *
 * **Gotchas**
 *
 * The phases belong to this value: what `Workflow.map` and its like return is a workflow without them.
 *
 * **Example** (Two departments)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Routing, Workflow } from "effect-baton"
 *
 * const billing = Workflow.make("billing", { run: (text) => Effect.succeed(`billing: ${text}`) })
 * const general = Workflow.make("general", { run: (text) => Effect.succeed(`general: ${text}`) })
 *
 * const support = Routing.make("support", {
 *   workflows: {
 *     billing: { workflow: billing, route: { description: "Invoices", whenToUse: "A question about money" } },
 *     general: {
 *       workflow: general,
 *       route: { description: "The rest", whenToUse: "Anything else" },
 *       markAsDefault: true
 *     }
 *   },
 *   classify: (text) => Effect.succeed(text.includes("invoice") ? "billing" : "unsure")
 * })
 *
 * const program = Effect.all([
 *   support.classify("my invoice"),
 *   support.execute("my invoice"),
 *   support.execute("hello")
 * ])
 *
 * await Effect.runPromise(program.pipe(Effect.provide(Engine.layerMemory))) // => ["billing", "billing: my invoice", "general: hello"]
 * ```
 *
 * Source: Anthropic, "Building effective agents", routing.
 */
export const make = <
  R extends Routes,
  In extends Workflow.Boundary<any> = Text,
  Out extends Workflow.Boundary<any> = Workflow.Boundary<Workflow.Output<Chosen<R>>>,
  Err extends Workflow.Boundary<any> = Nothing,
  K extends string = Extract<keyof R, string>,
  E = AiError.AiError,
  S = LanguageModel.LanguageModel
>(
  name: string,
  options: Options<R, In, Out, Err, K, E, S> &
    Fits<NoInfer<R>, In["Type"], Out["Type"]> &
    Declares<NoInfer<E>, Err["Type"]>
): Routing<R, In["Type"], Out["Type"], Err["Type"], K, E, S> =>
  // `make` has checked the types of the parts, which differ for each definition; from here on they are any.
  define(name, options as any) as any

const define = (name: string, options: Options<Routes, any, any, any, any, any, any>) => {
  const routes = new Map(Object.entries(options.workflows))
  const known = [...routes.keys()]
  const defaults = known.filter((key) => routes.get(key)?.markAsDefault === true)
  if (known.length === 0) throw invalid(name, "workflows", known, "Expected at least one route")
  if (defaults.length > 1) throw invalid(name, "workflows", defaults, "Expected at most one default route")
  const fallback = defaults[0]
  const choose = options.classify ?? classifier(options, fallback)

  const classify = (input: unknown) => {
    const asked = phase(
      "classify",
      Effect.suspend(() => choose(input))
    )
    return Effect.andThen(report({ current: 0, total: 2, message: "classifying" }), asked)
  }

  const route = (key: string, input: unknown) =>
    Effect.suspend((): Effect.Effect<any, any, any> => {
      const chosen = routes.has(key) ? key : fallback
      if (chosen === undefined) return Effect.fail(new RouteNotFound({ key, known }))
      const workflow = routes.get(chosen)!.workflow as Workflow.Workflow<any, any, any, any>
      return report({ current: 1, total: 2, message: chosen }).pipe(
        Effect.andThen(part("route", chosen, workflow, input)),
        Effect.tap(report({ current: 2, total: 2, message: chosen }))
      )
    })

  const workflows = [...routes.values()].map(({ workflow }) => workflow)
  const workflow = Workflow.make<any, any, any, any>(name, {
    description: options.description,
    input: options.input,
    output: options.output ?? Schema.Union(workflows.map(({ output }) => output)),
    error: Schema.Union([
      options.error ?? Schema.Never,
      ...workflows.map(({ error }) => error),
      RouteNotFound,
      AiError.AiError
    ]),
    defaults: options.defaults,
    version: options.version,
    run: (input) => Effect.flatMap(classify(input), (key) => route(key, input))
  })
  return Object.assign(workflow, { classify, route })
}
