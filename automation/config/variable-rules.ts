import { listOf, report, reportTwice, uniqueNames, type Context, type Path, type Unsure } from './rules.ts';

/** Rules about the environment variables of the services. */

/** Environment variables that Greenlight sets for a service (`infra/application/environment.ts`): on every platform, and on the local one. */
const reserved = /^(HOST|PORT|PUBLIC_URL|DATABASE_URL|GREENLIGHT_.*)$/;
const reservedLocally = /^(PATH|NODE_EXTRA_CA_CERTS)$/;
/** Whether a service has this variable from Greenlight, on any platform. */
export const isReserved = (name: string): boolean => reserved.test(name) || reservedLocally.test(name);
export const reservedMessage = 'Greenlight sets this variable itself; choose another name';

export function noReservedVariables(env: Record<string, string>, ctx: Context): void {
  for (const key of Object.keys(env)) {
    if (reserved.test(key)) report(ctx, [key], reservedMessage);
  }
}

type WithVariables = Unsure<{ env: Record<string, string> }>[];
type Services = Unsure<{
  services: WithVariables;
  workers: WithVariables;
  schedules: WithVariables;
  files: Unsure<{ env: string }>[];
  integrations: IntegrationInput[];
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
  for (const kind of ['services', 'workers', 'schedules'] as const)
    listOf(application?.[kind]).forEach((program, index) => {
      for (const key of Object.keys(program?.env ?? {})) visit(key, [kind, index, 'env', key]);
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
