// One PostgreSQL for all tests of a run, started by the first that asks for it and stopped when all have ended: tests
// that need none do not wait for it.
import { createServer } from "node:net"

export default async function setup() {
  let started: Promise<{ readonly url: string; readonly stop: () => Promise<void> }> | undefined
  const start = async () => {
    const [{ Effect, Exit, Scope }, { start }] = await Promise.all([
      import("effect"),
      import("../durability/postgres.ts")
    ])
    const scope = Scope.makeUnsafe()
    const url = await Effect.runPromise(Scope.provide(start, scope))
    return { url, stop: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
  }
  const server = createServer((socket) => {
    socket.on("error", () => {})
    started ??= start()
    started.then(
      ({ url }) => socket.end(JSON.stringify({ url })),
      (error) => socket.end(JSON.stringify({ error: String(error?.message ?? error) }))
    )
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // The processes that run tests have the environment of this one.
  process.env.BATON_TEST_POSTGRES = String((server.address() as { readonly port: number }).port)
  return async () => {
    server.close()
    await (await started?.catch(() => undefined))?.stop()
  }
}
