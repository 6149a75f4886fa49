import type { Row } from "./harness.ts"
import { fanOut, fanOutBounded, fanOutBoundedSync, fanOutSync } from "./rows/fan-out.ts"
import { oneStepRun, oneStepRunSync } from "./rows/one-step-run.ts"
import { parkedRun } from "./rows/parked.ts"
import { settledRuns } from "./rows/settled.ts"
import { tracedRun, tracedStep } from "./rows/spans.ts"
import { step, stepSync } from "./rows/step.ts"

export const rows: ReadonlyArray<Row> = [
  oneStepRun,
  step,
  fanOut,
  fanOutBounded,
  parkedRun,
  settledRuns,
  tracedRun,
  tracedStep,
  oneStepRunSync,
  stepSync,
  fanOutSync,
  fanOutBoundedSync
]
