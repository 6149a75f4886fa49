import { DBOS } from "@dbos-inc/dbos-sdk"
import type { Open } from "./system.ts"

const steps = (name: string, count: number) =>
  DBOS.registerWorkflow(
    async (n: number) => {
      let sum = n
      for (let i = 0; i < count; i++) {
        const before = sum
        sum = await DBOS.runStep(async () => before + 1, { name: `add-${i}` })
      }
      return sum
    },
    { name }
  )

export const open: Open = async (url) => {
  const one = steps("one", 1)
  const ten = steps("ten", 10)
  const reached = new Map<string, () => void>()
  const waiting = DBOS.registerWorkflow(
    async (n: number) => {
      const sum = await DBOS.runStep(async () => n + 1, { name: "add" })
      const id = DBOS.workflowID!
      setImmediate(() => reached.get(id)?.())
      const value = await DBOS.recv<number>("number", 3600)
      return sum + value!
    },
    { name: "waiting" }
  )
  DBOS.setConfig({ name: "benchmark", systemDatabaseUrl: url, logLevel: "error" })
  await DBOS.launch()
  const parked = new Map<number, { readonly workflowID: string; getResult(): Promise<number> }>()
  return {
    run: (steps, n) => (steps === 1 ? one(n) : ten(n)),
    park: async (n) => {
      const workflowID = `waiting-${n}`
      const there = new Promise<void>((resolve) => reached.set(workflowID, resolve))
      parked.set(n, await DBOS.startWorkflow(waiting, { workflowID })(n))
      await there
      reached.delete(workflowID)
    },
    // They stay.
    left: async () => {},
    resume: async (n, value) => {
      const handle = parked.get(n)!
      await DBOS.send(handle.workflowID, value, "number")
      return handle.getResult()
    }
  }
}
