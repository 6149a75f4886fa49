/**
 * Whether a delivery that is interrupted leaves its request open: a durable engine goes on with it later, or elsewhere.
 */
import * as Context from "effect/Context"

export const StaysOpen = Context.Reference<() => boolean>("effect-baton/internal/StaysOpen", {
  defaultValue: () => () => false
})
