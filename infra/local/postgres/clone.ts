import { chown, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { databaseUrl } from '../../application/database-url.ts';
import { dropOrigins, dropOwnReplication } from '../../application/drop-replication.ts';
import { identityStatement } from '../../application/identity.ts';
import { applicationDatabase, passwordStatement, revokeWrites } from '../../application/roles.ts';
import { hasCode, messageOf, OperationError } from '../../lib/errors.ts';
import { freePorts } from '../../lib/free-ports.ts';
import { poll } from '../../lib/poll.ts';
import type { CloneOptions, DatabaseAccess } from '../../platform/databases.ts';
import { checkSpace, copyCluster, inspect, keepLog, reasonOf, settingsToRecover, type Source } from './base-backup.ts';
import { dataDirectory, saysReady, serverLog, startServer, stopCluster, waitUntilReady } from './cluster.ts';
import { clusterAccess, createCluster, isCluster, layOutInstead, writeSettings, type ClusterSpec } from './create.ts';
import { endPrepared } from './prepared.ts';
import { versionOf } from './programs.ts';
import { recoverySettings } from './settings.ts';
import { runSingleUser } from './single-user.ts';
import { serverUser, unprivileged } from './unprivileged.ts';

/**
 * A cluster as a physical copy of another one that runs, as pg_createsubscriber of PostgreSQL 17 makes it: the files, then
 * all of the write-ahead log up to the LSN at which a logical slot begins.
 */

/** Starts and stops the server of a cluster. Both may be repeated. */
export interface ServerControl {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** After a crash the server replays its log before it answers, ms. */
const readyMs = 60_000;
/** The recovery replays at least something in this time, or it hangs, ms. */
const stalledMs = 120_000;
const pollMs = 50;
/** A port can be taken between being found free and being used. */
const portAttempts = 3;

/** As `Databases.clone` says. `to`: the cluster as it is and will be again. */
export async function cloneCluster(
  from: DatabaseAccess,
  to: ClusterSpec,
  server: ServerControl,
  options: CloneOptions,
): Promise<void> {
  const doing = `copying the database on port ${from.port} to ${to.name}`;
  const explain = (error: unknown): never => {
    if (error instanceof OperationError) throw error;
    const todo = 'put that right, then repeat: what was begun is removed';
    throw new OperationError(doing, reasonOf(error), todo, { cause: error });
  };
  const run = async (): Promise<void> => {
    await server.start();
    await waitUntilReady(clusterAccess(to), readyMs);
  };
  // A program that was killed while it put a copy in place may have left no cluster, or one without a server.
  if (!(await isCluster(to.directory))) await createCluster(to);
  await run();
  await options.mayReplace();
  const keeper = await keepLog(from).catch(explain);
  const signal = AbortSignal.any([keeper.lost, ...(options.signal === undefined ? [] : [options.signal])]);
  const fill = async (data: string): Promise<void> => {
    const source = await inspect(from);
    const own = versionOf(dataDirectory(to));
    if (source.version !== own)
      throw new Error(`it is PostgreSQL ${own}, and the other one ${source.version}: their files differ`);
    const { tablespaces } = source;
    await copyFiles(from, source, data, { ...options, signal });
    const lsn = await options.cutOff();
    // The log of a new tablespace has its path: applying it would write into the directory that the source uses.
    if (!isDeepStrictEqual((await inspect(from)).tablespaces, tablespaces))
      throw new Error('a tablespace was made or dropped during the copy');
    await recover(from, { ...to, directory: dirname(data) }, lsn, keeper.client, signal);
    await makeOwn(to, data, await subscribers(keeper.client));
    await options.mayReplace();
    signal.throwIfAborted();
  };
  let stopped = false;
  const stop = (): Promise<void> => {
    stopped = true;
    return server.stop();
  };
  try {
    await layOutInstead(to, (data) => fill(data).catch(explain), stop);
    await run();
  } catch (error) {
    if (stopped) await run().catch(() => undefined);
    options.signal?.throwIfAborted();
    if (!keeper.lost.aborted) throw error;
    throw new OperationError(
      doing,
      `the session that keeps the source's write-ahead log has ended (${messageOf(keeper.lost.reason)})`,
      'see that the live database runs, and that max_slot_wal_keep_size is above what it logs during the copy; then repeat',
      { cause: error },
    );
  } finally {
    await keeper.client.end().catch(() => undefined);
  }
}

async function copyFiles(
  from: DatabaseAccess,
  source: Source,
  data: string,
  { onProgress, signal }: Pick<CloneOptions, 'onProgress' | 'signal'>,
): Promise<void> {
  await checkSpace(dirname(data), source.bytes);
  await copyCluster(from, source, data, { runAs: (argv) => unprivileged(argv, data), onProgress, signal });
}

/** Applies the log of the source up to `lsn` and ends the server again. `spec`: the copy, at the place where it is made. */
async function recover(
  from: DatabaseAccess,
  spec: ClusterSpec,
  lsn: string,
  source: pg.Client,
  signal: AbortSignal,
): Promise<void> {
  const data = join(spec.directory, 'data');
  const user = serverUser();
  const put = async (name: string, content: string): Promise<void> => {
    const file = join(data, name);
    await rm(file, { force: true });
    await writeFile(file, content, { mode: 0o600 });
    if (user !== undefined) await chown(file, user.uid, user.gid);
  };
  const follower = `greenlight_seed_${process.pid}`;
  const own = await settingsToRecover(data);
  await put(
    'postgresql.auto.conf',
    own + recoverySettings(`${databaseUrl(from, 'admin')}&application_name=${follower}`, lsn),
  );
  await put('standby.signal', '');
  // The recovery ends at the first record after `lsn`. On an idle source that would not come by itself.
  await source.query(`SELECT pg_logical_emit_message(true, 'greenlight', 'seed')`);
  for (let attempt = 1; ; attempt++) {
    const placed = { ...spec, port: (await freePorts(1))[0] as number };
    await writeSettings(placed, placed.directory);
    try {
      await startServer(placed, (pid, ended) =>
        untilPromoted(placed, pid, source, follower, AbortSignal.any([signal, ended])),
      );
      // The copy still has the passwords of the source.
      await endPrepared({ ...clusterAccess(placed), admin: from.admin });
      break;
    } catch (error) {
      if (attempt >= portAttempts || !hasCode(error, 'port-in-use')) throw error;
    }
  }
  await stopCluster(spec);
  await put('postgresql.auto.conf', own);
  await rm(serverLog(spec), { force: true });
}

/** Resolves once the server has left recovery. Rejects if it applies nothing for too long, or when `signal` aborts. */
async function untilPromoted(
  spec: ClusterSpec,
  pid: number | undefined,
  source: pg.Client,
  follower: string,
  signal: AbortSignal,
): Promise<undefined> {
  let seen: string | undefined;
  for (;;) {
    if (await poll(() => saysReady(spec, pid), { everyMs: pollMs, timeoutMs: stalledMs, signal })) return;
    const { rows } = await source.query<{ lsn: string | null }>(
      'SELECT max(replay_lsn)::text AS lsn FROM pg_stat_replication WHERE application_name = $1',
      [follower],
    );
    const lsn = rows[0]?.lsn ?? undefined;
    if (lsn === undefined || lsn === seen)
      throw new Error(
        `the copy has applied nothing of the source's log for ${stalledMs / 1000} s (it is at ${lsn ?? 'its start'})`,
      );
    seen = lsn;
  }
}

/** Databases of the source with a subscription, the application's left out: their copies would connect to the same publishers. */
async function subscribers(source: pg.Client): Promise<string[]> {
  const { rows } = await source.query<{ name: string }>(
    'SELECT DISTINCT datname AS name FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE datname <> $1',
    [applicationDatabase],
  );
  return rows.map(({ name }) => name);
}

/** Takes from the copy what is the source's, before its server starts under its own port. */
async function makeOwn({ name, passwords }: ClusterSpec, data: string, others: string[]): Promise<void> {
  for (const database of others) await runSingleUser(data, database, [...dropOwnReplication]);
  await runSingleUser(data, applicationDatabase, [
    ...dropOwnReplication,
    dropOrigins,
    revokeWrites,
    passwordStatement('admin', passwords.admin),
    passwordStatement('owner', passwords.owner),
    passwordStatement('app', passwords.app),
    identityStatement(applicationDatabase, name),
  ]);
}
