import { secrets } from '../../../infra/lib/redact.ts';
import type { Artefact, Colour } from '../../../infra/model.ts';
import type { Job, Jobs, Preview } from '../../../infra/platform/jobs.ts';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import { pathsOf } from '../../config/paths-of.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import { testsGate } from '../../gates/tests/tests.ts';
import { routesGate } from '../../gates/web/routes-gate.ts';
import { absentGate, type Gate } from '../../journal/verdict.ts';

/** Where a version answers, and the headers that reach it. */
export type Target = Pick<Preview, 'baseUrl' | 'caFile' | 'routeHeaders'>;

interface Run {
  id: string;
  title: string;
  jobs: Jobs;
  artefact: Artefact;
  env?: Record<string, string>;
  database?: Job['database'];
  target?: Target;
}

type Kind = keyof ReleaseDefinition['tests'];

/** Whether the definition has tests of a kind; if not, why there are none. */
export const noTests = ({ tests }: ReleaseDefinition, kind: Kind): string | undefined =>
  tests[kind] === undefined ? `the definition has no ${kind} tests` : undefined;

/** The version's own tests of a kind. Where the definition has none, the gate is `not-run`. */
export function ownTests(definition: ReleaseDefinition, kind: Kind, run: Run): Gate {
  const settings = definition.tests[kind];
  const { id, title, env = {}, target } = run;
  if (settings === undefined) return absentGate(id, title, `the definition has no ${kind} tests`);
  const { timeoutSeconds, ...how } = settings;
  const forwarded = 'forwarder' in settings && settings.forwarder ? target : undefined;
  return testsGate({
    ...run,
    ...how,
    env: { ...env, ...(target === undefined || forwarded !== undefined ? {} : testEnvironment(target)) },
    ...(forwarded === undefined ? {} : { through: forwarded }),
    timeoutMs: timeoutSeconds * 1000,
  });
}

/** The version's own tests of a kind; where it has none, its routes are asked in their place, which is no test of the application. */
export const testsOrRoutes = (
  definition: ReleaseDefinition,
  kind: Kind,
  run: Run & { target: Target; live?: Target | undefined },
): Gate =>
  definition.tests[kind] === undefined
    ? routesGate({
        id: run.id,
        title: run.title,
        ...sideOf(run.target),
        paths: pathsOf(definition),
        live: run.live && sideOf(run.live),
      })
    : ownTests(definition, kind, run);

const sideOf = (target: Target) => ({ entry: target, headers: target.routeHeaders });

/** What is reached through an entry point: ordinary traffic, or a colour by the header route. */
export const through = (entry: EntryPoint, colour?: Colour): Target => ({
  baseUrl: entry.baseUrl,
  ...(entry.caFile === undefined ? {} : { caFile: entry.caFile }),
  routeHeaders: colour === undefined ? {} : entry.routeHeaders(colour),
});

/** What the application's own tests learn of where they run. */
export function testEnvironment({ baseUrl, caFile, routeHeaders }: Target): Record<string, string> {
  for (const value of Object.values(routeHeaders)) secrets.register(value);
  return {
    BASE_URL: baseUrl,
    ROUTE_HEADERS: JSON.stringify(routeHeaders),
    ...(caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: caFile }),
  };
}
