/**
 * What a program that Greenlight starts sees of the caller's shell. Tools take settings from variables: `K6_VUS` makes a
 * load test of one user, `PGHOST` means another database, `NODE_OPTIONS` other code, `HTTP_PROXY` another way. So a
 * program gets a list of variables and never the shell; lint refuses a start without one of these functions.
 */

/** Where to find programs and files, who runs them, and in which language and time zone. No credentials, no settings of tools. */
const general = ['PATH', 'HOME', 'USER', 'LOGNAME', 'TMPDIR', 'TZ', 'LANG', 'LANGUAGE', 'LC_*'];

/**
 * For programs of this project's own: where its files and tools are, where Node.js is to write what tests covered, and where it
 * keeps compiled code.
 */
export const ownVariables = ['GREENLIGHT_*', 'NODE_V8_COVERAGE', 'NODE_COMPILE_CACHE'];

/** For what calls AWS: who is calling, where, and whom to trust. */
export const awsVariables = ['AWS_*', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS'];

/** Where Docker's engine is, how it builds, and what logs it in to a registry. */
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

/** Options of execa and of `node:child_process`. */
export interface ChildEnvironment {
  env: Record<string, string>;
  /** Of execa: `env` is everything. */
  extendEnv: false;
}

type Variables = Readonly<Record<string, string | undefined>>;

const aside: Record<string, string | undefined> = {};

/** The general variables, those named in `also` (`AWS_*`: all that begin so), and the program's `own`, which win. */
export const childEnvironment = (own: Variables = {}, also: readonly string[] = []): ChildEnvironment =>
  only({ ...chosen([...general, ...also]), ...own });

/** PATH and the program's own variables: for servers, and for what runs as another user. */
export const bareEnvironment = (own: Variables = {}): ChildEnvironment => only({ ...chosen(['PATH']), ...own });

/** The caller's whole shell: for the application's own build alone, which may need anything, and which no gate rests on. */
export const callersEnvironment = (own: Variables = {}): ChildEnvironment => only({ ...aside, ...process.env, ...own });

/** Takes variables that begin so out of this program's own environment, where its libraries read them; the build still sees them. */
export function setAside(prefix: string): void {
  for (const [name, value] of Object.entries(process.env)) {
    if (!name.startsWith(prefix)) continue;
    aside[name] = value;
    delete process.env[name];
  }
}

export const dockerEnvironment = (): ChildEnvironment =>
  childEnvironment(proxySettings(), [...dockerVariables, ...awsVariables, ...ownVariables]);

/** The shell's proxy for a program that calls the world outside, and never for this machine itself. */
export function proxySettings(): Record<string, string> {
  const proxies = chosen(proxyVariables);
  if (Object.keys(proxies).length === 0) return {};
  const direct = [process.env['NO_PROXY'] ?? process.env['no_proxy'] ?? '', ...loopback].filter(Boolean).join(',');
  return { ...proxies, NO_PROXY: direct, no_proxy: direct };
}

/** Variables of this shell that name a proxy. */
export const proxiesNamed = (): string[] => Object.keys(chosen(proxyVariables));

/** For a library that adds its variables to the shell's: undefined is not passed on to a process. */
export function withoutTheShell({ env }: ChildEnvironment): Record<string, string | undefined> {
  return { ...Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined])), ...env };
}

function chosen(names: readonly string[]): Record<string, string> {
  const wanted = (name: string) =>
    names.some((one) => (one.endsWith('*') ? name.startsWith(one.slice(0, -1)) : name === one));
  return defined(
    Object.fromEntries(Object.entries(process.env).filter(([name, value]) => value !== '' && wanted(name))),
  );
}

const only = (variables: Variables): ChildEnvironment => ({ env: defined(variables), extendEnv: false });

const defined = (variables: Variables): Record<string, string> =>
  Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
