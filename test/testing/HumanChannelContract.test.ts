import { describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { HumanChannel, type HumanRequest } from "effect-baton"
import { HumanChannelContract } from "effect-baton/testing"

const inbox: HumanChannelContract.Setup = {
  channel: HumanChannel.inbox,
  approve: ({ execution, request }, reason) => execution.approve(request.id, { reason }),
  reject: ({ execution, request }, reason) => execution.reject(request.id, { reason }),
  answer: ({ execution, request }, value) => execution.answer(request.id, value)
}

/** A page of cards with buttons: as long as a request is delivered its card is there, and only then. */
const page = Effect.sync((): HumanChannelContract.Setup => {
  const cards = new Map<string, Deferred.Deferred<HumanChannel.Answers>>()
  const card = ({ id }: HumanRequest.HumanRequest) => {
    let deferred = cards.get(id)
    if (deferred === undefined) cards.set(id, (deferred = Deferred.makeUnsafe()))
    return deferred
  }
  return {
    channel: {
      deliver: (request, answers) => Effect.andThen(Deferred.succeed(card(request), answers), Effect.never)
    },
    approve: ({ request }, reason) => Effect.flatMap(Deferred.await(card(request)), (card) => card.approve({ reason })),
    reject: ({ request }, reason) => Effect.flatMap(Deferred.await(card(request)), (card) => card.reject({ reason })),
    answer: ({ request }, value) => Effect.flatMap(Deferred.await(card(request)), (card) => card.answer(value))
  }
})

describe("the inbox", () => {
  for (const check of HumanChannelContract.make(Effect.succeed(inbox))) it.effect(check.name, () => check.effect)
})

describe("a channel that stays until it is withdrawn", () => {
  for (const check of HumanChannelContract.make(page)) it.effect(check.name, () => check.effect)
})

describe("two channels in one", () => {
  const both = Effect.map(page, (page) => ({ ...page, channel: HumanChannel.all([HumanChannel.inbox, page.channel]) }))
  for (const check of HumanChannelContract.make(both)) it.effect(check.name, () => check.effect)
})
