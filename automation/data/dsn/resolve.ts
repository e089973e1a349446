import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { OperationError } from '../../../infra/lib/errors.ts';
import { refused, several, type Parameters } from './parse.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** Where to connect to, and as whom. */
export interface Target {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string | undefined;
  tls: Tls;
  options: string | undefined;
  connectMs: number;
  /** The server has to prove that it knows the password, and that nobody is in between (`channel_binding=require`). */
  bound: boolean;
}

/** `may`: without TLS if the server has none. Without `verify` anybody's certificate will do, as with libpq. */
export interface Tls {
  use: 'no' | 'may' | 'must';
  verify: 'nothing' | 'chain' | 'name';
  /** Name in the server's certificate. */
  name: string;
  ca?: string;
  cert?: string;
  key?: string;
}

/** Parameters from the environment. See https://www.postgresql.org/docs/current/libpq-envars.html */
const variables: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  hostaddr: 'PGHOSTADDR',
  port: 'PGPORT',
  dbname: 'PGDATABASE',
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  service: 'PGSERVICE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  channel_binding: 'PGCHANNELBINDING',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  options: 'PGOPTIONS',
};

const socketDirectories = ['/var/run/postgresql', '/tmp'];
const connectMs = 10_000;

/**
 * Adds what a connection string leaves out, as psql does: from the service file, the environment, the password file and the defaults,
 * in this order. Throws an OperationError.
 */
export function resolve(parameters: Parameters, env: Variables): Target {
  const shell = Object.fromEntries(
    Object.entries(variables).flatMap(([name, variable]) => (env[variable] ? [[name, env[variable]]] : [])),
  );
  const service = parameters['service'] ?? shell['service'];
  const all: Record<string, string | undefined> = {
    ...shell,
    ...(service === undefined ? {} : serviceOf(service, env)),
    ...parameters,
  };
  const user = all['user'] ?? userInfo().username;
  const database = all['dbname'] ?? user;
  // It would be shown, with its password.
  if (database.includes('://')) throw refused('its database is a connection string itself');
  if (['host', 'hostaddr', 'port'].some((each) => all[each]?.includes(','))) throw refused(several);
  const port = Number(all['port'] ?? 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw refused('its port is no number from 1 to 65535');
  const name = all['host'] ?? all['hostaddr'] ?? socketOr('localhost', port);
  const host = all['hostaddr'] ?? name;
  const seconds = Number(all['connect_timeout'] ?? 0);
  return {
    host,
    port,
    database,
    user,
    password: all['password'] ?? passwordOf({ host: name, port, database, user }, all['passfile']),
    tls: tlsOf(all, name),
    options: all['options'],
    connectMs: seconds > 0 ? seconds * 1000 : connectMs,
    bound: all['channel_binding'] === 'require',
  };
}

const socketOr = (host: string, port: number): string =>
  socketDirectories.find((directory) => existsSync(join(directory, `.s.PGSQL.${port}`))) ?? host;

function tlsOf(all: Record<string, string | undefined>, name: string): Tls {
  const mode = all['sslmode'] ?? 'prefer';
  const modes: Record<string, Pick<Tls, 'use' | 'verify'>> = {
    disable: { use: 'no', verify: 'nothing' },
    allow: { use: 'may', verify: 'nothing' },
    prefer: { use: 'may', verify: 'nothing' },
    require: { use: 'must', verify: 'nothing' },
    'verify-ca': { use: 'must', verify: 'chain' },
    'verify-full': { use: 'must', verify: 'name' },
  };
  const found = modes[mode];
  if (found === undefined)
    throw refused('its sslmode is none of disable, allow, prefer, require, verify-ca, verify-full');
  if (name.startsWith('/') || found.use === 'no') return { use: 'no', verify: 'nothing', name };
  const directory = join(homedir(), '.postgresql');
  const file = (parameter: string, usual: string): string | undefined => {
    const path = all[parameter] ?? join(directory, usual);
    return all[parameter] !== undefined || existsSync(path) ? read(path) : undefined;
  };
  // With `system` the authorities that Node.js knows are trusted.
  const ca = all['sslrootcert'] === 'system' ? undefined : file('sslrootcert', 'root.crt');
  const [cert, key] = [file('sslcert', 'postgresql.crt'), file('sslkey', 'postgresql.key')];
  // As libpq: a root certificate turns `require` into `verify-ca`.
  const verify = mode === 'require' && ca !== undefined ? 'chain' : found.verify;
  const files = Object.fromEntries(Object.entries({ ca, cert, key }).filter(([, value]) => value !== undefined));
  return { use: found.use, verify, name, ...files };
}

function serviceOf(service: string, env: Variables): Record<string, string> {
  const own = env['PGSERVICEFILE'] ?? join(homedir(), '.pg_service.conf');
  const files = [own, join(env['PGSYSCONFDIR'] ?? '/etc/postgresql-common', 'pg_service.conf')];
  for (const path of files.filter((one) => existsSync(one))) {
    const lines = read(path).split(/\r?\n/);
    const at = lines.findIndex((line) => line.trim() === `[${service}]`);
    if (at < 0) continue;
    const rest = lines.slice(at + 1);
    const end = rest.findIndex((line) => line.trimStart().startsWith('['));
    return Object.fromEntries(
      rest
        .slice(0, end < 0 ? undefined : end)
        .map((line) => /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line))
        .flatMap((found) => (found === null ? [] : [[found[1] ?? '', found[2] ?? '']])),
    );
  }
  throw new OperationError(
    'reading a connection string',
    `the service "${service}" is in no service file`,
    `add it to ${own}`,
  );
}

/** The password in the file that psql reads, too. A file that others may read is not used, as with libpq. */
function passwordOf(
  { host, port, database, user }: Pick<Target, 'host' | 'port' | 'database' | 'user'>,
  passfile = join(homedir(), '.pgpass'),
): string | undefined {
  if (!existsSync(passfile) || (statSync(passfile).mode & 0o077) !== 0) return undefined;
  const wanted = [socketDirectories.includes(host) ? 'localhost' : host, String(port), database, user];
  for (const line of read(passfile).split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const fields = line.match(/(?:\\.|[^:\\])*(?::|$)/gs)?.map((field) => field.replace(/:$/, '')) ?? [];
    const [password, ...named] = [fields[4], ...fields.slice(0, 4)].map((one) =>
      (one ?? '').replaceAll(/\\(.)/gs, '$1'),
    );
    if (fields.length >= 5 && wanted.every((value, i) => fields[i] === '*' || named[i] === value)) return password;
  }
  return undefined;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new OperationError(`reading ${path}`, code ?? 'it cannot be read', 'correct its path or its rights');
  }
}
