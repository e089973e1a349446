import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chown, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { childEnvironment } from '../../infra/lib/child-environment.ts';
import { freePorts } from '../../infra/lib/free-ports.ts';
import { poll } from '../../infra/lib/poll.ts';
import { serverUser, unprivileged } from '../../infra/local/postgres/unprivileged.ts';
import { find } from './programs.ts';

/** A PgBouncer in front of one of two servers. */
export interface PgBouncer {
  /** What the application connects to. */
  url: string;
  /** Sends a command to its console. */
  command(text: string): Promise<void>;
  /** Writes the address of another server into its settings, for the next RELOAD. */
  aim(access: DatabaseAccess): Promise<void>;
  stop(): Promise<void>;
}

/** Sessions to the server, as many as the application's instances have together. */
const sessions = 16;
const startMs = 10_000;

/** Transaction pooling: in its default mode PAUSE would wait until the application's sessions end. */
export async function startPgBouncer(access: DatabaseAccess): Promise<PgBouncer> {
  const directory = await mkdtemp(join(tmpdir(), 'greenlight-pgbouncer-'));
  const [port = 0] = await freePorts(1);
  const [settings, users, ca] = ['pgbouncer.ini', 'users.txt', 'ca.pem'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const user = serverUser();
  const own = async (path: string): Promise<void> => {
    if (user !== undefined) await chown(path, user.uid, user.gid);
  };
  const password = randomBytes(16).toString('hex');
  const aim = (to: DatabaseAccess): Promise<void> =>
    writeFile(
      settings,
      `[databases]
app = host=${to.host} port=${to.port} dbname=${to.database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
admin_users = console
pool_mode = transaction
default_pool_size = ${sessions}
server_tls_sslmode = verify-ca
server_tls_ca_file = ${ca}
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
log_stats = 0
`,
    );
  await aim(access);
  await writeFile(users, `"app" "${access.app.password}"\n"console" "${password}"\n`, { mode: 0o600 });
  await copyFile(access.caFile, ca);
  for (const path of [directory, settings, users, ca]) await own(path);

  const [program = '', ...args] = unprivileged([find('pgbouncer') ?? 'pgbouncer', settings], directory);
  const child = spawn(program, args, { ...childEnvironment(), cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data.toString()));
  const admin = new pg.Client({ host: '127.0.0.1', port, user: 'console', password, database: 'pgbouncer' });
  admin.on('error', () => undefined);
  const stop = async (): Promise<void> => {
    await admin.end().catch(() => undefined);
    if (child.exitCode === null && child.kill('SIGTERM')) await once(child, 'exit');
    await rm(directory, { recursive: true, force: true });
  };
  const accepts = async (): Promise<true | undefined> => {
    const tried = new pg.Client({ host: '127.0.0.1', port, user: 'console', password, database: 'pgbouncer' });
    tried.on('error', () => undefined);
    return await tried.connect().then(
      async () => (await tried.end(), true as const),
      () => undefined,
    );
  };
  if ((await poll(accepts, { everyMs: 50, timeoutMs: startMs })) === undefined) {
    await stop();
    throw new Error(`PgBouncer does not start: ${said}`);
  }
  await admin.connect();
  return {
    url: `postgresql://app:${encodeURIComponent(access.app.password)}@127.0.0.1:${port}/app`,
    command: async (text) => void (await admin.query(text)),
    aim,
    stop,
  };
}
