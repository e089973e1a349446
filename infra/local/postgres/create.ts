import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { move, replaceFile } from '../../lib/atomic-file.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import type { DatabaseAccess } from '../../platform/databases.ts';
import {
  applicationDatabase,
  passwordStatement,
  privilegeStatements,
  roleStatements,
} from '../../application/roles.ts';
import { postgresPath, toolPath } from '../../lib/tools.ts';
import { endsWithParent, isAlive } from '../../lib/lifetimes.ts';
import { linkTablespaces, tablespacesOf } from './base-backup.ts';
import { programFor } from './programs.ts';
import { hostBasedAuthentication, serverSettings } from './settings.ts';
import { runSingleUser } from './single-user.ts';
import { serverUser, unprivileged } from './unprivileged.ts';

/** A PostgreSQL cluster with the application's database and roles. */
export interface ClusterSpec {
  /** Absolute path of the directory with settings, certificate and, in `data/`, the data. */
  directory: string;
  /** On 127.0.0.1. */
  port: number;
  /** For example `production-blue`. Process lists show it. */
  name: string;
  /** Directory with `ca.pem`, `server.crt`, `server.key`. */
  certificates: string;
  maxConnections: number;
  /** Major version of PostgreSQL of a cluster that is made; one that is there keeps its own. Absent: that of the programs in use. */
  version?: number | undefined;
  passwords: { admin: string; owner: string; app: string };
}

/** A command to run without a shell. It inherits only PATH. */
export interface ServerCommand {
  argv: string[];
  env: Record<string, string>;
  /** Working directory, which the server's user must be able to enter. */
  cwd: string;
}

/** Marks a directory as a Greenlight cluster and has the cluster's name. */
export const markerFile = 'greenlight-cluster.json';
/** Fixed, so that the collation does not depend on the machine. macOS has no C.UTF-8. */
const locale = process.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8';

export const dataDirectory = (spec: Pick<ClusterSpec, 'directory'>): string => join(spec.directory, 'data');

/** How clients reach the cluster. */
export const clusterAccess = (spec: ClusterSpec): DatabaseAccess => ({
  host: '127.0.0.1',
  port: spec.port,
  database: applicationDatabase,
  caFile: join(spec.certificates, 'ca.pem'),
  admin: { user: 'admin', password: spec.passwords.admin },
  owner: { user: 'owner', password: spec.passwords.owner },
  app: { user: 'app', password: spec.passwords.app },
});

/**
 * Creates the cluster with its database and roles, without starting it. An existing cluster keeps its data and
 * passwords and gets new settings (port, connections, certificate), which take effect at its next start. Rejects
 * without changing anything if the directory contains something else, such as another or an incomplete cluster.
 * `durable: false` skips flushing the new files, for temporary clusters.
 */
export async function createCluster(spec: ClusterSpec, options: { durable?: boolean } = {}): Promise<void> {
  const there = await clusterName(spec.directory);
  if (there !== undefined) {
    if (there !== spec.name) throw isAnother(`creating the database cluster ${spec.name}`, spec.directory, there);
    await writeSettings(spec, spec.directory);
    return;
  }
  await layOut(spec, async (data) => {
    await initialise(spec, data, options.durable ?? true);
    await runSingleUser(data, 'postgres', [
      passwordStatement('admin', spec.passwords.admin),
      ...roleStatements(spec.passwords),
      `CREATE DATABASE ${applicationDatabase}`,
    ]);
    await runSingleUser(data, applicationDatabase, privilegeStatements());
  });
}

/**
 * Creates the cluster's directory with settings, certificate and the data that `fill` writes into an empty directory of
 * the server's user. Atomic: it is built under another name and then renamed.
 */
export async function layOut(spec: ClusterSpec, fill: (data: string) => Promise<void>): Promise<void> {
  await refuseForeign(spec);
  await makeAside(spec, fill, async (work) => {
    await refuseForeign(spec);
    await move(work, spec.directory);
  });
}

/**
 * As `layOut`, in the place of the whole cluster of that name. `stop` is called when the new one is whole, and ends the server of
 * the old one. If this program is killed between two renames, there is no cluster: `layOut` makes one.
 */
export async function layOutInstead(
  spec: ClusterSpec,
  fill: (data: string) => Promise<void>,
  stop: () => Promise<void>,
): Promise<void> {
  const { directory } = spec;
  await makeAside(spec, fill, async (work) => {
    if (!(await isOwn(spec))) throw new Error(`${directory} is gone`);
    await stop();
    const old = doomed(directory);
    await move(directory, old);
    await move(work, directory).catch(async (error: unknown) => {
      await move(old, directory);
      throw error;
    });
    await rm(old, { recursive: true, force: true });
  });
}

/** Makes a whole cluster aside and calls `place`, which gives it its name. */
async function makeAside(
  spec: ClusterSpec,
  fill: (data: string) => Promise<void>,
  place: (work: string) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(spec.directory), { recursive: true, mode: 0o700 });
  await removeAbandoned(spec.directory);
  const work = await mkdtemp(`${spec.directory}.new-${process.pid}-`);
  try {
    const data = join(work, 'data');
    await mkdir(data, { mode: 0o700 });
    await giveToServer(work);
    await giveToServer(data);
    await fill(data);
    await linkTablespaces(data, tablespacesOf(dataDirectory(spec)));
    await writeSettings(spec, work);
    await replaceFile(join(work, markerFile), `${JSON.stringify({ cluster: spec.name })}\n`, { mode: 0o644 });
    await place(work);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    if (error instanceof OperationError) throw error;
    throw cannotCreate(spec, (error as Error).message, error);
  }
}

/** Rejects if the directory has any content, because it may be a database that lost its marker file. */
async function refuseForeign({ directory, name }: ClusterSpec): Promise<void> {
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (entries.length === 0) return;
  const hasData = await exists(join(directory, 'data', 'PG_VERSION'));
  throw new OperationError(
    `creating the database cluster ${name}`,
    `${directory} exists and is not a complete Greenlight cluster: ${hasData ? `it has PostgreSQL data, but no ${markerFile}` : 'data/PG_VERSION is missing'}`,
    `nothing was changed. If it is the database, restore the missing file (${markerFile} has the line {"cluster":"${name}"}); if it is not needed, move it away; then repeat`,
  );
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Deletes directories beside `directory` whose creation or deletion was interrupted because the program ended. */
async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await readdir(dirname(directory)).catch(() => [])) {
    const owner = /\.(?:new|deleted)-(\d+)-/.exec(name)?.[1];
    if (owner === undefined || !name.startsWith(`${basename(directory)}.`) || isAlive(Number(owner))) continue;
    // Retries, because a child process of that program may still be writing.
    await rm(join(dirname(directory), name), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

/**
 * Command that runs the server in the foreground. Stop it with SIGINT (fast shutdown: rolls back open transactions),
 * never with SIGKILL. `endWithParent`: the server stops when the program that started it ends.
 */
export function serverCommand(
  spec: Pick<ClusterSpec, 'directory'>,
  options: { endWithParent?: boolean } = {},
): ServerCommand {
  const server = [programFor(dataDirectory(spec), 'postgres'), '-D', spec.directory];
  return {
    argv: unprivileged(options.endWithParent === true ? endsWithParent(server, 'INT') : server, spec.directory),
    env: { LC_ALL: 'C', TZ: 'UTC' },
    cwd: '/',
  };
}

/**
 * Deletes the cluster, which must not be running, and its interrupted copies beside it. No-op if it does not exist. Rejects as
 * `isOwn` does.
 */
export async function deleteCluster(spec: OwnCluster): Promise<void> {
  const { directory } = spec;
  await removeAbandoned(directory);
  if (!(await isOwn(spec))) return;
  // Renamed first, so that a crash during deletion does not leave an incomplete cluster at the original path.
  const old = doomed(directory);
  await move(directory, old);
  await rm(old, { recursive: true, force: true });
}

/** Name of a cluster's directory while it is deleted: `removeAbandoned` knows it. */
export const doomed = (directory: string): string => `${directory}.deleted-${process.pid}-${Date.now()}`;

/** A cluster to delete. `name`: the name that its marker file must have. */
export type OwnCluster = Pick<ClusterSpec, 'directory'> & { name?: string };

/** False if the directory does not exist. Rejects if it is not a complete Greenlight cluster or has another name. */
export async function isOwn({ directory, name }: OwnCluster): Promise<boolean> {
  if (!(await exists(directory))) return false;
  const doing = `deleting the database cluster ${directory}`;
  const there = await clusterName(directory);
  if (there === undefined) {
    throw new OperationError(
      doing,
      `it has no valid ${markerFile} or no data, so it is not a Greenlight cluster`,
      'check what it is, and delete it by hand if it is not needed',
    );
  }
  if (name !== undefined && there !== name) throw isAnother(doing, directory, there);
  return true;
}

const isAnother = (doing: string, directory: string, there: string): OperationError =>
  new OperationError(
    doing,
    `${directory} contains the cluster ${there}`,
    'nothing was changed; find out why it is there, and move the right cluster to this path',
  );

export const isCluster = async (directory: string): Promise<boolean> => (await clusterName(directory)) !== undefined;

/**
 * Name in the cluster's marker file, such as `production-blue`. Undefined if the marker is missing or there is no data.
 */
export async function clusterName(directory: string): Promise<string | undefined> {
  try {
    await stat(join(directory, 'data', 'PG_VERSION'));
    const { cluster } = JSON.parse(await readFile(join(directory, markerFile), 'utf8')) as { cluster?: unknown };
    return typeof cluster === 'string' ? cluster : undefined;
  } catch {
    return undefined;
  }
}

async function initialise(spec: ClusterSpec, data: string, durable: boolean): Promise<void> {
  // The server does not use the pg_hba.conf that initdb writes. `reject` makes sure that it grants nothing.
  const options = [
    '--username=admin',
    '--auth=reject',
    '--data-checksums',
    '--encoding=UTF8',
    `--locale=${locale}`,
    '--lc-messages=C',
    '--no-instructions',
    ...(durable ? [] : ['--no-sync']),
  ];
  const initdb = spec.version === undefined ? toolPath('initdb') : postgresPath('initdb', spec.version);
  const [command = '', ...args] = unprivileged(endsWithParent([initdb, ...options, '-D', data], 'INT'), data);
  const result = await execa(command, args, {
    ...bareEnvironment({ LC_ALL: 'C' }),
    cwd: '/',
    all: true,
    reject: false,
  });
  if (result.exitCode === 0) return;
  throw cannotCreate(spec, result.all.trim().split('\n').slice(-5).join('\n') || (result.message ?? 'initdb failed'));
}

const cannotCreate = (spec: ClusterSpec, found: string, cause?: unknown): OperationError =>
  new OperationError(
    `creating the database cluster ${spec.name}`,
    found,
    'free disk space or fix permissions, then repeat',
    { cause },
  );

/** Writes settings and certificate into `directory`, for a cluster that will be at `spec.directory`. */
export async function writeSettings(spec: ClusterSpec, directory: string): Promise<void> {
  const at = (file: string): string => join(spec.directory, file);
  const settings = serverSettings({
    port: spec.port,
    name: spec.name,
    maxConnections: spec.maxConnections,
    data: dataDirectory(spec),
    hba: at('pg_hba.conf'),
    certificate: at('server.crt'),
    key: at('server.key'),
  });
  const put = (name: string, content: string | Uint8Array) =>
    replaceFile(join(directory, name), content, { owner: serverUser() });
  await put('postgresql.conf', settings);
  await put('pg_hba.conf', hostBasedAuthentication);
  for (const file of ['server.crt', 'server.key']) await put(file, await readFile(join(spec.certificates, file)));
}

export async function giveToServer(path: string): Promise<void> {
  const user = serverUser();
  if (user !== undefined) await chown(path, user.uid, user.gid);
}
