import { describe, it } from "@effect/vitest"
import { Layer } from "effect"
import { RunStoreContract } from "effect-baton/testing"
import * as NodeSqlite from "../../src/stores/NodeSqlite.ts"
import * as SqlRunStore from "../../src/stores/SqlRunStore.ts"

const layer = Layer.provide(SqlRunStore.layer, NodeSqlite.layer({ filename: ":memory:" }))

describe("SqlRunStore on SQLite", () => {
  for (const check of RunStoreContract.make(layer)) it.effect(check.name, () => check.effect, 5000)
})
