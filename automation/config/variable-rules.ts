import { jobNames, namesIn, secretNamed, serviceNames, usesDatabase } from '../../infra/application/template.ts';
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
const reservedMessage = 'Greenlight sets this variable itself; choose another name';

export function noReservedVariables(env: Record<string, string>, ctx: Context): void {
  for (const key of Object.keys(env)) {
    if (reserved.test(key)) report(ctx, [key], reservedMessage);
  }
}

type Env = Record<string, string>;
type Services = Unsure<{
  services: Unsure<{ name: string; env: Env; database: boolean }>[];
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
  listOf(application?.services).forEach((service, index) => {
    if (service?.database === true) return;
    for (const [key, template] of Object.entries(service?.env ?? {})) {
      if (typeof template !== 'string' || !usesDatabase(template)) continue;
      const path = ['services', index, 'env', key];
      report(ctx, path, `names a database, and the service has none; add database: true to services[${index}]`);
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
  listOf(application?.services).forEach((service, index) => {
    checkTemplates(service?.env, ['application', 'services', index, 'env'], { known: serviceNames, secrets }, ctx);
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

/** Calls `visit` with each variable of `service.env` and its path in the application. */
function eachVariable(application: Services, visit: (key: string, at: Path) => void): void {
  listOf(application?.services).forEach((service, index) => {
    for (const key of Object.keys(service?.env ?? {})) visit(key, ['services', index, 'env', key]);
  });
}

type IntegrationInput = Unsure<{ name: string; env: string; url: string; standIn: string[] }>;

export function integrationsAreUsable(all: readonly IntegrationInput[], ctx: Context): void {
  uniqueNames(all, ctx);
  reportTwice(ctx, all, (item) => item?.env, ['env'], 'the variable');
  all.forEach((item, index) => {
    if (item == null) return;
    if ([replaceable, reserved, reservedLocally].some((names) => names.test(item.env ?? '')))
      report(ctx, [index, 'env'], reservedMessage);
    if (item.url === undefined && item.standIn === undefined) {
      report(ctx, [index], 'it has neither url nor standIn; give one of them');
    }
  });
}
