/**
 * Schemas of errors that have had their secrets crossed out: where a secret of whatever type was, there are words.
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type { Boundary } from "../Workflow.ts"

/** How `effect` knows a schema of secrets. */
const representation = (node: object): { readonly id: unknown; readonly payload?: unknown } | undefined => {
  const { annotations } = node as { readonly annotations?: Record<string, unknown> }
  const found = annotations?.representation
  return Predicate.hasProperty(found, "id") ? (found as { readonly id: unknown }) : undefined
}

/** Whether a node of a schema's description is one of secrets. */
export const isSecret = (node: object): boolean => representation(node)?.id === "effect/schema/Redacted"

/** The schema with secrets that are words. */
export const ofMasked = (schema: Boundary<any>): Boundary<any> =>
  Schema.make(rewritten(schema.ast, new Map()) as SchemaAST.AST) as unknown as Boundary<any>

/** What is code in a node, and not a part of it. */
const opaque = new Set(["annotations", "checks", "run", "transformation"])

const rewritten = (node: unknown, known: Map<object, unknown>): unknown => {
  if (!Predicate.isObject(node) && !Array.isArray(node)) return node
  const made = known.get(node)
  if (made !== undefined) return made
  const copy = isSecret(node) ? words(node) : copied(node, known)
  known.set(node, copy)
  return copy
}

const words = (node: object): unknown => {
  const label = (representation(node)?.payload as { readonly label?: string } | null | undefined)?.label
  const { annotations, run, typeParameters } = Schema.Redacted(Schema.String, { label }).ast
  return Object.assign(Object.create(Object.getPrototypeOf(node)), node, {
    annotations,
    run,
    typeParameters,
    encoding: undefined
  })
}

const copied = (node: object, known: Map<object, unknown>): unknown => {
  if (Array.isArray(node)) {
    const parts = node.map((part) => rewritten(part, known))
    return parts.some((part, i) => part !== node[i]) ? parts : node
  }
  const ast = node as Record<string, unknown>
  const changed: Record<string, unknown> = {}
  if (ast._tag === "Suspend") {
    // It may be a part of itself.
    const { thunk } = node as SchemaAST.Suspend
    changed.thunk = () => rewritten(thunk(), known)
  } else {
    for (const [key, part] of Object.entries(ast)) {
      const copy = opaque.has(key) ? part : rewritten(part, known)
      if (copy !== part) changed[key] = copy
    }
  }
  return Object.keys(changed).length === 0
    ? node
    : Object.assign(Object.create(Object.getPrototypeOf(node)), node, changed)
}
