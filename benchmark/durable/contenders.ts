import type { Open } from "./system.ts"

/** Somebody who keeps runs in a database. */
interface Contender {
  readonly title: string
  /** Packages whose versions are told. */
  readonly packages: ReadonlyArray<string>
  /** Loads nothing of the others. */
  readonly open: () => Promise<Open>
}

export const contenders: Readonly<Record<string, Contender>> = {
  baton: { title: "Baton", packages: ["effect-baton"], open: async () => (await import("./baton.ts")).postgres },
  dbos: { title: "DBOS", packages: ["@dbos-inc/dbos-sdk"], open: async () => (await import("./dbos.ts")).open },
  langgraph: {
    title: "LangGraph, PostgresSaver",
    packages: ["@langchain/langgraph", "@langchain/langgraph-checkpoint-postgres"],
    open: async () => (await import("./langgraph.ts")).open
  },
  mastra: {
    title: "Mastra, PostgresStore (snapshots)",
    packages: ["@mastra/core", "@mastra/pg"],
    open: async () => (await import("./mastra.ts")).open
  },
  cluster: {
    title: "ClusterWorkflowEngine, default",
    packages: ["effect", "@effect/sql-pg"],
    open: async () => (await import("./cluster.ts")).byDefault
  },
  "cluster-tuned": {
    title: "ClusterWorkflowEngine, runners in memory, 8 shards",
    packages: ["effect", "@effect/sql-pg"],
    open: async () => (await import("./cluster.ts")).tuned
  }
}

/** On a file of this process, so compared with nobody. */
export const sqlite: Contender = {
  title: "Baton on SQLite",
  packages: ["effect-baton"],
  open: async () => (await import("./baton.ts")).sqlite
}
