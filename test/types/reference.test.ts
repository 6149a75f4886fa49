import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Baton, Engine, type RunError, Workflow } from "effect-baton"

/**
 * The interfaces of the reference (the OS Protocol's execution chapter), written out by hand. Its controls are other
 * names for what Baton's controls say, so those stand as Baton's here.
 */
declare namespace Reference {
  type RunStatus = "pending" | "in-progress" | "awaiting" | "completed" | "failed" | "cancelled"

  interface Workflow<Output> {
    run(prompt: string, options?: RunOptions<Output>): Promise<Run<Output>>
  }

  interface RunOptions<Output> {
    timeout?: Baton.Timeout
    retry?: Baton.Retry
    cancel?: Baton.Cancel
    onComplete?: (result: Output) => void
    onFailed?: (error: Error) => void
    onStatusChange?: (status: RunStatus) => void
  }

  interface Run<Output> {
    id: string
    status: RunStatus
    workflow: Workflow<Output>
    options: RunOptions<Output>
    start(): Promise<Execution<Output>>
  }

  interface Execution<Output> {
    id: string
    status: RunStatus
    progress: { current: number; total: number; message?: string }
    logs: string[]
    pause(): Promise<void>
    resume(): Promise<void>
    cancel(reason?: string): Promise<void>
    waitForApproval(
      message?: string
    ): Promise<{ approved: boolean; reason?: string; approvedBy?: string; timestamp: Date }>
    waitForInput<Input>(prompt: string): Promise<Input>
    result: Promise<Output>
  }
}

class Broken extends Schema.TaggedError<Broken>()("Broken", { part: Schema.String }) {}
class Greeting extends Context.Service<Greeting, string>()("test/types/Greeting") {}

const plain = Workflow.make("plain", { run: (text) => Effect.succeed(text) })
const sized = Workflow.make("sized", {
  output: Schema.Struct({ size: Schema.Number }),
  error: Broken,
  run: (text) => Effect.succeed({ size: text.length })
})
const greeting = Workflow.make("greeting", { run: (name) => Effect.map(Greeting, (word) => `${word} ${name}`) })
const doubling = Workflow.make("doubling", {
  input: Schema.Number,
  output: Schema.Number,
  run: (n) => Effect.succeed(n * 2)
})

const baton = Baton.make(Engine.layerMemory)

describe("the Promise facade and the reference's interfaces", () => {
  it("a workflow is assignable to the reference's Workflow", () => {
    const text: Reference.Workflow<string> = baton.workflow(plain)
    const size: Reference.Workflow<{ size: number }> = baton.workflow(sized)
    expectTypeOf(baton.workflow(plain)).toExtend<Reference.Workflow<string>>()
    expectTypeOf(baton.workflow(sized)).toExtend<Reference.Workflow<{ size: number }>>()
    expectTypeOf(baton.workflow(sized)).not.toExtend<Reference.Workflow<string>>()
    // The reference's input is a prompt.
    expectTypeOf(baton.workflow(doubling)).not.toExtend<Reference.Workflow<number>>()
    assert.isDefined([text, size])
  })

  it("a run and an execution are assignable to the reference's Run and Execution", () => {
    expectTypeOf<Baton.Run<string, Broken, string>>().toExtend<Reference.Run<string>>()
    expectTypeOf<Baton.Execution<string, Broken>>().toExtend<Reference.Execution<string>>()
    expectTypeOf<Baton.Execution<string, Broken>>().not.toExtend<Reference.Execution<number>>()
  })

  it("the reference's options are accepted", () => {
    const run = baton.workflow(sized).run
    expectTypeOf<Reference.RunOptions<{ size: number }>>().toExtend<NonNullable<Parameters<typeof run>[1]>>()
  })
})

describe("the types of the Promise facade", () => {
  it("outputs and errors are inferred", () => {
    expectTypeOf(baton.execute<string, { readonly size: number }, Broken>).returns.resolves.toEqualTypeOf<{
      readonly size: number
    }>()
    const call = () =>
      baton.execute(sized, "a", {
        onComplete: (output) => expectTypeOf(output).toEqualTypeOf<{ readonly size: number }>(),
        onFailed: (error) => expectTypeOf(error).toEqualTypeOf<Broken | RunError.RunError>()
      })
    expectTypeOf(call).returns.resolves.toEqualTypeOf<{ readonly size: number }>()
    const start = () => baton.start(doubling, 2)
    expectTypeOf(start).returns.resolves.toEqualTypeOf<Baton.Execution<number, never>>()
  })

  it("a cancel answers what became of it", () => {
    const cancel = (execution: Baton.Execution<string>) => execution.cancel()
    expectTypeOf(cancel).returns.resolves.toEqualTypeOf<"cancelled" | "prevented" | "already-settled">()
  })

  it("a layer has to provide an engine, and what the workflows need", () => {
    // @ts-expect-error no engine
    const withoutEngine = () => Baton.make(Layer.succeed(Greeting, "hello"))
    // @ts-expect-error no greeting
    const withoutGreeting = () => baton.execute(greeting, "ada")
    const complete = Baton.make(Layer.merge(Engine.layerMemory, Layer.succeed(Greeting, "hello")))
    expectTypeOf(complete).toEqualTypeOf<Baton.Baton<Greeting>>()
    expectTypeOf(baton).toEqualTypeOf<Baton.Baton<never>>()
    const withGreeting = () => complete.execute(greeting, "ada")
    expectTypeOf(withGreeting).returns.resolves.toEqualTypeOf<string>()
    assert.isDefined([withoutEngine, withoutGreeting])
  })

  it("the input is the workflow's", () => {
    // @ts-expect-error a number is expected
    const wrong = () => baton.execute(doubling, "2")
    assert.isFunction(wrong)
  })
})
