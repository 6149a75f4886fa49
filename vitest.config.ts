import { defineConfig } from "vitest/config"

// `effect-baton` inside tests is src, not dist (see `exports` in package.json); the rest are Vite's defaults.
const conditions = ["baton-source", "module", "node", "development|production"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    // Tests with real processes and clocks: CI gives one that fails a second chance, and shows it as retried. One of them
    // (a parked sleep after a restart) has failed once under load, and is not yet understood.
    retry: process.env.CI === undefined ? 0 : 1,
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/postgres.setup.ts"],
    // One process a core that loads effect once: a process a file costs half a second of CPU each time.
    pool: "forks",
    isolate: false,
    // Only tests with real processes wait for real time, and none for so long.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    silent: "passed-only"
  }
})
