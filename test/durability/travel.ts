// Many journeys at once, people who answer at random moments, and what must be true of it all in the end.
import { assert } from "@effect/vitest"
import { Cause, Clock, type Duration, Effect, Random, Stream } from "effect"
import type { SqlClient } from "effect/sql"
import { Engine, type Execution } from "effect-baton"
import { type Line, type Stage, watched } from "./journey.ts"

const now = Clock.currentTimeMillis

const kinds = ["approval", "quorum", "input", "sleep", "pause"] as const

/** Journeys with four waits each. */
export const plans = (count: number): Effect.Effect<ReadonlyMap<string, ReadonlyArray<Stage>>> =>
  Effect.map(
    Effect.forEach(Array.from({ length: count }), () =>
      Effect.forEach(Array.from({ length: 4 }), () =>
        Effect.map(Effect.all([Random.choice(kinds), Random.nextIntBetween(50, 1500)]), ([wait, millis]) => ({
          wait,
          millis
        }))
      )
    ),
    (all) => new Map(all.map((stages, i) => [`run-${i}`, stages]))
  )

/** Does again what a process or a database that was away did not do; what was done after all is not an error then. */
const insist = <R>(effect: Effect.Effect<unknown, unknown, R>): Effect.Effect<void, never, R> =>
  Effect.catchCause(Effect.asVoid(effect), (cause) =>
    ["RequestSettled", "AlreadyAnswered"].includes((Cause.squash(cause) as { readonly _tag?: string })._tag ?? "")
      ? Effect.void
      : Effect.andThen(Effect.sleep("100 millis"), insist(effect))
  )

const millis = (least: number, most: number) => Effect.flatMap(Random.nextIntBetween(least, most), Effect.sleep)

/** Once it was paused so often: a pause that is asked for may come after an answer that its owner is just taking up. */
const paused = (execution: Execution.Execution<unknown, unknown>, times: number) =>
  execution.events.pipe(
    Stream.filter((event) => event._tag === "Paused"),
    Stream.take(times),
    Stream.runDrain
  )

/**
 * Answers what is asked until every journey has ended; gives when each wait was over for those who answered, by run and
 * stage.
 */
export const people = (plans: ReadonlyMap<string, ReadonlyArray<Stage>>, over: Map<string, number>) =>
  Effect.gen(function* () {
    const seen = new Set<string>()
    const attend = Effect.fnUntraced(function* (id: string) {
      const execution = yield* Engine.get(id)
      for (const { id: request, message } of yield* execution.requests) {
        if (seen.has(request)) continue
        seen.add(request)
        const [wait, n] = message.slice(0, -1).split(" ")
        const pauses = plans.get(id)!.filter((stage, i) => i <= Number(n) && stage.wait === "pause").length
        const last = (said: Effect.Effect<unknown, unknown>) =>
          Effect.flatMap(now, (time) => {
            over.set(`${id} ${n}`, time)
            return insist(said)
          })
        const said = Effect.gen(function* () {
          yield* millis(10, 1500)
          switch (wait) {
            case "input":
              return yield* last(execution.answer(request, Number(n), { by: "ada" }))
            case "quorum":
              yield* insist(execution.approve(request, { by: "eve" }))
              yield* millis(0, 200)
              return yield* last(execution.approve(request, { by: "ada" }))
            case "pause":
              yield* insist(execution.pause)
              yield* insist(paused(execution, pauses))
              yield* insist(execution.approve(request, { by: "ada" }))
              yield* millis(10, 800)
              return yield* last(execution.resume)
            default:
              return yield* last(execution.approve(request, { by: "ada" }))
          }
        })
        yield* Effect.forkScoped(said)
      }
    })
    for (;;) {
      // They look into their inbox, as a page that shows it would.
      const runs = yield* Engine.list().pipe(Effect.catchDefect(() => Effect.succeed(undefined)))
      if (runs !== undefined) {
        const left = runs.filter((run) => run.settledAt === undefined)
        if (runs.length === plans.size && left.length === 0) return
        for (const { id, status } of left) if (status === "awaiting") yield* insist(attend(id))
      }
      yield* Effect.sleep("100 millis")
    }
  }).pipe(Effect.scoped)

/** What every journey must have come to, and the longest that one stood still when it could have gone on. */
export const verify = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  plans: ReadonlyMap<string, ReadonlyArray<Stage>>,
  notes: ReadonlyMap<string, ReadonlyArray<Line>>,
  over: ReadonlyMap<string, number>
) {
  let twice = 0
  let overlap = 0
  let stall = { millis: 0, where: "" }
  for (const [id, stages] of plans) {
    const execution = yield* Effect.orDie(Engine.get(id))
    const events = yield* Stream.runCollect(execution.events)
    assert.deepStrictEqual(
      events.map((event) => event.sequence),
      events.map((_, i) => i + 1),
      id
    )
    const output = (yield* Effect.orDie(execution.result)) as ReadonlyArray<string>
    const expected: Array<string> = []
    const timers = yield* Effect.orDie(
      sql.unsafe<{ due: string; state: string }>(
        `SELECT due, state FROM baton_timers WHERE execution_id = '${id}' ORDER BY due`
      )
    )
    let sleeps = 0
    for (let n = 0; n <= stages.length; n++) {
      const lines = notes.get(`${id} ${n}`) ?? []
      const ends = events.filter((event) => event._tag === "StepCompleted" && event.path === `work/${n}`)
      assert.strictEqual(ends.length, 1, `${id} work/${n}`)
      // What was cut off may have run more than once, but nothing ran once its end was recorded; where a run moves from
      // a process that lives, both may be at it for a moment.
      const recorded = lines.find(({ token }) => output.includes(token))
      assert.isDefined(recorded, `${id} work/${n}`)
      expected.push(recorded.token)
      twice += lines.length - 1
      const late = Math.max(...lines.map(({ time }) => time)) - ends[0].time.getTime()
      if (late > overlap) overlap = late
      assert.isBelow(late, 1000, `${id} work/${n} ran again after its end was recorded`)
      const wait = stages[n]?.wait
      if (wait === "input") expected.push(String(n))
      else if (wait !== undefined && wait !== "sleep") expected.push("ada")
      if (n === 0) continue
      const before = stages[n - 1]
      // A timer of Node may end a millisecond before its time.
      const from = before.wait === "sleep" ? Number(timers[sleeps++].due) - 2 : over.get(`${id} ${n - 1}`)
      assert.isDefined(from, `${id} ${n - 1}`)
      // What a process began that had lost the run does not count.
      const begun = lines.find(({ time }) => time >= from)
      assert.isDefined(
        begun,
        `${id} work/${n} began too early after its ${before.wait}, at ${lines.map(({ time }) => time - from)}`
      )
      const millis = begun.time - from
      if (millis > stall.millis) stall = { millis, where: `${id} after its ${before.wait} ${n - 1}` }
    }
    assert.deepStrictEqual(output, expected, id)
    assert.strictEqual(timers.length, stages.filter(({ wait }) => wait === "sleep").length)
  }
  return { twice, overlap, stall }
})

/** Begins the journeys, a few at a time. */
export const depart = (plans: ReadonlyMap<string, ReadonlyArray<Stage>>) =>
  Effect.forEach(plans, ([id, stages]) => insist(Effect.flatMap(watched.run(stages, { id }), (run) => run.submit)), {
    concurrency: 4,
    discard: true
  })

/** Fails when nothing at all has happened for so long, and says what has not ended, with all that could be a reason. */
export const stalled = (sql: SqlClient.SqlClient, patience: Duration.Input) =>
  Effect.gen(function* () {
    const happened = Effect.map(
      Effect.orDie(sql.unsafe<{ n: number }>(`SELECT COUNT(*)::int AS n FROM baton_events`)),
      ([{ n }]) => n
    )
    for (let before = -1, n = 0; before !== n; ) {
      before = n
      yield* Effect.sleep(patience)
      n = yield* happened
    }
    const ask = (text: string) =>
      Effect.map(Effect.orDie(sql.unsafe(text)), (rows) =>
        JSON.stringify(rows, (_, value) => (typeof value === "bigint" ? Number(value) : value), 1)
      )
    return yield* Effect.die(
      new Error(
        [
          yield* ask(
            `SELECT id, status, wake_at, epoch, paused, held, crashes, (SELECT STRING_AGG(tag || ' ' || path, ', ' ORDER BY sequence) FROM
             (SELECT * FROM baton_events WHERE execution_id = r.id ORDER BY sequence DESC LIMIT 5) e) AS newest
             FROM baton_runs r WHERE settled_at IS NULL LIMIT 20`
          ),
          yield* ask(`SELECT * FROM baton_signals LIMIT 20`),
          yield* ask(
            `SELECT q.id, execution_id, path, q.outcome, message FROM baton_requests q JOIN baton_runs r ON r.id = execution_id
             WHERE settled_at IS NULL LIMIT 20`
          ),
          yield* ask(`SELECT * FROM baton_cluster_runners`),
          yield* ask(`SELECT address, COUNT(*)::int AS n FROM baton_cluster_locks GROUP BY address`)
        ].join("\n")
      )
    )
  })
