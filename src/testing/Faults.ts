/**
 * Faults for tests: steps and services that fail, die, hang or take long when a test says so, without a change to the
 * workflow.
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type { Frame } from "../internal/frame.ts"
import { Interceptor } from "../internal/intercept.ts"
import { show } from "../internal/schema.ts"
import { ScriptNotFollowed, shorten } from "./script.ts"

export { ScriptNotFollowed }

/** Where a fault can strike: a try of a step, or a call of a service. */
export interface Place {
  /** The step's path; for a service its name and the method, such as `"Payments.charge"`. */
  readonly path: string
  /** Name of the workflow; empty for a call of a service. */
  readonly workflow: string
  readonly executionId: string
  /** The attempt of the run, from 1; 0 for a call of a service. */
  readonly attempt: number
}

/**
 * Which places a fault is for. Text is a path, or the last segments of one: `"charge"` stands for `charge`,
 * `order/charge` and `charge#2`.
 */
export type Matcher =
  | string
  | RegExp
  | { readonly path?: string | RegExp | undefined; readonly workflow?: string | undefined }
  | ((place: Place) => boolean)

/** When a fault strikes. */
export interface FaultOptions {
  /** Where. Default: everywhere. */
  readonly at?: Matcher | undefined
  /** The first use it strikes, counted over all matching places. Default: 1. */
  readonly nth?: number | undefined
  /** How many uses from there on; `Infinity` for all. Default: 1. */
  readonly times?: number | undefined
}

/** A fault: what happens, where and when. */
export interface Fault {
  readonly title: string
  readonly at: Matcher | undefined
  readonly nth: number
  readonly times: number
  readonly strike: (run: Effect.Effect<any, any, any>) => Effect.Effect<any, any, any>
}

/** A fault that struck. */
export interface Injected {
  readonly fault: string
  readonly place: Place
}

/** Faults, ready to be injected. */
export interface Faults {
  /** Injects them into the steps of executions that are started where it is provided, and of their children. */
  readonly layer: Layer.Layer<never>
  /** Injects them into the calls of a service: provide it between the service and the program. */
  readonly service: <Id, S extends object>(key: Context.Key<Id, S>, name?: string) => Layer.Layer<Id, never, Id>
  /** What was injected so far, oldest first. */
  readonly injected: Effect.Effect<ReadonlyArray<Injected>>
  /** Fails unless every fault struck as often as it should. */
  readonly assertComplete: Effect.Effect<void, ScriptNotFollowed>
}

const fault = (title: string, options: FaultOptions | undefined, strike: Fault["strike"]): Fault => ({
  title: shorten(title),
  at: options?.at,
  nth: options?.nth ?? 1,
  times: options?.times ?? 1,
  strike
})

/**
 * Fails instead of doing the work.
 *
 * **Gotchas**
 *
 * The error is not checked against what the step can fail with: one that the workflow does not declare is a defect of it.
 *
 * **Example** (The second step of a name fails)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 * import { Faults } from "effect-baton/testing"
 *
 * const charge = Workflow.make("charge", {
 *   error: Schema.String,
 *   run: () => Effect.as(Effect.repeat(Step.make("pay", { run: Effect.succeed("paid") }), { times: 1 }), "all paid")
 * })
 * const program = Effect.gen(function*() {
 *   const faults = yield* Faults.make([Faults.fail("card declined", { at: "pay", nth: 2 })])
 *   return yield* charge.execute("").pipe(Effect.flip, Effect.provide([Engine.layerMemory, faults.layer]))
 * })
 *
 * await Effect.runPromise(program) // => "card declined"
 * ```
 */
export const fail = (error: unknown, options?: FaultOptions): Fault =>
  fault(`failure ${show(error)}`, options, () => Effect.fail(error))

/**
 * Dies instead of doing the work.
 *
 * **Example** (A bug)
 *
 * ```ts
 * import { Faults } from "effect-baton/testing"
 *
 * Faults.die("boom", { at: "pay" }).title // => 'defect "boom"'
 * ```
 */
export const die = (defect: unknown, options?: FaultOptions): Fault =>
  fault(`defect ${show(defect)}`, options, () => Effect.die(defect))

/**
 * Never ends instead of doing the work; it can be interrupted.
 *
 * **Example** (A timeout)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 * import { Faults } from "effect-baton/testing"
 *
 * const fetch = Workflow.make("fetch", {
 *   run: () => Step.make("get", { run: Effect.succeed("page"), timeout: "10 millis" }).pipe(
 *     Effect.catchTag("StepTimedOut", (error) => Effect.succeed(`${error.path} timed out`))
 *   )
 * })
 * const program = Effect.gen(function*() {
 *   const faults = yield* Faults.make([Faults.hang({ at: "get" })])
 *   return yield* fetch.execute("").pipe(Effect.provide([Engine.layerMemory, faults.layer]))
 * })
 *
 * await Effect.runPromise(program) // => "get timed out"
 * ```
 */
export const hang = (options?: FaultOptions): Fault => fault("hang", options, () => Effect.never)

/**
 * Does the work later.
 *
 * **Example** (A slow step)
 *
 * ```ts
 * import { Faults } from "effect-baton/testing"
 *
 * Faults.delay("1 second", { at: /^fetch/, times: Infinity }).title // => "delay"
 * ```
 */
export const delay = (duration: Duration.Input, options?: FaultOptions): Fault =>
  fault("delay", options, (run) => Effect.delay(run, duration))

/**
 * Does the work, and fails all the same: what happens when an answer gets lost.
 *
 * **Example** (Charged twice)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 * import { Faults } from "effect-baton/testing"
 *
 * let charged = 0
 * const order = Workflow.make("order", {
 *   error: Schema.String,
 *   run: () => Step.make("charge", {
 *     retry: { attempts: 1, delay: 0 },
 *     run: Effect.sync(() => `charged ${++charged} times`)
 *   })
 * })
 * const program = Effect.gen(function*() {
 *   const faults = yield* Faults.make([Faults.failAfter("connection lost", { at: "charge" })])
 *   return yield* order.execute("").pipe(Effect.provide([Engine.layerMemory, faults.layer]))
 * })
 *
 * await Effect.runPromise(program) // => "charged 2 times"
 * ```
 */
export const failAfter = (error: unknown, options?: FaultOptions): Fault =>
  fault(`failure ${show(error)} after the work`, options, (run) => Effect.andThen(run, Effect.fail(error)))

const withoutNumbers = (path: string): string => path.replaceAll(/#\d+(?=\/|$)/g, "")

const matchesPath = (matcher: string | RegExp, path: string): boolean => {
  if (!Predicate.isString(matcher)) return new RegExp(matcher.source, matcher.flags).test(path)
  return [path, withoutNumbers(path)].some((p) => p === matcher || p.endsWith(`/${matcher}`))
}

const matches = (at: Matcher | undefined, place: Place): boolean => {
  if (at === undefined) return true
  if (Predicate.isFunction(at)) return at(place)
  if (Predicate.isString(at) || at instanceof RegExp) return matchesPath(at, place.path)
  return (
    (at.path === undefined || matchesPath(at.path, place.path)) &&
    (at.workflow === undefined || at.workflow === place.workflow)
  )
}

const toPlace = (frame: Frame): Place => ({
  path: frame.path,
  workflow: frame.execution.workflow,
  executionId: frame.execution.id,
  attempt: frame.execution.attempt
})

/**
 * Makes faults that can be injected.
 *
 * **Details**
 *
 * Every try of a step is a use of its place, also those of the step's own retry; every fault counts its own uses. Where
 * several strike at once, the first one of the list is outermost. Steps whose result is reused do not run and are not
 * counted. The state is this effect's: make new faults for each test.
 *
 * **Example** (A step that recovers)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Engine, Step, Workflow } from "effect-baton"
 * import { Faults } from "effect-baton/testing"
 *
 * const order = Workflow.make("order", {
 *   error: Schema.String,
 *   run: (item) => Step.make("charge", { retry: { attempts: 2, delay: 0 }, run: Effect.succeed(`charged for ${item}`) })
 * })
 * const program = Effect.gen(function*() {
 *   const faults = yield* Faults.make([Faults.fail("connection lost", { at: "charge", times: 2 })])
 *   const result = yield* order.execute("tea").pipe(Effect.provide([Engine.layerMemory, faults.layer]))
 *   yield* faults.assertComplete
 *   return result
 * })
 *
 * await Effect.runPromise(program) // => "charged for tea"
 * ```
 *
 * **Example** (A service that fails once)
 *
 * ```ts
 * import { Context, Effect, Layer } from "effect"
 * import { Faults } from "effect-baton/testing"
 *
 * class Mail extends Context.Service<Mail, { readonly send: (to: string) => Effect.Effect<string, string> }>()("Mail") {}
 * const layer = Layer.succeed(Mail, { send: (to) => Effect.succeed(`sent to ${to}`) })
 *
 * const program = Effect.gen(function*() {
 *   const faults = yield* Faults.make([Faults.fail("no route", { at: "Mail.send" })])
 *   const send = Effect.flatMap(Mail, (mail) => mail.send("ada"))
 *   return yield* send.pipe(
 *     Effect.catch((error) => Effect.map(send, (sent) => [error, sent])),
 *     Effect.provide(Layer.provide(faults.service(Mail), layer))
 *   )
 * })
 *
 * await Effect.runPromise(program) // => ["no route", "sent to ada"]
 * ```
 */
export const make = (faults: ReadonlyArray<Fault>): Effect.Effect<Faults> =>
  Effect.sync(() => {
    const states = faults.map((fault, i) => ({ fault, position: i + 1, uses: 0, struck: 0 }))
    const injected: Array<Injected> = []

    const inject = (run: Effect.Effect<any, any, any>, toPlace: () => Place): Effect.Effect<any, any, any> =>
      Effect.suspend(() => {
        const place = toPlace()
        const striking = states.filter((state) => {
          if (!matches(state.fault.at, place)) return false
          const n = ++state.uses - state.fault.nth
          return n >= 0 && n < state.fault.times
        })
        for (const state of striking) {
          state.struck++
          injected.push({ fault: state.fault.title, place })
        }
        return striking.reduceRight((inner, { fault }) => fault.strike(inner), run)
      })

    const interceptor: Interceptor = (run, frame) => inject(run, () => toPlace(frame))

    const service = <Id, S extends object>(key: Context.Key<Id, S>, name = key.key.split("/").at(-1)!) =>
      Layer.effect(
        key,
        Effect.map(
          key,
          (service): S =>
            new Proxy(service, {
              get: (target, property) => {
                const value = Reflect.get(target, property)
                const place = () => ({ path: `${name}.${String(property)}`, workflow: "", executionId: "", attempt: 0 })
                const faulty = (result: unknown) =>
                  Effect.isEffect(result) ? inject(result as Effect.Effect<unknown, unknown, any>, place) : result
                return Predicate.isFunction(value) && !Effect.isEffect(value)
                  ? (...args: ReadonlyArray<unknown>) => faulty(Reflect.apply(value, target, args))
                  : faulty(value)
              }
            })
        )
      )

    return {
      layer: Layer.succeed(Interceptor, interceptor),
      service,
      injected: Effect.sync(() => injected.slice()),
      assertComplete: Effect.suspend(() => {
        const missing = states.filter(({ fault, struck }) => struck < (Number.isFinite(fault.times) ? fault.times : 1))
        return missing.length === 0
          ? Effect.void
          : Effect.fail(
              new ScriptNotFollowed({
                of: "faults",
                unused: missing.map(({ fault, position, struck, uses }) => {
                  const often = `${uses} uses of its place, struck ${struck} of ${fault.times} times from use ${fault.nth} on`
                  return `${position}: ${fault.title} (${often})`
                }),
                unexpected: []
              })
            )
      })
    }
  })
