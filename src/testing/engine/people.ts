/** Checks of an engine: approvals and inputs, from inside of a body and from outside. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { Approval } from "../../Approval.ts"
import * as Execution from "../../Execution.ts"
import type { ApprovalRequest, InputRequest } from "../../HumanRequest.ts"
import * as Step from "../../Step.ts"
import * as Engine from "../../services/Engine.ts"
import * as Workflow from "../../Workflow.ts"
import { equal, failsWith, holds } from "../expect.ts"
import { agrees, type Checks, eventsOf, note, opened, reached, start, statusesOf } from "./kit.ts"

const say = ({ approved, approvedBy, reason }: Approval) => `${approved ? "yes" : "no"}, ${approvedBy}, ${reason}`

const asks = Workflow.make("asks", { run: (message) => Effect.map(Execution.waitForApproval(message), say) })

const quorum = Workflow.make("quorum", {
  run: () =>
    Effect.map(
      Execution.waitForApproval("Release?", { approvers: ["ada", "alan", "grace"], requiredApprovals: 2 }),
      say
    )
})

/** All references of a JSON Schema, and the names it defines. */
const references = (u: unknown, found: { refs: Set<string>; names: Set<string> }) => {
  if (Array.isArray(u)) for (const part of u) references(part, found)
  if (!Predicate.isObject(u)) return found
  for (const [key, value] of Object.entries(u)) {
    if (key === "$ref" && Predicate.isString(value)) found.refs.add(value)
    if (key === "$defs" && Predicate.isObject(value))
      for (const name of Object.keys(value))
        found.names.add(`#/$defs/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`)
    references(value, found)
  }
  return found
}

export const approvals: Checks = {
  "a request offers the reasons that do something, to whoever finds it by the run's id too": () =>
    Effect.gen(function* () {
      const reasons = { always: "not be asked again" }
      const offers = Workflow.make("offers", {
        run: (message) => Effect.map(Execution.waitForApproval(message, { reasons }), say)
      })
      const execution = yield* start(offers, "Pay?", { id: "offer-1" })
      const [request] = yield* opened(execution)
      yield* equal("the reasons", (request as ApprovalRequest).reasons, reasons)
      const [again] = yield* (yield* Engine.get("offer-1")).requests
      yield* equal("the reasons, found again", (again as ApprovalRequest).reasons, reasons)
      yield* execution.approve(request!.id, { by: "ada", reason: "always" })
      yield* equal("the result", yield* execution.result, "yes, ada, always")
    }),

  "a request shows what is asked, and the run awaits; a yes lets it go on": () =>
    Effect.gen(function* () {
      const execution = yield* start(asks, "Deploy?", { id: "run-1" })
      const [request] = yield* opened(execution)
      yield* equal("the status", yield* execution.status, "awaiting")
      const { _tag, approvers, executionId, expiresAt, message, path, requiredApprovals, responses, workflow } =
        request as ApprovalRequest
      yield* equal(
        "the request",
        { _tag, approvers, executionId, expiresAt, message, path, requiredApprovals, responses, workflow },
        {
          _tag: "Approval",
          approvers: undefined,
          executionId: "run-1",
          expiresAt: undefined,
          message: "Deploy?",
          path: "approval",
          requiredApprovals: 1,
          responses: [],
          workflow: "asks"
        }
      )
      yield* execution.approve(request!.id, { by: "ada", reason: "tested" })
      yield* equal("the result", yield* execution.result, "yes, ada, tested")
      yield* equal("the statuses", yield* statusesOf(execution), [
        "in-progress",
        "awaiting",
        "in-progress",
        "completed"
      ])
      const [open] = yield* eventsOf(execution, "RequestOpened")
      yield* equal(
        "the opening",
        [open?.requestId, open?.kind, open?.message, open?.path],
        [request!.id, "Approval", "Deploy?", "approval"]
      )
      const [answered] = yield* eventsOf(execution, "RequestAnswered")
      yield* equal("the answer", [answered?.requestId, answered?.by, answered?.approved], [request!.id, "ada", true])
      const [settled] = yield* eventsOf(execution, "RequestSettled")
      yield* equal("the end", [settled?.requestId, settled?.outcome], [request!.id, "approved"])
      yield* agrees(execution)
    }),

  "a no is an answer, and requireApproval cancels the run": () =>
    Effect.gen(function* () {
      const execution = yield* start(asks, "Deploy?")
      yield* execution.reject((yield* opened(execution))[0]!.id, { by: "ada", reason: "Friday" })
      yield* equal("the result", yield* execution.result, "no, ada, Friday")
      const log: Array<string> = []
      const strict = Workflow.make("strict", {
        run: () => Effect.andThen(Execution.requireApproval("Deploy?"), note(log, "deploy"))
      })
      const refused = yield* start(strict, "")
      yield* refused.reject((yield* opened(refused))[0]!.id, { by: "ada", reason: "Friday" })
      const error = yield* failsWith("the result", "RunCancelled", refused.result)
      yield* holds("the reason says who and why", /ada.*Friday/.test(error.reason ?? ""), error.reason)
      yield* equal("what was done", log, [])
      yield* agrees(refused)
      const allowed = yield* start(strict, "")
      yield* allowed.approve((yield* opened(allowed))[0]!.id)
      yield* equal("the result", yield* allowed.result, "deploy")
    }),

  "a quorum needs as many different approvers as it says": () =>
    Effect.gen(function* () {
      const execution = yield* start(quorum, "")
      const [request] = yield* opened(execution)
      const id = request!.id
      yield* execution.approve(id, { by: "ada", reason: "fine" })
      const stranger = yield* failsWith("a stranger", "ApproverNotAllowed", execution.approve(id, { by: "eve" }))
      yield* equal("the error", [stranger.by, stranger.approvers], ["eve", ["ada", "alan", "grace"]])
      yield* failsWith("nobody in particular", "ApproverNotAllowed", execution.reject(id))
      yield* failsWith("the same again", "AlreadyAnswered", execution.reject(id, { by: "ada" }))
      yield* execution.reject(id, { by: "alan" })
      const [open] = yield* execution.requests
      yield* equal(
        "the responses so far",
        (open as ApprovalRequest).responses.map((r) => [r.approvedBy, r.approved, r.reason]),
        [
          ["ada", true, "fine"],
          ["alan", false, undefined]
        ]
      )
      yield* equal("the status", yield* execution.status, "awaiting")
      yield* execution.approve(id, { by: "grace" })
      yield* equal("the result", yield* execution.result, "yes, grace, undefined")
      const answered = yield* eventsOf(execution, "RequestAnswered")
      yield* equal(
        "the answers",
        answered.map((event) => [event.by, event.approved]),
        [
          ["ada", true],
          ["alan", false],
          ["grace", true]
        ]
      )
      yield* agrees(execution)
    }),

  "a quorum is rejected when it can not be reached any more": () =>
    Effect.gen(function* () {
      const execution = yield* start(quorum, "")
      const [request] = yield* opened(execution)
      yield* execution.reject(request!.id, { by: "ada" })
      yield* execution.reject(request!.id, { by: "grace", reason: "no" })
      yield* equal("the result", yield* execution.result, "no, grace, no")
    }),

  "without a list the first no counts, and answers without a name are one person": () =>
    Effect.gen(function* () {
      const two = Workflow.make("two", {
        run: () => Effect.map(Execution.waitForApproval("Sure?", { requiredApprovals: 2 }), say)
      })
      const yes = yield* start(two, "")
      const [request] = yield* opened(yes)
      yield* yes.approve(request!.id)
      yield* failsWith("the same again", "AlreadyAnswered", yes.approve(request!.id))
      yield* yes.approve(request!.id, { by: "ada" })
      yield* equal("the result", yield* yes.result, "yes, ada, undefined")
      const no = yield* start(two, "")
      yield* no.reject((yield* opened(no))[0]!.id)
      yield* equal("the result", yield* no.result, "no, undefined, undefined")
    }),

  "an answer that comes at the wrong time, to nobody or of the wrong kind is a typed error": () =>
    Effect.gen(function* () {
      const execution = yield* start(asks, "Deploy?")
      const [request] = yield* opened(execution)
      const unknown = yield* failsWith("an unknown request", "RequestNotFound", execution.approve("nope"))
      yield* equal("the error", [unknown.requestId, unknown.executionId], ["nope", execution.id])
      yield* failsWith("a value", "InvalidAnswer", execution.answer(request!.id, 1))
      yield* equal("what is open", (yield* execution.requests).length, 1)
      yield* execution.approve(request!.id)
      const late = yield* failsWith("a late answer", "RequestSettled", execution.reject(request!.id))
      yield* equal("what became of it", late.outcome, "approved")
      yield* equal("the result", yield* execution.result, "yes, undefined, undefined")
      yield* failsWith("an answer after the end", "RequestSettled", execution.approve(request!.id))
    }),

  "of answers at the same moment one decides, the others are told": () =>
    Effect.gen(function* () {
      const execution = yield* start(asks, "Deploy?")
      const [request] = yield* opened(execution)
      const answers = yield* Effect.forEach(
        ["a", "b", "c", "d", "e"],
        (by, i) =>
          Effect.match(i % 2 === 0 ? execution.approve(request!.id, { by }) : execution.reject(request!.id, { by }), {
            onSuccess: () => by,
            onFailure: (error) => error._tag
          }),
        { concurrency: "unbounded" }
      )
      const winners = answers.filter((answer) => answer.length === 1)
      yield* equal("how many were refused", answers.filter((answer) => answer === "RequestSettled").length, 4)
      const result = yield* execution.result
      yield* holds("the result is the winner's", result.includes(`, ${winners[0]},`), [result, answers])
    }),

  "an approval that nobody gives in time is a no, or a yes if told so": (kit) =>
    Effect.gen(function* () {
      const timed = Workflow.make("timed", {
        output: Schema.Array(Schema.String),
        run: () =>
          Effect.all(
            [
              Effect.map(Execution.waitForApproval("one", { key: "1", timeout: "300 millis" }), say),
              Effect.map(
                Execution.waitForApproval("two", { key: "2", timeout: "300 millis", autoApproveOnTimeout: true }),
                say
              )
            ],
            { concurrency: "unbounded" }
          )
      })
      const execution = yield* start(timed, "")
      const [request] = yield* opened(execution, 2)
      yield* equal("when it expires", request!.expiresAt!.getTime() - request!.createdAt.getTime(), 300)
      yield* kit.pass("300 millis")
      yield* equal("the result", yield* execution.result, ["no, undefined, timeout", "yes, undefined, timeout"])
      const late = yield* failsWith("a late answer", "RequestSettled", execution.approve(request!.id))
      yield* equal("what became of it", late.outcome, "timed-out")
      yield* agrees(execution)
    }),

  "the run's approval options are the defaults of its requests": (kit) =>
    Effect.gen(function* () {
      const twice = Workflow.make("twice", {
        output: Schema.Array(Schema.String),
        run: () =>
          Effect.all([
            Effect.map(Execution.waitForApproval(), say),
            Effect.map(Execution.waitForApproval("now", { approvers: ["alan"] }), say)
          ])
      })
      const execution = yield* start(twice, "", { approval: { approvers: ["ada"], timeout: "1 hour" } })
      const [first] = yield* opened(execution)
      yield* equal("who may answer", (first as ApprovalRequest).approvers, ["ada"])
      yield* holds("there is a message", first!.message.includes("twice"), first!.message)
      yield* kit.pass("1 millis")
      yield* execution.approve(first!.id, { by: "ada" })
      const [second] = yield* opened(execution, 2)
      yield* equal("who may answer", (second as ApprovalRequest).approvers, ["alan"])
      yield* holds("the other default stays", second!.expiresAt !== undefined, second)
      yield* execution.approve(second!.id, { by: "alan" })
      yield* equal("the result", yield* execution.result, ["yes, ada, undefined", "yes, alan, undefined"])
    }),

  "rules that make no sense are InvalidOptions where somebody asks": () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("wrong", {
        run: () => Effect.map(Execution.waitForApproval("?", { approvers: ["ada"], requiredApprovals: 2 }), say)
      })
      const error = yield* failsWith(
        "the result",
        "InvalidOptions",
        Effect.flatMap(start(workflow, ""), (e) => e.result)
      )
      yield* equal("the field", error.field, "approval.requiredApprovals")
    }),

  "many requests at once are answered in any order": () =>
    Effect.gen(function* () {
      const keys = Array.from({ length: 30 }, (_, i) => String(i))
      const wide = Workflow.make("wide", {
        output: Schema.Array(Schema.String),
        run: () =>
          Effect.forEach(
            keys,
            (key) =>
              Effect.map(
                Execution.waitForApproval(`ask ${key}`, { key }),
                (approval) => `${key} ${approval.approvedBy}`
              ),
            { concurrency: "unbounded" }
          )
      })
      const execution = yield* start(wide, "")
      const requests = yield* opened(execution, keys.length)
      yield* equal(
        "the messages, oldest first",
        requests.map((request) => request.message),
        keys.map((key) => `ask ${key}`)
      )
      // 7 and 30 have no common divisor: every request once, in another order.
      const order = keys.map((_, i) => requests[(i * 7) % keys.length]!)
      yield* Effect.forEach(order, (request) => execution.approve(request.id, { by: request.message }), {
        concurrency: "unbounded",
        discard: true
      })
      yield* equal(
        "the result",
        yield* execution.result,
        keys.map((key) => `${key} ask ${key}`)
      )
      yield* equal("how many settled", (yield* eventsOf(execution, "RequestSettled")).length, keys.length)
      yield* agrees(execution)
    }),

  "requests in a loop and in steps have paths of their own": () =>
    Effect.gen(function* () {
      const loop = Workflow.make("loop", {
        run: () =>
          Effect.gen(function* () {
            for (const round of [1, 2]) yield* Execution.waitForApproval(`round ${round}`)
            yield* Step.make("review", { run: Effect.asVoid(Execution.waitForApproval("in a step", { key: "k" })) })
            return "done"
          })
      })
      const execution = yield* start(loop, "")
      for (const n of [1, 2, 3]) yield* execution.approve((yield* opened(execution, n))[0]!.id)
      yield* equal("the result", yield* execution.result, "done")
      yield* equal(
        "the paths",
        (yield* eventsOf(execution, "RequestOpened")).map((event) => event.path),
        ["approval", "approval#2", "review/approval/k"]
      )
    }),

  "a request whose asker is interrupted is withdrawn": (kit) =>
    Effect.gen(function* () {
      const race = Workflow.make("race", {
        run: () =>
          Effect.race(
            Effect.as(Execution.waitForApproval("slow?"), "answered"),
            Step.make("quick", { run: Effect.as(Effect.sleep("20 millis"), "quick") })
          )
      })
      const execution = yield* start(race, "")
      yield* opened(execution)
      yield* kit.pass("20 millis")
      yield* equal("the result", yield* execution.result, "quick")
      yield* equal(
        "the end",
        (yield* eventsOf(execution, "RequestSettled")).map((event) => event.outcome),
        ["withdrawn"]
      )
      yield* agrees(execution)
    }),

  "an approval asked for from outside holds the body at its next step": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("inside", {
        run: () => Effect.andThen(Execution.waitForApproval("inside"), note(log, "work"))
      })
      const execution = yield* start(workflow, "")
      const [inside] = yield* opened(execution)
      const asking = yield* Effect.forkChild(execution.waitForApproval("outside", { approvers: ["ada"] }))
      const requests = yield* opened(execution, 2)
      yield* equal(
        "the requests",
        requests.map((request) => request.message),
        ["inside", "outside"]
      )
      yield* execution.approve(inside!.id)
      yield* Effect.repeat(Effect.yieldNow, { times: 20 })
      yield* equal("what was done", log, [])
      yield* equal("the status", yield* execution.status, "awaiting")
      yield* execution.reject(requests[1]!.id, { by: "ada" })
      const approval = yield* Fiber.join(asking)
      yield* equal("what the asker got", say(approval), "no, ada, undefined")
      yield* equal("the result", yield* execution.result, "work")
      yield* agrees(execution)
    }),

  "who asks from outside is told when the run settles first": () =>
    Effect.gen(function* () {
      const execution = yield* start(asks, "inside")
      yield* opened(execution)
      const asking = yield* Effect.forkChild(execution.waitForApproval("outside"))
      yield* opened(execution, 2)
      yield* execution.cancel()
      yield* failsWith("the approval", "RunSettled", Fiber.join(asking))
      yield* agrees(execution)
    })
}

const Form = Schema.Struct({ at: Schema.NumberFromString, size: Schema.Int })

class Machine extends Schema.Class<Machine>("effect-baton/testing/engine/Machine")({ name: Schema.String }) {}

const fills = Workflow.make("fills", { output: Form, run: () => Execution.waitForInput("When, and how big?", Form) })

export const inputs: Checks = {
  "an input is decoded by its schema": () =>
    Effect.gen(function* () {
      const execution = yield* start(fills, "")
      const [request] = yield* opened(execution)
      yield* equal(
        "the request",
        [request!._tag, request!.message, request!.path],
        ["Input", "When, and how big?", "input"]
      )
      yield* equal("the status", yield* execution.status, "awaiting")
      yield* execution.answer(request!.id, { at: "1", size: 3 }, { by: "ada" })
      yield* equal("the result", yield* execution.result, { at: 1, size: 3 })
      const [answered] = yield* eventsOf(execution, "RequestAnswered")
      yield* equal("the answer", [answered?.by, answered?.approved], ["ada", undefined])
      yield* equal(
        "the end",
        (yield* eventsOf(execution, "RequestSettled")).map((event) => event.outcome),
        ["answered"]
      )
      yield* agrees(execution)
    }),

  "an answer that does not decode is InvalidAnswer, and the request stays open": () =>
    Effect.gen(function* () {
      const execution = yield* start(fills, "")
      const [request] = yield* opened(execution)
      const id = request!.id
      const error = yield* failsWith("a wrong field", "InvalidAnswer", execution.answer(id, { at: "0", size: "big" }))
      yield* equal("the error", [error.requestId, error.field, error.value], [id, "size", '"big"'])
      yield* failsWith("another kind of value", "InvalidAnswer", execution.answer(id, undefined))
      yield* failsWith("a yes", "InvalidAnswer", execution.approve(id))
      yield* failsWith("a no", "InvalidAnswer", execution.reject(id))
      yield* equal(
        "what is open",
        (yield* execution.requests).map((open) => open.id),
        [id]
      )
      yield* execution.answer(id, { at: "0", size: 1 })
      yield* failsWith("a second answer", "RequestSettled", execution.answer(id, { at: "0", size: 2 }))
      yield* equal("the result", (yield* execution.result).size, 1)
    }),

  "the JSON Schema of an input stands on its own": () =>
    Effect.gen(function* () {
      const workflow = Workflow.make("form", {
        output: Schema.Unknown,
        run: () =>
          Execution.waitForInput("Which?", Schema.Struct({ machines: Schema.Array(Machine), size: Schema.Int }))
      })
      const execution = yield* start(workflow, "")
      const [request] = yield* opened(execution)
      const { jsonSchema } = request as InputRequest
      const { names, refs } = references(jsonSchema, { refs: new Set(), names: new Set() })
      yield* equal(
        "references to what is not there",
        [...refs].filter((ref) => !names.has(ref)),
        []
      )
      yield* holds("it names the fields", JSON.stringify(jsonSchema).includes('"machines"'), jsonSchema)
      yield* execution.cancel()
    }),

  "an answer that fits the request's JSON Schema is accepted": () =>
    Effect.gen(function* () {
      const Stay = Schema.Struct({ from: Schema.Date, rooms: Schema.Array(Machine) })
      const workflow = Workflow.make("stay", { output: Stay, run: () => Execution.waitForInput("When?", Stay) })
      const execution = yield* start(workflow, "")
      const [request] = yield* opened(execution)
      // Its JSON Schema says that a date is text.
      yield* execution.answer(request!.id, { from: "1970-01-01T00:00:00.001Z", rooms: [{ name: "a" }] })
      const { from, rooms } = yield* execution.result
      yield* equal("the result", [from.getTime(), rooms[0] instanceof Machine, rooms[0]?.name], [1, true, "a"])
    }),

  "an input that nobody gives in time is InputTimedOut": (kit) =>
    Effect.gen(function* () {
      const workflow = Workflow.make("timed", {
        run: () =>
          Execution.waitForInput("Name?", Schema.String, { timeout: "300 millis" }).pipe(
            Effect.catchTag("InputTimedOut", (error) =>
              Effect.succeed(error.afterMillis >= 295 ? "nobody" : "too early")
            )
          )
      })
      const execution = yield* start(workflow, "")
      const [request] = yield* opened(execution)
      yield* kit.pass("300 millis")
      yield* equal("the result", yield* execution.result, "nobody")
      yield* failsWith("a late answer", "RequestSettled", execution.answer(request!.id, "ada"))
    }),

  "an input asked for from outside comes back typed, and holds the body": () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const workflow = Workflow.make("inside", {
        run: () => Effect.andThen(Execution.waitForApproval("inside"), note(log, "work"))
      })
      const execution = yield* start(workflow, "")
      const [inside] = yield* opened(execution)
      const asking = yield* Effect.forkChild(execution.waitForInput("outside", Form))
      const requests = yield* opened(execution, 2)
      yield* execution.approve(inside!.id)
      yield* reached(execution, "RequestSettled")
      yield* equal("what was done", log, [])
      yield* execution.answer(requests[1]!.id, { at: "0", size: 2 })
      yield* equal("what the asker got", yield* Fiber.join(asking), { at: 0, size: 2 })
      yield* equal("the result", yield* execution.result, "work")
    })
}
