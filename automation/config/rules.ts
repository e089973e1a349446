import type { z } from 'zod';

/**
 * Rules about more than one value. Each reports the path that the user has to change. They also run if other values are
 * invalid (`evenIfBroken`), and skip those, so that one message lists all problems.
 */

/** Marks a message that already names what was found. */
export const completeMessage = { complete: true };

export type Context = z.RefinementCtx;
export type Path = (string | number)[];

export const report = (ctx: Context, path: Path, message: string): void =>
  ctx.addIssue({ code: 'custom', path, message, params: completeMessage });

/** A value whose keys may be missing, because it is invalid itself and reported as such. */
export type Unsure<T> = { [K in keyof T]?: T[K] | undefined } | null | undefined;

export const evenIfBroken = {
  when: ({ value }: { value: unknown }): boolean => typeof value === 'object' && value !== null,
};

/** Reports every entry with the key of an earlier one, at the path `at` inside the entry. */
export function reportTwice<T>(
  ctx: Context,
  all: readonly T[],
  key: (item: T) => string | undefined,
  at: Path,
  what: string,
): void {
  const first = new Map<string, number>();
  all.forEach((item, index) => {
    const value = key(item);
    if (value === undefined) return;
    const before = first.get(value);
    if (before === undefined) first.set(value, index);
    else report(ctx, [index, ...at], `${what} "${value}" is already at [${before}]; remove or rename one of them`);
  });
}

export const uniqueNames = (all: readonly Unsure<{ name: string }>[], ctx: Context): void =>
  reportTwice(ctx, all, (item) => item?.name, ['name'], 'the name');

export const uniqueMasks = (
  all: readonly Unsure<{ table: string; column: string; path?: string | undefined }>[],
  ctx: Context,
): void =>
  reportTwice(
    ctx,
    all,
    (rule) =>
      rule?.table && rule.column && `${rule.table}.${rule.column}${rule.path === undefined ? '' : ` at ${rule.path}`}`,
    ['column'],
    'the column',
  );

export const uniqueWaivers = (all: readonly Unsure<{ gate: string }>[], ctx: Context): void =>
  reportTwice(ctx, all, (waiver) => waiver?.gate, ['gate'], 'a waiver of the gate');

export const uniqueValues = (all: readonly string[], ctx: Context): void =>
  reportTwice(ctx, all, (value) => value, [], 'the entry');

export function routesAreDistinct(services: readonly Unsure<{ name: string; routes: string[] }>[], ctx: Context): void {
  const claimed = new Map<string, number>();
  services.forEach((service, index) => {
    listOf(service?.routes).forEach((route, position) => {
      const owner = claimed.get(route);
      if (owner === undefined) claimed.set(route, index);
      else
        report(
          ctx,
          [index, 'routes', position],
          `"${route}" is already a route of services[${owner}]; keep one of them`,
        );
    });
  });
  const complete = services.every((service) => Array.isArray(service?.routes));
  if (complete && !claimed.has('/')) {
    report(ctx, [], 'no service has the route "/", so some requests would have no answer; add "/" to one of them');
  }
}

export const listOf = <T>(value: T[] | undefined): T[] => (Array.isArray(value) ? value : []);

/** The numbers of a version, without the pre-release part, whose order is not checked. */
function core(version: string): number[] {
  return (version.split('-')[0] ?? '').split('.').map(Number);
}

export function baselineIsOlder(application: Unsure<{ version: string; baseline: string }>, ctx: Context): void {
  const { version, baseline } = application ?? {};
  if (typeof baseline !== 'string' || typeof version !== 'string') return;
  if (baseline === version) {
    report(ctx, ['baseline'], `is the version to release (${version}); give an older version, or leave it out`);
    return;
  }
  const [next, before] = [core(version), core(baseline)];
  const different = next.findIndex((part, index) => part !== before[index]);
  if (different !== -1 && (before[different] ?? 0) > (next[different] ?? 0)) {
    report(ctx, ['baseline'], `${baseline} is newer than the version to release (${version}); give an older version`);
  }
}

/** A folder is one version. Two versions of it are two refs. */
export function versionsAreDistinct(application: Unsure<{ baseline: string; build: unknown }>, ctx: Context): void {
  const { baseline } = application ?? {};
  const build = application?.build as Unsure<{ directory: string; ref: string }>;
  if (baseline === undefined || build?.directory === undefined || String(build.ref).includes('${version}')) return;
  const why = `without it the files of ${build.directory} would be called ${baseline} and released twice`;
  report(
    ctx,
    ['build', 'ref'],
    `has to name each version: ${why}; write a ref with \${version} in it, or leave baseline out`,
  );
}

/** What git ignores is in the working tree alone. */
export function refHasNoIncluded(build: Unsure<{ ref: string; include: string[] }>, ctx: Context): void {
  if (build?.ref === undefined || listOf(build.include).length === 0) return;
  report(ctx, ['include'], 'is of the working tree, which a ref is not; let "prepare" make them, such as npm ci');
}

export function stepsAscend(steps: readonly number[], ctx: Context): void {
  steps.forEach((step, index) => {
    const before = steps[index - 1];
    if (isNumber(step) && isNumber(before) && step <= before) {
      report(
        ctx,
        [index],
        `${step} does not come after ${before}; write the steps in ascending order, such as [10, 50]`,
      );
    }
  });
}

export function drainFitsHold(cutover: Unsure<{ holdMs: number; drainMs: number }>, ctx: Context): void {
  const { holdMs, drainMs } = cutover ?? {};
  if (isNumber(holdMs) && isNumber(drainMs) && drainMs > holdMs) {
    report(ctx, ['drainMs'], `${drainMs} is longer than holdMs (${holdMs}), which includes it; shorten it`);
  }
}

export function percentilesAscend(thresholds: Unsure<{ p95Ms: number; p99Ms: number }>, ctx: Context): void {
  const { p95Ms, p99Ms } = thresholds ?? {};
  if (isNumber(p95Ms) && isNumber(p99Ms) && p99Ms < p95Ms) {
    report(ctx, ['p99Ms'], `${p99Ms} is lower than p95Ms (${p95Ms}), which is impossible; raise it`);
  }
}

const isNumber = (value: unknown): value is number => typeof value === 'number';

export function windowIsOpen(window: Unsure<{ from: string; to: string }>, ctx: Context): void {
  if (typeof window?.from === 'string' && window.from === window.to) {
    report(
      ctx,
      ['to'],
      `is the same as from (${window.from}), so the window never opens; leave "window" out for any time`,
    );
  }
}

export function portsDiffer(
  environments: Unsure<Record<'staging' | 'production', Unsure<{ port: number }>>>,
  ctx: Context,
): void {
  const port = environments?.staging?.port;
  if (port !== undefined && port === environments?.production?.port) {
    report(ctx, ['production', 'port'], `${port} is staging's port too; both run at once, so choose another one`);
  }
}

export type Databases = Unsure<Record<'staging' | 'production', Unsure<{ database: Unsure<{ version: number }> }>>>;

/** A version is tried on staging, so staging has to have what production gets. */
export function versionsAgree(environments: Databases, ctx: Context): void {
  const [staging, production] = [environments?.staging?.database?.version, environments?.production?.database?.version];
  if (production !== undefined && staging !== production)
    report(
      ctx,
      ['staging', 'database', 'version'],
      `is ${staging ?? 'missing'}, and production's is ${production}; a release is tried on staging, so give both the same`,
    );
}

type Sections = Unsure<{
  application: Unsure<{
    services: Unsure<{ name: string }>[];
    workers: Unsure<{ name: string }>[];
    migrations: Unsure<{ incompatible: unknown }>;
  }>;
  environments: Unsure<Record<'staging' | 'production', Unsure<{ instances: Record<string, number> }>>>;
  synthetic: Unsure<{ requestsPerSecond: number; script: string }>;
  data: Unsure<{ ledger: unknown }>;
  canary: Unsure<{ steps: number[] }>;
}>;

/** Rules between sections. */
export function sectionsAgree(definition: Sections, ctx: Context): void {
  const services = definition?.application?.services;
  if (Array.isArray(services) && services.every((service) => typeof service?.name === 'string')) {
    instancesAreOfServices(
      { services, workers: listOf(definition?.application?.workers) },
      definition?.environments,
      ctx,
    );
  }
  if (definition?.application?.migrations?.incompatible !== undefined && listOf(definition.canary?.steps).length > 0) {
    const why = 'with application.migrations.incompatible the new version serves nobody before the read-only window';
    report(ctx, ['canary', 'steps'], `there can be no canary: ${why}; set it to [], or take incompatible out`);
  }
  const { synthetic, data } = definition ?? {};
  const scripted = synthetic?.script !== undefined && (synthetic.requestsPerSecond ?? 0) > 0;
  if (scripted && data != null && data.ledger === undefined) {
    const why = 'without it the writes of synthetic.script cannot be looked up';
    report(ctx, ['data', 'ledger'], `is missing: ${why}; add it, or set synthetic.requestsPerSecond to 0`);
  }
}

/** What is to be read has to be written: `{results}` and `results` are JUnit XML, and JUnit XML is in one of them. */
export function resultsAreRead(
  tests: Unsure<{ command: string[]; format: string; results: string }>,
  ctx: Context,
): void {
  const named = listOf(tests?.command).some((part) => typeof part === 'string' && part.includes('{results}'));
  const { format, results } = tests ?? {};
  if (named && results !== undefined)
    report(ctx, ['results'], 'is one of two places of the results, as the command has {results}; keep one of them');
  else if ((named || results !== undefined) && format !== undefined && format !== 'junit')
    report(ctx, ['format'], `is "${format}", and the command writes JUnit XML; leave format out, or the results`);
  else if (format === 'junit' && !named && results === undefined)
    report(
      ctx,
      ['format'],
      'is "junit", and nothing says where the JUnit XML is; put {results} into the command, or give results',
    );
}

function instancesAreOfServices(
  { services, workers }: Record<'services' | 'workers', Unsure<{ name: string }>[]>,
  environments: NonNullable<Sections>['environments'],
  ctx: Context,
): void {
  const names = (programs: Unsure<{ name: string }>[]): string[] => programs.map((program) => String(program?.name));
  const known = names([...services, ...workers]);
  const also = workers.length === 0 ? '' : `; the workers are ${names(workers).join(', ')}`;
  for (const environment of ['staging', 'production'] as const) {
    for (const service of Object.keys(environments?.[environment]?.instances ?? {})) {
      if (known.includes(service)) continue;
      const path = ['environments', environment, 'instances', service];
      report(ctx, path, `there is no service of this name; the services are ${names(services).join(', ')}${also}`);
    }
  }
}
