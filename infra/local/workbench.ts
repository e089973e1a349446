import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { WantedEngine } from '../containers/engine.ts';
import { createLocalArtefacts } from '../application/artefact-store.ts';
import type { EnvironmentSpec } from '../model.ts';
import type { Workbench } from '../platform/workbench.ts';
import { createLocalSecrets } from './lib/application-secrets.ts';
import { createCertificates } from './lib/certificates.ts';
import { Layout, searchPath } from './lib/layout.ts';
import { createLocalDatabases } from './postgres/databases.ts';
import { removeLeftovers } from './postgres/scratch.ts';
import { createLocalImages } from './runtime/images.ts';
import { createLocalJobs } from './runtime/jobs.ts';
import { createLocalPreviews } from './runtime/preview.ts';
import { startStandIns } from './runtime/stand-ins.ts';

/** Where services look for their programs, whatever the caller's shell says. */
export const programPath = (): string[] => searchPath().split(delimiter);

/**
 * A workbench on this machine: the parts of the local platform in a temporary folder, without an environment. Rejects with an
 * OperationError if it cannot be made.
 */
export async function openLocalWorkbench(
  spec: EnvironmentSpec,
  options: { redact?: (text: string) => string; engine?: WantedEngine } = {},
): Promise<Workbench> {
  const directory = await mkdtemp(join(tmpdir(), 'greenlight-check-'));
  const layout = new Layout(spec.environment, join(directory, spec.environment));
  const close = async (): Promise<void> => {
    await removeLeftovers(layout);
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  };
  try {
    await mkdir(layout.directory, { recursive: true, mode: 0o700 });
    await createCertificates(layout.certificates());
  } catch (error) {
    await close();
    throw error;
  }
  const noColour = (): never => {
    throw new Error('a workbench has no colour');
  };
  return {
    directory,
    artefacts: createLocalArtefacts(join(directory, 'artefacts')),
    databases: createLocalDatabases(layout, spec, noColour),
    images: createLocalImages(options.engine ?? 'auto', options.redact ?? ((text) => text)),
    jobs: createLocalJobs({ ...options, directory }),
    secrets: createLocalSecrets(() => layout),
    async serve(artefact, access) {
      const standIns = await startStandIns(spec.integrations);
      const killed: string[] = [];
      try {
        await writeFile(layout.portsFile(), JSON.stringify({ integrations: standIns.ports }));
        const previews = createLocalPreviews(layout, spec, { onKilled: (service) => killed.push(service) });
        const preview = await previews.serve(artefact, access);
        const dispose = async (): Promise<void> => {
          await preview.dispose();
          await standIns.stop();
        };
        return {
          ...preview,
          dispose,
          async stop() {
            await dispose();
            return killed;
          },
        };
      } catch (error) {
        await standIns.stop();
        throw error;
      }
    },
    outputOf: (service) => readFile(join(layout.logs(), `preview.${service}.log`), 'utf8').catch(() => ''),
    close,
  };
}
