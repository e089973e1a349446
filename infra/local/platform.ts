import type { EnvironmentSpec } from '../model.ts';
import type { Environment, Platform } from '../platform.ts';
import { createLocalArtefacts } from './artefacts.ts';
import { auditLocal } from './audit.ts';
import { missingTools } from './needed-tools.ts';
import { localEngineSettings } from './engine-settings.ts';
import { findEnvironment } from './found.ts';
import { createLocalRouter } from './haproxy/router.ts';
import { createLocalInstances } from './instances.ts';
import { createLocalJobs } from './jobs.ts';
import { Layout } from './layout.ts';
import { createLocalMetrics, type PartProcess } from './metrics.ts';
import { createLocalAlerts } from './monitoring/alerts.ts';
import { createLocalBackups } from './postgres/backups.ts';
import { createLocalDatabases } from './postgres/databases.ts';
import { createLocalPreviews } from './preview.ts';
import { wipeEnvironment } from './wipe.ts';

/** Real processes on this machine. `redact` takes secrets out of the logs of jobs. */
export function createLocalPlatform(options: { redact?: (text: string) => string } = {}): Platform {
  const { redact } = options;
  return {
    name: 'local',
    idleColour: 'taken down',
    wipesAll: true,
    engine: localEngineSettings(),
    artefacts: createLocalArtefacts(),
    problems: () => Promise.resolve(missingTools()),
    connect: async (environment, spec) => Promise.resolve(connect(new Layout(environment), spec, redact)),
    found: (environment) => findEnvironment(environment),
    wipe: wipeEnvironment,
  };
}

/** Throws an OperationError where the environment's foundation is not up. */
function connect(layout: Layout, spec: EnvironmentSpec, redact: ((text: string) => string) | undefined): Environment {
  layout.ports();
  const instances = createLocalInstances(layout);
  const processes = async (): Promise<PartProcess[]> =>
    (await instances.list()).flatMap(({ id, pid }) => (pid === undefined ? [] : [{ part: partOf(id), pid }]));
  return {
    name: layout.environment,
    router: createLocalRouter(layout, spec),
    databases: createLocalDatabases(layout, spec),
    backups: createLocalBackups(layout, spec),
    jobs: createLocalJobs(redact === undefined ? {} : { redact }),
    metrics: createLocalMetrics(layout, spec, processes),
    alerts: createLocalAlerts(layout, spec),
    instances,
    previews: createLocalPreviews(layout, spec),
    // Services run from where the artefact is stored.
    provide: () => Promise.resolve(),
    audit: () => auditLocal(layout),
    close: () => Promise.resolve(),
  };
}

/** `api.blue.1` is a part of `api.blue`. */
const partOf = (id: string): string => id.replace(/\.\d+$/, '');
