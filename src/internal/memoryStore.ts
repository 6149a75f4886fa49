/**
 * Records and events of runs in memory.
 *
 * M1  All live runs are kept, and at most `keepSettled` settled ones: those that settled last.
 * M2  Of each run the newest `keepEvents` events are kept; one `EventsDropped` stands for what is gone.
 * M3  A cursor is the place of a run in the order, not a count: it means the same whatever comes or goes.
 */
import type { Event } from "../Event.ts"
import { isSettled } from "../Run.ts"
import type { Filter, Page, Query, RunRecord } from "../services/RunStore.ts"

interface Entry {
  record: RunRecord
  events: Array<Event>
  dropped: Event | undefined
}

/** Whether a run is meant. */
export const fits = ({
  parentId,
  startedBefore,
  startedFrom,
  status,
  tag,
  workflow
}: Filter): ((record: RunRecord) => boolean) => {
  const statuses = status === undefined ? undefined : new Set([status].flat())
  return (record) =>
    (workflow === undefined || record.workflow === workflow) &&
    (statuses === undefined || statuses.has(record.status)) &&
    (tag === undefined || record.tags.includes(tag)) &&
    (parentId === undefined || record.parentId === parentId) &&
    (startedFrom === undefined || record.startedAt >= startedFrom) &&
    (startedBefore === undefined || record.startedAt < startedBefore)
}

/** Where a run stands in the order of pages: the latest start first, then the greatest id. */
interface Place {
  readonly millis: number
  readonly id: string
}

const placeOf = (record: RunRecord): Place => ({ millis: record.startedAt.getTime(), id: record.id })

const compare = (a: Place, b: Place): number =>
  b.millis !== a.millis ? b.millis - a.millis : a.id === b.id ? 0 : a.id < b.id ? 1 : -1

const toCursor = ({ id, millis }: Place): string => `${millis}.${id}`

const fromCursor = (cursor: string): Place | undefined => {
  const dot = cursor.indexOf(".")
  const millis = cursor.slice(0, Math.max(dot, 0))
  return /^-?\d+$/.test(millis) ? { millis: Number(millis), id: cursor.slice(dot + 1) } : undefined
}

export class MemoryStore {
  private readonly runs = new Map<string, Entry>()
  /** Ids of settled runs, the first to settle first. */
  private readonly settled = new Set<string>()
  private readonly keepSettled: number
  private readonly keepEvents: number

  constructor(keepSettled: number, keepEvents: number) {
    this.keepSettled = keepSettled
    this.keepEvents = keepEvents
  }

  put(record: RunRecord): void {
    const entry = this.runs.get(record.id)
    if (entry === undefined) this.runs.set(record.id, { record, events: [], dropped: undefined })
    else entry.record = record
    if (!isSettled(record.status)) {
      this.settled.delete(record.id)
      return
    }
    this.settled.add(record.id)
    for (const id of this.settled) {
      if (this.settled.size <= this.keepSettled) break
      // What was just put gets its last events next.
      if (id !== record.id) this.remove(id)
      else break
    }
  }

  append(id: string, events: ReadonlyArray<Event>): boolean {
    const entry = this.runs.get(id)
    if (entry === undefined) return false
    const gone = entry.dropped?.sequence ?? 0
    for (const event of events) if (event.sequence > gone) insert(entry.events, event)
    const surplus = entry.events.length - this.keepEvents
    // Dropping a quarter at a time keeps the cost of an append constant.
    if (surplus > this.keepEvents / 4) this.drop(entry, surplus)
    return true
  }

  private drop(entry: Entry, surplus: number): void {
    const last = entry.events[surplus - 1]!
    entry.dropped = {
      _tag: "EventsDropped",
      sequence: last.sequence,
      time: last.time,
      path: "",
      dropped: last.sequence
    }
    entry.events.splice(0, surplus)
  }

  get(id: string): RunRecord | undefined {
    return this.runs.get(id)?.record
  }

  find(query: Query, limit: number): Page | undefined {
    const after = query.cursor === undefined ? undefined : fromCursor(query.cursor)
    if (query.cursor !== undefined && after === undefined) return undefined
    const isMeant = fits(query)
    const found = [...this.runs.values()]
      .map((entry) => entry.record)
      .filter((record) => isMeant(record) && (after === undefined || compare(after, placeOf(record)) < 0))
      .sort((a, b) => compare(placeOf(a), placeOf(b)))
    const runs = found.slice(0, limit)
    return found.length <= limit ? { runs } : { runs, cursor: toCursor(placeOf(runs[limit - 1]!)) }
  }

  events(id: string, from: number, limit: number): ReadonlyArray<Event> | undefined {
    const entry = this.runs.get(id)
    if (entry === undefined) return undefined
    const surplus = entry.events.length - this.keepEvents
    if (surplus > 0) this.drop(entry, surplus)
    const { dropped, events } = entry
    const kept = events.slice(indexOf(events, from))
    return (dropped !== undefined && from <= dropped.sequence ? [dropped, ...kept] : kept).slice(0, limit)
  }

  remove(id: string): void {
    this.runs.delete(id)
    this.settled.delete(id)
  }
}

/** The index of the first event with this number or a later one. */
const indexOf = (events: ReadonlyArray<Event>, sequence: number): number => {
  let [low, high] = [0, events.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (events[middle]!.sequence < sequence) low = middle + 1
    else high = middle
  }
  return low
}

const insert = (events: Array<Event>, event: Event): void => {
  const newest = events[events.length - 1]
  if (newest === undefined || newest.sequence < event.sequence) {
    events.push(event)
    return
  }
  const at = indexOf(events, event.sequence)
  if (events[at]!.sequence !== event.sequence) events.splice(at, 0, event)
}
