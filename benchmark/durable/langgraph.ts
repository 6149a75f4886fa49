import { Annotation, Command, END, interrupt, START, StateGraph } from "@langchain/langgraph"
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres"
import type { Open } from "./system.ts"

const State = Annotation.Root({ n: Annotation<number> })

export const open: Open = async (url) => {
  const checkpointer = PostgresSaver.fromConnString(url)
  await checkpointer.setup()
  const one = new StateGraph(State)
    .addNode("add", async ({ n }) => ({ n: n + 1 }))
    .addEdge(START, "add")
    .addEdge("add", END)
    .compile({ checkpointer })
  // A loop of nodes that are known only by number loses its types anyway.
  const chain: any = new StateGraph(State)
  for (let i = 0; i < 10; i++) {
    chain.addNode(`add-${i}`, async ({ n }: { readonly n: number }) => ({ n: n + 1 }))
    chain.addEdge(i === 0 ? START : `add-${i - 1}`, `add-${i}`)
  }
  const ten = chain.addEdge("add-9", END).compile({ checkpointer }) as typeof one
  const waiting = new StateGraph(State)
    .addNode("add", async ({ n }) => ({ n: n + 1 }))
    .addNode("wait", async ({ n }) => ({ n: n + (interrupt("How many?") as number) }))
    .addEdge(START, "add")
    .addEdge("add", "wait")
    .addEdge("wait", END)
    .compile({ checkpointer })
  let ids = 0
  const config = (id: string) => ({ configurable: { thread_id: id } })
  return {
    run: async (steps, n) => (await (steps === 1 ? one : ten).invoke({ n }, config(`run-${++ids}`))).n,
    park: async (n) => void (await waiting.invoke({ n }, config(`waiting-${n}`))),
    // There is nothing in memory between two invocations.
    left: async () => {},
    resume: async (n, value) => (await waiting.invoke(new Command({ resume: value }), config(`waiting-${n}`))).n
  }
}
