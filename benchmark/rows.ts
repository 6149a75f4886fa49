import type { Row } from "./harness.ts"
import { fanOut, fanOutBounded, fanOutBoundedSync, fanOutSync } from "./rows/fan-out.ts"
import { modelCall, modelCall200, modelCallInProcess } from "./rows/model-call.ts"
import { modelStream, modelStream200, modelStreamInProcess } from "./rows/model-stream.ts"
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
  modelCall,
  modelCall200,
  modelStream,
  modelStream200,
  modelCallInProcess,
  modelStreamInProcess,
  oneStepRunSync,
  stepSync,
  fanOutSync,
  fanOutBoundedSync
]
