import { load } from 'js-yaml';
import { databaseVariable, looksSecret } from './environment.ts';
import { fact, type Fact, type Facts, type ProcessFacts, type ServiceFacts } from './facts.ts';
import type { Folder } from './folder.ts';
import { argvOf, asName, find } from './text.ts';

interface ComposeService {
  image?: string;
  build?: unknown;
  command?: unknown;
  ports?: unknown[];
  environment?: unknown;
  volumes?: unknown[];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A compose file: what is built and started, how the database's variables are named, and what else it needs. */
export function compose(folder: Folder): Facts {
  const file = find(folder, /^(docker-)?compose(\.(prod|production))?\.ya?ml$/);
  if (file === undefined) return {};
  let parsed: unknown;
  try {
    parsed = load(folder.read(file) ?? '');
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0] ?? '';
    return { notes: [`${file} is no YAML, and was not used: ${reason}`] };
  }
  const services = Object.entries(isObject(parsed) && isObject(parsed['services']) ? parsed['services'] : {}).flatMap(
    ([name, of]): [string, ComposeService][] => (isObject(of) ? [[name, of as ComposeService]] : []),
  );
  const isPostgres = ({ image }: ComposeService): boolean => /(^|\/)(postgres|postgis|timescaledb)/.test(image ?? '');
  const databases = services.filter(([, of]) => isPostgres(of)).map(([name]) => name);
  const built = services.filter(([, of]) => of.build !== undefined);
  const others = services.filter(([, of]) => of.build === undefined && !isPostgres(of));
  const env: Record<string, Fact<string>> = {};
  const secrets: Record<string, Fact<string>> = {};
  for (const [name, of] of built)
    for (const [variable, value] of variablesOf(of.environment)) {
      const from = `${file} ${name}.environment`;
      const template = meaning(variable, value, databases);
      if (template !== undefined) env[variable] = fact(template, from);
      else if (looksSecret(variable)) secrets[asName(variable)] = fact(variable, from);
      else if (value !== '' && !/\$/.test(value) && !ownVariable.test(variable)) env[variable] = fact(value, from);
    }
  const [web, ...more] = [...built].sort(([, a], [, b]) => (b.ports?.length ?? 0) - (a.ports?.length ?? 0));
  const workers = more.filter(([, { ports }]) => ports === undefined).flatMap((one) => processOf(file, one));
  return {
    ...(web === undefined ? {} : { services: imageOf(file, web) }),
    workers,
    env,
    secrets,
    ...(databases.length > 0 && built.length > 0 ? { database: fact(true as const, `${file} ${databases[0]}`) } : {}),
    notes: [
      ...others.map(
        ([name, { image = '?' }]) =>
          `${file} also runs ${name} (${image}): Greenlight releases the application and its PostgreSQL database, so run ${name} beside it, and give its address in env`,
      ),
      ...more
        .filter(([, { ports }]) => ports !== undefined)
        .map(
          ([name]) =>
            `${file} has a second service with ports, ${name}: describe it in application.services with its routes`,
        ),
    ],
  };
}

/** Greenlight sets these itself. */
const ownVariable = /^(PORT|HOST|DATABASE_URL|NODE_ENV|PUBLIC_URL)$/;

/** What a variable of the database means; by its value where the value names the database's service. */
function meaning(variable: string, value: string, databases: readonly string[]): string | undefined {
  if (variable === 'DATABASE_URL') return undefined;
  if (/^postgres(ql)?(\+\w+)?:\/\//.test(value)) return '${database.url}';
  if (databases.includes(value)) return '${database.host}';
  return databases.length === 0 ? undefined : databaseVariable(variable);
}

function variablesOf(environment: unknown): [string, string][] {
  if (Array.isArray(environment))
    return environment.map(String).map((line): [string, string] => {
      const at = line.indexOf('=');
      return at === -1 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    });
  return Object.entries(isObject(environment) ? environment : {}).map(([name, value]) => [
    name,
    value === null || value === undefined
      ? ''
      : typeof value === 'object'
        ? ''
        : String(value as string | number | boolean),
  ]);
}

function dockerfileOf({ build }: ComposeService): string | undefined {
  const context =
    typeof build === 'string'
      ? build
      : isObject(build) && typeof build['context'] === 'string'
        ? build['context']
        : '.';
  const file = isObject(build) && typeof build['dockerfile'] === 'string' ? build['dockerfile'] : 'Dockerfile';
  const path = `${context.replace(/^\.\/?|\/$/g, '')}/${file}`.replace(/^\//, '');
  return /^[^/:$]+(\/[^/:$]+)*$/.test(path) ? path : undefined;
}

function imageOf(file: string, [name, of]: [string, ComposeService]): ServiceFacts[] {
  const dockerfile = dockerfileOf(of);
  return dockerfile === undefined
    ? []
    : [{ name: asName(name) || 'web', image: fact({ dockerfile }, `${file} ${name}.build`) }];
}

function processOf(file: string, [name, { command, ...of }]: [string, ComposeService]): ProcessFacts[] {
  const from = `${file} ${name}`;
  if (Array.isArray(command) && command.length > 0)
    return [{ name: asName(name) || 'worker', start: fact(command.map(String), `${from}.command`) }];
  if (typeof command === 'string' && command.trim() !== '')
    return [{ name: asName(name) || 'worker', start: fact(argvOf(command), `${from}.command`) }];
  return imageOf(file, [name, of]);
}
