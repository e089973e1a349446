import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, constants, cp, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import pg from 'pg';
import { databaseEnvironment, databaseUrl } from '../../infra/application/database-url.ts';
import { endsWithParent } from '../../infra/lib/lifetimes.ts';
import { serverLog, waitUntilReady, type ClusterSpec } from '../../infra/local/postgres/cluster.ts';
import { dataDirectory, giveToServer, layOut, serverCommand } from '../../infra/local/postgres/create.ts';
import { serverSettings } from '../../infra/local/postgres/settings.ts';
import { runSingleUser } from '../../infra/local/postgres/single-user.ts';
import { serverUser, unprivileged } from '../../infra/local/postgres/unprivileged.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { passwordStatement, sqlIdentifier } from '../../infra/application/roles.ts';
import { toolPath } from '../../infra/lib/tools.ts';
import { copyTemplate } from '../lib/template-cluster.ts';
import { hostRules, parameterLines } from './databases-parameters.ts';

/** The PostgreSQL server behind one emulated DB instance. */
export interface ServerSpec {
  directory: string;
  port: number;
  name: string;
  /** Directory with `ca.pem`, `server.crt`, `server.key`. */
  certificates: string;
  /** Parameters of the DB parameter group, by RDS's names. */
  parameters: Record<string, string>;
  /** Password of `rdsadmin`, the role with which RDS itself logs in. */
  password: string;
}

export interface Master {
  user: string;
  password: string;
  /** DBName: the database to create, if any. */
  database?: string;
}

const startMs = 60_000;
const locale = process.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8';

const access = (spec: ServerSpec): DatabaseAccess => {
  const login = { user: 'rdsadmin', password: spec.password };
  const caFile = join(spec.certificates, 'ca.pem');
  return { host: '127.0.0.1', port: spec.port, database: 'postgres', caFile, admin: login, owner: login, app: login };
};

const asCluster = (spec: ServerSpec): ClusterSpec => ({
  ...spec,
  maxConnections: 100,
  passwords: { admin: '', owner: '', app: '' },
});

/**
 * Creates a cluster with the master user. In RDS the master user is only a member of rds_superuser; in the emulation it
 * is a superuser.
 */
export async function createServer(spec: ServerSpec, { user, password, database }: Master): Promise<void> {
  await layOut(asCluster(spec), async (data) => {
    await copyTemplate('rds', data, initialise);
    const master = sqlIdentifier(user);
    await runSingleUser(data, 'postgres', [
      passwordStatement('rdsadmin', spec.password),
      ...['rds_superuser', 'rds_replication', 'rds_password'].map((role) => `CREATE ROLE ${role} NOLOGIN`),
      `CREATE ROLE ${master} LOGIN SUPERUSER CREATEROLE CREATEDB REPLICATION`,
      passwordStatement(user, password),
      `GRANT rds_superuser, rds_replication TO ${master} WITH ADMIN OPTION`,
      ...(database === undefined ? [] : [`CREATE DATABASE ${sqlIdentifier(database)} OWNER ${master}`]),
    ]);
  });
}

async function initialise(data: string): Promise<void> {
  const options = [
    '--username=rdsadmin',
    '--auth=reject',
    '--data-checksums',
    '--encoding=UTF8',
    `--locale=${locale}`,
    '--lc-messages=C',
    '--no-instructions',
    '--no-sync',
  ];
  await mkdir(data, { mode: 0o700 });
  await giveToServer(data);
  await run(unprivileged(endsWithParent([toolPath('initdb'), ...options, '-D', data], 'INT'), data));
}

/**
 * Creates a cluster from the files of a base backup. As in RDS, roles, passwords and subscriptions stay as they were.
 */
export async function restoreServer(spec: ServerSpec, backup: string): Promise<void> {
  await layOut(asCluster(spec), async (data) => {
    await cp(backup, data, { recursive: true, mode: constants.COPYFILE_FICLONE });
    await writeFile(join(data, 'postgresql.auto.conf'), '');
    await rm(join(data, 'backup_manifest'), { force: true });
    const user = serverUser();
    if (user !== undefined) await execa('chown', ['-R', `${user.uid}:${user.gid}`, data]);
    await runSingleUser(data, 'postgres', [passwordStatement('rdsadmin', spec.password)]);
  });
}

/** Starts the server with the parameters of `spec` and waits until it answers. It ends with this program. */
export async function startServer(spec: ServerSpec): Promise<void> {
  await writeSettings(spec);
  const server = serverCommand(spec, { endWithParent: true });
  const log = await open(serverLog(spec), 'a', 0o600);
  const [command = '', ...args] = server.argv;
  const env = { PATH: process.env['PATH'], ...server.env };
  const child = spawn(command, args, { cwd: server.cwd, env, detached: true, stdio: ['ignore', log.fd, log.fd] });
  const ended = new Promise<Error>((resolve) => {
    child.once('error', resolve);
    child.once('exit', (code) => resolve(new Error(`the server ended with ${code ?? 'a signal'}`)));
  });
  await log.close();
  child.unref();
  const abort = new AbortController();
  const ready = (async () => {
    while (!(await isReady(spec, child.pid)) && !abort.signal.aborted) await sleep(25);
    await waitUntilReady(access(spec), startMs, abort.signal);
  })();
  const problem = await Promise.race([
    ready.then(
      () => undefined,
      (error: Error) => error,
    ),
    ended,
  ]);
  abort.abort();
  if (problem === undefined) return;
  child.kill('SIGINT');
  const said = (await readFile(serverLog(spec), 'utf8').catch(() => '')).trim().split('\n').slice(-3).join('\n');
  throw new Error(`${problem.message}: ${said}`);
}

/** Process id of the server's first process. Undefined if it does not run. */
export function serverPid(spec: ServerSpec): number | undefined {
  try {
    return Number(readFileSync(join(dataDirectory(spec), 'postmaster.pid'), 'utf8').split('\n', 1)[0]);
  } catch {
    return undefined;
  }
}

/** Reads the server's own pid file, because another server may answer on the same port. */
async function isReady(spec: ServerSpec, pid: number | undefined): Promise<boolean> {
  const lines = (await readFile(join(dataDirectory(spec), 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0] === String(pid) && lines[7]?.trim() === 'ready';
}

async function writeSettings(spec: ServerSpec): Promise<void> {
  const at = (name: string) => join(spec.directory, name);
  const known = await knownParameters();
  const base = serverSettings({
    ...asCluster(spec),
    data: dataDirectory(spec),
    hba: at('pg_hba.conf'),
    certificate: at('server.crt'),
    key: at('server.key'),
  });
  // The data need not survive a power cut.
  const settings = `${base}\nfsync = off\n${parameterLines(spec.parameters, known)}`;
  for (const [file, text] of [
    ['postgresql.conf', settings],
    ['pg_hba.conf', hostRules(spec.parameters)],
  ] as const) {
    await writeFile(at(file), text);
    await chmod(at(file), 0o600);
    await giveToServer(at(file));
  }
}

let known: Promise<Set<string>> | undefined;

/** Names of all parameters of this PostgreSQL. */
const knownParameters = (): Promise<Set<string>> =>
  (known ??= run(unprivileged([toolPath('postgres'), '--describe-config'], '/')).then(
    (text) => new Set(text.split('\n').map((line) => line.split('\t')[0] ?? '')),
  ));

export async function setPassword(spec: ServerSpec, user: string, password: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl(access(spec), 'admin') });
  await client.connect();
  try {
    await client.query(passwordStatement(user, password));
  } finally {
    await client.end();
  }
}

/** Makes a base backup of the running server into `target`, as a directory of plain files. */
export async function backUp(spec: ServerSpec, target: string): Promise<void> {
  const options = ['--format=plain', '--wal-method=stream', '--checkpoint=fast', '--no-sync', '--no-password'];
  await run(endsWithParent([toolPath('pg_basebackup'), '--pgdata', target, ...options], 'INT'), {
    ...databaseEnvironment(access(spec), 'admin'),
  });
}

async function run([command = '', ...args]: string[], env: Record<string, string> = {}): Promise<string> {
  const common = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' };
  const { stdout } = await execa(command, args, { cwd: '/', extendEnv: false, env: { ...common, ...env } });
  return stdout;
}
