import {
  jobNames,
  namesIn,
  secretNamed,
  serviceNames,
  usesDatabase,
  workerNames,
} from '../../infra/application/template.ts';
import { didYouMean } from '../../infra/lib/nearest.ts';
import { listOf, report, reportTwice, uniqueNames, type Context, type Path, type Unsure } from './rules.ts';

/** Rules about the environment variables of the services. */

/**
 * Environment variables that Greenlight sets for a service (`infra/application/environment.ts`): those that the definition may set
 * itself, those of every platform, and those of the local one.
 */
const replaceable = /^(HOST|PORT|PUBLIC_URL|DATABASE_URL)$/;
const reserved = /^GREENLIGHT_/;
const reservedLocally = /^(PATH|NODE_EXTRA_CA_CERTS)$/;
/** Whether a service has this variable from Greenlight, on any platform. */
export const isReserved = (name: string): boolean =>
  [replaceable, reserved, reservedLocally].some((names) => names.test(name));
export const reservedMessage = 'Greenlight sets this variable itself; choose another name';

export function noReservedVariables(env: Record<string, string>, ctx: Context): void {
  for (const key of Object.keys(env)) {
    if (reserved.test(key)) report(ctx, [key], reservedMessage);
  }
}

type Env = Record<string, string>;
type Programs = Unsure<{ name: string; env: Env; database: boolean }>[];
type Services = Unsure<{
  services: Programs;
  workers: Programs;
  schedules: Programs;
  files: Unsure<{ name: string; env: string }>[];
  integrations: IntegrationInput[];
  jobs: Unsure<{ env: Env }>;
  secrets: Record<string, unknown>;
}>;

/** A task on AWS has no such variables but those that the definition gives it. */
export function noLocalVariables(definition: Unsure<{ application: Services }>, ctx: Context): void {
  eachVariable(definition?.application, (key, at) => {
    if (!reservedLocally.test(key)) return;
    report(ctx, ['application', ...at], 'Greenlight sets this variable itself on the platform "local"; leave it out');
  });
}

export function integrationsSetTheirVariables(application: Services, ctx: Context): void {
  const integrations = listOf(application?.integrations);
  eachVariable(application, (key, at) => {
    const index = integrations.findIndex((integration) => integration?.env === key);
    if (index === -1) return;
    report(ctx, at, `integrations[${index}] sets this variable to its URL; remove one or rename it`);
  });
}

/** A service without a database has no value for `${database.…}`. */
export function databaseIsGiven(application: Services, ctx: Context): void {
  eachProgram(application, (program, kind, index) => {
    if (program.database === true) return;
    for (const [key, template] of Object.entries(program.env ?? {})) {
      if (typeof template !== 'string' || !usesDatabase(template)) continue;
      const what = kind.slice(0, -1);
      const path = [kind, index, 'env', key];
      report(ctx, path, `names a database, and the ${what} has none; add database: true to ${kind}[${index}]`);
    }
  });
}

type Environments = Unsure<Record<'staging' | 'production', Unsure<{ secrets: Record<string, unknown> }>>>;
type Templates = Unsure<{ application: Services; environments: Environments }>;

/** Every name in a template is known, and every secret has a source in both environments. */
export function templatesAreKnown(definition: Templates, ctx: Context): void {
  const { application, environments } = definition ?? {};
  const common = Object.keys(application?.secrets ?? {});
  const own = (name: 'staging' | 'production') => Object.keys(environments?.[name]?.secrets ?? {});
  for (const [environment, theOther] of [
    ['staging', 'production'],
    ['production', 'staging'],
  ] as const) {
    for (const name of own(environment)) {
      if (common.includes(name) || own(theOther).includes(name)) continue;
      const where = `add it to application.secrets, or to environments.${theOther}.secrets${didYouMean(name, common)}`;
      report(ctx, ['environments', environment, 'secrets', name], `has no source for ${theOther}; ${where}`);
    }
  }
  const secrets = [...new Set([...common, ...own('staging'), ...own('production')])];
  const files = listOf(application?.files).flatMap((one) => (one?.name === undefined ? [] : [`files.${one.name}`]));
  eachProgram(application, ({ env }, kind, index) => {
    const known = [...(kind === 'services' ? serviceNames : workerNames), ...files];
    checkTemplates(env, ['application', kind, index, 'env'], { known, secrets }, ctx);
  });
  checkTemplates(application?.jobs?.env, ['application', 'jobs', 'env'], { known: jobNames, secrets }, ctx);
}

interface Names {
  known: readonly string[];
  secrets: readonly string[];
}

function checkTemplates(env: Env | undefined, at: Path, names: Names, ctx: Context): void {
  for (const [key, template] of Object.entries(env ?? {})) {
    if (typeof template !== 'string') continue;
    for (const name of namesIn(template)) {
      const problem = problemOf(name, names);
      if (problem !== undefined) report(ctx, [...at, key], problem);
    }
  }
}

function problemOf(name: string | undefined, { known, secrets }: Names): string | undefined {
  if (name === undefined) return 'has "${" without "}"; write $${ for a literal ${';
  const secret = secretNamed(name);
  if (secret !== undefined) {
    if (secrets.includes(secret)) return undefined;
    return `names \${${name}}, and application.secrets has no "${secret}"${didYouMean(secret, secrets)}; add it there`;
  }
  if (known.includes(name)) return undefined;
  const near = didYouMean(name, [...known, ...secrets.map((one) => `secret.${one}`)]);
  const all = [...known, 'secret.<name>'].join(', ');
  return `names \${${name}}, which is not known here${near}; use one of ${all}, or write $\${ for a literal \${`;
}

/** A directory's variable is that of every program. */
export function filesSetTheirVariables(application: Services, ctx: Context): void {
  const files = listOf(application?.files);
  const ofFiles = (key: string): number => files.findIndex((one) => one?.env === key);
  const message = (index: number): string => `files[${index}] sets this variable to its path; remove one or rename it`;
  eachVariable(application, (key, at) => {
    if (ofFiles(key) !== -1) report(ctx, at, message(ofFiles(key)));
  });
  listOf(application?.integrations).forEach((integration, index) => {
    const found = ofFiles(integration?.env ?? '');
    if (found !== -1) report(ctx, ['integrations', index, 'env'], message(found));
  });
}

/** Calls `visit` with each variable of a program's `env` and its path in the application. */
function eachVariable(application: Services, visit: (key: string, at: Path) => void): void {
  eachProgram(application, ({ env }, kind, index) => {
    for (const key of Object.keys(env ?? {})) visit(key, [kind, index, 'env', key]);
  });
}

type Kind = 'services' | 'workers' | 'schedules';

function eachProgram(
  application: Services,
  visit: (program: NonNullable<Programs[number]>, kind: Kind, index: number) => void,
): void {
  for (const kind of ['services', 'workers', 'schedules'] as const)
    listOf(application?.[kind]).forEach((program, index) => {
      if (program != null) visit(program, kind, index);
    });
}

type IntegrationInput = Unsure<{ name: string; env: string; url: string; standIn: string[] }>;

export function integrationsAreUsable(all: readonly IntegrationInput[], ctx: Context): void {
  uniqueNames(all, ctx);
  reportTwice(ctx, all, (item) => item?.env, ['env'], 'the variable');
  all.forEach((item, index) => {
    if (item == null) return;
    if (isReserved(item.env ?? '')) report(ctx, [index, 'env'], reservedMessage);
    if (item.url === undefined && item.standIn === undefined) {
      report(ctx, [index], 'it has neither url nor standIn; give one of them');
    }
  });
}
