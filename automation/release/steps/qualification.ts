import { proxiesNamed } from '../../../infra/lib/child-environment.ts';
import type { Artefact, EnvironmentName } from '../../../infra/model.ts';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import { authenticationGate } from '../../gates/web/authentication.ts';
import { capacityGate } from '../../gates/load/capacity.ts';
import { absentGate, type Gate } from '../../journal/verdict.ts';
import { headersGate } from '../../gates/web/headers.ts';
import { loadGate } from '../../gates/load/load.ts';
import { parityGate } from '../../gates/environment/parity.ts';
import { securityScanGate } from '../../gates/scan/security-scan.ts';
import { segmentsByJobs } from '../../gates/load/segments-by-jobs.ts';
import { tlsGate } from '../../gates/web/tls.ts';
import { journeyOf } from '../context/journey-of.ts';
import type { ReleaseContext } from '../context/context.ts';
import { noTests, ownTests, through } from './own-tests.ts';

/** Seconds of each step of the capacity curve. */
const capacityStepSeconds = 5;

/** The gates that a version has to pass while it is live on an environment where nobody has anything to lose. */
export async function qualification(
  context: ReleaseContext,
  environment: EnvironmentName,
  artefact: Artefact,
): Promise<Gate[]> {
  const { definition, platform } = context;
  const { router, jobs, metrics } = await context.connect(environment);
  const { entry } = router;
  noteDirect(context, entry);
  const { load, security } = definition;
  const journey = journeyOf(definition, load.script);
  const { requestsPerSecond, durationSeconds, thresholds, growth, segments } = load;
  const byOrdinaryTraffic = { entry, headers: {} };
  const divided = {
    segments,
    // Load comes from this machine, unless it is divided, and the platform can run the segments as jobs.
    ...(segments > 1 && platform.loadImage !== undefined
      ? { runner: segmentsByJobs({ jobs, artefact, image: platform.loadImage }) }
      : {}),
  };
  return [
    ownTests(definition, 'acceptance', {
      id: 'acceptance',
      title: `User acceptance of ${artefact.version}`,
      jobs,
      artefact,
      target: through(entry),
    }),
    tlsGate({ entry }),
    headersGate({ ...byOrdinaryTraffic, paths: security.startPaths }),
    loadGate({ ...byOrdinaryTraffic, ...divided, ...journey, requestsPerSecond, durationSeconds, thresholds, metrics }),
    capacityGate({
      ...byOrdinaryTraffic,
      ...divided,
      ...journey,
      requestsPerSecond,
      thresholds,
      growth,
      stepSeconds: capacityStepSeconds,
    }),
    securityScanGate({ entry, settings: security }),
    // Last: its wrong logins use up what the application grants this client.
    security.authentication === undefined
      ? absentGate(
          'authentication',
          gateTitles.authentication,
          'the definition names no login (security.authentication)',
        )
      : authenticationGate({ ...byOrdinaryTraffic, settings: security.authentication }),
    parityGate({ staging: context.spec('staging'), production: context.spec('production') }),
  ];
}

/** Nothing that asks an entry point uses the shell's proxy. Where one is set, a note says so. */
function noteDirect(context: ReleaseContext, { baseUrl }: EntryPoint): void {
  const named = proxiesNamed();
  if (named.length === 0) return;
  context.note(
    `load, scans and forwarded tests reach ${baseUrl} directly, without the proxy that is set in the shell (${named.join(', ')})`,
  );
}

const gateTitles = {
  acceptance: 'User acceptance',
  tls: 'Encryption in transit',
  headers: 'Security headers',
  load: 'Load test',
  capacity: 'Capacity for growth',
  'security-scan': 'Security scan',
  authentication: 'User authentication',
  parity: 'Staging mirrors production',
};

/** The gates of `qualification`, for the plan. */
export const qualificationGates = (definition: ReleaseDefinition): Record<string, string> => ({
  ...gateTitles,
  acceptance: planned(gateTitles.acceptance, noTests(definition, 'acceptance')),
  authentication: planned(
    gateTitles.authentication,
    definition.security.authentication === undefined ? 'the definition names no login' : undefined,
  ),
});

/** The title of a gate in the plan; `why` it is not run, if so. */
export const planned = (title: string, why: string | undefined): string =>
  why === undefined ? title : `${title} (not run: ${why})`;

/** How long they observe, ms; a scan usually ends well before its limit. */
export const qualificationMs = ({ load, security }: ReleaseDefinition): number =>
  (load.durationSeconds + 3 * capacityStepSeconds + security.maxSeconds / 3) * 1000;
