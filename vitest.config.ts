import { defineConfig } from "vitest/config"

// `effect-baton` inside tests is src, not dist (see `exports` in package.json); the rest are Vite's defaults.
const conditions = ["baton-source", "module", "node", "development|production"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
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
