/**
 * The statements that this process gives to SQLite, and which of them wrote: what the log of a server tells, for a
 * database that has no server.
 */
import { DatabaseSync, StatementSync } from "node:sqlite"
import type { Server } from "./admin.ts"

export const watch = (): Server => {
  const found = new Map<string, Array<string>>()
  let current: Array<string> | undefined
  let isOn = false
  let writeTransactions = 0
  const saw = (text: string) => {
    if (/^(COMMIT|INSERT|UPDATE|DELETE)/i.test(text) && !inTransaction) writeTransactions++
    if (/^COMMIT/i.test(text)) writeTransactions++
    if (/^BEGIN/i.test(text)) inTransaction = true
    else if (/^(COMMIT|ROLLBACK)$/i.test(text)) inTransaction = false
    if (isOn) current?.push(text)
  }
  let inTransaction = false
  for (const method of ["all", "run", "get", "iterate"] as const) {
    const original = StatementSync.prototype[method] as (...params: Array<unknown>) => unknown
    Object.assign(StatementSync.prototype, {
      [method](this: StatementSync, ...params: Array<unknown>) {
        saw(this.sourceSQL.trim())
        return original.apply(this, params)
      }
    })
  }
  const { exec } = DatabaseSync.prototype
  DatabaseSync.prototype.exec = function (text) {
    saw(text.trim())
    return exec.call(this, text)
  }
  return {
    mark: async (name) => found.set(name, (current = found.get(name) ?? [])),
    logStatements: async (on) => {
      isOn = on
    },
    written: async () => ({ walBytes: -1, writeTransactions }),
    log: () => found
  }
}
