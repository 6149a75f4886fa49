/**
 * What bodies run with: the context of whoever starts them, with loggers captured and models wrapped.
 */
import * as Context from "effect/Context"
import * as References from "effect/References"
import { capture } from "../internal/logging.ts"
import { instrumentServices } from "../services/ModelServices.ts"

/** Prepares contexts for bodies, once each. */
export class BodyContexts {
  private readonly prepared = new WeakMap<Context.Context<never>, Context.Context<never>>()

  prepare(context: Context.Context<never>): Context.Context<never> {
    const known = this.prepared.get(context)
    if (known !== undefined) return known
    const services = new Map(context.mapUnsafe)
    services.set(References.CurrentLoggers.key, capture(Context.get(context, References.CurrentLoggers)))
    instrumentServices(services)
    const prepared = Context.makeUnsafe<never>(services)
    this.prepared.set(context, prepared)
    return prepared
  }
}
