import { Mastra } from "@mastra/core"
import { createStep, createWorkflow } from "@mastra/core/workflows"
import { PostgresStore } from "@mastra/pg"
import { z } from "zod"
import type { Open } from "./system.ts"

const adding = (id: string) =>
  createStep({
    id,
    inputSchema: z.number(),
    outputSchema: z.number(),
    execute: async ({ inputData }) => inputData + 1
  })

const steps = (id: string, count: number) => {
  // A chain whose length is a number loses its types anyway.
  let workflow: any = createWorkflow({ id, inputSchema: z.number(), outputSchema: z.number() })
  for (let i = 0; i < count; i++) workflow = workflow.then(adding(`add-${i}`))
  return workflow.commit()
}

const wait = createStep({
  id: "wait",
  inputSchema: z.number(),
  outputSchema: z.number(),
  resumeSchema: z.number(),
  execute: async ({ inputData, resumeData, suspend }) => {
    if (resumeData === undefined) return await suspend({})
    return inputData + resumeData
  }
})

export const open: Open = async (url) => {
  const storage = new PostgresStore({ id: "benchmark", connectionString: url })
  await storage.init()
  const waiting = createWorkflow({ id: "waiting", inputSchema: z.number(), outputSchema: z.number() })
    .then(adding("add"))
    .then(wait)
    .commit()
  const mastra = new Mastra({
    workflows: { one: steps("one", 1), ten: steps("ten", 10), waiting },
    storage,
    logger: false
  })
  // Workflows know their storage only as those of a Mastra.
  const named = (name: "one" | "ten" | "waiting"): any => mastra.getWorkflow(name)
  const output = (result: any): number => {
    if (result.status !== "success") throw new Error(`Mastra: ${result.status} ${result.error ?? ""}`)
    return result.result
  }
  return {
    run: async (steps, n) =>
      output(await (await named(steps === 1 ? "one" : "ten").createRun()).start({ inputData: n })),
    park: async (n) => {
      const run = await named("waiting").createRun({ runId: `waiting-${n}` })
      const { status } = await run.start({ inputData: n })
      if (status !== "suspended") throw new Error(`Mastra: ${status}`)
    },
    // A suspended run is a row.
    left: async () => {},
    resume: async (n, value) => {
      const run = await named("waiting").createRun({ runId: `waiting-${n}` })
      return output(await run.resume({ step: "wait", resumeData: value }))
    }
  }
}
