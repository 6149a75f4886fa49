import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Approval, Engine, Execution, HumanChannel, type HumanRequest, Step, Workflow } from "effect-baton"
import { consistent, count, counted, history, onlyRequest, random, settle, start } from "./support/executions.ts"

const memory = Effect.provide(Engine.layerMemory)

const ask = (options?: Approval.ApprovalOptions) =>
  Workflow.make("ask", {
    output: Approval.Approval,
    run: (message) => Effect.orDie(Execution.waitForApproval(message, options))
  })

const team = ["ada", "bob", "cyd"]

describe("Approval", () => {
  it.effect("one yes from anybody approves, and the result says who, why and when", () =>
    Effect.gen(function* () {
      const execution = yield* start(ask(), "deploy?")
      assert.strictEqual(yield* execution.status, "awaiting")
      const request = yield* onlyRequest(execution)
      assert.deepInclude(request, {
        _tag: "Approval",
        message: "deploy?",
        executionId: execution.id,
        requiredApprovals: 1,
        responses: []
      })
      yield* TestClock.adjust("5 seconds")
      yield* execution.approve(request.id, { by: "ada", reason: "fine" })
      const approval = yield* execution.result
      assert.deepStrictEqual(approval, { approved: true, reason: "fine", approvedBy: "ada", timestamp: new Date(5000) })
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("without an approver list the first no rejects", () =>
    Effect.gen(function* () {
      const execution = yield* start(ask({ requiredApprovals: 3 }), "?")
      const request = yield* onlyRequest(execution)
      yield* execution.approve(request.id, { by: "ada" })
      yield* execution.reject(request.id, { by: "bob", reason: "no" })
      assert.deepInclude(yield* execution.result, { approved: false, approvedBy: "bob", reason: "no" })
    }).pipe(memory)
  )

  it.effect("requiredApprovals counts distinct people, and a response shows on the request until it is decided", () =>
    Effect.gen(function* () {
      const execution = yield* start(ask({ requiredApprovals: 2 }), "?")
      const { id } = yield* onlyRequest(execution)
      yield* execution.approve(id, { by: "ada" })
      const open = yield* onlyRequest(execution)
      assert.deepStrictEqual(
        open.responses.map((response) => "approvedBy" in response && response.approvedBy),
        ["ada"]
      )
      assert.strictEqual((yield* Effect.flip(execution.approve(id, { by: "ada" })))._tag, "AlreadyAnswered")
      assert.strictEqual(yield* execution.status, "awaiting")
      yield* execution.approve(id, { by: "bob" })
      assert.deepInclude(yield* execution.result, { approved: true, approvedBy: "bob" })
    }).pipe(memory)
  )

  const Answers = Schema.Array(
    Schema.Struct({ by: Schema.Literals(["ada", "bob", "cyd", "eve"]), yes: Schema.Boolean })
  )
  const Rules = Schema.Struct({ listed: Schema.Boolean, required: Schema.Literals([1, 2, 3]) })

  it.effect.prop(
    "a request is approved when enough distinct listed people said yes, rejected when they no longer can, and open before (Q2)",
    { answers: Answers, rules: Rules },
    ({ answers, rules }) =>
      Effect.gen(function* () {
        const execution = yield* start(
          ask({ requiredApprovals: rules.required, ...(rules.listed ? { approvers: team } : {}) }),
          "?"
        )
        const { id } = yield* onlyRequest(execution)
        const voted = new Map<string, boolean>()
        let decided: boolean | undefined
        for (const { by, yes } of answers) {
          const before = history(execution)
          const exit = yield* Effect.result(yes ? execution.approve(id, { by }) : execution.reject(id, { by }))
          const expected =
            decided !== undefined
              ? "RequestSettled"
              : rules.listed && by === "eve"
                ? "ApproverNotAllowed"
                : voted.has(by)
                  ? "AlreadyAnswered"
                  : undefined
          assert.strictEqual(exit._tag === "Failure" ? exit.failure._tag : undefined, expected)
          if (expected !== undefined) {
            // Q2 A refused answer leaves everything as it was.
            assert.deepStrictEqual(history(execution), before)
            continue
          }
          voted.set(by, yes)
          const yeses = [...voted.values()].filter(Boolean).length
          const noes = voted.size - yeses
          if (yeses >= rules.required) decided = true
          else if (rules.listed ? team.length - noes < rules.required : noes > 0) decided = false
          assert.strictEqual(yield* execution.status, decided === undefined ? "awaiting" : "completed")
        }
        if (decided === undefined) {
          assert.strictEqual((yield* onlyRequest(execution)).responses.length, voted.size)
          yield* execution.cancel()
        } else {
          assert.strictEqual((yield* execution.result).approved, decided)
        }
        yield* consistent(execution)
      }).pipe(memory),
    { arbitrary: { runs: 100 } }
  )

  it.effect("answers without `by` are one anonymous person, whom an approver list refuses", () =>
    Effect.gen(function* () {
      const open = yield* start(ask({ requiredApprovals: 2 }), "?")
      const one = yield* onlyRequest(open)
      yield* open.approve(one.id)
      assert.strictEqual((yield* Effect.flip(open.approve(one.id)))._tag, "AlreadyAnswered")
      yield* open.approve(one.id, { by: "ada" })
      assert.deepInclude(yield* open.result, { approved: true })
      const listed = yield* start(ask({ approvers: ["ada"] }), "?")
      const error = yield* Effect.flip(listed.approve((yield* onlyRequest(listed)).id))
      assert.deepInclude(error, { _tag: "ApproverNotAllowed", approvers: ["ada"] })
      yield* listed.cancel()
    }).pipe(memory)
  )

  it.effect("an answer to an unknown request, of another run, or of the wrong kind is a typed error", () =>
    Effect.gen(function* () {
      const execution = yield* start(ask(), "?")
      const other = yield* start(ask(), "?")
      const { id } = yield* onlyRequest(execution)
      assert.strictEqual((yield* Effect.flip(execution.approve("nope")))._tag, "RequestNotFound")
      assert.strictEqual((yield* Effect.flip(other.approve(id)))._tag, "RequestNotFound")
      assert.strictEqual((yield* Effect.flip(execution.answer(id, "yes")))._tag, "InvalidAnswer")
      assert.strictEqual(yield* execution.status, "awaiting")
      yield* execution.approve(id)
      assert.deepInclude(yield* Effect.flip(execution.reject(id)), { _tag: "RequestSettled", outcome: "approved" })
      yield* consistent(execution)
      yield* other.cancel()
    }).pipe(memory)
  )

  it.effect("at its timeout a request is a no with reason timeout, or a yes if autoApproveOnTimeout", () =>
    Effect.gen(function* () {
      for (const autoApproveOnTimeout of [undefined, false, true]) {
        const execution = yield* start(ask({ timeout: "10 seconds", autoApproveOnTimeout }), "?")
        const request = yield* onlyRequest(execution)
        assert.strictEqual(request.expiresAt!.getTime() - request.createdAt.getTime(), 10_000)
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual(yield* execution.status, "awaiting")
        yield* TestClock.adjust("1 second")
        const approval = yield* execution.result
        assert.deepInclude(approval, { approved: autoApproveOnTimeout === true, reason: "timeout" })
        assert.isUndefined(approval.approvedBy)
        assert.deepInclude(yield* Effect.flip(execution.approve(request.id)), {
          _tag: "RequestSettled",
          outcome: "timed-out"
        })
        yield* consistent(execution)
      }
    }).pipe(memory)
  )

  it.effect("a timeout of nothing decides at once, and no channel sees the request", () =>
    Effect.gen(function* () {
      let delivered = 0
      const channel: HumanChannel.HumanChannel = {
        deliver: () =>
          Effect.andThen(
            Effect.sync(() => void delivered++),
            Effect.never
          )
      }
      const execution = yield* Effect.provideService(
        start(ask({ timeout: 0 }), "?"),
        HumanChannel.HumanChannel,
        channel
      )
      assert.deepInclude(yield* execution.result, { approved: false, reason: "timeout" })
      yield* settle
      assert.strictEqual(delivered, 0)
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("an answer and its timeout at the same moment settle the request once (E4, Q1)", () =>
    counted((counter) =>
      Effect.gen(function* () {
        const execution = yield* start(ask({ timeout: "10 seconds" }), "?")
        const { id } = yield* onlyRequest(execution)
        yield* TestClock.adjust("9999 millis")
        yield* execution.approve(id)
        yield* TestClock.adjust("1 millis")
        assert.deepInclude(yield* execution.result, { approved: true })
        assert.strictEqual(count(execution, "RequestSettled"), 1)
        assert.strictEqual(counter.sleeps, 0)
        yield* consistent(execution)
      }).pipe(memory)
    )
  )

  it.effect("a run's approval option gives the defaults of its requests, and each request may override them", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.gen(function* () {
            yield* Execution.waitForApproval("default?")
            yield* Execution.waitForApproval("own?", { requiredApprovals: 1, approvers: ["bob"], timeout: undefined })
            return "done"
          })
      })
      const execution = yield* start(workflow, "", {
        approval: { approvers: team, requiredApprovals: 2, timeout: "1 hour" }
      })
      const first = (yield* onlyRequest(execution)) as HumanRequest.ApprovalRequest
      assert.deepInclude(first, { approvers: team, requiredApprovals: 2, expiresAt: new Date(3_600_000) })
      yield* execution.approve(first.id, { by: "ada" })
      yield* execution.approve(first.id, { by: "cyd" })
      const second = (yield* onlyRequest(execution)) as HumanRequest.ApprovalRequest
      assert.deepInclude(second, { approvers: ["bob"], requiredApprovals: 1, expiresAt: new Date(3_600_000) })
      yield* execution.approve(second.id, { by: "bob" })
      assert.strictEqual(yield* execution.result, "done")
    }).pipe(memory)
  )

  it.effect("bad options of one request are InvalidOptions to the body, naming the field", () =>
    Effect.gen(function* () {
      const bad: ReadonlyArray<readonly [string, unknown]> = [
        ["approval.requiredApprovals", { approvers: ["ada"], requiredApprovals: 2 }],
        ["approval.timeout", { timeout: Number.NaN }],
        ["approval.approvers", { approvers: [] }]
      ]
      for (const [field, options] of bad) {
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.catchTag(
              Effect.as(Execution.waitForApproval("?", options as Approval.ApprovalOptions), "no error"),
              "InvalidOptions",
              (error) => Effect.succeed(error.field)
            )
        })
        assert.strictEqual(yield* workflow.execute(""), field)
      }
    }).pipe(memory)
  )

  it.effect("requireApproval goes on after a yes and cancels the run after a no, asking nobody", () =>
    Effect.gen(function* () {
      let beyond = false
      let asked = 0
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.gen(function* () {
            const approval = yield* Execution.requireApproval("go?")
            beyond = true
            return approval.approvedBy ?? ""
          })
      })
      const options = {
        cancel: {
          beforeCancel: Effect.sync(() => {
            asked++
            return false
          })
        },
        retry: { attempts: 3, delay: 0 }
      }
      const yes = yield* start(workflow, "", options)
      yield* yes.approve((yield* onlyRequest(yes)).id, { by: "ada" })
      assert.strictEqual(yield* yes.result, "ada")
      beyond = false
      const no = yield* start(workflow, "", options)
      yield* no.reject((yield* onlyRequest(no)).id, { by: "ada", reason: "late" })
      assert.deepInclude(yield* Effect.flip(no.result), { _tag: "RunCancelled", reason: "rejected by ada: late" })
      assert.isFalse(beyond)
      assert.strictEqual(asked, 0)
      yield* consistent(no)
    }).pipe(memory)
  )

  it.effect("a hundred approvals in parallel, answered in random order, each reach their own asker", () =>
    Effect.gen(function* () {
      for (const seed of [1, 2, 3]) {
        const n = 100
        const workflow = Workflow.make("crowd", {
          output: Schema.Array(Schema.String),
          run: () =>
            Effect.forEach(
              Array.from({ length: n }, (_, i) => i),
              (i) =>
                Effect.map(
                  Execution.waitForApproval(`question ${i}`, { key: String(i) }),
                  (approval) => `${i} ${approval.approved} ${approval.approvedBy}`
                ),
              { concurrency: "unbounded" }
            )
        })
        const execution = yield* start(workflow, "")
        const next = random(seed)
        const requests = (yield* execution.requests)
          .map((request) => [next(), request] as const)
          .toSorted(([a], [b]) => a - b)
          .map(([, request]) => request)
        assert.strictEqual(requests.length, n)
        yield* Effect.forEach(
          requests,
          (request) => {
            const i = Number(request.message.slice(9))
            return i % 3 === 0
              ? execution.reject(request.id, { by: `p${i}` })
              : execution.approve(request.id, { by: `p${i}` })
          },
          { concurrency: seed === 1 ? 1 : "unbounded" }
        )
        assert.deepStrictEqual(
          yield* execution.result,
          Array.from({ length: n }, (_, i) => `${i} ${i % 3 !== 0} p${i}`)
        )
        assert.strictEqual(count(execution, "RequestSettled"), n)
        yield* consistent(execution)
      }
    }).pipe(memory)
  )

  it.effect("a reader of events that answers each request when it opens is heard, also in a loop (E4)", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", {
        output: Schema.Number,
        run: () =>
          Effect.map(
            Effect.forEach(
              Array.from({ length: 20 }, (_, i) => i),
              (i) => Execution.waitForApproval(String(i))
            ),
            (approvals) => approvals.filter((approval) => approval.approved).length
          )
      })
      const execution = yield* start(workflow, "")
      const reading = yield* execution.events.pipe(
        Stream.runForEach((event) =>
          event._tag === "RequestOpened" ? Effect.orDie(execution.approve(event.requestId)) : Effect.void
        ),
        Effect.forkChild
      )
      assert.strictEqual(yield* execution.result, 20)
      yield* Fiber.join(reading)
      assert.strictEqual(count(execution, "RequestSettled"), 20)
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("the status is awaiting from the first open request to the end of the last", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("two", {
        run: () =>
          Effect.as(
            Effect.all(
              [
                Effect.andThen(Execution.waitForApproval("a", { key: "a" }), Effect.sleep("1 second")),
                Execution.waitForApproval("b", { key: "b" })
              ],
              { concurrency: "unbounded" }
            ),
            "done"
          )
      })
      const execution = yield* start(workflow, "")
      const [a, b] = yield* execution.requests
      yield* execution.approve(b.id)
      assert.strictEqual(yield* execution.status, "awaiting")
      yield* execution.approve(a.id)
      assert.strictEqual(yield* execution.status, "in-progress")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* execution.result, "done")
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("two places whose paths read the same never share a request: the second is a defect", () =>
    Effect.gen(function* () {
      const inner = Workflow.make("approval", { run: () => Effect.as(Execution.waitForApproval("inner"), "") })
      const workflow = Workflow.make("w", {
        run: () =>
          Effect.as(
            Effect.all([inner.call(""), Execution.waitForApproval("outer", { key: "approval" })], {
              concurrency: "unbounded"
            }),
            ""
          )
      })
      const execution = yield* start(workflow, "")
      yield* settle
      assert.strictEqual(yield* execution.status, "failed")
      yield* consistent(execution)
    }).pipe(memory)
  )

  it.effect("an asker that is interrupted takes its request back", () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("w", {
        run: () => Effect.as(Effect.timeoutOption(Execution.waitForApproval("?"), "5 seconds"), "went on")
      })
      const execution = yield* start(workflow, "")
      const { id } = yield* onlyRequest(execution)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* execution.result, "went on")
      assert.deepInclude(yield* Effect.flip(execution.approve(id)), { _tag: "RequestSettled", outcome: "withdrawn" })
      yield* consistent(execution)
    }).pipe(memory)
  )

  describe("channels", () => {
    it.effect("a channel is shown the request, its answer counts, and it is interrupted when the request settles", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const slow: HumanChannel.HumanChannel = {
          deliver: (request, answers) =>
            Effect.gen(function* () {
              log.push(`slow ${request.message}`)
              yield* Effect.sleep("1 minute")
              yield* answers.reject({ by: "slow" })
            }).pipe(Effect.onInterrupt(() => Effect.sync(() => void log.push("slow withdrawn"))))
        }
        const quick: HumanChannel.HumanChannel = {
          deliver: (_, answers) => Effect.andThen(Effect.sleep("1 second"), answers.approve({ by: "quick" }))
        }
        const execution = yield* Effect.provideService(
          start(ask(), "?"),
          HumanChannel.HumanChannel,
          HumanChannel.all([slow, quick])
        )
        yield* TestClock.adjust("1 second")
        assert.deepInclude(yield* execution.result, { approved: true, approvedBy: "quick" })
        assert.deepStrictEqual(log, ["slow ?", "slow withdrawn"])
        assert.deepStrictEqual(yield* execution.logs, [], "an answer is no failure of its channel")
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("a channel is interrupted by its own answer, and what it can not do without stands with it", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const told = (text: string) => Effect.sync(() => void log.push(text))
        const thanks: HumanChannel.HumanChannel = {
          deliver: (_, answers) =>
            Effect.uninterruptible(Effect.andThen(answers.approve(), told("thanks"))).pipe(
              Effect.andThen(Effect.yieldNow),
              Effect.andThen(told("went on"))
            )
        }
        const execution = yield* Effect.provideService(start(ask(), "?"), HumanChannel.HumanChannel, thanks)
        assert.deepInclude(yield* execution.result, { approved: true })
        yield* settle
        assert.deepStrictEqual(log, ["thanks"])
      }).pipe(memory)
    )

    it.effect("a channel that fails or dies is logged, and the request stays open for others", () =>
      Effect.gen(function* () {
        for (const deliver of [
          () => Effect.fail("no line"),
          () => Effect.die("no line"),
          (): Effect.Effect<void> => {
            throw new Error("no line")
          }
        ]) {
          const execution = yield* Effect.provideService(start(ask(), "?"), HumanChannel.HumanChannel, { deliver })
          yield* settle
          const logs = yield* execution.logs
          const failures = logs.filter((entry) => entry.message.includes("failed to deliver"))
          assert.strictEqual(failures.length, 1)
          yield* execution.approve((yield* onlyRequest(execution)).id)
          assert.deepInclude(yield* execution.result, { approved: true })
          yield* consistent(execution)
        }
      }).pipe(memory)
    )

    it.effect("a callback that answers as soon as the status says awaiting leaves no channel behind", () =>
      counted((counter) =>
        Effect.gen(function* () {
          let delivered = 0
          const channel: HumanChannel.HumanChannel = {
            deliver: () =>
              Effect.andThen(
                Effect.sync(() => void delivered++),
                Effect.never
              )
          }
          const run = yield* ask().run("?")
          const eager = run.configure({
            onStatusChange: (status) =>
              status !== "awaiting"
                ? Effect.void
                : Effect.gen(function* () {
                    const execution = yield* Engine.get(run.id).pipe(Effect.provideService(Engine.Engine, engine))
                    for (const request of yield* execution.requests) yield* execution.approve(request.id)
                  })
          })
          const engine = yield* Engine.Engine
          const before = counter.fibers
          const execution = yield* Effect.provideService(eager.start, HumanChannel.HumanChannel, channel)
          yield* settle
          assert.deepInclude(yield* execution.result, { approved: true })
          assert.strictEqual(delivered, 0)
          assert.strictEqual(counter.fibers, before)
          yield* consistent(execution)
        }).pipe(memory)
      )
    )
  })

  describe("from outside", () => {
    it.effect("an approval asked for on the handle holds the body at its next step until the answer", () =>
      Effect.gen(function* () {
        const done: Array<string> = []
        const workflow = Workflow.make("w", {
          run: () =>
            Effect.gen(function* () {
              yield* Step.make("one", {
                run: Effect.andThen(
                  Effect.sleep("1 second"),
                  Effect.sync(() => void done.push("one"))
                )
              })
              yield* Step.make("two", { run: Effect.sync(() => void done.push("two")) })
              return "done"
            })
        })
        const execution = yield* start(workflow, "")
        const asking = yield* Effect.forEach(["first", "second"], (message) =>
          Effect.forkChild(execution.waitForApproval(message))
        )
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(done, ["one"])
        assert.strictEqual(yield* execution.status, "awaiting")
        const requests = yield* execution.requests
        assert.deepStrictEqual(
          requests.map((request) => request.message),
          ["first", "second"]
        )
        yield* execution.approve(requests[1].id, { by: "ada" })
        yield* settle
        assert.deepStrictEqual(done, ["one"])
        yield* execution.reject(requests[0].id, { by: "bob" })
        assert.strictEqual(yield* execution.result, "done")
        const [first, second] = yield* Fiber.joinAll(asking)
        assert.deepStrictEqual([first.approved, second.approved], [false, true])
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect("an outside asker that is interrupted lets the body go on", () =>
      Effect.gen(function* () {
        const workflow = Workflow.make("w", {
          run: () => Effect.andThen(Effect.sleep("1 second"), Step.make("two", { run: Effect.succeed("done") }))
        })
        const execution = yield* start(workflow, "")
        const asking = yield* Effect.forkChild(execution.waitForApproval("?"))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* execution.status, "awaiting")
        yield* Fiber.interrupt(asking)
        assert.strictEqual(yield* execution.result, "done")
        yield* consistent(execution)
      }).pipe(memory)
    )

    it.effect(
      "an end of the run while somebody outside waits is RunSettled to them, and so is a question too late",
      () =>
        Effect.gen(function* () {
          const workflow = Workflow.make("w", { run: () => Effect.as(Effect.sleep("1 second"), "done") })
          const execution = yield* start(workflow, "")
          const asking = yield* Effect.forkChild(Effect.flip(execution.waitForApproval("?")))
          const input = yield* Effect.forkChild(Effect.flip(execution.waitForInput("?", Schema.String)))
          yield* TestClock.adjust("1 second")
          assert.deepInclude(yield* Fiber.join(asking), { _tag: "RunSettled", status: "completed" })
          assert.deepInclude(yield* Fiber.join(input), { _tag: "RunSettled", status: "completed" })
          assert.strictEqual((yield* Effect.flip(execution.waitForApproval("late")))._tag, "RunSettled")
          yield* consistent(execution)
        }).pipe(memory)
    )

    it.effect("bad options and timeouts are typed for an outside asker too", () =>
      Effect.gen(function* () {
        const execution = yield* start(Workflow.make("w", { run: () => Effect.never }), "")
        const bad = yield* Effect.flip(execution.waitForApproval("?", { requiredApprovals: 0 }))
        assert.deepInclude(bad, { _tag: "InvalidOptions", field: "approval.requiredApprovals" })
        const input = yield* Effect.forkChild(
          Effect.flip(execution.waitForInput("?", Schema.String, { timeout: "1 second" }))
        )
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(input))._tag, "InputTimedOut")
        assert.strictEqual(yield* execution.status, "in-progress")
        yield* execution.cancel()
        yield* consistent(execution)
      }).pipe(memory)
    )
  })
})
