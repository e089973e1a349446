/**
 * Environment variables of the programs that Greenlight starts. Tools read settings from variables, so a variable in
 * the caller's shell could change a result: `K6_VUS` the load, `PGHOST` the database, `NODE_OPTIONS` the code,
 * `HTTP_PROXY` the route. A program therefore gets a list of variables instead of the shell's. A lint rule requires one
 * of these functions wherever a process is started.
 */

/** Paths, user, locale and time zone. No credentials and no tool settings. */
const general = ['PATH', 'HOME', 'USER', 'LOGNAME', 'TMPDIR', 'TZ', 'LANG', 'LANGUAGE', 'LC_*'];

/**
 * For Greenlight's own programs: locations of files and tools, and Node.js's directories for coverage data and for its
 * compile cache.
 */
export const ownVariables = [
  'GREENLIGHT_*',
  'XDG_CACHE_HOME',
  'XDG_STATE_HOME',
  'NODE_V8_COVERAGE',
  'NODE_COMPILE_CACHE',
];

/** For programs that call AWS: credentials, region and trusted certificate authorities. */
export const awsVariables = ['AWS_*', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'];

/** Address of the Docker engine, build settings and registry credentials. */
const dockerVariables = ['DOCKER_*', 'BUILDX_*', 'BUILDKIT_*', 'XDG_RUNTIME_DIR', 'SSH_AUTH_SOCK'];

const proxyVariables = [
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'http_proxy',
  'https_proxy',
  'all_proxy',
  'grpc_proxy',
];
const loopback = ['localhost', '127.0.0.1', '::1'];

/** Options for execa and `node:child_process`. */
export interface ChildEnvironment {
  env: Record<string, string>;
  /** execa: do not add this process's own variables. */
  extendEnv: false;
}

type Variables = Readonly<Record<string, string | undefined>>;

const removed: Record<string, string | undefined> = {};

/**
 * The general variables, those named in `also` (`AWS_*` is a prefix), and the program's `own`, which override the
 * others.
 */
export const childEnvironment = (own: Variables = {}, also: readonly string[] = []): ChildEnvironment =>
  isolated({ ...picked([...general, ...also]), ...own });

/** PATH and the program's own variables: for servers, and for programs that run as another user. */
export const bareEnvironment = (own: Variables = {}): ChildEnvironment => isolated({ ...picked(['PATH']), ...own });

/**
 * All variables of the caller's shell. Only for the application's build and for a command that prints a secret, which may need any of
 * them; no gate depends on it.
 */
export const callersEnvironment = (own: Variables = {}): ChildEnvironment =>
  isolated({ ...removed, ...process.env, ...own });

/**
 * Removes variables with this prefix from `process.env`, where libraries would read them. The application's build still
 * gets them.
 */
export function setAside(prefix: string): void {
  for (const [name, value] of Object.entries(process.env)) {
    if (!name.startsWith(prefix)) continue;
    removed[name] = value;
    delete process.env[name];
  }
}

/** What `setAside` removed: for a command whose arguments such variables complete, as those of psql. */
export const variablesSetAside = (): Variables => removed;

export const dockerEnvironment = (): ChildEnvironment =>
  childEnvironment(proxySettings(), [...dockerVariables, ...awsVariables, ...ownVariables]);

/** The shell's proxy variables, for programs that use the network. Loopback addresses are always excluded. */
export function proxySettings(): Record<string, string> {
  const proxies = picked(proxyVariables);
  if (Object.keys(proxies).length === 0) return {};
  const direct = [process.env['NO_PROXY'] ?? process.env['no_proxy'] ?? '', ...loopback].filter(Boolean).join(',');
  return { ...proxies, NO_PROXY: direct, no_proxy: direct };
}

/** Names of the proxy variables that are set in the caller's shell. */
export const proxiesNamed = (): string[] => Object.keys(picked(proxyVariables));

/**
 * For a library that merges its `env` with `process.env`: every other variable is set to undefined, which removes it.
 */
export function withoutTheShell({ env }: ChildEnvironment): Record<string, string | undefined> {
  return { ...Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined])), ...env };
}

function picked(names: readonly string[]): Record<string, string> {
  const wanted = (name: string) =>
    names.some((one) => (one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : name === one));
  return defined(
    Object.fromEntries(Object.entries(process.env).filter(([name, value]) => value !== '' && wanted(name))),
  );
}

const isolated = (variables: Variables): ChildEnvironment => ({ env: defined(variables), extendEnv: false });

const defined = (variables: Variables): Record<string, string> =>
  Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
