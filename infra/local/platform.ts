import type { EnvironmentSpec } from '../model.ts';
import type { Environment } from '../platform/environment.ts';
import type { Platform } from '../platform/platform.ts';
import { createLocalArtefacts } from '../application/artefact-store.ts';
import { findEngine, type WantedEngine } from '../containers/engine.ts';
import { messageOf, OperationError } from '../lib/errors.ts';
import { createLocalImages, ensureImages } from './runtime/images.ts';
import { createLocalCommands } from './runtime/commands.ts';
import { auditLocal } from './runtime/audit.ts';
import { localEngineSettings } from './runtime/engine-settings.ts';
import { takenEntryPorts, type EntryPorts } from './runtime/entry-ports.ts';
import { findEnvironment } from './runtime/found.ts';
import { createLocalRouter } from './haproxy/router.ts';
import { createLocalInstances } from './runtime/instances.ts';
import { createLocalJobs } from './runtime/jobs.ts';
import { createLocalSecrets } from './lib/application-secrets.ts';
import { makeFiles } from './lib/files.ts';
import { Layout } from './lib/layout.ts';
import { createLocalMetrics, type PartProcess } from './runtime/metrics.ts';
import { createLocalAlerts } from './monitoring/alerts.ts';
import { createLocalBackups } from './postgres/backups.ts';
import { createLocalDatabases } from './postgres/databases.ts';
import { supervisedDatabase } from './runtime/supervised-database.ts';
import { createLocalPreviews } from './runtime/preview.ts';
import { wipeEnvironment } from './runtime/wipe.ts';
import { createLocalWorkers } from './workers/workers.ts';
import { findTool, type ToolName } from '../lib/tools.ts';
import { greenlight } from '../lib/command.ts';

export interface LocalOptions {
  /** Removes secrets from logs of jobs and of builds. */
  redact?: (text: string) => string;
  entryPorts?: EntryPorts;
  /** The container engine that services with an image need. Absent: no service has one. */
  engine?: WantedEngine;
}

/** The platform that runs everything as processes of this machine. */
export function createLocalPlatform({ redact, entryPorts = {}, engine }: LocalOptions = {}): Platform {
  return {
    name: 'local',
    idleColour: 'taken down',
    initialCopy: 'physical',
    heldWrites: 'wait at the balancer',
    endsLong: true,
    settlesMs: 0,
    remote: false,
    wipesAll: true,
    engine: localEngineSettings(),
    artefacts: createLocalArtefacts(),
    secrets: createLocalSecrets(),
    images: createLocalImages(engine ?? 'auto', redact ?? ((text) => text)),
    problems: async () => [
      ...missingTools(),
      ...(engine === undefined ? [] : await missingEngine(engine)),
      ...(await takenEntryPorts(entryPorts)),
    ],
    connect: async (environment, spec) => Promise.resolve(connect(new Layout(environment), spec, redact)),
    found: (environment) => findEnvironment(environment),
    wipe: wipeEnvironment,
  };
}

/** Throws an OperationError if the environment's foundation is not up. */
function connect(layout: Layout, spec: EnvironmentSpec, redact: ((text: string) => string) | undefined): Environment {
  layout.ports();
  const instances = createLocalInstances(layout);
  const processes = async (): Promise<PartProcess[]> =>
    (await instances.list()).flatMap(({ id, pid }) => (pid === undefined ? [] : [{ part: partOf(id), pid }]));
  return {
    name: layout.environment,
    router: createLocalRouter(layout, spec),
    databases: createLocalDatabases(layout, spec, (colour) => supervisedDatabase(layout, colour)),
    backups: createLocalBackups(layout, spec),
    jobs: createLocalJobs({ environment: layout.environment, ...(redact === undefined ? {} : { redact }) }),
    metrics: createLocalMetrics(layout, spec, processes),
    alerts: createLocalAlerts(layout, spec),
    instances,
    previews: createLocalPreviews(layout, spec),
    workers: createLocalWorkers(layout),
    commands: createLocalCommands(layout, spec),
    // Services without an image run from the directory in the artefact store: nothing to prepare.
    async provide(artefact) {
      await makeFiles(layout, spec);
      await ensureImages(spec.application, artefact);
    },
    audit: () => auditLocal(layout),
    close: () => Promise.resolve(),
  };
}

/** `api.blue.1` -> `api.blue`. */
const partOf = (id: string): string => id.replace(/\.\d+$/, '');

/** Programs that every local release needs. Checked before a release starts. */
const neededTools: ToolName[] = [
  'pulumi',
  'k6',
  'haproxy',
  'prometheus',
  'alertmanager',
  'supervisord',
  'postgres',
  'pg_basebackup',
  'pg_dump',
  'pg_verifybackup',
];

/** A sentence that names the missing programs, or an empty array. */
export function missingTools(): string[] {
  const missing = neededTools.filter((name) => findTool(name) === undefined);
  return missing.length === 0 ? [] : [`missing tools: ${missing.join(', ')}; run: ${greenlight('doctor')}`];
}

const missingEngine = (wanted: WantedEngine): Promise<string[]> =>
  findEngine(wanted).then(
    () => [],
    (error: unknown) => {
      const said = error instanceof OperationError ? `${error.found}; ${error.todo}` : messageOf(error);
      return [`services have an image, and no container engine can run it: ${said}`];
    },
  );
